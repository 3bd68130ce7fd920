"""Where ranks meet: requests at the end of a step, parameters at the end of an epoch."""

import os
import signal

import numpy as np
import pytest

import distkeras as keras
from distkeras import distribution
from distkeras.callbacks import LambdaCallback
from distkeras.distribution import requests
from distkeras.engine.fingerprint import fingerprint
from distkeras.errors import ArgumentError, ParameterMismatchError
from distkeras.training import run_state

RANKS = pytest.mark.mpi(min_size=3)
SIZES = pytest.mark.mpi(sizes=(1, 2))
X = np.linspace(-1, 1, 64, dtype="float32").reshape(32, 2)
Y = X.sum(1, keepdims=True)


@pytest.fixture(autouse=True)
def rank():
    yield distribution.initialize().rank
    run_state.register(None)
    requests.done(~0)


def small():
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3), keras.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"])
    return model


def fit(model, *callbacks, epochs=2):
    return model.fit(X, Y, 8, epochs, verbose=0, callbacks=list(callbacks)).history


# --- parameters ---


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "int8", "bool"])
@pytest.mark.parametrize("shape", [(), (1,), (7,), (3, 5), (0,)])
def test_fingerprint_follows_every_bit(dtype, shape):
    v = keras.Variable(np.ones(shape), dtype=dtype)
    before = fingerprint(v)
    assert before == fingerprint(keras.Variable(np.ones(shape), dtype=dtype))
    for at in np.ndindex(shape):
        value = np.ones(shape)
        value[at] = 0
        v.assign(value)
        assert fingerprint(v) != before


@RANKS
def test_a_value_of_one_rank_is_an_error_at_the_end_of_the_epoch(rank):
    model = small()
    seen = []

    def assign(batch, logs):
        if rank == 1 and batch == 2:
            kernel = model.layers[1].kernel
            kernel.assign(np.asarray(kernel) * (1 + 2**-20))

    with pytest.raises(ParameterMismatchError) as caught:
        fit(
            model,
            LambdaCallback(on_train_batch_begin=assign),
            LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch)),
        )
    assert seen == [0]
    text = str(caught.value)
    assert "1 of 4 trainable variables" in text
    assert repr(model.layers[1].kernel.path) in text
    assert "equal are among themselves: ranks 0, 2; rank 1." in text


@RANKS
def test_values_of_all_ranks_and_other_state_are_no_error(rank, monkeypatch):
    model = small()
    model.layers[1].trainable = False
    own = model.layers[1].bias

    def assign(epoch, logs):
        model.layers[0].kernel.assign(np.asarray(model.layers[0].kernel) / 2)
        own.assign([rank])

    fit(model, LambdaCallback(on_epoch_begin=assign))
    assert own.numpy().tolist() == [rank]
    monkeypatch.setenv("DISTKERAS_COMPARE_PARAMETERS", "0")
    bias = model.layers[0].bias
    fit(model, LambdaCallback(on_epoch_end=lambda e, logs: bias.assign([rank] * 3)), epochs=1)
    assert bias.numpy().tolist() == [rank] * 3


# --- requests ---


@SIZES
def test_a_checkpoint_that_one_rank_asks_for_is_written_by_all_once(rank):
    model, places = small(), []
    run_state.register(lambda model: places.append(int(model.optimizer.iterations)))

    def ask(batch, logs):
        if batch == 1 and rank == distribution.size() - 1:
            requests.ask(requests.CHECKPOINT)

    history = fit(model, LambdaCallback(on_train_batch_begin=ask))
    assert places == [2, 6]
    assert len(history["loss"]) == 2


@SIZES
@pytest.mark.parametrize("call", ["fit", "evaluate", "predict"])
def test_the_end_that_one_rank_is_asked_for_is_that_of_all(call, rank):
    model, places = small(), []
    run_state.register(lambda given: places.append(given))

    def ask(batch, logs):
        if batch == 1 and rank == 0:
            requests.ask(requests.PREEMPT)

    events = ("on_train_batch_begin", "on_test_batch_begin", "on_predict_batch_begin")
    callback = LambdaCallback(**dict.fromkeys(events, ask))
    with pytest.raises(requests.AgreedExit) as caught:
        if call == "fit":
            fit(model, callback)
        elif call == "evaluate":
            model.evaluate(X, Y, 8, verbose=0, callbacks=[callback])
        else:
            model.predict(X, 8, verbose=0, callbacks=[callback])
    assert caught.value.code == 128 + signal.SIGUSR1
    assert places == [model]
    assert requests.pending() == 0


@SIZES
def test_stopping_on_one_rank_stops_all(rank):
    model = small()

    def stop(batch, logs):
        model.stop_training = batch == 2 and rank == 0

    fit(model, LambdaCallback(on_train_batch_end=stop))
    assert model.stop_training
    assert int(model.optimizer.iterations) == 3


# --- what one rank does alone ---


@RANKS
def test_on_rank_is_local_on_every_rank(rank, shared_tmp_path):
    model = small()
    fit(model, epochs=1)
    model.layers[0].bias.assign([float(rank)] * 3)
    path = shared_tmp_path / "mine.keras"
    with distribution.on_rank(1) as here:
        assert here == (rank == 1)
        if here:
            loss = model.evaluate(X, Y, verbose=0)[0]
            assert loss == pytest.approx(np.mean((model.predict(X, verbose=0) - Y) ** 2), rel=1e-5)
            assert distribution.all_reduce(5) == 5
            assert (distribution.rank(), distribution.size()) == (1, 3)
            model.save(path)
            with pytest.raises(ArgumentError, match="on_rank"):
                fit(model)
    assert int(distribution.all_reduce(1)) == 3  # what one rank did alone is not counted
    loaded = keras.models.load_model(path)
    assert loaded.layers[0].bias.numpy().tolist() == [1.0] * 3


@RANKS
def test_requests_wait_while_one_rank_is_alone(rank):
    model = small()
    with distribution.on_rank(0) as here:
        if here:
            requests.ask(requests.TERMINATE)
            assert len(model.evaluate(X, Y, verbose=0)) == 2
    with pytest.raises(requests.AgreedExit):
        fit(model)


@SIZES
def test_on_rank_of_no_rank_is_refused():
    for wrong in (-1, True, "0", None):
        with (
            pytest.raises(ArgumentError, match="on_rank expects one of"),
            distribution.on_rank(wrong),
        ):
            pass
    if distribution.size() == 1:
        with distribution.on_rank(3) as here:  # a single process stands for every rank
            assert here
    else:
        with pytest.raises(ArgumentError), distribution.on_rank(2):
            pass


def test_signals_are_pythons_own_without_the_launcher():
    # Shells start what they run in the background with SIGINT ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            fit(
                small(),
                LambdaCallback(on_epoch_end=lambda *_: os.kill(os.getpid(), signal.SIGINT)),
            )
    finally:
        signal.signal(signal.SIGINT, before)
