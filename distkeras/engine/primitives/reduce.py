"""Reductions. Half precision is summed in float32, integers in their own dtype."""

from distkeras.engine import batch
from distkeras.engine.dtypes import numpy_dtype
from distkeras.engine.primitive import primitive
from distkeras.engine.primitives.shape import broadcast_to, reshape
from distkeras.engine.shapes import normalize_axes, normalize_axis, reduced_shape


def _shape(x, *, axis=None, keepdims=False):
    return reduced_shape(x.shape, axis, keepdims), x._np_dtype


def _bool_shape(x, *, axis=None, keepdims=False):
    return reduced_shape(x.shape, axis, keepdims), numpy_dtype("bool")


def spread(g, shape, axis, keepdims):
    """A reduced tensor stretched to the shape before the reduction."""
    if not keepdims:
        g = reshape(g, shape=reduced_shape(shape, axis, True))
    return broadcast_to(g, shape=shape)


@primitive(
    "reduce_sum",
    shape=_shape,
    batch=batch.reduce,
    vjp=lambda e, g: spread(g, e.shapes[0], e.params.get("axis"), e.params.get("keepdims", False)),
)
def reduce_sum(xp, x, *, axis=None, keepdims=False):
    if x.dtype.itemsize == 2 and x.dtype.kind not in "iu":
        return xp.sum(x.astype("float32"), axis=axis, keepdims=keepdims).astype(x.dtype)
    return xp.sum(x, axis=axis, keepdims=keepdims, dtype=x.dtype)


def sum_to(g, shape):
    """`g` summed over the axes along which `shape` was broadcast; the reverse of broadcasting."""
    given = g.shape
    if given == shape:
        return g
    extra = len(given) - len(shape)
    axes = tuple(i for i in range(len(given)) if i < extra or shape[i - extra] == 1 != given[i])
    if axes:
        g = reduce_sum(g, axis=axes, keepdims=False)
    return g if g.shape == shape else reshape(g, shape=shape)


def _extremum_vjp(e, g):
    """The extreme elements share the cotangent equally."""
    from distkeras.engine.primitives.elementwise import cast, divide, equal, multiply

    shape, axis, keepdims = e.shapes[0], e.params.get("axis"), e.params.get("keepdims", False)
    y = spread(e.y[0], shape, axis, keepdims)
    hits = cast(equal(e.x[0], y), dtype=e.dtypes[0])
    count = reduce_sum(hits, axis=axis, keepdims=True)
    return multiply(spread(g, shape, axis, keepdims), divide(hits, count))


@primitive("reduce_max", shape=_shape, batch=batch.along, vjp=_extremum_vjp, saves="x y")
def reduce_max(xp, x, *, axis=None, keepdims=False):
    return xp.max(x, axis=axis, keepdims=keepdims)


@primitive("reduce_min", shape=_shape, batch=batch.along, vjp=_extremum_vjp, saves="x y")
def reduce_min(xp, x, *, axis=None, keepdims=False):
    return xp.min(x, axis=axis, keepdims=keepdims)


def _prod_vjp(e, g):
    """The product of the others, by products from both ends, so that zeros do no harm."""
    from distkeras.engine.primitives.elementwise import multiply

    x = e.x[0]
    rank = len(x.shape)
    axes = normalize_axes(e.params.get("axis"), rank)
    g = spread(g, x.shape, e.params.get("axis"), e.params.get("keepdims", False))
    from distkeras.engine.primitives.shape import transpose

    keep = [i for i in range(rank) if i not in axes]
    order = (*keep, *axes)
    moved = transpose(x, axes=order)
    flat = reshape(moved, shape=(*(x.shape[i] for i in keep), -1))
    others = multiply(_products_before(flat), _flipped(_products_before(_flipped(flat))))
    back = tuple(order.index(i) for i in range(rank))
    return multiply(g, transpose(reshape(others, shape=moved.shape), axes=back))


@primitive("reduce_prod", shape=_shape, batch=batch.along, vjp=_prod_vjp, saves="x")
def reduce_prod(xp, x, *, axis=None, keepdims=False):
    return xp.prod(x, axis=axis, keepdims=keepdims, dtype=x.dtype)


