"""Collectives on real ranks, and the same contracts on one process."""

import threading

import ml_dtypes
import numpy as np
import pytest

from distkeras import distribution
from distkeras.distribution import collectives
from distkeras.distribution.collectives import (
    agree,
    all_gather,
    all_reduce,
    all_reduce_inplace,
    barrier,
    broadcast,
    broadcast_inplace,
    last_call,
)
from distkeras.errors import ArgumentError, CollectiveMismatchError, DTypeError

SIZES = pytest.mark.mpi(sizes=(1, 3))
FLOATS = ("float16", "float32", "float64", ml_dtypes.bfloat16)
DTYPES = (*FLOATS, "int8", "uint8", "int32", "int64", "uint64", ">f4")
FOLDS = {"sum": sum, "max": max, "min": min}


@pytest.fixture(autouse=True)
def ranks():
    """Every test here runs on the world that its process was started in."""
    world = distribution.initialize()
    return world.rank, world.size


class Arraylike:
    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype)


@SIZES
@pytest.mark.parametrize("op", FOLDS)
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)
def test_all_reduce(dtype, op, ranks):
    rank, size = ranks
    given = np.array([[rank, 3, 5 - rank]], dtype)
    before = given.copy()
    result = all_reduce(given, op)
    expected = [
        FOLDS[op](column) for column in zip(*([r, 3, 5 - r] for r in range(size)), strict=True)
    ]
    assert (result.dtype, result.shape) == (given.dtype.newbyteorder("="), (1, 3))
    np.testing.assert_array_equal(result[0].astype("f8"), expected)
    np.testing.assert_array_equal(given, before)
    assert not np.shares_memory(result, given)


@SIZES
@pytest.mark.parametrize("dtype", FLOATS, ids=lambda d: np.dtype(d).name)
def test_all_reduce_inplace_in_pieces(dtype, ranks, monkeypatch):
    rank, size = ranks
    monkeypatch.setattr(collectives, "CHUNK_BYTES", 64)
    monkeypatch.setattr(collectives, "HALF_CHUNK", 10)
    buffer = (np.arange(37) % 7 + rank).astype(dtype).reshape(37, 1)
    assert all_reduce_inplace(buffer) is buffer
    expected = size * (np.arange(37) % 7) + size * (size - 1) // 2
    np.testing.assert_array_equal(buffer.astype("f8")[:, 0], expected)


@pytest.mark.mpi(min_size=3)
@pytest.mark.parametrize("dtype, small", [("float16", 2.0**-11), (ml_dtypes.bfloat16, 2.0**-8)])
def test_half_dtypes_round_once(dtype, small, ranks):
    """1 + small + small is lost when each sum is rounded to half precision."""
    value = 1.0 if ranks[0] == 0 else small
    buffer = np.array([value], dtype)
    all_reduce_inplace(buffer)
    assert float(buffer[0]) == 1 + 2 * small
    assert float(all_reduce(np.array([value], dtype))[0]) == 1 + 2 * small


@SIZES
def test_other_kinds_of_array(ranks):
    rank, size = ranks
    total = size * (size - 1) // 2
    assert all_reduce(rank).shape == ()
    assert int(all_reduce(rank)) == total
    np.testing.assert_array_equal(all_reduce([rank, 1]), [total, size])
    np.testing.assert_array_equal(all_reduce(Arraylike([rank])), [total])
    np.testing.assert_array_equal(all_reduce(np.arange(4)[::2]), [0, 2 * size])
    assert all_reduce(np.zeros((0, 3))).shape == (0, 3)
    counted = all_reduce(np.array([True, rank == 0]))
    assert (counted.dtype, counted.tolist()) == (np.int64, [size, 1])
    highest = all_reduce(np.array([False, rank == 0]), "max")
    assert (highest.dtype, highest.tolist()) == (np.bool_, [False, True])
    np.testing.assert_array_equal(all_reduce(np.array([1j * rank])), [1j * total])


@SIZES
@pytest.mark.parametrize("chunk", [1 << 29, 16])
def test_all_gather(chunk, ranks, monkeypatch):
    rank, size = ranks
    monkeypatch.setattr(collectives, "CHUNK_BYTES", chunk)
    result = all_gather(np.full((rank, 2), rank, ml_dtypes.bfloat16))
    assert result.dtype == ml_dtypes.bfloat16
    expected = [[r, r] for r in range(size) for _ in range(r)]
    assert result.astype("f4").tolist() == expected
    assert result.shape == (len(expected), 2)
    assert all_gather(rank).tolist() == list(range(size))
    assert all_gather([[rank]]).tolist() == [[r] for r in range(size)]


@SIZES
@pytest.mark.parametrize("chunk", [1 << 29, 16])
def test_broadcast(chunk, ranks, monkeypatch):
    rank, size = ranks
    monkeypatch.setattr(collectives, "CHUNK_BYTES", chunk)
    root = size - 1
    for dtype in DTYPES:
        given = np.arange(12).reshape(3, 4).astype(dtype)
        for others in (None, np.zeros((3, 4), dtype)):
            result = broadcast(given if rank == root else others, root)
            assert result.dtype == given.dtype.newbyteorder("=")
            np.testing.assert_array_equal(result, given)
            assert not np.shares_memory(result, given)
    assert broadcast("größe" if rank == 0 else None) == "größe"
    buffer = np.full(9, rank, "i4")
    assert broadcast_inplace(buffer, root) is buffer
    assert buffer.tolist() == [root] * 9


