"""Metrics of regression that are no plain means."""

import warnings
from typing import Any

from distkeras import ops
from distkeras.errors import ArgumentError, ShapeError
from distkeras.losses.loss import squeeze_or_expand_to_same_rank
from distkeras.metrics.metric import Metric
from distkeras.metrics.reduction import Mean

__all__ = ["R2Score", "RootMeanSquaredError"]


class RootMeanSquaredError(Mean):
    """The square root of the mean of squared errors.

    Args:
        name: default `"root_mean_squared_error"`.
        dtype: default `floatx()`.

    Example:
        >>> m = RootMeanSquaredError()
        >>> m.update_state([[0.0, 0.0]], [[3.0, 3.0]])
        >>> float(m.result())
        3.0
    """

    _direction = "down"

    def __init__(self, name: str | None = "root_mean_squared_error", dtype: Any = None):
        super().__init__(name, dtype=dtype)

    def update_state(  # type: ignore[override]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        """Add a batch of targets and predictions, with weights."""
        y_true = ops.convert_to_tensor(y_true, self.dtype)
        y_pred = ops.convert_to_tensor(y_pred, self.dtype)
        y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
        super().update_state(ops.square(y_pred - y_true), sample_weight)

    def result(self):
        return ops.sqrt(super().result())


class R2Score(Metric):
    """The share of the targets' variance that predictions explain.

    Args:
        class_aggregation: over columns: `"uniform_average"` (default, the mean),
            `"variance_weighted_average"`, or `None` (one score each).
        num_regressors: where not 0 (default), the score is adjusted for that many regressors.
        name: default `"r2_score"`.
        dtype: default `floatx()`.

    Example:
        >>> m = R2Score()
        >>> m.update_state([[1.0], [4.0], [3.0]], [[2.0], [4.0], [4.0]])
        >>> round(float(m.result()), 4)
        0.5714
    """

    _direction = "up"

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str | None = "r2_score",
        dtype: Any = None,
    ):
        super().__init__(name=name, dtype=dtype)
        valid = (None, "uniform_average", "variance_weighted_average")
        if class_aggregation not in valid:
            raise ArgumentError(
                "Invalid value for argument `class_aggregation`. Expected one of "
                f"{valid}. Received: class_aggregation={class_aggregation!r}"
            )
        if num_regressors < 0:
            raise ArgumentError(
                "Invalid value for argument `num_regressors`. Expected a value >= 0. Received: "
                f"num_regressors={num_regressors}"
            )
        self.class_aggregation = class_aggregation
        self.num_regressors = num_regressors
        self.num_samples = self.add_variable((), name="num_samples")
        self._built = False

    def _build(self, y_true, y_pred) -> None:
        if len(y_pred.shape) != 2 or len(y_true.shape) != 2:
            raise ShapeError(
                "R2Score expects 2D inputs with shape (batch_size, output_dim). Received input "
                f"shapes: y_pred.shape={tuple(y_pred.shape)} and "
                f"y_true.shape={tuple(y_true.shape)}."
            )
        shape = (y_pred.shape[-1],)
        self.squared_sum = self.add_variable(shape, name="squared_sum")
        self.sum = self.add_variable(shape, name="sum")
        self.total_mse = self.add_variable(shape, name="residual")
        self.count = self.add_variable(shape, name="count")
        self._built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch of targets and predictions, `(batch, columns)`, with weights."""
        y_true = ops.convert_to_tensor(y_true, self.dtype)
        y_pred = ops.convert_to_tensor(y_pred, self.dtype)
        y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
        if not self._built:
            self._build(y_true, y_pred)
        weight = ops.convert_to_tensor(1 if sample_weight is None else sample_weight, self.dtype)
        if len(weight.shape) == 1:
            weight = ops.expand_dims(weight, axis=1)
        weight = ops.broadcast_to(weight, y_true.shape)
        weighted = y_true * weight
        self.sum.assign_add(ops.sum(weighted, axis=0))
        self.squared_sum.assign_add(ops.sum(y_true * weighted, axis=0))
        self.total_mse.assign_add(ops.sum(ops.square(y_true - y_pred) * weight, axis=0))
        self.count.assign_add(ops.sum(weight, axis=0))
        self.num_samples.assign_add(y_true.size)

    def result(self):
        if not self._built:
            return ops.zeros((), self.dtype)
        total = self.squared_sum - self.sum.value * (self.sum.value / self.count.value)
        scores = 1.0 - self.total_mse.value / total
        scores = ops.where(ops.isinf(scores), 0.0, scores)
        if self.class_aggregation == "uniform_average":
            scores = ops.mean(scores)
        elif self.class_aggregation == "variance_weighted_average":
            scores = ops.sum(total * scores) / ops.sum(total)
        return self._adjusted(scores) if self.num_regressors else scores

    def _adjusted(self, score):
        """The score corrected for the number of regressors, where there are data enough."""
        n, p = float(self.num_samples), self.num_regressors
        if p >= n - 1:
            why = "More independent predictors than datapoints"
            why = why if p > n - 1 else "Division by zero"
            warnings.warn(
                f"{why} in adjusted R2 score. Falling back to standard R2 score.", stacklevel=3
            )
            return score
        return 1.0 - (1.0 - score) * ((n - 1.0) / (n - p - 1.0))

    def get_config(self):
        settings = {
            "class_aggregation": self.class_aggregation,
            "num_regressors": self.num_regressors,
        }
        return {**super().get_config(), **settings}
