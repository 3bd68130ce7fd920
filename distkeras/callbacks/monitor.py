"""Callbacks that watch one value of the logs and know when it has become better."""

import operator
import warnings
from typing import Any

from distkeras.callbacks.callback import Callback
from distkeras.errors import ArgumentError

__all__ = ["MonitorCallback"]

_COMPARISONS = {"min": operator.lt, "max": operator.gt}


class MonitorCallback(Callback):
    """The base of callbacks that watch a value.

    Args:
        monitor: its name in the logs, as in `History`.
        mode: `"min"`, `"max"`, or `"auto"`: less of a loss, and of a metric what that metric says.
        baseline: the value to beat, or `None`.
        min_delta: how much better a value must be to count as better, in the value's unit.

    Example:
        >>> watch = MonitorCallback("val_loss", min_delta=0.1)
        >>> watch._is_improvement(0.95, 1.0), watch._is_improvement(0.85, 1.0)
        (False, True)
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        mode: str = "auto",
        baseline: float | None = None,
        min_delta: float = 0,
    ):
        super().__init__()
        if mode not in ("auto", "min", "max"):
            warnings.warn(
                f"{type(self).__name__} mode '{mode}' is unknown, fallback to auto mode.",
                stacklevel=3,
            )
            mode = "auto"
        self.monitor = monitor
        self.mode = mode
        self.best = baseline
        self.min_delta = abs(min_delta)
        self.monitor_op: Any = None

    def _set_monitor_op(self) -> None:
        """Find out which way is better; the model's metrics exist after the first batch."""
        direction = self.mode if self.mode != "auto" else self._direction()
        self.monitor_op = _COMPARISONS[direction]

    def _direction(self) -> str:
        name = self.monitor.removeprefix("val_")
        if name == "loss":
            return "min"
        for metric in getattr(self.model, "metrics", ()):
            for inner in getattr(metric, "metrics", (metric,)):
                if inner.name == name and getattr(inner, "_direction", None):
                    return "max" if inner._direction == "up" else "min"
        raise ArgumentError(
            f"{type(self).__name__} callback received monitor={self.monitor}, but nothing says "
            "whether more or less of it is better. Pass `mode='max'` to look for the highest "
            "value, or `mode='min'` to look for the lowest."
        )

    def _is_improvement(self, value: Any, reference: Any) -> bool:
        if reference is None:
            return True
        if self.monitor_op is None:
            self._set_monitor_op()
        margin = self.min_delta if self.monitor_op is operator.gt else -self.min_delta
        return bool(self.monitor_op(value - margin, reference))
