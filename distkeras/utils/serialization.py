"""Objects as JSON-able dictionaries in Keras's layout, and back, without running what they say.

The layout of an object is `{"module", "class_name", "config", "registered_name"}`, with
`"build_config"` and `"compile_config"` where the object has them. `module` is the public Keras
module (`keras.layers`) for built-in classes, so that Keras reads the same dictionary. An object of
a plugin also carries `"plugin"`: who provides it. Keras ignores that key.

A class is found by these steps only; no module that a dictionary names is ever imported:
  a. custom objects, by `registered_name` (classes) or by name (functions);
  b. the table of built-in names, when `module` is `keras` or below it;
  c. the registry, when the dictionary says which plugin provides the object.
"""

import contextvars
import inspect
import re
import types
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from distkeras.errors import (
    DistkerasError,
    MissingPluginError,
    SavingError,
    UnknownObjectError,
    UnsafeFileError,
)
from distkeras.registry import REGISTRY, Provider
from distkeras.utils.custom_objects import (
    CustomObjectScope,
    get_registered_name,
    get_registered_object,
)

__all__ = [
    "deserialize_keras_object",
    "enable_unsafe_deserialization",
    "in_safe_mode",
    "keras_name",
    "object_sharing",
    "register_codec",
    "register_finder",
    "safe_mode_scope",
    "serialize_keras_object",
]

# Where Keras publishes the objects of each kind; only these kinds can stand in a file.
KERAS_MODULES = {
    "layer": "keras.layers",
    "model": "keras.models",
    "loss": "keras.losses",
    "metric": "keras.metrics",
    "optimizer": "keras.optimizers",
    "schedule": "keras.optimizers.schedules",
    "initializer": "keras.initializers",
    "activation": "keras.activations",
    "regularizer": "keras.regularizers",
    "constraint": "keras.constraints",
    "policy": "keras",
}
# Classes that Keras writes under another module than that of their kind.
SPECIAL_MODULES = {
    ("model", "Sequential"): ("keras", None),
    ("model", "Model"): ("keras", None),
    ("model", "Functional"): ("keras.src.models.functional", "Functional"),
}
# Kinds whose functions stand in files by name alone, in the order in which Keras's names are
# sought.
FUNCTION_KINDS = (
    "activation",
    "constraint",
    "initializer",
    "loss",
    "metric",
    "optimizer",
    "regularizer",
)
DISTRIBUTION_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,99}[A-Za-z0-9])?")
VERSION = re.compile(r"[A-Za-z0-9.!+_-]{1,60}")

_safe_mode: contextvars.ContextVar[bool | None] = contextvars.ContextVar("safe_mode", default=None)
_written: contextvars.ContextVar[dict | None] = contextvars.ContextVar("written", default=None)
_read: contextvars.ContextVar[dict | None] = contextvars.ContextVar("read", default=None)
_encoders: list[tuple[type, Callable[[Any], Any]]] = []
_decoders: dict[str, Callable[[Any], Any]] = {}
_finders: list[Callable[[str, str], Any]] = []
_unsafe_everywhere = False


def register_codec(
    cls: type | None,
    encode: Callable[[Any], Any] | None,
    class_name: str | None = None,
    decode: Callable[[Any], Any] | None = None,
) -> None:
    """Teaches serialization a type that has no `get_config()`, such as tensors.

    Args:
        cls: instances of this type are written by `encode(instance) -> config dictionary`; None
            when the type is only read.
        encode: see `cls`.
        class_name: the dictionary's `class_name`, such as `"__tensor__"`; None makes `encode`
            return what is written as it is.
        decode: `decode(config) -> object` for that `class_name`.
    """
    if cls is not None and encode is not None:
        wrapped = encode if class_name is None else _wrap(class_name, encode)
        _encoders.insert(0, (cls, wrapped))
    if class_name is not None and decode is not None:
        _decoders[class_name] = decode


def register_finder(find: Callable[[str, str], Any]) -> None:
    """Teaches reading a family of Keras's classes that are no classes here.

    Args:
        find: `find(module, class_name)` returns an object with `from_config`, or None.
    """
    _finders.append(find)


def _wrap(class_name: str, encode: Callable[[Any], Any]) -> Callable[[Any], dict]:
    return lambda thing: {"class_name": class_name, "config": encode(thing)}


@contextmanager
def object_sharing():
    """A `with` block in which objects met twice are written once in meaning, and read as one."""
    tokens = _written.set({}), _read.set({})
    try:
        yield
    finally:
        _written.reset(tokens[0])
        _read.reset(tokens[1])


@contextmanager
def safe_mode_scope(safe_mode: bool):
    """A `with` block whose `safe_mode` overrides the argument of nested calls.

    Args:
        safe_mode: whether whatever could run code of a file is refused.
    """
    token = _safe_mode.set(safe_mode)
    try:
        yield
    finally:
        _safe_mode.reset(token)


