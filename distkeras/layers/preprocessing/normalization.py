"""`Normalization`: features brought to mean 0 and variance 1 by numbers known before training."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from distkeras import config, ops
from distkeras.errors import ArgumentError, DataError, NotBuiltError, ShapeError
from distkeras.layers.arguments import known_size
from distkeras.layers.layer import Layer

__all__ = ["Normalization"]


class Normalization(Layer):
    """`(inputs - mean) / sqrt(variance)`, with numbers that are given or found by `adapt`.

    Args:
        axis: the axes that have a mean of their own for each position, default -1; `None` for one
            mean of everything.
        mean, variance: numbers or arrays over those axes, both or neither.
        invert: whether the inverse is computed, default `False`.
        **kwargs: `name`, `dtype`, `trainable`.

    Raises:
        ArgumentError: where only one of mean and variance is given.

    Example:
        >>> layer = Normalization()
        >>> layer.adapt([[1.0], [3.0]])
        >>> layer([[1.0], [3.0]]).tolist()
        [[-1.0], [1.0]]
    """

    def __init__(
        self,
        axis: int | Sequence[int] | None = -1,
        mean: Any = None,
        variance: Any = None,
        invert: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.axis = () if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
        if (mean is None) != (variance is None):
            raise ArgumentError(
                "When setting values directly, both `mean` and `variance` must be set. Received: "
                f"mean={mean} and variance={variance}"
            )
        shapes = [_shape(v) for v in (mean, variance) if v is not None]
        if len(set(shapes)) > 1:
            raise ArgumentError(
                "`mean` and `variance` must have the same shape. Received: "
                f"{shapes[0]} and {shapes[1]}"
            )
        if shapes and len(shapes[0]) > len(self.axis):
            raise ArgumentError(
                f"The rank of `mean` must not exceed the number of axes ({len(self.axis)}). "
                f"Received: mean shape {shapes[0]} for axis {self.axis}"
            )
        self.adapt_mean: Any = None
        self.adapt_variance: Any = None
        self.input_mean = mean
        self.input_variance = variance
        self.invert = invert
        self.supports_masking = True

    def build(self, input_shape):
        rank = len(input_shape)
        if any(not -rank <= a < rank for a in self.axis):
            raise ShapeError(
                f"All `axis` values must be in the range [-{rank}, {rank}) for inputs of shape "
                f"{tuple(input_shape)}. Received: axis={self.axis}"
            )
        self._kept = tuple(sorted(a % rank for a in self.axis))
        self._reduced = tuple(a for a in range(rank) if a not in self._kept)
        sizes = tuple(known_size(self, input_shape, a) for a in self._kept)
        self._spread = tuple(input_shape[a] if a in self._kept else 1 for a in range(rank))
        if self.input_mean is None:
            for name, first in (("mean", "zeros"), ("variance", "ones")):
                weight = self.add_weight(
                    name=name, shape=sizes, initializer=first, trainable=False, autocast=False
                )
                setattr(self, f"adapt_{name}", weight)
            # Always 0: files of older Keras have it.
            self.count = self.add_weight(
                name="count", shape=(), dtype="int32", initializer="zeros", trainable=False
            )

    def _statistic(self, name: str):
        """The mean or the variance, shaped to broadcast against the inputs."""
        given = getattr(self, f"input_{name}")
        value = getattr(self, f"adapt_{name}") if given is None else ops.convert_to_tensor(given)
        value = ops.cast(value, self.compute_dtype)
        shape = [1] * len(self._spread)
        for size, axis in zip(reversed(value.shape), reversed(self._kept), strict=False):
            shape[axis] = size
        return ops.reshape(value, tuple(shape))

    @property
    def mean(self):
        """The mean, shaped to broadcast against the inputs; `None` before the layer is built."""
        return self._statistic("mean") if self.built else None

    @property
    def variance(self):
        """The variance, as `mean`."""
        return self._statistic("variance") if self.built else None

    def adapt(self, data: Any) -> None:
        """Find mean and variance.

        Args:
            data: an array or tensor, or an iterable of batches of them (of tuples whose first is
                meant).

        Raises:
            ArgumentError: where mean and variance were given.
            DataError: where there are no data.
            ShapeError: where they do not fit the layer.
        """
        if self.input_mean is not None:
            raise ArgumentError(
                "`adapt` needs a Normalization layer without `mean` and `variance`."
            )
        total = None
        for batch in _batches(data):
            shape = tuple(batch.shape)
            if not self.built:
                self.build((None, *shape[1:]) if 0 not in self.axis else shape)
            if len(shape) != len(self._spread) or any(
                shape[a] != self._spread[a] for a in self._kept
            ):
                raise ShapeError(
                    f"The layer '{self.name}' was built for inputs like {self._spread} (1: any "
                    "size), "
                    f"but adapt() got data of shape {shape}."
                )
            count = math.prod(shape[a] for a in self._reduced)
            if count:
                x = ops.cast(batch, "float64")
                found = (
                    count,
                    ops.mean(x, axis=self._reduced) if self._reduced else x,
                    ops.var(x, axis=self._reduced) if self._reduced else ops.zeros_like(x),
                )
                total = found if total is None else _joined(total, found)
        if total is None:
            raise DataError("`adapt` got no data: it needs at least one batch with a sample in it.")
        self.adapt_mean.assign(total[1])
        self.adapt_variance.assign(total[2])

    def call(self, inputs):
        if not self.built:
            raise NotBuiltError(f"Call `build(input_shape)` on the layer '{self.name}' before it.")
        x = ops.cast(inputs, self.compute_dtype)
        deviation = ops.maximum(ops.sqrt(self._statistic("variance")), config.epsilon())
        if self.invert:
            return ops.add(self._statistic("mean"), ops.multiply(x, deviation))
        return ops.divide(ops.subtract(x, self._statistic("mean")), deviation)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self) -> dict:
        """The arguments from which the layer can be made again."""
        return {
            **super().get_config(),
            "axis": self.axis,
            "invert": self.invert,
            "mean": _plain(self.input_mean),
            "variance": _plain(self.input_variance),
        }


def _shape(value) -> tuple[int, ...]:
    return tuple(ops.convert_to_tensor(value).shape)


def _plain(value):
    """Numbers and lists of them, as a file holds them."""
    return value.tolist() if hasattr(value, "tolist") else value


def _batches(data: Any) -> Iterable[Any]:
    """The batches of data, as tensors."""
    rows = isinstance(data, list) and bool(data) and not hasattr(data[0], "shape")
    if hasattr(data, "shape") or rows:
        yield ops.convert_to_tensor(data)
        return
    if not hasattr(data, "__iter__"):
        raise TypeError(
            f"`adapt` takes an array, a tensor or an iterable of batches. Received: {type(data)}"
        )
    for batch in data:
        yield ops.convert_to_tensor(batch[0] if isinstance(batch, tuple | list) else batch)


def _joined(a: tuple, b: tuple) -> tuple:
    """Count, mean and variance of two parts together (T. Chan et al., 1979)."""
    n = a[0] + b[0]
    share = b[0] / n
    step = ops.subtract(b[1], a[1])
    mean = ops.add(a[1], ops.multiply(step, share))
    within = ops.add(ops.multiply(a[2], 1 - share), ops.multiply(b[2], share))
    return n, mean, ops.add(within, ops.multiply(ops.square(step), share * (1 - share)))
