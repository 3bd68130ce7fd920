"""Making tensors, dtypes, shapes, control flow."""

from typing import Any

import numpy as np

from distkeras.devices.base import _BY_ARRAY_TYPE
from distkeras.engine import dtypes, regions
from distkeras.engine import primitives as P
from distkeras.engine.abstract import ShapeTensor
from distkeras.engine.rows import is_count
from distkeras.engine.tensor import Tensor, from_host
from distkeras.engine.variable import Variable
from distkeras.errors import AbstractValueError, DTypeError
from distkeras.ops.symbolic import KerasTensor, op
from distkeras.utils import tree

__all__ = [
    "as_tensor",
    "cast",
    "cond",
    "convert_to_numpy",
    "convert_to_tensor",
    "dtype",
    "fori_loop",
    "is_tensor",
    "ndim",
    "scan",
    "shape",
    "stop_gradient",
    "unstack",
    "vectorized_map",
    "while_loop",
]


def as_tensor(x: Any):
    """`x` as a tensor, without a copy where it is one; variables are read."""
    kind = type(x)
    if kind is Tensor or kind is ShapeTensor:
        return x
    if isinstance(x, Variable):
        return x.value
    return convert_to_tensor(x)


def convert_to_tensor(
    x: Any, dtype: str | None = None, sparse: bool | None = None, ragged: bool | None = None
):
    """`x` as a tensor on the current device.

    Args:
        x: a tensor, variable, NumPy or CuPy array, number, or nested list of them.
        dtype: a dtype name; default the value's own, with Python floats as `floatx()` and Python
            ints as `int32`.
        sparse, ragged: must be false; there are no such tensors.

    Returns:
        A tensor. NumPy arrays are copied, so changing one later changes nothing here.

    Raises:
        DTypeError: where the value is of a kind that no tensor holds.

    Example:
        >>> convert_to_tensor([1, 2]).dtype
        'int32'
    """
    if isinstance(x, Variable):
        x = x.value
    if isinstance(x, Tensor | ShapeTensor | KerasTensor):
        return x if dtype is None else cast(x, dtype)
    name = None if dtype is None else dtypes.standardize_dtype(dtype)
    if type(x) in _BY_ARRAY_TYPE and not isinstance(x, np.ndarray):
        tensor = Tensor(x.copy())
        return tensor if name is None else cast(tensor, name)
    if isinstance(x, list | tuple) and any(
        isinstance(leaf, Tensor | Variable | ShapeTensor) for leaf in tree.flatten(x)
    ):
        tensor = P.stack(*(as_tensor(item) for item in x), axis=0) if _alike(x) else _mixed_stack(x)
        return tensor if name is None else cast(tensor, name)
    if name is None:
        name = _host_dtype(x)
    try:
        return from_host(x, name)
    except (ValueError, TypeError) as error:
        given = f"{type(x).__module__}.{type(x).__qualname__}"
        raise DTypeError(
            f"Cannot convert a value of {given} to a tensor of dtype {name}: {error}. Expected "
            "numbers in a rectangular "
            "array."
        ) from error


def _alike(items) -> bool:
    kinds = {as_tensor(i).dtype for i in items}
    return len(kinds) == 1


def _mixed_stack(items):
    tensors = [as_tensor(i) for i in items]
    common = dtypes.result_type(*(_weak(i) for i in items))
    return P.stack(*(cast(t, common) for t in tensors), axis=0)


def _weak(x):
    return type(x) if type(x) in (bool, int, float) else as_tensor(x).dtype


def _host_dtype(x) -> str | None:
    """The dtype name that a host value gets, `None` for its own."""
    if isinstance(x, np.ndarray | np.generic):
        if x.dtype.kind in "OUSMm":
            raise DTypeError(
                f"An array of dtype {x.dtype} holds no numbers. Map text to integers first, or "
                "check that all rows have equal length."
            )
        return None
    if isinstance(x, bool):
        return "bool"
    if isinstance(x, int):
        return "int32" if -(2**31) <= x < 2**31 else "int64"
    if isinstance(x, float):
        return dtypes.standardize_dtype(None)
    probe = getattr(x, "dtype", None)
    if probe is not None and not isinstance(x, list | tuple):
        return None
    leaves = tree.flatten(x)
    if any(isinstance(leaf, np.ndarray | np.generic) for leaf in leaves):
        return None
    if all(isinstance(leaf, bool) for leaf in leaves) and leaves:
        return "bool"
    if all(isinstance(leaf, bool | int) for leaf in leaves) and leaves:
        return "int32"
    if any(isinstance(leaf, str | bytes) or leaf is None for leaf in leaves):
        raise DTypeError(
            "Expected numbers, got "
            f"{next(v for v in leaves if isinstance(v, str | bytes) or v is None)!r}."
        )
    return dtypes.standardize_dtype(None)


