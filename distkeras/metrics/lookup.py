"""Metrics by name and configuration."""

from typing import Any

from distkeras.metrics import auc, confusion, f_score, iou, regression
from distkeras.metrics.metric import Metric
from distkeras.metrics.reduction import Mean, MeanMetricWrapper, Sum
from distkeras.metrics.table import CLASSES
from distkeras.utils.lookup import get_objective
from distkeras.utils.naming import to_snake_case
from distkeras.utils.serialization import deserialize_keras_object, serialize_keras_object

__all__ = ["OBJECTS", "deserialize", "get", "serialize"]

_CONFUSION = (
    "FalseNegatives FalsePositives Precision PrecisionAtRecall Recall RecallAtPrecision "
    "SensitivityAtSpecificity SpecificityAtSensitivity TrueNegatives TruePositives"
).split()
_CLASSES: dict[str, type] = {
    **{cls.__name__: cls for cls in (Metric, Mean, Sum, MeanMetricWrapper)},
    **CLASSES,
    **{
        name: getattr(module, name)
        for module in (auc, f_score, iou, regression)
        for name in module.__all__
    },
    **{name: getattr(confusion, name) for name in _CONFUSION},
}
_SHORT = {
    "bce": "BinaryCrossentropy",
    "mse": "MeanSquaredError",
    "mae": "MeanAbsoluteError",
    "mape": "MeanAbsolutePercentageError",
    "msle": "MeanSquaredLogarithmicError",
}

# Everything that a string can name: classes by their own name, in snake case, or a short name.
OBJECTS: dict[str, Any] = {
    **_CLASSES,
    **{to_snake_case(name): cls for name, cls in _CLASSES.items()},
    **{short: _CLASSES[name] for short, name in _SHORT.items()},
    **{short.upper(): _CLASSES[name] for short, name in _SHORT.items()},
}


def serialize(metric: Any) -> Any:
    """The configuration of a metric, from which `deserialize` makes it again.

    Example:
        >>> serialize(get("auc"))["class_name"]
        'AUC'
    """
    return serialize_keras_object(metric)


def deserialize(config: Any, custom_objects: dict | None = None) -> Any:
    """The metric that a configuration describes.

    Args:
        config: what `serialize` returned.
        custom_objects: names and the classes or functions they stand for.
    """
    return deserialize_keras_object(config, module_objects=OBJECTS, custom_objects=custom_objects)


def get(identifier: Any) -> Any:
    """A metric by name, configuration or itself.

    Args:
        identifier: the name of a class, also in snake case, or an alias (`"mse"`), a
            configuration, a metric class, a metric, a function, or `None`.

    Returns:
        A `Metric` or a function; `None` for `None`.

    Raises:
        UnknownNameError: where nothing has the name.

    Example:
        >>> get("mse").name, type(get("true_positives")).__name__
        ('mean_squared_error', 'TruePositives')
    """
    return get_objective(
        "metric", identifier, OBJECTS, deserialize, "a name such as 'accuracy', a `Metric`"
    )
