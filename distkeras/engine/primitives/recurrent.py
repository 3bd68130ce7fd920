"""One step of LSTM and GRU after the matrix products: elementwise, and a dozen operations in one.

Each step has a first derivative of its own (`..._grad`), which computes the activations again
rather
than keep them. Derivatives of that one come from its decomposition into other primitives:
`_slopes`.
"""

from distkeras.engine import batch, special
from distkeras.engine.primitive import primitive
from distkeras.engine.primitives.elementwise import (
    add,
    multiply,
    sigmoid,
    sigmoid_grad,
    subtract,
    tanh,
    tanh_grad,
)
from distkeras.engine.primitives.index import slice_
from distkeras.engine.primitives.shape import concatenate
from distkeras.errors import ShapeError

__all__ = ["gru_step", "lstm_step"]


def _batch(axes, shapes, params, out_shape):
    """Rows are processed one by one."""
    return 0 if {a for a in axes if a is not None} == {0} else batch.MIXED


def _check(gates, state, parts):
    if len(state.shape) != 2 or gates.shape != (state.shape[0], parts * state.shape[1]):
        raise ShapeError(
            f"A step needs {parts} parts for a state of shape {state.shape}, got {gates.shape}."
        )


def _wide(x):
    """Half precision in float32."""
    return x.astype("float32") if x.dtype.itemsize == 2 else x


def _parts(x, n):
    return [slice_(x, index=(slice(None), slice(i, i + n))) for i in range(0, x.shape[1], n)]


def _through(slopes, inputs, cotangents):
    """The product of cotangents with the Jacobian of a decomposition."""
    from distkeras.engine.tape import GradientTape

    with GradientTape() as tape:
        tape.watch(list(inputs))
        outputs = slopes(*inputs)
    return tuple(tape.gradient(list(outputs), list(inputs), output_gradients=list(cotangents)))


# --- LSTM
# -------------------------------------------------------------------------------------------


def _lstm_shape(z, c):
    _check(z, c, 4)
    return [(c.shape, c._np_dtype)] * 2


def _lstm_values(xp, z, c):
    """The gates i, f, o, the candidate, the next carry and its tanh."""
    n = c.shape[1]
    gates = special.sigmoid(xp, z)
    g = xp.tanh(z[:, 2 * n : 3 * n])
    i, f, o = gates[:, :n], gates[:, n : 2 * n], gates[:, 3 * n :]
    after = f * c
    after += i * g
    return i, f, o, g, after, xp.tanh(after)


@primitive(
    "lstm_step",
    shape=_lstm_shape,
    batch=_batch,
    saves="x",
    outputs=2,
    vjp=lambda e, dh, dc: lstm_step_grad(dh, dc, *e.x),
)
def lstm_step(xp, z, c):
    """Output and carry, from the parts i, f, candidate, o side by side and the carry before."""
    _, _, o, _, after, t = _lstm_values(xp, _wide(z), _wide(c))
    return (o * t).astype(c.dtype, copy=False), after.astype(c.dtype, copy=False)


def _lstm_slopes(dh, dc, z, c):
    zi, zf, zg, zo = _parts(z, c.shape[1])
    i, f, o, g = sigmoid(zi), sigmoid(zf), sigmoid(zo), tanh(zg)
    t = tanh(add(multiply(f, c), multiply(i, g)))
    dc = add(dc, tanh_grad(multiply(dh, o), t))
    parts = (
        sigmoid_grad(multiply(dc, g), i),
        sigmoid_grad(multiply(dc, c), f),
        tanh_grad(multiply(dc, i), g),
        sigmoid_grad(multiply(dh, t), o),
    )
    return concatenate(*parts, axis=1), multiply(dc, f)


