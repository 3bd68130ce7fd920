"""Standardizing along axes: the part that layer, group and RMS normalization share.

`y = (x - mean) / sqrt(variance + epsilon)`, or without the mean `y = x / sqrt(mean(x * x) +
epsilon)`.
With r = 1 / sqrt(...) of each row, whose derivative is -r * r * y / n in both cases, the
vector-Jacobian product is `r * (g - mean(g) - y * mean(g * y))`, where `mean(g)` falls away without
the mean (J. Ba et al., arXiv:1607.06450; B. Zhang and R. Sennrich, arXiv:1910.07467).
"""

import math

from distkeras.engine import batch
from distkeras.engine.primitive import primitive
from distkeras.engine.primitives.elementwise import (
    add,
    multiply,
    negative,
    rsqrt,
    scale,
    shift,
    square,
    subtract,
)
from distkeras.engine.primitives.reduce import reduce_sum
from distkeras.engine.shapes import normalize_axes

__all__ = ["standardize", "standardize_grad"]


def _shape(x, *_, axis, epsilon, center):
    normalize_axes(axis, len(x.shape))
    return x.shape, x._np_dtype


def _batch(axes, shapes, params, out_shape):
    """As `batch.along`, for inputs that agree."""
    return batch.along(axes[:1], shapes, params, out_shape) if len(set(axes)) == 1 else batch.MIXED


def _mean(x, axis):
    n = math.prod(x.shape[a] for a in normalize_axes(axis, len(x.shape)))
    return scale(reduce_sum(x, axis=axis, keepdims=True), a=1 / max(n, 1))


def _centred(xp, x, axis, epsilon, center):
    """`x` without its mean, a new array, and the reciprocal deviation of each row."""
    y = xp.subtract(x, xp.mean(x, axis=axis, keepdims=True)) if center else x.copy()
    spread = xp.mean(xp.square(y), axis=axis, keepdims=True)
    spread += x.dtype.type(epsilon)
    return y, xp.reciprocal(xp.sqrt(spread, out=spread), out=spread)


@primitive(
    "standardize",
    shape=_shape,
    batch=_batch,
    saves="x y",
    vjp=lambda e, g: standardize_grad(g, e.x[0], e.y[0], **e.params),
)
def standardize(xp, x, *, axis, epsilon, center):
    """`x` of single or double precision, with mean 0 and variance 1 along `axis`, a tuple."""
    if x.size == 0:
        return x.copy()
    y, r = _centred(xp, x, axis, epsilon, center)
    y *= r
    return y


def _grad_vjp(e, h):
    g, x, y = e.x
    axis, center = e.params["axis"], e.params["center"]
    inner = _mean(multiply(g, y), axis)
    moved = subtract(x, _mean(x, axis)) if center else x
    r = rsqrt(shift(_mean(square(moved), axis), a=e.params["epsilon"]))
    by_g = standardize_grad(h, x, y, **e.params) if e.needs[0] else None
    by_x = by_y = None
    if e.needs[1]:
        bracket = subtract(g, multiply(y, inner))
        if center:
            bracket = subtract(bracket, _mean(g, axis))
        total = _mean(multiply(h, bracket), axis)
        by_x = negative(multiply(multiply(moved, r), multiply(total, square(r))))
    if e.needs[2]:
        both = add(multiply(h, inner), multiply(g, _mean(multiply(h, y), axis)))
        by_y = negative(multiply(both, r))
    return by_g, by_x, by_y


@primitive("standardize_grad", shape=_shape, batch=_batch, saves="x", vjp=_grad_vjp)
def standardize_grad(xp, g, x, y, *, axis, epsilon, center):
    """A cotangent times the Jacobian of `standardize` at `x`, where its value is `y`."""
    if x.size == 0:
        return g.copy()
    work, r = _centred(xp, x, axis, epsilon, center)
    xp.multiply(g, y, out=work)
    inner = xp.mean(work, axis=axis, keepdims=True)
    xp.multiply(y, inner, out=work)
    xp.subtract(g, work, out=work)
    if center:
        work -= xp.mean(g, axis=axis, keepdims=True)
    work *= r
    return work
