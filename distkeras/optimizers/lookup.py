"""Optimizers by name, by configuration, or as they are."""

from typing import Any

from distkeras.errors import ArgumentError
from distkeras.optimizers.optimizer import Optimizer
from distkeras.registry import REGISTRY
from distkeras.utils.serialization import deserialize_keras_object, serialize_keras_object

__all__ = ["deserialize", "get", "serialize"]


def _known_as(name: Any) -> str | None:
    """The name under which an optimizer is provided, whatever its case."""
    for candidate in (name, str(name).lower()):
        if REGISTRY.find("optimizer", candidate) is not None:
            return candidate
    return None


def get(identifier: Any) -> Optimizer | None:
    """An optimizer.

    Args:
        identifier: a name in any case, such as `"adam"`; a configuration; an optimizer; or `None`.

    Raises:
        UnknownNameError: for a name that nobody provides.
        ArgumentError: for anything else.

    Example:
        >>> get("rmsprop").name.startswith("rm_sprop")
        True
    """
    if identifier is None or isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, dict):
        found = deserialize(identifier)
    elif isinstance(identifier, str):
        found = REGISTRY.resolve("optimizer", _known_as(identifier) or identifier)()
    else:
        found = identifier() if isinstance(identifier, type) else identifier
    if not isinstance(found, Optimizer):
        raise ArgumentError(
            f"Could not interpret optimizer identifier: {identifier!r}. Expected a name such as "
            "'adam', a configuration or an Optimizer."
        )
    return found


def serialize(optimizer: Optimizer) -> dict[str, Any]:
    """The configuration of an optimizer, in Keras's layout.

    Example:
        >>> import distkeras as keras
        >>> serialize(keras.optimizers.SGD())["module"]
        'keras.optimizers'
    """
    return serialize_keras_object(optimizer)


def deserialize(config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Optimizer:
    """The optimizer of a configuration.

    Args:
        config: what `serialize` answers; `module` may be missing, and the case of `class_name`
            does not matter.
        custom_objects: name -> class, for classes that are not registered.

    Example:
        >>> deserialize({"class_name": "adam", "config": {"beta_1": 0.8}}).beta_1
        0.8
    """
    if not config.get("module"):
        name = _known_as(config["class_name"])
        provider = None if name is None else REGISTRY.provider("optimizer", name)
        if provider is not None and provider.built_in:
            config = {
                **config,
                "module": "keras.optimizers",
                "class_name": provider.name,
                "registered_name": None,
            }
    return deserialize_keras_object(config, custom_objects=custom_objects)
