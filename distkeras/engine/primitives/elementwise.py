"""Elementwise primitives: one scalar expression each.

The products with the Jacobian are written in the same primitives. `g` is the cotangent, `e.x` the
inputs, `e.y` the outputs.
"""

import math

from distkeras.engine import batch
from distkeras.engine.dtypes import numpy_dtype
from distkeras.engine.primitive import elementwise, primitive
from distkeras.engine.primitives.creation import full_like
from distkeras.engine.primitives.reduce import sum_to

# --- products, sums and powers --------------------------------------------------------------------


def zero_like(x):
    """Zeros of the shape and dtype of `x`."""
    return full_like(x, value=0)


def one_like(x):
    """Ones of the shape and dtype of `x`."""
    return full_like(x, value=1)


def _each(e, *makers):
    """Cotangents of broadcast inputs, made only where wanted and summed over the broadcast axes."""
    return tuple(
        sum_to(make(), shape) if need else None
        for make, shape, need in zip(makers, e.shapes, e.needs, strict=True)
    )


negative = elementwise("negative", "-x", vjp=lambda e, g: negative(g))
add = elementwise("add", "x + y", vjp=lambda e, g: _each(e, lambda: g, lambda: g))
subtract = elementwise(
    "subtract", "x - y", vjp=lambda e, g: _each(e, lambda: g, lambda: negative(g))
)
multiply = elementwise(
    "multiply",
    "x * y",
    saves="x",
    vjp=lambda e, g: _each(e, lambda: multiply(g, e.x[1]), lambda: multiply(g, e.x[0])),
)
divide = elementwise(
    "divide", "x / y", saves="x1 y",
    vjp=lambda e, g: _each(
        e, lambda: divide(g, e.x[1]), lambda: negative(divide(multiply(g, e.y[0]), e.x[1]))
    ),
)  # fmt: skip
divide_no_nan = elementwise(
    "divide_no_nan", "where(y == 0, 0, x / where(y == 0, 1, y))", saves="x1 y",
    vjp=lambda e, g: _each(
        e,
        lambda: divide_no_nan(g, e.x[1]),
        lambda: negative(divide_no_nan(multiply(g, e.y[0]), e.x[1])),
    ),
)  # fmt: skip
# One operand is a Python number.
scale = elementwise("scale", "x * a", vjp=lambda e, g: scale(g, a=e.params["a"]))
shift = elementwise("shift", "x + a", vjp=lambda e, g: g)
divide_by = elementwise("divide_by", "x / a", vjp=lambda e, g: divide_by(g, a=e.params["a"]))
divide_into = elementwise(
    "divide_into",
    "a / x",
    saves="x0 y",
    vjp=lambda e, g: negative(divide(multiply(g, e.y[0]), e.x[0])),
)


def _power_vjp(e, g):
    x, y = e.x
    return _each(
        e,
        # x ** (y - 1) is infinite at x = 0, y = 0, where the derivative is 0.
        lambda: multiply(
            g, multiply(y, power(x, where(equal(y, zero_like(y)), one_like(y), shift(y, a=-1))))
        ),
        lambda: multiply(g, multiply(e.y[0], log(where(greater(x, zero_like(x)), x, one_like(x))))),
    )


power = elementwise("power", "power(x, y)", saves="x y", vjp=_power_vjp)


def _power_scalar_vjp(e, g):
    a = e.params["a"]
    if a == 0:
        return zero_like(g)
    return scale(multiply(g, power_scalar(e.x[0], a=a - 1)), a=a)


power_scalar = elementwise("power_scalar", "x ** a", saves="x0", vjp=_power_scalar_vjp)
square = elementwise(
    "square", "x * x", saves="x0", vjp=lambda e, g: multiply(g, scale(e.x[0], a=2))
)
sqrt = elementwise("sqrt", "sqrt(x)", saves="y", vjp=lambda e, g: divide(scale(g, a=0.5), e.y[0]))
rsqrt = elementwise(
    "rsqrt",
    "1 / sqrt(x)",
    saves="x0 y",
    vjp=lambda e, g: scale(divide(multiply(g, e.y[0]), e.x[0]), a=-0.5),
)
reciprocal = elementwise(
    "reciprocal",
    "1 / x",
    saves="y",
    vjp=lambda e, g: negative(multiply(g, multiply(e.y[0], e.y[0]))),
)

# --- exponentials, logarithms, trigonometry -------------------------------------------------------

