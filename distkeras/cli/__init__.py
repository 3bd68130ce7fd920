"""The `distkeras` command: a table of sub-commands, each imported when it is called.

A sub-command is a function that takes its own arguments as a list of strings, without the name of
the command, and returns an exit status (or None, for 0).
"""

import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["COMMANDS", "Command", "main"]


@dataclass(frozen=True)
class Command:
    """One sub-command: where its function is, and one line about it for the help."""

    target: str
    summary: str


COMMANDS: dict[str, Command] = {
    "checkpoints": Command("distkeras.cli.checkpoints:main", "list and verify checkpoints of runs"),
    "doctor": Command("distkeras.cli.doctor:main", "what this machine has, and what is missing"),
    "launch": Command("distkeras.launch:main", "run a program on MPI ranks (see launch --help)"),
    "plugins": Command("distkeras.plugins.report:main", "the installed plugins and their names"),
}

_UNKNOWN_COMMAND = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run the `distkeras` command.

    Args:
        argv: the command line without the program's name, default `sys.argv[1:]`.

    Returns:
        The exit status: that of the sub-command, or 2 for an unknown one.

    Example:
        >>> main(["--help"])  # doctest: +ELLIPSIS
        usage: distkeras ...
        0
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help", "help"):
        print(_help())
        return 0
    if words[0] in ("-V", "--version"):
        from distkeras import __version__

        print(f"distkeras {__version__}")
        return 0
    command = COMMANDS.get(words[0])
    if command is None:
        print(
            f"distkeras: expected one of the commands {', '.join(COMMANDS)}; got {words[0]!r}. "
            "`distkeras --help` says what they do.",
            file=sys.stderr,
        )
        return _UNKNOWN_COMMAND
    module, _, function = command.target.partition(":")
    return getattr(importlib.import_module(module), function)(words[1:]) or 0


def _help() -> str:
    width = max(map(len, COMMANDS))
    rows = [f"  {name:<{width}}  {command.summary}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "usage: distkeras [--help] [--version] COMMAND [arguments]",
            "",
            "The Keras 3 API on NumPy and CuPy arrays, data-parallel over MPI ranks.",
            "",
            "commands:",
            *rows,
            "",
            "To train on 4 ranks: mpirun -n 4 python -m distkeras.launch train.py",
        ]
    )
