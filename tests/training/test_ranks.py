"""Training on real ranks: the numbers of one process.

Each rank trains the same model twice: together with the others, and alone on all the data.
"""

from contextlib import contextmanager
from unittest import mock

import numpy as np
import pytest

import distkeras as keras
from distkeras import distribution
from distkeras.distribution.world import alone
from distkeras.errors import ArgumentError, CollectiveMismatchError, DataError

SIZES = pytest.mark.mpi(sizes=(2, 4))
TOLERANCE = 1e-5
N = 22  # 22 samples in batches of 8: the last batch has 6, which 4 ranks share unevenly


@pytest.fixture(autouse=True)
def ranks():
    """Every test here runs on the world that its process was started in."""
    distribution.initialize()


@contextmanager
def single_process():
    """Train as one process does, within a job of several."""
    with alone(), mock.patch("distkeras.training.trainer.is_alone", return_value=False):
        yield


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def mlp():
    x = numbers(N, 6)
    model = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(8, activation="relu", kernel_regularizer="l2"),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model, x, np.arange(N) % 3


def cnn():
    x = numbers(N, 6, 6, 2)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            keras.layers.Conv2D(4, 3, use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.Activation("relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(1),
        ]
    )
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), "mse", metrics=["mae"])
    return model, x, x.mean((1, 2, 3))[:, None]


def lstm():
    lengths = np.arange(N) % 5 + 1  # very uneven sums of masks over ranks
    x = np.where(np.arange(5) < lengths[:, None], np.arange(N * 5).reshape(N, 5) % 9 + 1, 0)
    model = keras.Sequential(
        [
            keras.Input((5,), dtype="int32"),
            keras.layers.Embedding(10, 4, mask_zero=True),
            keras.layers.LSTM(5, return_sequences=True),
            keras.layers.Dense(1),
        ]
    )
    model.compile("rmsprop", "mse", metrics=["mse"])
    return model, x, numbers(N, 5, 1)


MODELS = {"mlp": mlp, "cnn": cnn, "lstm": lstm}


def built(name):
    keras.utils.set_random_seed(7)
    keras.utils.clear_session()
    return MODELS[name]()


def assert_same(found, expected):
    assert list(found) == list(expected)
    for key, values in expected.items():
        np.testing.assert_allclose(found[key], values, rtol=TOLERANCE, atol=1e-7, err_msg=key)


def assert_same_weights(found, expected):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=TOLERANCE)
        assert np.linalg.norm(a - b) <= TOLERANCE * max(np.linalg.norm(b), 1e-3)


def fitted(name, data=None, **settings):
    model, x, y = built(name)
    given = {"x": x, "y": y} if data is None else {"x": data(x, y)}
    history = model.fit(**given, verbose=0, epochs=3, **settings)
    return model, history.history


SETTINGS = {
    "uneven last batch": {"batch_size": 8, "shuffle": True},
    "batches below the rank count": {"batch_size": 3},
    "validation": {"batch_size": 8, "validation_split": 0.3},
    "one batch": {"batch_size": 32},
}


@SIZES
@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("name", MODELS)
def test_fit_as_in_one_process(name, setting):
    with single_process():
        alone_model, alone_history = fitted(name, **SETTINGS[setting])
    model, history = fitted(name, **SETTINGS[setting])
    assert_same(history, alone_history)
    assert_same_weights(model.get_weights(), alone_model.get_weights())


@SIZES
@pytest.mark.parametrize("name", MODELS)
def test_evaluate_and_predict_as_in_one_process(name):
    model, x, y = built(name)
    with single_process():
        expected = model.evaluate(x, y, batch_size=7, verbose=0, return_dict=True)
        rows = model.predict(x, batch_size=7, verbose=0)
        batch = model.predict_on_batch(x)
        tested = model.test_on_batch(x, y)
    assert_same(model.evaluate(x, y, batch_size=7, verbose=0, return_dict=True), expected)
    found = model.predict(x, batch_size=7, verbose=0)
    np.testing.assert_allclose(found, rows, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.predict_on_batch(x), batch, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.test_on_batch(x, y), tested, rtol=TOLERANCE)


def generator(x, y):
    while True:
        for i in range(0, len(x), 8):
            yield x[i : i + 8], y[i : i + 8]


