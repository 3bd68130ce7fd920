"""What a run's checkpoints hold: programs that are interrupted and resumed in one process.

Real processes that are killed are in `test_kills.py`.
"""

import contextlib
import os
import random
import threading

import numpy as np
import pytest

import distkeras as keras
from distkeras import layers
from distkeras.callbacks import Callback
from distkeras.errors import ArgumentError, CheckpointError, UnwritableFileError
from distkeras.saving import checkpoints
from distkeras.training import run_state
from distkeras.training.recorder import Recorder
from distkeras.utils.intervals import parse_interval

X = np.random.default_rng(0).standard_normal((30, 4)).astype("float32")
Y = X.sum(1, keepdims=True)


class Crash(Exception):
    """Stands for the end of a process."""


class CrashAt(Callback):
    """Raises after so many steps of all fits; `None` for never."""

    steps = None

    def on_train_batch_end(self, batch, logs=None):
        if CrashAt.steps is not None:
            CrashAt.steps -= 1
            if CrashAt.steps < 0:
                raise Crash


@pytest.fixture(autouse=True)
def not_recorded(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # a power cut is not what is tested
    yield
    run_state.record(None)
    CrashAt.steps = None


def net(units=5, optimizer="adam", **settings):
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(units), layers.Dropout(0.2), layers.Dense(1)]
    )
    model.compile(optimizer, "mse", metrics=["mae"], **settings)
    return model


def run(program):
    """The arrays that a program returns; the program starts as in a process of its own."""
    keras.utils.set_random_seed(5)
    return [np.asarray(each) for each in program()]


def recorded(program, folder, every, crash=None, resume=None):
    """Run with a recorder; the results, or `None` after a crash."""
    recorder = Recorder(folder, every and parse_interval(every), keep=3)
    if resume is not None:
        said = []
        recorder.resume(checkpoints.find(resume), said.append)
    run_state.record(recorder)
    CrashAt.steps = crash
    try:
        with contextlib.suppress(Crash):
            return run(program)
    finally:
        recorder._join()
        run_state.record(None)
        CrashAt.steps = None


def check_exact(program, tmp_path, crash, every="3"):
    """A program that crashed and was resumed must give what an undisturbed one gives."""
    expected = run(program)
    assert recorded(program, tmp_path / "a", every, crash) is None
    found = recorded(program, tmp_path / "b", every, resume=tmp_path)
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)
    return found


def results(*models):
    for model in models:
        yield from model.get_weights()
        if model.history is not None:
            for _, values in sorted(model.history.history.items()):
                yield values
    yield random.random()
    yield np.random.rand()
    yield keras.random.uniform((2,)).numpy()


# --- programs ---


def two_fits_of_one_model():
    model = net()
    model.fit(X, Y, 8, 2, 0, [CrashAt()], validation_split=0.2)
    first = dict(model.history.history)
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), "mae")
    model.fit(X, Y, 7, 3, 0, [CrashAt()])
    return [*results(model), *first["loss"]]


def clipping_and_averages():
    optimizer = keras.optimizers.AdamW(
        keras.optimizers.schedules.ExponentialDecay(0.1, 5, 0.9),
        use_ema=True,
        ema_overwrite_frequency=4,
        global_clipnorm=1.0,
        gradient_accumulation_steps=2,
    )
    model = net(optimizer=optimizer)
    model.fit(X, Y, 8, 3, 0, [CrashAt()])
    return results(model)


def loss_scale():
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(), dynamic_growth_steps=3)
    model = net(optimizer=optimizer)
    model.fit(X, Y, 8, 3, 0, [CrashAt()])
    return [*results(model), optimizer.dynamic_scale.numpy()]


def schedules_of_callbacks():
    model = net()
    halve = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5)
    slower = keras.callbacks.ReduceLROnPlateau("loss", patience=1, min_delta=10.0)
    model.fit(X, Y, 8, 4, 0, [halve, slower, CrashAt()])
    return [*results(model), float(model.optimizer.learning_rate)]


