"""What a plugin can implement, and when distkeras calls it.

A plugin is a module (or an object) that an installed package names as an entry point in the group
`distkeras`. It implements the hooks below that it needs, each marked with `@hookimpl`; it may take
fewer arguments than are listed here. Arguments are plain data.
"""

import pluggy

__all__ = ["PROJECT", "distkeras_register", "distkeras_report_header", "hookimpl", "hookspec"]

PROJECT = "distkeras"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def distkeras_register(registry):
    """Name what the plugin brings.

    Called once in a process, when a name is looked up that is not built in, or plugins are listed.
    Import nothing heavy here or at the top of the module: the targets are imported on first use.

    Args:
        registry: has one method, `add(kind, name, target, aliases=())`, where `kind` is one of
            `distkeras.registry.KINDS` and `target` is `"module:attribute"`.

    Example:
        >>> @hookimpl
        ... def distkeras_register(registry):
        ...     registry.add("layer", "Scale", "my_package.layers:Scale")
    """


@hookspec
def distkeras_report_header():
    """Lines about the plugin: what it found on this machine, which mode it is in.

    Called by `distkeras plugins`, which prints them under the plugin's name.

    Returns:
        A string or a list of strings.
    """
