"""Diagonals, triangles and differences."""

from distkeras.engine import primitives as P
from distkeras.engine.shapes import normalize_axis
from distkeras.errors import ArgumentError, ShapeError
from distkeras.ops.core import as_tensor
from distkeras.ops.reductions import sum
from distkeras.ops.symbolic import op

__all__ = [
    "diagonal",
    "diff",
    "trace",
    "tril",
    "triu",
]


def _triangle(x, k, keep):
    x = as_tensor(x)
    rows = P.reshape(P.arange(start=0, stop=x.shape[-2], step=1, dtype="int32"), shape=(-1, 1))
    columns = P.arange(start=0, stop=x.shape[-1], step=1, dtype="int32")
    mask = keep(P.subtract(columns, rows), P.full(shape=(), value=k, dtype="int32"))
    return P.where(mask, x, P.full(shape=(), value=0, dtype=x.dtype))


@op
def tril(x, k=0):
    """Zeros above a diagonal.

    Example:
        >>> tril([[1, 2], [3, 4]]).tolist()
        [[1, 0], [3, 4]]
    """
    return _triangle(x, k, P.less_equal)


@op
def triu(x, k=0):
    """Zeros below a diagonal.

    Example:
        >>> triu([[1, 2], [3, 4]]).tolist()
        [[1, 2], [0, 4]]
    """
    return _triangle(x, k, P.greater_equal)


@op
def diagonal(x, offset=0, axis1=0, axis2=1):
    """The diagonal of matrices, as a new last axis.

    Args:
        x: a tensor of two axes at least.
        offset: how far above the main diagonal, negative for below.
        axis1, axis2: the axes of rows and of columns.

    Example:
        >>> diagonal([[1, 2], [3, 4]]).tolist()
        [1, 4]
    """
    x = as_tensor(x)
    a, b = normalize_axis(axis1, x.ndim), normalize_axis(axis2, x.ndim)
    if a == b:
        raise ShapeError(f"The axes of rows and columns must differ, got {axis1} and {axis2}.")
    rest = [i for i in range(x.ndim) if i not in (a, b)]
    x = P.transpose(x, axes=(*rest, a, b))
    rows, columns = x.shape[-2:]
    top, left = (-offset, 0) if offset < 0 else (0, offset)
    count = min(rows - top, columns - left)
    count = 0 if count < 0 else count
    # In flat order neighbours on a diagonal lie one row and one column apart.
    flat = P.reshape(x, shape=(*x.shape[:-2], rows * columns))
    start = top * columns + left
    stop = start + (count - 1) * (columns + 1) + 1 if count else start
    return P.slice_(flat, index=(Ellipsis, slice(start, stop, columns + 1)))


@op
def trace(x, offset=0, axis1=0, axis2=1):
    """The sum along a diagonal; see `diagonal`.

    Example:
        >>> int(trace([[1, 2], [3, 4]]))
        5
    """
    return sum(diagonal(x, offset=offset, axis1=axis1, axis2=axis2), axis=-1)


@op
def diff(a, n=1, axis=-1):
    """The differences between neighbours along an axis, taken `n` times.

    Example:
        >>> diff([1, 3, 6]).tolist()
        [2, 3]
    """
    x = as_tensor(a)
    axis = normalize_axis(axis, x.ndim)
    if n < 0:
        raise ArgumentError(f"`n` must not be negative, got {n}.")
    lead = (slice(None),) * axis
    for _ in range(n):
        after = P.slice_(x, index=(*lead, slice(1, None)))
        before = P.slice_(x, index=(*lead, slice(None, -1)))
        if x.dtype == "bool":
            x = P.not_equal(after, before)
        else:
            x = P.subtract(after, before)
    return x
