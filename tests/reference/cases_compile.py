"""Ways to compile a model: what the logs are called and what they hold."""

from __future__ import annotations

import numpy as np

from .formula import integers, uniform
from .models import reseed


def one_output(keras, units: int, activation):
    """A layer on five features."""
    layers = keras.layers
    dense = layers.Dense(units, activation=activation, name="out")
    return keras.Sequential([layers.Input(shape=(5,)), dense])


def two_outputs(keras, form: str):
    """Outputs `left` and `right`, in a list or a dictionary."""
    layers = keras.layers
    x = layers.Input(shape=(5,), name="x")
    left = layers.Dense(1, activation="sigmoid", name="left")(x)
    right = layers.Dense(3, activation="softmax", name="right")(x)
    return keras.Model(x, [left, right] if form == "list" else {"a": left, "b": right})


def masked(keras):
    """A masked sequence of three features to two values at each step."""
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input(shape=(4, 3)),
            layers.Masking(mask_value=0.0),
            layers.SimpleRNN(4, return_sequences=True),
            layers.Dense(2, name="out"),
        ]
    )


def penalized(keras):
    """An activity regularizer and a weight regularizer beside the loss."""
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input(shape=(5,)),
            layers.Dense(4, activity_regularizer="l2", kernel_regularizer="l1"),
            layers.Dense(2, name="out"),
        ]
    )


def features(name="x"):
    """Six samples."""
    return uniform(name, (6, 5))


def binary(name="b"):
    """Labels 0 and 1 in a column."""
    return integers(name, (6, 1), 0, 2)


def sparse(name="s"):
    """Three classes."""
    return integers(name, (6,), 0, 3)


def hot(name="s"):
    """Three classes, one-hot."""
    return np.eye(3, dtype="float32")[sparse(name)]


def values(name="v"):
    """Two values for each sample."""
    return uniform(name, (6, 2))


def weights(name="w", shape=(6,)):
    """Sample weights."""
    return uniform(name, shape, 0, 2)


def sequences():
    """Sequences that end early."""
    x = uniform("sequences", (5, 4, 3))
    x[0, 2:], x[1, 3:], x[2, 1:] = 0, 0, 0
    return x


def absolute_error(keras):
    """A metric or loss given as a function."""

    def my_error(y_true, y_pred):
        return keras.ops.mean(keras.ops.abs(keras.ops.subtract(y_true, y_pred)), axis=-1)

    return my_error


