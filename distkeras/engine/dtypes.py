"""Dtype names and the promotion lattice of Keras.

The lattice is JAX's ("JAX type promotion semantics", docs.jax.dev) as Keras 3 uses it: Python
numbers are weak (they never widen a tensor), integers meet floats at the float's own width, and
bfloat16 meets float16 at float32.
"""

import functools

import numpy as np

from distkeras import config
from distkeras.errors import DTypeError

__all__ = ["is_float", "is_integer", "name_of", "numpy_dtype", "result_type", "standardize_dtype"]

FLOATS = ("float16", "bfloat16", "float32", "float64")
INTEGERS = ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64")
ALL = ("bool", *INTEGERS, *FLOATS, "complex64", "complex128", "string")

# Each dtype and those it is promoted to directly; "int" and "float" are Python's own, weak numbers.
_EDGES = {
    "bool": ("int",),
    "int": ("uint8", "int8"),
    "uint8": ("int16", "uint16"),
    "uint16": ("int32", "uint32"),
    "uint32": ("int64", "uint64"),
    "uint64": ("float",),
    "int8": ("int16",),
    "int16": ("int32",),
    "int32": ("int64",),
    "int64": ("float",),
    "float": ("bfloat16", "float16"),
    "bfloat16": ("float32",),
    "float16": ("float32",),
    "float32": ("float64",),
    "float64": ("complex128",),
    "complex64": ("complex128",),
    "complex128": (),
}
_EDGES["float32"] = ("float64", "complex64")

_NAMES: dict[np.dtype, str] = {}
_DTYPES: dict[str, np.dtype] = {}


def numpy_dtype(name: str) -> np.dtype:
    """The NumPy dtype object of a dtype name (`bfloat16` comes from `ml_dtypes`).

    Example:
        >>> numpy_dtype("float32")
        dtype('float32')
    """
    dtype = _DTYPES.get(name)
    if dtype is None:
        if name == "bfloat16":
            import ml_dtypes

            dtype = np.dtype(ml_dtypes.bfloat16)
        else:
            dtype = np.dtype(name)
        _DTYPES[name] = dtype
    return dtype


def name_of(dtype: np.dtype) -> str:
    """The name of a NumPy dtype object.

    Example:
        >>> import numpy as np
        >>> name_of(np.dtype("int32"))
        'int32'
    """
    name = _NAMES.get(dtype)
    if name is None:
        name = _NAMES[dtype] = dtype.name if dtype.kind not in "USO" else "string"
    return name


def standardize_dtype(dtype) -> str:
    """The name of a dtype given in any of the usual ways.

    Args:
        dtype: a name, a NumPy dtype or scalar class, a Python number class, or `None` for
            `floatx()`.

    Returns:
        The dtype's name.

    Raises:
        DTypeError: where the dtype is unknown.

    Example:
        >>> standardize_dtype(None), standardize_dtype(int), standardize_dtype("half")
        ('float32', 'int32', 'float16')
    """
    if dtype is None:
        return config.floatx()
    if type(dtype) is str and dtype in ALL:
        return dtype
    if dtype is int:
        return "int32"
    if dtype is float:
        return config.floatx()
    if dtype is bool:
        return "bool"
    if dtype is str:
        return "string"
    try:
        if getattr(dtype, "name", None) in ALL:
            return dtype.name
        name = np.dtype(dtype).name
    except TypeError:
        name = str(dtype).rsplit(".", 1)[-1]  # torch.float32, <dtype: 'float32'>
    if name not in ALL:
        raise DTypeError(f"Unknown dtype: {dtype!r}. Expected one of {', '.join(ALL)}.")
    return name


def is_float(name: str) -> bool:
    """Whether a dtype name is that of a real floating-point type.

    Example:
        >>> is_float("bfloat16"), is_float("int32")
        (True, False)
    """
    return name in FLOATS


def is_integer(name: str) -> bool:
    """Whether a dtype name is that of an integer type (not `bool`).

    Example:
        >>> is_integer("uint8"), is_integer("bool")
        (True, False)
    """
    return name in INTEGERS


@functools.cache
def _uppers(name: str) -> frozenset[str]:
    """All dtypes that `name` can be promoted to, itself included."""
    found = {name}
    for upper in _EDGES[name]:
        found |= _uppers(upper)
    return frozenset(found)


def _weak_name(dtype) -> str:
    if dtype is bool:
        return "bool"
    if dtype is int:
        return "int"
    if dtype is float:
        return "float"
    if isinstance(dtype, str) and dtype in ("int", "float"):
        return dtype
    return standardize_dtype(dtype)


@functools.cache
def _join(names: frozenset[str]) -> str:
    common = frozenset.intersection(*(_uppers(n) for n in names))
    least = [n for n in common if common <= _uppers(n)]
    if len(least) != 1:
        raise DTypeError(
            f"The dtypes {sorted(names)} cannot be promoted to a common one; cast them explicitly."
        )
    return least[0]


def result_type(*dtypes) -> str:
    """The dtype in which values of the given dtypes meet.

    Args:
        *dtypes: dtypes in any of the usual ways; the Python classes `int` and `float` stand for
            weak numbers.

    Returns:
        The dtype's name.

    Raises:
        DTypeError: where there is no common dtype.

    Example:
        >>> result_type("int32", "float16"), result_type("float16", "bfloat16")
        ('float16', 'float32')
        >>> result_type("int8", float)
        'float32'
    """
    if not dtypes:
        return config.floatx()
    names = frozenset(_weak_name(d) for d in dtypes)
    joined = _join(names)
    if joined == "int":
        return "int32"
    if joined == "float":
        return config.floatx()
    return joined
