"""`Variable`: its API, and that what a user holds never changes under them."""

import copy
import pickle

import numpy as np
import pytest

import distkeras as keras
from distkeras import Variable, ops
from distkeras.engine import context
from distkeras.engine.variable import Cell
from distkeras.errors import ArgumentError, ShapeError

VIEWS = {
    "value": lambda v: v.value,
    "row": lambda v: v.value[0],
    "of the variable": lambda v: v[1:],
    "reshape": lambda v: ops.reshape(v, (-1,)),
    "transpose": lambda v: ops.transpose(v),
    "view of a view": lambda v: ops.transpose(ops.reshape(v, (3, 2)))[0],
    "cast": lambda v: ops.cast(v, "float32"),
    "broadcast": lambda v: ops.broadcast_to(v, (2, 2, 3)),
    "unstack": lambda v: ops.unstack(v)[1],
    "squeeze": lambda v: ops.squeeze(ops.expand_dims(v, 0)),
    "flip": lambda v: ops.flip(v, 0),
    "diagonal": lambda v: ops.diagonal(v),
    "einsum": lambda v: ops.einsum("ij->ji", v),
    "stop_gradient": lambda v: ops.stop_gradient(v),
    "numpy": lambda v: v.numpy(),
    "asarray": np.asarray,
}
CHANGES = {
    "assign": lambda v: v.assign(np.full((2, 3), 9.0)),
    "assign_add": lambda v: v.assign_add(np.ones((2, 3))),
    "assign_sub": lambda v: v.assign_sub(1.0),
}


@pytest.mark.parametrize("arena", [False, True], ids=["private", "arena"])
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("view", VIEWS)
def test_what_is_held_keeps_its_values(view, change, arena):
    v = Variable(np.arange(6.0, dtype="float32").reshape(2, 3))
    if arena:
        keras.optimizers.SGD().build([v])
    held = VIEWS[view](v)
    before = np.array(held)
    CHANGES[change](v)
    np.testing.assert_array_equal(np.asarray(held), before)
    assert not np.array_equal(v.numpy(), np.arange(6.0).reshape(2, 3))


def test_what_is_held_while_a_variable_moves_into_an_arena():
    v = Variable([1.0, 2.0])
    held = v.value
    keras.optimizers.Adam().build([v])
    v.assign([3.0, 4.0])
    assert held.tolist() == [1.0, 2.0]
    assert v.value.tolist() == [3.0, 4.0]


@pytest.mark.parametrize("arena", [False, True])
def test_assigning_a_view_of_itself(arena):
    v = Variable(np.arange(9.0).reshape(3, 3))
    if arena:
        keras.optimizers.SGD().build([v])
    v.assign(ops.transpose(v))
    np.testing.assert_array_equal(v.numpy(), np.arange(9.0).reshape(3, 3).T)
    v.assign_add(ops.transpose(v))
    expected = np.arange(9.0).reshape(3, 3)
    np.testing.assert_array_equal(v.numpy(), expected + expected.T)
    v.assign_sub(v)
    assert not v.numpy().any()


def test_numpy_arrays_given_stay_apart():
    array = np.ones(3, "float32")
    v = Variable(array)
    array[:] = 5
    assert v.numpy().tolist() == [1.0, 1.0, 1.0]
    v.assign(array)
    array[:] = 7
    assert v.numpy().tolist() == [5.0, 5.0, 5.0]
    v.numpy()[:] = 8
    assert v.numpy().tolist() == [5.0, 5.0, 5.0]


def test_values_read_together_are_one_tensor_until_the_next_write():
    v = Variable([1.0])
    a = v.value
    assert v.value is a
    v.assign([2.0])
    assert v.value is not a


def test_assignment_answers_the_new_value():
    v = Variable([1.0, 2.0])
    assert v.assign([3.0, 4.0]).tolist() == [3.0, 4.0]
    assert v.assign_add([1.0, 1.0]).tolist() == [4.0, 5.0]
    assert v.assign_sub(1.0).tolist() == [3.0, 4.0]


def test_assignment_casts_to_the_variable():
    v = Variable([1.5], dtype="float32")
    v.assign(np.array([2], "int64"))
    assert v.dtype == "float32"
    assert v.numpy().dtype == "float32"
    w = Variable([1], dtype="int32")
    w.assign_add(np.array([2.7]))
    assert w.numpy().tolist() == [3]


@pytest.mark.parametrize("value", [[1.0], [[1.0, 2.0]], 1.0, np.ones((2, 2))])
def test_assigning_another_shape(value):
    v = Variable([1.0, 2.0], name="kernel")
    with pytest.raises(ShapeError, match=r"shape=\(2,\).*kernel"):
        v.assign(value)
    with pytest.raises(ValueError, match="must match"):
        v.assign(value)
    assert v.numpy().tolist() == [1.0, 2.0]


