"""What every family's `get` does: names, configurations and classes become objects."""

import inspect
from collections.abc import Callable
from typing import Any

from distkeras.errors import ArgumentError, UnknownNameError
from distkeras.registry import REGISTRY
from distkeras.utils.serialization import KERAS_MODULES, deserialize_keras_object

__all__ = ["deserialize_kind", "get_kind", "get_objective"]


def get_kind(kind: str, identifier: Any) -> Any:
    """The object that an argument stands for.

    Args:
        kind: one of `distkeras.registry.KINDS`.
        identifier: a name, a configuration dictionary, a class (which is called without arguments),
            a callable, or `None`.

    Returns:
        A callable object, or `None` for `None`.

    Raises:
        UnknownNameError: for an unknown name; it lists similar ones.
        ArgumentError: for a value of another kind.
    """
    if identifier is None:
        return None
    if isinstance(identifier, str):
        found = REGISTRY.resolve(kind, identifier)
    elif isinstance(identifier, dict):
        found = deserialize_kind(kind, identifier)
    else:
        found = identifier
    if inspect.isclass(found):
        return found()
    if not callable(found):
        raise ArgumentError(
            f"Could not interpret {kind} identifier: {identifier!r}. Expected a name, a "
            "configuration, a class or a callable."
        )
    return found


def get_objective(
    kind: str, identifier: Any, objects: dict[str, Any], deserialize: Callable, example: str
) -> Any:
    """The loss or metric that an argument stands for: names may be those of functions too.

    Args:
        kind: `"loss"` or `"metric"`.
        identifier: a name, a configuration dictionary, a class (which is called without arguments),
            a callable, or `None`.
        objects: name -> class or function, which come before what the registry knows.
        deserialize: makes an object of a configuration.
        example: what may be given instead, for the error.

    Returns:
        A callable object, or `None` for `None`.

    Raises:
        UnknownNameError: where nothing has the name, or the value is of another kind.
    """
    if identifier is None:
        return None
    found = identifier
    if isinstance(identifier, dict):
        found = deserialize(identifier)
    elif isinstance(identifier, str):
        found = objects.get(identifier)
        if found is None:
            found = REGISTRY.resolve(kind, identifier)
    if inspect.isclass(found):
        found = found()
    if not callable(found):
        raise UnknownNameError(
            f"Could not interpret {kind} identifier: {identifier!r}. Expected {example}, or a "
            "function `(y_true, y_pred)`."
        )
    return found


def deserialize_kind(
    kind: str,
    config: dict,
    custom_objects: dict[str, Callable] | None = None,
    safe_mode: bool = True,
) -> Any:
    """The object that a configuration describes; where it names no module, one of this kind.

    Args:
        kind: one of `distkeras.registry.KINDS`.
        config: `{"class_name": ..., "config": ...}`, as `serialize` gives it.
        custom_objects: further names.
        safe_mode: see `deserialize_keras_object`.
    """
    if isinstance(config, dict) and "class_name" in config and not config.get("module"):
        provider = (
            REGISTRY.provider(kind, config["class_name"])
            if isinstance(config["class_name"], str)
            else None
        )
        if provider is not None and provider.built_in:
            config = {
                "config": {},
                **config,
                "module": KERAS_MODULES[kind],
                "class_name": provider.name,
            }
            config["registered_name"] = None
    return deserialize_keras_object(config, custom_objects=custom_objects, safe_mode=safe_mode)
