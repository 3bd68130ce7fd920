"""Wrong programs: a named error (or warning) that says what is wrong, never silent nonsense."""

import warnings
from contextlib import nullcontext

import numpy as np
import pytest

import distkeras as keras
from distkeras.errors import (
    AbstractValueError,
    ArgumentError,
    DataError,
    DistkerasError,
    DTypeError,
    NotInitializedError,
    SavingError,
    ShapeError,
    UnknownObjectError,
    UnknownVariableError,
)

layers, ops = keras.layers, keras.ops
RNG = np.random.default_rng(0)
X = RNG.random((12, 4), "float32")
Y = RNG.random((12, 1), "float32")
CLASSES = RNG.integers(0, 3, 12)
STEPS = np.ones((2, 3, 4), "float32")


def model(units=1, activation=None, loss="mse"):
    made = keras.Sequential([keras.Input((4,)), layers.Dense(units, activation=activation)])
    made.compile("sgd", loss)
    return made


def two_inputs():
    a, b = keras.Input((4,), name="a"), keras.Input((3,), name="b")
    made = keras.Model([a, b], layers.Dense(1, name="o")(layers.concatenate([a, b])))
    made.compile("sgd", "mse")
    return made


def fit(of, *args, **kwargs):
    return of.fit(*args, verbose=0, **kwargs)


def embedded():
    made = keras.Sequential([layers.Embedding(5, 3), layers.Flatten(), layers.Dense(1)])
    made.compile("sgd", "mse")
    return made


class WithoutArguments(keras.Model):
    def __init__(self):
        super().__init__()


CASES = {
    "a dict for Dense": (lambda: layers.Dense(3)({"a": X}), ShapeError, "takes one tensor"),
    "a Lambda of a number": (lambda: layers.Lambda(3), ArgumentError, "callable"),
    "Bidirectional(Dense)": (
        lambda: layers.Bidirectional(layers.Dense(3)),
        ArgumentError,
        "recurrent layer",
    ),
    "RepeatVector of text": (lambda: layers.RepeatVector("a"), DTypeError, "integer"),
    "too few states": (
        lambda: layers.LSTM(3)(STEPS, initial_state=[np.ones((2, 3), "float32")]),
        ShapeError,
        r"must be 2 tensor\(s\)",
    ),
    "states of another size": (
        lambda: layers.GRU(3)(STEPS, initial_state=np.ones((2, 5), "float32")),
        ShapeError,
        r"sizes \[3\]",
    ),
    "a mask of other steps": (
        lambda: layers.LSTM(3)(STEPS, mask=np.ones((2, 5), bool)),
        ShapeError,
        r"\(2, 3\); got \(2, 5\)",
    ),
    "a number outside the vocabulary": (
        lambda: fit(embedded(), np.array([[1], [9]]), np.ones((2, 1))),
        ShapeError,
        "from 0 to 4",
    ),
    "a negative number for a word": (
        lambda: layers.Embedding(5, 3)(np.array([[-1]])),
        ShapeError,
        "index -1",
    ),
    "Model of an input alone": (lambda: keras.Model(keras.Input((3,))), ArgumentError, "inputs"),
    "Model of arrays": (lambda: keras.Model(X, Y), ArgumentError, "keras.Input"),
    "Model of a layer": (
        lambda: keras.Model(keras.Input((3,)), layers.Dense(3)),
        ArgumentError,
        "KerasTensor",
    ),
    "Sequential of no list": (
        lambda: keras.Sequential(layers.Dense(1)),
        ArgumentError,
        "list of layers",
    ),
    "Sequential of a class": (
        lambda: keras.Sequential([layers.Dense]),
        ArgumentError,
        "keras.Layer",
    ),
    "a model within itself": (
        lambda: (m := model()).add(m),
        ArgumentError,
        "layer of itself",
    ),
    "build of a number": (
        lambda: keras.Sequential([layers.Dense(1)]).build(3),
        ArgumentError,
        "tuple of sizes",
    ),
    "a callback's class": (
        lambda: fit(model(), X, Y, callbacks=[keras.callbacks.EarlyStopping]),
        DTypeError,
        "EarlyStopping",
    ),
    "validation_split of text": (
        lambda: fit(model(), X, Y, validation_split="a"),
        DataError,
        "between 0 and 1",
    ),
    "steps of text": (lambda: fit(model(), X, Y, steps_per_epoch="a"), DataError, "positive"),
    "validation data of four": (
        lambda: fit(model(), X, Y, validation_data=(X, Y, None, None)),
        DataError,
        "4 items",
    ),
    "validation data without targets": (
        lambda: fit(model(), X, Y, validation_data=X),
        ArgumentError,
        "no target",
    ),
    "targets of another name": (
        lambda: fit(two_inputs(), [X, X[:, :3]], {"z": Y}),
        ArgumentError,
        r"named \['o'\]",
    ),
    "inputs exchanged": (
        lambda: fit(two_inputs(), [X[:, :3], X], Y),
        ShapeError,
        r"incompatible shape \(None, 3\)",
    ),
    "an index too large": (lambda: keras.Input((3,))[:, 5], ShapeError, r"shape \(None, 3\)"),
    "text for a weight": (
        lambda: model().layers[0].kernel.assign("abc"),
        DTypeError,
        "holds numbers",
    ),
    "clipping at -1": (lambda: keras.optimizers.SGD(clipnorm=-1.0), ArgumentError, "positive"),
    "no path": (lambda: keras.models.load_model(None), SavingError, "path of a file"),
    "a number for a path": (lambda: model().save(3), SavingError, "path of a file"),
    "half a JSON": (lambda: keras.models.model_from_json('{"a":'), SavingError, "to_json"),
    "a class that takes no name": (
        lambda: keras.models.clone_model(WithoutArguments()),
        UnknownObjectError,
        r"\*\*kwargs",
    ),
    "if on a symbol": (lambda: bool(keras.Input((3,))), AbstractValueError, "come later"),
}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_is_a_named_error(case):
    wrong, error, text = CASES[case]
    with pytest.raises(error, match=text) as caught:
        wrong()
    assert isinstance(caught.value, DistkerasError)


