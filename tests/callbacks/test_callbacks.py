"""Callbacks in one process: what they do, write and say."""

import csv
import errno
import math
import os

import numpy as np
import pytest

import distkeras as keras
from distkeras.callbacks import (
    BackupAndRestore,
    Callback,
    CallbackList,
    CSVLogger,
    EarlyStopping,
    History,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ProgbarLogger,
    ReduceLROnPlateau,
    TerminateOnNaN,
)
from distkeras.errors import ArgumentError, DTypeError, UnwritableFileError

X = np.linspace(0, 1, 24, dtype="float32").reshape(8, 3)
Y = X.sum(1, keepdims=True)


def small(optimizer="sgd", **settings):
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(optimizer, "mse", metrics=["mae"], **settings)
    return model


class Scripted(Callback):
    """Puts values of our choice into the logs of epochs; stands before the callback under test."""

    def __init__(self, values, name="val_loss"):
        super().__init__()
        self.values, self.name = values, name

    def on_epoch_end(self, epoch, logs=None):
        logs[self.name] = self.values[epoch]


def run(callback, values, name="val_loss", epochs=None, model=None):
    model = model or small()
    history = model.fit(
        X,
        Y,
        batch_size=4,
        epochs=epochs or len(values),
        verbose=0,
        callbacks=[Scripted(values, name), callback],
    )
    return model, history


def test_the_events_of_fit_in_order():
    seen = []
    names = [n for n in dir(Callback) if n.startswith("on_") and "predict" not in n]

    def note(event):
        def method(self, *args, logs=None):
            numbers = [a for a in args if isinstance(a, int)]
            seen.append((event, *numbers) if numbers else event)

        return method

    class Records(Callback):
        pass

    for name in names:
        if name not in ("on_batch_begin", "on_batch_end"):
            setattr(Records, name, note(name))
    small().fit(X, Y, batch_size=4, validation_data=(X, Y), verbose=0, callbacks=[Records()])
    assert seen == [
        "on_train_begin",
        ("on_epoch_begin", 0),
        ("on_train_batch_begin", 0),
        ("on_train_batch_end", 0),
        ("on_train_batch_begin", 1),
        ("on_train_batch_end", 1),
        "on_test_begin",
        ("on_test_batch_begin", 0),
        ("on_test_batch_end", 0),
        ("on_test_batch_begin", 1),
        ("on_test_batch_end", 1),
        "on_test_end",
        ("on_epoch_end", 0),
        "on_train_end",
    ]


def test_old_batch_events_are_called():
    class Old(Callback):
        batches = ()

        def on_batch_end(self, batch, logs=None):
            self.batches += ((batch, sorted(logs)),)

    old = Old()
    small().fit(X, Y, batch_size=4, verbose=0, callbacks=old)
    assert old.batches == ((0, ["loss", "mae"]), (1, ["loss", "mae"]))


def test_list_adds_history_and_bar_last_and_keeps_given_ones():
    history, bar = History(), ProgbarLogger()
    mine = Callback()
    added = CallbackList([mine], add_history=True, add_progbar=True, model=small(), verbose=0)
    assert [type(c) for c in added.callbacks] == [Callback, History, ProgbarLogger]
    kept = CallbackList([history, [bar]], add_history=True, add_progbar=True, verbose=0)
    assert kept.callbacks == [history, bar]


@pytest.mark.parametrize("wrong", ["print", 3, [object()]])
def test_what_is_no_callback(wrong):
    with pytest.raises(DTypeError, match="Expected `Callback` instances"):
        small().fit(X, Y, verbose=0, callbacks=wrong)


@pytest.mark.parametrize("where", [-1, "first", 1.5, True])
def test_runs_on_must_be_a_rank(where):
    callback = Callback()
    callback.runs_on = where
    with pytest.raises(ArgumentError, match="runs_on"):
        small().fit(X, Y, verbose=0, callbacks=[callback])


def test_fit_within_a_local_callback_is_refused():
    inner = LambdaCallback(on_epoch_end=lambda epoch, logs: small().fit(X, Y, verbose=0))
    inner.runs_on = 0
    with pytest.raises(ArgumentError, match="all ranks train together"):
        small().fit(X, Y, verbose=0, callbacks=[inner])


# --- EarlyStopping ---


@pytest.mark.parametrize(
    "settings, values, epochs",
    [
        ({"patience": 0}, [3, 2, 2, 1], 3),
        ({"patience": 2}, [3, 2, 2.5, 2.5, 1], 4),
        ({"patience": 1, "min_delta": 0.5}, [3, 2.8, 1], 2),
        ({"patience": 1, "baseline": 1.0}, [3, 2.9, 2.8, 2.8], 4),
        ({"patience": 1, "mode": "max"}, [1, 2, 1, 1], 3),
        ({"patience": 1, "start_from_epoch": 3}, [1, 2, 2, 2, 2, 2], 5),
        ({"patience": 5}, [1, 2, 2], 3),
    ],
)
def test_early_stopping(settings, values, epochs):
    _, history = run(EarlyStopping(**settings), values)
    assert history.epoch == list(range(epochs))


