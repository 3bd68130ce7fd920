"""Saving on N ranks: one file, written once; a failure is raised on all ranks."""

import numpy as np
import pytest

import distkeras as keras
from distkeras.errors import SavingError
from distkeras.saving.once import write_once


@pytest.mark.mpi(min_size=3)
def test_rank_0_writes_and_all_read(comm, shared_tmp_path):
    keras.distribution.initialize()
    keras.utils.set_random_seed(5)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    for name in ("m.keras", "m.h5"):
        model.save(shared_tmp_path / name)
        again = keras.saving.load_model(shared_tmp_path / name, compile=False)
        np.testing.assert_array_equal(again.get_weights()[0], model.get_weights()[0])
        comm.barrier()


@pytest.mark.mpi(min_size=3)
def test_a_failure_is_raised_on_all_ranks(comm, shared_tmp_path):
    keras.distribution.initialize()
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    with pytest.raises(SavingError, match="create it first"):
        model.save(shared_tmp_path / "none" / "m.keras")
    assert comm.allreduce(1) == comm.size  # nobody is left behind


@pytest.mark.mpi(min_size=2)
def test_only_one_rank_calls_the_writer(comm, shared_tmp_path):
    keras.distribution.initialize()
    calls = []
    write_once(str(shared_tmp_path / "a"), lambda: calls.append((shared_tmp_path / "a").touch()))
    assert comm.allreduce(len(calls)) == 1
    assert len(calls) == (comm.rank == 0)
