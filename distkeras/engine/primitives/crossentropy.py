"""Cross-entropies in one step each: the value, and beside it only what the derivative needs.

With logits x, high = max(x), size = log(sum(exp(x - high))) and targets t, the loss is
sum(t * (size - (x - high))), and its derivative by x is softmax(x) * sum(t) - t. The forward step
returns size and high as further outputs (one number a row), so the backward step is one exponential
and nothing of the size of x is kept; high may stand for any constant, so it has no derivative. With
probabilities p, s = sum(p), the loss is -sum(t * log(clip(p / s, low, high))), as Keras defines it.
The derivatives are primitives with derivatives of their own. Labels are class numbers: out of range
they raise `ArgumentError` on the CPU, and give NaN where the check would make a device wait.
"""

import numpy as np

from distkeras.engine import batch
from distkeras.engine.primitive import elementwise, primitive
from distkeras.engine.primitives.creation import full_like
from distkeras.engine.primitives.elementwise import (
    _each,
    add,
    cast,
    clip,
    divide,
    exp,
    greater_equal,
    less_equal,
    log,
    logical_and,
    multiply,
    negative,
    shift,
    sigmoid,
    sigmoid_grad,
    square,
    subtract,
)
from distkeras.engine.primitives.index import put_along_axis, take_along_axis
from distkeras.engine.primitives.reduce import reduce_sum
from distkeras.engine.primitives.shape import reshape
from distkeras.engine.shapes import normalize_axis
from distkeras.errors import ArgumentError, ShapeError

# --- shapes and batch axes ---


def _row_shape(x, axis):
    axis = normalize_axis(axis, len(x.shape))
    return x.shape[:axis] + x.shape[axis + 1 :]


def _dense_shape(t, x, *, axis, outputs=2, **_):
    if t.shape != x.shape:
        raise ShapeError(
            f"`target` and `output` must have the same shape, got {t.shape} and {x.shape}."
        )
    return [(_row_shape(x, axis), x._np_dtype)] * outputs


def _sparse_shape(labels, x, *, axis, outputs=2, **_):
    rows = _row_shape(x, axis)
    if labels.shape != rows:
        raise ShapeError(
            f"`target` must have the shape of `output` without the class axis {axis}, which is "
            f"{rows}, got {labels.shape}."
        )
    return [(rows, x._np_dtype)] * outputs


def _like_last(*specs, **_):
    return specs[-1].shape, specs[-1]._np_dtype


def _batch(axes, shapes, params, out_shape):
    """Rows are independent: only the class axis may not be the batch axis."""
    class_axis = normalize_axis(params["axis"], len(shapes[1]))
    a, b = axes
    if b is None or b == class_axis:
        return batch.MIXED
    row = b - (b > class_axis)
    of_labels = b if len(shapes[0]) == len(shapes[1]) else row
    return row if a in (None, of_labels) else batch.MIXED


def _grad_batch(axes, shapes, params, out_shape):
    """The rule of the derivatives: all inputs come from one forward step, whose rule has passed."""
    class_axis = normalize_axis(params["axis"], len(out_shape))
    x = axes[-1]
    if x is None or x == class_axis or batch.MIXED in axes:
        return batch.MIXED
    return x


def _wide(row, x, axis):
    """One number a row, with a class axis of length 1."""
    axis = normalize_axis(axis, len(x.shape))
    return reshape(row, shape=(*x.shape[:axis], 1, *x.shape[axis + 1 :]))


def _checked(xp, labels, classes, name):
    """The labels, known to be right, or made harmless beside a mask where nobody may wait."""
    if xp is not np:
        valid = (labels >= 0) & (labels < classes)
        return xp.where(valid, labels, 0), valid
    # As unsigned numbers negative ones are large: one pass finds both kinds.
    unsigned = labels.view(f"u{labels.itemsize}") if labels.dtype.kind == "i" else labels
    if unsigned.size and unsigned.max() >= classes:
        wrong = labels[(labels < 0) | (labels >= classes)].reshape(-1)[0]
        raise ArgumentError(
            f"{name}: found the label {wrong}, while the predictions have {classes} classes: "
            f"labels must be integers from 0 to {classes - 1}. Renumber the labels, give the last "
            "layer more units, or use `ignore_class` for labels that mark missing values; a huge "
            "negative label was NaN before it became an integer."
        )
    return labels, None


def _pick(xp, x, labels, axis):
    if x.ndim == 2 and axis in (1, -1) and labels.shape == x.shape[:1]:
        return x[xp.arange(x.shape[0]), labels]
    return xp.take_along_axis(x, xp.expand_dims(labels, axis), axis=axis).squeeze(axis)