@primitive("reduce_any", shape=_bool_shape, batch=batch.along)
def reduce_any(xp, x, *, axis=None, keepdims=False):
    return xp.any(x, axis=axis, keepdims=keepdims)


@primitive("reduce_all", shape=_bool_shape, batch=batch.along)
def reduce_all(xp, x, *, axis=None, keepdims=False):
    return xp.all(x, axis=axis, keepdims=keepdims)


def _along_shape(x, *, axis, reverse=False, exclusive=False):
    normalize_axis(axis, len(x.shape))
    return x.shape, x._np_dtype


def _scan(xp, x, axis, reverse, exclusive, function, unit):
    if reverse:
        x = xp.flip(x, axis)
    out = function(x, axis=axis, dtype=x.dtype)
    if exclusive:
        first = [slice(None)] * x.ndim
        rest = [slice(None)] * x.ndim
        shifted = xp.empty_like(out)
        first[axis], rest[axis] = slice(0, 1), slice(1, None)
        shifted[tuple(first)] = unit
        rest_of_out = [slice(None)] * x.ndim
        rest_of_out[axis] = slice(None, -1)
        shifted[tuple(rest)] = out[tuple(rest_of_out)]
        out = shifted
    return xp.flip(out, axis) if reverse else out


def _cumsum_vjp(e, g):
    p = e.params
    return cumsum(
        g, axis=p["axis"], reverse=not p.get("reverse", False), exclusive=p.get("exclusive", False)
    )


@primitive("cumsum", shape=_along_shape, batch=batch.along, vjp=_cumsum_vjp)
def cumsum(xp, x, *, axis, reverse=False, exclusive=False):
    return _scan(xp, x, axis, reverse, exclusive, xp.cumsum, 0)


def _flipped(x):
    from distkeras.engine.primitives.index import slice_

    return slice_(x, index=(Ellipsis, slice(None, None, -1)))


def _moved(x, step, value):
    """The last axis moved `step` places to the right (left where negative), filled with a value."""
    from distkeras.engine.primitives.index import slice_
    from distkeras.engine.primitives.shape import pad

    n = x.shape[-1]
    step = max(-n, min(n, step))
    keep = slice(0, n - step) if step > 0 else slice(-step, n)
    widths = ((0, 0),) * (len(x.shape) - 1) + ((max(step, 0), max(-step, 0)),)
    return pad(slice_(x, index=(Ellipsis, keep)), widths=widths, value=value)


def _products_before(x):
    """For each place on the last axis the product of all before it, by doubling: no division, so
    zeros do no harm."""
    from distkeras.engine.primitives.elementwise import multiply

    p, step = _moved(x, 1, 1), 1
    while step < x.shape[-1]:
        p, step = multiply(p, _moved(p, step, 1)), 2 * step
    return p


def _cumprod_vjp(e, g):
    """dx[k] = (product before k) * h[k] with h[k] = g[k] + x[k + 1] h[k + 1], the recurrence solved
    by doubling."""
    from distkeras.engine.primitives.elementwise import add, multiply
    from distkeras.engine.primitives.shape import transpose

    p, rank = e.params, len(e.shapes[0])
    axis = normalize_axis(p["axis"], rank)
    order = (*(i for i in range(rank) if i != axis), axis)

    def last(t):
        t = transpose(t, axes=order)
        return _flipped(t) if p.get("reverse", False) else t

    x, b = last(e.x[0]), last(g)
    if p.get("exclusive", False):
        b = _moved(b, -1, 0)
    a, step = _moved(x, -1, 0), 1
    while step < x.shape[-1]:
        b, a, step = (
            add(b, multiply(a, _moved(b, -step, 0))),
            multiply(a, _moved(a, -step, 0)),
            2 * step,
        )
    dx = multiply(_products_before(x), b)
    dx = _flipped(dx) if p.get("reverse", False) else dx
    return transpose(dx, axes=tuple(order.index(i) for i in range(rank)))


@primitive("cumprod", shape=_along_shape, batch=batch.along, vjp=_cumprod_vjp, saves="x")
def cumprod(xp, x, *, axis, reverse=False, exclusive=False):
    return _scan(xp, x, axis, reverse, exclusive, xp.cumprod, 1)
