"""Linear algebra by a host or device library: matrices on the last two axes. Half precision is
computed in float32.

Sources of the derivatives: M. Giles, "Collected matrix derivative results" (2008); I. Murray,
    "Differentiation of the Cholesky decomposition" (2016); H. Liao et al., "Differentiable
    programming tensor networks", PRX 9 (2019), for QR.
"""

from distkeras.engine import batch
from distkeras.engine.primitive import primitive
from distkeras.engine.primitives.creation import eye
from distkeras.engine.primitives.elementwise import (
    add,
    divide_into,
    multiply,
    negative,
    one_like,
    scale,
    subtract,
)
from distkeras.engine.primitives.linalg import matmul, swap
from distkeras.engine.primitives.reduce import cumsum, sum_to
from distkeras.engine.primitives.shape import reshape
from distkeras.engine.shapes import broadcast
from distkeras.errors import GradientError, ShapeError

__all__ = ["cholesky", "det", "eigh", "inv", "qr", "solve", "svd"]


def _matrix(x, square=True):
    """The two sizes of matrices, checked."""
    if len(x.shape) < 2 or (square and x.shape[-1] != x.shape[-2]):
        raise ShapeError(
            f"Expected {'square ' if square else ''}matrices on the last two axes, "
            f"got shape {x.shape}."
        )
    return x.shape[-2:]


def _stacked(axes, shapes, params, out_shape):
    """Matrices are independent of each other; rows of one are not."""
    return (
        axes[0]
        if all(a == axes[0] and a < len(s) - 2 for a, s in zip(axes, shapes, strict=True))
        else batch.MIXED
    )


def _wide(x):
    return x.astype("float32") if x.dtype.itemsize == 2 else x


def _square_shape(x):
    _matrix(x)
    return x.shape, x._np_dtype


def _inv_vjp(e, g):
    y = swap(e.y[0])
    return negative(matmul(y, matmul(g, y)))


@primitive("inv", shape=_square_shape, batch=_stacked, saves="y", vjp=_inv_vjp)
def inv(xp, x):
    return xp.linalg.inv(_wide(x)).astype(x.dtype, copy=False)


def _det_shape(x):
    _matrix(x)
    return x.shape[:-2], x._np_dtype


def _det_vjp(e, g):
    weight = multiply(g, e.y[0])
    return multiply(reshape(weight, shape=(*weight.shape, 1, 1)), swap(inv(e.x[0])))


@primitive("det", shape=_det_shape, batch=_stacked, saves="x y", vjp=_det_vjp)
def det(xp, x):
    return xp.asarray(xp.linalg.det(_wide(x))).astype(x.dtype, copy=False)


def _solve_shape(a, b):
    n, _ = _matrix(a)
    if len(b.shape) < 2 or b.shape[-2] != n:
        raise ShapeError(f"Expected right-hand sides of shape (..., {n}, k), got {b.shape}.")
    return (*broadcast(a.shape[:-2], b.shape[:-2]), *b.shape[-2:]), a._np_dtype


def _solve_vjp(e, g):
    for_b = solve(swap(e.x[0]), g)
    for_a = negative(matmul(for_b, swap(e.y[0]))) if e.needs[0] else None
    return (
        None if for_a is None else sum_to(for_a, e.shapes[0]),
        sum_to(for_b, e.shapes[1]) if e.needs[1] else None,
    )


@primitive("solve", shape=_solve_shape, batch=_stacked, saves="x0 y", vjp=_solve_vjp)
def solve(xp, a, b):
    """The solution x of a x = b, for right-hand sides `(..., n, k)`."""
    return xp.linalg.solve(_wide(a), _wide(b)).astype(a.dtype, copy=False)


def _lower(n, dtype, diagonal):
    """Ones on and below the diagonal, `diagonal` on it."""
    one = eye(rows=n, columns=n, k=0, dtype=dtype)
    return subtract(cumsum(one, axis=0), scale(one, a=1 - diagonal))