class Batches(keras.utils.PyDataset):
    def __init__(self, x, y, **settings):
        super().__init__(**settings)
        self.x, self.y = x, y

    def __len__(self):
        return -(-len(self.x) // 8)

    def __getitem__(self, i):
        return self.x[8 * i : 8 * i + 8], self.y[8 * i : 8 * i + 8]


@SIZES
@pytest.mark.parametrize(
    "data, settings",
    [
        (generator, {"steps_per_epoch": 3}),
        (Batches, {}),
        (lambda x, y: Batches(x, y, workers=2), {"shuffle": False}),
    ],
)
def test_batches_from_iterables(data, settings):
    with single_process():
        alone_model, alone_history = fitted("mlp", data, **settings)
    model, history = fitted("mlp", data, **settings)
    assert_same(history, alone_history)
    assert_same_weights(model.get_weights(), alone_model.get_weights())


@SIZES
def test_weights_and_single_batches():
    results = []
    for scope in (single_process, None):
        model, x, y = built("mlp")
        weight = np.linspace(0, 2, N)
        with scope() if scope else mock.MagicMock():
            logs = [
                model.train_on_batch(x, y, sample_weight=weight),
                model.train_on_batch(x, y, class_weight={0: 3.0, 2: 0.1}),
                model.train_on_batch(x[:1], y[:1]),
            ]
        results.append((logs, model.get_weights()))
    (expected, weights), (found, own) = results
    np.testing.assert_allclose(found, expected, rtol=TOLERANCE)
    assert_same_weights(own, weights)


@SIZES
def test_several_outputs():
    def two():
        keras.utils.set_random_seed(7)
        inputs = keras.Input((6,))
        a = keras.layers.Dense(1, name="a")(inputs)
        b = keras.layers.Dense(3, name="b", activation="softmax")(inputs)
        model = keras.Model(inputs, {"a": a, "b": b})
        losses = {"a": "mse", "b": "sparse_categorical_crossentropy"}
        model.compile("sgd", losses, metrics={"a": ["mae"], "b": ["accuracy"]})
        return model

    x = numbers(N, 6)
    y = {"a": x[:, :1], "b": np.arange(N) % 3}
    with single_process():
        expected = two().fit(x, y, batch_size=8, epochs=2, verbose=0).history
    assert_same(two().fit(x, y, batch_size=8, epochs=2, verbose=0).history, expected)


@SIZES
def test_ranks_that_start_from_other_weights_train_one_model(comm):
    keras.utils.set_random_seed(comm.rank)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(2)])
    model.compile("sgd", "mse")
    model.fit(numbers(N, 6), numbers(N, 2, seed=1), verbose=0)
    weights = comm.allgather(model.get_weights()[0])
    for other in weights[1:]:
        np.testing.assert_array_equal(other, weights[0])


@SIZES
def test_a_bar_on_one_rank_changes_no_collective(comm, capsys):
    model, x, y = built("mlp")
    model.fit(x, y, batch_size=8, verbose=1 if comm.rank == 0 else 0)
    model.evaluate(x, y, verbose="auto" if comm.rank == 0 else 0)
    model.predict(x, verbose=2 if comm.rank == 0 else 0)
    said = capsys.readouterr().out
    assert ("loss" in said) == (comm.rank == 0)


@SIZES
def test_the_rest_is_silent(comm, capsys):
    model, x, y = built("mlp")
    model.fit(x, y, epochs=2, verbose=2)
    assert bool(capsys.readouterr().out) == (comm.rank == 0)


@SIZES
def test_different_data_are_an_error_on_all_ranks(comm):
    model, x, y = built("mlp")
    with pytest.raises(DataError, match=r"from \d+ to 22 samples"):
        model.fit(x[: N - comm.rank], y[: N - comm.rank], verbose=0)
    with pytest.raises(DataError, match="differ between ranks in their values"):
        model.fit(x + comm.rank, y, verbose=0)
    with pytest.raises(DataError, match="differ between ranks in their values"):
        model.predict(x.astype("int64") if comm.rank else x, verbose=0)


@SIZES
def test_different_batches_are_an_error_on_all_ranks(comm):
    model, x, y = built("mlp")

    def ends_early():
        for i in range(3 - (comm.rank == 1)):
            yield x[i : i + 8], y[i : i + 8]

    def noise():
        yield np.random.default_rng(comm.rank).standard_normal((8, 6)), y[:8]

    def longer():
        yield x[: 8 + comm.rank], y[: 8 + comm.rank]

    def empty():
        yield from [(x[:8], y[:8])][comm.rank :]

    with pytest.raises(DataError, match="batch 0: some ranks' data end here"):
        model.fit(empty(), verbose=0)
    with pytest.raises(DataError, match="batch 2: some ranks' data end here"):
        model.fit(ends_early(), verbose=0)
    with pytest.raises(DataError, match="batch 0: its values or shapes differ"):
        model.fit(noise(), verbose=0)
    with pytest.raises(DataError, match="batch 0: it has from 8 to"):
        model.fit(longer(), verbose=0)


@SIZES
def test_different_calls_are_an_error_on_all_ranks(comm):
    model, x, y = built("mlp")
    with pytest.raises((CollectiveMismatchError, DataError)):
        if comm.rank == 1:
            model.evaluate(x, y, verbose=0)
        else:
            model.fit(x, y, verbose=0)


@SIZES
def test_fit_alone_is_refused():
    model, x, y = built("mlp")
    with alone(), pytest.raises(ArgumentError, match="all ranks train together"):
        model.fit(x, y, verbose=0)


class OwnStep(keras.Model):
    """A step and a mean loss of its own, as in Keras's guides."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.mean_loss = keras.metrics.Mean(name="mean_loss")

    def train_step(self, data):
        x, y = data
        with keras.GradientTape() as tape:
            loss = self.compute_loss(y=y, y_pred=self(x, training=True))
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        self.mean_loss.update_state(loss)
        return {"mean_loss": self.mean_loss.result()}

    @property
    def metrics(self):
        return [self.mean_loss]


@SIZES
@pytest.mark.parametrize("batch_size", [8, 3])
def test_a_step_of_ones_own(batch_size):
    results = []
    for scope in (single_process, None):
        keras.utils.set_random_seed(7)
        inputs = keras.Input((6,))
        model = OwnStep(inputs, keras.layers.Dense(2, kernel_regularizer="l2")(inputs))
        model.compile("sgd", "mse")
        x, y = numbers(N, 6), numbers(N, 2, seed=1)
        with scope() if scope else mock.MagicMock():
            history = model.fit(x, y, batch_size=batch_size, epochs=2, verbose=0).history
        results.append((history, model.get_weights()))
    (expected, weights), (found, own) = results
    assert_same(found, expected)
    assert_same_weights(own, weights)
