"""An optimizer's memory: gradients and slots at flat offsets, and how an update runs over them.

a) `build` groups the variables by dtype; each group is a `Part` with one layout, one gradient arena
   and one flat buffer for each slot. Variables without a home move into a parameter arena.
b) A step has a written set: the variables that have a gradient and are trainable. `Stretch`es cover
   exactly that set; nothing else is read or written.
c) Before a stretch is written, tensors that show its parameters and slots get copies of their own.
d) A rule runs in one call over a stretch. What is done to gradients first (scaling, accumulation,
   clipping) and weight decay are statements in front of the rule's own, in the same pass.
e) On several ranks a rule that looks at one element at a time runs over this rank's slice of each
   stretch: the sum over ranks, the update, and the hand-over of the new parameters in one pass. The
   slots then lie in memory that the ranks of a node share, where each rank writes its slice, so
   that they are whole wherever somebody looks. Any other write gives this rank its own copy first.
"""

import functools
from collections.abc import Iterable, Sequence
from typing import Any

from distkeras.devices.base import device_of
from distkeras.engine.arena import FlatBuffer, GradientArena, Layout, ParameterArena
from distkeras.engine.deferred import DeferredSum, Summed
from distkeras.engine.updates import Update, compile_update, square_sum
from distkeras.engine.variable import Cell, Variable, release

__all__ = ["Memory", "Numbers", "Part", "Slice", "Stretch"]

Numbers = dict[str, float]


class Part:
    """The variables of one dtype and what belongs to them.

    Attributes:
        positions: of its variables, in the order in which the optimizer was built.
        layout: offsets of gradients and slots.
        gradients: the gradient arena.
        buffers: symbol -> flat buffer, of slots and of what the optimizer itself keeps.
        shared: whether the buffers lie in memory that ranks share.
        moves: how often the buffers were moved.
    """

    def __init__(self, positions: list[int], variables: Sequence[Variable]):
        self.positions = positions
        self.layout = Layout([variables[i] for i in positions])
        self.buffers: dict[str, FlatBuffer] = {}
        self.xp = device_of(self.layout.variables[0].handle.array).xp
        self.shared = False
        self.moves = 0
        self._unshareable = False

    @functools.cached_property
    def gradients(self) -> GradientArena:
        """The gradient arena."""
        return GradientArena(self.layout)

    def add(self, symbol: str, value: float) -> None:
        """A buffer more."""
        self.privatize()
        self.buffers[symbol] = FlatBuffer(self.layout, value, before_writing=self.privatize)

    def share(self, summed: Summed) -> bool:
        """Move the buffers to memory that the ranks share; whether they are there. Collective."""
        if self.shared or not self.buffers:
            return True
        if self._unshareable:
            return False
        size, dtype = self.layout.size, self.layout.dtype
        each = size * dtype.itemsize
        memory = summed.take_memory(each * len(self.buffers))
        if memory is None:
            self._unshareable = True
            return False
        start, stop = summed.share_of(size)
        for k, buffer in enumerate(self.buffers.values()):
            flat = memory[k * each : (k + 1) * each].view(dtype)
            flat[start:stop] = buffer.flat[start:stop]
            buffer.move(flat)
        self.shared = True
        self.moves += 1
        return True

    def privatize(self) -> None:
        """Before this rank alone writes to a buffer: all go to memory of its own. Local."""
        if not self.shared:
            return
        self.shared = False
        self.moves += 1
        device = device_of(self.layout.variables[0].handle.array)
        for buffer in self.buffers.values():
            flat = device.empty(self.layout.size, self.layout.dtype)
            flat[...] = buffer.flat
            buffer.move(flat)


