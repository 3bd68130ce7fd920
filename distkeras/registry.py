"""The one registry of named objects: layers, losses, kernels, of this package and of plugins.

An entry is a name of some kind and a target `"module:attribute"`, imported when the name is first
used. Discovery (naming the built-in objects, then those of installed plugins) is lazy too: its
steps run one after another when a name is asked for that is not known yet, so a program that uses
no plugin never looks for one.

How a name is found:
  a. the innermost `custom_object_scope`, then objects registered by `register_keras_serializable`;
  b. the entries known so far;
  c. the entries after each further step of discovery.
"""

import dataclasses
import difflib
import importlib
import inspect
import sys
import threading
from collections.abc import Callable
from typing import Any

from distkeras.errors import ArgumentError, PluginError, UnknownNameError
from distkeras.utils.custom_objects import (
    CustomObjectScope,
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)

__all__ = [
    "KINDS",
    "REGISTRY",
    "CustomObjectScope",
    "Provider",
    "Registry",
    "custom_object_scope",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "plugin_attribute",
    "register_keras_serializable",
]

KINDS = (
    "layer",
    "model",
    "loss",
    "metric",
    "optimizer",
    "schedule",
    "callback",
    "initializer",
    "activation",
    "regularizer",
    "constraint",
    "policy",
    "strategy",
    "primitive",
    "kernel",
)
BUILT_IN = "distkeras"


@dataclasses.dataclass(frozen=True, slots=True)
class Provider:
    """Who brings a name, and where it is.

    Attributes:
        kind: one of `KINDS`.
        name: the public name, unique among its kind.
        target: `"module:attribute"`.
        distribution: what `pip install` calls the package that brings it.
        version: that package's version.
        entry_point: the name of the entry point that brought it; empty for built-in objects.

    Example:
        >>> Provider("layer", "Dense", "distkeras.layers.core:Dense").built_in
        True
    """

    kind: str
    name: str
    target: str
    distribution: str = BUILT_IN
    version: str = ""
    entry_point: str = ""

    @property
    def built_in(self) -> bool:
        """Whether the object comes with distkeras itself."""
        return self.distribution == BUILT_IN

    def __str__(self) -> str:
        if self.built_in:
            return f"distkeras itself ({self.target})"
        return f"{self.distribution} {self.version} ({self.target})"


def load_target(target: str) -> Any:
    """The object that `"module:attribute"` names; the attribute may have dots.

    Example:
        >>> load_target("math:sqrt")(4.0)
        2.0
    """
    module, _, attribute = target.partition(":")
    value = importlib.import_module(module)
    for part in attribute.split("."):
        value = getattr(value, part)
    return value


