"""`scan`, `cond` and `while_loop`: values, gradients, second gradients, and shapes alone."""

import numpy as np
import pytest

import distkeras as keras
from distkeras import GradientTape, Variable, ops
from distkeras.errors import ShapeError

X = np.array([[0.5, -1.0], [2.0, 0.25], [-0.75, 1.5]])


def decayed(w, xs, reverse=False):
    """c <- tanh(w c + x); the outputs are c * x."""

    def body(carry, x):
        carry = ops.tanh(w * carry + x)
        return carry, carry * x

    return ops.scan(body, ops.zeros((2,), "float64"), xs, reverse=reverse)


def unrolled(w, xs, reverse=False):
    carry, out = np.zeros(2), np.zeros_like(xs)
    for t in reversed(range(3)) if reverse else range(3):
        carry = np.tanh(w * carry + xs[t])
        out[t] = carry * xs[t]
    return carry, out


@pytest.mark.parametrize("reverse", [False, True])
def test_scan_values(reverse):
    carry, out = decayed(Variable(0.7, dtype="float64"), ops.convert_to_tensor(X), reverse)
    want_carry, want_out = unrolled(0.7, X, reverse)
    np.testing.assert_allclose(carry.numpy(), want_carry, rtol=1e-14)
    np.testing.assert_allclose(out.numpy(), want_out, rtol=1e-14)


def total(w, xs, reverse):
    carry, out = unrolled(w, xs, reverse)
    return carry.sum() + (out * out).sum()


@pytest.mark.parametrize("reverse", [False, True])
def test_scan_gradients_of_both_orders(reverse):
    w, xs = Variable(0.7, dtype="float64"), ops.convert_to_tensor(X)
    with GradientTape() as outer:
        outer.watch(xs)
        with GradientTape(persistent=True) as tape:
            tape.watch(xs)
            carry, out = decayed(w, xs, reverse)
            y = ops.sum(carry) + ops.sum(out * out)
        dw, dx = tape.gradient(y, [w, xs])
    ddw = outer.gradient(dw, w)
    e = 1e-5
    ends = [total(0.7 + s * e, X, reverse) for s in (1, 0, -1)]
    np.testing.assert_allclose(float(dw), (ends[0] - ends[2]) / (2 * e), rtol=1e-8)
    np.testing.assert_allclose(float(ddw), (ends[0] - 2 * ends[1] + ends[2]) / e**2, rtol=1e-4)
    for place in np.ndindex(X.shape):
        moved = [X.copy(), X.copy()]
        moved[0][place] += e
        moved[1][place] -= e
        slope = (total(0.7, moved[0], reverse) - total(0.7, moved[1], reverse)) / (2 * e)
        np.testing.assert_allclose(dx.numpy()[place], slope, rtol=1e-6, atol=1e-8)


def test_scan_without_inputs_or_outputs():
    carry, out = ops.scan(lambda c, _: (c * 2.0, None), ops.ones(()), length=5)
    assert (float(carry), out) == (32.0, None)
    carry, out = ops.scan(lambda c, x: (c, x["a"] + x["b"]), 0.0, {"a": ops.ones(3), "b": X[:, 0]})
    assert out.shape == (3,)


def test_scan_over_nothing():
    carry, _ = ops.scan(lambda c, x: (c + x, c), ops.zeros(()), ops.zeros((0,)))
    assert float(carry) == 0.0


@pytest.mark.parametrize(
    "xs, length", [((np.ones(2), np.ones(3)), None), (np.ones(2), 3), (None, None)]
)
def test_scan_of_no_one_length(xs, length):
    with pytest.raises(ShapeError, match="needs one length"):
        ops.scan(lambda c, x: (c, x), 0.0, xs, length=length)


@pytest.mark.parametrize("flag, slope", [(True, 3.0), (False, -2.0)])
def test_cond_takes_one_side(flag, slope):
    x = Variable(4.0)
    with GradientTape() as outer:
        with GradientTape() as tape:
            y = ops.cond(ops.convert_to_tensor(flag), lambda: slope * x, lambda: slope * x * 1.0)
        first = tape.gradient(y, x)
    assert (float(y), float(first)) == (4 * slope, slope)
    assert outer.gradient(first, x) is None


def test_cond_second_gradient():
    x = Variable(3.0)
    with GradientTape() as outer:
        with GradientTape() as tape:
            y = ops.cond(x > 0.0, lambda: x * x * x, lambda: x)
        first = tape.gradient(y, x)
    assert (float(first), float(outer.gradient(first, x))) == (27.0, 18.0)


def test_while_loop():
    x = Variable(1.5)
    with GradientTape() as outer:
        with GradientTape() as tape:
            _, y = ops.while_loop(lambda i, _: i < 3, lambda i, v: (i + 1, v * x), (0, x.value))
        first = tape.gradient(y, x)
    assert float(y) == 1.5**4
    np.testing.assert_allclose(float(first), 4 * 1.5**3, rtol=1e-6)
    np.testing.assert_allclose(float(outer.gradient(first, x)), 12 * 1.5**2, rtol=1e-6)


def test_while_loop_bound_and_forms():
    assert int(ops.while_loop(lambda i: i < 100, lambda i: i + 1, 0, maximum_iterations=7)) == 7
    found = ops.while_loop(lambda a, b: a < 4, lambda a, b: [a + 1, b * 2], [0, 1])
    assert isinstance(found, list)
    assert [int(v) for v in found] == [4, 16]


# --- shapes alone ---


def test_scan_of_shapes():
    def run(x):
        carry, out = ops.scan(lambda c, row: (c + row, ops.sum(c * row)), x[0] * 0.0, x)
        return carry, out

    x = keras.KerasTensor((5, None, 3))
    carry, out = keras.layers.Lambda(run)(x)
    assert (carry.shape, out.shape) == ((None, 3), (5,))


def test_cond_and_while_of_shapes():
    x = keras.KerasTensor((None, 3))

    def run(x):
        y = ops.cond(ops.sum(x) > 0.0, lambda: x * 2.0, lambda: x - 1.0)
        return ops.while_loop(lambda v: ops.sum(v) < 10.0, lambda v: v + 1.0, y)

    assert keras.layers.Lambda(run)(x).shape == (None, 3)


@pytest.mark.parametrize(
    "run",
    [
        lambda x: ops.scan(lambda c, row: (ops.concatenate([c, c]), row), x[0], x),
        lambda x: ops.cond(ops.sum(x) > 0.0, lambda: x, lambda: x[0]),
        lambda x: ops.while_loop(lambda v: True, lambda v: v[:, :1], x),
    ],
    ids=["scan", "cond", "while"],
)
def test_state_that_changes_its_shape(run):
    with pytest.raises(ShapeError, match="must keep the shapes and dtypes"):
        keras.layers.Lambda(run)(keras.KerasTensor((4, 3)))
