"""Names, order and values of logs for the ways to compile a model, as in Keras."""

import pytest

import distkeras as keras

from . import cases_compile
from .load import read_json


@pytest.mark.parametrize("name", cases_compile.CASES)
def test_logs(name):
    keras.utils.clear_session(free_memory=False)
    expected = read_json("compile.json")[name]
    found = cases_compile.run(keras, name)
    assert found["metrics_names"] == expected["metrics_names"]
    for key in ("test_on_batch", "batches of 4"):
        assert set(found[key]) == set(expected[key]), key
        assert found[key] == pytest.approx(expected[key], rel=2e-5, abs=1e-6), key
    for ours, theirs in zip(found["steps"], expected["steps"], strict=True):
        assert ours == pytest.approx(theirs, rel=2e-5, abs=1e-6)
    assert found["evaluate"] == pytest.approx(expected["evaluate"], rel=2e-5, abs=1e-6)
    assert found["weights"] == pytest.approx(expected["weights"], rel=1e-5)
