"""`Variable`: state that changes, and the contract that what a user holds does not.

a) A variable's memory is its `Cell`: private at first, a slice of a flat arena once an optimizer
   was built on it.
b) `value` gives out a tensor that shows the cell's memory without a copy; the cell remembers it
   weakly, and views of it.
c) Before the memory is written, every tensor that still shows it is given a copy of its own. In an
   ordinary training step none is left by then, so nothing is copied.
"""

import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from distkeras.devices.base import _BY_ARRAY_TYPE, current_device, device_of
from distkeras.engine import context, dtypes
from distkeras.engine.abstract import ShapeTensor
from distkeras.engine.primitives import cast
from distkeras.engine.shapes import broadcast
from distkeras.engine.tensor import Operators, Tensor
from distkeras.errors import ArgumentError, DTypeError, ShapeError
from distkeras.utils.naming import auto_name

__all__ = ["Cell", "GuardedCell", "Variable", "release"]


class Cell:
    """Memory that is written in place, and the tensors that show it.

    Attributes:
        array: the memory, in the variable's shape.
        version: counts the writes.
        home: the `ParameterArena` and the offset there, or `None` while the memory is private.
    """

    __slots__ = ("__weakref__", "_crowd", "_current", "_views", "array", "home", "version")

    def __init__(self, array):
        self.array = array
        self.version = 0
        self.home = None
        self._current: weakref.ref | None = None
        self._views: list[weakref.ref] = []
        self._crowd = 64  # so many views are kept before the dead ones are sorted out

    def tensor(self) -> Tensor:
        """The tensor that shows the memory; the same one until the next write."""
        t = self._current() if self._current is not None else None
        if t is None:
            t = Tensor(self.array, cell=self)
            self._current = weakref.ref(t)
        return t

    def show(self, view: Tensor) -> None:
        """Remember a tensor that may share the memory."""
        if view.array is not self.array and getattr(view.array, "base", self) is None:
            return  # a cast to another dtype owns its memory
        view.cell = self
        self._views.append(weakref.ref(view))
        if len(self._views) > self._crowd:
            self._views = [r for r in self._views if r() is not None]
            self._crowd = max(64, 2 * len(self._views))

    def release(self) -> None:
        """Give every living tensor that shows the memory a copy of its own: call before writing."""
        for ref in (self._current, *self._views):
            t = ref() if ref is not None else None
            if t is not None and t.cell is self:
                t.array = t.array.copy()
                t.cell = None
        self._current = None
        self._views.clear()
        self.version += 1

    def write(self, array) -> None:
        """Replace the values. `array` is of the cell's shape and dtype, and may show the cell
        itself."""
        self.release()
        if self.home is None:
            self.array = array.copy()
        else:
            self.array[...] = array

    def update(self, name: str, array) -> None:
        """Replace the values by those of a function of the array module, of them and an array."""
        self.release()
        xp = device_of(self.array).xp
        if xp is not None:
            # In place, so that a result without axes stays an array.
            getattr(xp, name)(self.array, array, out=self.array)

    def fill(self, number) -> None:
        """Replace all values by one number."""
        self.release()
        self.array[...] = number

    def rebind(self, array, home) -> None:
        """Move the values to other memory."""
        self.release()
        array[...] = self.array
        self.array, self.home = array, home


class GuardedCell(Cell):
    """A cell whose memory others share; somebody is told before it alone is written.

    Args:
        array: the memory.
        before_writing: called first; it may give the cell other memory.
    """

    __slots__ = ("_before_writing",)

    def __init__(self, array, before_writing: Callable[[], None]):
        super().__init__(array)
        self._before_writing = before_writing

    def write(self, array) -> None:
        self._before_writing()
        super().write(array)

    def update(self, name: str, array) -> None:
        self._before_writing()
        super().update(name, array)

    def fill(self, number) -> None:
        self._before_writing()
        super().fill(number)


def release(cells: Iterable[Cell]) -> None:
    """Before memory is written: what `Cell.release` does, for many cells that are mostly shown by
    no tensor."""
    for cell in cells:
        if cell._current is None and not cell._views:
            cell.version += 1
        else:
            cell.release()


