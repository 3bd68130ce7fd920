"""Data of every kind."""

import numpy as np

import distkeras as keras
from exactness.common import N, dense, fit, numbers, outcome, target

STEPS = -(-N // 8)


def _pairs():
    x = numbers(N, 6)
    return x, target(x)


def endless():
    x, y = _pairs()
    step = 0
    while True:
        rows = slice(8 * (step % STEPS), 8 * (step % STEPS) + 8)
        yield x[rows], y[rows], np.linspace(0, 1, N)[rows]
        step += 1


class Loader:
    """As a data loader of another library: iterable again and again, lists of array-likes."""

    def __init__(self):
        self.passes = 0

    def __len__(self):
        return STEPS

    def __iter__(self):
        self.passes += 1
        x, y = _pairs()
        order = np.random.default_rng(self.passes).permutation(N)
        for start in range(0, N, 8):
            rows = order[start : start + 8]
            yield [ArrayLike(x[rows]), ArrayLike(y[rows])]


class ArrayLike:
    """A tensor of another library."""

    def __init__(self, values):
        self.values = values
        self.shape, self.dtype = values.shape, values.dtype

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.values, dtype)

    def __len__(self):
        return len(self.values)


class Stream:
    """As a `tf.data.Dataset`: no length, named inputs and outputs, batches of other sizes."""

    def __iter__(self):
        x, y = _pairs()
        for start, stop in ((0, 9), (9, 10), (10, 12), (12, N)):
            yield {"in": x[start:stop]}, {"out": y[start:stop]}


class Sequence(keras.utils.PyDataset):
    def __len__(self):
        return STEPS

    def __getitem__(self, index):
        x, y = _pairs()
        return x[8 * index : 8 * index + 8], y[8 * index : 8 * index + 8]


def iterable(make, **settings):
    def case():
        model = dense("adam", metrics=["mae"])
        history = model.fit(make(), epochs=3, verbose=0, **settings)
        evaluated = model.evaluate(make(), verbose=0, steps=settings.get("steps_per_epoch"))
        return outcome(model, history, evaluated=evaluated)

    return case


def streamed():
    inputs = keras.Input((6,), name="in")
    model = keras.Model({"in": inputs}, {"out": keras.layers.Dense(2, name="out")(inputs)})
    model.compile("sgd", {"out": "mse"}, metrics={"out": ["mae"]})
    history = model.fit(Stream(), epochs=3, verbose=0, validation_data=Stream())
    return outcome(model, history, predicted=model.predict(Stream(), verbose=0)["out"])


def some_steps():
    x, y = _pairs()
    model = dense("adam")
    weight = np.linspace(0, 2, N)
    history = fit(
        model,
        x,
        y,
        steps_per_epoch=2,
        validation_data=(x[:7], y[:7], weight[:7]),
        validation_steps=2,
        validation_batch_size=3,
        validation_freq=2,
        sample_weight=weight,
    )
    return outcome(model, history, evaluated=model.evaluate(x, y, steps=2, verbose=0))


DATA = {
    "generator": iterable(endless, steps_per_epoch=STEPS),
    "loader": iterable(Loader),
    "stream": streamed,
    "PyDataset": iterable(lambda: Sequence(workers=2)),
    "some steps": some_steps,
}
