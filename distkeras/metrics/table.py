"""The metrics that are means of a formula: one table row each."""

from collections.abc import Callable
from typing import Any, NamedTuple

from distkeras.losses import functions as losses
from distkeras.metrics import functions as f
from distkeras.metrics.metric import Metric
from distkeras.metrics.reduction import MeanMetricWrapper
from distkeras.utils.formula_class import formula_class

__all__ = ["CLASSES", "ROWS"]


class Row(NamedTuple):
    """What distinguishes one metric class.

    Attributes:
        cls: the class's name.
        function: its formula.
        name: the default name of instances.
        direction: `"up"` where more is better, `"down"`, or `None`.
        settings: the function's settings with their defaults.
        order: the constructor's arguments, where the settings do not come last.
        unsaved: settings that a configuration holds only where they differ from the default.
    """

    cls: str
    function: Callable
    name: str
    direction: str | None = None
    settings: dict[str, Any] = {}
    order: str = ""
    unsaved: tuple[str, ...] = ()


_ENTROPY = {"from_logits": False, "label_smoothing": 0}

ROWS = (
    Row("Accuracy", f.accuracy, "accuracy", "up"),
    Row("BinaryAccuracy", f.binary_accuracy, "binary_accuracy", "up", {"threshold": 0.5}),
    Row("CategoricalAccuracy", f.categorical_accuracy, "categorical_accuracy", "up"),
    Row(
        "SparseCategoricalAccuracy",
        f.sparse_categorical_accuracy,
        "sparse_categorical_accuracy",
        "up",
    ),
    Row(
        "TopKCategoricalAccuracy",
        f.top_k_categorical_accuracy,
        "top_k_categorical_accuracy",
        "up",
        {"k": 5},
        order="k name dtype",
    ),
    Row(
        "SparseTopKCategoricalAccuracy",
        f.sparse_top_k_categorical_accuracy,
        "sparse_top_k_categorical_accuracy",
        "up",
        {"k": 5, "from_sorted_ids": False},
        order="k name dtype from_sorted_ids",
        unsaved=("from_sorted_ids",),
    ),
    Row("MeanSquaredError", losses.mean_squared_error, "mean_squared_error", "down"),
    Row("MeanAbsoluteError", losses.mean_absolute_error, "mean_absolute_error", "down"),
    Row(
        "MeanAbsolutePercentageError",
        losses.mean_absolute_percentage_error,
        "mean_absolute_percentage_error",
        "down",
    ),
    Row(
        "MeanSquaredLogarithmicError",
        losses.mean_squared_logarithmic_error,
        "mean_squared_logarithmic_error",
        "down",
    ),
    Row(
        "CosineSimilarity",
        losses.cosine,
        "cosine_similarity",
        "up",
        {"axis": -1},
        unsaved=("axis",),
    ),
    Row("LogCoshError", losses.log_cosh, "logcosh", "down"),
    Row("Hinge", losses.hinge, "hinge", "down"),
    Row("SquaredHinge", losses.squared_hinge, "squared_hinge", "down"),
    Row("CategoricalHinge", losses.categorical_hinge, "categorical_hinge", "down"),
    Row("KLDivergence", losses.kl_divergence, "kl_divergence", "down"),
    Row("Poisson", losses.poisson, "poisson", "down"),
    Row(
        "BinaryCrossentropy",
        losses.binary_crossentropy,
        "binary_crossentropy",
        "down",
        _ENTROPY,
    ),
    Row(
        "CategoricalCrossentropy",
        losses.categorical_crossentropy,
        "categorical_crossentropy",
        "down",
        {**_ENTROPY, "axis": -1},
    ),
    Row(
        "SparseCategoricalCrossentropy",
        losses.sparse_categorical_crossentropy,
        "sparse_categorical_crossentropy",
        "down",
        {"from_logits": False, "ignore_class": None, "axis": -1},
    ),
    Row("PearsonCorrelation", f.pearson_correlation, "pearson_correlation", "up", {"axis": -1}),
    Row(
        "ConcordanceCorrelation",
        f.concordance_correlation,
        "concordance_correlation",
        "up",
        {"axis": -1},
    ),
)


def _make(row: Row) -> type:
    """The class of a row."""
    return formula_class(
        row.cls,
        MeanMetricWrapper,
        row.function,
        module="distkeras.metrics",
        settings=row.settings,
        common={"name": row.name, "dtype": None},
        order=row.order or " ".join(["name", "dtype", *row.settings]),
        base_config=Metric.get_config,
        unsaved=row.unsaved,
        members={"_direction": row.direction},
    )


CLASSES: dict[str, type] = {row.cls: _make(row) for row in ROWS}
# The package publishes them from here.
globals().update(CLASSES)
