"""Sums over ranks in a fixed order."""

import ml_dtypes
import numpy as np
import pytest

from distkeras import distribution
from distkeras.distribution import ordered
from distkeras.distribution.nodes import nodes_of
from distkeras.distribution.ordered import ordered_sum, sum_by_slices, sum_in_place, work_dtype
from distkeras.errors import CollectiveMismatchError

DTYPES = ("float16", ml_dtypes.bfloat16, "float32", "float64")


def wild(rank, size, dtype):
    """Numbers of which any other order of addition gives another sum."""
    rng = np.random.default_rng(100 + rank)
    scale = 2.0 ** rng.integers(-6, 7, size)
    return (rng.standard_normal(size) * scale).astype(dtype)


def by_hand(parts, groups):
    """The sum of the groups' sums, one addition after the other."""
    work = work_dtype(parts[0].dtype)
    sums = []
    for group in groups:
        total = parts[group[0]].astype(work)
        for i in group[1:]:
            total = total + parts[i].astype(work)
        sums.append(total)
    total = sums[0]
    for part in sums[1:]:
        total = total + part
    return total.astype(parts[0].dtype)


@pytest.mark.parametrize("groups", [[(0, 1, 2, 3, 4)], [(0, 1), (2, 3), (4,)], [(0, 2, 4), (1, 3)]])
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)
def test_order_of_addition(dtype, groups):
    parts = [wild(r, 1000, dtype) for r in range(5)]
    out = np.empty(1000, dtype)
    ordered_sum(parts, out, groups)
    assert out.tobytes() == by_hand(parts, groups).tobytes()
    other = np.empty(1000, dtype)
    ordered_sum(parts[::-1], other, groups)
    if np.dtype(dtype).itemsize >= 4:
        assert other.tobytes() != out.tobytes(), "these numbers do not tell orders apart"


def test_the_first_part_may_take_the_sum():
    parts = [wild(r, 10, "float32") for r in range(3)]
    wanted = by_hand(parts, [(0, 1, 2)])
    ordered_sum(parts, parts[0])
    assert parts[0].tobytes() == wanted.tobytes()


@pytest.mark.mpi(sizes=(1, 2, 3, 5))
@pytest.mark.parametrize("size", [0, 1, 7, 1000, 20_000, 1_100_001])
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)
def test_messages_keep_the_order(dtype, size, comm):
    world = distribution.initialize()
    flat = wild(comm.rank, size, dtype)
    parts = [wild(r, size, dtype) for r in range(comm.size)]
    sum_in_place(flat, "wild numbers")
    assert flat.tobytes() == by_hand(parts, nodes_of(world).groups).tobytes()


@pytest.mark.mpi(sizes=(4,))
@pytest.mark.parametrize("size", [3, 50_001])
def test_slices_keep_the_order_of_groups(size, comm, monkeypatch):
    monkeypatch.setattr(ordered, "_PIECE", 1 << 14)
    groups = [(0, 1), (2, 3)]
    flat = wild(comm.rank, size, "float32")
    sum_by_slices(distribution.initialize(), comm, flat, groups)
    parts = [wild(r, size, "float32") for r in range(4)]
    assert flat.tobytes() == by_hand(parts, groups).tobytes()


@pytest.mark.mpi(sizes=(2,))
def test_ranks_that_sum_different_things_are_told(comm):
    distribution.initialize()
    with pytest.raises(CollectiveMismatchError, match=r"reduce 2 apples.*\n.*reduce 2 pears"):
        sum_in_place(np.ones(2), f"2 {('apples', 'pears')[comm.rank]}")
