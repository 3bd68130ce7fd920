"""`UpSampling1D` to `3D`: more positions, by repetition or interpolation."""

from typing import Any, ClassVar

from distkeras import config, ops
from distkeras.engine.primitives.resampling import METHODS
from distkeras.errors import ArgumentError
from distkeras.layers.arguments import arguments_of, positive_int
from distkeras.layers.input_spec import InputSpec
from distkeras.layers.layer import Layer
from distkeras.utils.arguments import int_tuple

__all__ = ["UpSampling1D", "UpSampling2D", "UpSampling3D"]


class UpSampling(Layer):
    """The base: `size` is a tuple of factors, one for each spatial axis.

    Args:
        size: an int or one for each spatial axis, default 2.
        data_format: `"channels_last"` or `"channels_first"`, default
            `keras.config.image_data_format()`.
        **kwargs: `name`, `dtype`, `trainable`.

    Raises:
        ArgumentError: where an argument lies outside its domain.
    """

    rank: ClassVar[int]

    def __init__(self, size: Any = 2, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = config.standardize_data_format(data_format)
        self.size: Any = int_tuple(size, self.rank, "size")
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def _factors(self) -> dict[int, int]:
        """Spatial axis -> factor."""
        start = 1 if self.data_format == "channels_last" else 2
        return {start + i: factor for i, factor in enumerate(self.size)}

    def call(self, inputs):
        """The inputs with each position repeated."""
        for axis, factor in self._factors().items():
            inputs = ops.repeat(inputs, factor, axis=axis)
        return inputs

    def compute_output_shape(self, input_shape):
        """The shape of the outputs, `None` where it is unknown."""
        factors = self._factors()
        return tuple(d if d is None else d * factors.get(i, 1) for i, d in enumerate(input_shape))

    def get_config(self) -> dict:
        """The arguments from which the layer can be made again."""
        return {**super().get_config(), **arguments_of(self, "size data_format")}


class UpSampling1D(UpSampling):
    """Each time step repeated.

    Args:
        size: how often, default 2.
        **kwargs: `name`, `dtype`, `trainable`.

    Example:
        >>> UpSampling1D(2)([[[1.0], [2.0]]]).tolist()
        [[[1.0], [1.0], [2.0], [2.0]]]
    """

    rank = 1

    def __init__(self, size: int = 2, **kwargs: Any):
        super().__init__(positive_int(self, "size", size), "channels_last", **kwargs)
        self.size = int(size)

    def _factors(self):
        return {1: self.size}

    def get_config(self) -> dict:
        """The arguments from which the layer can be made again."""
        found = super().get_config()
        del found["data_format"]
        return found


class UpSampling2D(UpSampling):
    """Rows and columns of images repeated or interpolated.

    Args:
        size: the factors of rows and columns, an int or a pair, default 2.
        data_format: `"channels_last"` or `"channels_first"`, default
            `keras.config.image_data_format()`.
        interpolation: `"nearest"` or `"bilinear"`, default `"nearest"`.
        **kwargs: `name`, `dtype`, `trainable`.

    Raises:
        ArgumentError: where an argument lies outside its domain.

    Example:
        >>> UpSampling2D((2, 3), interpolation="bilinear")(ops.zeros((2, 4, 5, 3))).shape
        (2, 8, 15, 3)
    """

    rank = 2

    def __init__(
        self,
        size: Any = (2, 2),
        data_format: str | None = None,
        interpolation: str = "nearest",
        **kwargs: Any,
    ):
        super().__init__(size, data_format, **kwargs)
        self.interpolation = interpolation.lower()
        if self.interpolation not in METHODS:
            raise ArgumentError(
                f"`interpolation` must be one of {', '.join(sorted(METHODS))}. "
                f"Received: interpolation={interpolation!r}"
            )

    def call(self, inputs):
        """The enlarged images."""
        if self.interpolation == "nearest":
            return super().call(inputs)
        size = tuple(inputs.shape[axis] * factor for axis, factor in self._factors().items())
        return ops.image.resize(inputs, size, self.interpolation, data_format=self.data_format)

    def get_config(self) -> dict:
        """The arguments from which the layer can be made again."""
        return {**super().get_config(), "interpolation": self.interpolation}


class UpSampling3D(UpSampling):
    """Positions of volumes repeated along all three axes; see `UpSampling` for the arguments.

    Example:
        >>> UpSampling3D(2)(ops.zeros((2, 1, 2, 3, 4))).shape
        (2, 2, 4, 6, 4)
    """

    rank = 3
