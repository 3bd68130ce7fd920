"""Schedules as configurations, and back."""

from typing import Any

from distkeras.optimizers.schedules.schedule import LearningRateSchedule
from distkeras.registry import REGISTRY
from distkeras.utils.serialization import deserialize_keras_object, serialize_keras_object

__all__ = ["deserialize", "serialize"]


def serialize(learning_rate_schedule: LearningRateSchedule) -> dict[str, Any]:
    """The configuration of a schedule, in Keras's layout.

    Example:
        >>> import distkeras as keras
        >>> serialize(keras.optimizers.schedules.CosineDecay(0.1, 10))["class_name"]
        'CosineDecay'
    """
    return serialize_keras_object(learning_rate_schedule)


def deserialize(config: dict[str, Any], custom_objects: dict | None = None) -> LearningRateSchedule:
    """The schedule of a configuration.

    Args:
        config: what `serialize` answers; `module` may be missing.
        custom_objects: name -> class, for classes that are not registered.

    Example:
        >>> config = {"initial_learning_rate": 0.1, "decay_steps": 10}
        >>> deserialize({"class_name": "CosineDecay", "config": config})(5)
        0.05
    """
    if not config.get("module") and REGISTRY.provider("schedule", config["class_name"]):
        config = {**config, "module": "keras.optimizers.schedules", "registered_name": None}
    return deserialize_keras_object(config, custom_objects=custom_objects)