def _cholesky_vjp(e, g):
    y = e.y[0]
    half = multiply(matmul(swap(y), g), _lower(y.shape[-1], y.dtype, 0.5))
    s = solve(swap(y), swap(solve(swap(y), swap(half))))
    return scale(add(s, swap(s)), a=0.5)


@primitive("cholesky", shape=_square_shape, batch=_stacked, saves="y", vjp=_cholesky_vjp)
def cholesky(xp, x):
    """The lower triangular factor L of x = L L^T."""
    return xp.linalg.cholesky(_wide(x)).astype(x.dtype, copy=False)


def _eigh_shape(x):
    _matrix(x)
    return [(x.shape[:-1], x._np_dtype), (x.shape, x._np_dtype)]


def _eigh_vjp(e, gw, gv):
    w, v = e.y
    n = v.shape[-1]
    one = eye(rows=n, columns=n, k=0, dtype=v.dtype)
    row, column = reshape(w, shape=(*w.shape[:-1], 1, n)), reshape(w, shape=(*w.shape, 1))
    gaps = divide_into(add(subtract(row, column), one), a=1.0)
    mixed = multiply(multiply(gaps, subtract(one_like(one), one)), matmul(swap(v), gv))
    inner = add(multiply(one, reshape(gw, shape=(*w.shape[:-1], 1, n))), mixed)
    full = matmul(v, matmul(inner, swap(v)))
    return scale(add(full, swap(full)), a=0.5)


@primitive("eigh", shape=_eigh_shape, batch=_stacked, outputs=2, saves="y", vjp=_eigh_vjp)
def eigh(xp, x):
    """Eigenvalues, ascending, and eigenvectors (columns); the lower half of `x` is read."""
    w, v = xp.linalg.eigh(_wide(x))
    return w.astype(x.dtype, copy=False), v.astype(x.dtype, copy=False)


def _qr_shape(x, *, mode="reduced"):
    m, n = _matrix(x, square=False)
    k = min(m, n) if mode == "reduced" else m
    return [((*x.shape[:-2], m, k), x._np_dtype), ((*x.shape[:-2], k, n), x._np_dtype)]


def _qr_vjp(e, gq, gr):
    m, n = e.shapes[0][-2:]
    if m < n or e.params.get("mode", "reduced") != "reduced":
        raise GradientError(
            f"The gradient of `qr` is defined for the reduced form of tall matrices; got {m} x {n}."
        )
    q, r = e.y
    inner = subtract(matmul(r, swap(gr)), matmul(swap(gq), q))
    below = _lower(n, q.dtype, 0.0)
    symmetric = add(multiply(inner, _lower(n, q.dtype, 1.0)), swap(multiply(inner, below)))
    return swap(solve(r, swap(add(gq, matmul(q, symmetric)))))


@primitive("qr", shape=_qr_shape, batch=_stacked, outputs=2, saves="y", vjp=_qr_vjp)
def qr(xp, x, *, mode="reduced"):
    q, r = xp.linalg.qr(_wide(x), mode=mode)
    return q.astype(x.dtype, copy=False), r.astype(x.dtype, copy=False)


def _svd_shape(x, *, full_matrices=False):
    m, n = _matrix(x, square=False)
    k, stack = min(m, n), x.shape[:-2]
    a, b = (m, n) if full_matrices else (k, k)
    return [
        ((*stack, m, a), x._np_dtype),
        ((*stack, k), x._np_dtype),
        ((*stack, b, n), x._np_dtype),
    ]


def _svd_vjp(e, *gs):
    raise GradientError(
        "`svd` has no gradient here; use `eigh` of the matrix times its transpose, or "
        "`stop_gradient`."
    )


@primitive("svd", shape=_svd_shape, batch=_stacked, outputs=3, vjp=_svd_vjp)
def svd(xp, x, *, full_matrices=False):
    return tuple(
        part.astype(x.dtype, copy=False)
        for part in xp.linalg.svd(_wide(x), full_matrices=full_matrices)
    )
