"""What `fit` takes as data: kinds, epochs, lengths, and everything that is wrong with them."""

import threading
import time
import warnings
from typing import ClassVar

import numpy as np
import pytest

import distkeras as keras
from distkeras.data.adapters import data_for
from distkeras.errors import ArgumentError, DataError

X = np.arange(20, dtype="float32").reshape(10, 2)
Y = X.sum(1, keepdims=True)


def small(units=1):
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(units)])
    model.compile(keras.optimizers.SGD(1e-4), "mse")
    return model


def batches(size=4, x=X, y=Y, weight=None):
    for i in range(0, len(x), size):
        part = (x[i : i + size], y[i : i + size])
        yield part if weight is None else (*part, weight[i : i + size])


class Loader:
    """Can be iterated over again, as a data loader."""

    def __init__(self, size=4, known=False):
        self.size, self.passes = size, 0
        if known:
            self.__class__ = type("Sized", (Loader,), {"__len__": lambda self: 3})

    def __iter__(self):
        self.passes += 1
        yield from batches(self.size)


class Dataset(keras.utils.PyDataset):
    events: ClassVar[list] = []

    def __init__(self, **settings):
        super().__init__(**settings)
        self.asked = []
        self.events = []

    def __len__(self):
        return 3

    def __getitem__(self, index):
        self.asked.append((index, threading.current_thread().name))
        return X[index * 4 : index * 4 + 4], Y[index * 4 : index * 4 + 4]

    def on_epoch_begin(self):
        self.events.append("begin")

    def on_epoch_end(self):
        self.events.append("end")


def reference(epochs=2):
    return small().fit(X, Y, batch_size=4, epochs=epochs, shuffle=False, verbose=0).history["loss"]


class Table:
    """Has what pandas' tables have."""

    def __init__(self, values):
        self.values = values

    def to_numpy(self):
        return self.values


class TorchLike:
    def __init__(self, values):
        self.held = values

    def detach(self):
        return self

    cpu = detach

    def numpy(self):
        return self.held

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("needs detach() first")


@pytest.mark.parametrize(
    "make",
    [
        lambda a: a,
        lambda a: a.astype("float64"),
        lambda a: a.tolist(),
        keras.ops.convert_to_tensor,
        Table,
        TorchLike,
        lambda a: a[::-1][::-1],
    ],
)
def test_kinds_of_arrays(make):
    history = small().fit(make(X), make(Y), batch_size=4, epochs=2, shuffle=False, verbose=0)
    assert history.history["loss"] == pytest.approx(reference(), rel=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        Loader,
        lambda: Loader(known=True),
        Dataset,
        lambda: Dataset(workers=3, max_queue_size=2),
        lambda: Dataset(workers=1, use_multiprocessing=True),
    ],
)
def test_kinds_of_iterables(make):
    data = make()
    history = small().fit(data, epochs=2, shuffle=False, verbose=0)
    assert history.history["loss"] == pytest.approx(reference(), rel=1e-6)


def test_generator_with_steps_goes_on():
    def endless():
        while True:
            yield from batches()

    model = small()
    history = model.fit(endless(), steps_per_epoch=3, epochs=2, verbose=0)
    assert history.history["loss"] == pytest.approx(reference(), rel=1e-6)


def test_used_up_generator_ends_the_training_with_a_warning():
    with pytest.warns(UserWarning, match="Your input ran out of data; interrupting training"):
        history = small().fit(batches(), steps_per_epoch=2, epochs=3, verbose=0)
    assert history.epoch == [0, 1]
    with pytest.warns(UserWarning, match="ran out of data"):
        history = small().fit(batches(), epochs=3, verbose=0)
    assert history.epoch == [0]


def test_steps_of_arrays_are_a_pass_cut_in_pieces():
    seen = []

    class Note(keras.Model):
        def train_step(self, data):
            seen.append(data[0].numpy()[:, 0].tolist())
            return {"loss": keras.ops.convert_to_tensor(0.0)}

    model = Note()
    model.compile()
    with pytest.warns(UserWarning, match="ran out of data"):
        model.fit(X, Y, batch_size=4, steps_per_epoch=2, epochs=3, shuffle=False, verbose=0)
    first = [[0, 2, 4, 6], [8, 10, 12, 14], [16, 18]]
    assert seen == [*first, *first[:2]]