@SIZES
def test_agree(ranks):
    rank, size = ranks
    found = agree([rank, 5, -rank])
    assert found.lowest.tolist() == [0, 5, 1 - size]
    assert found.highest.tolist() == [size - 1, 5, 0]
    assert found.same.tolist() == [size == 1, True, size == 1]

    found = agree([0.5, -0.0 if rank else 0.0, np.nan, -np.inf, float(rank), -1.5 * rank])
    assert found.same.tolist() == [True, True, True, True, size == 1, size == 1]
    np.testing.assert_array_equal(found.lowest, [0.5, 0, np.nan, -np.inf, 0, 1.5 - 1.5 * size])
    np.testing.assert_array_equal(found.highest, [0.5, 0, np.nan, -np.inf, size - 1, 0])

    assert not agree([np.nan if rank == 0 else 1.0]).same[0] or size == 1
    assert not agree(np.array([2**64 - 1 - rank], "u8")).same[0] or size == 1
    long = agree(np.arange(200) + rank)
    assert long.highest.tolist() == list(range(size - 1, 199 + size))
    assert long.lowest.tolist() == list(range(200))


@SIZES
def test_calls_are_counted(ranks):
    barrier()
    ordinal, text = last_call()
    assert text == "barrier"
    all_reduce(np.zeros((2, 3), "f4"), "max")
    assert last_call() == (ordinal + 1, "all_reduce max of float32 of shape (2, 3)")


@SIZES
def test_calls_of_two_threads_do_not_mix(ranks):
    """Each call is whole: a second thread waits for its turn."""
    size = ranks[1]
    results = []

    def work():
        for _ in range(50):
            results.append(float(all_reduce(np.ones(1000)).sum()))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [1000.0 * size] * 100


# What rank 0 calls, what the others call, and what the error then says.
MISMATCHES = {
    "kind": (barrier, lambda: all_reduce(1), "rank 0: barrier, "),
    "shape": (
        lambda: all_reduce(np.zeros(2)),
        lambda: all_reduce(np.zeros(3)),
        "ranks 1, 2: all_reduce sum of float64 of shape (3,)",
    ),
    "dtype": (
        lambda: all_gather(np.zeros(2)),
        lambda: all_gather(np.zeros(2, "f4")),
        "all_gather float32 of shape (rows)",
    ),
    "op": (
        lambda: all_reduce(1, "max"),
        lambda: all_reduce(1, "min"),
        "rank 0: all_reduce max of int64",
    ),
    "root": (lambda: broadcast(1, 0), lambda: broadcast(1, 1), "shape () from rank 1"),
    "root without data": (lambda: broadcast(root=1), lambda: broadcast(1, 0), "from rank 1"),
    "broadcast": (
        lambda: broadcast(np.zeros(2)),
        lambda: broadcast(np.zeros(1)),
        "rank 0: broadcast float64 of shape (2,)",
    ),
    "length": (lambda: agree([1]), lambda: agree([1, 2]), "agree 2 integers"),
    "numbers": (lambda: agree([1]), lambda: agree([1.0]), "agree 1 floats"),
}


@pytest.mark.mpi(min_size=3)
@pytest.mark.parametrize("case", MISMATCHES)
def test_ranks_that_differ_are_told(case, ranks):
    first, others, says = MISMATCHES[case]
    with pytest.raises(CollectiveMismatchError) as caught:
        (first if ranks[0] == 0 else others)()
    assert says in str(caught.value)
    assert "test_collectives.py:" in str(caught.value)
    barrier()  # and nobody waits for anybody


@SIZES
def test_arguments_are_checked_before_anything_is_sent(ranks):
    readonly = np.zeros(3)
    readonly.flags.writeable = False
    wrong = [
        (ArgumentError, lambda: all_reduce(1, "mean")),
        (ArgumentError, lambda: all_reduce_inplace([1.0])),
        (ArgumentError, lambda: all_reduce_inplace(np.zeros((4, 4)).T[1:])),
        (ArgumentError, lambda: all_reduce_inplace(readonly)),
        (ArgumentError, lambda: all_reduce_inplace(np.zeros(3, ">f4"))),
        (ArgumentError, lambda: broadcast(1, root=ranks[1])),
        (ArgumentError, lambda: broadcast_inplace(np.zeros(3), root=-1)),
        (ArgumentError, lambda: broadcast(None)),
        (ArgumentError, lambda: agree([[1]])),
        (ArgumentError, lambda: agree(["a"])),
        (DTypeError, lambda: all_reduce(["a"])),
        (DTypeError, lambda: all_reduce([object()])),
        (DTypeError, lambda: all_gather([None])),
        (DTypeError, lambda: all_reduce(np.ones(2, "c8"), "max")),
        (DTypeError, lambda: all_reduce_inplace(np.ones(2, bool))),
    ]
    for error, call in wrong:
        with pytest.raises(error):
            call()
    barrier()
