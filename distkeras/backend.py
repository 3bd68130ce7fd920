"""`keras.backend`: dtypes and settings under the names that portable code uses."""

from typing import Any

from distkeras.config import (
    backend,
    epsilon,
    floatx,
    image_data_format,
    set_epsilon,
    set_floatx,
    set_image_data_format,
)
from distkeras.engine.dtypes import is_float, is_integer, result_type, standardize_dtype
from distkeras.ops.symbolic import is_keras_tensor
from distkeras.utils.naming import get_uid
from distkeras.utils.session import clear_session

__all__ = [
    "backend",
    "clear_session",
    "epsilon",
    "floatx",
    "get_uid",
    "image_data_format",
    "is_float_dtype",
    "is_int_dtype",
    "is_keras_tensor",
    "result_type",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
    "standardize_dtype",
]


def is_float_dtype(dtype: Any) -> bool:
    """Whether a dtype, given in any of the usual ways, is a floating-point type.

    Example:
        >>> is_float_dtype("bfloat16"), is_float_dtype(int)
        (True, False)
    """
    return is_float(standardize_dtype(dtype))


def is_int_dtype(dtype: Any) -> bool:
    """Whether a dtype, given in any of the usual ways, is an integer type.

    Example:
        >>> is_int_dtype("uint8"), is_int_dtype("bool")
        (True, False)
    """
    return is_integer(standardize_dtype(dtype))
