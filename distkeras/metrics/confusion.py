"""Metrics of hits and misses at thresholds."""

from typing import Any

from distkeras import ops
from distkeras.errors import ArgumentError
from distkeras.metrics.confusion_state import (
    NEG_INF,
    count,
    evenly_spaced,
    parse_thresholds,
    spaced,
)
from distkeras.metrics.metric import Metric

_NAMES = {
    "tp": "true_positives",
    "fp": "false_positives",
    "tn": "true_negatives",
    "fn": "false_negatives",
}


def _add_counters(metric: Metric, kinds: tuple[str, ...], shape: tuple) -> dict[str, Any]:
    """Counters as attributes with Keras's names."""
    counters = {}
    for kind in kinds:
        counters[kind] = metric.add_variable(shape, name=_NAMES[kind])
        setattr(metric, _NAMES[kind], counters[kind])
    return counters


def _share(part, rest):
    """`part / (part + rest)`, and 0 where both are 0."""
    return ops.divide_no_nan(part.value, ops.add(part.value, rest.value))


class _Count(Metric):
    """One kind of outcome, counted at one or several thresholds.

    Args:
        thresholds: a number from 0 to 1 or a list of them, default 0.5.
        name: default the class's name in snake case.
        dtype: default `floatx()`.
    """

    _kind = ""

    def __init__(self, thresholds: Any = None, name: str | None = None, dtype: Any = None):
        super().__init__(name=name, dtype=dtype)
        self.init_thresholds = thresholds
        self.thresholds = parse_thresholds(thresholds)
        self._even = evenly_spaced(self.thresholds)
        self.accumulator = self.add_variable((len(self.thresholds),), name="accumulator")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch of labels 0 and 1 and predictions from 0 to 1, with weights."""
        counters = {self._kind: self.accumulator}
        count(counters, y_true, y_pred, self.thresholds, self._even, sample_weight=sample_weight)

    def result(self):
        value = self.accumulator.value
        return value[0] if len(self.thresholds) == 1 else value

    def get_config(self):
        return {**super().get_config(), "thresholds": self.init_thresholds}


def _count_class(cls: str, kind: str, what: str) -> type:
    doc = f"The number of {what}.\n\n{(_Count.__doc__ or '').partition(chr(10) * 2)[2]}"
    return type(cls, (_Count,), {"_kind": kind, "__doc__": doc, "__module__": "distkeras.metrics"})


TruePositives = _count_class("TruePositives", "tp", "labels 1 that were found")
TrueNegatives = _count_class("TrueNegatives", "tn", "labels 0 that were left")
FalsePositives = _count_class("FalsePositives", "fp", "labels 0 that were taken for 1")
FalseNegatives = _count_class("FalseNegatives", "fn", "labels 1 that were taken for 0")


class _Ratio(Metric):
    """The share of true positives in something.

    Args:
        thresholds: a number from 0 to 1 or a list of them, default 0.5.
        top_k: count only the k largest predictions of a row as 1, at no threshold by default.
        class_id: look at one class only.
        name: default the class's name in snake case.
        dtype: default `floatx()`.
    """

    _direction = "up"
    _rest = ""

    def __init__(
        self,
        thresholds: Any = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(name=name, dtype=dtype)
        self.init_thresholds = thresholds
        self.top_k = top_k
        self.class_id = class_id
        self.thresholds = parse_thresholds(thresholds, 0.5 if top_k is None else NEG_INF)
        self._even = evenly_spaced(self.thresholds)
        self._counters = _add_counters(self, ("tp", self._rest), (len(self.thresholds),))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch of labels 0 and 1 and predictions from 0 to 1, with weights."""
        count(
            self._counters,
            y_true,
            y_pred,
            self.thresholds,
            self._even,
            top_k=self.top_k,
            class_id=self.class_id,
            sample_weight=sample_weight,
        )

    def result(self):
        value = _share(self._counters["tp"], self._counters[self._rest])
        return value[0] if len(self.thresholds) == 1 else value

    def get_config(self):
        settings = {
            "thresholds": self.init_thresholds,
            "top_k": self.top_k,
            "class_id": self.class_id,
        }
        return {**super().get_config(), **settings}


def _ratio_class(cls: str, rest: str, what: str) -> type:
    doc = f"{what}\n\n{(_Ratio.__doc__ or '').partition(chr(10) * 2)[2]}"
    return type(cls, (_Ratio,), {"_rest": rest, "__doc__": doc, "__module__": "distkeras.metrics"})


Precision = _ratio_class("Precision", "fp", "The share of true ones among the predicted ones.")
Recall = _ratio_class("Recall", "fn", "The share of found ones among the true ones.")

# Quantities of the trade-offs: which counter, and which one beside it in the denominator.
_QUANTITIES = {
    "sensitivity": ("tp", "fn"),
    "recall": ("tp", "fn"),
    "specificity": ("tn", "fp"),
    "precision": ("tp", "fp"),
}


