"""Pooling over spatial axes, channels last: the largest element or the mean of each window.

Both fold the window's elements one by one over the whole output, in pieces that stay in the cache.
Padding never wins a maximum and never counts in a mean. Where several elements are largest, the
first in the window's order gets the gradient, as in cuDNN, PyTorch and TensorFlow.

`max_pool_grad` spreads a cotangent to the largest elements and `max_pool_pick` collects there: with
`x` fixed both are linear and each other's transposes, which is what second derivatives need;
`avg_pool` and `avg_pool_grad` are transposes likewise.
"""

import functools
import math

import numpy as np

from distkeras.engine import batch
from distkeras.engine.primitive import primitive
from distkeras.engine.windows import output_size, taps, tiles
from distkeras.errors import ShapeError

# Bytes of inputs and outputs that are worked on at once.
_TILE = 1 << 20


@functools.lru_cache(maxsize=1024)
def _reads(size, window, strides, padding):
    """The output's spatial shape and, for each element of the window, what it reads and where."""
    rank = len(size)
    if not rank or any(len(v) != rank for v in (window, strides, padding)):
        raise ShapeError(
            f"Pooling over {rank} spatial axes needs a window, strides and padding for each of "
            f"them, got {window}, {strides} and {padding}."
        )
    ones = (1,) * rank
    out = output_size(size, window, strides, padding, ones)
    return out, taps(size, out, window, strides, padding, ones)


def _shape(x, *, window, strides, padding):
    out, _ = _reads(x.shape[1:-1], window, strides, padding)
    return (x.shape[0], *out, x.shape[-1]), x._np_dtype


def _rows(axes, shapes, params, out_shape):
    """Rows are processed one by one where the batch axis is the first of every input."""
    return 0 if all(a == 0 for a in axes) else batch.MIXED


def _pieces(xp, *arrays):
    """The arrays cut along the batch axis; on a GPU in one piece."""
    per_sample = sum(math.prod(a.shape[1:]) * a.dtype.itemsize for a in arrays)
    limit = _TILE if xp is np else 1 << 40
    for samples, _ in tiles(arrays[0].shape[0], 1, per_sample, limit):
        yield tuple(a[samples] for a in arrays)


def _covers(put, out) -> bool:
    return all(s == slice(0, o) for s, o in zip(put[1:], out, strict=True))


def _fold(xp, combine, start, x, y, out, reads):
    """`y` = the elements of each window combined, from `start` where padding hides the first."""
    whole = [take for _, take, put in reads if _covers(put, out)]
    others = [(take, put) for _, take, put in reads if not _covers(put, out)]
    for source, target in _pieces(xp, x, y):
        if len(whole) > 1:
            combine(source[whole[0]], source[whole[1]], out=target)
        elif whole:
            target[...] = source[whole[0]]
        else:
            target[...] = start
        for take in whole[2:]:
            combine(target, source[take], out=target)
        for take, put in others:
            part = target[put]
            combine(part, source[take], out=part)


# --- maximum ------------------------------------------------------------------------------------


def _lowest(dtype):
    if dtype.kind == "b":
        return False
    return np.iinfo(dtype).min if dtype.kind in "iu" else -math.inf


@primitive(
    "max_pool",
    shape=_shape,
    batch=_rows,
    vjp=lambda e, g: max_pool_grad(g, e.x[0], e.y[0], **e.params),
    saves="x y",
)
def max_pool(xp, x, *, window, strides, padding):
    out, reads = _reads(x.shape[1:-1], window, strides, padding)
    y = xp.empty((x.shape[0], *out, x.shape[-1]), x.dtype)
    _fold(xp, xp.maximum, _lowest(x.dtype), x, y, out, reads)
    return y


def _first_largest(xp, x, y, reads):
    """For each element of the window: what it reads, where it counts, where it is the maximum.

    The truth values live until the next element is asked for.
    """
    free = xp.ones(y.shape, dtype=bool)
    buffer = xp.empty(y.shape, dtype=bool)
    for number, (_, take, put) in enumerate(reads):
        hit, left = buffer[put], free[put]
        # "not less" rather than "equal": a maximum that is not a number has its place too.
        xp.less(x[take], y[put], out=hit)
        xp.logical_not(hit, out=hit)
        xp.logical_and(hit, left, out=hit)
        yield take, put, hit
        if number + 1 < len(reads):
            xp.not_equal(left, hit, out=left)


