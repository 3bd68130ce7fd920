"""Shapes without values: the same Python composition, run on what is known before any data arrive.

`ShapeTensor` passes through `bind` as a tensor does; the primitives' shape rules answer. Dimensions
that are unknown (`None`) are handled at one place, `infer`: the composition is run with two
different sizes in their place, and a dimension of the result that differs between the two runs is
unknown.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distkeras.engine import context, dtypes
from distkeras.engine.tensor import Operators
from distkeras.errors import AbstractValueError
from distkeras.utils import tree

__all__ = ["ShapeTensor", "Spec", "infer", "open_shape"]


class ShapeTensor(Operators):
    """A tensor of which only shape and dtype are known.

    Args:
        shape: a tuple of ints.
        dtype: a dtype name or NumPy dtype.
    """

    __slots__ = ("_keras_mask", "_np_dtype", "batch", "shape")

    def __init__(self, shape: Sequence[int], dtype):
        self.shape = tuple(int(d) for d in shape)
        self._np_dtype = (
            dtype
            if isinstance(dtype, np.dtype)
            else dtypes.numpy_dtype(dtypes.standardize_dtype(dtype))
        )
        self.batch = None

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def dtype(self) -> str:
        """The dtype's name."""
        return dtypes.name_of(self._np_dtype)

    def _no_value(self, *_, **__):
        raise AbstractValueError(
            "A tensor's value was read (by `if`, `float()`, `.numpy()`, ...) while only its shape "
            "and dtype are known: this code "
            "runs once for shape inference, when a functional model is built. Use `ops.cond`, "
            "`ops.where`, or give the layer "
            "a `compute_output_shape`."
        )

    numpy = item = tolist = _no_value
    __array__ = __float__ = __int__ = __bool__ = __index__ = __iter__ = _no_value

    def __len__(self):
        if not self.shape:
            raise TypeError("A tensor without axes has no length.")
        return self.shape[0]

    def __repr__(self):
        return f"<ShapeTensor shape={self.shape} dtype={self.dtype}>"


class Spec:
    """A shape, in which `None` stands for any size, and a dtype.

    Example:
        >>> Spec((None, 3), "float32")
        Spec((None, 3), 'float32')
    """

    __slots__ = ("dtype", "shape")

    def __init__(self, shape: Sequence[int | None], dtype: str):
        self.shape = tuple(shape)
        self.dtype = dtype

    def __eq__(self, other):
        return isinstance(other, Spec) and (self.shape, self.dtype) == (other.shape, other.dtype)

    def __hash__(self):
        return hash((self.shape, self.dtype))

    def __repr__(self):
        return f"Spec({self.shape}, {self.dtype!r})"


# Highly composite, so that a reshape or a stride that divides an unknown dimension works out, and
# unlike any real size.
_FILLS = (1081080, 2162160)
_LARGE = re.compile(r"\b\d{7,}\b")


def open_shape(tensor: Any) -> tuple[int | None, ...]:
    """A tensor's shape, with `None` where shape inference put a size for an unknown one.

    Example:
        >>> infer(open_shape, Spec((None, 3), "float32"))
        (None, 3)
    """
    if not isinstance(tensor, ShapeTensor):
        return tuple(tensor.shape)
    return tuple(None if d is not None and d >= _FILLS[0] else d for d in tensor.shape)


def infer(function: Callable, *args: Any, **kwargs: Any) -> Any:
    """The shapes and dtypes that a composition of operations would return.

    Args:
        function: called with the arguments, each `Spec` among them (also nested) replaced by a
            `ShapeTensor`.
        *args, **kwargs: its arguments.

    Returns:
        What the function returns, with a `Spec` for each tensor.

    Raises:
        AbstractValueError: where the function reads a value.
        ShapeError: where shapes do not fit.

    Example:
        >>> infer(lambda x: x, Spec((None, 2), "int32"))
        Spec((None, 2), 'int32')
    """
    leaves = tree.flatten((args, kwargs))
    open_dims = any(isinstance(leaf, Spec) and None in leaf.shape for leaf in leaves)
    first = _run(function, args, kwargs, _FILLS[0])
    if not open_dims:
        return tree.map_structure(_closed_spec, first)
    return tree.map_structure(_open_spec, first, _run(function, args, kwargs, _FILLS[1]))


def _run(function, args, kwargs, fill):
    def concrete(leaf):
        if not isinstance(leaf, Spec):
            return leaf
        return ShapeTensor([fill if d is None else d for d in leaf.shape], leaf.dtype)

    args, kwargs = tree.map_structure(concrete, (args, kwargs))
    try:
        with context.changed(abstract=True):
            return function(*args, **kwargs)
    except Exception as error:
        _hide_sizes(error)
        raise


def _hide_sizes(error: Exception) -> None:
    """Write `None` where an error's text shows a size that stands for an unknown one."""

    def hidden(text: str) -> str:
        return _LARGE.sub(lambda m: m[0] if int(m[0]) % _FILLS[0] else "None", text)

    error.args = tuple(hidden(a) if isinstance(a, str) else a for a in error.args)
    notes = getattr(error, "__notes__", None)
    if notes:
        notes[:] = [hidden(note) for note in notes]


def _closed_spec(leaf):
    if hasattr(leaf, "shape") and hasattr(leaf, "dtype"):
        return Spec(leaf.shape, dtypes.standardize_dtype(leaf.dtype))
    return leaf


def _open_spec(a, b):
    if hasattr(a, "shape") and hasattr(a, "dtype"):
        shape = [x if x == y else None for x, y in zip(a.shape, b.shape, strict=True)]
        return Spec(shape, dtypes.standardize_dtype(a.dtype))
    if isinstance(a, int) and not isinstance(a, bool) and a != b:
        return None
    return a