def stopping_early():
    model = net()
    stop = keras.callbacks.EarlyStopping(
        "loss", min_delta=10.0, patience=2, restore_best_weights=True
    )
    model.fit(X, Y, 8, 9, 0, [stop, CrashAt()])
    return [*results(model), stop.stopped_epoch]


def stopping_within_an_epoch():
    model = net()

    class Stop(Callback):
        def on_train_batch_end(self, batch, logs=None):
            if self.model.optimizer.iterations.numpy() == 6:
                self.model.stop_training = True

    model.fit(X, Y, 8, 9, 0, [Stop(), CrashAt()])
    model.fit(X, Y, 8, 1, 0, [CrashAt()])
    return results(model)


def random_numbers_of_callbacks():
    class Draws(Callback):
        def on_train_batch_end(self, batch, logs=None):
            random.random(), np.random.rand(), keras.random.uniform(())

    model = net()
    model.fit(X, Y, 8, 4, 0, [Draws(), CrashAt()])
    return results(model)


def limited_epochs():
    model = net()
    model.fit(X, Y, 7, 5, 0, [CrashAt()], steps_per_epoch=3)
    return results(model)


def a_generator():
    def batches():
        while True:
            rows = np.random.randint(0, 30, 6)
            yield X[rows], Y[rows] + random.random()

    model = net()
    model.fit(batches(), epochs=3, steps_per_epoch=4, verbose=0, callbacks=[CrashAt()])
    return results(model)


def one_generator_for_two_fits():
    def batches():
        rng = np.random.default_rng(3)
        while True:
            rows = rng.integers(0, 30, 6)
            yield X[rows], Y[rows]

    model, given = net(), batches()
    model.fit(given, epochs=2, steps_per_epoch=3, verbose=0, callbacks=[CrashAt()])
    model.fit(given, epochs=2, steps_per_epoch=4, verbose=0, callbacks=[CrashAt()])
    return results(model)


class Loader:
    """Batches in an order of its own for each epoch, drawn from NumPy's random numbers."""

    def __iter__(self):
        order = np.random.permutation(30)
        for start in range(0, 30, 7):
            rows = order[start : start + 7]
            yield X[rows], Y[rows]


class LoaderWithState(Loader):
    def __init__(self):
        self.rng = np.random.default_rng(1)

    def __iter__(self):
        for _ in range(5):
            rows = self.rng.integers(0, 30, 6)
            yield X[rows], Y[rows]

    def get_state(self):
        return self.rng.bit_generator.state["state"]["state"].to_bytes(16, "little").hex()

    def set_state(self, state):
        whole = self.rng.bit_generator.state
        whole["state"]["state"] = int.from_bytes(bytes.fromhex(state), "little")
        self.rng.bit_generator.state = whole


def a_loader():
    model = net()
    model.fit(Loader(), epochs=4, verbose=0, callbacks=[CrashAt()])
    return results(model)


def a_loader_with_state():
    model = net()
    model.fit(LoaderWithState(), epochs=4, verbose=0, callbacks=[CrashAt()])
    return results(model)


class Shuffled(keras.utils.PyDataset):
    """Shuffles itself after each epoch, as Keras's guides have it."""

    def __init__(self):
        super().__init__()
        self.order = np.arange(30)

    def __len__(self):
        return 5

    def __getitem__(self, i):
        rows = self.order[6 * i : 6 * i + 6]
        return X[rows], Y[rows]

    def on_epoch_end(self):
        self.order = np.random.permutation(30)


def a_dataset():
    model = net()
    model.fit(Shuffled(), epochs=4, verbose=0, callbacks=[CrashAt()])
    return results(model)