# name: (model, compile arguments, x, y, sample weight); functions take the Keras-like module
CASES = {
    "binary accuracy": (
        lambda k: one_output(k, 1, "sigmoid"),
        lambda k: {"loss": "binary_crossentropy", "metrics": ["accuracy", "binary_crossentropy"]},
        features,
        binary,
        None,
    ),
    "categorical acc": (
        lambda k: one_output(k, 3, "softmax"),
        lambda k: {"loss": "categorical_crossentropy", "metrics": ["acc"]},
        features,
        hot,
        None,
    ),
    "sparse accuracy": (
        lambda k: one_output(k, 3, "softmax"),
        lambda k: {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]},
        features,
        sparse,
        None,
    ),
    "sparse accuracy column": (
        lambda k: one_output(k, 3, "softmax"),
        lambda k: {
            "loss": k.losses.SparseCategoricalCrossentropy(),
            "metrics": ["accuracy", k.metrics.SparseTopKCategoricalAccuracy(k=2)],
        },
        features,
        lambda: sparse()[:, None],
        None,
    ),
    "functions": (
        lambda k: one_output(k, 2, None),
        lambda k: {"loss": absolute_error(k), "metrics": [absolute_error(k), "mse", "mae"]},
        features,
        values,
        weights,
    ),
    "objects": (
        lambda k: one_output(k, 2, None),
        lambda k: {
            "loss": k.losses.MeanSquaredError(reduction="mean_with_sample_weight"),
            "metrics": [k.metrics.MeanAbsoluteError(name="distance"), k.metrics.R2Score()],
            "weighted_metrics": [k.metrics.MeanAbsoluteError(), "mse"],
        },
        features,
        values,
        weights,
    ),
    "sum reduction": (
        lambda k: one_output(k, 2, None),
        lambda k: {"loss": k.losses.MeanAbsoluteError(reduction="sum"), "loss_weights": 0.25},
        features,
        values,
        weights,
    ),
    "two outputs, lists": (
        lambda k: two_outputs(k, "list"),
        lambda k: {
            "loss": ["binary_crossentropy", "sparse_categorical_crossentropy"],
            "metrics": [["accuracy", "mae"], ["accuracy"]],
            "loss_weights": [0.5, 2.0],
        },
        features,
        lambda: [binary(), sparse()],
        None,
    ),
    "two outputs, one loss": (
        lambda k: two_outputs(k, "list"),
        lambda k: {"loss": "mse"},
        features,
        lambda: [binary().astype("float32"), hot()],
        None,
    ),
    "two outputs, one without": (
        lambda k: two_outputs(k, "list"),
        lambda k: {"loss": [None, "categorical_crossentropy"], "metrics": [None, ["accuracy"]]},
        features,
        lambda: [binary().astype("float32"), hot()],
        None,
    ),
    "two outputs, weights each": (
        lambda k: two_outputs(k, "list"),
        lambda k: {
            "loss": ["binary_crossentropy", "sparse_categorical_crossentropy"],
            "weighted_metrics": [["accuracy"], ["accuracy"]],
        },
        features,
        lambda: [binary(), sparse()],
        lambda: [weights(), weights("w2")],
    ),
    "two outputs, dictionaries": (
        lambda k: two_outputs(k, "dict"),
        lambda k: {
            "loss": {"a": "binary_crossentropy", "b": "categorical_crossentropy"},
            "metrics": {"b": ["accuracy", "mse"]},
            "loss_weights": {"a": 3.0, "b": 0.5},
        },
        features,
        lambda: {"a": binary(), "b": hot()},
        None,
    ),
    "two outputs, names of layers": (
        lambda k: two_outputs(k, "list"),
        lambda k: {
            "loss": {"left": "mse", "right": "mae"},
            "metrics": {"left": "mae", "right": ["mse"]},
        },
        features,
        lambda: {"left": binary().astype("float32"), "right": hot()},
        None,
    ),
    "masked": (
        masked,
        lambda k: {"loss": "mse", "metrics": ["mae"], "weighted_metrics": ["mse"]},
        sequences,
        lambda: uniform("targets", (5, 4, 2)),
        None,
    ),
    "masked and weighted": (
        masked,
        lambda k: {"loss": "mae", "metrics": ["mae"], "weighted_metrics": ["mse"]},
        sequences,
        lambda: uniform("targets", (5, 4, 2)),
        lambda: weights("w", (5, 4)),
    ),
    "masked sum": (
        masked,
        lambda k: {"loss": k.losses.Huber(reduction="sum")},
        sequences,
        lambda: uniform("targets", (5, 4, 2)),
        lambda: weights("w", (5, 4)),
    ),
    "masked mean with sample weight": (
        masked,
        lambda k: {"loss": k.losses.MeanSquaredError(reduction="mean_with_sample_weight")},
        sequences,
        lambda: uniform("targets", (5, 4, 2)),
        lambda: weights("w", (5, 4)),
    ),
    "penalties": (
        penalized,
        lambda k: {"loss": "mse", "metrics": ["mse"]},
        features,
        values,
        None,
    ),
    "penalties only": (penalized, lambda k: {"loss": None}, features, None, None),
    "double precision and integers": (
        lambda k: one_output(k, 2, None),
        lambda k: {"loss": "mse", "metrics": ["mae"]},
        lambda: features().astype("float64"),
        lambda: integers("i", (6, 2), 0, 3).astype("int64"),
        lambda: weights().astype("float64"),
    ),
}


def run(keras, name: str) -> dict:
    """Return two steps' logs (metrics go on accumulating), an evaluation and the weights."""
    build, arguments, x, y, weight = CASES[name]
    model = build(keras)
    reseed("compile", model)
    model.compile(optimizer=keras.optimizers.SGD(0.1), **arguments(keras))
    x, y, weight = (None if part is None else part() for part in (x, y, weight))

    def plain(logs):
        return {key: float(value) for key, value in logs.items()}

    steps = [
        plain(model.train_on_batch(x, y, sample_weight=weight, return_dict=True)) for _ in range(2)
    ]
    options = {"sample_weight": weight, "verbose": 0}
    evaluated = model.evaluate(x, y, **options)
    return {
        "steps": steps,
        "test_on_batch": plain(model.test_on_batch(x, y, sample_weight=weight, return_dict=True)),
        "evaluate": np.atleast_1d(np.asarray(evaluated, "float64")).tolist(),
        "batches of 4": plain(model.evaluate(x, y, batch_size=4, return_dict=True, **options)),
        "metrics_names": list(model.metrics_names),
        "weights": float(sum(np.abs(w).sum() for w in model.get_weights())),
    }