def without_super(base, **methods):
    return type("Mine", (base,), {"__init__": lambda self: setattr(self, "k", 3), **methods})


@pytest.mark.parametrize(
    "use",
    [
        lambda: without_super(layers.Layer, call=lambda self, x: x)()(X),
        lambda: without_super(keras.Model, call=lambda self, x: x)()(X),
        lambda: without_super(layers.Layer)().add_weight((3,)),
        lambda: without_super(keras.optimizers.Optimizer)(),
        lambda: without_super(keras.losses.Loss, call=lambda self, a, b: a - b)()(Y, Y),
        lambda: without_super(keras.metrics.Metric)().add_variable(()),
    ],
)
def test_super_init_left_out(use):
    with pytest.raises(NotInitializedError, match=r"forgot to call `super\(\).__init__\(\)`"):
        use()


def test_attributes_may_come_before_super_init():
    class Cell(layers.Layer):
        def __init__(self, units, **kwargs):
            self.inner = layers.Dense(units)
            super().__init__(**kwargs)

        def call(self, x):
            return self.inner(x)

    layer = Cell(3)
    assert layer(X).shape == (12, 3)
    assert len(layer.weights) == 2


def test_weights_of_unknown_size():
    class Layer(layers.Layer):
        def build(self, input_shape):
            self.w = self.add_weight(shape=(input_shape[1], 3), name="w")

        def call(self, x):
            return x @ self.w

    with pytest.raises(ShapeError, match=r"\(None, 3\) for the weight 'w'"):
        Layer()(keras.Input((None,)))


def test_build_without_arguments():
    class Layer(layers.Layer):
        def build(self):
            self.w = self.add_weight(shape=(4,), initializer="ones")

        def call(self, x):
            return x * self.w

    np.testing.assert_array_equal(np.asarray(Layer()(X)), X)


