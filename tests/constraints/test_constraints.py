"""Constraints: Keras's values and configurations, names."""

import json
from pathlib import Path

import numpy as np
import pytest

import distkeras as keras
from distkeras import constraints, ops
from distkeras.errors import UnknownNameError
from reference import cases_configs as cases
from reference.formula import uniform

DATA = Path(cases.__file__).parent / "data" / "configs.json"
REFERENCE = json.loads(DATA.read_text())["constraints"]
W = uniform("constrained", (4, 3))


@pytest.mark.parametrize("case", cases.CONSTRAINTS, ids=cases.key)
def test_value_and_configuration(case):
    expected = REFERENCE[cases.key(case)]
    made = getattr(constraints, case[0])(**case[1])
    found = made(ops.convert_to_tensor(W))
    np.testing.assert_allclose(found.numpy().ravel(), expected["value"], rtol=1e-6, atol=1e-8)
    np.testing.assert_array_equal(made(keras.Variable(W)).numpy(), found.numpy())
    assert made.get_config() == expected["config"]
    again = constraints.deserialize(constraints.serialize(made))
    assert again.get_config() == expected["config"]
    assert constraints.serialize(made)["module"] == "keras.constraints"


@pytest.mark.parametrize("axis", [0, 1, (0, 1), [1, 2], -1])
def test_norms_along_axes(axis):
    w = np.random.default_rng(0).standard_normal((3, 4, 5)).astype("float32") * 2
    axes = tuple(axis) if isinstance(axis, list) else axis
    before = np.sqrt((w**2).sum(axis=axes))

    def norms(constraint):
        return np.sqrt((constraint(ops.convert_to_tensor(w)).numpy() ** 2).sum(axis=axes))

    def close(found, expected):
        np.testing.assert_allclose(found, expected, rtol=1e-5)

    close(norms(constraints.UnitNorm(axis)), np.ones_like(before))
    close(norms(constraints.MaxNorm(3.0, axis)), np.minimum(before, 3))
    half_way = 0.5 * before + 0.5 * np.clip(before, 2, 3)
    close(norms(constraints.MinMaxNorm(2.0, 3.0, rate=0.5, axis=axis)), half_way)


def test_dtypes_and_zeros():
    unit, ranged = constraints.UnitNorm(), constraints.MinMaxNorm(0.5, 1.0)
    for made in (constraints.MaxNorm(), constraints.NonNeg(), unit, ranged):
        for dtype in ("float16", "float32"):
            y = made(ops.zeros((2, 2), dtype=dtype))
            assert y.dtype == dtype
            np.testing.assert_array_equal(y.numpy(), 0)


def test_names():
    assert constraints.get(None) is None
    for name in ("max_norm", "MaxNorm", "non_neg", "unit_norm", "min_max_norm"):
        assert isinstance(constraints.get(name), constraints.Constraint)
    assert constraints.get({"class_name": "MaxNorm", "config": {"max_value": 5}}).max_value == 5
    assert constraints.get(constraints.NonNeg).get_config() == {}
    assert constraints.max_norm is constraints.MaxNorm
    with pytest.raises(UnknownNameError, match="Did you mean 'max_norm'"):
        constraints.get("maxnorm")