def convert_to_numpy(x: Any) -> np.ndarray:
    """`x` as a new NumPy array.

    Example:
        >>> convert_to_numpy(convert_to_tensor([1.0])).tolist()
        [1.0]
    """
    if isinstance(x, Tensor | Variable):
        return x.numpy()
    if isinstance(x, ShapeTensor | KerasTensor):
        raise AbstractValueError(f"{x!r} has no values to convert to NumPy.")
    return convert_to_tensor(x).numpy() if isinstance(x, list | tuple) else np.array(x)


def is_tensor(x: Any) -> bool:
    """Whether `x` is a tensor with values (or a stand-in for one during shape inference).

    Example:
        >>> is_tensor(convert_to_tensor(1.0)), is_tensor(1.0)
        (True, False)
    """
    return isinstance(x, Tensor | ShapeTensor)


@op
def cast(x, dtype):
    """`x` in another dtype.

    Args:
        x: a tensor.
        dtype: a dtype name.

    Example:
        >>> cast([1.7], "int32").tolist()
        [1]
    """
    name = dtypes.standardize_dtype(dtype)
    if is_count(x) and dtypes.is_float(name):
        x = x.everywhere()  # to divide by
    x = as_tensor(x)
    return x if x.dtype == name else P.cast(x, dtype=name)


def shape(x) -> tuple:
    """The shape of a tensor, a tuple of ints (`None` where unknown in a graph).

    Example:
        >>> shape(convert_to_tensor([[1.0, 2.0]]))
        (1, 2)
    """
    return tuple(x.shape) if hasattr(x, "shape") else tuple(as_tensor(x).shape)


def ndim(x) -> int:
    """The number of axes.

    Example:
        >>> ndim([[1.0]])
        2
    """
    return len(shape(x))


def dtype(x) -> str:
    """The dtype's name.

    Example:
        >>> dtype(1.0)
        'float32'
    """
    return dtypes.standardize_dtype(x.dtype) if hasattr(x, "dtype") else as_tensor(x).dtype


@op
def stop_gradient(variable):
    """The value, through which no gradient flows.

    Example:
        >>> stop_gradient([1.0]).tolist()
        [1.0]
    """
    return P.stop_gradient(as_tensor(variable))


@op
def unstack(x, num=None, axis=0):
    """A list of the slices along an axis.

    Example:
        >>> len(unstack([[1, 2], [3, 4]]))
        2
    """
    return list(P.unstack(as_tensor(x), axis=axis))


def _to_tensors(structure):
    return None if structure is None else tree.map_structure(as_tensor, structure)


def scan(f, init, xs=None, length=None, reverse=False, unroll=1):
    """Run `f(carry, x) -> (carry, y)` over the rows of `xs`; see `engine.regions.scan`.

    Example:
        >>> scan(lambda c, x: (c + x, c), 0.0, convert_to_tensor([1.0, 2.0]))[1].tolist()
        [0.0, 1.0]
    """
    return regions.scan(f, _to_tensors(init), _to_tensors(xs), length=length, reverse=reverse)


@op
def cond(pred, true_fn, false_fn):
    """`true_fn()` where `pred` is true, else `false_fn()`.

    Example:
        >>> cond(convert_to_tensor(1) > 0, lambda: 1, lambda: 2)
        1
    """
    return regions.cond(pred, true_fn, false_fn)


def while_loop(cond, body, loop_vars, maximum_iterations=None):
    """Run `body(*loop_vars)` while `cond(*loop_vars)` holds.

    Example:
        >>> int(while_loop(lambda i: i < 3, lambda i: i + 1, 0))
        3
    """
    return regions.while_loop(cond, body, _to_tensors(loop_vars), maximum_iterations)


def fori_loop(lower, upper, body_fun, init_val):
    """`body_fun(i, value)` for each `i` from `lower` to `upper`, starting with `init_val`.

    Example:
        >>> fori_loop(0, 3, lambda i, v: v + i, 0)
        3
    """
    value = init_val
    for i in range(int(lower), int(upper)):
        value = body_fun(i, value)
    return value


def vectorized_map(function, elements):
    """`function` applied to each row of `elements`, stacked.

    Example:
        >>> vectorized_map(lambda x: x * 2, convert_to_tensor([1, 2])).tolist()
        [2, 4]
    """
    return regions.scan(lambda _, x: (None, function(x)), None, _to_tensors(elements))[1]
