"""Gradients of variables over ranks: sums, and what a user holds of them."""

import numpy as np
import pytest

import distkeras as keras
from distkeras import GradientTape, distribution, ops
from distkeras.distribution import rank, size
from distkeras.strategies import DataParallel


def parallel():
    """The strategy of the world that the process was started in."""
    return DataParallel(distribution.initialize())


def test_one_rank_answers_its_own_gradients():
    strategy = parallel()
    v = keras.Variable([1.0, 2.0])
    with strategy.step(0, 1, 1):
        with GradientTape() as tape:
            loss = ops.sum(v * v)
        (g,) = tape.gradient(loss, [v])
    assert g.tolist() == [2.0, 4.0]


@pytest.mark.mpi(sizes=(2, 3))
def test_gradients_of_variables_are_sums_over_ranks():
    strategy = parallel()
    v, w = keras.Variable([1.0, 2.0]), keras.Variable(np.ones((2, 2)), dtype="float64")
    x = ops.convert_to_tensor([1.0 + rank()])
    x.batch = 0
    with strategy.step(rank(), 1, size()):
        with GradientTape() as tape:
            tape.watch(x)
            loss = ops.sum(ops.sum(v) * x) + ops.cast(ops.sum(w * w), "float32")
        gv, gx, gw = tape.gradient(loss, [v, x, w])
    n = size()
    assert n > 1
    assert gv.tolist() == [n * (n + 1) / 2] * 2
    assert np.allclose(gw.numpy(), 2.0, rtol=1e-6), "what every rank knows alike counts once"
    assert gx.tolist() == [3.0], "gradients of inputs stay this rank's"


@pytest.mark.mpi(sizes=(2,))
def test_gradients_that_are_held_keep_their_values():
    """Also those that are reduced again, or come back as the next gradient."""
    strategy = parallel()
    v = keras.Variable([1.0, 2.0])
    kept = []
    with strategy.step(rank(), 1, size()):
        for step in (1.0, 2.0):
            with GradientTape() as tape:
                loss = ops.sum(v) * step * size()
            kept += tape.gradient(loss, [v])
        with GradientTape() as tape:
            same = (v + 0.0) * size()
        kept += tape.gradient(same, [v], output_gradients=kept[1])
    assert [k.tolist() for k in kept] == [[2.0] * 2, [4.0] * 2, [8.0] * 2]


@pytest.mark.mpi(sizes=(2,))
def test_all_ranks_start_with_the_values_of_rank_0():
    strategy = parallel()
    v = keras.Variable([1.0 + rank(), 2.0])
    held = v.value
    strategy.start([v])
    assert v.numpy().tolist() == [1.0, 2.0]
    assert held.tolist() == [1.0 + rank(), 2.0]
