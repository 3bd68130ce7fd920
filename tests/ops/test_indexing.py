"""`x[...]` in all its forms, against NumPy: values, gradients, graphs and errors."""

import numpy as np
import pytest

from distkeras import GradientTape, ops
from distkeras.errors import AbstractValueError, ShapeError
from distkeras.ops.symbolic import KerasTensor

X = np.arange(120.0).reshape(4, 5, 6)
I, J = np.array([[0, 3], [2, 2]]), np.array([1, -1])  # noqa: E741
FORMS = {
    "int": 2,
    "negative": -1,
    "numpy int": np.int64(3),
    "slice": slice(1, 3),
    "step": slice(None, None, 2),
    "reversed": slice(None, None, -1),
    "tuple": (1, slice(2, None), -1),
    "ellipsis": (..., 0),
    "middle": (0, ..., slice(1, 4)),
    "new axis": (None, slice(None), None, 1),
    "empty": slice(3, 1),
    "whole": (),
    "list": [0, 2, 2],
    "array": I,
    "array and slice": (I, slice(1, 3)),
    "slice and array": (slice(None), J),
    "two arrays": (I, I),
    "array, slice, array": (J, slice(None), J),
    "array and int": (J, 2),
    "arrays around an ellipsis": (slice(None), J, ..., J),
    "arrays around a new axis": (slice(None), J, None, J),
    "mask": X[:, 0, 0] > 30,
    "whole mask": X > 60,
    "mask and int": (X[:, 0, 0] > 30, 1),
}


@pytest.mark.parametrize("form", FORMS)
def test_values_and_gradients(form):
    key = FORMS[form]
    x = ops.convert_to_tensor(X)
    expected = X[key]
    with GradientTape() as tape:
        tape.watch(x)
        y = x[key]
        z = ops.sum(y * y)
    np.testing.assert_array_equal(y.numpy(), expected)
    slope = np.zeros_like(X)
    np.add.at(slope, key, 2 * expected)
    np.testing.assert_array_equal(tape.gradient(z, x).numpy(), slope)


@pytest.mark.parametrize("form", [f for f in FORMS if "mask" not in f])
def test_graphs(form):
    key = FORMS[form]
    assert KerasTensor(X.shape, "float64")[key].shape == X[key].shape


@pytest.mark.parametrize("form", [f for f in FORMS if "mask" not in f])
def test_graphs_of_index_tensors(form):
    """Index arrays as placeholders too, and a batch of unknown size that costs no memory."""
    key = FORMS[form]
    if isinstance(key, list):
        key = np.array(key)

    def placeholder(item):
        return KerasTensor(item.shape, "int32") if isinstance(item, np.ndarray) else item

    changed = tuple(map(placeholder, key)) if isinstance(key, tuple) else placeholder(key)
    assert KerasTensor(X.shape)[changed].shape == X[key].shape
    if isinstance(changed, tuple) and not any(item is ... for item in changed):
        wide = KerasTensor((*X.shape, None, 100))
        assert wide[(*changed, ...)].shape == (*X[key].shape, None, 100)


def test_masks_in_graphs():
    x = KerasTensor((4, 5))
    with pytest.raises(AbstractValueError, match="depends on its values"):
        x[KerasTensor((4,), "bool"), 0]
    with pytest.raises(ShapeError, match=r"mask of shape \(3,\) does not fit"):
        x[KerasTensor((3,), "bool"), 0]
    with pytest.raises(ShapeError, match=r"mask of shape \(3,\) does not fit"):
        ops.ones((4, 5))[ops.convert_to_tensor([True, False, True]), 0]


def test_tensors_as_indices():
    x = ops.convert_to_tensor(X)
    i = ops.convert_to_tensor(J)
    np.testing.assert_array_equal(x[i].numpy(), X[J])
    np.testing.assert_array_equal(x[:, i].numpy(), X[:, J])
    one = ops.convert_to_tensor(2)
    np.testing.assert_array_equal(x[one].numpy(), X[2])
    np.testing.assert_array_equal(x[x > 60].numpy(), X[X > 60])
    assert x[KerasTensor((None,), "int32")].shape == (None, 5, 6)


@pytest.mark.parametrize("key", [(0, 0, 0, 0), 4, (slice(None), 9), -5])
def test_out_of_range(key):
    with pytest.raises(ShapeError):
        ops.convert_to_tensor(X)[key]
    with pytest.raises(ShapeError):
        KerasTensor(X.shape)[key]


def test_iteration_and_length():
    x = ops.convert_to_tensor(X)
    assert len(x) == 4
    assert [r.shape for r in x] == [(5, 6)] * 4
    with pytest.raises(TypeError, match="no length"):
        len(ops.convert_to_tensor(1.0))


def test_slice_update():
    x, new = ops.zeros((3, 4)), ops.convert_to_tensor([[1.0, 2.0], [3.0, 4.0]])
    with GradientTape() as tape:
        tape.watch([x, new])
        y = ops.slice_update(x, (1, 2), new)
        z = ops.sum(y * ops.reshape(ops.arange(12, dtype="float32"), (3, 4)))
    expected = np.zeros((3, 4))
    expected[1:, 2:] = [[1, 2], [3, 4]]
    np.testing.assert_array_equal(y.numpy(), expected)
    dx, dnew = tape.gradient(z, [x, new])
    assert dnew.tolist() == [[6.0, 7.0], [10.0, 11.0]]
    assert dx.tolist() == [[0, 1, 2, 3], [4, 5, 0, 0], [8, 9, 0, 0]]


def test_slice_lies_within():
    with pytest.raises(ShapeError, match="does not lie within"):
        ops.slice(X, (0, 3, 0), (1, 3, 1))


def test_nonzero_depends_on_values():
    rows, columns = ops.nonzero([[0, 1], [2, 0]])
    assert (rows.tolist(), columns.tolist(), rows.dtype) == ([0, 1], [1, 0], "int32")
    assert ops.where([False, True])[0].tolist() == [1]
    with pytest.raises(AbstractValueError, match="depends on the values"):
        ops.nonzero(KerasTensor((2, 2)))


@pytest.mark.parametrize("shapes", [((2, 3), (4, 3)), ((3,), (2,)), ((2, 3, 4), (5, 4))], ids=str)
def test_products_that_do_not_fit(shapes):
    with pytest.raises(ShapeError):
        ops.matmul(*(ops.ones(s) for s in shapes))
    with pytest.raises(ShapeError):
        ops.matmul(*(KerasTensor(s) for s in shapes))