def test_early_stopping_restores_the_best_weights(capsys):
    kept = []
    model = small()
    note = LambdaCallback(on_epoch_end=lambda epoch, logs: kept.append(model.get_weights()))
    stop = EarlyStopping(patience=2, restore_best_weights=True, verbose=1)
    model.fit(
        X, Y, epochs=9, verbose=0, callbacks=[Scripted([3, 1, 2, 2, 2, 2, 2, 2, 2]), note, stop]
    )
    assert len(kept) == 4
    for found, expected in zip(model.get_weights(), kept[1], strict=True):
        np.testing.assert_array_equal(found, expected)
    said = capsys.readouterr().out
    assert "Epoch 4: early stopping" in said
    assert "Restoring model weights from the end of the best epoch: 2." in said


def test_auto_mode_follows_the_metric():
    model = small()
    model.compile("sgd", "binary_crossentropy", metrics=["accuracy"])
    _, history = run(EarlyStopping("val_accuracy"), [0.1, 0.2, 0.3], "val_accuracy", model=model)
    assert history.epoch == [0, 1, 2]
    with pytest.raises(ArgumentError, match="Pass `mode='max'`"):
        run(EarlyStopping("something"), [1.0], "something")


def test_unknown_mode_and_missing_value_warn():
    with pytest.warns(UserWarning, match="mode 'least' is unknown, fallback to auto mode"):
        EarlyStopping(mode="least")
    message = "Early stopping conditioned on metric `val_loss` which is not available.*loss,mae"
    with pytest.warns(UserWarning, match=message):
        small().fit(X, Y, verbose=0, callbacks=[EarlyStopping()])


# --- learning rates ---


@pytest.mark.parametrize(
    "settings, values, rates",
    [
        ({"patience": 1, "factor": 0.5}, [1, 2, 2, 2], [0.1, 0.1, 0.05, 0.025]),
        ({"patience": 1, "factor": 0.5, "cooldown": 1}, [1, 2, 2, 2], [0.1, 0.1, 0.05, 0.025]),
        (
            {"patience": 1, "factor": 0.5, "cooldown": 2},
            [1, 2, 2, 2, 2],
            [0.1, 0.1, 0.05, 0.05, 0.025],
        ),
        ({"patience": 2, "factor": 0.5}, [1, 2, 2, 2], [0.1, 0.1, 0.1, 0.05]),
        ({"patience": 1, "factor": 0.1, "min_lr": 0.04}, [1, 2, 2, 2], [0.1, 0.1, 0.04, 0.04]),
        ({"patience": 1, "factor": 0.5, "min_delta": 2}, [5, 4, 2, 2], [0.1, 0.1, 0.05, 0.05]),
    ],
)
def test_reduce_on_plateau(settings, values, rates):
    model = small(keras.optimizers.SGD(0.1))
    _, history = run(ReduceLROnPlateau(**settings), values, model=model)
    # The rates with which the epochs ran: what the logs say before each reduction.
    assert history.history["learning_rate"] == pytest.approx(rates)


def test_reduce_on_plateau_says_so_and_refuses_growth(capsys):
    run(ReduceLROnPlateau(patience=1, verbose=1), [1, 2])
    said = capsys.readouterr().out
    assert "\nEpoch 2: ReduceLROnPlateau reducing learning rate to 0.00" in said
    with pytest.raises(ArgumentError, match=r"does not support a factor >= 1\.0"):
        ReduceLROnPlateau(factor=1.0)


@pytest.mark.parametrize(
    "schedule",
    [lambda epoch: 0.5 / (epoch + 1), lambda epoch, rate: 0.5 if epoch == 0 else rate / 2],
)
def test_learning_rate_scheduler(schedule, capsys):
    model = small()
    scheduler = LearningRateScheduler(schedule, verbose=1)
    history = model.fit(X, Y, epochs=2, verbose=0, callbacks=[scheduler])
    assert history.history["learning_rate"] == pytest.approx([0.5, 0.25])
    said = capsys.readouterr().out
    assert "\nEpoch 2: LearningRateScheduler setting learning rate to 0.25." in said


def test_learning_rate_scheduler_refuses_what_is_no_float():
    with pytest.raises(ArgumentError, match=r"should be a float\. Got: one"):
        small().fit(X, Y, verbose=0, callbacks=[LearningRateScheduler(lambda epoch: "one")])


