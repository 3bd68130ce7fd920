"""Elementwise operations on two values."""

from collections.abc import Callable
from typing import Any

from distkeras.engine import dtypes
from distkeras.engine import primitives as P
from distkeras.engine.primitive import Primitive
from distkeras.engine.tensor import Tensor
from distkeras.ops.core import as_tensor, cast
from distkeras.ops.promotion import (
    filled,
    is_number,
    leaves_dtype,
    number_or_tensor,
    promote,
    range_of,
    wrapped,
)
from distkeras.ops.symbolic import op

__all__ = [
    "add",
    "arctan2",
    "bitwise_and",
    "bitwise_left_shift",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "divide",
    "divide_no_nan",
    "equal",
    "floor_divide",
    "greater",
    "greater_equal",
    "left_shift",
    "less",
    "less_equal",
    "logaddexp",
    "logical_and",
    "logical_or",
    "logical_xor",
    "maximum",
    "minimum",
    "mod",
    "multiply",
    "not_equal",
    "power",
    "right_shift",
    "subtract",
    "true_divide",
]

_DOC = """{what}

    Args:
        {names}: tensors that broadcast, or numbers.

    Example:
        >>> {example}
        {result}
    """


def _binary(
    prim: Primitive,
    name: str,
    what: str,
    example: str,
    result: str,
    *,
    floats: bool = False,
    exact: bool = False,
    with_number: Callable | None = None,
    number_first: Callable | None = None,
) -> Callable[..., Any]:
    """A binary operation.

    Args:
        prim: its primitive.
        name: its public name.
        what, example, result: what its docstring says and shows.
        floats: whether integers become floats.
        exact: whether a Python integer that the other's dtype cannot hold widens it.
        with_number: `(x, a)`, its form for a tensor and a Python number that leaves the dtype.
        number_first: `(a, x)`, the same with the number first.
    """

    def function(x1, x2):
        if type(x1) is Tensor and type(x2) is Tensor and x1.array.dtype == x2.array.dtype:
            if not floats or x1.array.dtype.kind not in "biu":
                return prim(x1, x2)
        elif with_number is not None and type(x2) in (int, float):
            if type(x1) is Tensor and type(x2) is float and x1.array.dtype.kind == "f":
                return with_number(x1, x2)
            x1 = as_tensor(x1)
            if leaves_dtype(x2, x1) and not (floats and dtypes.is_integer(x1.dtype)):
                return with_number(x1, x2)
        elif number_first is not None and type(x1) in (int, float):
            x2 = as_tensor(x2)
            if leaves_dtype(x1, x2) and not (floats and dtypes.is_integer(x2.dtype)):
                return number_first(x1, x2)
        if floats:
            return prim(*_as_floats(x1, x2))
        if exact:
            x1, x2 = _roomy(x1, x2), _roomy(x2, x1)
        return prim(*promote(x1, x2))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = _DOC.format(what=what, example=example, result=result, names="x1, x2")
    return op(function)


def _as_floats(x1, x2):
    """Both in their common float dtype: an integer beside bfloat16 becomes bfloat16."""
    x1, x2 = number_or_tensor(x1), number_or_tensor(x2)
    kinds = [type(x) if is_number(x) else x.dtype for x in (x1, x2)]
    dtype = dtypes.result_type(*kinds, float)
    return filled(x1, dtype), filled(x2, dtype)


def _roomy(number, x):
    """A Python integer as a tensor of its own dtype where that of `x` cannot hold it."""
    dtype = getattr(x, "dtype", None)
    if type(number) is not int or dtype is None or not dtypes.is_integer(str(dtype)):
        return number
    low, high = range_of(str(dtype))
    return number if low <= number <= high else as_tensor(number)


def _shift(x, a):
    return P.shift(x, a=wrapped(a, x.dtype))


def _scale(x, a):
    return P.scale(x, a=wrapped(a, x.dtype))


add = _binary(
    P.add,
    "add",
    "x1 + x2.",
    "add([1, 2], 1).tolist()",
    "[2, 3]",
    with_number=_shift,
    number_first=lambda a, x: _shift(x, a),
)

subtract = _binary(
    P.subtract,
    "subtract",
    "x1 - x2.",
    "subtract(3, [1, 2]).tolist()",
    "[2, 1]",
    with_number=lambda x, a: _shift(x, -a),
    number_first=lambda a, x: _shift(P.negative(x), a),
)

multiply = _binary(
    P.multiply,
    "multiply",
    "x1 * x2.",
    "multiply([1, 2], 2).tolist()",
    "[2, 4]",
    with_number=_scale,
    number_first=lambda a, x: _scale(x, a),
)

divide = _binary(
    P.divide,
    "divide",
    "x1 / x2, a float.",
    "divide([1, 3], 2).tolist()",
    "[0.5, 1.5]",
    floats=True,
    with_number=lambda x, a: P.divide_by(x, a=a),
    number_first=lambda a, x: P.divide_into(x, a=a),
)

true_divide = _binary(
    P.divide,
    "true_divide",
    "x1 / x2, a float.",
    "true_divide([1, 3], 2).tolist()",
    "[0.5, 1.5]",
    floats=True,
    with_number=lambda x, a: P.divide_by(x, a=a),
    number_first=lambda a, x: P.divide_into(x, a=a),
)

divide_no_nan = _binary(
    P.divide_no_nan,
    "divide_no_nan",
    "x1 / x2, a float, and 0 where x2 is 0.",
    "divide_no_nan([1.0, 3.0], [0.0, 2.0]).tolist()",
    "[0.0, 1.5]",
    floats=True,
)