def in_safe_mode() -> bool | None:
    """The safe mode of the enclosing scope, or None outside of one."""
    inner = _safe_mode.get()
    return False if inner is None and _unsafe_everywhere else inner


def enable_unsafe_deserialization() -> None:
    """Turns safe mode off for the process, as `safe_mode=False` does for one call."""
    global _unsafe_everywhere
    _unsafe_everywhere = True


# Writing


def serialize_keras_object(obj: Any) -> Any:
    """A JSON-able description of an object: plain values as they are, objects as dictionaries.

    Args:
        obj: None, a number, a string, a container, an array, a tensor, a named function, or an
            object with `get_config()`.

    Returns:
        What `deserialize_keras_object` turns back into an equal object.

    Raises:
        SavingError: a lambda, which could only be stored as code.
        TypeError: an object without `get_config()`.

    Example:
        >>> serialize_keras_object({"size": (2, 3), "part": slice(1, None)})["part"]["class_name"]
        '__slice__'
    """
    if obj is None or type(obj) in (str, int, float, bool):
        return obj
    if isinstance(obj, list | tuple):
        items = [serialize_keras_object(item) for item in obj]
        return tuple(items) if isinstance(obj, tuple) else items
    if isinstance(obj, Mapping):
        return {key: serialize_keras_object(value) for key, value in obj.items()}
    for cls, encode in _encoders:
        if isinstance(obj, cls):
            return encode(obj)
    if isinstance(obj, types.FunctionType | types.BuiltinFunctionType):
        return _function_config(obj)
    if isinstance(obj, str | int | float):  # subclasses, such as enumerations
        return obj
    return _object_config(obj)


def _function_config(function: Callable) -> dict[str, Any]:
    if function.__name__ == "<lambda>":
        source = f"{function.__code__.co_filename}:{function.__code__.co_firstlineno}"
        raise SavingError(
            f"A lambda ({source}) cannot be saved: a file would have to hold its code. Write it as "
            "a named function, decorate it with @distkeras.saving.register_keras_serializable(), "
            "and use that."
        )
    return {
        "module": "builtins",
        "class_name": "function",
        "config": get_registered_name(function),
        "registered_name": "function",
        **_plugin_record(REGISTRY.provider_of(function)),
    }


def _object_config(obj: Any) -> dict[str, Any]:
    cls = type(obj)
    if inspect.isclass(obj) or not hasattr(obj, "get_config"):
        raise TypeError(
            f"Cannot serialize {obj!r} of type {cls}: it has no get_config() method, so nothing "
            "says how to make it again. Give its class a get_config() that returns the arguments "
            "of its constructor."
        )
    config = obj.get_config()
    if not isinstance(config, dict):
        raise TypeError(
            f"{cls.__name__}.get_config() must return a dictionary; it returned {config!r}."
        )
    provider = REGISTRY.provider_of(cls)
    if provider is not None and provider.built_in and provider.kind in KERAS_MODULES:
        name = {**keras_name(provider), "class_name": provider.name}
    else:
        name = {
            "module": None if cls.__module__ == "__main__" else cls.__module__,
            "class_name": cls.__name__,
            "registered_name": get_registered_name(cls),
        }
    written = {
        "module": name["module"],
        "class_name": name["class_name"],
        "config": serialize_keras_object(config),
        "registered_name": name["registered_name"],
        **_plugin_record(provider),
    }
    for key in ("build_config", "compile_config"):
        part = getattr(obj, f"get_{key}", lambda: None)()
        if part is not None:
            written[key] = serialize_keras_object(part)
    _note_written(obj, written)
    return written


def keras_name(provider: Provider) -> dict[str, Any]:
    """The `module` and `registered_name` with which a file names an object of the registry.

    Args:
        provider: its entry.
    """
    if not provider.built_in:
        return {"module": None, "registered_name": provider.name, **_plugin_record(provider)}
    default = (KERAS_MODULES[provider.kind], None)
    module, registered_name = SPECIAL_MODULES.get((provider.kind, provider.name), default)
    return {"module": module, "registered_name": registered_name}


def _plugin_record(provider: Provider | None) -> dict[str, Any]:
    if provider is None or provider.built_in:
        return {}
    fields = ("kind", "name", "distribution", "version", "entry_point")
    return {"plugin": {field: getattr(provider, field) for field in fields}}


def _note_written(obj: Any, written: dict) -> None:
    seen = _written.get()
    if seen is None:
        return
    # The object is kept beside its description: a freed object's id may come back as another's.
    _, first, number = seen.setdefault(id(obj), (obj, written, len(seen) + 1))
    if first is not written:
        first["shared_object_id"] = written["shared_object_id"] = number