class Gan(keras.Model):
    """Two optimizers, no `call`, and metrics of its own."""

    def __init__(self):
        super().__init__()
        self.maker = keras.Sequential([keras.Input((2,)), layers.Dense(4)])
        self.judge = keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.Dense(1)])
        self.seeds = keras.random.SeedGenerator(1)
        self.mean = keras.metrics.Mean(name="d_loss")

    def compile(self, maker, judge):
        super().compile()
        self.maker_optimizer, self.judge_optimizer = maker, judge

    @property
    def metrics(self):
        return [self.mean]

    def train_step(self, data):
        rows = keras.ops.shape(data)[0]
        noise = keras.random.normal((rows, 2), seed=self.seeds)
        with keras.GradientTape() as tape:
            fake, real = self.judge(self.maker(noise)), self.judge(data)
            loss = keras.ops.mean(keras.ops.square(fake) + keras.ops.square(real - 1.0))
        weights = self.judge.trainable_weights
        self.judge_optimizer.apply(tape.gradient(loss, weights), weights)
        with keras.GradientTape() as tape:
            g_loss = keras.ops.mean(keras.ops.square(self.judge(self.maker(noise)) - 1.0))
        weights = self.maker.trainable_weights
        self.maker_optimizer.apply(tape.gradient(g_loss, weights), weights)
        self.mean.update_state(loss)
        return {"d_loss": self.mean.result(), "g_loss": g_loss}


def two_optimizers():
    model = Gan()
    model.compile(keras.optimizers.Adam(0.01), keras.optimizers.RMSprop(0.01))
    model.fit(X, batch_size=8, epochs=3, verbose=0, callbacks=[CrashAt()])
    return results(model)


def layers_made_by_the_first_step():
    model = Gan()
    model.maker = keras.Sequential([layers.Dense(4)])
    model.judge = keras.Sequential([layers.Dense(3), layers.Dropout(0.3), layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.01), keras.optimizers.RMSprop(0.01))
    model.fit(X, batch_size=8, epochs=3, verbose=0, callbacks=[CrashAt()])
    return results(model)


PROGRAMS = [
    layers_made_by_the_first_step,
    two_fits_of_one_model,
    clipping_and_averages,
    loss_scale,
    schedules_of_callbacks,
    stopping_early,
    stopping_within_an_epoch,
    random_numbers_of_callbacks,
    limited_epochs,
    a_generator,
    one_generator_for_two_fits,
    a_loader,
    a_loader_with_state,
    a_dataset,
    two_optimizers,
]


@pytest.mark.parametrize("crash", [5, 9])
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_resumed_exactly(tmp_path, program, crash):
    crash -= program is stopping_within_an_epoch  # it is shorter
    check_exact(program, tmp_path, crash)


@pytest.mark.parametrize("program", [stopping_within_an_epoch, limited_epochs, two_optimizers])
def test_resumed_from_the_step_before(tmp_path, program):
    check_exact(program, tmp_path, 6, every="1")


@pytest.mark.parametrize("program", [two_fits_of_one_model, a_dataset, a_loader, stopping_early])
def test_resumed_from_the_end_of_an_epoch(tmp_path, program):
    check_exact(program, tmp_path, 9, every="epoch")


def test_recording_changes_nothing(tmp_path):
    for number, program in enumerate(PROGRAMS):
        expected = run(program)
        found = recorded(program, tmp_path / str(number), "5")
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_finished_program_trains_nothing_again(tmp_path):
    expected = recorded(two_fits_of_one_model, tmp_path / "a", "3")
    found = recorded(two_fits_of_one_model, tmp_path / "b", "3", crash=0, resume=tmp_path)
    assert found is not None, "a step was made"
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_finished_fit_is_not_made_longer(tmp_path):
    recorded(program_of(), tmp_path / "a", "3")
    with pytest.warns(UserWarning, match=r"had finished with epochs=2.*now asks for epochs=5"):
        recorded(program_of(fit={"epochs": 5}), tmp_path / "b", "3", resume=tmp_path)


def test_chains_of_crashes(tmp_path):
    expected = run(two_fits_of_one_model)
    crash = 4
    for number in range(20):
        found = recorded(two_fits_of_one_model, tmp_path / str(number), "1", crash, tmp_path)
        if found is not None:
            break
    assert number > 3
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_newest_are_kept(tmp_path):
    recorded(two_fits_of_one_model, tmp_path, "2")
    names = {each.path.name for each in checkpoints.find(tmp_path)}
    ends = {"fit001-end", "fit002-end"}
    assert names >= ends
    assert sorted(names - ends) == [f"fit002-step{n:010d}" for n in (10, 12, 14)]