def test_adding_what_does_not_broadcast():
    v = Variable([1.0, 2.0])
    with pytest.raises(ShapeError):
        v.assign_add([1.0, 2.0, 3.0])
    with pytest.raises(ShapeError):
        v.assign_add([[1.0, 2.0], [3.0, 4.0]])
    assert v.numpy().tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    "value, dtype",
    [
        (1.0, "float32"),
        (1, "int32"),
        ([1, 2], "int32"),
        (True, "bool"),
        (np.ones(2), "float64"),
        (np.ones(2, "int8"), "int8"),
    ],
)
def test_dtype_of_the_first_value(value, dtype):
    assert Variable(value).dtype == dtype


def test_first_values_by_initializer():
    v = Variable(keras.initializers.Ones(), shape=(2, 3), dtype="float16")
    assert (v.shape, v.dtype, float(v.numpy().sum())) == ((2, 3), "float16", 6.0)
    with pytest.raises(ArgumentError, match="`shape` argument should be specified"):
        Variable(keras.initializers.Ones())
    with pytest.raises(
        ShapeError, match=r"shape \(3,\) was given an initial value of shape \(2,\)"
    ):
        Variable([1.0, 2.0], shape=(3,))


@pytest.mark.parametrize("settings", [{"name": "a/b"}, {"name": 3}, {"aggregation": "median"}])
def test_wrong_settings(settings):
    with pytest.raises(ArgumentError):
        Variable(1.0, **settings)


def test_autocast():
    v = Variable([1.0], name="a")
    fixed, whole = Variable([1.0], autocast=False), Variable([1])
    with context.changed(autocast="float16"):
        assert (v.dtype, v.value.dtype) == ("float16", "float16")
        assert (fixed.dtype, fixed.value.dtype) == ("float32", "float32")
        assert (whole.dtype, whole.value.dtype) == ("int32", "int32")
        v.assign([2.0])
    assert (v.dtype, v.value.dtype, v.value.tolist()) == ("float32", "float32", [2.0])


def test_a_deep_copy_is_apart():
    v = Variable([1.0, 2.0], name="w", trainable=False)
    v.path = "dense/w"
    w = copy.deepcopy(v)
    w.assign([9.0, 9.0])
    assert (v.numpy().tolist(), w.name, w.path, w.trainable) == ([1.0, 2.0], "w", "dense/w", False)
    keras.optimizers.SGD().build([v])
    assert copy.deepcopy([v, v])[0].handle.home is None


def test_pickle():
    v = Variable(np.arange(3.0), name="w", dtype="float64")
    keras.optimizers.SGD().build([v])
    w = pickle.loads(pickle.dumps(v))
    assert (w.numpy().tolist(), w.dtype, w.name) == ([0.0, 1.0, 2.0], "float64", "w")
    t = pickle.loads(pickle.dumps(v.value))
    assert t.tolist() == [0.0, 1.0, 2.0]


def test_python_sees_a_number_or_a_sequence():
    v = Variable(2.0)
    assert (float(v), int(v), bool(v)) == (2.0, 2, True)
    w = Variable([1.0, 2.0])
    assert len(w) == 2
    assert [float(x) for x in w] == [1.0, 2.0]
    assert (v + w).tolist() == (w + v).tolist() == [3.0, 4.0]
    assert (np.array([1.0, 1.0], "float32") * w).tolist() == [1.0, 2.0]
    assert "shape=(2,)" in repr(w)


def test_nothing_is_assigned_while_shapes_are_inferred():
    v = Variable([1.0])

    class Counting(keras.Layer):
        def __init__(self):
            super().__init__()
            self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False)

        def call(self, x):
            self.calls.assign_add(1.0)
            v.assign(ops.sum(x, axis=(0, 1), keepdims=False)[None])
            return x

    layer = Counting()
    keras.Model(inputs := keras.Input((2,)), layer(inputs))
    assert (float(layer.calls), v.numpy().tolist()) == (0.0, [1.0])
    layer(np.ones((3, 2), "float32"))
    assert (float(layer.calls), v.numpy().tolist()) == (1.0, [6.0])


def test_dead_views_are_forgotten_and_living_ones_kept():
    cell = Cell(np.zeros(4, "float32"))
    kept = []
    for i in range(1000):
        t = cell.tensor()
        view = t[:2]
        if i % 10 == 0:
            kept.append(view)
    assert len(cell._views) < 400
    cell.fill(1.0)
    assert all(k.tolist() == [0.0, 0.0] for k in kept)
    assert cell.tensor().tolist() == [1.0] * 4
    assert cell._views == []


def test_a_cast_to_another_dtype_is_not_remembered():
    v = Variable([1.0, 2.0])
    half = ops.cast(v, "float16")
    assert half.cell is None
    assert v.handle._views == []


def test_a_tensor_is_given_only_a_copy_of_what_it_shows():
    v = Variable(np.zeros((1000, 8), "float32"))
    row = v.value[3]
    v.assign_add(1.0)
    assert row.array.base is None
    assert row.array.size == 8