class Stretch:
    """A slice of a part that is updated in one call.

    Attributes:
        part: the part.
        decays: whether weight decay applies to its variables.
        cells: of its variables' parameters.
        members: indices of its variables in the part's layout.
    """

    __slots__ = (
        "_arrays",
        "_cells",
        "_moves",
        "_parameters",
        "cells",
        "decays",
        "members",
        "part",
        "start",
        "stop",
    )

    def __init__(self, part: Part, run, decays: bool):
        self.part, self.decays, self.members = part, decays, run.variables
        self.cells = [part.layout.variables[i].handle for i in self.members]
        self.start, self.stop = run.start, run.stop
        self._parameters = run.parameters
        self._moves = -1
        self._arrays: dict[str, Any] = {}
        self._cells: dict[str, list[Cell]] = {}

    def array(self, symbol: str):
        """The slice of parameters (`p`), of gradients (`gradient`) or of a buffer."""
        if self._moves != self.part.moves:
            self._moves = self.part.moves
            self._arrays, self._cells = {"p": self._parameters}, {"p": self.cells}
        if symbol not in self._arrays:
            gradients = symbol == "gradient"
            buffer = self.part.gradients if gradients else self.part.buffers[symbol]
            self._arrays[symbol] = buffer.flat[self.start : self.stop]
            self._cells[symbol] = [buffer.cells[i] for i in self.members]
        return self._arrays[symbol]

    def release(self, symbols: Iterable[str]) -> None:
        """Before arrays are written: tensors that show them get copies of their own."""
        for symbol in symbols:
            release(self._cells[symbol])

    def run(self, source: str, symbols: tuple[str, ...], numbers: Numbers) -> None:
        """Run statements over the slice.

        Args:
            source: the statements.
            symbols: the arrays that they know.
            numbers: the numbers that they know.
        """
        self.part.privatize()
        update = compile_update(source, symbols, tuple(numbers))
        arrays = [self.array(symbol) for symbol in symbols]
        self.release(update.written)
        update(self.part.xp, arrays, tuple(numbers.values()))

    def square_sum(self) -> float:
        """The sum of the squared gradients of the slice."""
        return square_sum(self.part.xp, self.array("gradient"))

    def scale_gradients(self, limit: float) -> None:
        """Scale each variable's gradient whose norm exceeds a limit to that norm."""
        gradients, layout = self.part.gradients, self.part.layout
        for i in self.members:
            start = layout.offsets[i]
            flat = gradients.flat[start : start + layout.variables[i].size]
            norm = square_sum(self.part.xp, flat) ** 0.5
            if not norm <= limit:  # also where it is no number
                gradients.cells[i].release()
                _SCALE(self.part.xp, (flat,), (limit / norm,))


class Slice:
    """A stretch whose gradients are sums over ranks that nobody has looked at: each rank updates
    its slice, and takes the others' over.

    Args:
        stretch: the stretch; the slots of its part are shared.
        summed: where its gradients are summed.
        shift: how much further on an element lies there than in the stretch's layout.
    """

    __slots__ = ("_shift", "_stretch", "decays", "summed")

    def __init__(self, stretch: Stretch, summed: Summed, shift: int):
        self._stretch, self.summed, self._shift = stretch, summed, shift
        self.decays = stretch.decays

    @property
    def positions(self) -> list[int]:
        """Of its variables, in the order in which the optimizer was built."""
        return [self._stretch.part.positions[i] for i in self._stretch.members]

    def _mine(self) -> tuple[int, int]:
        """Where this rank's slice starts and stops, in the stretch's numbering."""
        length = self._stretch.stop - self._stretch.start
        first = self._stretch.start + self._shift
        start, stop = (min(max(x - first, 0), length) for x in self.summed.share)
        return start, stop

    def release(self, symbols: tuple[str, ...]) -> None:
        """Before any rank writes: tensors that show parameters and slots get copies."""
        for symbol in symbols:
            self._stretch.array(symbol)
        self._stretch.release(symbols)

    def run(self, source: str, symbols: tuple[str, ...], numbers: Numbers) -> None:
        """Run statements over this rank's slice; see `Stretch.run`."""
        start, stop = self._mine()
        if start == stop:
            return
        part, summed = self._stretch.part, self.summed
        update = compile_update(source, symbols, tuple(numbers))
        place, p = symbols.index("gradient"), symbols.index("p")
        at = self._stretch.start + self._shift + start
        whole = [self._stretch.array("p" if s == "gradient" else s) for s in symbols]
        kept = device_of(whole[p]).empty(min(_BLOCK, stop - start), part.layout.dtype)

        def before(i: int, j: int, views: list) -> None:
            views[place] = gradient = kept[: j - i]
            summed.read(at + i, gradient)

        def after(i: int, j: int, views: list) -> None:
            summed.publish(at + i, views[p])

        arrays = [a[start:stop] for a in whole]
        update(part.xp, arrays, tuple(numbers.values()), _BLOCK, before, after)

    def take_over(self) -> None:
        """Copy the other ranks' slices of the parameters."""
        start, stop = self._mine()
        p = self._stretch.array("p")
        at = self._stretch.start + self._shift
        for i, j in ((0, start), (stop, p.size)):
            if i < j:
                p[i:j] = self.summed.published(at + i, at + j)


