"""Regularizers: Keras's values and configurations, gradients, names."""

import json
from pathlib import Path

import numpy as np
import pytest

import distkeras as keras
from distkeras import ops, regularizers
from distkeras.errors import ArgumentError, ShapeError, UnknownNameError
from reference import cases_configs as cases
from reference.formula import uniform
from support.gradients import check_gradients

DATA = Path(cases.__file__).parent / "data" / "configs.json"
REFERENCE = json.loads(DATA.read_text())["regularizers"]
X = uniform("regularized", (4, 3))


@pytest.mark.parametrize("case", cases.REGULARIZERS, ids=cases.key)
def test_value_gradient_and_configuration(case):
    expected = REFERENCE[cases.key(case)]
    made = getattr(regularizers, case[0])(**case[1])
    value = made(ops.convert_to_tensor(X))
    assert (value.shape, value.dtype) == ((), "float32")
    assert float(value) == pytest.approx(expected["value"], rel=1e-5)
    check_gradients(made, X.astype("float64"), rtol=1e-5, atol=1e-6)
    # Keras rounds some factors to float32.
    assert made.get_config() == {
        k: pytest.approx(v, rel=1e-6) if isinstance(v, float) else v
        for k, v in expected["config"].items()
    }
    again = regularizers.deserialize(regularizers.serialize(made))
    assert again.get_config() == made.get_config()
    assert regularizers.serialize(made)["module"] == "keras.regularizers"


def test_variables_and_half_precision():
    v = keras.Variable([1.0, -2.0])
    assert float(regularizers.L1L2(0.5, 0.25)(v)) == 2.75
    half = regularizers.L2(0.5)(ops.cast([2.0], "float16"))
    assert (float(half), half.dtype) == (2.0, "float16")
    assert float(regularizers.L1L2()(v)) == 0


@pytest.mark.parametrize("mode", ["rows", "columns"])
def test_orthogonal_vectors_cost_nothing(mode):
    q, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((4, 4)))
    assert float(regularizers.OrthogonalRegularizer(1.0, mode)(ops.convert_to_tensor(q))) < 1e-12
    # A vector of zeros is orthogonal to all, and there may be but one.
    assert float(regularizers.OrthogonalRegularizer(1.0, mode)(ops.zeros((2, 2)))) == 0
    assert float(regularizers.OrthogonalRegularizer(1.0, mode)(ops.ones((1, 1)))) == 0


def test_names():
    assert regularizers.get(None) is None
    for name in ("l1", "l2", "L1L2", "l1_l2", "l1l2", "orthogonal_regularizer"):
        assert isinstance(regularizers.get(name), regularizers.Regularizer)
    assert regularizers.get({"class_name": "L2", "config": {"l2": 0.5}}).l2 == 0.5
    assert regularizers.get(len) is len
    assert regularizers.l1_l2 is regularizers.L1L2
    with pytest.raises(UnknownNameError, match="L2"):
        regularizers.get("l3")


@pytest.mark.parametrize("wrong", [-0.1, float("nan"), float("inf"), "0.1", None])
def test_factors(wrong):
    with pytest.raises(ArgumentError, match="non-negative float"):
        regularizers.OrthogonalRegularizer(wrong)
    assert regularizers.L2(None).l2 == 0.01


def test_refusals():
    with pytest.raises(ArgumentError, match="mode"):
        regularizers.OrthogonalRegularizer(0.1, mode="diagonals")
    with pytest.raises(ShapeError, match="rank 2"):
        regularizers.OrthogonalRegularizer()(ops.ones((3,)))
    with pytest.raises(NotImplementedError, match="get_config"):
        regularizers.Regularizer().get_config()