def _subtract_at(xp, out, labels, values, axis):
    """`out[..., label, ...] -= value`, in place, once for each row."""
    if out.ndim == 2 and axis in (1, -1):
        out[xp.arange(out.shape[0]), labels] -= values
    else:
        index = xp.expand_dims(labels, axis)
        picked = xp.take_along_axis(out, index, axis=axis)
        xp.put_along_axis(out, index, picked - xp.expand_dims(values, axis), axis=axis)


def _log_sum(xp, x, axis):
    """`x - high`, log(sum(exp(x - high))) and high, the largest; the class axis stays."""
    high = x.max(axis=axis, keepdims=True)
    x = x - high
    with np.errstate(all="ignore"):
        return x, xp.log(xp.exp(x).sum(axis=axis, keepdims=True)), high


def _softmax(x, size, high, axis):
    """softmax(x), as a composition."""
    shifted = subtract(x, _wide(high, x, axis))
    return exp(subtract(shifted, _wide(size, x, axis)))


def _softmax_array(xp, x, size, high, axis):
    out = x - xp.expand_dims(high, axis)
    out -= xp.expand_dims(size, axis)
    return xp.exp(out, out=out)


def _three(rule):
    return lambda t, x, *, axis: rule(t, x, axis=axis, outputs=3)


# --- logits and a distribution over the classes ---


def _softmax_ce_vjp(e, g, h, _):
    (t, x), (_, size, high), axis = e.x, e.y, e.params["axis"]
    dt = dx = None
    if e.needs[0]:
        shifted = subtract(x, _wide(high, x, axis))
        dt = multiply(_wide(g, x, axis), subtract(_wide(size, x, axis), shifted))
    if e.needs[1]:
        dx = softmax_cross_entropy_grad(g, h, t, size, high, x, axis=axis)
    return dt, dx


@primitive(
    "softmax_cross_entropy",
    shape=_three(_dense_shape),
    batch=_batch,
    vjp=_softmax_ce_vjp,
    saves="x y",
    outputs=3,
)
def softmax_cross_entropy(xp, t, x, *, axis):
    """(loss, size, high) of logits and a distribution."""
    if x.dtype.itemsize == 2:
        wide = softmax_cross_entropy.run(xp, t.astype("float32"), x.astype("float32"), axis=axis)
        return tuple(w.astype(x.dtype) for w in wide)
    shifted, size, high = _log_sum(xp, x, axis)
    loss = (t * (size - shifted)).sum(axis=axis)
    return loss, size.squeeze(axis), high.squeeze(axis)


def _softmax_ce_grad_vjp(e, c):
    (g, h, t, size, high, x), axis = e.x, e.params["axis"]
    cp = multiply(c, _softmax(x, size, high, axis))
    inner = reduce_sum(cp, axis=axis)
    total = reduce_sum(t, axis=axis)
    amount = add(multiply(g, total), h)
    wide_g = _wide(g, x, axis)
    return (
        subtract(multiply(inner, total), reduce_sum(multiply(c, t), axis=axis)),
        inner,
        multiply(wide_g, subtract(_wide(inner, x, axis), c)),
        negative(multiply(inner, amount)),
        None,
        multiply(cp, _wide(amount, x, axis)),
    )


@primitive(
    "softmax_cross_entropy_grad",
    shape=_like_last,
    batch=_grad_batch,
    vjp=_softmax_ce_grad_vjp,
    saves="x",
)
def softmax_cross_entropy_grad(xp, g, h, t, size, high, x, *, axis):
    """`softmax(x) * (g * sum(t) + h) - g * t`."""
    out = _softmax_array(xp, x, size, high, axis)
    out *= xp.expand_dims(g * t.sum(axis=axis) + h, axis)
    out -= t * xp.expand_dims(g, axis)
    return out


# --- logits and class numbers ---


def _sparse_softmax_ce_vjp(e, g, h, _):
    (labels, x), (_, size, high) = e.x, e.y
    return None, sparse_softmax_cross_entropy_grad(g, h, labels, size, high, x, **e.params)


@primitive(
    "sparse_softmax_cross_entropy",
    shape=_three(_sparse_shape),
    batch=_batch,
    vjp=_sparse_softmax_ce_vjp,
    saves="x y",
    outputs=3,
)
def sparse_softmax_cross_entropy(xp, labels, x, *, axis):
    """(loss, size, high) of logits and class numbers."""
    if x.dtype.itemsize == 2:
        wide = sparse_softmax_cross_entropy.run(xp, labels, x.astype("float32"), axis=axis)
        return tuple(w.astype(x.dtype) for w in wide)
    labels, valid = _checked(xp, labels, x.shape[axis], "sparse_categorical_crossentropy")
    shifted, size, high = _log_sum(xp, x, axis)
    size = size.squeeze(axis)
    loss = size - _pick(xp, shifted, labels, axis)
    if valid is not None:
        loss = xp.where(valid, loss, np.nan)
    return loss, size, high.squeeze(axis)


