"""Tensors from nothing but a shape."""

from distkeras.engine import batch
from distkeras.engine.dtypes import numpy_dtype
from distkeras.engine.primitive import primitive
from distkeras.engine.shapes import same


def _dtype(dtype):
    return numpy_dtype(dtype) if isinstance(dtype, str) else dtype


@primitive("full", shape=lambda *, shape, value, dtype: (shape, _dtype(dtype)), batch=batch.none)
def full(xp, *, shape, value, dtype):
    return xp.full(shape, value, dtype=_dtype(dtype))


@primitive("zeros", shape=lambda *, shape, dtype: (shape, _dtype(dtype)), batch=batch.none)
def zeros(xp, *, shape, dtype):
    return xp.zeros(shape, dtype=_dtype(dtype))


@primitive("full_like", shape=same, batch=batch.kept)
def full_like(xp, x, *, value):
    return xp.full(x.shape, value, dtype=x.dtype)


def _arange_shape(*, start, stop, step, dtype):
    return (max(0, -(-(stop - start) // step)),), _dtype(dtype)


@primitive("arange", shape=_arange_shape, batch=batch.none)
def arange(xp, *, start, stop, step, dtype):
    return xp.arange(start, stop, step, dtype=_dtype(dtype))


@primitive(
    "eye",
    shape=lambda *, rows, columns, k, dtype: ((rows, columns), _dtype(dtype)),
    batch=batch.none,
)
def eye(xp, *, rows, columns, k, dtype):
    return xp.eye(rows, columns, k, dtype=_dtype(dtype))
