"""`LearningRateSchedule`, the base of all schedules, and those that are formulas of the step."""

import inspect
import math
import operator
from typing import Any

from distkeras import ops

__all__ = ["Formula", "LearningRateSchedule"]


class LearningRateSchedule:
    """A learning rate that depends on the number of updates.

    A subclass answers the rate in `__call__(step)`, where `step` is an int32 tensor when an
    optimizer asks, and its arguments in `get_config()`.

    Example:
        >>> import distkeras as keras
        >>> class Halving(keras.optimizers.schedules.LearningRateSchedule):
        ...     def __call__(self, step):
        ...         return 0.1 * 0.5 ** keras.ops.cast(step, "float32")
        >>> round(float(keras.optimizers.SGD(Halving()).learning_rate), 6)
        0.1
    """

    def __call__(self, step: Any) -> Any:
        raise NotImplementedError(
            f"Learning rate schedule '{type(self).__name__}' must override `__call__(self, step)`."
        )

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal schedule."""
        raise NotImplementedError(
            f"Learning rate schedule '{type(self).__name__}' must override `get_config()` in order "
            "to be serializable."
        )

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "LearningRateSchedule":
        """The schedule of a configuration."""
        return cls(**config)


class HostNumbers:
    """What formulas need, on Python floats."""

    @staticmethod
    def where(condition, x, y):
        return x if condition else y

    cos, log, minimum = math.cos, math.log, min
    floor, ceil = (staticmethod(f) for f in (math.floor, math.ceil))
    power = operator.pow


class Tensors:
    """What formulas need, on float tensors."""

    where, cos, log, minimum = ops.where, ops.cos, ops.log, ops.minimum
    floor, ceil, power = ops.floor, ops.ceil, ops.power


class Formula(LearningRateSchedule):
    """A schedule that is computed on the host when the step is a Python number.

    A subclass takes its arguments in `__init__`, keeps each as an attribute of that name (or with
    an underscore before it), and gives the rate in `_rate(step, f)`, where `step` is a float or a
    float tensor and `f` holds the functions for it.
    """

    def __call__(self, step: Any) -> Any:
        """The learning rate after `step` updates: a float for a Python number, else a tensor."""
        if isinstance(step, int | float):
            return float(self._rate(float(step), HostNumbers))
        return self._rate(ops.cast(step, "float32"), Tensors)

    def _rate(self, step: Any, f: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} gives no rate")

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal schedule."""
        names = list(inspect.signature(type(self).__init__).parameters)[1:]
        return {n: getattr(self, f"_{n}" if hasattr(self, f"_{n}") else n) for n in names}
