"""Activations: Keras's values and gradients on a grid, second derivatives, names."""

from pathlib import Path

import numpy as np
import pytest

from distkeras import activations, ops
from distkeras.engine.tape import GradientTape
from distkeras.errors import ArgumentError, ShapeError, UnknownNameError
from distkeras.ops.symbolic import KerasTensor
from distkeras.saving import register_keras_serializable
from reference import cases_configs as cases
from reference.formula import uniform
from support.gradients import check_gradients

STORED = np.load(Path(cases.__file__).parent / "data" / "activations.npz")
ENDS = np.cumsum(STORED["sizes"])
REFERENCE = {
    str(name): STORED["values"][end - size : end]
    for name, size, end in zip(STORED["names"], STORED["sizes"], ENDS, strict=True)
}
TABLE = {n: (n, {}) for n in cases.ACTIVATIONS if n != "threshold"} | cases.ACTIVATION_ARGUMENTS
NAMES = [n for n in activations.__all__ if n not in ("get", "serialize", "deserialize")]


@pytest.mark.parametrize("key", TABLE)
def test_values_and_gradients_of_keras(key):
    name, arguments = TABLE[key]
    x = ops.convert_to_tensor(cases.activation_grid())
    with GradientTape() as tape:
        tape.watch(x)
        y = getattr(activations, name)(x, **arguments)
        cotangent = uniform("activation cotangent", tuple(y.shape))
        total = ops.sum(y * cotangent)
    close = {"rtol": 2e-5, "atol": 2e-6}
    np.testing.assert_allclose(y.numpy().ravel(), REFERENCE[f"{key}/value"], **close)
    gradient = tape.gradient(total, x).numpy().ravel()
    np.testing.assert_allclose(gradient, REFERENCE[f"{key}/gradient"], **close)


@pytest.mark.parametrize("key", [*TABLE, "sparsemax", "sparse_sigmoid"])
def test_second_derivatives(key):
    name, arguments = TABLE.get(key, (key, {}))
    x = cases.activation_grid().astype("float64")[1:5] * 0.7
    check_gradients(
        lambda t: getattr(activations, name)(t, **arguments), x, rtol=1e-5, atol=1e-5, step=1e-5
    )


@pytest.mark.parametrize("name", [n for n in NAMES if n != "threshold"])
def test_graphs_dtypes_and_empty_batches(name):
    function = getattr(activations, name)
    width = 2 if name == "glu" else 4
    symbolic = function(KerasTensor((None, 4), dtype="float16"))
    assert (symbolic.shape, symbolic.dtype) == ((None, width), "float16")
    for dtype in ("float16", "bfloat16", "float32", "float64"):
        y = function(ops.cast([[-1.0, 0.5, 2.0, 0.0]], dtype))
        assert (y.shape, y.dtype) == ((1, width), dtype)
    assert function(ops.zeros((0, 4))).shape == (0, width)


@pytest.mark.parametrize("axis", [-1, 0])
def test_sparsemax_projects_onto_the_simplex(axis):
    x = np.random.default_rng(0).standard_normal((5, 6)) * 2
    y = activations.sparsemax(ops.convert_to_tensor(x), axis=axis).numpy()
    np.testing.assert_allclose(y.sum(axis=axis), 1, rtol=1e-12)
    assert y.min() == 0
    # The nearest point: x - y is constant on the support, and not larger elsewhere.
    tau = np.max(x - y, axis=axis, keepdims=True)
    np.testing.assert_allclose(np.where(y > 0, x - y, tau), np.broadcast_to(tau, x.shape))


def test_extreme_inputs_stay_finite():
    x = ops.convert_to_tensor([-1e4, -100.0, 100.0, 1e4])
    for name in ("sigmoid", "softplus", "log_sigmoid", "silu", "mish", "elu", "selu", "celu"):
        assert np.isfinite(getattr(activations, name)(x).numpy()).all(), name


def test_integers():
    assert activations.relu(ops.convert_to_tensor([-1, 2])).dtype == "int32"
    assert activations.sigmoid(ops.convert_to_tensor([0])).dtype == "float32"


def test_names():
    assert activations.get(None) is activations.linear
    for name in NAMES:
        function = getattr(activations, name)
        assert activations.get(name) is function
        assert activations.get(activations.serialize(function)) is function
        assert activations.deserialize(activations.serialize(function)) is function
    assert activations.serialize(activations.get("swish")) == "silu"
    assert activations.serialize(activations.get("hard_swish")) == "hard_silu"
    with pytest.raises(UnknownNameError, match="relu"):
        activations.get("rellu")
    with pytest.raises(ArgumentError, match="Could not interpret"):
        activations.get(3)


def test_own_functions():
    @register_keras_serializable("activation_tests")
    def double(x):
        return x * 2

    config = activations.serialize(double)
    assert config["config"] == "activation_tests>double"
    assert activations.deserialize(config) is double
    assert activations.get(double) is double


def test_refusals():
    with pytest.raises(ShapeError, match="even"):
        activations.glu(ops.ones((2, 3)))
    with pytest.raises(ArgumentError, match="positive"):
        activations.celu(ops.ones((2,)), alpha=0.0)
