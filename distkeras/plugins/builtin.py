"""The built-in objects, named through the hook that every plugin uses.

Each package of built-in objects has a table `NAMES` (module -> public names), from which its lazy
namespace is made too; this file says which kind of object it holds and which further names find it.
"""

import importlib
from collections.abc import Callable, Mapping

from distkeras.plugins.hookspecs import hookimpl
from distkeras.utils.naming import to_snake_case

__all__ = ["PACKAGES", "distkeras_register"]


def _no_alias(_: str) -> tuple[str, ...]:
    return ()


def _snake(name: str) -> tuple[str, ...]:
    return (to_snake_case(name),)


def _lower(name: str) -> tuple[str, ...]:
    return (name.lower(),)


# kind -> (package with a table NAMES, names that Keras accepts beside the class's own).
PACKAGES: dict[str, tuple[str, Callable[[str], tuple[str, ...]]]] = {
    "layer": ("distkeras.layers", _no_alias),
    "loss": ("distkeras.losses", _no_alias),
    "metric": ("distkeras.metrics", _no_alias),
    "optimizer": ("distkeras.optimizers", _lower),
    "schedule": ("distkeras.optimizers.schedules", _no_alias),
    "callback": ("distkeras.callbacks", _no_alias),
    "initializer": ("distkeras.initializers", _snake),
    "activation": ("distkeras.activations", _no_alias),
    "regularizer": ("distkeras.regularizers", _snake),
    "constraint": ("distkeras.constraints", _snake),
}
# Kinds of few objects: the tables themselves.
SMALL_TABLES = {
    "model": {
        "distkeras.models.model": ("Model",),
        "distkeras.models.sequential": ("Sequential",),
        "distkeras.models.functional": ("Functional",),
    },
    "policy": {"distkeras.dtype_policies": ("DTypePolicy",)},
}
# Public names that are tools, not objects that a file or an argument can name.
TOOLS = frozenset(
    (
        "Input",
        "InputSpec",
        "add",
        "average",
        "clone_model",
        "concatenate",
        "deserialize",
        "dot",
        "get",
        "load_model",
        "maximum",
        "minimum",
        "model_from_json",
        "multiply",
        "save_model",
        "serialize",
        "subtract",
    )
)


@hookimpl
def distkeras_register(registry):
    """Names every built-in object; nothing but the packages' tables is imported."""
    for kind, (package, further_names) in PACKAGES.items():
        _register_table(registry, kind, importlib.import_module(package).NAMES, further_names)
    for kind, names in SMALL_TABLES.items():
        _register_table(registry, kind, names, _no_alias)


def _register_table(registry, kind: str, table: Mapping, further_names: Callable) -> None:
    for module, names in table.items():
        aliases: dict[str, list[str]] = {}
        for new, _, old in (entry.partition("=") for entry in names):
            aliases.setdefault(old or new, []).extend([new] if old else [])
        for name, others in aliases.items():
            function_in_place_of_a_layer = kind == "layer" and name[0].islower()
            if name not in TOOLS and not function_in_place_of_a_layer:
                unique = {*others, *further_names(name)} - {name}
                registry.add(kind, name, f"{module}:{name}", tuple(sorted(unique)))
