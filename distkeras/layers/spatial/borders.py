"""`ZeroPadding1D` to `3D` and `Cropping1D` to `3D`: positions added or taken away at the edges."""

from typing import Any, ClassVar

from distkeras import config, ops
from distkeras.errors import ArgumentError, ShapeError
from distkeras.layers.input_spec import InputSpec
from distkeras.layers.layer import Layer
from distkeras.utils.arguments import int_tuple

__all__ = [
    "Cropping1D",
    "Cropping2D",
    "Cropping3D",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "ZeroPadding3D",
]


def _pairs(value: Any, rank: int, name: str) -> tuple[tuple[int, ...], ...]:
    """(before, after) for each spatial axis, from an int, an int an axis, or a pair an axis."""
    if rank == 1:
        return (int_tuple(value, 2, name, least=0),)
    if isinstance(value, int):
        return (int_tuple(value, 2, name, least=0),) * rank
    if not hasattr(value, "__len__") or len(value) != rank:
        raise ArgumentError(
            f"`{name}` must be an int, a tuple of {rank} ints (one for each axis, on both sides), "
            f"or a tuple of {rank} pairs. Received: {name}={value!r}"
        )
    return tuple(int_tuple(v, 2, f"{name}[{i}]", least=0) for i, v in enumerate(value))


class Border(Layer):
    """The base: `argument` is the name of the amounts, `pairs` are they for each spatial axis."""

    rank: ClassVar[int]
    argument: ClassVar[str]

    def __init__(self, amounts: Any, data_format: str | None, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = config.standardize_data_format(data_format)
        pairs = _pairs(amounts, self.rank, self.argument)
        setattr(self, self.argument, pairs[0] if self.rank == 1 else pairs)
        self._pairs = pairs
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def _by_axis(self, input_shape) -> list[tuple[int, ...]]:
        """(before, after) for every axis of the inputs."""
        start = 1 if self.data_format == "channels_last" else 2
        found: list[tuple[int, ...]] = [(0, 0)] * len(input_shape)
        found[start : start + self.rank] = self._pairs
        return found

    def get_config(self) -> dict:
        """The arguments from which the layer can be made again."""
        own = {self.argument: getattr(self, self.argument), "data_format": self.data_format}
        return {**super().get_config(), **own}


class ZeroPadding(Border):
    """Zeros around the spatial axes.

    Args:
        padding: how many before and after: an int, one for each spatial axis, or a pair for each;
            default 1. With one spatial axis: an int or a pair.
        data_format: `"channels_last"` or `"channels_first"`, default
            `keras.config.image_data_format()`.
        **kwargs: `name`, `dtype`, `trainable`.
    """

    argument = "padding"

    def __init__(self, padding: Any = 1, data_format: str | None = None, **kwargs: Any):
        super().__init__(padding, data_format, **kwargs)

    def call(self, inputs):
        """The padded inputs."""
        return ops.pad(inputs, self._by_axis(inputs.shape))

    def compute_output_shape(self, input_shape):
        """The shape of the outputs, `None` where it is unknown."""
        widths = self._by_axis(input_shape)
        return tuple(
            None if d is None else d + a + b for d, (a, b) in zip(input_shape, widths, strict=True)
        )


class Cropping(Border):
    """The spatial axes without some positions at their ends.

    Args:
        cropping: how many before and after: an int, one for each spatial axis, or a pair for each.
            With one spatial axis: an int or a pair.
        data_format: `"channels_last"` or `"channels_first"`, default
            `keras.config.image_data_format()`.
        **kwargs: `name`, `dtype`, `trainable`.

    Raises:
        ShapeError: where nothing is left.
    """

    argument = "cropping"

    def __init__(self, cropping: Any = 0, data_format: str | None = None, **kwargs: Any):
        super().__init__(cropping, data_format, **kwargs)

    def call(self, inputs):
        """The middle of the inputs."""
        self.compute_output_shape(inputs.shape)
        ends = zip(inputs.shape, self._by_axis(inputs.shape), strict=True)
        return inputs[tuple(slice(a, n - b) if a or b else slice(None) for n, (a, b) in ends)]

    def compute_output_shape(self, input_shape):
        """The shape of the outputs, `None` where it is unknown."""
        out = []
        for n, (a, b) in zip(input_shape, self._by_axis(input_shape), strict=True):
            if n is not None and (a or b) and a + b >= n:
                raise ShapeError(
                    "`cropping` must take away less than the inputs have. Received: "
                    f"input_shape={tuple(input_shape)}, cropping={self.cropping}"
                )
            out.append(None if n is None else n - a - b)
        return tuple(out)


class ZeroPadding1D(ZeroPadding):
    """Zeros around sequences; see `ZeroPadding` for the arguments.

    Example:
        >>> ZeroPadding1D((1, 0))([[[1.0], [2.0]]]).tolist()
        [[[0.0], [1.0], [2.0]]]
    """

    rank = 1


class ZeroPadding2D(ZeroPadding):
    """Zeros around images; see `ZeroPadding` for the arguments.

    Example:
        >>> ZeroPadding2D(((1, 0), (2, 2)))(ops.zeros((2, 3, 3, 1))).shape
        (2, 4, 7, 1)
    """

    rank = 2


class ZeroPadding3D(ZeroPadding):
    """Zeros around volumes; see `ZeroPadding` for the arguments.

    Example:
        >>> ZeroPadding3D(1)(ops.zeros((2, 3, 3, 3, 1))).shape
        (2, 5, 5, 5, 1)
    """

    rank = 3


class Cropping1D(Cropping):
    """Sequences without some steps at their ends.

    Args:
        cropping: how many before and after, an int or a pair, default 1.
        **kwargs: `name`, `dtype`, `trainable`.

    Example:
        >>> Cropping1D(1)([[[1.0], [2.0], [3.0]]]).tolist()
        [[[2.0]]]
    """

    rank = 1

    def __init__(self, cropping: Any = (1, 1), **kwargs: Any):
        super().__init__(cropping, "channels_last", **kwargs)

    def get_config(self) -> dict:
        """The arguments from which the layer can be made again."""
        found = super().get_config()
        del found["data_format"]
        return found


class Cropping2D(Cropping):
    """Images without some rows and columns at their edges; see `Cropping`, default 0.

    Example:
        >>> Cropping2D(((1, 0), (2, 2)))(ops.zeros((2, 6, 6, 1))).shape
        (2, 5, 2, 1)
    """

    rank = 2


class Cropping3D(Cropping):
    """Volumes without some positions at their edges; see `Cropping`, default 1.

    Example:
        >>> Cropping3D()(ops.zeros((2, 4, 4, 4, 1))).shape
        (2, 2, 2, 2, 1)
    """

    rank = 3

    def __init__(self, cropping: Any = 1, data_format: str | None = None, **kwargs: Any):
        super().__init__(cropping, data_format, **kwargs)