# Reading


def deserialize_keras_object(
    config: Any,
    custom_objects: Mapping[str, Any] | None = None,
    safe_mode: bool = True,
    **kwargs: Any,
) -> Any:
    """The object that `serialize_keras_object` described.

    Args:
        config: a description; plain values and containers are returned as they are.
        custom_objects: name -> class or function, for what is neither built in nor registered.
        safe_mode: refuse descriptions that hold code. They cannot be used in either case; the
            message differs.
        **kwargs: `module_objects`, further names, as `custom_objects`.

    Raises:
        UnknownObjectError: nobody provides a class or function that is named.
        MissingPluginError: a plugin provides it, and is not installed.
        UnsafeFileError: the description holds code, or lies about a built-in name.

    Example:
        >>> deserialize_keras_object({"class_name": "__slice__",
        ...     "config": {"start": 1, "stop": None, "step": None}})
        slice(1, None, None)
    """
    names = {**(kwargs.pop("module_objects", None) or {}), **(custom_objects or {})}
    if kwargs:
        raise TypeError(f"Unexpected arguments: {', '.join(kwargs)}.")
    inherited = in_safe_mode()
    with safe_mode_scope(safe_mode if inherited is None else inherited), CustomObjectScope(names):
        return _decode(config)


def _decode(config: Any) -> Any:
    if isinstance(config, str):
        custom = get_registered_object(config)
        return config if custom is None else custom
    if config is None or isinstance(config, int | float):
        return config
    if isinstance(config, list | tuple):
        return [_decode(item) for item in config]
    if not isinstance(config, dict):
        raise SavingError(f"Expected a description of an object; got {config!r}.")
    if "class_name" not in config or "config" not in config:
        return {key: _decode(value) for key, value in config.items()}
    class_name, inner = config["class_name"], config["config"]
    if class_name == "__lambda__":
        raise UnsafeFileError(_lambda_message())
    if class_name in _decoders:
        try:
            return _decoders[class_name](inner)
        except (AttributeError, KeyError, LookupError, TypeError, ValueError) as error:
            raise SavingError(
                f"A malformed {class_name} in the file: {inner!r}: {error}"
            ) from error
    if not isinstance(class_name, str):
        raise SavingError(f"Expected a class name; got {class_name!r}.")
    if class_name == "function":
        if not isinstance(inner, str):
            raise SavingError(f"Expected the name of a function; got {inner!r}.")
        return _find_function(inner, config)
    return _decode_object(class_name, {} if inner is None else inner, config)


def _decode_object(class_name: str, inner: Any, config: dict) -> Any:
    if not isinstance(inner, dict):
        raise SavingError(
            f"Expected the configuration of {class_name}, a dictionary; got {inner!r}."
        )
    seen, number = _read.get(), config.get("shared_object_id")
    if seen is not None and number is not None and number in seen:
        return seen[number]
    cls = _find_class(class_name, config)
    if isinstance(cls, types.FunctionType):
        return cls
    if not hasattr(cls, "from_config"):
        raise UnknownObjectError(
            f"{cls!r} cannot be made again from a file: it has no from_config() method. Derive it "
            "from a distkeras class, or give it a classmethod from_config(config)."
        )
    try:
        instance = cls.from_config(inner)
    except (AttributeError, LookupError, TypeError) as error:
        if isinstance(error, DistkerasError):
            raise
        raise UnknownObjectError(
            f"{class_name}.from_config() did not take its configuration: "
            f"{type(error).__name__}: {error}. Arguments that "
            "are objects themselves must be deserialized in from_config(), and every argument of "
            f"the constructor must be in get_config(). Configuration: {inner}"
        ) from error
    build_config = config.get("build_config")
    if build_config and not getattr(instance, "built", True):
        instance.build_from_config(build_config)
        instance.built = True
    compile_config = config.get("compile_config")
    if compile_config and hasattr(instance, "compile_from_config"):
        instance.compile_from_config(compile_config)
    if seen is not None and number is not None:
        seen[number] = instance
    return instance


def _lambda_message() -> str:
    if in_safe_mode() is False:
        return (
            "The file holds a lambda as Python byte code. distkeras never runs code from a file, "
            "with safe_mode=False either: write the lambda as a named function, load with "
            "custom_objects={name: function}, and save the model again."
        )
    return (
        "The file holds a lambda, that is, Python byte code that loading would run with your "
        "rights: refused. If you know the model, write the lambda as a named function in your "
        "program, save the model again with it, and load that file with "
        "custom_objects={name: function}."
    )


