"""Flat memory: homes, runs, alignment, written gradients."""

import numpy as np
import pytest

import distkeras as keras
from distkeras import Variable, ops
from distkeras.devices import use_device
from distkeras.engine.arena import FlatBuffer, GradientArena, Layout, ParameterArena
from distkeras.errors import ShapeError

SHAPES = [(3, 5), (), (7,), (2, 2, 2), (0, 4), (16,)]


def variables(dtype="float32", shapes=SHAPES):
    rng = np.random.default_rng(3)
    return [Variable(rng.standard_normal(s).astype(dtype)) for s in shapes]


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_every_variable_lies_aligned_in_one_buffer(dtype):
    vs = variables(dtype)
    before = [v.numpy() for v in vs]
    (flat,) = ParameterArena(vs).buffers.values()
    assert flat.ctypes.data % 64 == 0
    for v, values in zip(vs, before, strict=True):
        np.testing.assert_array_equal(v.numpy(), values)
        assert v.handle.array.ctypes.data % 64 == 0
        assert np.shares_memory(v.handle.array, flat) or v.size == 0
    for v in vs:
        v.assign(np.zeros(v.shape))
    assert not flat.any()


def test_dtypes_lie_apart():
    vs = [Variable(np.ones(3, d)) for d in ("float32", "int32", "float32", "float64")]
    buffers = ParameterArena(vs).buffers
    assert {name: b.size for name, b in buffers.items()} == {
        "float32": 32,
        "int32": 16,
        "float64": 8,
    }


def test_a_variable_has_one_home():
    vs = variables()
    first = ParameterArena(vs[:3])
    second = ParameterArena(vs)
    assert [v.handle.home[0] is first for v in vs] == [True] * 3 + [False] * 3
    assert second.buffers["float32"].size == 16 + 0 + 16


def runs_of(layout, *arguments):
    return [run.variables for run in layout.runs(*arguments)]


def test_neighbours_share_a_run():
    vs = variables()
    ParameterArena(vs)
    layout = Layout(vs)
    assert runs_of(layout, range(6)) == [(0, 1, 2, 3, 4, 5)]
    assert runs_of(layout, [0, 1, 3, 5]) == [(0, 1), (3,), (5,)]
    assert runs_of(layout, range(4), [1, 1, 2, 2, 1, 1]) == [(0, 1), (2, 3)]
    assert runs_of(layout, []) == []


def test_a_run_covers_its_variables_and_no_others():
    vs = variables()
    ParameterArena(vs)
    layout = Layout(vs)
    (run,) = layout.runs([1, 2])
    run.parameters[...] = 7.0
    assert [bool((v.numpy() == 7).all()) for v in vs[:4]] == [False, True, True, False]


def test_a_second_optimizer_refers_by_runs():
    """Its variables lie in another order, or with others in between, in the first one's memory."""
    vs = variables()
    ParameterArena(vs)
    layout = Layout([vs[0], vs[2], vs[3], vs[1]])
    assert runs_of(layout, range(4)) == [(0,), (1, 2), (3,)]
    buffer = FlatBuffer(layout)
    for run in layout.runs(range(4)):
        run.parameters[...] = 0
        buffer.flat[run.start : run.stop] = 1
    assert not any(vs[i].numpy().any() for i in (0, 1, 2, 3))
    assert vs[5].numpy().all()


def test_only_what_was_written_is_known():
    vs = variables(shapes=[(2,), (3,), (4,)])
    ParameterArena(vs)
    arena = GradientArena(Layout(vs))
    arena.flat[...] = np.nan
    assert arena.store([ops.ones(2), None, ops.ones(4)]) == [0, 2]
    assert arena.store([None, ops.ones(3), None]) == [1]
    assert [t.tolist() for t in arena.tensors([1])] == [[1.0, 1.0, 1.0]]
    assert np.isnan(arena.flat[3])


def test_gradients_that_are_held_keep_their_values():
    vs = variables(shapes=[(2,), (3,)])
    ParameterArena(vs)
    arena = GradientArena(Layout(vs))
    arena.store([ops.ones(2), ops.ones(3)])
    held = arena.tensors([0, 1])
    view = held[1][1:]
    arena.store([ops.zeros(2), ops.zeros(3)])
    assert [t.tolist() for t in (*held, view)] == [[1.0, 1.0], [1.0, 1.0, 1.0], [1.0, 1.0]]


def test_gradients_of_the_arena_come_back_changed():
    """What shows the arena may be stored in it: itself, exchanged, or seen in another order."""
    vs = [Variable(np.zeros((2, 2), "float32")) for _ in range(2)]
    ParameterArena(vs)
    arena = GradientArena(Layout(vs))
    a, b = np.array([[1.0, 2], [3, 4]], "float32"), np.array([[5.0, 6], [7, 8]], "float32")
    arena.store([ops.convert_to_tensor(a), ops.convert_to_tensor(b)])
    arena.store(arena.tensors([0, 1]))
    np.testing.assert_array_equal([t.numpy() for t in arena.tensors([0, 1])], [a, b])
    arena.store(arena.tensors([1, 0]))
    np.testing.assert_array_equal([t.numpy() for t in arena.tensors([0, 1])], [b, a])
    arena.store([ops.transpose(t) for t in arena.tensors([0, 1])])
    np.testing.assert_array_equal([t.numpy() for t in arena.tensors([0, 1])], [b.T, a.T])


def test_a_gradient_of_another_shape_changes_nothing():
    vs = variables(shapes=[(2,), (3,)])
    ParameterArena(vs)
    arena = GradientArena(Layout(vs))
    with pytest.raises(ShapeError, match=r"shape \(4,\) came for the variable 'kernel'"):
        vs[1].path = "kernel"
        arena.store([ops.ones(2), ops.ones(4)])
    assert not arena.flat.any()


def test_arenas_on_the_null_device():
    with use_device("null"):
        vs = [Variable(keras.initializers.Zeros(), shape=s) for s in SHAPES]
        (flat,) = ParameterArena(vs).buffers.values()
        assert flat.shape == (16 * 5,)
        layout = Layout(vs)
        (run,) = layout.runs(range(6))
        assert run.parameters.shape == (4 * 16 + 16,)
