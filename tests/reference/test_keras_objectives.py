"""Losses and metrics against Keras, over their tables."""

import numpy as np
import pytest

import distkeras as keras

from . import cases_losses, cases_metrics
from .formula import sample
from .load import read_json, read_packed

TOLERANCE = {"rtol": 2e-5, "atol": 2e-6}


def array(value) -> np.ndarray:
    """Return a tensor as a NumPy array."""
    return np.asarray(keras.ops.convert_to_numpy(value))


@pytest.mark.parametrize("case", cases_losses.CASES, ids=cases_losses.key)
def test_loss(case):
    cls, arguments, kind = case
    expected = read_packed("losses.npz")
    y_true, y_pred, _ = cases_losses.DATA[kind]()
    for weight_name, weight in cases_losses.weights(case).items():
        for reduction in cases_losses.REDUCTIONS:
            key = f"{cases_losses.key(case)}/{weight_name}/{reduction}"
            loss = getattr(keras.losses, cls)(reduction=reduction, **arguments)
            found = array(loss(y_true, y_pred, sample_weight=weight))
            assert found.shape == expected[key].shape, key
            np.testing.assert_allclose(found, expected[key], err_msg=key, **TOLERANCE)


@pytest.mark.parametrize("case", cases_losses.CASES, ids=cases_losses.key)
def test_gradient_of_a_loss(case):
    cls, arguments, kind = case
    y_true, y_pred, _ = cases_losses.DATA[kind]()
    inputs = keras.ops.convert_to_tensor(np.asarray(y_pred, "float32"))
    with keras.GradientTape() as tape:
        tape.watch(inputs)
        loss = getattr(keras.losses, cls)(**arguments)(
            y_true, inputs, sample_weight=cases_losses.gradient_weight(case)
        )
    found = sample(array(tape.gradient(loss, inputs)))
    expected = read_packed("losses.npz")[f"{cases_losses.key(case)}/gradient"]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("function,kind", cases_losses.FUNCTIONS)
def test_loss_function(function, kind):
    y_true, y_pred, _ = cases_losses.DATA[kind]()
    expected = read_packed("losses.npz")[f"function {function}/{kind}"]
    found = array(getattr(keras.losses, function)(y_true, y_pred))
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, **TOLERANCE)


@pytest.mark.parametrize("name", cases_losses.ALIASES)
def test_loss_by_name(name):
    assert callable(keras.losses.get(name))


@pytest.mark.parametrize("name", cases_metrics.ALIASES)
def test_metric_by_name(name):
    assert callable(keras.metrics.get(name))


@pytest.mark.parametrize("case", cases_metrics.CASES, ids=cases_metrics.key)
def test_metric(case):
    cls, arguments, kind = case
    expected = read_json("metrics.json")[cases_metrics.key(case)]
    for mode in ("plain", "weighted"):
        if mode not in expected:  # Keras refuses weights per sample here
            assert cls == "BinaryIoU"
            continue
        metric = getattr(keras.metrics, cls)(**arguments)
        for batch, value in zip("ab", expected[mode], strict=True):
            weight = cases_metrics.sample_weight(case, batch) if mode == "weighted" else None
            metric.update_state(*cases_metrics.DATA[kind](batch), sample_weight=weight)
            found = array(metric.result())
            assert found.shape == np.shape(value)
            np.testing.assert_allclose(found, value, err_msg=f"{mode} {batch}", **TOLERANCE)
        names = [[v.name, list(v.shape)] for v in metric.variables]
        assert names == expected["variables"]
        metric.reset_state()
        np.testing.assert_allclose(array(metric.result()), expected["reset"], **TOLERANCE)
