"""Sums over ranks in a fixed order, by messages.

The library's Allreduce adds in an order of its own, which changes with sizes and with versions.
Here the ranks exchange the numbers themselves and add them in the order of `nodes.py`:

a) Small arrays: every rank gathers those of all and adds them up.
b) Larger ones, piece by piece: rank i gets slice i of everybody's piece, adds, and gives the sum to
   all. Each number travels twice, as in the library's own algorithm.
"""

from collections.abc import Sequence

import numpy as np

from distkeras.distribution.collectives import meet
from distkeras.distribution.nodes import nodes_of
from distkeras.distribution.world import World, world

__all__ = ["SMALL", "ordered_sum", "sum_by_slices", "sum_in_place", "work_dtype"]

SMALL = 1 << 16  # bytes; below, a message is a matter of latency
_PIECE = 1 << 22  # bytes exchanged at a time

Groups = Sequence[Sequence[int]]


def work_dtype(dtype: np.dtype) -> np.dtype:
    """The dtype in which numbers are added: float32 for the half ones.

    Example:
        >>> work_dtype(np.dtype("float16")).name
        'float32'
    """
    return np.dtype(np.float32) if dtype.itemsize < 4 and dtype.kind in "fV" else dtype


def ordered_sum(parts: Sequence[np.ndarray], out: np.ndarray, groups: Groups | None = None) -> None:
    """Add arrays up in a fixed order. This function alone decides on the order of every sum of
    gradients over ranks.

    Args:
        parts: one for each rank, of one shape and dtype.
        out: takes the sum, in the dtype of the parts or in their `work_dtype`; it may be
            `parts[0]` itself, and overlaps no other.
        groups: indices of parts: those of a group are added from left to right, then the sums of
            the groups. Default: one group of all.

    Example:
        >>> total = np.empty(1, "float32")
        >>> ordered_sum([np.full(1, i, "float32") for i in range(4)], total, [(0, 1), (2, 3)])
        >>> total.tolist()
        [6.0]
    """
    if groups is not None and len(groups) > 1:
        sums = []
        for group in groups:
            sums.append(np.empty(out.shape, work_dtype(parts[0].dtype)))
            ordered_sum([parts[i] for i in group], sums[-1])
        ordered_sum(sums, out)
        return
    work = work_dtype(parts[0].dtype)
    if len(parts) == 1:
        out[...] = parts[0]
    elif work == parts[0].dtype and out.dtype == work:
        np.add(parts[0], parts[1], out=out)
        for part in parts[2:]:
            np.add(out, part, out=out)
    else:
        total = parts[0].astype(work)
        for part in parts[1:]:
            total += part.astype(work, copy=False)
        out[...] = total


def sum_in_place(flat: np.ndarray, detail: str) -> None:
    """Sum a flat array over the ranks, in the fixed order; a collective call.

    Args:
        flat: a contiguous one-dimensional array, of equal size on all ranks.
        detail: what it holds, in words that all ranks choose alike; where they differ a
            `CollectiveMismatchError` quotes them.

    Example:
        >>> sums = np.ones(2)
        >>> sum_in_place(sums, "two ones")
        >>> sums.tolist()
        [1.0, 1.0]
    """
    group = world()
    meet("reduce", detail)
    if not group.is_multi:
        return
    groups = nodes_of(group).groups
    if flat.nbytes <= SMALL:
        parts = np.empty((group.size, flat.size), flat.dtype)
        _finish(group, group.comm.Iallgather(_raw(flat), _raw(parts)))
        ordered_sum(list(parts), flat, groups)
    else:
        sum_by_slices(group, group.comm, flat, groups)


def sum_by_slices(group: World, comm, flat: np.ndarray, groups: Groups | None = None) -> None:
    """Step (b), over the ranks of a communicator.

    Args:
        group: the world, which says how to wait.
        comm: the communicator.
        flat: this rank's array, replaced by the sum.
        groups: see `ordered_sum`; indices are ranks of `comm`.
    """
    size, rank, item = comm.Get_size(), comm.Get_rank(), flat.dtype.itemsize
    step = max(size, _PIECE // item)
    for start in range(0, flat.size, step):
        piece = flat[start : start + step]
        ends = [len(piece) * (i + 1) // size for i in range(size)]
        starts = [0, *ends[:-1]]
        counts = [(e - s) * item for s, e in zip(starts, ends, strict=True)]
        places = [s * item for s in starts]
        mine = piece[starts[rank] : ends[rank]]
        parts = np.empty((size, mine.size), flat.dtype)
        byte = group.mpi.BYTE
        received = [mine.nbytes] * size
        at = [i * mine.nbytes for i in range(size)]
        _finish(
            group,
            comm.Ialltoallv([_raw(piece), counts, places, byte], [_raw(parts), received, at, byte]),
        )
        total = np.empty(mine.size, flat.dtype)
        ordered_sum(list(parts), total, groups)
        _finish(group, comm.Iallgatherv([_raw(total), byte], [_raw(piece), counts, places, byte]))


def _finish(group: World, request) -> None:
    if group.oversubscribed:
        group.finish(request)
    else:
        request.Wait()


def _raw(array: np.ndarray) -> np.ndarray:
    return array.reshape(-1).view(np.uint8)