def test_batch_size_follows_from_steps():
    assert data_for(X, Y, limit=5).batch_size == 2


def test_sample_weights_of_batches_and_of_arrays_agree():
    weight = np.linspace(0, 1, 10, dtype="float32")
    settings = {"epochs": 1, "shuffle": False, "verbose": 0}
    a = small().fit(X, Y, batch_size=4, sample_weight=weight, **settings)
    b = small().fit(list_of(batches(weight=weight)), **settings)
    assert a.history["loss"] == pytest.approx(b.history["loss"])


def list_of(iterable):
    kept = list(iterable)

    class Kept:
        def __iter__(self):
            return iter(kept)

    return Kept()


def test_class_weights():
    labels = np.array([0, 1] * 5)
    model = small(2)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    weights = {0: 0.5, 1: 2.0}
    by_class = model.train_on_batch(X, labels, class_weight=weights)
    model = small(2)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    by_sample = model.train_on_batch(X, labels, sample_weight=np.array([0.5, 2.0] * 5))
    assert by_class == pytest.approx(by_sample)
    one_hot = keras.utils.to_categorical(labels)
    found = data_for(X, one_hot, class_weight=weights).peek().data[2]
    assert found.tolist() == [0.5, 2.0] * 5
    found = next(data_for(list_of(batches(y=labels)), class_weight=weights).epoch(0)).data[2]
    assert found.tolist() == [0.5, 2.0, 0.5, 2.0]


def test_py_dataset_hooks_orders_and_threads():
    data = Dataset()
    small().fit(data, epochs=2, verbose=0)
    assert data.events == ["begin", "end"] * 2
    orders = [i for i, _ in data.asked[-6:]]
    assert sorted(orders[:3]) == sorted(orders[3:]) == [0, 1, 2]
    data = Dataset(workers=2)
    small().fit(data, shuffle=False, verbose=0)
    assert any("distkeras-data" in name for _, name in data.asked)
    assert not [t for t in threading.enumerate() if "distkeras-data" in t.name]


def test_py_dataset_without_super_init_warns():
    class Careless(Dataset):
        def __init__(self):
            self.asked, self.events = [], []

    with pytest.warns(UserWarning, match="should call `super"):
        small().fit(Careless(), verbose=0)


def test_reading_ahead_ends_with_an_exception_in_training():
    data = Dataset(workers=2)

    def fail(batch, logs):
        raise KeyError("stop")

    callback = keras.callbacks.LambdaCallback(on_train_batch_end=fail)
    with pytest.raises(KeyError):
        small().fit(data, verbose=0, callbacks=[callback])
    deadline = time.monotonic() + 5
    while [t for t in threading.enumerate() if "distkeras-data" in t.name]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert data.events == ["begin", "end"]


def test_an_error_while_reading_ahead_is_raised():
    class Broken(Dataset):
        def __getitem__(self, index):
            raise OSError("no such picture")

    for workers in (1, 2):
        with pytest.raises(OSError, match="no such picture"):
            small().fit(Broken(workers=workers), verbose=0)


def test_buffers_that_are_written_again():
    def reusing():
        x, y = np.empty((4, 2), "float32"), np.empty((4, 1), "float32")
        for i in range(0, 8, 4):
            x[:], y[:] = X[i : i + 4], Y[i : i + 4]
            yield x, y
            x[:] = np.nan

    history = small().fit(reusing(), verbose=0)
    expected = small().fit(X[:8], Y[:8], batch_size=4, shuffle=False, verbose=0)
    assert history.history["loss"] == pytest.approx(expected.history["loss"])


def test_the_users_arrays_stay_as_they_are():
    x, y = X.copy(), Y.copy()
    small().fit(x, y, batch_size=10, epochs=2, verbose=0)
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(y, Y)


def test_dicts_and_lists_of_arrays():
    a, b = keras.Input((2,), name="a"), keras.Input((2,), name="b")
    out = keras.layers.Dense(1)(keras.layers.Add()([a, b]))
    for inputs, x in (([a, b], [X, X]), ({"a": a, "b": b}, {"a": X, "b": X})):
        model = keras.Model(inputs, out)
        model.compile("sgd", "mse")
        model.fit(x, Y, verbose=0)
        part = x if isinstance(x, list) else dict(x)
        first = model.predict(part, verbose=0)
        again = model.predict(list_of([(part,)]), verbose=0)
        np.testing.assert_array_equal(first, again)


