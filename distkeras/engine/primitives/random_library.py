"""Random numbers whose distribution depends on tensors: gamma, binomial, categorical.

A value takes one Philox block (four words) an attempt, of the counter (element, sample, attempt, 0)
with attempts from 1, so that it depends on its own place only, however many attempts its neighbours
take.
"""

import math

import numpy as np

from distkeras.engine import batch, philox
from distkeras.engine.dtypes import numpy_dtype
from distkeras.engine.primitive import primitive

__all__ = ["random_binomial", "random_categorical", "random_gamma"]


def _shape(*_, shape, dtype, **__):
    return tuple(shape), numpy_dtype(dtype) if isinstance(dtype, str) else dtype


def _batch(axes, shapes, params, out_shape):
    axis = params["batch_axis"]
    return axis if axis is not None else batch.MIXED


def _flat(xp, x, shape):
    """A parameter for each value, flat, float64."""
    return xp.ascontiguousarray(xp.broadcast_to(x, shape)).reshape(-1).astype(np.float64)


def _places(xp, shape, batch_axis, offset):
    """Element and sample of each value, flat; `batch_axis` is 0 or `None`."""
    size = math.prod(shape)
    place = xp.arange(size, dtype=np.uint64)
    if batch_axis is None or not size:
        return place, xp.zeros_like(place)
    width = np.uint64(size // shape[0])
    return place % width, place // width + np.uint64(offset)


def _unit(words):
    """Words as float64 in (0, 1)."""
    return (words.astype(np.float64) + 0.5) * 2.0**-32


@primitive("random_gamma", shape=_shape, batch=_batch)
def random_gamma(xp, alpha, *, shape, dtype, seed, counter, stream=0, batch_axis=None, offset=0):
    """Gamma with scale 1.

    Source: G. Marsaglia, W. W. Tsang, "A simple method for generating gamma variables", ACM TOMS 26
        (2000).

    `stream` keeps several draws of one key apart: attempts start at `stream * 2**16 + 1`.
    """
    alpha = _flat(xp, alpha, shape)
    element, sample = _places(xp, shape, batch_axis, offset)
    boosted = alpha < 1
    d = xp.where(boosted, alpha + 1, alpha) - 1 / 3
    out = xp.full(alpha.shape, math.nan)
    pending = xp.nonzero(alpha > 0)[0]
    attempt = stream << 16
    while pending.size:
        attempt += 1
        words = philox.blocks(xp, (seed, counter), (element[pending], sample[pending], attempt, 0))
        u = _unit(words)
        z = xp.sqrt(-2 * xp.log(u[:, 0])) * xp.cos(2 * math.pi * u[:, 1])
        e = d[pending]
        v = (1 + z / xp.sqrt(9 * e)) ** 3
        good = v > 0
        log_v = xp.log(xp.where(good, v, 1.0))
        good &= xp.log(u[:, 2]) < 0.5 * z * z + e * (1 - v + log_v)
        hits = pending[good]
        shrink = xp.where(boosted[hits], u[good, 3] ** (1 / alpha[hits]), 1.0)
        out[hits] = e[good] * v[good] * shrink
        pending = pending[~good]
    return out.reshape(shape).astype(numpy_dtype(dtype) if isinstance(dtype, str) else dtype)


# What Stirling's formula lacks of log(k!), for k below 10.
_STIRLING = (
    0.08106146679532726, 0.04134069595540929, 0.02767792568499834, 0.02079067210376509,
    0.01664469118982119, 0.01387612882307075, 0.01189670994589177, 0.01041126526197209,
    0.009255462182712733, 0.008330563433362871,
)  # fmt: skip


def _stirling(xp, k):
    table = xp.asarray(np.array(_STIRLING))
    s = (k + 1) ** 2
    far = (1 / 12 - (1 / 360 - 1 / 1260 / s) / s) / (k + 1)
    return xp.where(k < 10, table[xp.clip(k, 0, 9).astype(np.int64)], far)


def _few(xp, u, n, p):
    """The inverse distribution function, by adding up from 0; for n p below 10."""
    mass = (1 - p) ** n
    ratio = p / (1 - p)
    k = xp.zeros_like(n)
    going = (u > mass) & (k < n)
    while bool(going.any()):
        u = xp.where(going, u - mass, u)
        mass = xp.where(going, mass * ratio * (n - k) / (k + 1), mass)
        k = xp.where(going, k + 1, k)
        going &= (u > mass) & (k < n)
    return k


def _many(xp, key, element, sample, n, p):
    """Transformed rejection, for n p of at least 10 and p of at most 1/2.

    Source: W. Hörmann, "The generation of binomial random variates" (1993), algorithm BTRS.
    """
    spread = xp.sqrt(n * p * (1 - p))
    b = 1.15 + 2.53 * spread
    a = -0.0873 + 0.0248 * b + 0.01 * p
    mode = xp.floor((n + 1) * p)
    odds = p / (1 - p)
    height = (
        (mode + 0.5) * xp.log((mode + 1) / (odds * (n - mode + 1)))
        + _stirling(xp, mode)
        + _stirling(xp, n - mode)
    )
    out = xp.zeros_like(n)
    pending = xp.arange(n.size)
    attempt = 0
    while pending.size:
        attempt += 1
        words = philox.blocks(xp, key, (element[pending], sample[pending], attempt, 0))
        u, v = _unit(words[:, 0]) - 0.5, _unit(words[:, 1])
        i, j, m, o = n[pending], b[pending], a[pending], odds[pending]
        edge = 0.5 - xp.abs(u)
        k = xp.floor((2 * m / edge + j) * u + i * p[pending] + 0.5)
        inside = (k >= 0) & (k <= i)
        k_in = xp.where(inside, k, 0)
        good = inside & (edge >= 0.07) & (v <= 0.92 - 4.2 / j)
        bound = (
            height[pending]
            + (i + 1) * xp.log((i - mode[pending] + 1) / (i - k_in + 1))
            + (k_in + 0.5) * xp.log(o * (i - k_in + 1) / (k_in + 1))
            - _stirling(xp, k_in)
            - _stirling(xp, i - k_in)
        )
        v = xp.log(v * (2.83 + 5.1 / j) * spread[pending] / (m / (edge * edge) + j))
        good |= inside & (v <= bound)
        out[pending[good]] = k[good]
        pending = pending[~good]
    return out


@primitive("random_binomial", shape=_shape, batch=_batch)
def random_binomial(
    xp, counts, probabilities, *, shape, dtype, seed, counter, batch_axis=None, offset=0
):
    """Binomial: how many of `counts` trials succeed."""
    n, p = xp.floor(_flat(xp, counts, shape)), _flat(xp, probabilities, shape)
    element, sample = _places(xp, shape, batch_axis, offset)
    valid = (n >= 0) & (p >= 0) & (p <= 1)
    flipped = p > 0.5
    n, p = xp.where(valid, n, 0.0), xp.where(valid, xp.where(flipped, 1 - p, p), 0.0)
    out = xp.zeros_like(n)
    few = xp.nonzero(n * p < 10)[0]
    if few.size:
        words = philox.blocks(xp, (seed, counter), (element[few], sample[few], 1, 0))
        out[few] = _few(xp, _unit(words[:, 0]) + words[:, 1] * 2.0**-64, n[few], p[few])
    many = xp.nonzero(n * p >= 10)[0]
    if many.size:
        out[many] = _many(xp, (seed, counter), element[many], sample[many], n[many], p[many])
    out = xp.where(flipped, n - out, out)
    out = xp.where(valid, out, math.nan)
    return out.reshape(shape).astype(numpy_dtype(dtype) if isinstance(dtype, str) else dtype)


def _categorical_shape(logits, *, samples, dtype, **_):
    return (logits.shape[0], samples), numpy_dtype(dtype) if isinstance(dtype, str) else dtype


@primitive("random_categorical", shape=_categorical_shape, batch=batch.first)
def random_categorical(xp, logits, *, samples, dtype, seed, counter, offset=0):
    """Class numbers, drawn for each row of unnormalised log-probabilities."""
    rows, classes = logits.shape
    p = logits.astype(np.float64)
    p = xp.exp(p - p.max(axis=1, keepdims=True)) if classes else p
    up_to = xp.cumsum(p, axis=1)
    up_to /= up_to[:, -1:]
    # One search for all rows: row i occupies [i, i + 1). Values of 32 bits stay exact beside a row
    # number of 20.
    step = 1 << 20
    out = xp.empty((rows, samples), dtype=numpy_dtype(dtype) if isinstance(dtype, str) else dtype)
    for row, place, words in philox.tiles(xp, (seed, counter), rows, samples, offset):
        for start in range(row.start, row.stop, step):
            stop = min(start + step, row.stop)
            base = xp.arange(stop - start, dtype=np.float64)[:, None]
            u = words[start - row.start : stop - row.start].astype(np.float64) * 2.0**-32 + base
            found = xp.searchsorted(
                (up_to[start:stop] + base).reshape(-1), u.reshape(-1), side="right"
            ).reshape(u.shape)
            out[start:stop, place] = found - (base * classes).astype(np.int64)
    return out
