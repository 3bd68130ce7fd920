"""Tensors from nothing but a shape, or in the shape of another."""

from distkeras.engine import dtypes
from distkeras.engine import primitives as P
from distkeras.engine.batch import WHOLE
from distkeras.engine.context import state
from distkeras.engine.rows import Rows, everywhere, form_of, is_count, mark_of, of_all_rows, pieces
from distkeras.engine.tensor import Tensor
from distkeras.ops.core import as_tensor, cast
from distkeras.ops.promotion import floats, is_number, promote
from distkeras.ops.shaping import moveaxis, swapaxes
from distkeras.ops.symbolic import op

__all__ = [
    "arange",
    "eye",
    "full",
    "full_like",
    "identity",
    "linspace",
    "meshgrid",
    "ones",
    "ones_like",
    "zeros",
    "zeros_like",
]


def _shape_of(shape):
    sizes = shape if isinstance(shape, list | tuple) else (shape,)
    return tuple(d if isinstance(d, int) else int(d) for d in sizes)


def _filled(prim, shape, **settings):
    """A tensor of one value; where the shape counts the rows of all ranks, it has all of them."""
    shape = _shape_of(shape)
    if not of_all_rows(shape):
        return prim(shape=shape, **settings)
    return _whole(prim(shape=everywhere(shape), **settings))


def _whole(x):
    """Marked as what every rank has alike, with the rows of all."""
    if state().track_batch and isinstance(x, Tensor):
        x.batch = WHOLE
    return x


def zeros(shape, dtype=None):
    """A tensor of zeros.

    Example:
        >>> zeros((1, 2)).tolist()
        [[0.0, 0.0]]
    """
    return _filled(P.zeros, shape, dtype=dtypes.standardize_dtype(dtype))


def ones(shape, dtype=None):
    """A tensor of ones.

    Example:
        >>> ones(2, "int32").tolist()
        [1, 1]
    """
    return _filled(P.full, shape, value=1, dtype=dtypes.standardize_dtype(dtype))


def full(shape, fill_value, dtype=None):
    """A tensor filled with one value.

    Example:
        >>> full((2,), 7.0).tolist()
        [7.0, 7.0]
    """
    dtype = dtypes.standardize_dtype(dtype)
    if is_number(fill_value):
        return _filled(P.full, shape, value=fill_value, dtype=dtype)
    return P.broadcast_to(cast(as_tensor(fill_value), dtype), shape=_shape_of(shape))


@op
def zeros_like(x, dtype=None):
    """Zeros of the shape of `x`.

    Example:
        >>> zeros_like([1, 2]).tolist()
        [0, 0]
    """
    return full_like(x, 0, dtype)


@op
def ones_like(x, dtype=None):
    """Ones of the shape of `x`.

    Example:
        >>> ones_like([1, 2]).tolist()
        [1, 1]
    """
    return full_like(x, 1, dtype)


@op
def full_like(x, fill_value, dtype=None):
    """One value in the shape of `x`.

    Example:
        >>> full_like([1, 2], 3).tolist()
        [3, 3]
    """
    x = as_tensor(x)
    y = P.full_like(x if dtype is None else cast(P.stop_gradient(x), dtype), value=0)
    if is_number(fill_value):
        return P.full_like(y, value=fill_value)
    return P.broadcast_to(cast(as_tensor(fill_value), y.dtype), shape=x.shape)


def arange(start, stop=None, step=None, dtype=None):
    """Evenly spaced numbers from `start` up to, but not including, `stop`.

    Example:
        >>> arange(3).tolist()
        [0, 1, 2]
    """
    if stop is None:
        start, stop = 0, start
    step = 1 if step is None else step
    start, stop, step = (v.item() if isinstance(v, Tensor) else v for v in (start, stop, step))
    if type(stop) is Rows and start == 0 and step == 1 and state().rows is not None:
        return _numbers_of_rows(stop, dtype)
    whole = any(map(is_count, (start, stop, step)))
    start, stop, step = map(everywhere, (start, stop, step))
    if dtype is None:
        dtype = dtypes.result_type(
            *(type(v) if is_number(v) else as_tensor(v).dtype for v in (start, stop, step))
        )
    found = P.arange(start=start, stop=stop, step=step, dtype=dtypes.standardize_dtype(dtype))
    return _whole(found) if whole else found


def _numbers_of_rows(size, dtype):
    """The places of this rank's rows in the global batch."""
    form = form_of(size)
    dtype = dtypes.standardize_dtype(dtype or "int32")
    parts = [
        P.arange(start=first, stop=first + n, step=1, dtype=dtype)
        for first, n in pieces(int(size), *form)
    ]
    found = parts[0] if len(parts) == 1 else P.concatenate(*parts, axis=0)
    if state().track_batch:
        found.batch = mark_of(0, form)
    return found


def eye(N, M=None, k=0, dtype=None):
    """Ones on a diagonal, zeros elsewhere.

    Example:
        >>> eye(2).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    M = N if M is None else M
    found = P.eye(
        rows=int(everywhere(N)),
        columns=int(everywhere(M)),
        k=int(k),
        dtype=dtypes.standardize_dtype(dtype),
    )
    return _whole(found) if is_count(N) or is_count(M) else found


def identity(n, dtype=None):
    """The identity matrix.

    Example:
        >>> identity(1).tolist()
        [[1.0]]
    """
    return eye(n, dtype=dtype)


@op
def linspace(start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0):
    """`num` evenly spaced numbers from `start` to `stop`.

    Example:
        >>> linspace(0.0, 1.0, 3).tolist()
        [0.0, 0.5, 1.0]
    """
    start, stop = promote(floats(start), floats(stop))
    parts = num - 1 if endpoint else num
    step = (
        P.divide_by(P.subtract(stop, start), a=float(parts))
        if parts > 0
        else P.full_like(start, value=float("nan"))
    )
    ramp = P.arange(start=0, stop=num, step=1, dtype=start.dtype)
    ramp = P.reshape(ramp, shape=(num,) + (1,) * start.ndim)
    if parts > 0:
        ramp = P.divide_by(ramp, a=float(parts))
        values = P.add(P.multiply(start, 1 - ramp), P.multiply(stop, ramp))
    else:
        values = P.add(start, P.scale(ramp, a=0))
    values = moveaxis(values, 0, axis) if axis != 0 else values
    values = values if dtype is None else cast(values, dtype)
    return (values, step) if retstep else values


@op
def meshgrid(*x, indexing="xy"):
    """Coordinate matrices from coordinate vectors.

    Example:
        >>> [m.shape for m in meshgrid([1, 2], [3, 4, 5])]
        [(3, 2), (3, 2)]
    """
    vectors = [P.reshape(as_tensor(v), shape=(-1,)) for v in x]
    shape = tuple(v.shape[0] for v in vectors)
    grids = []
    for i, v in enumerate(vectors):
        column = tuple(n if j == i else 1 for j, n in enumerate(shape))
        grids.append(P.broadcast_to(P.reshape(v, shape=column), shape=shape))
    return [swapaxes(g, 0, 1) for g in grids] if indexing == "xy" and len(grids) > 1 else grids
