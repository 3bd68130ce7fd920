"""Sums and means of values."""

import math
from collections.abc import Callable
from typing import Any

from distkeras import ops
from distkeras.engine import context
from distkeras.engine.batch import JOINED, WHOLE
from distkeras.errors import ShapeError
from distkeras.losses.loss import apply_mask, keras_mask, squeeze_or_expand_to_same_rank
from distkeras.metrics.metric import Metric, of_distkeras
from distkeras.utils.serialization import deserialize_keras_object, serialize_keras_object

__all__ = ["Mean", "MeanMetricWrapper", "Sum"]


def _weighted(values, sample_weight, dtype, reduce):
    """Weighted values, and weights of their shape; axes that weights lack are reduced before."""
    mask = keras_mask(values)
    values = ops.cast(values, dtype)
    weight = ops.convert_to_tensor(sample_weight, dtype)
    weight = apply_mask(weight, mask, dtype)
    values, weight = squeeze_or_expand_to_same_rank(values, weight)
    rank = len(weight.shape)
    if len(values.shape) > rank:
        values = reduce(values, axis=tuple(range(rank, len(values.shape))))
    try:
        weight = ops.broadcast_to(weight, values.shape)
    except ShapeError as error:
        raise ShapeError(
            f"`sample_weight` of shape {tuple(weight.shape)} does not fit values of shape "
            f"{tuple(values.shape)}: give one weight for each sample, or one for each value."
        ) from error
    return values * weight, weight


class Sum(Metric):
    """The sum of all values.

    Args:
        name: default `"sum"`.
        dtype: default `floatx()`.

    Example:
        >>> m = Sum()
        >>> m.update_state([1, 2], sample_weight=[1, 0.5])
        >>> float(m.result())
        2.0
    """

    def __init__(self, name: str | None = "sum", dtype: Any = None):
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_variable((), dtype=self.dtype, name="total")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Add values of any shape, with weights that broadcast to them."""
        values = ops.convert_to_tensor(values)
        known = getattr(values, "batch", None) in (None, JOINED, WHOLE)
        if sample_weight is None:
            values = ops.cast(values, self.dtype)
        else:
            known = known and getattr(sample_weight, "batch", None) is None
            values, _ = _weighted(values, sample_weight, self.dtype, ops.sum)
        total = ops.sum(values)
        ranks = context.state().ranks
        # What every rank knows alike is counted once: each counts its share.
        self.total.assign_add(total / ranks if known and ranks > 1 else total)

    def result(self):
        return self.total.value


def _share_of(value) -> float:
    """How much a number counts that was computed from this rank's rows: it is a part of the batch's
    number (a loss), and the parts of all ranks add up to one."""
    rows = context.state().rows
    if rows is None or getattr(value, "batch", None) in (None, JOINED, WHOLE):
        return 1
    return rows[0] / max(1, rows[1])


class Mean(Metric):
    """The mean of all values, weighted.

    Args:
        name: default `"mean"`.
        dtype: default `floatx()`.

    Example:
        >>> m = Mean()
        >>> m.update_state([1, 2], sample_weight=[1, 0])
        >>> float(m.result())
        1.0
    """

    def __init__(self, name: str | None = "mean", dtype: Any = None):
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_variable((), dtype=self.dtype, name="total")
        self.count = self.add_variable((), dtype=self.dtype, name="count")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Add values `(batch, ...)`, which are averaged for each sample, with weights."""
        values = ops.convert_to_tensor(values)
        if sample_weight is None:
            values = ops.cast(values, self.dtype)
            shape = values.shape
            total, count = ops.sum(values), shape[0] if shape else _share_of(values)
        else:
            values, weight = _weighted(values, sample_weight, self.dtype, ops.mean)
            shape = values.shape
            total, count = ops.sum(values), ops.sum(weight)
        each = math.prod(shape[1:])
        if each > 1:
            total = total * (1.0 / each)
            if sample_weight is not None:
                count = count * (1.0 / each)
        self.add(total, count)

    def add(self, total: Any, count: Any) -> None:
        """Add a sum of values and their number (or the sum of their weights)."""
        self.total.assign_add(total)
        self.count.assign_add(count)

    def result(self):
        return ops.divide_no_nan(self.total.value, self.count.value)


class MeanMetricWrapper(Mean):
    """The mean of a function of targets and predictions.

    Args:
        fn: `fn(y_true, y_pred, **kwargs)`, one value for each sample.
        name: default the class's name in snake case.
        dtype: default `floatx()`.
        **kwargs: passed to the function.

    Example:
        >>> from distkeras import ops
        >>> m = MeanMetricWrapper(lambda t, p: ops.absolute(t - p), name="distance")
        >>> m.update_state(ops.ones(2), ops.zeros(2))
        >>> float(m.result())
        1.0
    """

    def __init__(self, fn: Callable, name: str | None = None, dtype: Any = None, **kwargs: Any):
        super().__init__(name=name, dtype=dtype)
        self._fn = fn
        self._fn_kwargs = kwargs
        # Those of distkeras give a value for each sample; another one may relate samples.
        self.by_rows = self.by_rows and of_distkeras(fn)

    def update_state(  # type: ignore[override]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        """Add a batch of targets and predictions, with weights."""
        mask = keras_mask(y_pred)
        values = self._fn(y_true, y_pred, **self._fn_kwargs)
        if mask is not None:
            if sample_weight is not None:
                sample_weight = ops.convert_to_tensor(sample_weight, self.dtype)
            sample_weight = apply_mask(sample_weight, mask, self.dtype)
        super().update_state(values, sample_weight)

    def get_config(self):
        config = {**super().get_config(), "fn": serialize_keras_object(self._fn)}
        return config | serialize_keras_object(self._fn_kwargs)

    @classmethod
    def from_config(cls, config):
        """A metric made from `get_config()`'s result."""
        return cls(**(deserialize_keras_object(config) if "fn" in config else config))
