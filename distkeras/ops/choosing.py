"""Elementwise choices: limits, conditions, closeness, rounding."""

import numpy as np

from distkeras import config
from distkeras.engine import dtypes
from distkeras.engine import primitives as P
from distkeras.ops.binary import maximum, minimum
from distkeras.ops.core import as_tensor, cast
from distkeras.ops.picking import nonzero
from distkeras.ops.promotion import floats, promote
from distkeras.ops.symbolic import op

__all__ = ["clip", "isclose", "nan_to_num", "round", "where"]


@op
def round(x, decimals=0):
    """Rounded to a number of decimals, halves to even.

    Example:
        >>> round([1.26], 1).tolist() == [1.2999999523162842]
        True
    """
    x = as_tensor(x)
    if not dtypes.is_float(x.dtype):
        return x
    if decimals == 0:
        return P.round_(x)
    factor = 10.0**decimals
    return P.divide_by(P.round_(P.scale(x, a=factor)), a=factor)


@op
def clip(x, x_min, x_max):
    """Limited to the range from `x_min` to `x_max`.

    Example:
        >>> clip([-1.0, 0.5, 2.0], 0.0, 1.0).tolist()
        [0.0, 0.5, 1.0]
    """
    x = as_tensor(x)
    if x.dtype == "bool":
        x = cast(x, "int32")
    if type(x_min) in (int, float) and type(x_max) in (int, float):
        if dtypes.is_float(x.dtype) or (type(x_min) is int and type(x_max) is int):
            return P.clip(x, low=x_min, high=x_max)
        return P.clip(cast(x, config.floatx()), low=x_min, high=x_max)
    return minimum(maximum(x, x_min), x_max)


@op
def where(condition, x1=None, x2=None):
    """x1 where the condition holds, else x2; with the condition alone, the indices where it holds.

    Example:
        >>> where([True, False], 1, 2).tolist()
        [1, 2]
    """
    if x1 is None and x2 is None:
        return nonzero(condition)
    return P.where(cast(as_tensor(condition), "bool"), *promote(x1, x2))


@op
def isclose(x1, x2, rtol=1e-5, atol=1e-8, equal_nan=False):
    """Whether |x1 - x2| <= atol + rtol |x2|.

    Example:
        >>> isclose([1.0], [1.0 + 1e-7]).tolist()
        [True]
    """
    x1, x2 = promote(floats(x1), floats(x2))
    close = P.less_equal(P.abs_(P.subtract(x1, x2)), P.shift(P.scale(P.abs_(x2), a=rtol), a=atol))
    close = P.logical_or(close, P.equal(x1, x2))
    if equal_nan:
        close = P.logical_or(close, P.logical_and(P.isnan(x1), P.isnan(x2)))
    return close


@op
def nan_to_num(x, nan=0.0, posinf=None, neginf=None):
    """x with NaN and infinities replaced by numbers.

    Example:
        >>> nan_to_num([float("nan"), 1.0]).tolist()
        [0.0, 1.0]
    """
    x = as_tensor(x)
    if not dtypes.is_float(x.dtype):
        return x
    limits = np.finfo("float32" if x.dtype == "bfloat16" else x.dtype)
    high = float(limits.max) if posinf is None else posinf
    low = float(limits.min) if neginf is None else neginf
    infinite = P.isinf(x)
    positive = P.logical_and(infinite, P.greater(x, P.full_like(x, value=0)))
    x = P.where(
        positive, P.full_like(x, value=high), P.where(infinite, P.full_like(x, value=low), x)
    )
    return P.where(P.isnan(x), P.full_like(x, value=nan), x)
