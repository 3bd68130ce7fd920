"""`--restarts K`: start a job again after a failure, from its newest complete checkpoint.

a) Each try is a job of its own with its own run directory, `tryN` in that of the first start: N
   ranks by mpiexec, or one process.
b) A try that ends with status 0, or because a signal asked for it, is the last.
c) So is one that is certain to fail again: it ended before training with a mistake in the command
   line, an import or the syntax; its checkpoint belongs to another program; or it left the same
   traceback at the same step as the try before.
d) Otherwise the next begins after a pause that doubles each time, up to a minute.
"""

import json
import os
import re
import signal
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

from distkeras.config import seconds
from distkeras.errors import ConfigurationError, LaunchError
from distkeras.launch import resuming
from distkeras.launch.options import Options
from distkeras.launch.rundir import new_directory
from distkeras.launch.spawn import job_command, run_job

__all__ = ["Failure", "is_certain", "read_failure", "supervise"]

_LONGEST_PAUSE = 60.0
_USAGE = 2
# Of jobs whose ranks were asked to end (`distribution/requests.py`).
_AGREED = (128 + signal.SIGINT, 128 + signal.SIGTERM, 128 + signal.SIGUSR1)
# What no second try changes, when it ends a program before its first `fit` ...
_FINAL_BEFORE_TRAINING = (
    "ConfigurationError",
    "ImportError",
    "IndentationError",
    "LaunchError",
    "LauncherMismatchError",
    "MPIMissingError",
    "ModuleNotFoundError",
    "SyntaxError",
    "TabError",
)
# ... and at any time.
_FINAL = ("CheckpointError",)


@dataclass(frozen=True)
class Failure:
    """How a try failed.

    Attributes:
        code: its exit status.
        reports: what its ranks said, without what differs from try to try; empty for a process
            that was killed.
        position: fit, epoch and step of the rank that failed, None before the first fit.
    """

    code: int
    reports: frozenset[str]
    position: tuple[int, ...] | None


def supervise(options: Options) -> int:
    """Run a job, and run it again while it fails, at most `options.restarts` times.

    Args:
        options: the command line.

    Returns:
        The exit status of the last try.
    """
    try:
        pause = seconds("DISTKERAS_RESTART_PAUSE")
        root = (
            Path(options.run_dir).absolute() if options.run_dir else new_directory(options.target)
        )
        earlier = resuming.directories(options)
        if options.resume is not None and not resuming.candidates(options):
            resuming.say("there is no checkpoint to resume from: starting at the beginning")
            earlier = []
    except (LaunchError, ConfigurationError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    received: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        received.append(number)

    before: Failure | None = None
    tries: list[str] = []
    for number in range(1, options.restarts + 2):
        own = _own_directory(root)
        where = [*tries, *earlier]
        tries.append(str(own))
        resume = os.pathsep.join(where) if _has_checkpoint(where) else None
        asked = replace(options, run_dir=str(own), resume=resume)
        try:
            command, environ = job_command(asked)
        except LaunchError as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            return 1
        code = run_job(asked, command, environ, received)
        if code == 0 or received or code in _AGREED:
            return code
        failure = read_failure(own, code)
        if is_certain(failure, before):
            resuming.say(f"try {number} failed as it would again (status {code}): it is the last")
            return code
        if number > options.restarts:
            resuming.say(f"try {number} failed (status {code}): it was the last of {number}")
            return code
        before = failure
        resuming.say(
            f"try {number} failed (status {code}); starting again in {pause:g} s"
            f"{'' if _has_checkpoint([*tries, *earlier]) else ', from the beginning'}"
        )
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
            signal.signal(each, note)
        if _is_interrupted(pause, received):
            return 128 + received[0]
        pause = min(2 * pause, _LONGEST_PAUSE)
    return code


def _is_interrupted(pause: float, received: list[int]) -> bool:
    end = time.monotonic() + pause
    while not received and (left := end - time.monotonic()) > 0:
        time.sleep(min(left, 0.2))
    return bool(received)


def _own_directory(root: Path) -> Path:
    """A directory that no try had before, of this start or of one with the same `--run-dir`."""
    number = 1
    while (root / f"try{number}").exists():
        number += 1
    path = root / f"try{number}"
    path.mkdir(parents=True)
    return path


def _has_checkpoint(where: list[str]) -> bool:
    if not where:
        return False
    from distkeras.saving.checkpoints import find

    return any(find(path) for path in where)


def read_failure(directory: Path, code: int) -> Failure:
    """What the ranks of a try left in its run directory.

    Args:
        directory: the run directory.
        code: the job's exit status.
    """
    errors = directory / "errors"
    reports = set()
    for path in errors.glob("rank*.txt"):
        text = path.read_text(errors="replace")
        if "ended without a word" not in text:
            text = re.sub(r"(?m)^\[rank \d+\] ", "", text)
            reports.add(re.sub(r"0x[0-9a-f]+", "0x", text).strip())
    position = None
    for path in errors.glob("position*.json"):
        told: Any = json.loads(path.read_text())
        position = tuple(told) if told is not None else position
    return Failure(code, frozenset(reports - {""}), position)


def is_certain(failure: Failure, before: Failure | None) -> bool:
    """Whether another try would fail in the same way.

    Args:
        failure: how the last try failed.
        before: how the one before failed, or None.
    """
    kinds = {_kind(report) for report in failure.reports}
    if kinds & set(_FINAL):
        return True
    if failure.position is None and (kinds & set(_FINAL_BEFORE_TRAINING) or failure.code == _USAGE):
        return True
    return (
        before is not None
        and failure.position == before.position
        and bool(failure.reports & before.reports)
    )


def _kind(report: str) -> str:
    """The class of the exception that a traceback ends with; its message may have many lines."""
    for line in reversed(report.splitlines()):
        if found := re.match(r"([A-Za-z_][\w.]*)(:|$)", line):
            name = found[1].rpartition(".")[2]
            if name in _FINAL or name in _FINAL_BEFORE_TRAINING:
                return name
    return ""