def _sparse_softmax_ce_grad_vjp(e, c):
    (g, h, labels, size, high, x), axis = e.x, e.params["axis"]
    cp = multiply(c, _softmax(x, size, high, axis))
    inner = reduce_sum(cp, axis=axis)
    amount = add(g, h)
    return (
        subtract(inner, _taken(c, labels, axis)),
        inner,
        None,
        negative(multiply(inner, amount)),
        None,
        multiply(cp, _wide(amount, x, axis)),
    )


def _taken(x, labels, axis):
    """`x` at the labels, as a composition."""
    return reshape(take_along_axis(x, _wide(labels, x, axis), axis=axis), shape=labels.shape)


@primitive(
    "sparse_softmax_cross_entropy_grad",
    shape=_like_last,
    batch=_grad_batch,
    vjp=_sparse_softmax_ce_grad_vjp,
    saves="x",
)
def sparse_softmax_cross_entropy_grad(xp, g, h, labels, size, high, x, *, axis):
    """`softmax(x) * (g + h)`, less `g` at the label."""
    out = _softmax_array(xp, x, size, high, axis)
    out *= xp.expand_dims(g + h, axis)
    if xp is not np:
        labels, _ = _checked(xp, labels, x.shape[axis], "")
    _subtract_at(xp, out, labels, g, axis)
    return out


# --- probabilities and a distribution ---


def _inside(r, low, high):
    """1 where a quotient was not clipped."""
    kept = logical_and(
        greater_equal(r, full_like(r, value=low)), less_equal(r, full_like(r, value=high))
    )
    return cast(kept, dtype=r.dtype)


def _probability_ce_vjp(e, g, h):
    (t, p), (_, s), axis = e.x, e.y, e.params["axis"]
    limits = {"low": e.params["low"], "high": e.params["high"]}
    dt = dp = None
    if e.needs[0]:
        dt = negative(
            multiply(_wide(g, p, axis), log(clip(divide(p, _wide(s, p, axis)), **limits)))
        )
    if e.needs[1]:
        dp = probability_cross_entropy_grad(g, h, t, s, p, axis=axis, **limits)
    return dt, dp


@primitive(
    "probability_cross_entropy",
    shape=_dense_shape,
    batch=_batch,
    vjp=_probability_ce_vjp,
    saves="x y",
    outputs=2,
)
def probability_cross_entropy(xp, t, p, *, axis, low, high):
    """(loss, sum of the probabilities) of probabilities and a distribution."""
    s = p.sum(axis=axis)
    with np.errstate(all="ignore"):
        r = p / xp.expand_dims(s, axis)
        xp.minimum(xp.maximum(r, low, out=r), high, out=r)
        r = xp.log(r, out=r)
    r *= t
    return -r.sum(axis=axis), s


def _probability_ce_grad_vjp(e, c):
    """Of `h + g (sum(t k) / s - t k / p)`, where s is an input of its own."""
    (g, h, t, s, p), axis = e.x, e.params["axis"]
    del h
    kept = _inside(divide(p, _wide(s, p, axis)), e.params["low"], e.params["high"])
    tk = multiply(t, kept)
    total = reduce_sum(tk, axis=axis)
    c_sum = reduce_sum(c, axis=axis)
    safe = add(
        multiply(p, kept), shift(negative(kept), a=1)
    )  # 1 where p was clipped: it may be 0 there
    per_p = divide(c, safe)
    wide_g = _wide(g, p, axis)
    return (
        subtract(divide(multiply(c_sum, total), s), reduce_sum(multiply(per_p, tk), axis=axis)),
        c_sum,
        multiply(multiply(wide_g, kept), subtract(_wide(divide(c_sum, s), p, axis), per_p)),
        negative(divide(multiply(multiply(g, c_sum), total), square(s))),
        multiply(wide_g, divide(multiply(per_p, tk), safe)),
    )


@primitive(
    "probability_cross_entropy_grad",
    shape=_like_last,
    batch=_grad_batch,
    vjp=_probability_ce_grad_vjp,
    saves="x",
)
def probability_cross_entropy_grad(xp, g, h, t, s, p, *, axis, low, high):
    """`h + g * (sum(t k) / s - t k / p)`, where k is 1 for what was not clipped."""
    with np.errstate(all="ignore"):
        r = p / xp.expand_dims(s, axis)
        kept = xp.where((r >= low) & (r <= high), t, 0)
        out = xp.where(kept != 0, kept / p, 0)
        row = kept.sum(axis=axis) / s
    out = xp.expand_dims(row, axis) - out
    out *= xp.expand_dims(g, axis)
    out += xp.expand_dims(h, axis)
    return out.astype(p.dtype, copy=False)


# --- probabilities and class numbers ---


