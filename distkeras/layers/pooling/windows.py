"""`MaxPooling1D` to `3D` and `AveragePooling1D` to `3D`: pooling over windows."""

from typing import Any, ClassVar

from distkeras import config, ops
from distkeras.engine.windows import open_output_size
from distkeras.layers.arguments import arguments_of
from distkeras.layers.input_spec import InputSpec
from distkeras.layers.layer import Layer
from distkeras.utils.arguments import int_tuple, padding_name

__all__ = [
    "AveragePooling1D",
    "AveragePooling2D",
    "AveragePooling3D",
    "MaxPooling1D",
    "MaxPooling2D",
    "MaxPooling3D",
]


class Pooling(Layer):
    """The base: what happens to each window is `pool`, an operation such as `ops.max_pool`.

    Args:
        pool_size: the window, an int or one for each spatial axis; 2 by default for maxima.
        strides: a step between windows, default `pool_size`.
        padding: `"valid"` or `"same"`, default `"valid"`; padding never counts.
        data_format: `"channels_last"` or `"channels_first"`, default
            `keras.config.image_data_format()`.
        **kwargs: `name`, `dtype`, `trainable`.

    Raises:
        ArgumentError: where an argument lies outside its domain.
        ShapeError: where the inputs do not fit.
    """

    rank: ClassVar[int]
    pool: ClassVar[Any]

    def __init__(
        self,
        pool_size: Any,
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(name=name, **kwargs)
        self.pool_size = int_tuple(pool_size, self.rank, "pool_size")
        self.strides = (
            self.pool_size if strides is None else int_tuple(strides, self.rank, "strides")
        )
        self.padding = padding_name(padding)
        self.data_format = config.standardize_data_format(data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)
        self.built = True

    def call(self, inputs):
        """The pooled inputs."""
        return type(self).pool(
            inputs,
            self.pool_size,
            strides=self.strides,
            padding=self.padding,
            data_format=self.data_format,
        )

    def compute_output_shape(self, input_shape):
        """The shape of the outputs, `None` where it is unknown."""
        last = self.data_format == "channels_last"
        size = tuple(input_shape[1:-1] if last else input_shape[2:])
        ones = (1,) * self.rank
        out = open_output_size(size, self.pool_size, self.strides, self.padding, ones)
        if last:
            return (input_shape[0], *out, input_shape[-1])
        return (*input_shape[:2], *out)

    def get_config(self) -> dict:
        """The arguments from which the layer can be made again."""
        return {
            **super().get_config(),
            **arguments_of(self, "pool_size padding strides data_format"),
        }


class MaxPooling(Pooling):
    """The largest element of each window."""

    pool = staticmethod(ops.max_pool)

    def __init__(
        self,
        pool_size: Any = 2,
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(pool_size, strides, padding, data_format, name, **kwargs)


class AveragePooling(Pooling):
    """The mean of each window."""

    pool = staticmethod(ops.average_pool)


class MaxPooling1D(MaxPooling):
    """Maxima over windows of one spatial or temporal axis; see `Pooling` for the arguments.

    Example:
        >>> MaxPooling1D(2)([[[1.0], [3.0], [2.0], [0.0]]]).tolist()
        [[[3.0], [2.0]]]
    """

    rank = 1


class MaxPooling2D(MaxPooling):
    """Maxima over windows of images; see `Pooling` for the arguments.

    Example:
        >>> MaxPooling2D()(ops.zeros((2, 6, 7, 3))).shape
        (2, 3, 3, 3)
    """

    rank = 2


class MaxPooling3D(MaxPooling):
    """Maxima over windows of volumes; see `Pooling` for the arguments.

    Example:
        >>> MaxPooling3D()(ops.zeros((2, 4, 4, 4, 3))).shape
        (2, 2, 2, 2, 3)
    """

    rank = 3


class AveragePooling1D(AveragePooling):
    """Means over windows of one spatial or temporal axis; see `Pooling` for the arguments.

    Example:
        >>> AveragePooling1D(2)([[[1.0], [3.0], [2.0], [0.0]]]).tolist()
        [[[2.0], [1.0]]]
    """

    rank = 1


class AveragePooling2D(AveragePooling):
    """Means over windows of images; see `Pooling` for the arguments.

    Example:
        >>> AveragePooling2D(2, padding="same")(ops.zeros((2, 6, 7, 3))).shape
        (2, 3, 4, 3)
    """

    rank = 2


class AveragePooling3D(AveragePooling):
    """Means over windows of volumes; see `Pooling` for the arguments.

    Example:
        >>> AveragePooling3D(2)(ops.zeros((2, 4, 4, 4, 3))).shape
        (2, 2, 2, 2, 3)
    """

    rank = 3
