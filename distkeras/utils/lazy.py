"""Packages whose names are imported on first use, so that `import distkeras` stays cheap."""

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence

__all__ = ["lazy_attributes"]


def lazy_attributes(
    package: str,
    names: Mapping[str, Sequence[str]],
    submodules: Sequence[str] = (),
    fallback: Callable[[str], object] | None = None,
):
    """The `__getattr__`, `__dir__` and `__all__` of a package whose public names are loaded on
    first use.

    Args:
        package: the package's `__name__`.
        names: module -> the public names that it defines; `"new=old"` publishes `old` as `new`.
        submodules: names of sub-modules that are public themselves.
        fallback: called with a name that is in no table; returns the object or raises
            `AttributeError`.

    Returns:
        A tuple `(__getattr__, __dir__, __all__)` (PEP 562).

    Example:
        >>> get, names, public = lazy_attributes("x", {"math": ("sqrt", "root=sqrt")})
        >>> get("root")(9.0)
        3.0
    """
    home: dict[str, tuple[str, str]] = {}
    for module, entries in names.items():
        for entry in entries:
            new, _, old = entry.partition("=")
            home[new] = (module, old or new)
    public = sorted({*home, *submodules})

    def __getattr__(name: str):
        if name in home:
            module, attribute = home[name]
            value = getattr(importlib.import_module(module), attribute)
        elif name in submodules:
            value = importlib.import_module(f"{package}.{name}")
        elif fallback is not None and not name.startswith("_"):
            return fallback(name)
        else:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        if package in sys.modules:
            setattr(sys.modules[package], name, value)
        return value

    def __dir__():
        return public

    return __getattr__, __dir__, public