floor_divide = _binary(
    P.floor_divide,
    "floor_divide",
    "The quotient, rounded down.",
    "floor_divide([5, -5], 3).tolist()",
    "[1, -2]",
)

mod = _binary(
    P.mod,
    "mod",
    "The remainder of the division, with the sign of the divisor.",
    "mod([5, -5], 3).tolist()",
    "[2, 1]",
)

maximum = _binary(
    P.maximum,
    "maximum",
    "The larger of x1 and x2.",
    "maximum([1, 5], 3).tolist()",
    "[3, 5]",
)

minimum = _binary(
    P.minimum,
    "minimum",
    "The smaller of x1 and x2.",
    "minimum([1, 5], 3).tolist()",
    "[1, 3]",
)

arctan2 = _binary(
    P.arctan2,
    "arctan2",
    "The angle of the point (x2, x1), from -pi to pi.",
    "arctan2([0.0], [1.0]).tolist()",
    "[0.0]",
    floats=True,
)

logaddexp = _binary(
    P.logaddexp,
    "logaddexp",
    "log(exp(x1) + exp(x2)) without overflow.",
    "float(logaddexp(1000.0, -1000.0))",
    "1000.0",
    floats=True,
)


# --- comparisons ---

equal = _binary(
    P.equal,
    "equal",
    "Whether x1 == x2, elementwise.",
    "equal([1, 2], 2).tolist()",
    "[False, True]",
    exact=True,
)

not_equal = _binary(
    P.not_equal,
    "not_equal",
    "Whether x1 != x2, elementwise.",
    "not_equal([1, 2], 2).tolist()",
    "[True, False]",
    exact=True,
)

less = _binary(
    P.less,
    "less",
    "Whether x1 < x2, elementwise.",
    "less([1, 2], 2).tolist()",
    "[True, False]",
    exact=True,
)

less_equal = _binary(
    P.less_equal,
    "less_equal",
    "Whether x1 <= x2, elementwise.",
    "less_equal([1, 2], 1).tolist()",
    "[True, False]",
    exact=True,
)

greater = _binary(
    P.greater,
    "greater",
    "Whether x1 > x2, elementwise.",
    "greater([1, 2], 1).tolist()",
    "[False, True]",
    exact=True,
)

greater_equal = _binary(
    P.greater_equal,
    "greater_equal",
    "Whether x1 >= x2, elementwise.",
    "greater_equal([1, 2], 2).tolist()",
    "[False, True]",
    exact=True,
)


# --- truth values and bits ---


def _logical(prim: Primitive, what: str, result: str) -> Callable[..., Any]:
    """A binary operation on truth values; other values are true where they are not 0."""

    def function(x1, x2):
        return prim(cast(as_tensor(x1), "bool"), cast(as_tensor(x2), "bool"))

    function.__name__ = function.__qualname__ = prim.name
    example = f"{prim.name}([True, False], [True, True]).tolist()"
    function.__doc__ = _DOC.format(what=what, example=example, result=result, names="x1, x2")
    return op(function)


logical_and = _logical(P.logical_and, "Whether both are true.", "[True, False]")
logical_or = _logical(P.logical_or, "Whether one or both are true.", "[True, True]")
logical_xor = _logical(P.logical_xor, "Whether exactly one is true.", "[False, True]")


def _bitwise(
    prim: Primitive, name: str, what: str, example: str, result: str
) -> Callable[..., Any]:
    def function(x, y):
        return prim(*promote(x, y))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = _DOC.format(what=what, example=example, result=result, names="x, y")
    return op(function)


bitwise_and = _bitwise(
    P.bitwise_and,
    "bitwise_and",
    "The bits that both integers have.",
    "bitwise_and([6], [3]).tolist()",
    "[2]",
)

bitwise_or = _bitwise(
    P.bitwise_or,
    "bitwise_or",
    "The bits that one or both integers have.",
    "bitwise_or([6], [3]).tolist()",
    "[7]",
)

bitwise_xor = _bitwise(
    P.bitwise_xor,
    "bitwise_xor",
    "The bits that exactly one of the integers has.",
    "bitwise_xor([6], [3]).tolist()",
    "[5]",
)

bitwise_left_shift = _bitwise(
    P.left_shift,
    "bitwise_left_shift",
    "The bits of x moved y places to the left.",
    "bitwise_left_shift([6], [1]).tolist()",
    "[12]",
)

left_shift = _bitwise(
    P.left_shift,
    "left_shift",
    "The bits of x moved y places to the left.",
    "left_shift([6], [1]).tolist()",
    "[12]",
)

bitwise_right_shift = _bitwise(
    P.right_shift,
    "bitwise_right_shift",
    "The bits of x moved y places to the right.",
    "bitwise_right_shift([6], [1]).tolist()",
    "[3]",
)

right_shift = _bitwise(
    P.right_shift,
    "right_shift",
    "The bits of x moved y places to the right.",
    "right_shift([6], [1]).tolist()",
    "[3]",
)


@op
def power(x1, x2):
    """x1 ** x2.

    Args:
        x1, x2: tensors that broadcast, or numbers.

    Example:
        >>> power([2.0, 3.0], 2).tolist()
        [4.0, 9.0]
    """
    if type(x2) in (int, float):
        x1 = as_tensor(x1)
        if leaves_dtype(x2, x1):
            if x2 == 2:
                return P.square(x1)
            if x2 == 0.5:
                return P.sqrt(x1)
            return P.power_scalar(x1, a=x2)
    return P.power(*promote(x1, x2))
