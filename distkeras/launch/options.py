"""The launcher's command line. Reading it imports neither NumPy nor MPI."""

import argparse
import contextlib
import io
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from distkeras.distribution import environment
from distkeras.errors import ArgumentError
from distkeras.utils.intervals import Interval, parse_interval

__all__ = ["MAIN_JOB", "OUTPUTS", "Options", "parse"]

MAIN_JOB = "distkeras.launch.digits:main"
OUTPUTS = ("rank0", "all")
_TIMES = ("grace", "step_timeout", "user_timeout")
DETERMINISMS = ("fast", "reproducible")

_DESCRIPTION = """\
Run a program on the ranks of an MPI job, so that distkeras trains one model on all of them.
A failure on one rank ends the whole job, with one traceback that names the rank.
"""

_EPILOG = """\
the program:
  train.py                  a script; classes it defines can be pickled, as when Python runs it
  package.module            a module, as python -m runs it
  package.module:function   a function without arguments; an int that it returns is the exit status
  (nothing)                 trains a small network on handwritten digits that come with distkeras:
                            a quick look whether an installation works

examples:
  mpirun -n 4 python -m distkeras.launch train.py --epochs 5
  python -m distkeras.launch -n 4 train.py --epochs 5        finds mpirun itself
  python -m distkeras.launch train.py                        one process, no MPI needed
  python -m distkeras.launch -n 2 -- --epochs 2              the digits, with arguments
  srun --mpi=pmi2 -n 8 python -m distkeras.launch train.py   under Slurm, with MPICH

The launcher divides the cores of a node among its ranks: it sets OMP_NUM_THREADS and its kin unless
one of them is set. Ranks other than 0 write to runs/DATE-PROGRAM/rankN.log, or see --run-dir.
"""


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise ValueError
    return value


_seconds.__name__ = "number of seconds"  # argparse says: invalid number of seconds value: 'x'


def _interval(text: str) -> Interval:
    try:
        return parse_interval(text)
    except ArgumentError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


# Options that take a value: the flags, and what argparse wants to know.
_VALUED: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    (
        ("-n", "-np", "--ranks"),
        {
            "type": int,
            "metavar": "N",
            "help": "start N ranks with mpiexec, found beside this Python or in PATH",
        },
    ),
    (
        ("--output",),
        {
            "choices": OUTPUTS,
            "default": "rank0",
            "help": "rank0: the other ranks' stdout goes to one log each in the run directory "
            "(default); all: every line is shown, behind its [rank]",
        },
    ),
    (
        ("--run-dir",),
        {
            "metavar": "DIR",
            "help": "directory for logs and error reports (default: a new one in ./runs, "
            "made for more than one rank only)",
        },
    ),
    (
        ("--seed",),
        {
            "type": int,
            "metavar": "S",
            "help": "seed Python's, NumPy's and distkeras's random numbers on all ranks (default: "
            "one that is drawn and shown, for more than one rank only)",
        },
    ),
    (
        ("--determinism",),
        {
            "choices": DETERMINISMS,
            "help": "reproducible: the same bits in every run on as many ranks (default); fast: "
            "the MPI library may choose the order of additions",
        },
    ),
    (
        ("--checkpoint-every",),
        {
            "type": _interval,
            "metavar": "WHEN",
            "help": "write a checkpoint of the run every 500 (steps), 2epochs, or 10min, into the "
            "run directory",
        },
    ),
    (
        ("--keep",),
        {
            "type": int,
            "default": 2,
            "metavar": "K",
            "help": "how many checkpoints of a running fit are kept (default 2)",
        },
    ),
    (
        ("--resume",),
        {
            "metavar": "auto|PATH",
            "help": "go on from a checkpoint: PATH is one, or a directory above it, of which the "
            "newest complete one is taken; auto takes that of this program's runs in ./runs, or in "
            "--run-dir",
        },
    ),
    (
        ("--restarts",),
        {
            "type": int,
            "default": 0,
            "metavar": "K",
            "help": "after a failure start again, at most K times, from the newest checkpoint",
        },
    ),
    *(
        (
            (f"--{name}",),
            {"type": _seconds, "metavar": "SECONDS", "help": meaning},
        )
        for name, meaning in (
            (
                "grace",
                "time from SIGTERM or SIGUSR1 to the end of a step, at which the job saves its "
                "state and ends; after it the job is ended as it is (default 30)",
            ),
            (
                "step-timeout",
                "how long ranks wait for one that is inside a step before the job ends with a "
                "report (default 60; 0: for ever)",
            ),
            (
                "user-timeout",
                "the same for one that is in the program's own code (default 1800)",
            ),
        )
    ),
)