class _TradeOff(Metric):
    """The best value of one quantity at thresholds where another is at least as asked.

    Args:
        num_thresholds: how many thresholds are tried, default 200.
        class_id: look at one class only.
        name: default the class's name in snake case.
        dtype: default `floatx()`.
    """

    _direction = "up"
    _best = ""
    _given = ""

    def _prepare(self, value, num_thresholds, class_id, name, dtype):
        Metric.__init__(self, name=name, dtype=dtype)
        if not 0 <= value <= 1:
            raise ArgumentError(
                f"Argument `{self._given}` must be in the range [0, 1]. Received: "
                f"{self._given}={value}"
            )
        if num_thresholds <= 0:
            raise ArgumentError(
                "Argument `num_thresholds` must be an integer > 0. Received: "
                f"num_thresholds={num_thresholds}"
            )
        self.value = value
        setattr(self, self._given, value)
        self.num_thresholds = num_thresholds
        self.class_id = class_id
        self._even = num_thresholds > 1
        self.thresholds = spaced(num_thresholds) if self._even else [0.5]
        shape = (len(self.thresholds),)
        self._counters = _add_counters(self, ("tp", "fp", "tn", "fn"), shape)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch of labels 0 and 1 and predictions from 0 to 1, with weights."""
        count(
            self._counters,
            y_true,
            y_pred,
            self.thresholds,
            self._even,
            class_id=self.class_id,
            sample_weight=sample_weight,
        )

    def result(self):
        given, best = (
            _share(*(self._counters[kind] for kind in _QUANTITIES[name]))
            for name in (self._given, self._best)
        )
        return ops.max(ops.where(ops.greater_equal(given, self.value), best, 0.0))

    def get_config(self):
        settings = {
            "num_thresholds": self.num_thresholds,
            "class_id": self.class_id,
            self._given: self.value,
        }
        return {**super().get_config(), **settings}


class SensitivityAtSpecificity(_TradeOff):
    """The best sensitivity at thresholds where the specificity is at least as asked.

    Args:
        specificity: from 0 to 1.
        num_thresholds: how many thresholds are tried, default 200.
        class_id: look at one class only.
        name, dtype: as for `Metric`.

    Example:
        >>> m = SensitivityAtSpecificity(0.5)
        >>> m.update_state([0, 0, 0, 1, 1], [0.0, 0.3, 0.8, 0.3, 0.8])
        >>> float(m.result())
        0.5
    """

    _given, _best = "specificity", "sensitivity"

    def __init__(self, specificity, num_thresholds=200, class_id=None, name=None, dtype=None):
        self._prepare(specificity, num_thresholds, class_id, name, dtype)


class SpecificityAtSensitivity(_TradeOff):
    """The best specificity at thresholds where the sensitivity is at least as asked.

    Args:
        sensitivity: from 0 to 1.
        num_thresholds: how many thresholds are tried, default 200.
        class_id: look at one class only.
        name, dtype: as for `Metric`.

    Example:
        >>> m = SpecificityAtSensitivity(0.5)
        >>> m.update_state([0, 0, 0, 1, 1], [0.0, 0.3, 0.8, 0.3, 0.8])
        >>> round(float(m.result()), 4)
        0.6667
    """

    _given, _best = "sensitivity", "specificity"

    def __init__(self, sensitivity, num_thresholds=200, class_id=None, name=None, dtype=None):
        self._prepare(sensitivity, num_thresholds, class_id, name, dtype)


class PrecisionAtRecall(_TradeOff):
    """The best precision at thresholds where the recall is at least as asked.

    Args:
        recall: from 0 to 1.
        num_thresholds: how many thresholds are tried, default 200.
        class_id: look at one class only.
        name, dtype: as for `Metric`.

    Example:
        >>> m = PrecisionAtRecall(0.5)
        >>> m.update_state([0, 0, 0, 1, 1], [0.0, 0.3, 0.8, 0.3, 0.8])
        >>> float(m.result())
        0.5
    """

    _given, _best = "recall", "precision"

    def __init__(self, recall, num_thresholds=200, class_id=None, name=None, dtype=None):
        self._prepare(recall, num_thresholds, class_id, name, dtype)


class RecallAtPrecision(_TradeOff):
    """The best recall at thresholds where the precision is at least as asked.

    Args:
        precision: from 0 to 1.
        num_thresholds: how many thresholds are tried, default 200.
        class_id: look at one class only.
        name, dtype: as for `Metric`.

    Example:
        >>> m = RecallAtPrecision(0.8)
        >>> m.update_state([0, 0, 1, 1], [0.0, 0.5, 0.3, 0.9])
        >>> float(m.result())
        0.5
    """

    _given, _best = "precision", "recall"

    def __init__(self, precision, num_thresholds=200, class_id=None, name=None, dtype=None):
        self._prepare(precision, num_thresholds, class_id, name, dtype)
