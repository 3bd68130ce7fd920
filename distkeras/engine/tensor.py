"""`Tensor`: an immutable array with a dtype, and the operators that tensors and variables share."""

import itertools
import operator
from collections.abc import Callable

import numpy as np

from distkeras.devices.base import _BY_ARRAY_TYPE, current_device, device_of
from distkeras.engine import dtypes
from distkeras.engine.context import state
from distkeras.engine.rows import marked
from distkeras.errors import AbstractValueError, ArgumentError

__all__ = ["OPERATORS", "Operators", "Tensor", "from_host"]

_next_uid = itertools.count(1).__next__

# Filled by `distkeras.ops`: Python's operators are operations like any other.
OPERATORS: dict[str, Callable] = {}


def _forward(name: str):
    def method(self, other):
        return OPERATORS[name](self, other)

    return method


def _reflected(name: str):
    def method(self, other):
        return OPERATORS[name](other, self)

    return method


def _unary(name: str):
    def method(self):
        return OPERATORS[name](self)

    return method


class Operators:
    """Python's operators, for every class that stands for a tensor."""

    __slots__ = ()
    # NumPy gives way to our reflected operators: `array * tensor` is a tensor.
    __array_priority__ = 100

    __add__, __radd__ = _forward("add"), _reflected("add")
    __sub__, __rsub__ = _forward("subtract"), _reflected("subtract")
    __mul__, __rmul__ = _forward("multiply"), _reflected("multiply")
    __truediv__, __rtruediv__ = _forward("true_divide"), _reflected("true_divide")
    __floordiv__, __rfloordiv__ = _forward("floor_divide"), _reflected("floor_divide")
    __mod__, __rmod__ = _forward("mod"), _reflected("mod")
    __pow__, __rpow__ = _forward("power"), _reflected("power")
    __matmul__, __rmatmul__ = _forward("matmul"), _reflected("matmul")
    __and__, __rand__ = _forward("logical_and"), _reflected("logical_and")
    __or__, __ror__ = _forward("logical_or"), _reflected("logical_or")
    __xor__, __rxor__ = _forward("logical_xor"), _reflected("logical_xor")
    __lt__, __le__ = _forward("less"), _forward("less_equal")
    __gt__, __ge__ = _forward("greater"), _forward("greater_equal")
    __eq__, __ne__ = _forward("equal"), _forward("not_equal")  # type: ignore[assignment]
    __neg__, __abs__, __invert__ = _unary("negative"), _unary("absolute"), _unary("logical_not")
    __getitem__ = _forward("get_item")
    __hash__ = object.__hash__

    def __pos__(self):
        return self

    def __round__(self, ndigits=None):
        return OPERATORS["round"](self, ndigits or 0)


class Tensor(Operators):
    """An immutable array on a device.

    Attributes:
        array: the device's own array; only the engine and the kernels touch it.
        uid: a number that no other tensor of the process has; tapes refer to tensors by it.
        cell: the variable storage whose memory the array shows, or `None`.
        batch: the position of the batch axis where it is tracked, else `None`.
    """

    __slots__ = ("__weakref__", "_keras_mask", "array", "batch", "cell", "uid")

    def __init__(self, array, cell=None):
        if type(array) not in _BY_ARRAY_TYPE:
            array = _own(array)
        self.array = array
        self.uid = _next_uid()
        self.cell = cell
        self.batch = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape, a tuple of ints; that of a batch axis knows what it counts."""
        batch = self.batch
        if batch is None or type(batch) is str:
            return self.array.shape
        return marked(self.array.shape, batch)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.array.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.array.size

    @property
    def dtype(self) -> str:
        """The dtype's name."""
        return dtypes.name_of(self.array.dtype)

    @property
    def device(self):
        """The `Device` that holds the array."""
        return device_of(self.array)

    def numpy(self) -> np.ndarray:
        """The values as a new NumPy array, which belongs to the caller.

        Where the tensor is a rank's part of a sum over rows they are those of the sum: ranks join
        it, and all of them must ask.
        """
        if self.batch == "reduced":
            step = state()
            if step.track_batch and step.join is not None:
                return step.join(self).numpy()
        return device_of(self.array).to_host(self.array)

    def __array__(self, dtype=None, copy=None):
        host = self.numpy()
        return host if dtype is None else host.astype(dtype, copy=False)

    def item(self):
        """The value of a tensor of one element as a Python number."""
        if self.size != 1:
            raise ArgumentError(
                f"Only a tensor of one element has a Python value; this one has shape {self.shape}."
            )
        return self.numpy().item()

    def tolist(self) -> list:
        """The values as nested Python lists."""
        return self.numpy().tolist()

    def __float__(self):
        return float(self.item())

    def __int__(self):
        return int(self.item())

    def __bool__(self):
        return bool(self.item())

    def __complex__(self):
        return complex(self.item())

    def __index__(self):
        return operator.index(self.item())

    def __len__(self):
        if not self.array.shape:
            raise TypeError("A tensor without axes has no length.")
        return self.array.shape[0]

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __format__(self, spec):
        return (
            format(self.item(), spec)
            if self.size == 1 and not self.array.shape
            else format(str(self), spec)
        )

    def __repr__(self):
        return f"<Tensor shape={self.shape} dtype={self.dtype} {self.numpy()!s}>"

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self  # immutable

    def __reduce__(self):
        return _unpickle, (self.numpy(),)


def _unpickle(array):
    return from_host(array)


def _own(value):
    """`value`, a host scalar or array, as an array of the current device."""
    if isinstance(value, np.generic):
        array = np.asarray(value)
        return array if type(array) in _BY_ARRAY_TYPE else current_device().from_host(array)
    if isinstance(value, np.ndarray):
        return current_device().from_host(np.asarray(value))
    device = current_device()
    if type(value) is device.array_type:
        return value
    raise AbstractValueError(f"A tensor needs an array, got {type(value).__qualname__}.")


def from_host(value, dtype: str | None = None) -> Tensor:
    """A tensor on the current device that holds a copy of a NumPy array.

    Args:
        value: a NumPy array, or what NumPy makes one of.
        dtype: a dtype name, default the array's own.

    Example:
        >>> import numpy as np
        >>> from_host(np.ones(2, "float32")).shape
        (2,)
    """
    return Tensor(
        current_device().from_host(value, None if dtype is None else dtypes.numpy_dtype(dtype))
    )