@dataclass(frozen=True)
class Options:
    """What the command line asks for.

    Attributes:
        ranks: how many ranks to start, None to be one.
        output: `"rank0"` or `"all"`.
        run_dir: the run directory, None for a default.
        seed: seed of all random numbers, or None.
        times: environment variable -> value, of the limits in seconds, and of other settings, that
            the command line sets.
        every: how often a checkpoint is written, None for never.
        keep: how many checkpoints are kept.
        resume: `"auto"`, a path, or None.
        restarts: how often to start again after a failure.
        target: script, module or module:function.
        arguments: what follows the target.
    """

    ranks: int | None
    output: str
    run_dir: str | None
    seed: int | None
    times: Mapping[str, str]
    target: str
    arguments: tuple[str, ...]
    every: Interval | None = None
    keep: int = 2
    resume: str | None = None
    restarts: int = 0

    def words(self, **changes: Any) -> list[str]:
        """The command line that asks a process for the same, without `-n` and `--restarts`.

        Args:
            **changes: other values for some attributes.
        """
        own = replace(self, **changes)
        found = [f"--output={own.output}"]
        for flag, value in (
            ("--run-dir", own.run_dir),
            ("--seed", own.seed),
            ("--checkpoint-every", own.every),
            ("--keep", own.keep if own.every else None),
            ("--resume", own.resume),
        ):
            if value is not None:
                found.append(f"{flag}={value}")
        for name, value in own.times.items():  # remote nodes get options, not our environment
            found.append(f"--{name.removeprefix('DISTKERAS_').lower().replace('_', '-')}={value}")
        return [*found, own.target, *own.arguments]


def parse(argv: Sequence[str] | None = None) -> Options:
    """The options in a command line.

    Args:
        argv: the command line without the program's name, default `sys.argv[1:]`.

    Returns:
        `Options`.

    Raises:
        SystemExit: for `--help`, `--version` and mistakes; under an MPI launcher only rank 0
        speaks.

    Example:
        >>> options = parse(["-n", "4", "train.py", "-n", "5"])
        >>> options.ranks, options.target, options.arguments
        (4, 'train.py', ('-n', '5'))
    """
    place = environment.launched()
    if place is None or not place.rank:
        return _parse(argv, place)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return _parse(argv, place)
    except SystemExit:
        time.sleep(1)  # the end of a rank makes the launcher kill rank 0, which is to speak first
        raise


def _parse(argv: Sequence[str] | None, place: environment.Launched | None) -> Options:
    words = list(sys.argv[1:] if argv is None else argv)
    own, rest = _split(words)
    parser = argparse.ArgumentParser(
        prog="python -m distkeras.launch",
        usage="%(prog)s [options] [script.py | package.module | module:function] [arguments]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for flags, settings in _VALUED:
        parser.add_argument(*flags, **settings)
    parser.add_argument("--version", action="store_true", help="show the version and exit")
    found, unknown = parser.parse_known_args(own)
    if unknown and unknown[0] == "-m":
        parser.error("a module's name stands alone, without -m: distkeras.launch package.module")
    if unknown:
        parser.error(
            f"unknown option {unknown[0]}. Options of the program come after its name, "
            "those of the built-in program after --."
        )
    if found.version:
        from distkeras import __version__

        print(f"distkeras {__version__}")
        raise SystemExit(0)
    if found.ranks is not None and found.ranks < 1:
        parser.error(f"-n expects a number of ranks of at least 1, got {found.ranks}")
    if found.ranks is not None and place is not None and place.size > 1:
        parser.error(
            f"-n {found.ranks} starts a job of its own, but {place.launcher} started this process "
            f"as one of {place.size}. Use either mpirun or -n."
        )
    for flag, count, least in (("--keep", found.keep, 1), ("--restarts", found.restarts, 0)):
        if count < least:
            parser.error(f"{flag} expects a number of at least {least}, got {count}")
    if found.restarts and place is not None and place.size > 1:
        parser.error(
            "--restarts needs a launcher that starts the ranks itself: use -n "
            f"{place.size} instead of {place.launcher}, or let the queue start the job again with "
            "--resume auto."
        )
    if rest and not rest[0].startswith("-"):
        target, arguments = rest[0], rest[1:]
    else:
        target, arguments = MAIN_JOB, rest
    limits = {f"DISTKERAS_{name.upper()}": getattr(found, name) for name in _TIMES}
    times = {name: f"{value:g}" for name, value in limits.items() if value is not None}
    if found.determinism is not None:
        times["DISTKERAS_DETERMINISM"] = found.determinism
    return Options(
        found.ranks,
        found.output,
        found.run_dir,
        found.seed,
        times,
        target,
        tuple(arguments),
        found.checkpoint_every,
        found.keep,
        found.resume,
        found.restarts,
    )


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    """The launcher's own words, and those from the program's name on; `--` ends its own."""
    valued = {flag for flags, _ in _VALUED for flag in flags}
    at = 0
    while at < len(words) and words[at].startswith("-"):
        if words[at] == "--":
            return words[:at], words[at + 1 :]
        at += 2 if words[at] in valued else 1
    return words[:at], words[at:]
