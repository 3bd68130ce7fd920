"""`GlobalMaxPooling1D` to `3D` and `GlobalAveragePooling1D` to `3D`: all positions at once."""

from typing import Any, ClassVar

from distkeras import config, ops
from distkeras.layers.arguments import arguments_of
from distkeras.layers.input_spec import InputSpec
from distkeras.layers.layer import Layer

__all__ = [
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAveragePooling3D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GlobalMaxPooling3D",
]


class GlobalPooling(Layer):
    """The base: what happens to all positions of a channel is `reduce`, such as `ops.mean`.

    Args:
        data_format: `"channels_last"` or `"channels_first"`, default
            `keras.config.image_data_format()`.
        keepdims: whether the spatial axes stay, with size 1; default `False`.
        **kwargs: `name`, `dtype`, `trainable`.
    """

    rank: ClassVar[int]
    reduce: ClassVar[Any]

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = config.standardize_data_format(data_format)
        self.keepdims = keepdims
        self.input_spec = InputSpec(ndim=self.rank + 2)
        self.built = True

    @property
    def _axes(self) -> tuple[int, ...]:
        start = 1 if self.data_format == "channels_last" else 2
        return tuple(range(start, start + self.rank))

    def call(self, inputs):
        """The reduced inputs."""
        return type(self).reduce(inputs, axis=self._axes, keepdims=self.keepdims)

    def compute_output_shape(self, input_shape):
        """The shape of the outputs, `None` where it is unknown."""
        axes = self._axes
        if self.keepdims:
            return tuple(1 if i in axes else d for i, d in enumerate(input_shape))
        return tuple(d for i, d in enumerate(input_shape) if i not in axes)

    def get_config(self) -> dict:
        """The arguments from which the layer can be made again."""
        return {**super().get_config(), **arguments_of(self, "data_format keepdims")}


class GlobalMaxPooling1D(GlobalPooling):
    """The maximum over one spatial or temporal axis; see `GlobalPooling` for the arguments.

    Example:
        >>> GlobalMaxPooling1D()([[[1.0], [3.0], [2.0]]]).tolist()
        [[3.0]]
    """

    rank = 1
    reduce = staticmethod(ops.max)


class GlobalMaxPooling2D(GlobalPooling):
    """The maximum over images; see `GlobalPooling` for the arguments.

    Example:
        >>> GlobalMaxPooling2D(keepdims=True)(ops.zeros((2, 4, 5, 3))).shape
        (2, 1, 1, 3)
    """

    rank = 2
    reduce = staticmethod(ops.max)


class GlobalMaxPooling3D(GlobalPooling):
    """The maximum over volumes; see `GlobalPooling` for the arguments.

    Example:
        >>> GlobalMaxPooling3D()(ops.zeros((2, 4, 5, 6, 3))).shape
        (2, 3)
    """

    rank = 3
    reduce = staticmethod(ops.max)


class GlobalAveragePooling1D(GlobalPooling):
    """The mean over one spatial or temporal axis; steps that a mask leaves out do not count.

    See `GlobalPooling` for the arguments.

    Example:
        >>> GlobalAveragePooling1D()([[[1.0], [3.0], [2.0]]]).tolist()
        [[2.0]]
    """

    rank = 1
    reduce = staticmethod(ops.mean)

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any):
        super().__init__(data_format, keepdims, **kwargs)
        self.supports_masking = True

    def call(self, inputs, mask=None):
        """The mean of the steps, `mask` being `(samples, steps)`, true where a step counts."""
        if mask is None:
            return super().call(inputs)
        axes = self._axes
        kept = ops.expand_dims(ops.cast(mask, "bool"), 2 if axes == (1,) else 1)
        total = ops.sum(ops.where(kept, inputs, 0.0), axis=axes, keepdims=self.keepdims)
        count = ops.sum(ops.cast(kept, inputs.dtype), axis=axes, keepdims=self.keepdims)
        return ops.divide(total, count)

    def compute_mask(self, inputs, mask=None):
        """No mask: the steps are gone."""
        return None


class GlobalAveragePooling2D(GlobalPooling):
    """The mean over images; see `GlobalPooling` for the arguments.

    Example:
        >>> GlobalAveragePooling2D()(ops.zeros((2, 4, 5, 3))).shape
        (2, 3)
    """

    rank = 2
    reduce = staticmethod(ops.mean)


class GlobalAveragePooling3D(GlobalPooling):
    """The mean over volumes; see `GlobalPooling` for the arguments.

    Example:
        >>> GlobalAveragePooling3D()(ops.zeros((2, 4, 5, 6, 3))).shape
        (2, 3)
    """

    rank = 3
    reduce = staticmethod(ops.mean)
