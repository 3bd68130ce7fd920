"""Random numbers. A draw is keyed by seed, number of the draw, index of the sample in the global
batch and element.

Every primitive here takes `seed`, `counter` (the number of the draw), `batch_axis` (the axis of the
samples, or `None`) and `offset` (index in the global batch of the first sample). `engine/philox.py`
says which word holds what.
"""

import math

import numpy as np

from distkeras.engine import batch, philox
from distkeras.engine.dtypes import numpy_dtype
from distkeras.engine.primitive import elementwise, primitive

__all__ = [
    "dropout_mask",
    "masked_scale",
    "random_bits",
    "random_integers",
    "random_normal",
    "random_truncated_normal",
    "random_uniform",
]

# Bits of a uniform float by dtype: the most for which every value is exact, so that 1 never comes
# out.
_PRECISION = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}


def _dtype(dtype) -> np.dtype:
    return numpy_dtype(dtype) if isinstance(dtype, str) else dtype


def _shape(*, shape, dtype, **_):
    return tuple(shape), _dtype(dtype)


def _fill(xp, shape, dtype, key, batch_axis, offset, bits, write, attempt=0):
    """A new array of `shape`, filled tile by tile.

    Args:
        bits: 16, 32 or 64: random bits that an element takes.
        write: `(bits of a tile, place in the result)`, both `(samples, elements)`; the bits may be
            changed.
    """
    axis = batch_axis
    moved = shape if not axis else (shape[axis], *shape[:axis], *shape[axis + 1 :])
    rows = 1 if axis is None else moved[0]
    width = math.prod(moved if axis is None else moved[1:])
    out = xp.empty((rows, width), dtype=dtype)
    per_word = 32 / bits
    for row, word, tile in philox.tiles(
        xp, key, rows, math.ceil(width / per_word), offset, attempt
    ):
        start = int(word.start * per_word)
        stop = min(int(word.stop * per_word), width)
        if bits != 32:
            tile = xp.ascontiguousarray(tile).view(np.uint16 if bits == 16 else np.uint64)[
                :, : stop - start
            ]
        write(tile, out[row, start:stop])
    out = out.reshape(moved)
    return xp.moveaxis(out, 0, axis) if axis else out


@primitive("random_bits", shape=_shape, batch=batch.none)
def random_bits(xp, *, shape, seed, counter, batch_axis=None, offset=0, dtype="uint32"):
    """Whole words: uint32 or uint64."""
    dtype = _dtype(dtype)

    def write(bits, place):
        place[...] = bits

    return _fill(xp, shape, dtype, (seed, counter), batch_axis, offset, 8 * dtype.itemsize, write)


@primitive("random_uniform", shape=_shape, batch=batch.none)
def random_uniform(
    xp, *, shape, dtype, seed, counter, low=0.0, high=1.0, batch_axis=None, offset=0
):
    """Uniform in [low, high)."""
    dtype = _dtype(dtype)
    precision = _PRECISION[dtype.name]
    bits = 64 if precision == 53 else 32
    work = dtype if precision in (24, 53) else np.dtype("float32")
    shift = np.uint64(bits - precision) if bits == 64 else np.uint32(bits - precision)
    scale = (high - low) * 2.0**-precision
    # Rounding in `+ low` may reach the upper end.
    last = np.nextafter(work.type(high), work.type(low)) if low and high > low else None

    def write(words, place):
        xp.right_shift(words, shift, out=words)
        target = place if work == dtype else xp.empty(place.shape, dtype=work)
        # Signed integers are converted faster, and the leading bit is free.
        target[...] = words.view(np.int64 if bits == 64 else np.int32)
        target *= work.type(scale)
        if low:
            target += work.type(low)
        if last is not None:
            xp.minimum(target, last, out=target)
        if target is not place:
            place[...] = target

    return _fill(xp, shape, dtype, (seed, counter), batch_axis, offset, bits, write)


@primitive("random_integers", shape=_shape, batch=batch.none)
def random_integers(xp, *, shape, dtype, seed, counter, low, high, batch_axis=None, offset=0):
    """Uniform integers in [low, high): 64 bits modulo the width; biased by width / 2**64."""
    width = high - low

    def write(words, place):
        if width < 2**64:
            xp.remainder(words, np.uint64(width), out=words)
        # Two's complement: what wraps around in the addition wraps back.
        words += np.uint64(low % 2**64)
        place[...] = words.view(np.int64)

    return _fill(xp, shape, _dtype(dtype), (seed, counter), batch_axis, offset, 64, write)


