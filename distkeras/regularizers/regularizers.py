"""Penalties: each is called with a tensor and returns a number to be added to the loss."""

import math
from collections.abc import Callable
from typing import Any

from distkeras import ops
from distkeras.errors import ArgumentError, ShapeError
from distkeras.utils.lookup import deserialize_kind, get_kind
from distkeras.utils.serialization import serialize_keras_object

__all__ = [
    "L1",
    "L1L2",
    "L2",
    "OrthogonalRegularizer",
    "Regularizer",
    "deserialize",
    "get",
    "serialize",
]


def _penalty(name: str, value: Any) -> float:
    number = isinstance(value, int | float) or (
        hasattr(value, "item") and getattr(value, "size", 0) == 1
    )
    value = float(value) if number else value
    if not number or not math.isfinite(value) or value < 0:
        raise ArgumentError(
            f"Invalid value for argument {name}: expected a non-negative float. "
            f"Received: {name}={value}"
        )
    return value


class Regularizer:
    """A penalty of one's own: define `__call__(x)` and `get_config()`.

    Example:
        >>> from distkeras import ops, regularizers
        >>> class Largest(regularizers.Regularizer):
        ...     def __call__(self, x):
        ...         return ops.max(x)
        >>> float(Largest()(ops.ones((2,))))
        1.0
    """

    def __call__(self, x: Any):
        """The penalty of `x`, a number or a tensor without axes."""
        return 0.0

    def get_config(self) -> dict:
        """The arguments of the constructor."""
        raise NotImplementedError(
            f"{type(self).__name__} does not define `get_config`, which saving a model needs; "
            "return the arguments of its constructor."
        )

    @classmethod
    def from_config(cls, config: dict) -> "Regularizer":
        """A regularizer made from `get_config()`'s result."""
        return cls(**config)


class L1L2(Regularizer):
    """l1 * sum(|x|) + l2 * sum(x^2).

    Args:
        l1, l2: factors that are not negative, default 0.

    Raises:
        ArgumentError: for a negative factor, or none that is a finite number.

    Example:
        >>> float(L1L2(1.0, 0.5)(ops.convert_to_tensor([-2.0])))
        4.0
    """

    def __init__(self, l1: float | None = 0.0, l2: float | None = 0.0):
        self.l1 = _penalty("l1", 0.0 if l1 is None else l1)
        self.l2 = _penalty("l2", 0.0 if l2 is None else l2)

    def __call__(self, x: Any):
        terms = [
            factor * ops.sum(of(x))
            for factor, of in ((self.l1, ops.absolute), (self.l2, ops.square))
            if factor
        ]
        if not terms:
            return ops.zeros((), dtype=x.dtype)
        return terms[0] if len(terms) == 1 else terms[0] + terms[1]

    def get_config(self) -> dict:
        """The arguments of the constructor."""
        return {"l1": self.l1, "l2": self.l2}


class L1(Regularizer):
    """l1 * sum(|x|).

    Args:
        l1: a factor that is not negative, default 0.01.

    Example:
        >>> float(L1(0.5)(ops.convert_to_tensor([-2.0])))
        1.0
    """

    def __init__(self, l1: float | None = 0.01):
        self.l1 = _penalty("l1", 0.01 if l1 is None else l1)

    def __call__(self, x: Any):
        return self.l1 * ops.sum(ops.absolute(x))

    def get_config(self) -> dict:
        """The arguments of the constructor."""
        return {"l1": self.l1}


class L2(Regularizer):
    """l2 * sum(x^2).

    Args:
        l2: a factor that is not negative, default 0.01.

    Example:
        >>> float(L2(0.5)(ops.convert_to_tensor([-2.0])))
        2.0
    """

    def __init__(self, l2: float | None = 0.01):
        self.l2 = _penalty("l2", 0.01 if l2 is None else l2)

    def __call__(self, x: Any):
        return self.l2 * ops.sum(ops.square(x))

    def get_config(self) -> dict:
        """The arguments of the constructor."""
        return {"l2": self.l2}


class OrthogonalRegularizer(Regularizer):
    """The mean absolute cosine between different rows (or columns) of a matrix, times a factor.

    Args:
        factor: a factor that is not negative, default 0.01.
        mode: `"rows"` (default) or `"columns"`: which vectors are to be orthogonal.

    Raises:
        ArgumentError: for a wrong factor or mode.
        ShapeError: when called with a tensor that has not two axes.

    Example:
        >>> alike = ops.convert_to_tensor([[2.0, 0.0], [3.0, 0.0]])
        >>> float(OrthogonalRegularizer(0.5)(alike))
        0.5
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows"):
        self.factor = _penalty("factor", factor)
        if mode not in ("rows", "columns"):
            raise ArgumentError(
                'Invalid value for argument `mode`. Expected one of {"rows", "columns"}. '
                f"Received: mode={mode}"
            )
        self.mode = mode

    def __call__(self, inputs: Any):
        if len(inputs.shape) != 2:
            raise ShapeError(
                "Inputs to OrthogonalRegularizer must have rank 2. "
                f"Received: inputs.shape={tuple(inputs.shape)}"
            )
        rows = inputs if self.mode == "rows" else ops.transpose(inputs)
        size = rows.shape[0]
        if size < 2:
            return ops.zeros((), dtype=inputs.dtype)
        lengths = ops.sqrt(ops.maximum(ops.sum(ops.square(rows), axis=1, keepdims=True), 1e-24))
        unit = rows / lengths
        cosines = ops.absolute(ops.matmul(unit, ops.transpose(unit)))
        between = ops.sum(cosines * (1.0 - ops.eye(size, dtype=inputs.dtype)))
        return between * (self.factor / (size * (size - 1)))

    def get_config(self) -> dict:
        """The arguments of the constructor."""
        return {"factor": self.factor, "mode": self.mode}


def serialize(regularizer: Any) -> Any:
    """A regularizer's configuration, with its class.

    Example:
        >>> serialize(L2(0.5))["config"]
        {'l2': 0.5}
    """
    return serialize_keras_object(regularizer)


def deserialize(config: dict, custom_objects: dict | None = None) -> Any:
    """The regularizer of a configuration that `serialize` gave.

    Example:
        >>> deserialize(serialize(L2(0.5))).l2
        0.5
    """
    return deserialize_kind("regularizer", config, custom_objects)


def get(identifier: Any) -> Callable | None:
    """The regularizer that an argument stands for.

    Args:
        identifier: a name such as `"l2"`, a configuration, a class, a callable, or `None`.

    Raises:
        UnknownNameError: for an unknown name.

    Example:
        >>> get("l2").l2
        0.01
    """
    return get_kind("regularizer", identifier)
