"""Initializers that draw nothing."""

from collections.abc import Sequence
from typing import Any

from distkeras import ops
from distkeras.engine.dtypes import standardize_dtype
from distkeras.errors import ShapeError
from distkeras.initializers.initializer import Initializer
from distkeras.utils.serialization import deserialize_keras_object, serialize_keras_object

__all__ = ["Constant", "Identity", "Ones", "Zeros"]


class Constant(Initializer):
    """One value everywhere.

    Args:
        value: a number, or an array that broadcasts to the shape; default 0.

    Example:
        >>> Constant(3.0)((2,)).tolist()
        [3.0, 3.0]
    """

    def __init__(self, value: Any = 0.0):
        self.value = value

    def __call__(self, shape: Sequence[int], dtype: str | None = None):
        dtype = standardize_dtype(dtype)
        if isinstance(self.value, bool | int | float):
            return ops.full(shape, self.value, dtype=dtype)
        return ops.broadcast_to(ops.cast(self.value, dtype), tuple(shape))

    def get_config(self) -> dict:
        """The value."""
        return {"value": serialize_keras_object(self.value)}

    @classmethod
    def from_config(cls, config: dict) -> "Constant":
        """An initializer made from `get_config()`'s result."""
        return cls(deserialize_keras_object(config["value"]))


class Zeros(Initializer):
    """Zeros.

    Example:
        >>> Zeros()((2,)).tolist()
        [0.0, 0.0]
    """

    def __call__(self, shape: Sequence[int], dtype: str | None = None):
        return ops.zeros(shape, dtype=standardize_dtype(dtype))


class Ones(Initializer):
    """Ones.

    Example:
        >>> Ones()((2,)).tolist()
        [1.0, 1.0]
    """

    def __call__(self, shape: Sequence[int], dtype: str | None = None):
        return ops.ones(shape, dtype=standardize_dtype(dtype))


class Identity(Initializer):
    """The identity matrix, for weights of two axes.

    Args:
        gain: a factor, default 1.

    Raises:
        ShapeError: when called with a shape that has not two axes.

    Example:
        >>> Identity(2.0)((2, 2)).tolist()
        [[2.0, 0.0], [0.0, 2.0]]
    """

    def __init__(self, gain: float = 1.0):
        self.gain = gain

    def __call__(self, shape: Sequence[int], dtype: str | None = None):
        if len(shape) != 2:
            raise ShapeError(
                "Identity matrix initializer can only be used for 2D matrices. "
                f"Received: shape={shape} of rank {len(shape)}."
            )
        return self.gain * ops.eye(shape[0], shape[1], dtype=standardize_dtype(dtype))

    def get_config(self) -> dict:
        """The gain where it is not 1; Keras never writes it, and reads it where it is."""
        return {} if self.gain == 1 else {"gain": self.gain}