def _sparse_probability_ce_vjp(e, g, h):
    (labels, p), (_, s) = e.x, e.y
    return None, sparse_probability_cross_entropy_grad(g, h, labels, s, p, **e.params)


@primitive(
    "sparse_probability_cross_entropy",
    shape=_sparse_shape,
    batch=_batch,
    vjp=_sparse_probability_ce_vjp,
    saves="x y",
    outputs=2,
)
def sparse_probability_cross_entropy(xp, labels, p, *, axis, low, high):
    """(loss, sum of the probabilities) of probabilities and class numbers."""
    labels, valid = _checked(xp, labels, p.shape[axis], "sparse_categorical_crossentropy")
    s = p.sum(axis=axis)
    with np.errstate(all="ignore"):
        r = _pick(xp, p, labels, axis) / s
        loss = -xp.log(xp.minimum(xp.maximum(r, low), high))
    return loss if valid is None else xp.where(valid, loss, np.nan), s


def _sparse_probability_ce_grad_vjp(e, c):
    (g, h, labels, s, p), axis = e.x, e.params["axis"]
    del h
    q = _taken(p, labels, axis)
    kept = _inside(divide(q, s), e.params["low"], e.params["high"])
    c_sum, c_at = reduce_sum(c, axis=axis), _taken(c, labels, axis)
    gk = multiply(g, kept)
    at = divide(multiply(gk, c_at), square(q))
    return (
        multiply(kept, subtract(divide(c_sum, s), divide(c_at, q))),
        c_sum,
        None,
        negative(divide(multiply(gk, c_sum), square(s))),
        put_along_axis(_wide(at, p, axis), _wide(labels, p, axis), shape=p.shape, axis=axis),
    )


@primitive(
    "sparse_probability_cross_entropy_grad",
    shape=_like_last,
    batch=_grad_batch,
    vjp=_sparse_probability_ce_grad_vjp,
    saves="x",
)
def sparse_probability_cross_entropy_grad(xp, g, h, labels, s, p, *, axis, low, high):
    """`h + g * k / s`, less `g * k / p` at the label; k is 1 unless its quotient was clipped."""
    if xp is not np:
        labels, _ = _checked(xp, labels, p.shape[axis], "")
    with np.errstate(all="ignore"):
        q = _pick(xp, p, labels, axis)
        r = q / s
        gk = xp.where((r >= low) & (r <= high), g, 0)
        out = xp.empty(p.shape, dtype=p.dtype)
        out[...] = xp.expand_dims(gk / s + h, axis)
        _subtract_at(xp, out, labels, xp.where(gk != 0, gk / q, 0), axis)
    return out


# --- two classes ---

# Stable for logits of any size: never exponentiates a positive number.
sigmoid_cross_entropy = elementwise(
    "sigmoid_cross_entropy",
    "maximum(y, 0) - x * y + log1p(exp(-abs(y)))",
    names=("x", "y"),
    saves="x",
    vjp=lambda e, g: _each(
        e,
        lambda: negative(multiply(g, e.x[1])),
        lambda: sigmoid_cross_entropy_grad(g, e.x[0], e.x[1]),
    ),
)
sigmoid_cross_entropy_grad = elementwise(
    "sigmoid_cross_entropy_grad",
    "x * (sigmoid(z) - y)",
    names=("x", "y", "z"),
    saves="x",
    vjp=lambda e, c: _each(
        e,
        lambda: multiply(c, subtract(sigmoid(e.x[2]), e.x[1])),
        lambda: negative(multiply(c, e.x[0])),
        lambda: sigmoid_grad(multiply(c, e.x[0]), sigmoid(e.x[2])),
    ),
)


def _binary_ce_grad_vjp(e, c):
    g, t, p = e.x
    below, above = p, shift(negative(p), a=1)
    variance = multiply(below, above)
    gc = multiply(g, c)
    return _each(
        e,
        lambda: divide(multiply(c, subtract(p, t)), variance),
        lambda: negative(divide(gc, variance)),
        lambda: multiply(
            gc,
            add(divide(t, square(below)), divide(shift(negative(t), a=1), square(above))),
        ),
    )


# Of probabilities that were clipped away from 0 and 1 before.
binary_cross_entropy = elementwise(
    "binary_cross_entropy",
    "-(x * log(y) + (1 - x) * log(1 - y))",
    names=("x", "y"),
    saves="x",
    vjp=lambda e, g: _each(
        e,
        lambda: multiply(g, subtract(log(shift(negative(e.x[1]), a=1)), log(e.x[1]))),
        lambda: binary_cross_entropy_grad(g, e.x[0], e.x[1]),
    ),
)
binary_cross_entropy_grad = elementwise(
    "binary_cross_entropy_grad",
    "x * (z - y) / (z * (1 - z))",
    names=("x", "y", "z"),
    saves="x",
    vjp=_binary_ce_grad_vjp,
)