class Registry:
    """Names of each kind, with their providers; objects are imported on first use.

    Args:
        discovery: steps that add entries, each a callable without arguments or the
            `"module:attribute"` of one; a step runs at most once.

    Example:
        >>> registry = Registry()
        >>> registry.add("activation", "root", "math:sqrt")
        >>> registry.resolve("activation", "root")(9.0)
        3.0
    """

    def __init__(self, discovery: tuple[Callable[[], None] | str, ...] = ()) -> None:
        self._entries: dict[tuple[str, str], Provider] = {}
        self._contested: dict[tuple[str, str], list[Provider]] = {}
        self._loaded: dict[tuple[str, str], Any] = {}
        self._providers: dict[int, Provider] = {}
        self._pending = list(discovery)
        self._lock = threading.RLock()

    # Adding

    def add(
        self,
        kind: str,
        name: str,
        target: str,
        *,
        aliases: tuple[str, ...] = (),
        distribution: str = BUILT_IN,
        version: str = "",
        entry_point: str = "",
    ) -> None:
        """Enters a name.

        Args:
            kind: one of `KINDS`.
            name: the public name.
            target: `"module:attribute"`, imported on first use.
            aliases: further names that find the object, such as `"mse"`.
            distribution: the package that brings it, as pip calls it.
            version: that package's version.
            entry_point: the entry point that brings it.

        Raises:
            ArgumentError: an unknown kind, or a target that is no `"module:attribute"`.
            PluginError: another provider has the name. From then on the name of two plugins stands
                for neither; a built-in name keeps its meaning.
        """
        _check_kind(kind)
        module, _, attribute = target.partition(":") if isinstance(target, str) else ("", "", "")
        if not module or not attribute or not name:
            raise ArgumentError(
                f"Expected a name and a target 'module:attribute' for a {kind}; got name={name!r}, "
                f"target={target!r}."
            )
        new = Provider(kind, name, target, distribution, version, entry_point)
        problems = []
        with self._lock:
            for key in [(kind, known_as) for known_as in (name, *aliases)]:
                old = self._entries.setdefault(key, new)
                if old != new:
                    if not old.built_in:
                        self._contested.setdefault(key, [old]).append(new)
                    problems.append(_conflict(*key, [old, new]))
        if problems:
            raise PluginError(" ".join(problems))

    def set_discovery(self, *steps: Callable[[], None] | str) -> None:
        """Replaces the steps of discovery that have not run yet.

        Args:
            *steps: callables without arguments, or `"module:attribute"` of such; they call `add`.
        """
        with self._lock:
            self._pending = list(steps)

    def discover(self) -> None:
        """Runs every step of discovery that has not run yet."""
        while self._discover_one():
            pass

    def _discover_one(self) -> bool:
        if not self._pending:  # the common case takes no lock
            return False
        with self._lock:
            if not self._pending:
                return False
            step = self._pending.pop(0)
            (load_target(step) if isinstance(step, str) else step)()
            return True

    # Looking up

    def provider(self, kind: str, name: str) -> Provider | None:
        """The provider of a name, or None; nothing of it is imported.

        Raises:
            PluginError: two plugins provide the name.
        """
        _check_kind(kind)
        key = (kind, name)
        while key not in self._entries and self._discover_one():
            pass
        if key in self._contested:
            raise PluginError(_conflict(kind, name, self._contested[key]))
        return self._entries.get(key)

    def find(self, kind: str, name: str) -> Any:
        """The object of a name, or None when nobody provides it.

        Args:
            kind: one of `KINDS`.
            name: the public name, a name of the running `custom_object_scope`, or the key of a
                registered object.

        Raises:
            PluginError: two plugins provide the name, or the plugin's module cannot be imported.
        """
        custom = get_registered_object(name)
        if custom is not None:
            return custom
        provider = self.provider(kind, name)
        return None if provider is None else self.load(provider)

    def resolve(self, kind: str, name: str) -> Any:
        """The object of a name.

        Args:
            kind: one of `KINDS`.
            name: as in `find`.

        Raises:
            UnknownNameError: nobody provides the name; similar names are listed.
            PluginError: as in `find`.
        """
        found = self.find(kind, name)
        if found is None:
            raise UnknownNameError(self._unknown(kind, name))
        return found

    def load(self, provider: Provider) -> Any:
        """The object of an entry, imported on first use.

        Raises:
            PluginError: the plugin's module cannot be imported, or has no such attribute.
        """
        key = (provider.kind, provider.name)
        if key not in self._loaded:
            try:
                value = load_target(provider.target)
            except Exception as error:
                if provider.built_in:
                    raise
                raise PluginError(
                    f"The {provider.kind} {provider.name!r} comes from the plugin "
                    f"{provider.distribution} {provider.version}, which cannot load "
                    f"{provider.target!r}: {type(error).__name__}: {error}. Repair or reinstall "
                    f"it: pip install --force-reinstall {provider.distribution}"
                ) from error
            self._loaded[key] = value
            # The entry keeps the object alive, so the id stays its own.
            self._providers.setdefault(id(value), provider)
        return self._loaded[key]

    def names(self, kind: str) -> list[str]:
        """All names of a kind, sorted, without aliases: built-in ones and those of plugins."""
        return [entry.name for entry in self.providers() if entry.kind == _check_kind(kind)]

    def providers(self) -> list[Provider]:
        """All entries, sorted by kind in the order of `KINDS`, then by name."""
        self.discover()
        return sorted(
            set(self._entries.values()), key=lambda entry: (KINDS.index(entry.kind), entry.name)
        )

    def provider_of(self, thing: Any) -> Provider | None:
        """Who provides a class, a function or an instance of a class; None for a user's own.

        Args:
            thing: the object itself, however it was imported, or an instance of a class.
        """
        value = thing if inspect.isroutine(thing) or inspect.isclass(thing) else type(thing)
        known = self._providers.get(id(value))
        if known is not None:
            return known
        self.discover()
        root = (getattr(value, "__module__", None) or "").partition(".")[0]
        for provider in list(self._entries.values()):
            module = provider.target.partition(":")[0]
            # What has not been imported cannot have made this object.
            if module in sys.modules and module.partition(".")[0] == root:
                try:
                    same = load_target(provider.target) is value
                except AttributeError:
                    same = False
                if same:
                    self.load(provider)
                    return self._providers[id(value)]
        return None

    def _unknown(self, kind: str, name: str) -> str:
        known = self.names(kind)
        every = [alias for of, alias in self._entries if of == kind]
        near = difflib.get_close_matches(str(name), every, n=3)
        hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        listed = ", ".join(known) if len(known) <= 60 else f"{', '.join(known[:60])}, ..."
        return (
            f"No {kind} is named {name!r}.{hint} Known: {listed or 'none'}. Register your own with "
            "@distkeras.saving.register_keras_serializable(), or name it in a custom_object_scope."
        )


def _check_kind(kind: str) -> str:
    if kind not in KINDS:
        raise ArgumentError(f"Expected a kind among {', '.join(KINDS)}; got {kind!r}.")
    return kind


def _conflict(kind: str, name: str, providers: list[Provider]) -> str:
    distributions = sorted({p.distribution for p in providers if not p.built_in})
    return (
        f"The {kind} {name!r} has {len(providers)} providers: {' and '.join(map(str, providers))}. "
        f"A name has one provider: uninstall all but one of them "
        f"(pip uninstall {' | '.join(distributions)}), or ask its author for another name."
    )


def plugin_attribute(package: str, kind: str) -> Callable[[str], Any]:
    """A package's last resort for names that it does not have: the plugins' objects of its kind.

    Args:
        package: the package's name.
        kind: one of `KINDS`.

    Returns:
        The `fallback` of `distkeras.utils.lazy.lazy_attributes`.
    """

    def attribute(name: str) -> Any:
        provider = REGISTRY.provider(kind, name)
        if provider is None or provider.built_in:  # the package itself has those, aliases aside
            article = "an" if kind[0] in "aio" else "a"
            raise AttributeError(
                f"module {package!r} has no attribute {name!r}, and no installed plugin brings "
                f"{article} {kind} of that name (`distkeras plugins` lists them)."
            )
        return REGISTRY.load(provider)

    return attribute


# Only names of modules: nothing above this floor is imported before a name has to be looked up.
REGISTRY = Registry(
    discovery=(
        "distkeras.plugins.manager:register_built_in",
        "distkeras.plugins.manager:register_installed",
    )
)
