"""The dtypes in which operands meet: Python numbers are weak, integers become floats where they
must."""

import functools
from typing import Any

from distkeras.engine import dtypes
from distkeras.engine import primitives as P
from distkeras.engine.rows import is_count
from distkeras.engine.tensor import Tensor
from distkeras.errors import ArgumentError
from distkeras.ops.core import as_tensor, cast

__all__ = [
    "common",
    "filled",
    "floats",
    "is_number",
    "leaves_dtype",
    "number_or_tensor",
    "promote",
    "range_of",
    "wrapped",
]


def is_number(x: Any) -> bool:
    """Whether `x` is a Python number, whose dtype gives way to that of a tensor.

    Example:
        >>> is_number(1), is_number(np.float32(1))
        (True, False)
    """
    return type(x) in (int, float, bool)


def number_or_tensor(x: Any) -> Any:
    """A Python number, or a tensor; a number of rows counts those of all ranks.

    Example:
        >>> number_or_tensor(2), number_or_tensor([2]).dtype
        (2, 'int32')
    """
    if is_count(x):
        return x.everywhere()
    return x if is_number(x) else as_tensor(x)


def leaves_dtype(number: Any, x: Any) -> bool:
    """Whether a Python number leaves the dtype of the tensor `x` as it is.

    Example:
        >>> x = convert_to_tensor([1, 2])
        >>> leaves_dtype(1, x), leaves_dtype(0.5, x)
        (True, False)
    """
    kind = type(number)
    return (kind is float and dtypes.is_float(x.dtype)) or (kind is int and x.dtype != "bool")


@functools.cache
def range_of(dtype: str) -> tuple[int, int]:
    """The least and the largest value of an integer dtype.

    Example:
        >>> range_of("uint8")
        (0, 255)
    """
    bits = 8 * dtypes.numpy_dtype(dtype).itemsize
    return (0, 2**bits - 1) if dtype[0] == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def wrapped(number: Any, dtype: str):
    """A Python number as sums and products of a dtype take it: integers are counted modulo its
    size.

    Example:
        >>> wrapped(300, "uint8"), wrapped(-1, "uint8"), wrapped(300, "float32")
        (44, 255, 300)
    """
    if type(number) is float or not dtypes.is_integer(dtype):
        return number
    low, high = range_of(dtype)
    return number if low <= number <= high else (number - low) % (high - low + 1) + low


def filled(x: Any, dtype: str):
    """A number or tensor as a tensor of a dtype.

    Raises:
        ArgumentError: where a Python integer has no place in an integer dtype.

    Example:
        >>> filled(1, "float16").dtype
        'float16'
    """
    if not is_number(x):
        return x if x.dtype == dtype else P.cast(x, dtype=dtype)
    if type(x) is int and dtypes.is_integer(dtype):
        low, high = range_of(dtype)
        if not low <= x <= high:
            raise ArgumentError(
                f"The Python integer {x} is out of the range of {dtype}, the dtype that it meets "
                "here; cast the tensor to a wider dtype first."
            )
    return P.full(shape=(), value=x, dtype=dtype)


def promote(x: Any, y: Any) -> tuple[Any, Any]:
    """Two values as tensors of their common dtype; Python numbers are weak.

    Example:
        >>> a, b = promote(convert_to_tensor([1, 2]), 0.5)
        >>> a.dtype, b.dtype
        ('float32', 'float32')
    """
    if type(x) is Tensor and type(y) is Tensor and x.array.dtype == y.array.dtype:
        return x, y
    x, y = number_or_tensor(x), number_or_tensor(y)
    kinds = [type(v) if is_number(v) else v.dtype for v in (x, y)]
    dtype = dtypes.result_type(*kinds)
    return filled(x, dtype), filled(y, dtype)


def floats(x: Any):
    """`x` as a tensor of a float dtype: integers become `floatx()`, as Keras has it (int64 too).

    Example:
        >>> floats([1, 2]).dtype
        'float32'
    """
    x = as_tensor(x)
    if dtypes.is_float(x.dtype) or x.dtype.startswith("complex"):
        return x
    return cast(x, dtypes.result_type(x.dtype, float))


def common(xs: Any) -> list:
    """Several values as tensors of their common dtype.

    Raises:
        ArgumentError: where there are none.

    Example:
        >>> [t.dtype for t in common([[1], [0.5]])]
        ['float32', 'float32']
    """
    tensors = [as_tensor(x) for x in xs]
    if not tensors:
        raise ArgumentError("At least one tensor is needed.")
    dtype = dtypes.result_type(*(t.dtype for t in tensors))
    return [t if t.dtype == dtype else cast(t, dtype) for t in tensors]
