"""The area under a curve of thresholds."""

from typing import Any

from distkeras import config, ops
from distkeras.errors import ArgumentError, ShapeError
from distkeras.metrics.confusion import _add_counters, _share
from distkeras.metrics.confusion_state import count, evenly_spaced, spaced
from distkeras.metrics.metric import Metric

__all__ = ["AUC"]

CURVES = ("ROC", "PR", "PRGAIN")
METHODS = ("interpolation", "majoring", "minoring")
_ALL = ("tp", "fp", "tn", "fn")


def _choice(value: Any, argument: str, choices: tuple[str, ...]) -> str:
    text = getattr(value, "value", value)  # an enumeration's member, or its value
    for choice in choices:
        if isinstance(text, str) and text.lower() == choice.lower():
            return choice
    raise ArgumentError(
        f"Invalid `{argument}`: {value!r}. Expected one of {', '.join(map(repr, choices))}."
    )


class AUC(Metric):
    """The area under the ROC or precision-recall curve, as a Riemann sum over thresholds.

    Args:
        num_thresholds: how many thresholds, default 200.
        curve: `"ROC"` (default), `"PR"` or `"PRGAIN"` (precision-recall gain, Flach and Kull 2015).
        summation_method: `"interpolation"` (default; for PR the one of Davis and Goadrich 2006),
            `"majoring"` or `"minoring"`.
        name: default `"auc"`.
        dtype: default `floatx()`.
        thresholds: thresholds between 0 and 1 in place of equal steps.
        multi_label: whether each column is a problem of its own, whose areas are averaged.
        num_labels: the number of columns with `multi_label`, where known.
        label_weights: weights of the columns.
        from_logits: whether predictions are logits.

    Example:
        >>> m = AUC(num_thresholds=3)
        >>> m.update_state([0, 0, 1, 1], [0, 0.5, 0.3, 0.9])
        >>> float(m.result())
        0.75
    """

    _direction = "up"

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: Any = None,
        thresholds: Any = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Any = None,
        from_logits: bool = False,
    ):
        super().__init__(name=name, dtype=dtype)
        self.curve = _choice(curve, "curve", CURVES)
        self.summation_method = _choice(summation_method, "summation_method", METHODS)
        self._given_thresholds = None if thresholds is None else sorted(thresholds)
        if self._given_thresholds is None:
            if num_thresholds <= 1:
                raise ArgumentError(
                    "Argument `num_thresholds` must be an integer > 1. Received: "
                    f"num_thresholds={num_thresholds}"
                )
            inner = spaced(num_thresholds)[1:-1]
            self._even = True
        else:
            inner = self._given_thresholds
            self._even = evenly_spaced([0.0, *inner, 1.0])
        self.num_thresholds = len(inner) + 2
        # The ends lie outside of [0, 1], so that the first takes everything and the last nothing.
        self.thresholds = [-config.epsilon(), *inner, 1.0 + config.epsilon()]
        if num_labels and not multi_label:
            raise ArgumentError("`num_labels` is needed only when `multi_label` is True.")
        self.multi_label = multi_label
        self.num_labels = num_labels
        self.label_weights = None if label_weights is None else list(label_weights)
        self._from_logits = from_logits
        self._counters: dict[str, Any] = {}
        if not multi_label or num_labels:
            self._build(num_labels)

    def _build(self, columns: int | None) -> None:
        shape = (self.num_thresholds, columns) if self.multi_label else (self.num_thresholds,)
        self._counters = _add_counters(self, _ALL, shape)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch of labels 0 and 1 and predictions from 0 to 1, with weights."""
        y_pred = ops.convert_to_tensor(y_pred)
        if not self._counters:
            if len(y_pred.shape) != 2:
                raise ShapeError(
                    "`y_pred` must have rank 2 when `multi_label=True`. Found rank "
                    f"{len(y_pred.shape)}. Full shape received for `y_pred`: {y_pred.shape}"
                )
            self._build(y_pred.shape[-1])
        if self._from_logits:
            y_pred = ops.sigmoid(y_pred)
        weights = None if self.multi_label else self._weights()
        count(
            self._counters,
            y_true,
            y_pred,
            self.thresholds,
            self._even,
            sample_weight=sample_weight,
            multi_label=self.multi_label,
            label_weights=weights,
        )

    def _weights(self):
        if self.label_weights is None:
            return None
        return ops.convert_to_tensor(self.label_weights, self.dtype)

    def result(self):
        if not self._counters:
            return ops.zeros((), self.dtype)
        if self.curve == "PR" and self.summation_method == "interpolation":
            areas = self._interpolated_pr()
        else:
            x, y = self._curve()
            left, right = y[:-1], y[1:]
            heights = {
                "interpolation": lambda: (left + right) * 0.5,
                "minoring": lambda: ops.minimum(left, right),
                "majoring": lambda: ops.maximum(left, right),
            }[self.summation_method]()
            areas = (x[:-1] - x[1:]) * heights
        if not self.multi_label:
            return ops.sum(areas)
        by_label, weights = ops.sum(areas, axis=0), self._weights()
        if weights is None:
            return ops.mean(by_label)
        return ops.divide_no_nan(ops.sum(by_label * weights), ops.sum(weights))

    def _curve(self):
        """Abscissa and ordinate at the thresholds."""
        tp, fp, tn, fn = (self._counters[kind] for kind in _ALL)
        recall = _share(tp, fn)
        if self.curve == "ROC":
            return _share(fp, tn), recall
        if self.curve == "PR":
            return recall, _share(tp, fp)
        tp, fp, tn, fn = (v.value for v in (tp, fp, tn, fn))
        odds = ops.divide_no_nan(tp + fn, tn + fp)
        recall_gain = 1.0 - odds * ops.divide_no_nan(fn, tp)
        precision_gain = 1.0 - odds * ops.divide_no_nan(fp, tp)
        none = ops.equal(tp, 0.0)
        recall_gain = ops.maximum(ops.where(none, 0.0, recall_gain), 0.0)
        return recall_gain, ops.where(none, 1.0, precision_gain)

    def _interpolated_pr(self):
        """Areas between thresholds where true positives grow linearly with all positives."""
        tp, fp, fn = (self._counters[kind].value for kind in ("tp", "fp", "fn"))
        p = tp + fp
        d_tp, d_p = tp[:-1] - tp[1:], p[:-1] - p[1:]
        slope = ops.divide_no_nan(d_tp, ops.maximum(d_p, 0.0))
        intercept = tp[1:] - slope * p[1:]
        both = ops.logical_and(ops.greater(p[:-1], 0.0), ops.greater(p[1:], 0.0))
        ratio = ops.where(both, ops.divide_no_nan(p[:-1], ops.maximum(p[1:], 0.0)), 1.0)
        areas = slope * (d_tp + intercept * ops.log(ratio))
        return ops.divide_no_nan(areas, ops.maximum(tp[1:] + fn[1:], 0.0))

    def get_config(self):
        config = {
            **super().get_config(),
            "num_thresholds": self.num_thresholds,
            "curve": self.curve,
            "summation_method": self.summation_method,
            "multi_label": self.multi_label,
            "num_labels": self.num_labels,
            "label_weights": self.label_weights,
            "from_logits": self._from_logits,
        }
        if self._given_thresholds is not None:
            config["thresholds"] = self._given_thresholds
        return config
