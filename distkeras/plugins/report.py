"""`distkeras plugins`: the installed plugins, what they bring, and what is wrong with them."""

import dataclasses
import json
import sys
import warnings
from collections.abc import Sequence

from distkeras.errors import PluginWarning
from distkeras.plugins import manager

__all__ = ["main"]

_USAGE = """\
usage: distkeras plugins [--json] [--all]

Lists the installed plugins: distribution, version, what each one brings, and errors.

  --json  for programs
  --all   the built-in names too
"""
_WRONG_ARGUMENT = 2


def main(argv: Sequence[str] = ()) -> int:
    """Prints the plugins as a table, or as JSON.

    Args:
        argv: `--json`, `--all` or `--help`.

    Returns:
        0 if every plugin is well, 1 if one has an error, 2 for an unknown argument.

    Example:
        >>> main(["--help"])  # doctest: +ELLIPSIS
        usage: distkeras plugins ...
        0
    """
    unknown = set(argv) - {"--json", "--all", "-h", "--help"}
    if unknown or {"-h", "--help"} & set(argv):
        print(_USAGE, end="", file=sys.stderr if unknown else sys.stdout)
        return _WRONG_ARGUMENT if unknown else 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PluginWarning)  # the table says it all
        plugins = manager.installed()
    if "--all" in argv:
        plugins = [manager.built_in(), *plugins]
    if "--json" in argv:
        print(json.dumps([_as_json(plugin) for plugin in plugins], indent=2))
    else:
        print("\n".join(_as_text(plugins)))
    return int(any(plugin.error for plugin in plugins))


def _as_json(plugin: manager.Plugin) -> dict:
    return {
        **dataclasses.asdict(plugin),
        "brings": [
            {"kind": entry.kind, "name": entry.name, "target": entry.target}
            for entry in plugin.brings
        ],
        "header": manager.headers(plugin),
    }


def _as_text(plugins: Sequence[manager.Plugin]) -> list[str]:
    lines = []
    for plugin in plugins:
        title = f"{plugin.distribution} {plugin.version}"
        lines.append(f"{title}  ({plugin.entry_point} = {plugin.value})")
        kinds: dict[str, list[str]] = {}
        for entry in plugin.brings:
            kinds.setdefault(entry.kind, []).append(entry.name)
        lines += [f"  {kind}: {', '.join(sorted(names))}" for kind, names in kinds.items()]
        lines += [f"  {line}" for line in manager.headers(plugin)]
        if plugin.error:
            lines.append(f"  ERROR: {plugin.error}")
    return lines or [
        "No plugin is installed. A plugin is a package with an entry point in the group "
        "'distkeras'."
    ]
