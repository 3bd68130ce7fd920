"""Merging layers: functions, masks, inputs that do not fit."""

import numpy as np
import pytest

import distkeras as keras
from distkeras.errors import ArgumentError, ShapeError

layers, ops = keras.layers, keras.ops
A, B = np.random.default_rng(1).standard_normal((2, 3, 4, 2)).astype("float32")
MASK_A = np.array([[1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]], bool)
MASK_B = np.array([[1, 0, 1, 0], [1, 1, 1, 1], [0, 1, 0, 0]], bool)
REFERENCE = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "average": lambda a, b: (a + b) / 2,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "concatenate": lambda a, b: np.concatenate([a, b], -1),
}
EMPTY = {"multiply": 1.0, "maximum": -np.inf, "minimum": np.inf}


def array(x):
    return np.asarray(ops.convert_to_numpy(x))


def masked(x, mask):
    t = ops.convert_to_tensor(x)
    t._keras_mask = ops.convert_to_tensor(mask)
    return t


@pytest.mark.parametrize("name", REFERENCE)
def test_functions(name):
    expected = REFERENCE[name](A, B)
    np.testing.assert_allclose(array(getattr(layers, name)([A, B])), expected, rtol=1e-6)
    symbol = getattr(layers, name)([keras.Input((4, 2)), keras.Input((None, 2))], name="merged")
    assert symbol._keras_history.operation.name == "merged"
    assert symbol.shape[1] in (None, 4)


def test_dot_function():
    expected = np.einsum("nti,nsi->nts", A, B)
    np.testing.assert_allclose(array(layers.dot([A, B])), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", EMPTY)
def test_masked_elements_do_not_count(name):
    y = getattr(layers, name)([masked(A, MASK_A), masked(B, MASK_B)])
    a, b = (np.where(m[..., None], x, EMPTY[name]) for x, m in ((A, MASK_A), (B, MASK_B)))
    either = MASK_A | MASK_B
    np.testing.assert_allclose(array(y)[either], REFERENCE[name](a, b)[either], rtol=1e-6)
    np.testing.assert_array_equal(array(y._keras_mask), either)


@pytest.mark.parametrize("name", ["add", "average", "subtract"])
def test_a_step_counts_where_one_does(name):
    y = getattr(layers, name)([masked(A, MASK_A), masked(B, MASK_B)])
    np.testing.assert_array_equal(array(y._keras_mask), MASK_A | MASK_B)
    half = getattr(layers, name)([masked(A, MASK_A), ops.convert_to_tensor(B)])
    assert getattr(half, "_keras_mask", None) is None


def test_masks_of_concatenated_steps():
    y = layers.concatenate([masked(A, MASK_A), ops.convert_to_tensor(B)], axis=1)
    expected = np.concatenate([MASK_A, np.ones((3, 4), bool)], axis=1)
    np.testing.assert_array_equal(array(y._keras_mask), expected)


@pytest.mark.parametrize(
    "action, error",
    [
        (lambda: layers.Add()(A), ShapeError),
        (lambda: layers.Add()([]), ShapeError),
        (lambda: layers.Add()([A, B[:, :3]]), ShapeError),
        (lambda: layers.Add()([A, B[:2]]), ShapeError),
        (lambda: layers.Subtract()([A, B, A]), ShapeError),
        (lambda: layers.Concatenate()([A, B[:, :3]]), ShapeError),
        (lambda: layers.Concatenate(axis=5)([A, B]), ShapeError),
        (lambda: layers.Dot(axes=1)([A, B[:, :3]]), ShapeError),
        (lambda: layers.Dot(axes=1)([A]), ShapeError),
        (lambda: layers.Dot(axes=0)([A, B]), ArgumentError),
        (lambda: layers.Dot(axes=(1, 2, 3)), ArgumentError),
        (lambda: layers.Dot(axes="1"), TypeError),
        (lambda: layers.Add().compute_mask([A, B], [None]), ShapeError),
    ],
)
def test_errors(action, error):
    with pytest.raises(error):
        action()