@primitive(
    "max_pool_grad",
    shape=lambda g, x, y, *, window, strides, padding: (x.shape, g._np_dtype),
    batch=_rows,
    vjp=lambda e, h: (max_pool_pick(h, e.x[1], e.x[2], **e.params), None, None),
    saves="x1 x2",
)
def max_pool_grad(xp, g, x, y, *, window, strides, padding):
    """`g` at the first largest element of each window of `x`, else zero; `y` is the maximum."""
    _, reads = _reads(x.shape[1:-1], window, strides, padding)
    apart = all(k <= s for k, s in zip(window, strides, strict=True))
    out = xp.zeros(x.shape, g.dtype)
    for dy, source, top, target in _pieces(xp, g, x, y, out):
        for take, put, hit in _first_largest(xp, source, top, reads):
            if apart:
                xp.multiply(dy[put], hit, out=target[take])
            else:
                target[take] += dy[put] * hit
    return out


@primitive(
    "max_pool_pick",
    shape=lambda h, x, y, *, window, strides, padding: (y.shape, h._np_dtype),
    batch=_rows,
    vjp=lambda e, g: (max_pool_grad(g, e.x[1], e.x[2], **e.params), None, None),
    saves="x1 x2",
)
def max_pool_pick(xp, h, x, y, *, window, strides, padding):
    """`h` at the first largest element of each window of `x`."""
    _, reads = _reads(x.shape[1:-1], window, strides, padding)
    out = xp.zeros(y.shape, h.dtype)
    for values, source, top, target in _pieces(xp, h, x, y, out):
        for take, put, hit in _first_largest(xp, source, top, reads):
            target[put] += values[take] * hit
    return out


# --- mean ---------------------------------------------------------------------------------------


def _half(x) -> bool:
    return x.dtype.itemsize == 2 and x.dtype.kind not in "iu"


def _share(xp, dtype, size, out, window, strides, padding):
    """One over the number of real elements of each window: a number, or an array `(*out, 1)`."""
    if not any(map(any, padding)):
        return 1 / math.prod(window)
    counts = np.ones(())
    for n, o, k, s, (low, _) in zip(size, out, window, strides, padding, strict=True):
        begin = np.arange(o) * s - low
        real = np.minimum(begin + k, n) - np.maximum(begin, 0)
        counts = np.multiply.outer(counts, np.maximum(real, 1))
    return xp.asarray((1 / counts)[..., None].tolist(), dtype=dtype)


@primitive(
    "avg_pool",
    shape=_shape,
    batch=_rows,
    vjp=lambda e, g: avg_pool_grad(g, size=e.shapes[0][1:-1], **e.params),
)
def avg_pool(xp, x, *, window, strides, padding):
    if _half(x):
        wide = avg_pool.run(
            xp, x.astype("float32"), window=window, strides=strides, padding=padding
        )
        return wide.astype(x.dtype)
    size = x.shape[1:-1]
    out, reads = _reads(size, window, strides, padding)
    y = xp.empty((x.shape[0], *out, x.shape[-1]), x.dtype)
    _fold(xp, xp.add, 0, x, y, out, reads)
    y *= _share(xp, x.dtype, size, out, window, strides, padding)
    return y


def _avg_pool_grad_shape(g, *, size, window, strides, padding):
    out, _ = _reads(size, window, strides, padding)
    if g.shape[1:-1] != out:
        raise ShapeError(f"The gradient of a mean over {out} windows got a cotangent of {g.shape}.")
    return (g.shape[0], *size, g.shape[-1]), g._np_dtype


@primitive(
    "avg_pool_grad",
    shape=_avg_pool_grad_shape,
    batch=_rows,
    vjp=lambda e, h: avg_pool(h, **{k: v for k, v in e.params.items() if k != "size"}),
)
def avg_pool_grad(xp, g, *, size, window, strides, padding):
    """The cotangent of each mean shared out equally among the elements of its window."""
    if _half(g):
        wide = avg_pool_grad.run(
            xp, g.astype("float32"), size=size, window=window, strides=strides, padding=padding
        )
        return wide.astype(g.dtype)
    out, reads = _reads(size, window, strides, padding)
    shares = g * _share(xp, g.dtype, size, out, window, strides, padding)
    x = xp.zeros((g.shape[0], *size, g.shape[-1]), g.dtype)
    for part, target in _pieces(xp, shares, x):
        for _, take, put in reads:
            target[take] += part[put]
    return x