_BLOCK = 32768  # elements that a rank sums and updates at a time
_SCALE: Update = compile_update("g = g * factor", ("g",), ("factor",))


class Memory:
    """The parts of an optimizer.

    Args:
        variables: those that it was built with.

    Attributes:
        index: id of a variable -> its position.
        places: position of a variable -> its part and its index there.
    """

    def __init__(self, variables: Sequence[Variable]):
        self.variables = list(variables)
        self.index = {id(v): i for i, v in enumerate(self.variables)}
        ParameterArena(self.variables)
        by_dtype: dict[Any, list[int]] = {}
        for i, v in enumerate(self.variables):
            by_dtype.setdefault(v.handle.array.dtype, []).append(i)
        self.parts = [Part(positions, self.variables) for positions in by_dtype.values()]
        self.places: dict[int, tuple[Part, int]] = {
            position: (part, i) for part in self.parts for i, position in enumerate(part.positions)
        }
        self._stretches = functools.lru_cache(64)(self._cut)

    def add(self, symbol: str, value: float = 0.0) -> None:
        """A flat buffer for every part."""
        for part in self.parts:
            part.add(symbol, value)

    def cell(self, symbol: str, position: int) -> Cell:
        """The part of a buffer that belongs to one variable."""
        part, i = self.places[position]
        return part.buffers[symbol].cells[i]

    def store(self, gradients: Sequence[Any]) -> None:
        """Place gradients, one for each variable or `None`."""
        for part in self.parts:
            found = [gradients[i] for i in part.positions]
            if any(g is not None for g in found):
                part.gradients.store(found)

    def gradient(self, position: int):
        """A tensor that shows a variable's gradient."""
        part, i = self.places[position]
        return part.gradients.cells[i].tensor()

    def stretches(self, positions: Sequence[int], decays: Sequence[bool]) -> list[Stretch]:
        """The fewest slices that cover some variables.

        Args:
            positions: of the variables.
            decays: for each variable of the optimizer, whether weight decay applies.
        """
        return self._stretches(tuple(positions), tuple(decays))

    def _cut(self, positions: tuple[int, ...], decays: tuple[bool, ...]) -> list[Stretch]:
        chosen = set(positions)
        found = []
        for part in self.parts:
            indices = [i for i, p in enumerate(part.positions) if p in chosen]
            groups = [decays[p] for p in part.positions]
            for run in part.layout.runs(indices, groups):
                found.append(Stretch(part, run, groups[run.variables[0]]))
        return found

    def slices(self, stretches: Sequence[Stretch], gradients: Sequence[Any]) -> list:
        """Stretches, those as `Slice`s whose gradients are sums that nobody has looked at;
        collective where there are such.

        Args:
            stretches: what is to be updated.
            gradients: one for each variable, or `None`.
        """
        slices = [self._slice(stretch, gradients) for stretch in stretches]
        # The variables of a part are updated in one way: its slots are shared or they are not.
        whole = {id(s.part) for s, own in zip(stretches, slices, strict=True) if own is None}
        found: list = []
        for stretch, own in zip(stretches, slices, strict=True):
            if own is None or id(stretch.part) in whole or not stretch.part.share(own.summed):
                found.append(stretch)
            else:
                found.append(own)
        return found

    def _slice(self, stretch: Stretch, gradients: Sequence[Any]) -> Slice | None:
        """The slice of a stretch whose gradients lie in its order in one sum."""
        positions, offsets = stretch.part.positions, stretch.part.layout.offsets
        first = gradients[positions[stretch.members[0]]]
        if not isinstance(first, DeferredSum):
            return None
        shift = first.start - offsets[stretch.members[0]]
        for i in stretch.members:
            g = gradients[positions[i]]
            if not isinstance(g, DeferredSum) or g.summed is not first.summed:
                return None
            if g.start - offsets[i] != shift:
                return None
        return Slice(stretch, first.summed, shift)

    def clear(self, symbol: str) -> None:
        """Set a buffer to zero."""
        for part in self.parts:
            part.privatize()
            release(part.buffers[symbol].cells)
            part.buffers[symbol].flat[...] = 0


@functools.cache
def composed(update: str, preparation: tuple[str, ...], decays: bool) -> str:
    """A rule's statements after those that prepare gradients and those that decay weights."""
    parts = ["g = gradient", *preparation]
    if decays:
        parts.append("p = p - p * decay")
    return "; ".join([*parts, update])
