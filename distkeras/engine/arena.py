"""Flat memory: parameters, gradients and optimizer slots as slices of aligned buffers.

a) `ParameterArena` gives variables a home: one flat buffer for each dtype, every variable at an
   offset aligned to 64 bytes. A variable has one home; whoever comes second (another optimizer, a
   model that shares a layer) refers to it there.
b) `Layout` is one optimizer's view of its variables: offsets of its own for gradients and slots,
   and runs, stretches in which its offsets and the variables' homes advance together.
c) `GradientArena` holds gradients at a layout's offsets and knows which were written: a missing
   gradient is not a zero gradient.
d) `Layout.runs` cuts a set of written variables into as few flat slices as possible, so that an
   update rule or a reduction is one operation on each.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from distkeras.devices.base import device_of
from distkeras.engine.deferred import DeferredSum
from distkeras.engine.tensor import Tensor
from distkeras.engine.variable import Cell, GuardedCell, Variable, release
from distkeras.errors import ShapeError

__all__ = ["FlatBuffer", "GradientArena", "Layout", "ParameterArena", "Run"]

_ALIGNMENT = 64  # bytes
_REMEMBERED = (
    64  # sets of variables, for each layout: a network that drops layers at random has very many
)


def _aligned(count: int, itemsize: int) -> int:
    """`count` elements rounded up to whole cache lines."""
    step = max(1, _ALIGNMENT // itemsize)
    return -(-count // step) * step


class ParameterArena:
    """The home of variables: one flat buffer for each dtype.

    Args:
        variables: those that have no home yet move in; the others stay where they are.

    Attributes:
        buffers: dtype name -> the flat array.
    """

    def __init__(self, variables: Iterable[Variable]):
        self.buffers: dict[str, Any] = {}
        by_dtype: dict[Any, list[Variable]] = {}
        for v in variables:
            if v.handle.home is None:
                by_dtype.setdefault(v.handle.array.dtype, []).append(v)
        for dtype, members in by_dtype.items():
            sizes = [_aligned(v.size, dtype.itemsize) for v in members]
            device = device_of(members[0].handle.array)
            flat = device.empty(sum(sizes), dtype)
            flat[...] = 0  # the gaps between variables are read by flat operations
            self.buffers[str(dtype)] = flat
            offset = 0
            for v, size in zip(members, sizes, strict=True):
                v.handle.rebind(
                    flat[offset : offset + v.size].reshape(v.shape), (self, flat, offset)
                )
                offset += size


class Run:
    """A stretch of variables whose homes and whose layout offsets advance together.

    Attributes:
        variables: indices into the layout.
        start, stop: in the layout's flat numbering.
        parameters: the flat slice of their home.
    """

    __slots__ = ("parameters", "start", "stop", "variables")

    def __init__(self, variables, start, stop, parameters):
        self.variables = variables
        self.start = start
        self.stop = stop
        self.parameters = parameters


class Layout:
    """Where one optimizer's variables lie in its flat arrays of one dtype.

    Args:
        variables: variables of one dtype that have a home.
    """

    def __init__(self, variables: Sequence[Variable]):
        self.variables = list(variables)
        self.dtype = self.variables[0].handle.array.dtype
        self.index = {id(v): i for i, v in enumerate(self.variables)}
        self.offsets = []
        self.size = 0
        for v in self.variables:
            self.offsets.append(self.size)
            self.size += _aligned(v.size, self.dtype.itemsize)
        self._runs: dict[tuple, list[Run]] = {}

    def view(self, flat, index: int):
        """The part of a flat array that belongs to one variable, in the variable's shape."""
        v, offset = self.variables[index], self.offsets[index]
        return flat[offset : offset + v.size].reshape(v.shape)

    def runs(self, indices: Sequence[int], groups: Sequence[Any] | None = None) -> list[Run]:
        """The fewest stretches that cover some of the variables.

        Args:
            indices: ascending indices of variables.
            groups: for each variable of the layout, what its neighbours must equal to share a
                stretch (weight decay or not).
        """
        key = (tuple(indices), None if groups is None else tuple(groups))
        if key not in self._runs:
            if len(self._runs) >= _REMEMBERED:
                self._runs.clear()
            self._runs[key] = list(self._cut(indices, groups))
        return self._runs[key]

    def _cut(self, indices, groups) -> Iterator[Run]:
        members: list[int] = []
        for i in indices:
            if members and not self._follows(members[-1], i, groups):
                yield self._run(members)
                members = []
            members.append(i)
        if members:
            yield self._run(members)

    def _follows(self, a: int, b: int, groups) -> bool:
        home_a, home_b = self.variables[a].handle.home, self.variables[b].handle.home
        return (
            b == a + 1
            and home_a[1] is home_b[1]
            and home_b[2] - home_a[2] == self.offsets[b] - self.offsets[a]
            and (groups is None or groups[a] == groups[b])
        )

    def _run(self, members: list[int]) -> Run:
        first, last = members[0], members[-1]
        start, stop = self.offsets[first], self.offsets[last] + self.variables[last].size
        _, flat, home = self.variables[first].handle.home
        return Run(tuple(members), start, stop, flat[home : home + stop - start])


