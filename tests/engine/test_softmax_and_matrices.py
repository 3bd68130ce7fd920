"""Softmax, kinked activations and linear algebra: values and derivatives."""

import numpy as np
import pytest

from distkeras import ops
from distkeras.engine import primitives as P
from distkeras.engine.tape import GradientTape
from distkeras.errors import GradientError, ShapeError
from support.gradients import check_gradients

RNG = np.random.default_rng(1)
X = RNG.standard_normal((3, 4, 5))
SQUARE = RNG.standard_normal((2, 4, 4)) + 3 * np.eye(4)
SPD = np.eye(4) + np.einsum("bij,bkj->bik", SQUARE, SQUARE) / 8
RHS = RNG.standard_normal((2, 4, 3))


def reference_softmax(x, axis):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


@pytest.mark.parametrize("axis", [-1, 1, 0, (1, 2), None])
@pytest.mark.parametrize("dtype, rtol", [("float64", 1e-12), ("float32", 1e-5), ("float16", 4e-3)])
def test_softmax(axis, dtype, rtol):
    x = ops.convert_to_tensor(X, dtype=dtype)
    y = reference_softmax(X, axis)
    for found, expected in ((ops.softmax(x, axis), y), (ops.log_softmax(x, axis), np.log(y))):
        assert found.dtype == dtype
        np.testing.assert_allclose(found.numpy().astype("float64"), expected, rtol=rtol, atol=rtol)


def test_softmax_of_huge_and_of_no_rows():
    x = ops.convert_to_tensor([[1e30, -1e30], [np.inf * -1, 0.0]])
    np.testing.assert_array_equal(ops.softmax(x).numpy(), [[1, 0], [0, 1]])
    for function in (ops.softmax, ops.log_softmax):
        assert function(ops.zeros((0, 3))).shape == (0, 3)


FUNCTIONS = {
    "softmax": (lambda x: P.softmax(x, axis=-1), [X]),
    "softmax axes": (lambda x: P.softmax(x, axis=(0, 2)), [X]),
    "log_softmax": (lambda x: P.log_softmax(x, axis=1), [X]),
    "leaky_relu": (lambda x: P.leaky_relu(x, a=0.3), [X]),
    "elu": (lambda x: P.elu(x, a=0.7), [X]),
    "inv": (P.inv, [SQUARE]),
    "det": (P.det, [SQUARE]),
    "solve": (P.solve, [SQUARE, RHS]),
    "solve broadcast": (P.solve, [SQUARE[:1], RHS]),
    # Symmetric by construction, so that a perturbation stays among symmetric matrices.
    "cholesky": (lambda x: P.cholesky(symmetric(x)), [SPD]),
    "eigenvalues": (lambda x: P.eigh(symmetric(x))[0], [SPD]),
    "eigenvectors": (lambda x: P.eigh(symmetric(x))[1], [SPD]),
    "q": (lambda x: P.qr(x)[0], [RHS]),
    "r": (lambda x: P.qr(x)[1], [RHS]),
}


def symmetric(x):
    return (x + ops.swapaxes(x, -1, -2)) * 0.5


@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives(name):
    function, arrays = FUNCTIONS[name]
    check_gradients(function, *arrays, rtol=1e-5, atol=1e-6)


def test_decompositions_multiply_back():
    square, rhs = ops.convert_to_tensor(SQUARE), ops.convert_to_tensor(RHS)
    spd = ops.convert_to_tensor(SPD)
    w, v = (t.numpy() for t in P.eigh(spd))
    np.testing.assert_allclose(v * w[:, None] @ v.swapaxes(1, 2), SPD, atol=1e-12)
    lower = P.cholesky(spd).numpy()
    np.testing.assert_allclose(lower @ lower.swapaxes(1, 2), SPD, atol=1e-12)
    np.testing.assert_allclose(
        SQUARE @ P.inv(square).numpy(), np.tile(np.eye(4), (2, 1, 1)), atol=1e-12
    )
    np.testing.assert_allclose(SQUARE @ P.solve(square, rhs).numpy(), RHS, atol=1e-12)
    for mode in ("reduced", "complete"):
        q, r = (t.numpy() for t in P.qr(rhs, mode=mode))
        np.testing.assert_allclose(q @ r, RHS, atol=1e-12)
    u, s, vh = (t.numpy() for t in P.svd(rhs))
    np.testing.assert_allclose(u * s[:, None] @ vh, RHS, atol=1e-12)


def test_refusals():
    with pytest.raises(ShapeError, match="square"):
        P.inv(ops.ones((2, 3)))
    with pytest.raises(ShapeError, match="right-hand"):
        P.solve(ops.ones((2, 2)), ops.ones((3, 1)))
    x = ops.ones((3, 2))
    with GradientTape() as tape:
        tape.watch(x)
        s = P.svd(x)[1]
    with pytest.raises(GradientError, match="svd"):
        tape.gradient(s, x)
