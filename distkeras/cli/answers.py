"""What a check of `distkeras doctor` answers, and how one asks another program without waiting for
ever."""

import contextlib
import importlib.metadata
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from distkeras.utils.processes import kill_descendants

__all__ = [
    "BAD",
    "GOOD",
    "MARKS",
    "MISSING",
    "SECONDS",
    "WARNING",
    "Answer",
    "Reply",
    "ask",
    "version_of",
]

# The states of an answer: fine; something optional is absent; works, but not as it could; broken.
GOOD, MISSING, WARNING, BAD = "ok", "missing", "warning", "bad"
MARKS = {GOOD: "ok", MISSING: "--", WARNING: "! ", BAD: "!!"}

# Seconds that one question may take. Imports from a busy network disk are the slowest.
SECONDS = 60.0


@dataclass(frozen=True)
class Answer:
    """What one check found.

    Attributes:
        state: `GOOD`, `MISSING`, `WARNING` or `BAD`.
        found: what there is, in words.
        advice: what to do about it, in words; empty where nothing need be done.
        data: the same for programs: values that JSON can hold.
    """

    state: str
    found: str
    advice: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """How a program ended.

    Attributes:
        good: whether it ended with status 0, within its time.
        out: its standard output.
        why: what went wrong in one line: the last that it wrote to stderr; empty when it is good.
        err: its standard error.
    """

    good: bool
    out: str
    why: str = ""
    err: str = ""


def ask(
    command: Sequence[str],
    seconds: float | None = None,
    env: Mapping[str, str] | None = None,
    keep_descriptors: bool = False,
) -> Reply:
    """Run a program; after its time is over it is killed, with all that it started.

    Args:
        command: the program and its arguments.
        seconds: its time, default `SECONDS`.
        env: its variables, default this process's.
        keep_descriptors: let it inherit open files, among them the connection that an MPI launcher
            gave this process.

    Returns:
        A `Reply`; also for a program that does not exist.

    Example:
        >>> ask(["echo", "yes"]).out
        'yes\\n'
    """
    seconds = SECONDS if seconds is None else seconds
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=None if env is None else dict(env),
            close_fds=not keep_descriptors,
        )
    except OSError as error:
        return Reply(False, "", f"{os.fspath(command[0])}: {error.strerror}")
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        kill_descendants(process.pid)
        process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):  # a stranger may hold the pipe
            process.communicate(timeout=2)
        return Reply(False, "", f"no answer within {seconds:g} s")
    if process.returncode == 0:
        return Reply(True, out, err=err)
    lines = [line.strip() for line in err.splitlines() if line.strip()]
    return Reply(False, out, lines[-1] if lines else f"exit status {process.returncode}", err)


def version_of(distribution: str) -> str | None:
    """The version of an installed distribution, None where it is not installed.

    Example:
        >>> version_of("no-such-distribution") is None
        True
    """
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
