"""`distkeras doctor`: what this machine has for distkeras, what is missing, and what to do."""

import json
import sys
import textwrap
from collections.abc import Callable, Sequence

from distkeras.cli import machine_checks, mpi_checks
from distkeras.cli.answers import BAD, MARKS, Answer
from distkeras.distribution import environment, rank

__all__ = ["CHECKS", "main"]

_USAGE = """\
usage: distkeras doctor [--json]
       mpirun -n 4 distkeras doctor

Says what this machine has for distkeras, what is missing, and what to do about it. It starts two
ranks and measures how fast they add up arrays; as part of an MPI job it measures that job.

  --json  for programs

ok  fine   --  absent, and not needed   !  works, but not as it could   !!  broken
"""
_WRONG_ARGUMENT = 2

CHECKS: dict[str, Callable[[], Answer]] = {
    "Python": machine_checks.python,
    "packages": machine_checks.packages,
    "plugins": machine_checks.plugins,
    "cores": machine_checks.cores,
    "threads": machine_checks.threads,
    "BLAS": machine_checks.blas,
    "C compiler": machine_checks.compiler,
    "shared memory": machine_checks.shared_memory,
    "GPU": machine_checks.gpu,
    "MPI library": mpi_checks.library,
    "mpiexec": mpi_checks.mpiexec,
    "launcher": mpi_checks.launcher,
    "ranks": mpi_checks.ranks,
    "reduction": mpi_checks.reduction,
}


def main(argv: Sequence[str] = ()) -> int:
    """Print one line for each check of `CHECKS`, and below it what to do where all is not well.

    On the ranks of an MPI job rank 0 prints, and the others take part in what ranks measure.

    Args:
        argv: `--json` or `--help`.

    Returns:
        0 if nothing is broken, 1 if something is, 2 for an unknown argument.

    Example:
        >>> main([])  # doctest: +SKIP
        ok  Python         3.12.1 on Linux x86_64
    """
    unknown = set(argv) - {"--json", "-h", "--help"}
    place = environment.launched()
    silent = rank() > 0 or (place is not None and bool(place.rank))
    if unknown or {"-h", "--help"} & set(argv):
        if not silent:
            print(_USAGE, end="", file=sys.stderr if unknown else sys.stdout)
        return _WRONG_ARGUMENT if unknown else 0
    mpi_checks.forget()
    if silent:
        if place is not None:
            mpi_checks.probe()
        return 0  # another status would end the job before rank 0 has spoken
    if place is not None:
        mpi_checks.ranks()  # first: the other ranks wait for it
    width = max(map(len, CHECKS))
    found = {}
    for name, check in CHECKS.items():
        found[name] = check()
        if "--json" not in argv:
            print(_as_text(name, found[name], width), flush=True)
    broken = any(answer.state == BAD for answer in found.values())
    if "--json" in argv:
        checks = [_as_json(name, answer) for name, answer in found.items()]
        print(json.dumps({"good": not broken, "checks": checks}, indent=2))
    return int(broken)


def _as_text(name: str, answer: Answer, width: int) -> str:
    line = f"{MARKS[answer.state]}  {name:<{width}}  {answer.found}"
    indent = " " * (6 + width)
    return line + "".join(
        f"\n{indent}{part}" for part in textwrap.wrap(answer.advice, 100 - len(indent))
    )


def _as_json(name: str, answer: Answer) -> dict[str, object]:
    return {
        "name": name,
        "state": answer.state,
        "found": answer.found,
        "advice": answer.advice,
        "data": dict(answer.data),
    }
