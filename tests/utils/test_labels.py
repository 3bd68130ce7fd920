"""`keras.utils.to_categorical` and `keras.utils.normalize`."""

import numpy as np
import pytest

import distkeras as keras
from distkeras.errors import ArgumentError


@pytest.mark.parametrize(
    "labels, num_classes, shape",
    [
        ([0, 2, 1], None, (3, 3)),
        ([0, 2, 1], 5, (3, 5)),
        (np.array([[1], [0]], "uint8"), None, (2, 2)),
        (np.array([[1, 0], [2, 2], [0, 1]]), 3, (3, 2, 3)),
        (np.array([1.0, 0.0]), None, (2, 2)),
        (2, None, (3,)),
        ([], 4, (0, 4)),
    ],
)
def test_to_categorical(labels, num_classes, shape):
    rows = keras.utils.to_categorical(labels, num_classes)
    assert rows.shape == shape
    assert rows.dtype == "float64"
    assert np.array_equal(rows.sum(axis=-1), np.ones(shape[:-1]))
    assert np.array_equal(rows.argmax(axis=-1).ravel(), np.ravel(labels))


@pytest.mark.parametrize(
    "labels, num_classes, says",
    [
        ([], None, "pass `num_classes`"),
        ([0, 3], 3, "num_classes - 1 = 2, got values from 0 to 3"),
        ([-1, 0], 3, "values from -1"),
        ([0.5], 3, "whole class numbers"),
        ([np.nan], 3, "whole class numbers"),
        (["cat"], 3, "whole class numbers"),
    ],
)
def test_to_categorical_refuses(labels, num_classes, says):
    with pytest.raises(ArgumentError, match=says):
        keras.utils.to_categorical(labels, num_classes)


@pytest.mark.parametrize("axis, order", [(-1, 2), (0, 2), (1, 1), (0, np.inf)])
def test_normalize(axis, order):
    x = np.random.default_rng(0).normal(size=(3, 4))
    x[0] = 0
    found = keras.utils.normalize(x, axis=axis, order=order)
    norms = np.linalg.norm(found, order, axis)
    assert norms == pytest.approx(np.where(np.linalg.norm(x, order, axis) == 0, 0, 1))
    assert np.allclose(found * np.linalg.norm(x, order, axis, keepdims=True), x)