exp = elementwise("exp", "exp(x)", saves="y", vjp=lambda e, g: multiply(g, e.y[0]))
expm1 = elementwise(
    "expm1", "expm1(x)", saves="y", vjp=lambda e, g: multiply(g, shift(e.y[0], a=1))
)
log = elementwise("log", "log(x)", saves="x0", vjp=lambda e, g: divide(g, e.x[0]))
log1p = elementwise("log1p", "log1p(x)", saves="x0", vjp=lambda e, g: divide(g, shift(e.x[0], a=1)))
log2 = elementwise(
    "log2", "log2(x)", saves="x0", vjp=lambda e, g: divide(g, scale(e.x[0], a=math.log(2)))
)
log10 = elementwise(
    "log10", "log10(x)", saves="x0", vjp=lambda e, g: divide(g, scale(e.x[0], a=math.log(10)))
)
sin = elementwise("sin", "sin(x)", saves="x0", vjp=lambda e, g: multiply(g, cos(e.x[0])))
cos = elementwise("cos", "cos(x)", saves="x0", vjp=lambda e, g: negative(multiply(g, sin(e.x[0]))))
tan = elementwise(
    "tan", "tan(x)", saves="y", vjp=lambda e, g: multiply(g, shift(square(e.y[0]), a=1))
)
sinh = elementwise("sinh", "sinh(x)", saves="x0", vjp=lambda e, g: multiply(g, cosh(e.x[0])))
cosh = elementwise("cosh", "cosh(x)", saves="x0", vjp=lambda e, g: multiply(g, sinh(e.x[0])))
tanh = elementwise("tanh", "tanh(x)", saves="y", vjp=lambda e, g: tanh_grad(g, e.y[0]))
arcsin = elementwise(
    "arcsin",
    "arcsin(x)",
    saves="x0",
    vjp=lambda e, g: multiply(g, rsqrt(_one_minus(square(e.x[0])))),
)
arccos = elementwise(
    "arccos",
    "arccos(x)",
    saves="x0",
    vjp=lambda e, g: negative(multiply(g, rsqrt(_one_minus(square(e.x[0]))))),
)
arctan = elementwise(
    "arctan", "arctan(x)", saves="x0", vjp=lambda e, g: divide(g, shift(square(e.x[0]), a=1))
)
arcsinh = elementwise(
    "arcsinh",
    "arcsinh(x)",
    saves="x0",
    vjp=lambda e, g: multiply(g, rsqrt(shift(square(e.x[0]), a=1))),
)
arccosh = elementwise(
    "arccosh",
    "arccosh(x)",
    saves="x0",
    vjp=lambda e, g: multiply(g, rsqrt(shift(square(e.x[0]), a=-1))),
)
arctanh = elementwise(
    "arctanh", "arctanh(x)", saves="x0", vjp=lambda e, g: divide(g, _one_minus(square(e.x[0])))
)
arctan2 = elementwise(
    "arctan2", "arctan2(x, y)", saves="x",
    vjp=lambda e, g: _each(
        e,
        lambda: divide(multiply(g, e.x[1]), add(square(e.x[0]), square(e.x[1]))),
        lambda: negative(divide(multiply(g, e.x[0]), add(square(e.x[0]), square(e.x[1])))),
    ),
)  # fmt: skip
erf = elementwise(
    "erf", "erf(x)", saves="x0",
    vjp=lambda e, g: multiply(g, scale(exp(negative(square(e.x[0]))), a=2 / math.sqrt(math.pi))),
)  # fmt: skip
erfinv = elementwise(
    "erfinv", "erfinv(x)", saves="y",
    vjp=lambda e, g: multiply(g, scale(exp(square(e.y[0])), a=math.sqrt(math.pi) / 2)),
)  # fmt: skip
logaddexp = elementwise(
    "logaddexp", "logaddexp(x, y)", saves="x",
    vjp=lambda e, g: _each(
        e,
        lambda: multiply(g, sigmoid(subtract(e.x[0], e.x[1]))),
        lambda: multiply(g, sigmoid(subtract(e.x[1], e.x[0]))),
    ),
)  # fmt: skip


def _one_minus(x):
    return shift(negative(x), a=1)


# --- activations whose derivative follows from their value ----------------------------------------

# y's own derivative in one expression each; differentiable again through their two inputs.
tanh_grad = elementwise(
    "tanh_grad", "x * (1 - y * y)", saves="x",
    vjp=lambda e, g: _each(
        e, lambda: tanh_grad(g, e.x[1]), lambda: scale(multiply(g, multiply(e.x[0], e.x[1])), a=-2)
    ),
)  # fmt: skip
sigmoid_grad = elementwise(
    "sigmoid_grad",
    "x * y * (1 - y)",
    saves="x",
    vjp=lambda e, g: _each(
        e,
        lambda: sigmoid_grad(g, e.x[1]),
        lambda: multiply(g, multiply(e.x[0], _one_minus(scale(e.x[1], a=2)))),
    ),
)
sigmoid = elementwise("sigmoid", "sigmoid(x)", saves="y", vjp=lambda e, g: sigmoid_grad(g, e.y[0]))
softplus = elementwise(
    "softplus", "softplus(x)", saves="x0", vjp=lambda e, g: multiply(g, sigmoid(e.x[0]))
)
relu = elementwise("relu", "maximum(x, 0)", saves="y", vjp=lambda e, g: relu_grad(g, e.y[0]))
relu_grad = elementwise(
    "relu_grad", "x * (y > 0)", saves="x1", vjp=lambda e, g: (relu_grad(g, e.x[1]), None)
)

