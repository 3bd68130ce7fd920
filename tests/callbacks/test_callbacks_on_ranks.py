"""Callbacks on real ranks: all decide alike, one writes, and a failure reaches everybody."""

import os
import textwrap

import numpy as np
import pytest

import distkeras as keras
from distkeras import distribution
from distkeras.callbacks import (
    BackupAndRestore,
    Callback,
    CSVLogger,
    EarlyStopping,
    LambdaCallback,
    ModelCheckpoint,
    ReduceLROnPlateau,
    TerminateOnNaN,
)
from distkeras.errors import UnwritableFileError

SIZES = pytest.mark.mpi(sizes=(2, 4))
X = np.random.default_rng(0).standard_normal((20, 3)).astype("float32")
Y = X.sum(1, keepdims=True)


@pytest.fixture(autouse=True)
def ranks():
    """Every test here runs on the world that its process was started in."""
    distribution.initialize()


def small(optimizer="sgd"):
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(optimizer, "mse", metrics=["mae"])
    return model


def fit(*callbacks, model=None, epochs=3, **settings):
    model = model or small()
    settings = {"batch_size": 6, "validation_split": 0.2, "verbose": 0, **settings}
    history = model.fit(X, Y, epochs=epochs, callbacks=list(callbacks), **settings)
    return model, history


@SIZES
def test_logs_of_epochs_are_the_same_everywhere(comm):
    seen = []
    _, history = fit(LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(dict(logs))))
    everywhere = comm.allgather((seen, history.history))
    assert len(seen) == 3
    assert all(other == everywhere[0] for other in everywhere)


