"""Reductions: sums, means, extremes, positions, and running sums."""

import math
from collections.abc import Callable
from typing import Any

from distkeras.distribution import denominators
from distkeras.engine import context
from distkeras.engine import primitives as P
from distkeras.engine.primitive import Primitive
from distkeras.engine.shapes import normalize_axes, normalize_axis, reduced_shape
from distkeras.errors import ShapeError
from distkeras.ops.core import as_tensor, cast
from distkeras.ops.promotion import floats, promote
from distkeras.ops.symbolic import op

__all__ = [
    "all",
    "amax",
    "amin",
    "any",
    "argmax",
    "argmin",
    "average",
    "count_nonzero",
    "cumprod",
    "cumsum",
    "logsumexp",
    "max",
    "mean",
    "median",
    "min",
    "prod",
    "std",
    "sum",
    "var",
]

_DOC = """{what}

    Args:
        x: a tensor.
        axis: an int, for most reductions also a tuple of ints, or `None` for all elements.

    Example:
        >>> {example}
        {result}
    """
# Sums of bytes do not fit in bytes.
_SUMMED_IN = {
    "bool": "int32",
    "int8": "int32",
    "int16": "int32",
    "uint8": "uint32",
    "uint16": "uint32",
}


def _axes(axis, rank: int):
    return None if axis is None else normalize_axes(axis, rank)


def _wide(x):
    """Small integers in the 32 bits in which they are summed up."""
    dtype = _SUMMED_IN.get(x.dtype)
    return x if dtype is None else cast(x, dtype)


@op
def sum(x, axis=None, keepdims=False):
    """The sum over axes.

    Args:
        x: a tensor.
        axis: an int, a tuple of ints, or `None` for all.
        keepdims: whether reduced axes stay, with size 1.

    Example:
        >>> sum([[1.0, 2.0], [3.0, 4.0]], axis=0).tolist()
        [4.0, 6.0]
    """
    x = _wide(as_tensor(x))
    return P.reduce_sum(x, axis=_axes(axis, x.ndim), keepdims=bool(keepdims))


@op
def mean(x, axis=None, keepdims=False):
    """The mean over axes; see `sum`.

    Example:
        >>> float(mean([1.0, 2.0]))
        1.5
    """
    x = floats(x)
    axes = normalize_axes(axis, x.ndim)
    total = P.reduce_sum(x, axis=axes, keepdims=bool(keepdims))
    count = math.prod(x.shape[a] for a in axes)
    current = context.state()
    if current.track_batch and current.join is not None and x.batch in axes:
        # The mean over the rows of all ranks; the same on each.
        total, count = current.join(total), denominators.global_sum(count)
    if count == 0:
        return P.scale(total, a=float("nan"))
    return P.divide_by(total, a=float(count))


@op
def var(x, axis=None, keepdims=False):
    """The variance over axes: the mean squared distance from the mean.

    Example:
        >>> float(var([1.0, 3.0]))
        1.0
    """
    x = floats(x)
    return mean(
        P.square(P.subtract(x, mean(x, axis=axis, keepdims=True))), axis=axis, keepdims=keepdims
    )


@op
def std(x, axis=None, keepdims=False):
    """The standard deviation over axes.

    Example:
        >>> float(std([1.0, 3.0]))
        1.0
    """
    return P.sqrt(var(x, axis=axis, keepdims=keepdims))


def _truth(prim: Primitive, name: str, what: str, result: str) -> Callable[..., Any]:
    def function(x, axis=None, keepdims=False):
        x = as_tensor(x)
        return prim(x, axis=_axes(axis, x.ndim), keepdims=bool(keepdims))

    return _documented(function, name, what, f"bool({name}([True, False]))", result)


def _extremum(prim: Primitive, join: Primitive, name: str, what: str) -> Callable[..., Any]:
    def function(x, axis=None, keepdims=False, initial=None):
        x = as_tensor(x)
        axes = normalize_axes(axis, x.ndim)
        if initial is not None:
            start = cast(as_tensor(initial), x.dtype)
            if 0 in [x.shape[a] for a in axes]:
                shape = reduced_shape(x.shape, axes, bool(keepdims))
                return P.broadcast_to(start, shape=shape)
        y = prim(x, axis=_axes(axis, x.ndim), keepdims=bool(keepdims))
        return y if initial is None else join(y, start)

    return _documented(function, name, what, f"int({name}([2, 2]))", "2")


def _position(prim: Primitive, name: str, what: str) -> Callable[..., Any]:
    def function(x, axis=None, keepdims=False):
        x = as_tensor(x)
        axis = None if axis is None else normalize_axis(axis, x.ndim)
        return prim(x, axis=axis, keepdims=bool(keepdims))

    return _documented(function, name, what, f"int({name}([1, 1]))", "0")