@pytest.mark.parametrize("kept", [False, True])
def test_layers_made_in_call_are_pointed_out(kept):
    class Inner(layers.Layer):
        def call(self, x):
            dense = layers.Dense(3)
            if kept:
                self.dense = dense
            return dense(x)

    made = keras.Sequential([keras.Input((4,)), Inner(name="inner"), layers.Dense(1)])
    made.compile("sgd", "mse")
    # Kept ones are new to the optimizer, which says so; the others it never sees.
    outcome = pytest.raises(UnknownVariableError, match="inner") if kept else nullcontext()
    with pytest.warns(UserWarning, match="Dense was made within the call of 'inner'"), outcome:
        fit(made, X, Y)


def logits(loss, activation, units=3, wrapped=False):
    made = keras.Sequential([keras.Input((4,)), layers.Dense(units, activation=activation)])
    if wrapped:
        made = keras.Sequential([keras.Input((4,)), made])
    made.compile("sgd", loss)
    return made


SPARSE = keras.losses.SparseCategoricalCrossentropy


@pytest.mark.parametrize(
    "loss, activation, text",
    [
        ("sparse_categorical_crossentropy", None, "logits"),
        (SPARSE(), None, "logits"),
        (SPARSE(from_logits=True), "softmax", "probabilities already"),
        (SPARSE(from_logits=True), None, None),
        ("sparse_categorical_crossentropy", "softmax", None),
        ("sparse_categorical_crossentropy", "relu", None),
    ],
)
@pytest.mark.parametrize("wrapped", [False, True])
def test_logits_taken_for_probabilities(loss, activation, text, wrapped):
    made = logits(loss, activation, wrapped=wrapped)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        fit(made, X, CLASSES)
        fit(made, X, CLASSES)
    found = [str(w.message) for w in said if "from_logits" in str(w.message)]
    assert len(found) == (text is not None)
    assert all(text in message for message in found)


def warnings_of(call):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        call()
    return [str(w.message) for w in said if w.category is UserWarning]


@pytest.mark.parametrize("loss", ["binary_crossentropy", "mse", "categorical_crossentropy"])
def test_a_softmax_of_one_unit(loss):
    found = warnings_of(lambda: fit(logits(loss, "softmax", units=1), X, np.round(Y)))
    assert sum("softmax of one unit" in message for message in found) == 1
    found = warnings_of(lambda: fit(logits(loss, "softmax", units=2), X, np.ones((12, 2))))
    assert not any("softmax of one unit" in message for message in found)


@pytest.mark.parametrize(
    "targets, says",
    [
        (CLASSES, "from 0 to 2"),
        (np.where(CLASSES > 0, 1.0, -1.0), "from -1.0 to 1.0"),
        (CLASSES > 0, None),
        (Y, None),
    ],
)
def test_binary_targets_outside_their_range(targets, says):
    found = warnings_of(lambda: fit(logits("binary_crossentropy", "sigmoid", units=1), X, targets))
    assert [says in message for message in found] == [True] * (says is not None)


@pytest.mark.parametrize(
    "x, rate, says",
    [
        (np.where(np.arange(48).reshape(12, 4) == 21, np.nan, X), 0.01, "first in sample 5"),
        (X, 1e30, "a learning rate that is too large"),
        (X, 0.01, None),
    ],
)
def test_a_loss_that_is_no_number(x, rate, says):
    made = model()
    made.compile(keras.optimizers.SGD(rate), "mse")
    with np.errstate(all="ignore"):
        found = warnings_of(lambda: fit(made, x, Y, epochs=12))
    assert len(found) == (says is not None)
    assert all(says in message and "in epoch" in message for message in found)


def test_a_loss_made_by_numpy():
    made = model(loss=lambda y, out: np.mean((np.asarray(y) - np.asarray(out)) ** 2))
    with pytest.raises(ArgumentError, match=r"NumPy's functions.*cut the way back"):
        fit(made, X, Y)


def test_targets_that_would_be_spread():
    with pytest.warns(UserWarning, match="spreads the smaller"):
        fit(model(), X, np.ones((12, 5)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(model(), X, Y)
        fit(model(), X, Y[:, 0])


@pytest.mark.parametrize(
    ("name", "says"), [("applications", "does not have yet"), ("laiers", "no attribute 'laiers'")]
)
def test_a_name_that_is_not_there(name, says):
    with pytest.raises(AttributeError, match=says):
        getattr(keras, name)