class FlatBuffer:
    """A flat array with a cell for each variable of a layout: slots of an optimizer.

    Args:
        layout: the layout.
        value: what it is filled with, default 0.
        flat: the array, where the memory exists already; it is not filled.
        before_writing: called before a single cell is written.
    """

    def __init__(
        self,
        layout: Layout,
        value: float = 0,
        flat: Any = None,
        before_writing: Callable[[], None] | None = None,
    ):
        self.layout = layout
        if flat is None:
            device = device_of(layout.variables[0].handle.array)
            flat = device.empty(layout.size, layout.dtype)
            flat[...] = value
        self.flat = flat
        self.cells: list[Cell] = []
        for i in range(len(layout.variables)):
            memory = layout.view(self.flat, i)
            cell = Cell(memory) if before_writing is None else GuardedCell(memory, before_writing)
            cell.home = (self, self.flat, layout.offsets[i])
            self.cells.append(cell)

    def move(self, flat: Any) -> None:
        """Go on in other memory that holds the same values already."""
        release(self.cells)
        self.flat = flat
        for i, cell in enumerate(self.cells):
            cell.array = self.layout.view(flat, i)
            cell.home = (self, flat, self.layout.offsets[i])

    def release(self, indices: Iterable[int]) -> None:
        """Before a flat write: tensors that show these variables' parts keep their values."""
        for i in indices:
            self.cells[i].release()


class GradientArena(FlatBuffer):
    """Gradients at a layout's offsets.

    Attributes:
        written: indices of the variables whose gradient the last `store` wrote.
    """

    def __init__(self, layout: Layout, flat: Any = None):
        super().__init__(layout, flat=flat)
        self.written: list[int] = []

    def store(self, gradients: Sequence[Tensor | None]) -> list[int]:
        """Place gradients, one for each variable of the layout or `None`; answers the written set,
        ascending."""
        self.written = [i for i, g in enumerate(gradients) if g is not None]
        for v, g in zip(self.layout.variables, gradients, strict=True):
            if g is not None and g.shape != v.shape:
                raise ShapeError(
                    f"A gradient of shape {g.shape} came for the variable {v.path!r} of "
                    f"shape {v.shape}."
                )
        for g, cell in zip(gradients, self.cells, strict=True):
            if isinstance(g, DeferredSum):
                cell.release()
                g.write_to(cell.array)
                continue
            # What shows the cell whole lies there already; a view of it (a transpose) does not.
            if g is not None and g.array is not cell.array:
                cell.release()
                cell.array[...] = g.array
        return self.written

    def tensors(self, indices: Iterable[int]) -> list[Tensor]:
        """Tensors that show gradients in place; they are given copies when the arena is written
        again."""
        return [self.cells[i].tensor() for i in indices]