def _find_class(class_name: str, config: dict) -> Any:
    registered_name = config.get("registered_name") or class_name
    custom = get_registered_object(registered_name)
    if custom is not None:
        return custom
    module = config.get("module")
    if isinstance(module, str) and (module == "keras" or module.startswith("keras.")):
        for find in _finders:
            found = find(module, class_name)
            if found is not None:
                return found
        provider = _built_in(module, class_name)
        if provider is not None:
            if registered_name not in (class_name, config.get("config")):
                raise UnsafeFileError(
                    f"The file calls the built-in {module}.{class_name} {registered_name!r}, a "
                    "name of somebody's own class: one of the two is not true. The file was "
                    "edited; do not use it."
                )
            return REGISTRY.load(provider)
    return _find_plugin_object(class_name, config)


def _built_in(module: str, class_name: str) -> Provider | None:
    """The built-in object behind `module.class_name` of Keras, public or internal."""
    parts = module.split(".")
    if parts[:2] == ["keras", "src"]:
        # Backends have optimizers of their own: keras.src.backend.torch.optimizers.torch_adam.
        sought = parts[4:5] if parts[2:3] == ["backend"] else parts[2:3]
        area = sought[0] if sought else ""
        kinds = [k for k, home in KERAS_MODULES.items() if home.split(".")[1:2] == [area]]
        kinds += ["policy"] if area == "dtype_policies" else []
    elif module == "keras":
        kinds = ["model", "policy"]
    elif module == "keras.dtype_policies":
        kinds = ["policy"]
    else:
        kinds = [kind for kind, home in KERAS_MODULES.items() if home == module]
    for kind in kinds:
        provider = REGISTRY.provider(kind, class_name)
        if provider is not None and provider.built_in and provider.name == class_name:
            return provider
    return None


def _find_function(name: str, config: dict) -> Any:
    custom = get_registered_object(name)
    if custom is not None:
        return custom
    module = config.get("module")
    if module == "builtins" or (isinstance(module, str) and module.startswith("keras.")):
        for kind in FUNCTION_KINDS:
            provider = REGISTRY.provider(kind, name) if "plugin" not in config else None
            if provider is not None and provider.built_in:
                return REGISTRY.load(provider)
    return _find_plugin_object(name, config)


def _find_plugin_object(name: str, config: dict) -> Any:
    record = config.get("plugin")
    if not isinstance(record, dict) or record.get("kind") not in KERAS_MODULES:
        module = config.get("module")
        if isinstance(module, str) and module.split(".")[0] == "keras":
            raise UnknownObjectError(
                f"The file needs {module}.{name} of Keras, which distkeras does not have. Pass a "
                f"class of your own in its place: custom_objects={{{name!r}: ...}}."
            )
        raise UnknownObjectError(
            f"The class or function {name!r} is neither built in nor registered. Decorate it with "
            "@distkeras.saving.register_keras_serializable(), or pass it when loading: "
            f"custom_objects={{{name!r}: {name.rpartition('>')[2]}}}."
        )
    kind, called, distribution, version = (
        str(record.get(key, "")) for key in ("kind", "name", "distribution", "version")
    )
    if not DISTRIBUTION_NAME.fullmatch(distribution) or not VERSION.fullmatch(version):
        raise UnsafeFileError(
            f"The file says that {name!r} comes from the distribution {distribution!r}, version "
            f"{version!r}: no package is called so. Do not use the file."
        )
    provider = REGISTRY.provider(kind, called)
    if provider is None or provider.distribution != distribution:
        other = "" if provider is None else f" (a {kind} of that name comes from {provider})"
        raise MissingPluginError(
            f"The {kind} {called!r} comes from the plugin {distribution} {version}, which is not "
            f"installed here{other}. If you trust that package, install it and load again: "
            f"pip install {distribution}=={version}"
        )
    return REGISTRY.load(provider)


# Plain types that JSON lacks


def _decode_slice(config: dict) -> slice:
    return slice(*(_decode(config[key]) for key in ("start", "stop", "step")))


def _decode_array(config: dict) -> np.ndarray:
    dtype = np.dtype(str(config["dtype"]))
    if dtype.hasobject:
        raise UnsafeFileError("The file holds an array of Python objects: refused.")
    return np.array(config["value"], dtype=dtype)


register_codec(
    slice,
    lambda part: {
        key: serialize_keras_object(getattr(part, key)) for key in ("start", "stop", "step")
    },
    "__slice__",
    _decode_slice,
)
register_codec(type(...), lambda _: {}, "__ellipsis__", lambda _: ...)
register_codec(
    bytes,
    lambda text: {"value": text.decode("utf-8")},
    "__bytes__",
    lambda config: config["value"].encode("utf-8"),
)
register_codec(
    np.ndarray,
    lambda array: {"value": array.tolist(), "dtype": array.dtype.name},
    "__numpy__",
    _decode_array,
)
register_codec(np.generic, lambda scalar: scalar.item())
register_codec(np.dtype, lambda dtype: dtype.name)