def _cumulative(prim: Primitive, name: str, what: str, result: str) -> Callable[..., Any]:
    def function(x, axis=None, dtype=None):
        x = as_tensor(x)
        if dtype is not None:
            x = cast(x, dtype)
        elif x.dtype == "bool":
            x = cast(x, "int32")
        if axis is None:
            x, axis = P.reshape(x, shape=(-1,)), 0
        return prim(x, axis=normalize_axis(axis, x.ndim))

    return _documented(function, name, what, f"{name}([1, 2, 3]).tolist()", result)


def _documented(function, name: str, what: str, example: str, result: str) -> Callable[..., Any]:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = _DOC.format(what=what, example=example, result=result)
    return op(function)


all = _truth(P.reduce_all, "all", "Whether all elements along axes are true.", "False")
any = _truth(P.reduce_any, "any", "Whether any element along axes is true.", "True")
max = amax = _extremum(P.reduce_max, P.maximum, "max", "The largest element along axes.")
min = amin = _extremum(P.reduce_min, P.minimum, "min", "The smallest element along axes.")
argmax = _position(P.argmax, "argmax", "The index of the first largest element.")
argmin = _position(P.argmin, "argmin", "The index of the first smallest element.")
cumsum = _cumulative(P.cumsum, "cumsum", "The sums of all elements up to each.", "[1, 3, 6]")
cumprod = _cumulative(P.cumprod, "cumprod", "The products of all elements up to each.", "[1, 2, 6]")


@op
def prod(x, axis=None, keepdims=False, dtype=None):
    """The product over axes.

    Example:
        >>> int(prod([2, 3]))
        6
    """
    x = as_tensor(x)
    x = _wide(x) if dtype is None else cast(x, dtype)
    return P.reduce_prod(x, axis=_axes(axis, x.ndim), keepdims=bool(keepdims))


@op
def logsumexp(x, axis=None, keepdims=False):
    """log(sum(exp(x))) without overflow.

    Example:
        >>> f"{float(logsumexp([0.0, 0.0])):.4f}"
        '0.6931'
    """
    x = floats(x)
    axes = normalize_axes(axis, x.ndim)
    top = P.stop_gradient(P.reduce_max(x, axis=axes, keepdims=True))
    top = P.where(P.isfinite(top), top, P.full_like(top, value=0))
    total = P.add(P.log(P.reduce_sum(P.exp(P.subtract(x, top)), axis=axes, keepdims=True)), top)
    return total if keepdims else P.reshape(total, shape=reduced_shape(x.shape, axes, False))


@op
def count_nonzero(x, axis=None):
    """The number of elements that are not zero.

    Example:
        >>> int(count_nonzero([0, 1, 2]))
        2
    """
    return sum(cast(cast(as_tensor(x), "bool"), "int32"), axis=axis)


@op
def median(x, axis=None, keepdims=False):
    """The middle element along axes, or the mean of the two in the middle; NaN where one is NaN.

    Args:
        x: a tensor.
        axis: an int, a tuple of ints, or `None` for all.
        keepdims: whether reduced axes stay, with size 1.

    Example:
        >>> float(median([3.0, 1.0, 2.0, 10.0]))
        2.5
    """
    x = floats(x)
    axes = normalize_axes(axis, x.ndim)
    rest = [i for i in range(x.ndim) if i not in axes]
    count = math.prod(x.shape[a] for a in axes)
    rows = P.reshape(
        P.transpose(x, axes=(*rest, *axes)), shape=(*(x.shape[i] for i in rest), count)
    )
    ranked = P.sort(rows, axis=len(rest))
    middle = slice((count - 1) // 2, count // 2 + 1)
    y = mean(P.slice_(ranked, index=(Ellipsis, middle)), axis=-1)
    # NaN is sorted last.
    last = P.slice_(ranked, index=(Ellipsis, slice(count - 1, None)))
    last = P.reshape(last, shape=y.shape)
    y = P.where(P.isnan(last), last, y)
    return P.reshape(y, shape=reduced_shape(x.shape, axes, bool(keepdims)))


@op
def average(x, axis=None, weights=None):
    """The mean along axes, with weights.

    Args:
        x: a tensor.
        axis: an int, a tuple of ints, or `None` for all.
        weights: of the shape of `x`, or of one axis; default equal ones.

    Example:
        >>> float(average([1.0, 3.0], weights=[3.0, 1.0]))
        1.5
    """
    if weights is None:
        return mean(x, axis=axis)
    x, w = promote(floats(x), floats(weights))
    axes = normalize_axes(axis, x.ndim)
    if w.shape != x.shape:
        if len(axes) != 1 or w.shape != (x.shape[axes[0]],):
            raise ShapeError(
                f"`weights` of shape {w.shape} must have the shape of `x`, {x.shape}, or the "
                "length "
                f"of its one axis `axis`, got axis={axis}."
            )
        w = P.reshape(w, shape=tuple(n if i == axes[0] else 1 for i, n in enumerate(x.shape)))
    total = P.reduce_sum(P.broadcast_to(w, shape=x.shape), axis=axes, keepdims=False)
    return P.divide(P.reduce_sum(P.multiply(x, w), axis=axes, keepdims=False), total)