@primitive(
    "lstm_step_grad",
    shape=lambda dh, dc, z, c: [(z.shape, z._np_dtype), (c.shape, c._np_dtype)],
    batch=_batch,
    saves="x",
    outputs=2,
    vjp=lambda e, *g: _through(_lstm_slopes, e.x, g),
)
def lstm_step_grad(xp, dh, dc, z, c):
    """Cotangents of the parts and of the carry before."""
    kind, n = c.dtype, c.shape[1]
    dh, dc, z, c = (_wide(a) for a in (dh, dc, z, c))
    i, f, o, g, _, t = _lstm_values(xp, z, c)
    dc = dc + dh * o * (1 - t * t)
    dz = xp.empty(z.shape, dtype=kind)
    dz[:, :n] = dc * g * i * (1 - i)
    dz[:, n : 2 * n] = dc * c * f * (1 - f)
    dz[:, 2 * n : 3 * n] = dc * i * (1 - g * g)
    dz[:, 3 * n :] = dh * t * o * (1 - o)
    return dz, (dc * f).astype(kind, copy=False)


# --- GRU, with the reset gate after the matrix product
# ----------------------------------------------


def _gru_shape(x, inner, h):
    _check(x, h, 3)
    _check(inner, h, 3)
    return h.shape, h._np_dtype


def _gru_values(xp, x, inner, h):
    """The gates z and r, and the candidate."""
    n = h.shape[1]
    gates = special.sigmoid(xp, x[:, : 2 * n] + inner[:, : 2 * n])
    z, r = gates[:, :n], gates[:, n:]
    return z, r, xp.tanh(x[:, 2 * n :] + r * inner[:, 2 * n :])


@primitive(
    "gru_step",
    shape=_gru_shape,
    batch=_batch,
    saves="x",
    vjp=lambda e, g: gru_step_grad(g, *e.x),
)
def gru_step(xp, x, inner, h):
    """The state, from the parts z, r, candidate of inputs and of the last state, and that state."""
    kind = h.dtype
    x, inner, h = _wide(x), _wide(inner), _wide(h)
    z, _, candidate = _gru_values(xp, x, inner, h)
    return (candidate + z * (h - candidate)).astype(kind, copy=False)


def _gru_slopes(g, x, inner, h):
    (xz, xr, xh), (iz, ir, ih) = _parts(x, h.shape[1]), _parts(inner, h.shape[1])
    z, r = sigmoid(add(xz, iz)), sigmoid(add(xr, ir))
    candidate = tanh(add(xh, multiply(r, ih)))
    kept = multiply(g, z)
    by_h = tanh_grad(subtract(g, kept), candidate)
    by_z = sigmoid_grad(multiply(g, subtract(h, candidate)), z)
    by_r = sigmoid_grad(multiply(by_h, ih), r)
    dx = concatenate(by_z, by_r, by_h, axis=1)
    return dx, concatenate(by_z, by_r, multiply(by_h, r), axis=1), kept


@primitive(
    "gru_step_grad",
    shape=lambda g, x, inner, h: [(t.shape, t._np_dtype) for t in (x, inner, h)],
    batch=_batch,
    saves="x",
    outputs=3,
    vjp=lambda e, *g: _through(_gru_slopes, e.x, g),
)
def gru_step_grad(xp, g, x, inner, h):
    """Cotangents of the parts of inputs and state, and of the state before."""
    kind, n = h.dtype, h.shape[1]
    g, x, inner, h = (_wide(a) for a in (g, x, inner, h))
    z, r, candidate = _gru_values(xp, x, inner, h)
    kept = g * z
    dx, di = xp.empty(x.shape, dtype=kind), xp.empty(x.shape, dtype=kind)
    by_h = (g - kept) * (1 - candidate * candidate)
    dx[:, :n] = g * (h - candidate) * z * (1 - z)
    dx[:, n : 2 * n] = by_h * inner[:, 2 * n :] * r * (1 - r)
    dx[:, 2 * n :] = by_h
    di[:, : 2 * n] = dx[:, : 2 * n]
    di[:, 2 * n :] = by_h * r
    return dx, di, kept.astype(kind, copy=False)
