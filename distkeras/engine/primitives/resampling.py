"""Resizing along one axis: each new element is a weighted sum of a few old ones.

The centres of the elements divide the axis evenly (half-pixel centres, as `tf.image.resize` and
`torch.nn.functional.interpolate(align_corners=False)`).
"""

import functools

import numpy as np

from distkeras.engine import batch
from distkeras.engine.primitive import primitive
from distkeras.engine.primitives.index import add_rows
from distkeras.engine.shapes import normalize_axis
from distkeras.errors import ArgumentError, ShapeError


def _nearest(centres, n):
    return [(np.floor(centres + 0.5), np.ones_like(centres))]


def _bilinear(centres, n):
    low = np.floor(centres)
    part = centres - low
    return [(low, 1 - part), (low + 1, part)]


# For each method: (centres of the new elements in old coordinates, old size) -> [(index, weight)].
METHODS = {"bilinear": _bilinear, "nearest": _nearest}


@functools.lru_cache(maxsize=256)
def _table(n: int, size: int, method: str):
    """Pairs of lists of length `size`: indices into the old axis, and weights."""
    if method not in METHODS:
        raise ArgumentError(
            f"Unknown interpolation {method!r}; expected one of {', '.join(sorted(METHODS))}."
        )
    centres = (np.arange(size) + 0.5) * (n / size) - 0.5
    found = METHODS[method](centres, n)
    return [(np.clip(i, 0, n - 1).astype("int64").tolist(), w.tolist()) for i, w in found]


def _resized(shape, axis, size):
    axis = normalize_axis(axis, len(shape))
    if size < 1 or shape[axis] < 1:
        raise ShapeError(f"An axis of {shape[axis]} elements cannot be resized to {size}.")
    return (*shape[:axis], size, *shape[axis + 1 :])


def _half(x) -> bool:
    return x.dtype.itemsize == 2 and x.dtype.kind not in "iu"


@primitive(
    "resample",
    shape=lambda x, *, axis, size, method: (_resized(x.shape, axis, size), x._np_dtype),
    batch=batch.along,
    vjp=lambda e, g: resample_grad(g, **{**e.params, "size": e.shapes[0][e.params["axis"]]}),
)
def resample(xp, x, *, axis, size, method):
    _resized(x.shape, axis, size)
    if _half(x):
        wide = resample.run(xp, x.astype("float32"), axis=axis, size=size, method=method)
        return wide.astype(x.dtype)
    y = None
    for i, weight in _table(x.shape[axis], size, method):
        part = xp.take(x, xp.asarray(i, dtype="int64"), axis=axis)
        part *= _along(xp, weight, x, axis)
        y = part if y is None else y + part
    return y


def _along(xp, weight, x, axis):
    shape = [1] * x.ndim
    shape[axis] = -1
    return xp.asarray(weight, dtype=x.dtype).reshape(shape)


@primitive(
    "resample_grad",
    shape=lambda g, *, axis, size, method: (_resized(g.shape, axis, size), g._np_dtype),
    batch=batch.along,
    vjp=lambda e, h: resample(h, **{**e.params, "size": e.shapes[0][e.params["axis"]]}),
)
def resample_grad(xp, g, *, axis, size, method):
    """The transpose of `resample` from `size` elements to those of `g`."""
    _resized(g.shape, axis, size)
    if _half(g):
        wide = resample_grad.run(xp, g.astype("float32"), axis=axis, size=size, method=method)
        return wide.astype(g.dtype)
    moved = xp.moveaxis(g, axis, 0)
    x = xp.zeros((size, *moved.shape[1:]), g.dtype)
    for i, weight in _table(size, g.shape[axis], method):
        add_rows(xp, x, xp.asarray(i, dtype="int64"), moved * _along(xp, weight, moved, 0))
    return xp.moveaxis(x, 0, axis)
