"""Constraints: each is called with a weight and returns its projection."""

from collections.abc import Callable
from typing import Any

from distkeras import config, ops
from distkeras.utils.lookup import deserialize_kind, get_kind
from distkeras.utils.serialization import serialize_keras_object

__all__ = [
    "Constraint",
    "MaxNorm",
    "MinMaxNorm",
    "NonNeg",
    "UnitNorm",
    "deserialize",
    "get",
    "serialize",
]

Axis = int | tuple[int, ...] | list[int]


class Constraint:
    """A constraint of one's own: define `__call__(w)`, and `get_config()` where it takes arguments.

    Example:
        >>> from distkeras import constraints, ops
        >>> class Below(constraints.Constraint):
        ...     def __call__(self, w):
        ...         return ops.minimum(w, 1.0)
        >>> Below()(ops.convert_to_tensor([2.0])).tolist()
        [1.0]
    """

    def __call__(self, w: Any):
        """The projection of `w`."""
        return w

    def get_config(self) -> dict:
        """The arguments of the constructor."""
        return {}

    @classmethod
    def from_config(cls, config: dict) -> "Constraint":
        """A constraint made from `get_config()`'s result."""
        return cls(**config)


def _rescaled(w, axis, desired: Callable):
    """`w` with the norms along axes, n, changed to `desired(n)`."""
    w = ops.as_tensor(w)
    norms = ops.sqrt(
        ops.sum(ops.square(w), axis=axis if isinstance(axis, int) else tuple(axis), keepdims=True)
    )
    # Divided first: in half precision the factor of a vector of zeros would be infinite.
    return w / (norms + config.epsilon()) * desired(norms)


class MaxNorm(Constraint):
    """Norms are at most a value.

    Args:
        max_value: the greatest norm, default 2.
        axis: the axis or axes of the norm, default 0: for a dense kernel, the inputs of each unit.

    Example:
        >>> MaxNorm(1.0)(ops.convert_to_tensor([[3.0], [4.0]])).numpy().round(4).tolist()
        [[0.6000000238418579], [0.800000011920929]]
    """

    def __init__(self, max_value: float = 2, axis: Axis = 0):
        self.max_value = max_value
        self.axis = axis

    def __call__(self, w: Any):
        return _rescaled(w, self.axis, lambda n: ops.clip(n, 0.0, float(self.max_value)))

    def get_config(self) -> dict:
        """The arguments of the constructor."""
        return {"max_value": self.max_value, "axis": self.axis}


class NonNeg(Constraint):
    """Negative weights become 0.

    Example:
        >>> NonNeg()(ops.convert_to_tensor([-1.0, 2.0])).tolist()
        [0.0, 2.0]
    """

    def __call__(self, w: Any):
        return ops.maximum(ops.as_tensor(w), 0)


class UnitNorm(Constraint):
    """Norms are 1.

    Args:
        axis: the axis or axes of the norm, default 0.

    Example:
        >>> UnitNorm()(ops.convert_to_tensor([[0.0], [4.0]])).numpy().round(4).tolist()
        [[0.0], [1.0]]
    """

    def __init__(self, axis: Axis = 0):
        self.axis = axis

    def __call__(self, w: Any):
        return _rescaled(w, self.axis, lambda n: 1.0)

    def get_config(self) -> dict:
        """The arguments of the constructor."""
        return {"axis": self.axis}


class MinMaxNorm(Constraint):
    """Norms move towards a range.

    Args:
        min_value: the least norm, default 0.
        max_value: the greatest norm, default 1.
        rate: the part of the way that is gone at each update, from 0 to 1, default 1.
        axis: the axis or axes of the norm, default 0.

    Example:
        >>> MinMaxNorm(2.0, 3.0)(ops.convert_to_tensor([[1.0]])).numpy().round(4).tolist()
        [[2.0]]
    """

    def __init__(
        self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: Axis = 0
    ):
        self.min_value = min_value
        self.max_value = max_value
        self.rate = rate
        self.axis = axis

    def __call__(self, w: Any):
        def desired(n):
            return (
                self.rate * ops.clip(n, float(self.min_value), float(self.max_value))
                + (1 - self.rate) * n
            )

        return _rescaled(w, self.axis, desired)

    def get_config(self) -> dict:
        """The arguments of the constructor."""
        return {
            "min_value": self.min_value,
            "max_value": self.max_value,
            "rate": self.rate,
            "axis": self.axis,
        }


def serialize(constraint: Any) -> Any:
    """A constraint's configuration, with its class.

    Example:
        >>> serialize(NonNeg())["class_name"]
        'NonNeg'
    """
    return serialize_keras_object(constraint)


def deserialize(config: dict, custom_objects: dict | None = None) -> Any:
    """The constraint of a configuration that `serialize` gave.

    Example:
        >>> deserialize(serialize(MaxNorm(3))).max_value
        3
    """
    return deserialize_kind("constraint", config, custom_objects)


def get(identifier: Any) -> Callable | None:
    """The constraint that an argument stands for.

    Args:
        identifier: a name such as `"non_neg"`, a configuration, a class, a callable, or `None`.

    Raises:
        UnknownNameError: for an unknown name.

    Example:
        >>> type(get("unit_norm")).__name__
        'UnitNorm'
    """
    return get_kind("constraint", identifier)