# --- choices, comparisons, rounding ---------------------------------------------------------------

abs_ = elementwise("abs", "abs(x)", saves="x0", vjp=lambda e, g: multiply(g, sign(e.x[0])))
sign = elementwise("sign", "sign(x)", vjp=lambda e, g: zero_like(g))
where = elementwise(
    "where",
    "where(x, y, z)",
    saves="x0",
    vjp=lambda e, g: _each(
        e,
        lambda: e.x[0],
        lambda: where(e.x[0], g, zero_like(g)),
        lambda: where(e.x[0], zero_like(g), g),
    ),
)


def _extremum_vjp(beats):
    """The winner takes the cotangent; a tie shares it."""

    def vjp(e, g):
        x, y = e.x
        return _each(
            e, lambda: multiply(g, _share(beats, x, y)), lambda: multiply(g, _share(beats, y, x))
        )

    return vjp


def _share(beats, a, b):
    half = scale(cast(equal(a, b), dtype=a.dtype), a=0.5)
    return add(cast(beats(a, b), dtype=a.dtype), half)


maximum = elementwise(
    "maximum", "maximum(x, y)", saves="x", vjp=_extremum_vjp(lambda a, b: greater(a, b))
)
minimum = elementwise(
    "minimum", "minimum(x, y)", saves="x", vjp=_extremum_vjp(lambda a, b: less(a, b))
)


def _inside(x, low, high):
    inside = logical_and(
        greater_equal(x, full_like(x, value=low)), less_equal(x, full_like(x, value=high))
    )
    return cast(inside, dtype=x.dtype)


clip = elementwise(
    "clip", "minimum(maximum(x, low), high)", names=("x",), saves="x0",
    vjp=lambda e, g: multiply(g, _inside(e.x[0], e.params["low"], e.params["high"])),
)  # fmt: skip
floor = elementwise("floor", "floor(x)", vjp=lambda e, g: zero_like(g))
ceil = elementwise("ceil", "ceil(x)", vjp=lambda e, g: zero_like(g))
round_ = elementwise("round", "rint(x)", vjp=lambda e, g: zero_like(g))
trunc = elementwise("trunc", "trunc(x)", vjp=lambda e, g: zero_like(g))
floor_divide = elementwise("floor_divide", "floor_divide(x, y)")
mod = elementwise(
    "mod",
    "mod(x, y)",
    saves="x",
    vjp=lambda e, g: _each(
        e, lambda: g, lambda: negative(multiply(g, floor_divide(e.x[0], e.x[1])))
    ),
)

equal = elementwise("equal", "x == y", dtype="bool")
not_equal = elementwise("not_equal", "x != y", dtype="bool")
less = elementwise("less", "x < y", dtype="bool")
less_equal = elementwise("less_equal", "x <= y", dtype="bool")
greater = elementwise("greater", "x > y", dtype="bool")
greater_equal = elementwise("greater_equal", "x >= y", dtype="bool")
logical_and = elementwise("logical_and", "logical_and(x, y)", dtype="bool")
logical_or = elementwise("logical_or", "logical_or(x, y)", dtype="bool")
logical_xor = elementwise("logical_xor", "logical_xor(x, y)", dtype="bool")
logical_not = elementwise("logical_not", "logical_not(x)", dtype="bool")
isnan = elementwise("isnan", "isnan(x)", dtype="bool")
isinf = elementwise("isinf", "isinf(x)", dtype="bool")
isfinite = elementwise("isfinite", "isfinite(x)", dtype="bool")
bitwise_and = elementwise("bitwise_and", "bitwise_and(x, y)")
bitwise_or = elementwise("bitwise_or", "bitwise_or(x, y)")
bitwise_xor = elementwise("bitwise_xor", "bitwise_xor(x, y)")
bitwise_not = elementwise("bitwise_not", "invert(x)")
left_shift = elementwise("left_shift", "left_shift(x, y)")
right_shift = elementwise("right_shift", "right_shift(x, y)")


def _cast_vjp(e, g):
    return cast(g, dtype=e.dtypes[0]) if e.dtypes[0].kind not in "biu" else None


@primitive(
    "cast",
    shape=lambda x, *, dtype: (x.shape, numpy_dtype(dtype) if isinstance(dtype, str) else dtype),
    batch=batch.kept,
    vjp=_cast_vjp,
    view=True,
)
def cast(xp, x, *, dtype):
    return x.astype(numpy_dtype(dtype) if isinstance(dtype, str) else dtype, copy=False)
