"""The whole matrix: `cd tests && mpirun -n 8 python -m exactness [--floatx float64] [WORD ...]`.

Runs the cases whose names hold one of the words, default all, on all ranks and on one, and prints
for each the largest distance to what one process computes, and how far one process moves when its
weights start one rounding away. Ends with status 1 where a distance is beyond the tolerance.
"""

import argparse
import sys
import traceback
from unittest import mock

import numpy as np

from distkeras import distribution
from distkeras.distribution.world import world
from distkeras.strategies import SingleProcess
from exactness.common import differences, nudged, run, single_process
from exactness.table import CASES

TOLERANCE = {"float32": 1e-5, "float64": 1e-12}


def nudge(self, variables):
    for v in variables:
        if v.trainable:
            v.assign(nudged(v.numpy()))


def main():
    parser = argparse.ArgumentParser(prog="exactness", description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*")
    parser.add_argument("--floatx", choices=TOLERANCE, default="float32")
    parser.add_argument("--traceback", action="store_true", help="print what failed in full")
    options = parser.parse_args()
    distribution.initialize()
    comm = world().comm.Dup() if world().is_multi else None
    rank = distribution.rank()
    names = [n for n in CASES if not options.words or any(w in n for w in options.words)]
    failures = 0
    for name in names:
        expected = moved = None
        if rank == 0:
            with single_process():
                try:
                    expected = run(CASES[name], options.floatx)
                    with mock.patch.object(SingleProcess, "start", nudge):
                        moved = run(CASES[name], options.floatx)
                except Exception as problem:
                    print(f"{name:34} FAILED in one process: {problem!r:.300}", flush=True)
        if not (comm.bcast(moved is not None) if comm else moved):
            failures += 1
            continue
        error = ""
        try:
            found = run(CASES[name], options.floatx)
            again = run(CASES[name], options.floatx)
        except Exception as problem:
            error = f"{type(problem).__name__}: {str(problem)[:300]}"
            if options.traceback:
                traceback.print_exc()
        errors = comm.allgather(error) if comm else [error]
        if any(errors):
            failures += 1
            if rank == 0:
                print(f"{name:34} FAILED {errors}", flush=True)
            continue
        same = all(np.array_equal(found[k], again[k], equal_nan=True) for k in found)
        same = all(comm.allgather(same)) if comm else same
        alike = True
        if comm:
            everywhere = comm.bcast(found)
            alike = all(np.array_equal(everywhere[k], found[k]) for k in found)
            alike = all(comm.allgather(alike))
        if rank == 0:
            try:
                far = differences(found, expected)
                key = max(far, key=far.get)
                own = max(differences(moved, expected).values())
                bad = not far[key] <= TOLERANCE[options.floatx] or not same or not alike
                print(
                    f"{name:34} {far[key]:8.1e} (start moved by a rounding: {own:8.1e})"
                    f"{'' if same else ' TWO RUNS DIFFER'}{'' if alike else ' RANKS DIFFER'}"
                    f"{f'  BEYOND in {key}' if bad else ''}",
                    flush=True,
                )
            except AssertionError as problem:
                bad = True
                print(f"{name:34} FAILED {problem}", flush=True)
            failures += bad
    failures = comm.bcast(failures) if comm else failures
    if rank == 0:
        print(f"{len(names)} cases on {distribution.size()} ranks, {failures} failed")
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
