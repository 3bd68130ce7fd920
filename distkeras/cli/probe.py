"""What ranks find out together for `distkeras doctor`: their cores, and how fast they add up.

It runs on every rank, in a process that the doctor watches; rank 0 writes one line of JSON behind
`MARK` to stdout.
"""

import json
import os
import socket
import time
import zlib
from typing import Any

__all__ = ["MARK", "SIZES", "main"]

MARK = "distkeras-probe:"

# Bytes of the arrays that are summed: a message of control, a layer, a network.
SIZES = (4 << 10, 1 << 20, 16 << 20)

# Seconds for each size, and how often at most. The median of at least 3 counts.
_BUDGET = 0.25
_MOST, _LEAST = 200, 3
_PLACE = 4  # numbers about a rank, before
_WORDS = 16  # 64 cores in each: the affinity of up to 1,024 cores


def main() -> int:
    """Join the job, measure, and let rank 0 write what came out; a collective call.

    Returns:
        0.

    Raises:
        LauncherMismatchError: the launcher and the MPI library do not belong together.
        MPIMissingError: there is no MPI.

    Example:
        >>> main()  # doctest: +SKIP
        distkeras-probe:{"size": 2, ...}
    """
    from distkeras.distribution.world import initialize

    world = initialize()
    report: dict[str, Any] = {"size": world.size, "library": world.library}
    if world.is_multi:
        report["ranks"] = _places(world)
        report["speeds"] = [_speed(world, size) for size in SIZES]
    if world.rank == 0:
        print(MARK + json.dumps(report), flush=True)
    return 0


def _places(world: Any) -> list[dict[str, Any]]:
    """Where each rank runs: a number for its node, its cores, its threads, and its neighbours."""
    import numpy as np

    from distkeras.distribution.environment import available_cores

    own = np.zeros(_PLACE + _WORDS, np.int64)
    own[0] = zlib.crc32(socket.gethostname().encode())
    own[1] = available_cores()
    told = os.environ.get("OPENBLAS_NUM_THREADS") or os.environ.get("OMP_NUM_THREADS") or ""
    own[2] = int(told) if told.isdecimal() else 0
    own[3] = world.local_size
    bits = own[_PLACE:].view(np.uint64)
    for core in os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ():
        if core < 64 * _WORDS:
            bits[core // 64] |= np.uint64(1 << core % 64)
    every = np.zeros((world.size, len(own)), np.int64)
    world.comm.Allgather(own, every)
    return [
        {
            "node": int(row[0]),
            "usable": int(row[1]),
            "threads": int(row[2]),
            "neighbours": int(row[3]),
            "cores": _cores(row[_PLACE:].view(np.uint64)),
        }
        for row in every
    ]


def _cores(words: Any) -> list[int]:
    return [
        64 * i + bit for i, word in enumerate(words) for bit in range(64) if int(word) >> bit & 1
    ]


def _speed(world: Any, size: int) -> dict[str, float]:
    """The median time of an Allreduce in place, of the rank that took longest."""
    import numpy as np

    buffer = np.ones(size // 4, np.float32)
    begin = time.perf_counter()
    world.comm.Allreduce(world.mpi.IN_PLACE, buffer)  # builds what the library keeps for the size
    first = np.array([time.perf_counter() - begin])
    world.comm.Allreduce(world.mpi.IN_PLACE, first, op=world.mpi.MAX)
    repeats = int(min(_MOST, max(_LEAST, _BUDGET / max(first[0], 1e-9))))
    buffer[:] = 0  # a sum of sums would overflow
    times = np.zeros(repeats)
    for i in range(repeats):
        begin = time.perf_counter()
        world.comm.Allreduce(world.mpi.IN_PLACE, buffer)
        times[i] = time.perf_counter() - begin
    median = np.array([np.median(times)])
    world.comm.Allreduce(world.mpi.IN_PLACE, median, op=world.mpi.MAX)
    seconds = float(median[0])
    return {"bytes": size, "seconds": seconds, "gigabytes_per_second": size / seconds / 1e9}


if __name__ == "__main__":
    raise SystemExit(main())
