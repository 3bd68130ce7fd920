"""Products of matrices and their relatives."""

import math

from distkeras.engine import primitives as P
from distkeras.engine.shapes import normalize_axes
from distkeras.errors import ArgumentError, ShapeError
from distkeras.ops.core import as_tensor, cast
from distkeras.ops.promotion import common, floats, promote
from distkeras.ops.reductions import max, min, sum
from distkeras.ops.symbolic import op

__all__ = [
    "dot",
    "einsum",
    "matmul",
    "norm",
    "outer",
    "tensordot",
]


@op
def matmul(x1, x2):
    """The matrix product; leading axes broadcast, vectors are rows or columns as they stand.

    Example:
        >>> matmul([[1.0, 2.0]], [[3.0], [4.0]]).tolist()
        [[11.0]]
    """
    x1, x2 = as_tensor(x1), as_tensor(x2)
    if x1.dtype == x2.dtype == "int8":
        # Sums of products of bytes do not fit in bytes.
        x1, x2 = cast(x1, "int32"), cast(x2, "int32")
    x, y = promote(x1, x2)
    a, b = x.ndim, y.ndim
    if a == 0 or b == 0:
        raise ShapeError(
            f"A matrix product needs at least one axis on each side, got shapes {x.shape} and "
            f"{y.shape}."
        )
    if a > 2 and b == 2:
        # One large product instead of many small ones, and a weight gradient without the batch
        # axis.
        _check_inner(x.shape, y.shape)
        flat = P.matmul(P.reshape(x, shape=(math.prod(x.shape[:-1]), x.shape[-1])), y)
        return P.reshape(flat, shape=(*x.shape[:-1], y.shape[-1]))
    if a == 1:
        x = P.reshape(x, shape=(1, *x.shape))
    if b == 1:
        y = P.reshape(y, shape=(*y.shape, 1))
    z = P.matmul(x, y)
    if b == 1:
        z = P.reshape(z, shape=z.shape[:-1])
    if a == 1:
        z = P.reshape(z, shape=z.shape[:-1] if b == 1 else (*z.shape[:-2], z.shape[-1]))
    return z


def _check_inner(a, b):
    if a[-1] != b[-2]:
        raise ShapeError(
            f"Matrix product of shapes {a} and {b}: {a[-1]} columns meet {b[-2]} rows."
        )


@op
def dot(x1, x2):
    """The product over the last axis of `x1` and the last but one of `x2`.

    Example:
        >>> float(dot([1.0, 2.0], [3.0, 4.0]))
        11.0
    """
    x, y = promote(x1, x2)
    if x.ndim == 0 or y.ndim == 0:
        return P.multiply(x, y)
    if y.ndim <= 2:
        return cast(matmul(x, y), x.dtype)
    return tensordot(x, y, axes=((x.ndim - 1,), (y.ndim - 2,)))


@op
def tensordot(x1, x2, axes=2):
    """The product over chosen axes of both.

    Example:
        >>> float(tensordot([1.0, 2.0], [3.0, 4.0], axes=1))
        11.0
    """
    x, y = promote(x1, x2)
    if isinstance(axes, int):
        left, right = tuple(range(x.ndim - axes, x.ndim)), tuple(range(axes))
    else:
        left, right = (tuple(a) if isinstance(a, list | tuple) else (a,) for a in axes)
        left, right = normalize_axes(left, x.ndim), normalize_axes(right, y.ndim)
    rows = [i for i in range(x.ndim) if i not in left]
    columns = [i for i in range(y.ndim) if i not in right]
    inner = math.prod(x.shape[i] for i in left)
    a = P.reshape(
        P.transpose(x, axes=(*rows, *left)), shape=(math.prod(x.shape[i] for i in rows), inner)
    )
    b = P.reshape(
        P.transpose(y, axes=(*right, *columns)),
        shape=(inner, math.prod(y.shape[i] for i in columns)),
    )
    return P.reshape(
        P.matmul(a, b), shape=(*(x.shape[i] for i in rows), *(y.shape[i] for i in columns))
    )


@op
def einsum(subscripts, *operands, **kwargs):
    """Einstein's summation.

    Example:
        >>> einsum("ij,jk->ik", [[1.0, 2.0]], [[3.0], [4.0]]).tolist()
        [[11.0]]
    """
    return P.einsum(*common(operands), subscripts=subscripts)


@op
def outer(x1, x2):
    """The product of each element with each.

    Example:
        >>> outer([1, 2], [3]).tolist()
        [[3], [6]]
    """
    x, y = promote(x1, x2)
    return P.multiply(P.reshape(x, shape=(-1, 1)), P.reshape(y, shape=(1, -1)))


@op
def norm(x, ord=None, axis=None, keepdims=False):
    """The Euclidean norm, or that of an order, of vectors along axes.

    Example:
        >>> float(norm([3.0, 4.0]))
        5.0
    """
    x = floats(x)
    if ord in (None, 2, "fro") or ord == "euclidean":
        if ord == 2 and isinstance(axis, list | tuple) and len(axis) == 2:
            raise ArgumentError(
                "The spectral norm of matrices is not available; `ord` may be None, 1, inf or a "
                "number."
            )
        return P.sqrt(sum(P.square(x), axis=axis, keepdims=keepdims))
    magnitude = P.abs_(x)
    if ord == float("inf"):
        return max(magnitude, axis=axis, keepdims=keepdims)
    if ord == float("-inf"):
        return min(magnitude, axis=axis, keepdims=keepdims)
    if ord == 1:
        return sum(magnitude, axis=axis, keepdims=keepdims)
    return P.power_scalar(
        sum(P.power_scalar(magnitude, a=ord), axis=axis, keepdims=keepdims), a=1 / ord
    )