def test_unknown_length_in_the_bar(capsys):
    data = Loader()
    history = small().fit(data, epochs=2, verbose=2)
    said = capsys.readouterr().out
    assert history.params["steps"] is None
    assert "3/3 - " in said


# --- validation ---


def test_validation_data_of_every_kind():
    expected = small().evaluate(X, Y, batch_size=4, verbose=0)
    for data in ((X, Y), [X, Y], (X, Y, np.ones(10)), Loader(), Dataset(), batches()):
        model = small()
        model.optimizer.learning_rate = 0.0
        history = model.fit(X, Y, validation_data=data, verbose=0, validation_batch_size=4)
        assert history.history["val_loss"] == pytest.approx([expected], rel=1e-5)


@pytest.mark.parametrize(
    "frequency, epochs", [(1, [0, 1, 2, 3]), (2, [1, 3]), ([1, 4], [0, 3]), (range(2, 4), [1, 2])]
)
def test_validation_frequency(frequency, epochs):
    seen, now = [], []
    note = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: now.append(epoch),
        on_test_begin=lambda logs: seen.append(now[-1]),
    )
    small().fit(
        X,
        Y,
        validation_data=(X, Y),
        validation_freq=frequency,
        epochs=4,
        verbose=0,
        callbacks=[note],
    )
    assert seen == epochs


def test_validation_steps_begin_again_each_time():
    model = small()
    model.optimizer.learning_rate = 0.0
    history = model.fit(
        X,
        Y,
        validation_data=(X, Y),
        validation_batch_size=4,
        validation_steps=1,
        epochs=2,
        verbose=0,
    )
    expected = model.evaluate(X[:4], Y[:4], verbose=0)
    assert history.history["val_loss"] == pytest.approx([expected] * 2, rel=1e-5)


def test_validation_split_takes_the_end():
    model = small()
    model.optimizer.learning_rate = 0.0
    history = model.fit(X, Y, validation_split=0.25, verbose=0)
    assert history.history["val_loss"] == pytest.approx([model.evaluate(X[7:], Y[7:], verbose=0)])


def test_a_validation_generator_can_be_read_only_once():
    with pytest.raises(DataError, match="generator that was used up cannot start again"):
        small().fit(X, Y, validation_data=batches(), epochs=2, verbose=0)


# --- wrong input ---


def unsized(item):
    return iter([item])


class Samples:
    """Gives single samples, as a data set that needs a loader."""

    def __len__(self):
        return 10

    def __getitem__(self, index):
        return X[index], Y[index]


class Endless(keras.utils.PyDataset):
    num_batches = None

    def __getitem__(self, index):
        return X, Y


class Empty(Dataset):
    def __len__(self):
        return 0


def function():
    yield X, Y


