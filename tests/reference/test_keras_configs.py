"""Configurations, names, initializers, regularizers, constraints and activations as in Keras."""

import numpy as np
import pytest

import distkeras as keras

from . import cases_configs as cases
from .formula import uniform
from .load import read_json, read_packed, rounded

TABLES = {
    "layers": (lambda: keras.layers, cases.LAYERS),
    "optimizers": (lambda: keras.optimizers, cases.OPTIMIZERS),
    "schedules": (lambda: keras.optimizers.schedules, cases.SCHEDULES),
    "losses": (lambda: keras.losses, cases.LOSSES),
    "metrics": (lambda: keras.metrics, cases.METRICS),
    "regularizers": (lambda: keras.regularizers, cases.REGULARIZERS),
    "constraints": (lambda: keras.constraints, cases.CONSTRAINTS),
    "initializers": (lambda: keras.initializers, cases.INITIALIZERS),
}
CONFIGS = [(group, case) for group, (_, table) in TABLES.items() for case in table]


@pytest.fixture(autouse=True)
def _fresh_names():
    keras.utils.clear_session(free_memory=False)


def array(value) -> np.ndarray:
    """Return a tensor as a NumPy array."""
    return np.asarray(keras.ops.convert_to_numpy(value))


# Arguments that Keras leaves out of its configurations, so that its files lose them; ours may keep
# them, since Keras's constructors accept them.
LOST_BY_KERAS = {
    "Huber": {"delta"},
    "CosineSimilarity": {"axis"},
    "SparseCategoricalCrossentropy": {"axis"},
    "SparseTopKCategoricalAccuracy": {"from_sorted_ids"},
    "SimpleRNN": {"seed"},
    "Identity": {"gain"},
}


def comparable(config, expected, cls: str):
    """Return our configuration without what Keras does not write."""
    extra = {k for k in LOST_BY_KERAS.get(cls, ()) if k not in expected}
    return rounded({k: v for k, v in config.items() if k not in extra})


@pytest.mark.parametrize("group,case", CONFIGS, ids=[f"{g}-{cases.key(c)}" for g, c in CONFIGS])
def test_get_config(group, case):
    expected = read_json("configs.json")[group][cases.key(case)]
    made = getattr(TABLES[group][0](), case[0])(**case[1])
    if case[0] == "Input":
        assert made.name == expected["name"]
        return
    expected = expected.get("config", expected) if group in GROUPS_WITH_VALUES else expected
    config = made.get_config()
    assert comparable(config, expected, case[0]) == rounded(expected)
    again = type(made).from_config(config)
    assert rounded(again.get_config()) == rounded(config)


GROUPS_WITH_VALUES = ("regularizers", "constraints", "initializers")


def test_default_names():
    layers = keras.layers
    made = [
        layers.Dense(1),
        layers.Dense(1),
        layers.Conv2D(1, 1),
        layers.BatchNormalization(),
        layers.LSTM(1),
        layers.SimpleRNN(1),
        layers.GRU(1),
        layers.Dense(1),
        layers.MaxPooling2D(),
        layers.MaxPool2D(),
        layers.GlobalAveragePooling2D(),
        layers.UpSampling2D(),
        layers.ReLU(),
        layers.LeakyReLU(),
        layers.InputLayer(shape=(1,)),
        keras.Sequential(),
        keras.Sequential(),
        layers.Add(),
    ]
    names = [m.name for m in made]
    expected = read_json("configs.json")["default_names"]
    assert names == expected[: len(names)]
    x = layers.Input((2,))
    assert keras.Model(x, layers.Dense(1)(x)).name == "functional"
    keras.utils.clear_session(free_memory=False)
    assert layers.Dense(1).name == "dense"


SERIALIZED = {
    "layer": lambda: keras.layers.serialize(keras.layers.Dense(2, activation="relu")),
    "optimizer": lambda: keras.optimizers.serialize(keras.optimizers.Adam()),
    "loss": lambda: keras.losses.serialize(keras.losses.MeanSquaredError()),
    "loss function": lambda: keras.losses.serialize(keras.losses.mean_squared_error),
    "metric": lambda: keras.metrics.serialize(keras.metrics.AUC(num_thresholds=3)),
    "activation": lambda: keras.activations.serialize(keras.activations.relu),
    "initializer": lambda: keras.initializers.serialize(keras.initializers.HeNormal(seed=1)),
    "regularizer": lambda: keras.regularizers.serialize(keras.regularizers.L2(0.5)),
    "constraint": lambda: keras.constraints.serialize(keras.constraints.NonNeg()),
}


