"""Result dtypes of `keras.ops` over input dtypes: an op's promotion is part of its meaning."""

from __future__ import annotations

import numpy as np

DTYPES = "bool uint8 int8 int16 int32 float16 bfloat16 float32".split()

UNARY = (
    "abs negative square sqrt exp expm1 log log1p log2 log10 sin cos tan tanh sinh cosh "
    "arcsin arccos arctan arcsinh floor ceil round sign reciprocal rsqrt erf isnan isfinite "
    "isinf logical_not ones_like zeros_like relu relu6 sigmoid softplus softsign silu gelu "
    "elu selu leaky_relu hard_sigmoid log_sigmoid softmax log_softmax sum mean max min prod "
    "var std any all argmax argmin cumsum cumprod logsumexp sort argsort flip transpose ravel "
    "squeeze count_nonzero median trace diagonal tril triu diff average"
).split()

BINARY = (
    "add subtract multiply divide true_divide floor_divide mod power maximum minimum arctan2 equal "
    "not_equal less less_equal greater greater_equal logical_and logical_or logical_xor matmul dot "
    "outer tensordot divide_no_nan"
).split()

PYTHON = (1, 0.5)

# Keras makes float32 tensors of Python numbers in arctan2; the others take arrays.
WITHOUT_NUMBERS = ("matmul", "dot", "outer", "tensordot", "arctan2")


def operand(keras, dtype: str, second: bool = False):
    """Return a small square matrix that is in the domain of every op."""
    value = np.array([[0, 1], [1, 0]] if dtype == "bool" else [[1, 2], [3, 1]], "float32")
    if dtype.endswith(("float16", "float32")) and not second:
        value = value * 0.25
    return keras.ops.cast(keras.ops.convert_to_tensor(value), dtype)


def dtype_of(keras, value) -> str:
    """Return a result's dtype name."""
    if isinstance(value, int):
        return "python int"
    return keras.backend.standardize_dtype(value.dtype)


def symbolic(keras, dtype: str, second: bool = False):
    """Return a placeholder instead of a value."""
    return keras.KerasTensor((2, 2), dtype=dtype)


def run_unary(keras, name: str, operand=operand) -> dict:
    """Return the result dtype for each input dtype."""
    function = getattr(keras.ops, name)
    return {d: attempt(lambda d=d: dtype_of(keras, function(operand(keras, d)))) for d in DTYPES}


def run_binary(keras, name: str, operand=operand) -> dict:
    """Return the result dtype for each pair of input dtypes, and for Python numbers."""
    function, found = getattr(keras.ops, name), {}
    for first in DTYPES:
        for second in DTYPES:
            found[f"{first} {second}"] = attempt(
                lambda a=first, b=second: dtype_of(
                    keras, function(operand(keras, a), operand(keras, b, second=True))
                )
            )
        if name not in WITHOUT_NUMBERS:
            for number in PYTHON:
                found[f"{first} python {type(number).__name__}"] = attempt(
                    lambda a=first, n=number: dtype_of(keras, function(operand(keras, a), n))
                )
    return found


def attempt(call):
    """Return the result, or None where the backend refuses this dtype."""
    try:
        return call()
    except (TypeError, ValueError, RuntimeError, NotImplementedError, AttributeError):
        return None
