"""Training on N ranks gives the numbers of one process.

Each case of `exactness/table.py` trains small networks and returns everything that should not
depend on the number of ranks. Rank 0 computes what is expected, alone, in its own process; then all
ranks run the case together and compare. The networks are chosen well-conditioned (smooth
activations, modest rates), so that rounding stays rounding: `python -m exactness` says how far each
moves when it starts one rounding away, and runs the whole matrix.
"""

import numpy as np
import pytest

import distkeras as keras
from distkeras import distribution
from exactness.common import differences, run, single_process
from exactness.networks import NETWORKS, SIZES, WHOLE
from exactness.table import CASES

SINGLE, DOUBLE = 1e-5, 1e-12
OFTEN = [
    *WHOLE,
    *SIZES,
    "single batches",
    "metrics of every kind",
    # On 4 ranks some have one row of seven: sizes of 1 mean many things.
    "losses of every kind",
    "rows: neighbours",
    "rows: halves",
    "contrast",
]
FURTHER = [name for name in CASES if name not in OFTEN]


@pytest.fixture(autouse=True)
def ranks():
    """Every test here runs on the world that its process was started in."""
    distribution.initialize()
    yield
    keras.config.set_floatx("float32")


def expected(name, comm, floatx="float32"):
    """What one process computes: rank 0, while the others sleep."""
    found = None
    if comm.rank == 0:
        with single_process():
            found = run(CASES[name], floatx)
    distribution.barrier()  # it waits asleep
    return comm.bcast(found)


def assert_same(found, wanted, tolerance):
    far = {k: d for k, d in differences(found, wanted).items() if not d <= tolerance}
    assert not far, far


@pytest.mark.mpi(sizes=(2, 4))
@pytest.mark.parametrize("name", OFTEN)
def test_as_in_one_process(name, comm):
    assert_same(run(CASES[name]), expected(name, comm), SINGLE)


@pytest.mark.mpi(sizes=(3,))
@pytest.mark.parametrize("name", FURTHER)
def test_details_as_in_one_process(name, comm):
    assert_same(run(CASES[name]), expected(name, comm), SINGLE)


@pytest.mark.mpi(sizes=(3,))
@pytest.mark.parametrize("name", [*WHOLE, *NETWORKS])
def test_in_double_precision(name, comm):
    assert_same(run(CASES[name], "float64"), expected(name, comm, "float64"), DOUBLE)


@pytest.mark.mpi(sizes=(8,))
@pytest.mark.parametrize("name", ["cnn", "two masked outputs"])
def test_eight_ranks(name, comm):
    assert_same(run(CASES[name]), expected(name, comm), SINGLE)


@pytest.mark.mpi(sizes=(3,))
@pytest.mark.parametrize("name", WHOLE)
def test_two_runs_are_equal_bit_for_bit(name, comm):
    first, second = run(CASES[name]), run(CASES[name])
    for key, value in first.items():
        np.testing.assert_array_equal(value, second[key], err_msg=key)
    everywhere = comm.allgather(first)
    for key, value in everywhere[0].items():
        for other in everywhere[1:]:
            np.testing.assert_array_equal(other[key], value, err_msg=key)
