"""Special functions that array modules lack, written with what every array module has.

Each takes the array module first. On CUDA, CuPy's own special functions are used.
"""

import math

import numpy as np

__all__ = ["FUNCTIONS", "erf", "erfinv", "sigmoid", "softplus"]


def _cuda(xp, name):
    if xp.__name__ != "cupy":
        return None
    import cupyx.scipy.special

    return getattr(cupyx.scipy.special, name)


def _poly(xp, x, coefficients):
    """Horner's scheme, highest power first."""
    result = xp.full_like(x, coefficients[0])
    for c in coefficients[1:]:
        result *= x
        result += c
    return result


# W. J. Cody, "Rational Chebyshev approximations for the error function", Math. Comp. 23 (1969),
# 631-637.
_ERF_P = (
    1.85777706184603153e-1,
    3.16112374387056560,
    1.13864154151050156e2,
    3.77485237685302021e2,
    3.20937758913846947e3,
)
_ERF_Q = (
    1.0,
    2.36012909523441209e1,
    2.44024637934444173e2,
    1.28261652607737228e3,
    2.84423683343917062e3,
)
_ERFC_P = (
    2.15311535474403846e-8,
    5.64188496988670089e-1,
    8.88314979438837594,
    6.61191906371416295e1,
    2.98635138197400131e2,
    8.81952221241769090e2,
    1.71204761263407058e3,
    2.05107837782607147e3,
    1.23033935479799725e3,
)
_ERFC_Q = (
    1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
    3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3,
)  # fmt: skip
_FAR_P = (
    1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1,
    1.60837851487422766e-2, 6.58749161529837803e-4,
)  # fmt: skip
_FAR_Q = (
    1.0,
    2.56852019228982242,
    1.87295284992346725,
    5.27905102951428412e-1,
    6.05183413124413191e-2,
    2.33520497626869185e-3,
)


def erf(xp, x):
    """The error function, to the precision of the dtype.

    Source: W. J. Cody, Math. Comp. 23 (1969).

    Example:
        >>> import numpy as np
        >>> round(float(erf(np, np.array(0.5))), 12)
        0.520499877813
    """
    native = _cuda(xp, "erf")
    if native is not None:
        return native(x)
    x = xp.asarray(x)
    work = x.astype("float64") if x.dtype != "float64" else x
    a = xp.abs(work)
    out = xp.empty_like(work)
    near = a <= 0.46875
    z = work[near] ** 2
    out[near] = work[near] * _poly(xp, z, _ERF_P) / _poly(xp, z, _ERF_Q)
    mid = ~near & (a <= 4)
    y = a[mid]
    out[mid] = xp.copysign(
        1 - xp.exp(-y * y) * _poly(xp, y, _ERFC_P) / _poly(xp, y, _ERFC_Q), work[mid]
    )
    far = a > 4
    y = xp.minimum(a[far], 6.0)  # erf(6) is 1 in float64
    z = 1 / (y * y)
    tail = (1 / math.sqrt(math.pi) - z * _poly(xp, z, _FAR_P) / _poly(xp, z, _FAR_Q)) / y
    out[far] = xp.copysign(1 - xp.exp(-y * y) * tail, work[far])
    out[xp.isnan(work)] = xp.nan
    return out.astype(x.dtype, copy=False)


def erfinv(xp, x):
    """The inverse error function.

    A starting value by M. Giles, "Approximating the erfinv function" (GPU Computing Gems, 2011),
    and two steps of Halley's method on `erf`.

    Example:
        >>> import numpy as np
        >>> round(float(erfinv(np, np.array(0.5))), 10)
        0.4769362762
    """
    native = _cuda(xp, "erfinv")
    if native is not None:
        return native(x)
    x = xp.asarray(x)
    work = x.astype("float64")
    with np.errstate(all="ignore"):
        w = -xp.log((1 - work) * (1 + work))
        near = w < 5
        u, v = w - 2.5, xp.sqrt(xp.maximum(w, 5)) - 3
        p = _poly(
            xp,
            u,
            (
                2.81022636e-08,
                3.43273939e-07,
                -3.5233877e-06,
                -4.39150654e-06,
                0.00021858087,
                -0.00125372503,
                -0.00417768164,
                0.246640727,
                1.50140941,
            ),
        )
        q = _poly(
            xp,
            v,
            (
                -0.000200214257,
                0.000100950558,
                0.00134934322,
                -0.00367342844,
                0.00573950773,
                -0.0076224613,
                0.00943887047,
                1.00167406,
                2.83297682,
            ),
        )
        y = xp.where(near, p, q) * work
        for _ in range(2):
            error = (erf(xp, y) - work) / (2 / math.sqrt(math.pi) * xp.exp(-y * y))
            step = error / (1 + y * error)
            y = xp.where(xp.isfinite(step), y - step, y)
        y = xp.where(xp.abs(work) == 1, xp.copysign(xp.inf, work), y)
        y = xp.where(xp.abs(work) > 1, xp.nan, y)
    return y.astype(x.dtype)


def sigmoid(xp, x):
    """The logistic function, accurate for arguments of either sign.

    Example:
        >>> import numpy as np
        >>> float(sigmoid(np, np.array(0.0)))
        0.5
    """
    z = xp.exp(-xp.abs(x))
    return xp.where(x >= 0, 1, z) / (1 + z)


def softplus(xp, x):
    """log(1 + exp(x)) without overflow.

    Example:
        >>> import numpy as np
        >>> round(float(softplus(np, np.array(0.0))), 6)
        0.693147
    """
    return xp.log1p(xp.exp(-xp.abs(x))) + xp.maximum(x, 0)


FUNCTIONS = {"erf": erf, "erfinv": erfinv, "sigmoid": sigmoid, "softplus": softplus}
