"""Classes and functions that a user names, so that files and configurations can name them in turn.

Two places are searched: the open `custom_object_scope`s, which belong to the running context (a
thread, a task), and the process-wide dictionary filled by `register_keras_serializable`.
"""

import contextvars
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from distkeras.errors import ArgumentError, PluginError

__all__ = [
    "CustomObjectScope",
    "custom_object_scope",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "register_keras_serializable",
]

_objects: dict[str, Any] = {}
_names: dict[Any, str] = {}
_scope: contextvars.ContextVar[Mapping[str, Any] | None] = contextvars.ContextVar(
    "custom_object_scope", default=None
)


def _identity(thing: Any) -> tuple[str | None, str | None]:
    return getattr(thing, "__module__", None), getattr(thing, "__qualname__", None)


def register_keras_serializable(
    package: str = "Custom", name: str | None = None
) -> Callable[[Any], Any]:
    """A decorator that publishes a class or function under the key `package>name` for saved files.

    Args:
        package: first half of the key; a namespace of the user's choice.
        name: second half of the key; the object's own `__name__` by default.

    Returns:
        The decorator, which returns its argument unchanged.

    Raises:
        ArgumentError: a class has no `get_config()`.
        PluginError: the key belongs to a different class or function. Registering the same module
            and qualified name again replaces the old object: a notebook's cell may run twice.

    Example:
        >>> @register_keras_serializable("docs")
        ... class Halve:
        ...     def get_config(self):
        ...         return {}
        >>> get_registered_name(Halve)
        'docs>Halve'
    """

    def decorate(thing: Any) -> Any:
        if inspect.isclass(thing) and not hasattr(thing, "get_config"):
            raise ArgumentError(
                f"Class {thing.__qualname__} cannot be registered: it has no get_config() method, "
                "so a file could not describe it. Give it one that returns the arguments of its "
                "constructor."
            )
        key = f"{package}>{name if name is not None else thing.__name__}"
        owner = _objects.get(key)
        if owner is not None and _identity(owner) != _identity(thing):
            raise PluginError(
                f"Two objects are registered as {key!r}: {'.'.join(map(str, _identity(owner)))} "
                f"and {'.'.join(map(str, _identity(thing)))}. Register one of them under another "
                f"`package` or `name`, or forget the old one: get_custom_objects().pop({key!r})."
            )
        if owner is not None:
            _names.pop(owner, None)
        _objects[key] = thing
        _names[thing] = key
        return thing

    return decorate


class CustomObjectScope:
    """A `with` block in which some names stand for the user's own classes and functions.

    Inner scopes go before outer ones. Other threads do not see the scope.

    Args:
        custom_objects: name -> class or function.

    Example:
        >>> with custom_object_scope({"double": lambda x: 2 * x}):
        ...     get_registered_object("double")(4)
        8
    """

    def __init__(self, custom_objects: Mapping[str, Any] | None) -> None:
        self.custom_objects = dict(custom_objects or {})
        self._tokens: list[contextvars.Token] = []

    def __enter__(self) -> "CustomObjectScope":
        outer = _scope.get() or {}
        self._tokens.append(_scope.set({**outer, **self.custom_objects}))
        return self

    def __exit__(self, *exception: object) -> None:
        _scope.reset(self._tokens.pop())


custom_object_scope = CustomObjectScope


def get_custom_objects() -> dict[str, Any]:
    """The process-wide dictionary of custom objects itself: changes to it take effect.

    Returns:
        A live dictionary `key -> class or function`, without those of a `custom_object_scope`.

    Example:
        >>> "nobody>Nothing" in get_custom_objects()
        False
    """
    return _objects


def get_registered_name(obj: Any) -> str:
    """The key under which a class or function was registered, or its `__name__`.

    Args:
        obj: a class or function.

    Example:
        >>> get_registered_name(dict)
        'dict'
    """
    try:
        key = _names.get(obj)
    except TypeError:  # unhashable callables cannot have been registered
        key = None
    return key if key is not None and _objects.get(key) is obj else obj.__name__


def get_registered_object(
    name: str,
    custom_objects: Mapping[str, Any] | None = None,
    module_objects: Mapping[str, Any] | None = None,
) -> Any:
    """The class or function that a name stands for, or None.

    Searched in this order: the open `custom_object_scope`s, the registered objects,
    `custom_objects`, `module_objects`.

    Args:
        name: the name or `package>name` key.
        custom_objects: further names of the caller.
        module_objects: names of the module that asks.

    Example:
        >>> get_registered_object("nobody>Nothing") is None
        True
    """
    for table in (_scope.get(), _objects, custom_objects, module_objects):
        if table and name in table:
            return table[name]
    return None