@SIZES
def test_stopping_and_rates_are_decided_alike(comm):
    stop = EarlyStopping("loss", mode="max", patience=1, restore_best_weights=True)
    plateau = ReduceLROnPlateau("loss", mode="max", patience=1, factor=0.5)
    model, history = fit(stop, plateau, epochs=9)
    # The loss falls, so the first epoch stays the best.
    assert history.epoch == [0, 1]
    assert float(model.optimizer.learning_rate) == pytest.approx(0.005)
    once, _ = fit(epochs=1)
    for found, expected in zip(model.get_weights(), once.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert len(set(comm.allgather(model.get_weights()[0].tobytes()))) == 1


@SIZES
def test_one_rank_that_wants_to_stop_stops_all(comm):
    class Stop(Callback):
        def on_train_batch_end(self, batch, logs=None):
            if distribution.rank() == 1 and batch == 1:
                self.model.stop_training = True

    steps = []
    count = LambdaCallback(on_train_batch_end=lambda batch, logs: steps.append(batch))
    _, history = fit(Stop(), count)
    assert comm.allgather((steps, history.epoch)) == [([0, 1], [0])] * comm.size


@SIZES
def test_nan_on_one_rank_stops_all(comm):
    x = X.copy()
    x[-1] = np.nan  # a row of the last rank
    model = small()
    history = model.fit(
        x, Y, batch_size=20, shuffle=False, epochs=3, verbose=0, callbacks=[TerminateOnNaN()]
    )
    assert comm.allgather(history.epoch) == [[0]] * comm.size


@SIZES
def test_checkpoints_are_written_once(comm, shared_tmp_path):
    pattern = shared_tmp_path / "runs/{epoch:02d}-{val_loss:.3f}.keras"
    model, history = fit(ModelCheckpoint(pattern, save_best_only=True))
    names = [f"{e + 1:02d}-{v:.3f}.keras" for e, v in enumerate(history.history["val_loss"])]
    assert sorted(os.listdir(shared_tmp_path / "runs")) == names
    loaded = keras.saving.load_model(shared_tmp_path / "runs" / names[-1])
    np.testing.assert_array_equal(loaded.get_weights()[0], model.get_weights()[0])


@SIZES
def test_checkpoints_by_batches_are_decided_by_global_values(comm, shared_tmp_path):
    pattern = shared_tmp_path / "{epoch}-{batch}-{loss:.4f}.weights.h5"
    saver = ModelCheckpoint(
        pattern, "loss", save_best_only=True, save_weights_only=True, save_freq=2, mode="min"
    )
    fit(saver)
    assert len(os.listdir(shared_tmp_path)) >= 1
    assert len(set(comm.allgather(saver.best))) == 1


@SIZES
def test_csv_is_written_once(comm, shared_tmp_path):
    _, history = fit(CSVLogger(shared_tmp_path / "log.csv"))
    comm.barrier()
    lines = (shared_tmp_path / "log.csv").read_text().splitlines()
    assert lines[0] == "epoch,loss,mae,val_loss,val_mae"
    assert [float(line.split(",")[1]) for line in lines[1:]] == history.history["loss"]


@SIZES
@pytest.mark.parametrize("writer", ["csv", "model", "weights", "backup"])
def test_a_failing_writer_raises_on_all_ranks(writer, comm, shared_tmp_path):
    if comm.rank == 0:
        (shared_tmp_path / "file").write_text("")
    comm.barrier()
    path = shared_tmp_path / "file/below"  # no directory can be made there
    callback = {
        "csv": lambda: CSVLogger(path),
        "model": lambda: ModelCheckpoint(f"{path}/m.keras"),
        "weights": lambda: ModelCheckpoint(f"{path}/m.weights.h5", save_weights_only=True),
        "backup": lambda: BackupAndRestore(path),
    }[writer]()
    with pytest.raises(OSError) as caught:
        fit(callback)
    if comm.rank:
        assert isinstance(caught.value, UnwritableFileError)
        assert "Rank 0 could not" in str(caught.value)
    fit()  # and the ranks are still together


@SIZES
def test_a_backup_is_taken_up_by_all(comm, shared_tmp_path):
    whole, _ = fit(model=small("adam"), shuffle=False, epochs=4)

    def interrupt(epoch, logs):
        if epoch == 1:
            raise KeyboardInterrupt

    backup = BackupAndRestore(shared_tmp_path / "backup")
    with pytest.raises(KeyboardInterrupt):
        fit(
            backup,
            LambdaCallback(on_epoch_end=interrupt),
            model=small("adam"),
            shuffle=False,
            epochs=4,
        )
    again, history = fit(backup, model=small("adam"), shuffle=False, epochs=4)
    assert history.epoch == [2, 3]
    np.testing.assert_allclose(again.get_weights()[0], whole.get_weights()[0], rtol=1e-6)
    comm.barrier()
    assert not os.path.exists(shared_tmp_path / "backup")


@SIZES
def test_callbacks_of_one_rank_are_local(comm, shared_tmp_path):
    class Local(Callback):
        runs_on = 1

        def __init__(self):
            super().__init__()
            self.seen = []

        def on_train_batch_end(self, batch, logs=None):
            self.seen.append(batch)

        def on_epoch_end(self, epoch, logs=None):
            loss = self.model.evaluate(X, Y, verbose=0)[0]  # on all rows, by this rank alone
            self.seen.append(loss)
            self.model.save(shared_tmp_path / "local.keras")

    local = Local()
    model, _ = fit(local, epochs=1)
    expected = model.evaluate(X, Y, verbose=0)[0]
    comm.barrier()
    assert (shared_tmp_path / "local.keras").exists()
    if comm.rank == 1:
        assert local.seen == [0, 1, 2, pytest.approx(expected, rel=1e-5)]
    else:
        assert local.seen == []


@SIZES
def test_a_callback_that_evaluates(comm):
    values = []

    class Evaluate(Callback):
        def on_epoch_end(self, epoch, logs=None):
            values.append(self.model.evaluate(X, Y, batch_size=7, verbose=0)[0])

    model, history = fit(Evaluate(), epochs=2)
    assert len(history.history["loss"]) == 2
    assert values[-1] == pytest.approx(model.evaluate(X, Y, verbose=0)[0], rel=1e-5)
    assert comm.allgather(values) == [values] * comm.size


PROGRAM = """
import numpy as np
import distkeras as keras
from distkeras import distribution

class Fails(keras.callbacks.Callback):
    def {event}(self, *args, **kwargs):
        if distribution.rank() == 1:
            raise LookupError("the callback of rank 1")

def batches():
    for i in range(9):
        if {in_data} and i == 2 and distribution.rank() == 1:
            raise LookupError("the generator of rank 1")
        yield np.ones((4, 2)), np.ones((4, 1))

model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(batches(), epochs=1, verbose=0, callbacks=[Fails()])
print("not reached")
"""


@pytest.mark.parametrize("where", ["on_train_begin", "on_train_batch_end", "on_epoch_end", "data"])
def test_an_exception_on_one_rank_ends_the_job(where, needs_mpi, run_program, tmp_path):
    script = tmp_path / "train.py"
    event = "on_nothing" if where == "data" else where
    script.write_text(textwrap.dedent(PROGRAM.format(event=event, in_data=where == "data")))
    done = run_program(["-m", "distkeras.launch", script], n=2, timeout=30)
    assert not done.timed_out
    assert done.returncode != 0
    assert "of rank 1" in done.stderr + done.stdout
    assert "not reached" not in done.stdout
    assert not done.orphans
