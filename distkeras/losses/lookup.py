"""Losses by name and configuration."""

from typing import Any

from distkeras.losses.loss import Loss
from distkeras.losses.table import CLASSES, ROWS, LossFunctionWrapper
from distkeras.utils.lookup import get_objective
from distkeras.utils.serialization import deserialize_keras_object, serialize_keras_object

__all__ = ["OBJECTS", "deserialize", "get", "serialize"]

_FUNCTIONS = {row.function.__name__: row.function for row in ROWS}
_SHORT = {
    "bce": "binary_crossentropy",
    "kld": "kl_divergence",
    "mae": "mean_absolute_error",
    "mse": "mean_squared_error",
    "mape": "mean_absolute_percentage_error",
    "msle": "mean_squared_logarithmic_error",
}

# Everything that a string can name.
OBJECTS: dict[str, Any] = {
    "Loss": Loss,
    "LossFunctionWrapper": LossFunctionWrapper,
    **CLASSES,
    **_FUNCTIONS,
    **{short: _FUNCTIONS[name] for short, name in _SHORT.items()},
    **{short.upper(): _FUNCTIONS[name] for short, name in _SHORT.items()},
    "logcosh": _FUNCTIONS["log_cosh"],
    "kullback_leibler_divergence": _FUNCTIONS["kl_divergence"],
}


def serialize(loss: Any) -> Any:
    """The configuration of a loss, from which `deserialize` makes it again.

    Example:
        >>> serialize(get("MeanSquaredError"))["class_name"]
        'MeanSquaredError'
    """
    return serialize_keras_object(loss)


def deserialize(name: Any, custom_objects: dict | None = None) -> Any:
    """The loss that a configuration or name describes.

    Args:
        name: what `serialize` returned.
        custom_objects: names and the classes or functions they stand for.
    """
    return deserialize_keras_object(name, module_objects=OBJECTS, custom_objects=custom_objects)


def get(identifier: Any) -> Any:
    """A loss by name, configuration or itself.

    Args:
        identifier: the name of a class or function or an alias (`"mse"`), a configuration, a loss
            class, a loss, a function, or `None`.

    Returns:
        A function or a `Loss`; `None` for `None`.

    Raises:
        UnknownNameError: where nothing has the name.

    Example:
        >>> get("mse").__name__, get("Huber").name
        ('mean_squared_error', 'huber_loss')
    """
    return get_objective("loss", identifier, OBJECTS, deserialize, "a name such as 'mse', a `Loss`")
