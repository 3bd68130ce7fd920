"""Softmax and its logarithm, along one axis or several."""

from distkeras.engine import batch
from distkeras.engine.primitive import primitive
from distkeras.engine.primitives.elementwise import add, exp, multiply, negative, subtract
from distkeras.engine.primitives.reduce import reduce_sum
from distkeras.engine.shapes import normalize_axes

__all__ = ["log_softmax", "log_softmax_grad", "softmax", "softmax_grad"]


def _shape(x, *_, axis):
    normalize_axes(axis, len(x.shape))
    return x.shape, x._np_dtype


def _batch(axes, shapes, params, out_shape):
    """As `batch.along`, for one input or for two that agree."""
    if len(set(axes)) > 1:
        return batch.MIXED
    return batch.along(axes[:1], shapes, params, out_shape)


def _shifted(xp, x, axis):
    """`x` minus its maximum: a new array, of single precision at least."""
    if x.dtype.itemsize == 2:
        x = x.astype("float32")
    return xp.subtract(x, xp.max(x, axis=axis, keepdims=True))


def _sum(x, axis):
    return reduce_sum(x, axis=axis, keepdims=True)


@primitive(
    "softmax",
    shape=_shape,
    batch=_batch,
    saves="y",
    vjp=lambda e, g: softmax_grad(g, e.y[0], **e.params),
)
def softmax(xp, x, *, axis):
    y = _shifted(xp, x, axis)
    xp.exp(y, out=y)
    y /= xp.sum(y, axis=axis, keepdims=True)
    return y.astype(x.dtype, copy=False)


def _softmax_grad_vjp(e, h):
    g, y = e.x
    axis = e.params["axis"]
    first = softmax_grad(h, y, axis=axis) if e.needs[0] else None
    if not e.needs[1]:
        return first, None
    inner = subtract(g, _sum(multiply(g, y), axis))
    return first, subtract(multiply(h, inner), multiply(g, _sum(multiply(h, y), axis)))


@primitive("softmax_grad", shape=_shape, batch=_batch, saves="x", vjp=_softmax_grad_vjp)
def softmax_grad(xp, g, y, *, axis):
    """y (g - sum(g y)): the product of a cotangent with softmax's Jacobian at the value y."""
    work = g.astype("float32") if g.dtype.itemsize == 2 else g
    out = work * y
    total = xp.sum(out, axis=axis, keepdims=True)
    out -= total * y
    return out.astype(g.dtype, copy=False)


@primitive(
    "log_softmax",
    shape=_shape,
    batch=_batch,
    saves="y",
    vjp=lambda e, g: log_softmax_grad(g, e.y[0], **e.params),
)
def log_softmax(xp, x, *, axis):
    y = _shifted(xp, x, axis)
    y -= xp.log(xp.sum(xp.exp(y), axis=axis, keepdims=True))
    return y.astype(x.dtype, copy=False)


def _log_softmax_grad_vjp(e, h):
    g, y = e.x
    axis = e.params["axis"]
    weighted = multiply(h, exp(y))
    return (
        add(h, negative(_sum(weighted, axis))) if e.needs[0] else None,
        negative(multiply(weighted, _sum(g, axis))) if e.needs[1] else None,
    )


@primitive("log_softmax_grad", shape=_shape, batch=_batch, saves="x", vjp=_log_softmax_grad_vjp)
def log_softmax_grad(xp, g, y, *, axis):
    """g - exp(y) sum(g): the product of a cotangent with log-softmax's Jacobian at the value y."""
    work, y = (g.astype("float32"), y.astype("float32")) if g.dtype.itemsize == 2 else (g, y)
    out = xp.exp(y)
    out *= -xp.sum(work, axis=axis, keepdims=True)
    out += work
    return out.astype(g.dtype, copy=False)