NAN = np.where(np.arange(10)[:, None] == 3, np.nan, Y)
WRONG = {
    "nothing": ({"x": None}, "No data: pass `x`"),
    "lengths": ({"x": X, "y": Y[:9]}, "'x' sizes: 10, 'y' sizes: 9"),
    "weights' length": ({"x": X, "y": Y, "sample_weight": np.ones(3)}, "'sample_weight' sizes: 3"),
    "no sample": ({"x": X[:0], "y": Y[:0]}, "is empty"),
    "empty list": ({"x": [], "y": Y}, "`x` is an empty list"),
    "strings": ({"x": np.array(["a"] * 10), "y": Y}, "holds no numbers"),
    "a string": ({"x": "train.csv", "y": Y}, "Expected arrays as `x`, got 'train.csv'"),
    "objects": ({"x": np.array([None] * 10), "y": Y}, "dtype object, which holds no numbers"),
    "dates": ({"x": np.zeros(10, "datetime64[s]"), "y": Y}, "holds no numbers"),
    "ragged": ({"x": [[1, 2], [3]], "y": [1, 2]}, "all rows have equal length"),
    "a number": ({"x": 3.0, "y": Y}, "is a single number"),
    "NaN labels": ({"x": X, "y": NAN}, "hold NaN, first in sample 3"),
    "an object": ({"x": object(), "y": None}, "Unrecognized data type"),
    "an object in a list": ({"x": [X, object()], "y": Y}, "found an object of type builtins.obj"),
    "samples": ({"x": Samples()}, "needs a loader that makes batches"),
    "a function": ({"x": function}, "call it, x=function()"),
    "y of a generator": ({"x": unsized((X, Y)), "y": Y}, "`y` should not be passed"),
    "weights of a loader": ({"x": Loader(), "sample_weight": Y}, "the sample weights should be in"),
    "batch size 0": ({"x": X, "y": Y, "batch_size": 0}, "`batch_size` must be a positive integer"),
    "batch size": ({"x": X, "y": Y, "batch_size": 2.5}, "`batch_size` must be a positive integer"),
    "steps": ({"x": X, "y": Y, "steps_per_epoch": 0}, "must be positive integers, got 0"),
    "empty generator": ({"x": iter(())}, "The data gave no batch"),
    "four parts": ({"x": unsized((X, Y, Y, Y))}, "Batch 0 of the data has 4 parts"),
    "None": ({"x": unsized((None, Y))}, "Batch 0 of the data has no input"),
    "batch None": ({"x": unsized(None)}, "Batch 0 of the data has no input"),
    "lengths in a batch": ({"x": unsized((X, Y[:3]))}, "'x' sizes: 10, 'y' sizes: 3"),
    "empty batch": ({"x": unsized((X[:0], Y[:0]))}, "Batch 0 is empty"),
    "text in a batch": ({"x": unsized((["a"], [1]))}, "Expected arrays as the input of batch 0"),
    "NaN in a batch": ({"x": unsized((X, NAN))}, "hold NaN"),
    "no end": ({"x": Endless()}, "needs `steps_per_epoch`"),
    "no batches": ({"x": Empty()}, "has length 0"),
    "split of a loader": ({"x": Loader(), "validation_split": 0.2}, "`validation_data` instead"),
    "split too large": ({"x": X, "y": Y, "validation_split": 1.0}, "between 0 and 1"),
    "split too small": ({"x": X[:1], "y": Y[:1], "validation_split": 0.2}, "contains 1 samples"),
    "both weights": (
        {"x": X, "y": Y, "class_weight": {0: 1.0}, "sample_weight": np.ones(10)},
        "`class_weight` and `sample_weight` at the same time",
    ),
    "class weights": ({"x": X, "y": Y, "class_weight": [1, 2]}, "dict of class number -> weight"),
    "no labels": ({"x": X, "class_weight": {0: 1}}, "`class_weight` needs labels"),
    "validation labels": ({"x": X, "y": Y, "validation_data": (X, NAN)}, "hold NaN"),
    "validation lengths": ({"x": X, "y": Y, "validation_data": (X, Y[:2])}, "cardinality"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_data(name):
    arguments, message = WRONG[name]
    with pytest.raises(DataError, match=message):
        small().fit(**{"verbose": 0, **arguments})


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"epochs": "3"}, "`epochs` must be an integer"),
        ({"epochs": -1}, "`epochs` must be an integer of at least 0"),
        ({"initial_epoch": 0.5}, "`initial_epoch` must be an integer"),
        ({"validation_freq": "each"}, "Expected `validation_freq` to be a list or a positive int"),
        ({"validation_freq": 0}, "Expected `validation_freq`"),
        ({"verbose": "loud"}, "`verbose` must be 0, 1, 2 or 'auto'"),
    ],
)
def test_wrong_arguments_of_fit(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        small().fit(X, Y, **{"verbose": 0, **arguments})


def test_wrong_data_elsewhere():
    model = small()
    with pytest.raises(DataError, match="an iterable of batches"):
        model.train_on_batch(batches())
    with pytest.raises(DataError, match="No data"):
        model.evaluate(verbose=0)
    with pytest.raises(DataError, match="gave no batch to predict from"):
        model.predict(iter(()), verbose=0)
    with pytest.raises(ArgumentError, match="Arguments not recognized"):
        model.evaluate(X, Y, step=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert model.predict(X, verbose=0).shape == (10, 1)