class Variable(Operators):
    """A tensor whose value can be assigned.

    Args:
        initializer: the first value (an array, a number or a tensor), or a callable `(shape,
            dtype=...)`.
        shape: the shape; needed with a callable.
        dtype: a dtype name; default that of the value, `floatx()` for Python floats and callables.
        trainable: whether optimizers may change it, default `True`.
        autocast: whether mixed precision casts it when it is read, default `True`.
        aggregation: how values of several ranks are joined, `"none"`, `"mean"`, `"sum"` or
            `"only_first_replica"`.
        synchronization: accepted for Keras's sake.
        name: a name without `/`; default `variable`, `variable_1`, ...

    Example:
        >>> import distkeras as keras
        >>> v = keras.Variable([1.0, 2.0])
        >>> v.assign_add([1.0, 1.0]).numpy().tolist()
        [2.0, 3.0]
    """

    __slots__ = (
        "__dict__",
        "__weakref__",
        "_autocast",
        "_cell",
        "_dtype",
        "_np_dtype",
        "_shape",
        "_trainable",
        "aggregation",
        "constraint",
        "name",
        "overwrite_with_gradient",
        "path",
        "regularizer",
        "synchronization",
    )

    def __init__(
        self,
        initializer: Any,
        shape: Sequence[int] | None = None,
        dtype: str | None = None,
        trainable: bool = True,
        autocast: bool = True,
        aggregation: str = "none",
        synchronization: str = "auto",
        name: str | None = None,
    ):
        name = name or auto_name("variable")
        if not isinstance(name, str) or "/" in name:
            raise ArgumentError(f"A variable's `name` must be a string without '/', got {name!r}.")
        if aggregation not in (None, "none", "mean", "sum", "max", "min", "only_first_replica"):
            raise ArgumentError(
                f"Invalid `aggregation`: {aggregation!r}. Expected 'none', 'mean', 'sum' or "
                "'only_first_replica'."
            )
        self.aggregation = aggregation or "none"
        self.synchronization = synchronization
        self._trainable = bool(trainable)
        self._autocast = bool(autocast)
        self._bind(Cell(_initial(initializer, shape, dtype)), name)

    @classmethod
    def of_cell(cls, cell: Cell, name: str) -> "Variable":
        """A variable that is not trainable, whose storage exists already: an optimizer's slot."""
        self = cls.__new__(cls)
        self.aggregation, self.synchronization = "none", "auto"
        self._trainable, self._autocast = False, False
        self._bind(cell, name)
        return self

    def _bind(self, cell: Cell, name: str) -> None:
        self.name = name
        self.path = name
        self.constraint: Any = None
        self.regularizer: Any = None
        self.overwrite_with_gradient = False
        array = cell.array
        self._cell = cell
        self._np_dtype = array.dtype
        self._dtype = dtypes.name_of(array.dtype)
        self._shape = array.shape

    # --- reading ---

    @property
    def value(self) -> Tensor:
        """The current value; it keeps its values when the variable is assigned later."""
        t = self._cell.tensor()
        current = context.state()
        for tape in current.tapes:
            tape.saw_variable(self, t)
        if (
            current.autocast is not None
            and self._autocast
            and current.autocast != self._dtype
            and self._is_float()
        ):
            return cast(t, dtype=current.autocast)
        return t

    def _is_float(self) -> bool:
        return self._np_dtype.kind not in "biuU"

    @property
    def handle(self) -> Cell:
        """The storage, for engine and strategies."""
        return self._cell

    @property
    def dtype(self) -> str:
        """The dtype in which the variable appears: that of mixed precision within a layer's
        call."""
        autocast = context.state().autocast
        return (
            autocast
            if autocast is not None and self._autocast and self._is_float()
            else self._dtype
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape, a tuple of ints."""
        return self._shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self._shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return self._cell.array.size

    @property
    def array(self):
        """Not the variable's: primitives take `value`."""
        raise AttributeError("A Variable has no array of its own; use its `value`.")

    @property
    def trainable(self) -> bool:
        """Whether optimizers may change the variable."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool):
        self._trainable = bool(value)

    def numpy(self) -> np.ndarray:
        """The values as a new NumPy array."""
        return device_of(self._cell.array).to_host(self._cell.array)

    def __array__(self, dtype=None, copy=None):
        host = self.numpy()
        return host if dtype is None else host.astype(dtype, copy=False)

    # --- writing ---

    def assign(self, value: Any) -> Tensor:
        """Replace the value.

        Args:
            value: a tensor, array or number of the variable's shape; it is cast to the variable's
                dtype.

        Returns:
            The new value.

        Raises:
            ShapeError: where the shape differs.
        """
        if isinstance(value, ShapeTensor):
            array = value
        else:
            array = self._taken(value)
        if array.shape != self._shape:
            raise ShapeError(
                "The shape of the target variable and the shape of the target value in "
                "`variable.assign(value)` must match. "
                f"variable.shape={self._shape}, Received: value.shape={array.shape}. Target "
                f"variable: {self.path}"
            )
        if not context.state().abstract:
            self._cell.write(array)
        return self._cell.tensor()

    def assign_add(self, value: Any) -> Tensor:
        """Add to the value; see `assign`."""
        return self._update(value, "add")

    def assign_sub(self, value: Any) -> Tensor:
        """Subtract from the value; see `assign`."""
        return self._update(value, "subtract")

    def _update(self, value, name: str) -> Tensor:
        array = value if isinstance(value, ShapeTensor) else self._taken(value)
        if broadcast(array.shape, self._shape) != self._shape:
            raise ShapeError(f"A value of shape {array.shape} cannot be added to {self!r}.")
        if not context.state().abstract:
            self._cell.update(name, array)
        return self._cell.tensor()

    def _taken(self, value):
        """A value's array in the variable's dtype, which writing the variable does not change."""
        array = _as_array(value, self._np_dtype, self._cell.array)
        own = value.handle if isinstance(value, Variable) else getattr(value, "cell", None)
        return array.copy() if own is self._cell else array

    # --- the rest of Python ---

    def __float__(self):
        return float(self.value)

    def __int__(self):
        return int(self.value)

    def __bool__(self):
        return bool(self.value)

    def __index__(self):
        return self.value.__index__()

    def __len__(self):
        return len(self.value)

    def __iter__(self):
        return iter(self.value)

    def __repr__(self):
        return (
            f"<Variable path={self.path}, shape={self._shape}, dtype={self._dtype}, "
            f"value={self.numpy()!s}>"
        )

    def __deepcopy__(self, memo):
        copied = type(self)(
            self.numpy(),
            trainable=self._trainable,
            autocast=self._autocast,
            aggregation=self.aggregation,
            name=self.name,
        )
        copied.path = self.path
        copied.constraint, copied.regularizer = self.constraint, self.regularizer
        copied.overwrite_with_gradient = self.overwrite_with_gradient
        memo[id(self)] = copied
        return copied

    def __reduce__(self):
        settings = (self._trainable, self._autocast, self.aggregation, self.name, self.path)
        return _restore, (self.numpy(), settings)


def _restore(array, settings):
    trainable, autocast, aggregation, name, path = settings
    variable = Variable(
        array, trainable=trainable, autocast=autocast, aggregation=aggregation, name=name
    )
    variable.path = path
    return variable


def _initial(initializer, shape, dtype):
    """A variable's first memory, its own."""
    if isinstance(initializer, Callable) and not isinstance(initializer, Tensor | Variable):
        if shape is None:
            raise ArgumentError(
                "When creating a Variable from an initializer, the `shape` argument should be "
                f"specified. Received: initializer={initializer!r} and shape={shape}"
            )
        dtype = dtypes.standardize_dtype(dtype)
        # A layer may be built while shapes are being inferred.
        with context.changed(abstract=False):
            value = initializer(tuple(int(d) for d in shape), dtype=dtype)
    else:
        value = initializer
        dtype = dtypes.standardize_dtype(_natural_dtype(value) if dtype is None else dtype)
    array = _as_array(value, dtypes.numpy_dtype(dtype), None)
    if shape is not None and tuple(shape) != array.shape:
        raise ShapeError(
            f"A Variable of shape {tuple(shape)} was given an initial value of shape {array.shape}."
        )
    shared = isinstance(value, Tensor | Variable) or type(value) in _BY_ARRAY_TYPE
    return array.copy() if shared else array


def _natural_dtype(value):
    """A value's own dtype; `floatx()` for Python floats, `int32` for Python integers."""
    dtype = getattr(value, "dtype", None)
    if dtype is None:
        dtype = np.asarray(value).dtype
        if dtype.kind == "f":
            return None
        if dtype.kind in "iu":
            return "int32"
    return dtype


def _as_array(value, dtype, like):
    """`value` as an array of a dtype on the device of `like` (default: the current one)."""
    device = current_device() if like is None else device_of(like)
    if isinstance(value, Variable):
        value = value._cell.array
    elif isinstance(value, Tensor):
        value = value.array
    if device.owns(value):
        return value.astype(dtype, copy=False)
    if type(value) in _BY_ARRAY_TYPE:
        value = device_of(value).to_host(value)
    host = np.asarray(value)
    if host.dtype.kind not in "biufcV":  # V: bfloat16
        raise DTypeError(f"A variable holds numbers; got {value!r}, of dtype {host.dtype}.")
    return device.from_host(host, dtype)
