"""F scores: means of precision and recall."""

from typing import Any

from distkeras import config, ops
from distkeras.errors import ArgumentError, ShapeError
from distkeras.metrics.metric import Metric

__all__ = ["F1Score", "FBetaScore"]

_COUNTERS = ("true_positives", "false_positives", "false_negatives", "intermediate_weights")


class FBetaScore(Metric):
    """`(1 + beta ** 2) * precision * recall / (beta ** 2 * precision + recall)`.

    Args:
        average: over classes: `None` (one score each), `"micro"` (of all decisions together),
            `"macro"` (the mean) or `"weighted"` (by the classes' frequency).
        beta: how much recall counts more than precision, a positive float, default 1.
        threshold: above which a prediction means 1; by default the largest of a row does.
        name: default `"fbeta_score"`.
        dtype: default `floatx()`.

    Example:
        >>> m = FBetaScore(beta=2.0, threshold=0.5)
        >>> m.update_state([[1, 1], [1, 0]], [[0.2, 0.6], [0.6, 0.6]])
        >>> [round(float(v), 4) for v in m.result()]
        [0.5556, 0.8333]
    """

    _direction = "up"

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = "fbeta_score",
        dtype: Any = None,
    ):
        super().__init__(name=name, dtype=dtype)
        if average not in (None, "micro", "macro", "weighted"):
            raise ArgumentError(
                "Invalid `average` argument value. Expected one of: None, 'micro', 'macro', "
                f"'weighted'. Received: average={average!r}"
            )
        if not isinstance(beta, float) or beta <= 0:
            raise ArgumentError(
                "Invalid `beta` argument value. It should be a Python float > 0. Received: "
                f"beta={beta!r}"
            )
        if threshold is not None and not (isinstance(threshold, float) and 0 < threshold <= 1):
            raise ArgumentError(
                "Invalid `threshold` argument value. It should be a Python float with "
                f"0 < threshold <= 1. Received: threshold={threshold!r}"
            )
        self.average = average
        self.beta = beta
        self.threshold = threshold
        self._counters: list[Any] = []

    def _build(self, y_true, y_pred) -> None:
        if len(y_pred.shape) != 2 or len(y_true.shape) != 2:
            raise ShapeError(
                f"{type(self).__name__} expects 2D inputs with shape (batch_size, output_dim). "
                f"Received input shapes: y_pred.shape={tuple(y_pred.shape)} and "
                f"y_true.shape={tuple(y_true.shape)}."
            )
        shape = () if self.average == "micro" else (y_pred.shape[-1],)
        for name in _COUNTERS:
            counter = self.add_variable(shape, dtype=self.dtype, name=name)
            setattr(self, name, counter)
            self._counters.append(counter)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch of labels 0 and 1 and predictions, `(batch, classes)`, with weights."""
        y_true = ops.convert_to_tensor(y_true, self.dtype)
        y_pred = ops.convert_to_tensor(y_pred, self.dtype)
        if not self._counters:
            self._build(y_true, y_pred)
        if self.threshold is None:
            best = ops.greater_equal(y_pred, ops.max(y_pred, axis=-1, keepdims=True))
            taken = ops.logical_and(best, ops.greater(ops.absolute(y_pred), 1e-9))
        else:
            taken = ops.greater(y_pred, self.threshold)
        taken = ops.cast(taken, self.dtype)
        both = taken * y_true
        parts = (both, taken - both, y_true - both, y_true)
        axis = None if self.average == "micro" else 0
        if sample_weight is not None:
            weight = ops.expand_dims(ops.convert_to_tensor(sample_weight, self.dtype), 1)
            parts = tuple(part * weight for part in parts)
        for counter, part in zip(self._counters, parts, strict=True):
            counter.assign_add(ops.sum(part, axis=axis))

    def result(self):
        if not self._counters:
            return ops.zeros((), self.dtype)
        both, invented, missed, weights = (v.value for v in self._counters)
        epsilon, square = config.epsilon(), self.beta**2
        precision = both / (both + invented + epsilon)
        recall = both / (both + missed + epsilon)
        score = precision * recall / (precision * square + recall + epsilon) * (1.0 + square)
        if self.average == "weighted":
            return ops.sum(score * (weights / (ops.sum(weights) + epsilon)))
        return score if self.average is None else ops.mean(score)

    def get_config(self):
        settings = {"average": self.average, "beta": self.beta, "threshold": self.threshold}
        return {**super().get_config(), **settings}


class F1Score(FBetaScore):
    """The harmonic mean of precision and recall: `FBetaScore` with `beta=1`.

    Args:
        average, threshold: as for `FBetaScore`.
        name: default `"f1_score"`.
        dtype: default `floatx()`.

    Example:
        >>> m = F1Score(threshold=0.5)
        >>> m.update_state([[1, 1], [1, 0]], [[0.2, 0.6], [0.6, 0.6]])
        >>> [round(float(v), 4) for v in m.result()]
        [0.6667, 0.6667]
    """

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str | None = "f1_score",
        dtype: Any = None,
    ):
        super().__init__(average, 1.0, threshold, name, dtype)

    def get_config(self):
        config = super().get_config()
        del config["beta"]
        return config