@pytest.mark.parametrize("kind", SERIALIZED)
def test_serialized_form(kind):
    expected = read_json("configs.json")["serialized"][kind]
    found = SERIALIZED[kind]()
    if kind == "optimizer":  # on PyTorch Keras names the backend's own subclass
        expected = expected | {"module": "keras.optimizers", "registered_name": None}
    assert rounded(found) == rounded(expected)


@pytest.mark.parametrize("case", cases.INITIALIZERS, ids=cases.key)
def test_initializer_draws_from_the_distribution_of_keras(case):
    cls, arguments = case
    expected = read_json("configs.json")["initializers"][cases.key(case)]
    for shape in cases.FANS:
        key = ",".join(map(str, shape))
        if key not in expected:
            continue
        low, high, mean, deviation, size = expected[key]
        fixed = cls in ("Zeros", "Ones", "Constant")
        draws = np.concatenate(
            [
                array(getattr(keras.initializers, cls)(**arguments, **seed)(shape)).ravel()
                for seed in ([{}] if fixed else [{"seed": i} for i in range(20)])
            ]
        )
        assert draws.size == size
        # Both are samples: means differ by some standard errors, bounds by the spacing at the edge.
        error = 6 * deviation / np.sqrt(size)
        assert draws.mean() == pytest.approx(mean, abs=error + 1e-7)
        assert draws.std() == pytest.approx(deviation, rel=0.01 + 6 / np.sqrt(size))
        if "Normal" not in cls or cls in (
            "TruncatedNormal",
            "GlorotNormal",
            "HeNormal",
            "LecunNormal",
        ):
            slack = 0.02 * deviation + 8 * (high - low) / size
            if "Uniform" not in cls and not fixed:
                slack = deviation
            if arguments.get("distribution") == "untruncated_normal":
                continue
            assert draws.min() == pytest.approx(low, abs=slack)
            assert draws.max() == pytest.approx(high, abs=slack)


@pytest.mark.parametrize("shape", [(4, 4), (7, 3), (3, 7), (2, 3, 12)])
def test_orthogonal_initializer(shape):
    flat = array(keras.initializers.Orthogonal(gain=2.0, seed=3)(shape)).reshape(-1, shape[-1])
    small = flat.T @ flat if flat.shape[0] >= flat.shape[1] else flat @ flat.T
    np.testing.assert_allclose(small, 4 * np.eye(len(small)), atol=1e-5)


def test_identity_initializer():
    value = array(keras.initializers.Identity(gain=2.0)((3, 4)))
    np.testing.assert_array_equal(value, 2 * np.eye(3, 4, dtype="float32"))


@pytest.mark.parametrize("case", cases.REGULARIZERS, ids=cases.key)
def test_regularizer(case):
    expected = read_json("configs.json")["regularizers"][cases.key(case)]["value"]
    found = getattr(keras.regularizers, case[0])(**case[1])(
        keras.ops.convert_to_tensor(uniform("regularized", (4, 3)))
    )
    assert float(found) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("case", cases.CONSTRAINTS, ids=cases.key)
def test_constraint(case):
    expected = read_json("configs.json")["constraints"][cases.key(case)]["value"]
    found = getattr(keras.constraints, case[0])(**case[1])(
        keras.ops.convert_to_tensor(uniform("constrained", (4, 3)))
    )
    np.testing.assert_allclose(array(found).ravel(), expected, rtol=1e-5, atol=1e-7)


ACTIVATIONS = {name: (name, {}) for name in cases.ACTIVATIONS if name != "threshold"}
ACTIVATIONS |= cases.ACTIVATION_ARGUMENTS


@pytest.mark.parametrize("key", ACTIVATIONS)
def test_activation(key):
    name, arguments = ACTIVATIONS[key]
    expected = read_packed("activations.npz")
    x = keras.ops.convert_to_tensor(cases.activation_grid())
    with keras.GradientTape() as tape:
        tape.watch(x)
        y = getattr(keras.activations, name)(x, **arguments)
        cotangent = uniform("activation cotangent", tuple(int(d) for d in y.shape))
        total = keras.ops.sum(y * keras.ops.convert_to_tensor(cotangent))
    np.testing.assert_allclose(array(y).ravel(), expected[key + "/value"], rtol=1e-5, atol=2e-6)
    gradient = array(tape.gradient(total, x)).ravel()
    np.testing.assert_allclose(gradient, expected[key + "/gradient"], rtol=1e-4, atol=1e-5)
