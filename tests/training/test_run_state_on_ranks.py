"""Each rank's own state in checkpoints, and errors that reach all ranks."""

import os
import random

import numpy as np
import pytest

import distkeras as keras
from distkeras import distribution
from distkeras.callbacks import Callback
from distkeras.errors import CheckpointError, SavingError, UnwritableFileError
from distkeras.saving import checkpoints
from distkeras.training import run_state
from distkeras.training.recorder import Recorder
from distkeras.utils.intervals import parse_interval

SIZES = pytest.mark.mpi(sizes=(2, 3))
X = np.random.default_rng(0).standard_normal((20, 3)).astype("float32")
Y = X.sum(1, keepdims=True)


class Crash(Exception):
    """Stands for the end of the job."""


@pytest.fixture(autouse=True)
def ranks():
    distribution.initialize()
    yield
    run_state.record(None)


class Draws(Callback):
    """A state for each rank, from random numbers that differ between ranks."""

    def __init__(self, runs_on="all"):
        super().__init__()
        self.runs_on = runs_on
        self.sum = 0.0

    def on_train_batch_end(self, batch, logs=None):
        self.sum += random.random() + np.random.rand()

    def get_state(self):
        return self.sum

    def set_state(self, state):
        self.sum = state


def program(crash=None, own=None):
    """What every rank can tell after a training, which may crash after so many steps."""
    keras.utils.set_random_seed(3)
    random.seed(distribution.rank())
    np.random.seed(distribution.rank())
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.Dense(1)])
    model.compile("adam", "mse", metrics=["mae", keras.metrics.AUC(name="auc")])
    local = Draws(runs_on=distribution.size() - 1)

    class Crashes(Callback):
        def on_train_batch_end(self, batch, logs=None):
            if int(self.model.optimizer.iterations.numpy()) == crash:
                raise Crash

    history = model.fit(
        X, (Y > 0).astype("float32"), 6, 4, 0, [local, Crashes(), *([own] if own else [])]
    )
    metrics = [value for _, values in sorted(history.history.items()) for value in values]
    return [*model.get_weights(), *metrics, local.sum, random.random(), np.random.rand()]


def recorded(folder, every="2", resume=None, **settings):
    recorder = Recorder(folder, parse_interval(every), keep=2)
    if resume is not None:
        rank0 = distribution.rank() == 0
        recorder.resume(checkpoints.find(resume) if rank0 else [], lambda text: None)
    run_state.record(recorder)
    try:
        return program(**settings)
    except Crash:
        recorder._join()
        distribution.barrier()
        return None
    finally:
        run_state.record(None)


@SIZES
@pytest.mark.parametrize("crash", [4, 10])
def test_every_rank_gets_its_own_back(comm, shared_tmp_path, crash):
    expected = program()
    assert len({float(each[-1]) for each in comm.allgather(expected)}) == comm.size
    assert recorded(shared_tmp_path / "a", crash=crash) is None
    found = recorded(shared_tmp_path / "b", resume=shared_tmp_path)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


@SIZES
def test_the_clock_of_one_rank_decides(comm, shared_tmp_path):
    recorded(shared_tmp_path, every="0.001s")
    if comm.rank == 0:
        assert len(checkpoints.find(shared_tmp_path)) == 3


@SIZES
def test_a_rank_that_stops_stops_the_resumed_one(comm, shared_tmp_path):
    class Stop(Callback):
        def on_train_batch_end(self, batch, logs=None):
            if distribution.rank() == distribution.size() - 1 and batch == 1:
                self.model.stop_training = True

    expected = program(own=Stop())
    recorded(shared_tmp_path / "a", own=Stop())
    if comm.rank == 0:
        (end,) = (c for c in checkpoints.find(shared_tmp_path) if c.about["finished"])
        checkpoints.remove(end)
    comm.barrier()
    found = recorded(shared_tmp_path / "b", resume=shared_tmp_path, crash=3)
    assert found is not None, "it went on after it had been stopped"
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


@SIZES
def test_a_disk_that_refuses_is_told_to_all(comm, shared_tmp_path):
    if comm.rank == 0:
        (shared_tmp_path / "file").write_text("in the way")
    comm.barrier()
    with pytest.raises(UnwritableFileError, match="cannot be written"):
        recorded(shared_tmp_path / "file")


@SIZES
def test_a_checkpoint_that_vanishes_is_told_to_all(comm, shared_tmp_path):
    recorded(shared_tmp_path / "a", crash=6)
    recorder = Recorder(shared_tmp_path / "b", None)
    recorder.resume(checkpoints.find(shared_tmp_path) if comm.rank == 0 else [], print)
    comm.barrier()
    if comm.rank == 0:
        for each in checkpoints.find(shared_tmp_path):
            os.truncate(each.path / "arrays.bin", 10)
    run_state.record(recorder)
    with pytest.raises(CheckpointError if comm.rank == 0 else SavingError, match="is damaged"):
        program()