def test_a_type_error_in_a_schedule_is_not_swallowed():
    def schedule(epoch, rate):
        return rate + "x"

    with pytest.raises(TypeError, match="unsupported operand"):
        small().fit(X, Y, verbose=0, callbacks=[LearningRateScheduler(schedule)])


# --- ModelCheckpoint ---


def test_checkpoints_by_pattern_create_their_directory(tmp_path, capsys):
    saver = ModelCheckpoint(tmp_path / "a/b/{epoch:02d}-{val_loss:.1f}.keras", verbose=1)
    model, _ = run(saver, [2.0, 1.0])
    assert sorted(os.listdir(tmp_path / "a/b")) == ["01-2.0.keras", "02-1.0.keras"]
    loaded = keras.saving.load_model(tmp_path / "a/b/02-1.0.keras")
    np.testing.assert_array_equal(loaded.get_weights()[0], model.get_weights()[0])
    said = capsys.readouterr().out
    assert f"\nEpoch 1: saving model to {tmp_path}/a/b/01-2.0.keras" in said
    assert f"\nEpoch 1: finished saving model to {tmp_path}/a/b/01-2.0.keras" in said


@pytest.mark.parametrize(
    "settings, values, saved",
    [
        ({}, [2.0, 3.0, 1.0], [1, 3]),
        ({"mode": "max"}, [2.0, 3.0, 1.0], [1, 2]),
        ({"initial_value_threshold": 1.5}, [2.0, 3.0, 1.0], [3]),
        ({}, [math.nan, 1.0, 2.0], [1]),  # nothing is better than NaN, as in Keras
    ],
)
def test_only_the_best_is_saved(tmp_path, settings, values, saved):
    saver = ModelCheckpoint(
        tmp_path / "{epoch}.weights.h5", save_best_only=True, save_weights_only=True, **settings
    )
    run(saver, values)
    assert sorted(os.listdir(tmp_path)) == [f"{n}.weights.h5" for n in saved]


def test_best_only_says_why(tmp_path, capsys):
    path = tmp_path / "best.keras"
    run(ModelCheckpoint(path, save_best_only=True, verbose=1), [2.0, 3.0, 1.0])
    said = capsys.readouterr().out
    assert f"Epoch 1: val_loss improved from None to 2.00000, saving model to {path}" in said
    assert "Epoch 2: val_loss did not improve from 2.00000" in said
    assert f"Epoch 3: val_loss improved from 2.00000 to 1.00000, saving model to {path}" in said


def test_checkpoints_by_batches(tmp_path):
    saver = ModelCheckpoint(
        tmp_path / "{epoch}-{batch}.weights.h5", save_weights_only=True, save_freq=3
    )
    small().fit(X, Y, batch_size=2, epochs=2, verbose=0, callbacks=[saver])
    assert sorted(os.listdir(tmp_path)) == ["1-3.weights.h5", "2-2.weights.h5"]


def test_a_missing_value_saves_with_a_warning(tmp_path):
    saver = ModelCheckpoint(tmp_path / "m.keras", save_best_only=True)
    with pytest.warns(UserWarning, match="Can save best model only with val_loss available."):
        small().fit(X, Y, verbose=0, callbacks=[saver])
    assert (tmp_path / "m.keras").exists()


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"filepath": "a.txt"}, "must end in `.keras`"),
        ({"filepath": "a.keras", "save_weights_only": True}, "must end in `.weights.h5`"),
        ({"filepath": "a.keras", "save_freq": "batch"}, "Unrecognized save_freq: batch"),
        ({"filepath": "a.keras", "save_freq": 0}, "Unrecognized save_freq: 0"),
    ],
)
def test_wrong_arguments_of_checkpoints(settings, message):
    with pytest.raises(ArgumentError, match=message):
        ModelCheckpoint(**settings)


def test_paths_that_cannot_be_written(tmp_path):
    (tmp_path / "is.keras").mkdir()
    with pytest.raises(UnwritableFileError, match="Please specify a non-directory filepath"):
        small().fit(X, Y, verbose=0, callbacks=[ModelCheckpoint(tmp_path / "is.keras")])
    (tmp_path / "file").write_text("")
    for writer in (ModelCheckpoint(tmp_path / "file/a.keras"), BackupAndRestore(tmp_path / "file")):
        with pytest.raises(UnwritableFileError, match="a part of the path is a file"):
            small().fit(X, Y, verbose=0, callbacks=[writer])
    saver = ModelCheckpoint(tmp_path / "{nonsense}.keras")
    with pytest.raises(KeyError, match=r"Reason: 'nonsense'. Known here: epoch, loss, mae"):
        small().fit(X, Y, verbose=0, callbacks=[saver])


# --- CSVLogger ---


