"""Half and double precision: dtypes of weights, results and slots, and training that learns."""

import numpy as np
import pytest

import distkeras as keras
from distkeras import layers, ops

RNG = np.random.default_rng(9)
X = RNG.standard_normal((64, 6)).astype("float32")
LABELS = (X[:, 0] + X[:, 1] > 0).astype("int32") + (X[:, 2] > 0.5)


@pytest.fixture
def settings():
    """Settings of the process, put back afterwards."""
    policy, floatx = keras.config.dtype_policy(), keras.config.floatx()
    yield
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(policy)


def model():
    init = keras.initializers.GlorotUniform(seed=2)
    return keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(16, activation="relu", kernel_initializer=init),
            layers.BatchNormalization(),
            layers.Dense(3, activation="softmax", kernel_initializer=init, dtype="float32"),
        ]
    )


def fit(net):
    net.compile(
        keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return net.fit(X, LABELS, batch_size=16, epochs=12, shuffle=False, verbose=0).history


@pytest.mark.parametrize(
    "policy, compute", [("mixed_float16", "float16"), ("mixed_bfloat16", "bfloat16")]
)
def test_mixed_precision(settings, policy, compute):
    single = fit(model())
    keras.config.set_dtype_policy(policy)
    net = model()
    first = net.layers[0]
    assert (first.compute_dtype, first.variable_dtype) == (compute, "float32")
    assert first(X[:2]).dtype == compute
    assert net.output.dtype == "float32"
    mixed = fit(net)
    assert {v.dtype for v in net.trainable_variables} == {"float32"}
    assert all(np.isfinite(mixed["loss"]))
    assert mixed["accuracy"][-1] > 0.9
    np.testing.assert_allclose(mixed["loss"], single["loss"], rtol=0.2, atol=0.03)


@pytest.mark.parametrize("policy", ["float16", "bfloat16"])
def test_half_precision_throughout(settings, policy):
    keras.config.set_dtype_policy(policy)
    init = keras.initializers.GlorotUniform(seed=2)
    net = keras.Sequential(
        [keras.Input((6,)), layers.Dense(8, "tanh", kernel_initializer=init), layers.Dense(1)]
    )
    net.compile(keras.optimizers.SGD(0.1), "mse")
    losses = net.fit(X, X[:, :1], epochs=5, verbose=0).history["loss"]
    assert {v.dtype for v in net.variables} == {policy}
    assert losses[-1] < losses[0]


def test_float64(settings):
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    net = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(16, activation="relu"),
            layers.BatchNormalization(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    history = fit(net)
    assert {v.dtype for v in net.trainable_variables} == {"float64"}
    assert net(X.astype("float64")).dtype == "float64"
    assert net.predict(X, verbose=0).dtype == "float64"
    assert history["accuracy"][-1] > 0.9
    slots = [v for v in net.optimizer.variables if v.shape and v.dtype != "int64"]
    assert {s.dtype for s in slots} == {"float64"}


def test_doubles_agree_with_finite_differences(settings):
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    net = keras.Sequential([keras.Input((6,)), layers.Dense(4, "tanh"), layers.Dense(1)])
    x = X.astype("float64")

    def loss():
        return ops.mean(ops.square(net(x)))

    kernel = net.layers[0].kernel
    with keras.GradientTape() as tape:
        y = loss()
    found = tape.gradient(y, kernel).numpy()
    for place in [(0, 0), (3, 2), (5, 3)]:
        ends, base = [], kernel.numpy()
        for sign in (1, -1):
            moved = base.copy()
            moved[place] += sign * 1e-6
            kernel.assign(moved)
            ends.append(float(loss()))
        kernel.assign(base)
        np.testing.assert_allclose(found[place], (ends[0] - ends[1]) / 2e-6, rtol=1e-7)


def test_shapes_and_values_agree_on_dtypes_within_nested_layers(settings):
    """A layer called within another sees tensors of its own compute dtype, in graphs as well."""
    keras.config.set_dtype_policy("mixed_float16")

    class Outer(keras.Layer):
        def __init__(self):
            super().__init__(dtype="float32")
            self.inner = layers.Dense(2, dtype="mixed_float16")

        def call(self, x):
            return self.inner(x)

    outer = Outer()
    symbolic = outer(keras.Input((3,), dtype="float32"))
    assert symbolic.dtype == outer(np.ones((1, 3), "float32")).dtype == "float16"
