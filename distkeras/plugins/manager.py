"""Finds plugins, calls their hooks, and remembers what each one brought or why it failed.

Steps of discovery, each run once and only when the registry has to (see `distkeras.registry`):
  a. `register_built_in`: distkeras's own names, by the same hook as everybody's;
  b. `register_installed`: the entry points of group `distkeras`, in the order of their
     distributions' names, the same on every rank. A plugin that cannot be imported or registers
     nonsense is remembered with its error, warned of once, and left out; the rest goes on.
"""

import dataclasses
import functools
import hashlib
import importlib.metadata
import json
import warnings
from typing import Any

import pluggy

from distkeras.config import environment
from distkeras.errors import PluginError, PluginWarning
from distkeras.plugins import builtin, hookspecs
from distkeras.registry import BUILT_IN, REGISTRY, Provider

__all__ = [
    "Plugin",
    "Registrar",
    "built_in",
    "fingerprint",
    "installed",
    "listing",
    "register_built_in",
    "register_installed",
]


@dataclasses.dataclass(slots=True)
class Plugin:
    """An entry point, and what came of it.

    Attributes:
        entry_point: its name.
        distribution: what pip calls the package that has it.
        version: that package's version.
        value: what the entry point names, `"module"` or `"module:attribute"`.
        brings: the names that it registered.
        error: why it, or part of it, cannot be used; empty if all is well.
    """

    entry_point: str
    distribution: str
    version: str
    value: str
    brings: list[Provider] = dataclasses.field(default_factory=list)
    error: str = ""

    @property
    def key(self) -> str:
        """The name under which pluggy knows it."""
        return f"{self.distribution}:{self.entry_point}"


class Registrar:
    """What a plugin's `distkeras_register` gets: `add`, with the plugin's origin filled in.

    Args:
        plugin: the record that names are added to.
    """

    def __init__(self, plugin: Plugin) -> None:
        self._plugin = plugin
        self.errors: list[str] = []

    def add(self, kind: str, name: str, target: str, aliases: tuple[str, ...] = ()) -> None:
        """Enters a name; a conflict with another provider is remembered and does not stop the rest.

        Args:
            kind: one of `distkeras.registry.KINDS`.
            name: the public name.
            target: `"module:attribute"`, imported on first use.
            aliases: further names that find the object.

        Raises:
            ArgumentError: an unknown kind or a target of another form.
        """
        plugin = self._plugin
        origin = {
            "distribution": plugin.distribution,
            "version": plugin.version,
            "entry_point": plugin.entry_point,
        }
        try:
            REGISTRY.add(kind, name, target, aliases=tuple(aliases), **origin)
        except PluginError as error:
            self.errors.append(str(error))
        else:
            plugin.brings.append(Provider(kind, name, target, **origin))


@functools.cache
def _pluggy() -> pluggy.PluginManager:
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    return manager


_built_in = Plugin("", BUILT_IN, "", "distkeras.plugins.builtin")
_installed: list[Plugin] = []


def register_built_in() -> None:
    """Step a: names every built-in object."""
    from distkeras import __version__

    _built_in.version = __version__
    _register(_built_in, builtin)
    if _built_in.error:
        raise PluginError(_built_in.error)


def register_installed() -> None:
    """Step b: names the objects of every installed plugin."""
    if environment("DISTKERAS_PLUGINS") == "0":
        return
    found = importlib.metadata.entry_points(group=hookspecs.PROJECT)
    for point in sorted(found, key=lambda p: (p.dist.name if p.dist else "", p.name)):
        plugin = Plugin(
            point.name,
            point.dist.name if point.dist else "",
            point.dist.version if point.dist else "",
            point.value,
        )
        _installed.append(plugin)
        try:
            module = point.load()
        except (Exception, SystemExit) as error:
            plugin.error = f"cannot be imported: {type(error).__name__}: {error}"
        else:
            _register(plugin, module)
    # Last, so that a program that turns warnings into exceptions has all plugins that work.
    for plugin in (one for one in _installed if one.error):
        warnings.warn(
            f"The plugin {plugin.entry_point!r} of {plugin.distribution} {plugin.version} "
            f"{plugin.error.rstrip('.')}. What it brings may be missing; the rest is not affected. "
            "`distkeras plugins` lists all plugins.",
            PluginWarning,
            stacklevel=2,
        )


def _register(plugin: Plugin, module: Any) -> None:
    """Lets pluggy know the plugin, and lets it name its objects; errors go into its record."""
    manager = _pluggy()
    registrar = Registrar(plugin)
    try:
        manager.register(module, name=plugin.key)
        unknown = _unknown_hooks(module)
        if unknown:
            raise PluginError(f"implements {', '.join(unknown)}, which distkeras does not have")
        others = [other for other in manager.get_plugins() if other is not module]
        hook = manager.subset_hook_caller("distkeras_register", remove_plugins=others)
        hook(registry=registrar)
    except (Exception, SystemExit) as error:
        registrar.errors.append(f"{type(error).__name__}: {error}")
    if registrar.errors:
        plugin.error = f"fails to register: {' '.join(registrar.errors)}"


def _unknown_hooks(module: Any) -> list[str]:
    """Implementations marked with `hookimpl` for which there is no specification."""
    manager = _pluggy()
    hooks = [hook.name for hook in manager.get_hookcallers(module) or ()]
    return [name for name in hooks if getattr(manager.hook, name).spec is None]


def installed() -> list[Plugin]:
    """The plugins that are installed, with what they bring or why they fail.

    Returns:
        A list in the order of discovery.

    Example:
        >>> [plugin.distribution for plugin in installed() if plugin.error]
        []
    """
    REGISTRY.discover()
    return list(_installed)


def built_in() -> Plugin:
    """The record of distkeras's own names."""
    REGISTRY.discover()
    return _built_in


def headers(plugin: Plugin) -> list[str]:
    """What a plugin answers to `distkeras_report_header`, as lines.

    Args:
        plugin: one of `installed()`.
    """
    manager = _pluggy()
    module = manager.get_plugin(plugin.key)
    if module is None:
        return []
    others = [other for other in manager.get_plugins() if other is not module]
    answers = manager.subset_hook_caller("distkeras_report_header", remove_plugins=others)()
    lines: list[str] = []
    for answer in answers:
        lines += [answer] if isinstance(answer, str) else list(answer)
    return lines


def listing() -> list[str]:
    """The installed plugins as lines that are equal on two ranks if and only if their plugins "
    "are."""
    return [
        json.dumps(
            [
                plugin.distribution,
                plugin.version,
                plugin.entry_point,
                sorted((entry.kind, entry.name) for entry in plugin.brings),
                bool(plugin.error),
            ]
        )
        for plugin in installed()
    ]


def fingerprint() -> str:
    """A short hash of `listing()`, to be compared over ranks.

    Returns:
        16 hexadecimal digits.

    Example:
        >>> len(fingerprint())
        16
    """
    text = "\n".join(listing())
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