def test_what_is_not_asked_for_is_not_written(tmp_path):
    recorded(two_fits_of_one_model, tmp_path / "a", "3", 7)
    recorded(two_fits_of_one_model, tmp_path / "b", None, resume=tmp_path / "a")
    assert not (tmp_path / "b").exists()


# --- what does not fit ---


def program_of(**settings):
    def program():
        model = net(**settings.get("net", {}))
        given = {"batch_size": 8, "epochs": 2, "verbose": 0, **settings.get("fit", {})}
        model.fit(X[: settings.get("samples", 30)], Y[: settings.get("samples", 30)], **given)
        return results(model)

    return program


@pytest.mark.parametrize(
    "changed, says",
    [
        ({"net": {"units": 6}}, r"dense\w*/kernel: trainable kernel \(4, 5\).*, .*\(4, 6\)"),
        ({"net": {"optimizer": "sgd"}}, "optimizers: Adam in the checkpoint, SGD here"),
        ({"fit": {"batch_size": 10}}, "batch_size: 8 in the checkpoint, 10 here"),
        ({"samples": 29}, "samples: 30 in the checkpoint, 29 here"),
        ({"fit": {"steps_per_epoch": 2}}, "steps_per_epoch: None in the checkpoint, 2 here"),
    ],
)
def test_another_program_is_told_apart(tmp_path, changed, says):
    recorded(program_of(), tmp_path / "a", "3")
    with pytest.raises(CheckpointError, match=says):
        recorded(program_of(**changed), tmp_path / "b", "3", resume=tmp_path)


def test_another_model_is_told_apart(tmp_path):
    def program(swapped=False):
        a, b = net(), net()
        a.fit(X, Y, 8, 1, 0, [CrashAt()])
        (a if swapped else b).fit(X, Y, 8, 2, 0, [CrashAt()])
        return results(a, b)

    recorded(program, tmp_path / "a", "1", crash=6)
    with pytest.raises(CheckpointError, match=r"model 2; here it trains model 1"):
        recorded(lambda: program(True), tmp_path / "b", "1", resume=tmp_path)


def test_a_damaged_checkpoint_is_passed_over(tmp_path):
    expected = run(two_fits_of_one_model)
    recorded(two_fits_of_one_model, tmp_path / "a", "1", crash=5)
    newest, before, *_ = checkpoints.find(tmp_path)
    path = newest.path / "arrays.bin"
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    recorder = Recorder(tmp_path / "b", None)
    said = []
    assert recorder.resume(checkpoints.find(tmp_path), said.append).path == before.path
    assert len(said) == 1
    assert str(newest.path) in said[0]
    assert "arrays.bin has changed" in said[0]
    found = recorded(two_fits_of_one_model, tmp_path / "c", "3", resume=tmp_path)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_lost_end_state_is_told(tmp_path):
    recorded(two_fits_of_one_model, tmp_path, "1", crash=9)
    found = checkpoints.find(tmp_path)
    checkpoints.remove(next(c for c in found if c.path.name == "fit001-end"))
    said = []
    chosen = Recorder(tmp_path / "b", None).resume(checkpoints.find(tmp_path), said.append)
    assert chosen is None or chosen.about["fit"] == 0
    assert "the end state of fit 1 is missing" in said[0]


# --- callbacks ---


class Remembers(Callback):
    def __init__(self, state):
        super().__init__()
        self.state, self.events = state, []

    def on_train_begin(self, logs=None):
        self.events.append("begin")

    def on_epoch_begin(self, epoch, logs=None):
        self.events.append(f"epoch {epoch}")

    def get_state(self):
        return self.state

    def set_state(self, state):
        self.events.append("set")
        self.state = state