@primitive("random_normal", shape=_shape, batch=batch.none)
def random_normal(
    xp, *, shape, dtype, seed, counter, mean=0.0, stddev=1.0, batch_axis=None, offset=0
):
    """Normal, by the method of G. Box and M. Muller (1958): two words give two values."""
    dtype = _dtype(dtype)
    work = np.dtype("float64") if dtype == np.float64 else np.dtype("float32")

    def write(words, place):
        n = place.shape[1]
        radius = words[:, 0::2].astype(work)
        radius += work.type(0.5)
        radius *= work.type(2.0**-32)
        xp.log(radius, out=radius)
        radius *= work.type(-2 * stddev * stddev)
        xp.sqrt(radius, out=radius)
        angle = words[:, 1::2].astype(work)
        angle *= work.type(2 * math.pi * 2.0**-32)
        both = xp.empty((place.shape[0], words.shape[1]), dtype=work)
        xp.multiply(radius, xp.cos(angle), out=both[:, 0::2])
        xp.multiply(radius, xp.sin(angle), out=both[:, 1::2])
        if mean:
            both += work.type(mean)
        place[...] = both[:, :n]

    return _fill_pairs(xp, shape, dtype, (seed, counter), batch_axis, offset, write)


def _fill_pairs(xp, shape, dtype, key, batch_axis, offset, write):
    """`_fill` with 32 bits an element, where each tile's number of words is even."""
    rows = 1 if batch_axis is None else shape[batch_axis]
    width = (
        math.prod(shape)
        if batch_axis is None
        else math.prod(d for i, d in enumerate(shape) if i != batch_axis)
    )
    even = width + width % 2
    out = xp.empty((rows, width), dtype=dtype)
    for row, word, tile in philox.tiles(xp, key, rows, even, offset):
        write(tile, out[row, word.start : min(word.stop, width)])
    if batch_axis:
        return xp.moveaxis(
            out.reshape(shape[batch_axis], *shape[:batch_axis], *shape[batch_axis + 1 :]),
            0,
            batch_axis,
        )
    return out.reshape(shape)


# M. Giles, "Approximating the erfinv function" (GPU Computing Gems, 2011): its central branch
# covers two deviations.
_ERFINV = (
    2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087,
    -0.00125372503, -0.00417768164, 0.246640727, 1.50140941,
)  # fmt: skip
_TWO_DEVIATIONS = math.erf(math.sqrt(2))  # probability within two deviations


@primitive("random_truncated_normal", shape=_shape, batch=batch.none)
def random_truncated_normal(
    xp, *, shape, dtype, seed, counter, mean=0.0, stddev=1.0, batch_axis=None, offset=0
):
    """Normal within two deviations, by the inverse distribution function to single precision."""
    dtype = _dtype(dtype)
    work = np.dtype("float64") if dtype == np.float64 else np.dtype("float32")

    def write(words, place):
        x = words.astype(work)
        x += work.type(0.5)
        x *= work.type(2 * _TWO_DEVIATIONS * 2.0**-32)
        x -= work.type(_TWO_DEVIATIONS)
        w = x * x
        xp.log1p(xp.negative(w, out=w), out=w)
        xp.negative(w, out=w)
        w -= work.type(2.5)
        p = w * work.type(_ERFINV[0])
        for c in _ERFINV[1:-1]:
            p += work.type(c)
            p *= w
        p += work.type(_ERFINV[-1])
        p *= x
        p *= work.type(math.sqrt(2))
        xp.clip(p, work.type(-2), work.type(2), out=p)
        p *= work.type(stddev)
        if mean:
            p += work.type(mean)
        place[...] = p

    return _fill(xp, shape, dtype, (seed, counter), batch_axis, offset, 32, write)


# --- dropout ---


def _decision(rate: float) -> tuple[int, np.unsignedinteger]:
    """How many bits decide whether an element is dropped, and the number below which they say so.

    16 bits do where the rate is not extreme: a rate is met to 2**-17, at half the cost.
    """
    bits = 16 if 2.0**-10 <= rate <= 1 - 2.0**-10 else 32
    kind = np.uint16 if bits == 16 else np.uint32
    return bits, kind(min(round(rate * 2**bits), 2**bits - 1))


def _mask_shape(x, *, shape=None, **_):
    return tuple(x.shape if shape is None else shape), numpy_dtype("bool")


def _mask_batch(axes, shapes, params, out_shape):
    axis = params["batch_axis"]
    return axis if axis is not None and axes[0] == axis else None if axis is None else batch.MIXED


@primitive("dropout_mask", shape=_mask_shape, batch=_mask_batch)
def dropout_mask(xp, x, *, rate, seed, counter, shape=None, batch_axis=0, offset=0):
    """Truth values, false with probability `rate`, of `shape` or the shape of `x`."""
    bits, threshold = _decision(rate)

    def write(words, place):
        xp.greater_equal(words, threshold, out=place)

    shape = x.shape if shape is None else tuple(shape)
    return _fill(xp, shape, np.dtype(bool), (seed, counter), batch_axis, offset, bits, write)


# A factor, not a choice: NumPy multiplies by truth values ten times faster than it selects by them.
masked_scale = elementwise(
    "masked_scale", "x * m * a", names=("m", "x"), saves="x0",
    vjp=lambda e, g: (None, masked_scale(e.x[0], g, a=e.params["a"])),
)  # fmt: skip
