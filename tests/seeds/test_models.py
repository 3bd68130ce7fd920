"""Building models as tutorials of Keras do; `import distkeras as keras` is all that differs."""

import importlib

import numpy as np
import pytest

import distkeras as keras
from distkeras import layers

# What tutorials import, by module.
NAMES = {
    "models": "Sequential Model load_model model_from_json",
    "layers": "Input Dense Dropout Flatten Conv1D Conv2D MaxPooling2D LSTM GRU Embedding "
    "BatchNormalization",
    "optimizers": "SGD Adam RMSprop Adagrad",
    "losses": "BinaryCrossentropy CategoricalCrossentropy MeanSquaredError Huber",
    "metrics": "Accuracy Precision Recall AUC",
    "callbacks": "EarlyStopping ModelCheckpoint ReduceLROnPlateau",
    "utils": "to_categorical",
    "datasets": "mnist",
}


@pytest.mark.parametrize("module", NAMES)
def test_names_can_be_imported(module):
    found = importlib.import_module(f"distkeras.{module}")
    assert found is getattr(keras, module)
    for name in NAMES[module].split():
        assert getattr(found, name) is not None


def test_layers_added_one_by_one():
    from distkeras.layers import Dense
    from distkeras.models import Sequential

    model = Sequential()
    model.add(Dense(64, activation="relu", input_shape=(100,)))
    model.add(Dense(10, activation="softmax"))
    assert model.output_shape == (None, 10)
    assert model.count_params() == 100 * 64 + 64 + 64 * 10 + 10
    rows = np.asarray(model(np.random.default_rng(0).random((3, 100))))
    assert rows.sum(axis=1) == pytest.approx(np.ones(3), abs=1e-5)


def test_summary_prints_layers_and_counts(capsys):
    model = keras.Sequential(
        [
            layers.Dense(64, activation="relu", input_shape=(10,)),
            layers.Dense(32, activation="relu"),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.summary()
    printed = capsys.readouterr().out
    for word in ("(None, 64)", "704", "(None, 32)", "2,080", "(None, 1)", "33", "2,817"):
        assert word in printed


class TwoLayers(keras.Model):
    """A model by subclassing."""

    def __init__(self):
        super().__init__()
        self.hidden = layers.Dense(64, activation="relu")
        self.out = layers.Dense(10)

    def call(self, inputs):
        return self.out(self.hidden(inputs))


def test_three_ways_to_write_one_model():
    inputs = keras.Input(shape=(784,))
    functional = keras.Model(inputs, layers.Dense(10)(layers.Dense(64, activation="relu")(inputs)))
    sequential = keras.Sequential([layers.Dense(64, activation="relu"), layers.Dense(10)])
    subclassed = TwoLayers()
    x = np.random.default_rng(0).random((5, 784)).astype("float32")
    for model in (sequential, subclassed):
        model(x)
        model.set_weights(functional.get_weights())
    expected = functional.predict(x, verbose=0)
    for model in (sequential, subclassed):
        np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-5, atol=1e-6)


def test_functional_model_by_keywords():
    from distkeras.layers import Dense, Input
    from distkeras.models import Model

    inputs = Input(shape=(4,))
    x = Dense(32, activation="relu")(inputs)
    x = Dense(16, activation="relu")(x)
    model = Model(inputs=inputs, outputs=Dense(3, activation="softmax")(x))
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    assert model.count_params() == 160 + 528 + 51
    assert len(model.layers) == 4


@pytest.mark.parametrize(
    "first, shape, out",
    [
        (lambda: layers.Flatten(input_shape=(28, 28)), (28, 28), 784),
        (lambda: layers.Dense(64, input_shape=(28, 28)), (28, 28), (28, 64)),
        (
            lambda: layers.Conv2D(32, (3, 3), activation="relu", input_shape=(28, 28, 1)),
            (28, 28, 1),
            (26, 26, 32),
        ),
        (
            lambda: layers.Conv2D(
                filters=32, kernel_size=(3, 3), activation="relu", input_shape=(28, 28, 1)
            ),
            (28, 28, 1),
            (26, 26, 32),
        ),
        (lambda: layers.Dense(units=64, activation="relu", input_shape=(10,)), (10,), 64),
    ],
)
def test_first_layer_takes_input_shape(first, shape, out):
    model = keras.Sequential([first()])
    assert model.built
    expected = (2, *out) if isinstance(out, tuple) else (2, out)
    assert model.predict(np.zeros((2, *shape)), verbose=0).shape == expected
    assert model.output_shape == (None, *expected[1:])


def test_dropout_acts_in_training_only():
    keras.utils.set_random_seed(3)
    model = keras.Sequential([layers.Input((1000,)), layers.Dropout(0.3)])
    ones = np.ones((4, 1000), "float32")
    np.testing.assert_array_equal(model.predict(ones, verbose=0), ones)
    dropped = np.asarray(model(ones, training=True))
    assert (dropped == 0).mean() == pytest.approx(0.3, abs=0.05)
    assert dropped[dropped != 0] == pytest.approx(1 / 0.7)


@pytest.mark.parametrize(
    "name, function",
    [
        ("relu", lambda x: np.maximum(x, 0)),
        ("sigmoid", lambda x: 1 / (1 + np.exp(-x))),
        ("tanh", np.tanh),
        ("linear", lambda x: x),
        ("softmax", lambda x: np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)),
    ],
)
def test_activations_by_name(name, function):
    x = np.array([[-2.0, 0.5, 3.0]], "float32")
    model = keras.Sequential([layers.Input((3,)), layers.Activation(name)])
    np.testing.assert_allclose(model.predict(x, verbose=0), function(x), rtol=1e-5)