def test_callbacks_get_their_state_back(tmp_path):
    saved = {"list": [1, (2.5, None)], 3: np.arange(4.0), "number": np.float32(1.5)}
    recorded(program_of(fit={"callbacks": [Remembers(saved), CrashAt()]}), tmp_path, "3", 5)
    callback = Remembers(None)
    recorded(program_of(fit={"callbacks": callback}), tmp_path / "b", "3", resume=tmp_path)
    assert callback.events == ["begin", "epoch 0", "set", "epoch 1"]
    assert callback.state["list"] == [1, (2.5, None)]
    np.testing.assert_array_equal(callback.state[3], np.arange(4.0))
    assert isinstance(callback.state["number"], np.float32)


def test_a_state_that_cannot_be_saved_is_named(tmp_path):
    program = program_of(fit={"callbacks": Remembers({"lock": threading.Lock()})})
    with pytest.raises(ArgumentError, match=r"a callback's state\['Remembers/0'\]\['lock'\] is of"):
        recorded(program, tmp_path, "3")
    assert list(checkpoints.find(tmp_path)) == []


def test_csv_lines_are_written_once(tmp_path):
    def program(name):
        def inner():
            model = net()
            table = keras.callbacks.CSVLogger(str(tmp_path / name))
            model.fit(X, Y, 8, 4, 0, [table, CrashAt()])
            return results(model)

        return inner

    run(program("expected.csv"))
    # The checkpoint is from the middle of the second epoch, the crash from the third.
    recorded(program("log.csv"), tmp_path / "a", "6", crash=11)
    recorded(program("log.csv"), tmp_path / "b", "6", resume=tmp_path)
    assert (tmp_path / "log.csv").read_text() == (tmp_path / "expected.csv").read_text()


def test_backup_and_restore_defers(tmp_path, capsys):
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    recorded(program_of(fit={"callbacks": [backup]}), tmp_path / "a", "3")
    assert capsys.readouterr().out.count("BackupAndRestore: the launcher writes checkpoints") == 1
    assert not (tmp_path / "backup").exists()


# --- when ---


def test_by_the_clock(tmp_path):
    recorded(program_of(), tmp_path / "a", "0.001s")
    steps = [c for c in checkpoints.find(tmp_path / "a") if not c.about["finished"]]
    assert steps
    recorded(program_of(), tmp_path / "b", "10h")
    assert [c.about["finished"] for c in checkpoints.find(tmp_path / "b")] == [True]


def test_at_once(tmp_path):
    """In a validation, as a signal may ask for it; not within a step."""
    seen = []

    class Now(Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(run_state.checkpoint_now(self.model))

        def on_test_batch_end(self, batch, logs=None):
            if self.model.optimizer.iterations.numpy() == 8:  # after two of three epochs
                seen.append(run_state.checkpoint_now(self.model))
                raise Crash

    def program(*callbacks):
        def inner():
            model = net()
            model.fit(X, Y, 8, 3, 0, list(callbacks), validation_data=(X, Y))
            return results(model)

        return inner

    assert run_state.checkpoint_now(None) is None
    expected = run(program())
    assert recorded(program(Now()), tmp_path / "a", "10h") is None
    assert seen[:8] == [None] * 8
    assert seen[8] == str(tmp_path / "a" / "fit001-step0000000008")
    assert [c.about["step"] for c in checkpoints.find(tmp_path)] == [4]
    found = recorded(program(), tmp_path / "b", "10h", resume=tmp_path)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_fit_within_a_fit_belongs_to_it(tmp_path):
    def program():
        inner = net()

        class Trains(Callback):
            def on_epoch_end(self, epoch, logs=None):
                inner.fit(X, Y, 8, 1, 0)

        model = net()
        model.fit(X, Y, 8, 2, 0, [Trains(), CrashAt()])
        return results(model)

    recorded(program, tmp_path, "3")
    assert {c.about["fit"] for c in checkpoints.find(tmp_path)} == {0}


def test_a_writer_that_fails_ends_the_training(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UnwritableFileError, match=r"file.*cannot be written.*write elsewhere"):
        recorded(program_of(), tmp_path / "file", "1")