def test_csv_of_epochs(tmp_path):
    path = tmp_path / "log.csv"
    values = [np.array([1.0, 2.0]), np.array([3.0, 4.0])]
    _, history = run(CSVLogger(path, separator=";"), values, "both")
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    fields = ["both", "loss", "mae", "val_both", "val_loss", "val_mae"]
    assert list(rows[0]) == ["epoch", *fields]
    assert [float(r["loss"]) for r in rows] == history.history["loss"]
    assert rows[1]["both"] == '"[3.0, 4.0]"'
    assert rows[0]["val_loss"] == "NA"


def test_csv_is_appended_or_replaced(tmp_path):
    path = tmp_path / "log.csv"
    for append, lines in ((True, 2), (True, 3), (False, 2)):
        small().fit(X, Y, verbose=0, callbacks=[CSVLogger(path, append=append)])
        text = path.read_text().splitlines()
        assert len(text) == lines
        assert text[0].startswith("epoch,loss,mae")
        assert text[-1].startswith("0,")


def test_csv_in_a_directory_that_is_not_there(tmp_path):
    with pytest.raises(UnwritableFileError, match="create it first"):
        small().fit(X, Y, verbose=0, callbacks=[CSVLogger(tmp_path / "none" / "log.csv")])


def test_a_csv_line_is_whole_or_absent(tmp_path, monkeypatch):
    """The disk takes a part of a line, and then no more."""
    logger = CSVLogger(tmp_path / "log.csv")

    def fill(epoch, logs):
        file = logger.csv_file
        if epoch == 2:

            class Full:
                seek, truncate, close = file.seek, file.truncate, file.close

                def write(self, data):
                    if len(data) <= 5:
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                    return file.write(data[:-5])

            logger.csv_file = Full()

    full = LambdaCallback(on_epoch_begin=fill)
    with pytest.raises(UnwritableFileError, match="the disk is full"):
        small().fit(X, Y, epochs=5, verbose=0, callbacks=[full, logger])
    lines = (tmp_path / "log.csv").read_text().splitlines()
    assert [line.partition(",")[0] for line in lines] == ["epoch", "0", "1"]
    assert {line.count(",") for line in lines} == {4}


# --- the rest ---


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_terminate_on_nan(bad, capsys):
    x = X.copy()
    x[5] = bad
    history = small().fit(
        x, Y, batch_size=2, shuffle=False, epochs=3, verbose=0, callbacks=[TerminateOnNaN()]
    )
    assert history.epoch == [0]
    assert "Batch 2: Invalid loss, terminating training" in capsys.readouterr().out
    with pytest.raises(RuntimeError, match="NaN or Inf loss encountered at batch 2"):
        small().fit(x, Y, batch_size=2, shuffle=False, verbose=0, callbacks=[TerminateOnNaN(True)])


def test_lambda_callback_takes_any_event():
    seen = []
    callback = LambdaCallback(
        on_train_begin=lambda logs: seen.append("train"),
        on_train_batch_begin=lambda batch, logs: seen.append(batch),
        on_test_begin=lambda logs: seen.append("test"),
        on_predict_end=lambda logs: seen.append("predicted"),
    )
    model = small()
    model.fit(X, Y, validation_data=(X, Y), verbose=0, callbacks=[callback])
    model.predict(X, verbose=0, callbacks=[callback])
    assert seen == ["train", 0, "test", "predicted"]


@pytest.mark.parametrize("double", [False, True])
def test_backup_and_restore(tmp_path, double):
    def interrupt(epoch, logs):
        if epoch == 1:
            raise KeyboardInterrupt

    whole = small("adam")
    whole.fit(X, Y, epochs=4, shuffle=False, verbose=0)
    model = small("adam")
    backup = BackupAndRestore(tmp_path / "backup", double_checkpoint=double)
    with pytest.raises(KeyboardInterrupt):
        model.fit(
            X,
            Y,
            epochs=4,
            shuffle=False,
            verbose=0,
            callbacks=[backup, LambdaCallback(on_epoch_end=interrupt)],
        )
    again = small("adam")
    if double:
        (tmp_path / "backup/latest.weights.h5").write_bytes(b"damaged")
    history = again.fit(X, Y, epochs=4, shuffle=False, verbose=0, callbacks=[backup])
    assert history.epoch == ([1, 2, 3] if double else [2, 3])
    for found, expected in zip(again.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert not (tmp_path / "backup").exists()


def test_backup_needs_a_built_model_and_a_place():
    with pytest.raises(ArgumentError, match="Empty `backup_dir`"):
        BackupAndRestore("")
    with pytest.raises(ArgumentError, match="Invalid value for argument `save_freq`"):
        BackupAndRestore("x", save_freq="batch")


def test_history_is_kept_where_it_is_passed_twice():
    history, model = History(), small()
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[history])
    model.fit(X, Y, epochs=3, initial_epoch=2, verbose=0, callbacks=[history])
    assert len(history.history["loss"]) == 3
    assert history.epoch == [2]
    assert model.history is history
