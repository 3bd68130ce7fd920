"""Elementwise operations on one value."""

from collections.abc import Callable
from typing import Any

from distkeras.engine import primitives as P
from distkeras.engine.primitive import Primitive
from distkeras.ops.core import as_tensor, cast
from distkeras.ops.promotion import floats as as_floats
from distkeras.ops.symbolic import op

__all__ = [
    "abs",
    "absolute",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctanh",
    "bitwise_invert",
    "bitwise_not",
    "ceil",
    "cos",
    "cosh",
    "erf",
    "erfinv",
    "exp",
    "expm1",
    "floor",
    "isfinite",
    "isinf",
    "isnan",
    "log",
    "log1p",
    "log2",
    "log10",
    "logical_not",
    "negative",
    "reciprocal",
    "rsqrt",
    "sign",
    "sin",
    "sinh",
    "sqrt",
    "square",
    "tan",
    "tanh",
    "trunc",
]

_DOC = """{what}

    Args:
        x: a tensor.

    Example:
        >>> {name}({value}).tolist()
        {result}
    """


def _unary(
    prim: Primitive, name: str, what: str, value: str, result: str, *, floats: bool = True
) -> Callable[..., Any]:
    """A unary operation; `floats` says whether integers become floats."""

    def function(x):
        return prim(as_floats(x) if floats else as_tensor(x))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = _DOC.format(what=what, name=name, value=value, result=result)
    return op(function)


negative = _unary(P.negative, "negative", "-x.", "[1.0]", "[-1.0]", floats=False)
absolute = _unary(P.abs_, "absolute", "|x|.", "[-1.0]", "[1.0]", floats=False)
abs = _unary(P.abs_, "abs", "|x|.", "[-1.0]", "[1.0]", floats=False)
reciprocal = _unary(P.reciprocal, "reciprocal", "1 / x.", "[4.0]", "[0.25]")
sqrt = _unary(P.sqrt, "sqrt", "The square root.", "[4.0]", "[2.0]")
rsqrt = _unary(P.rsqrt, "rsqrt", "1 / sqrt(x).", "[4.0]", "[0.5]")
exp = _unary(P.exp, "exp", "e ** x.", "[0.0]", "[1.0]")
expm1 = _unary(
    P.expm1, "expm1", "e ** x - 1, accurate near 0.", "[1e-10]", "[1.000000013351432e-10]"
)
log = _unary(P.log, "log", "The natural logarithm.", "[1.0]", "[0.0]")
log1p = _unary(
    P.log1p, "log1p", "log(1 + x), accurate near 0.", "[1e-10]", "[1.000000013351432e-10]"
)
log2 = _unary(P.log2, "log2", "The logarithm to base 2.", "[8.0]", "[3.0]")
log10 = _unary(P.log10, "log10", "The logarithm to base 10.", "[10.0]", "[1.0]")
sin = _unary(P.sin, "sin", "The sine of an angle in radians.", "[0.0]", "[0.0]")
cos = _unary(P.cos, "cos", "The cosine of an angle in radians.", "[0.0]", "[1.0]")
tan = _unary(P.tan, "tan", "The tangent of an angle in radians.", "[0.0]", "[0.0]")
sinh = _unary(P.sinh, "sinh", "The hyperbolic sine.", "[0.0]", "[0.0]")
cosh = _unary(P.cosh, "cosh", "The hyperbolic cosine.", "[0.0]", "[1.0]")
tanh = _unary(P.tanh, "tanh", "The hyperbolic tangent.", "[0.0]", "[0.0]")
arcsin = _unary(P.arcsin, "arcsin", "The inverse sine, in radians.", "[0.0]", "[0.0]")
arccos = _unary(P.arccos, "arccos", "The inverse cosine, in radians.", "[1.0]", "[0.0]")
arctan = _unary(P.arctan, "arctan", "The inverse tangent, in radians.", "[0.0]", "[0.0]")
arcsinh = _unary(P.arcsinh, "arcsinh", "The inverse hyperbolic sine.", "[0.0]", "[0.0]")
arccosh = _unary(P.arccosh, "arccosh", "The inverse hyperbolic cosine.", "[1.0]", "[0.0]")
arctanh = _unary(P.arctanh, "arctanh", "The inverse hyperbolic tangent.", "[0.0]", "[0.0]")
erf = _unary(P.erf, "erf", "The error function.", "[0.0]", "[0.0]")
erfinv = _unary(P.erfinv, "erfinv", "The inverse error function.", "[0.0]", "[0.0]")
floor = _unary(P.floor, "floor", "Rounded down.", "[-1.5]", "[-2.0]")
ceil = _unary(P.ceil, "ceil", "Rounded up.", "[-1.5]", "[-1.0]")
trunc = _unary(P.trunc, "trunc", "Rounded towards 0.", "[-1.5]", "[-1.0]", floats=False)
isnan = _unary(
    P.isnan, "isnan", "Whether x is not a number.", "[float('nan'), 1.0]", "[True, False]"
)
isinf = _unary(P.isinf, "isinf", "Whether x is infinite.", "[float('inf'), 1.0]", "[True, False]")
isfinite = _unary(
    P.isfinite,
    "isfinite",
    "Whether x is neither infinite nor not a number.",
    "[float('inf'), 1.0]",
    "[False, True]",
)
bitwise_not = _unary(
    P.bitwise_not,
    "bitwise_not",
    "The bits of an integer that are not set.",
    "[0, 1]",
    "[-1, -2]",
    floats=False,
)
bitwise_invert = _unary(
    P.bitwise_not,
    "bitwise_invert",
    "The bits of an integer that are not set.",
    "[0, 1]",
    "[-1, -2]",
    floats=False,
)


@op
def square(x):
    """x * x; truth values count as integers.

    Args:
        x: a tensor.

    Example:
        >>> square([2.0, 3.0]).tolist()
        [4.0, 9.0]
    """
    x = as_tensor(x)
    return P.square(cast(x, "int32") if x.dtype == "bool" else x)


@op
def sign(x):
    """-1, 0 or 1; truth values stay as they are.

    Args:
        x: a tensor.

    Example:
        >>> sign([-2.0, 3.0]).tolist()
        [-1.0, 1.0]
    """
    x = as_tensor(x)
    return x if x.dtype == "bool" else P.sign(x)


@op
def logical_not(x):
    """Whether x is false; other values are false where they are 0.

    Args:
        x: a tensor.

    Example:
        >>> logical_not([True, False]).tolist()
        [False, True]
    """
    return P.logical_not(cast(as_tensor(x), "bool"))
