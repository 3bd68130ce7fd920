"""Gradients of compositions against finite differences, along random directions, in float64."""

import numpy as np

from distkeras import ops
from distkeras.engine.tape import GradientTape


def _gradient(function, arrays, weights):
    """The gradient of `sum(weights * function(arrays))`, with NumPy arrays in and out."""
    tensors = [ops.convert_to_tensor(a) for a in arrays]
    with GradientTape() as tape:
        tape.watch(tensors)
        total = ops.sum(function(*tensors) * weights)
    return float(total), [g.numpy() for g in tape.gradient(total, tensors)]


def _second(function, arrays, weights, directions):
    """The gradient of the directional derivative: a product with the Hessian."""
    tensors = [ops.convert_to_tensor(a) for a in arrays]
    with GradientTape() as outer:
        outer.watch(tensors)
        with GradientTape() as inner:
            inner.watch(tensors)
            total = ops.sum(function(*tensors) * weights)
        gradients = inner.gradient(total, tensors)
        slope = sum(ops.sum(g * d) for g, d in zip(gradients, directions, strict=True))
    found = outer.gradient(slope, tensors)
    return [
        np.zeros_like(a) if g is None else g.numpy() for a, g in zip(arrays, found, strict=True)
    ]


def check_gradients(function, *arrays, second=True, step=1e-6, rtol=1e-6, atol=1e-7):
    """Compare the first and second derivatives of `function` at float64 arrays with differences."""
    rng = np.random.default_rng(0)
    arrays = [np.asarray(a, "float64") for a in arrays]
    out = function(*(ops.convert_to_tensor(a) for a in arrays))
    weights = rng.standard_normal(out.shape)
    directions = [rng.standard_normal(a.shape) for a in arrays]
    ahead = [a + step * d for a, d in zip(arrays, directions, strict=True)]
    behind = [a - step * d for a, d in zip(arrays, directions, strict=True)]
    (up, g_up), (down, g_down) = (_gradient(function, at, weights) for at in (ahead, behind))
    _, gradients = _gradient(function, arrays, weights)
    slope = sum((g * d).sum() for g, d in zip(gradients, directions, strict=True))
    np.testing.assert_allclose(slope, (up - down) / (2 * step), rtol=rtol, atol=atol)
    if second:
        found = _second(function, arrays, weights, directions)
        for h, a, b in zip(found, g_up, g_down, strict=True):
            np.testing.assert_allclose(h, (a - b) / (2 * step), rtol=10 * rtol, atol=10 * atol)
