"""An optimizer's memory: gradients and slots at flat offsets, and how an update runs over them.

a) `build` groups the variables by dtype; each group is a `Part` with one layout, one gradient arena
   and one flat buffer for each slot. Variables without a home move into a parameter arena.
b) A step has a written set: the variables that have a gradient and are trainable. `Stretch`es cover
   exactly that set; nothing else is read or written.
c) Before a stretch is written, tensors that show its parameters and slots get copies of their own.
d) A rule runs in one call over a stretch. What is done to gradients first (scaling, accumulation,
   clipping) and weight decay are statements in front of the rule's own, in the same pass.
"""

import functools
from collections.abc import Sequence
from typing import Any

from distkeras.devices.base import device_of
from distkeras.engine.arena import FlatBuffer, GradientArena, Layout, ParameterArena
from distkeras.engine.updates import Update, compile_update, square_sum
from distkeras.engine.variable import Cell, Variable, release

__all__ = ["Memory", "Numbers", "Part", "Stretch"]

Numbers = dict[str, float]


class Part:
    """The variables of one dtype and what belongs to them.

    Attributes:
        positions: of its variables, in the order in which the optimizer was built.
        layout: offsets of gradients and slots.
        gradients: the gradient arena.
        buffers: symbol -> flat buffer, of slots and of what the optimizer itself keeps.
    """

    def __init__(self, positions: list[int], variables: Sequence[Variable]):
        self.positions = positions
        self.layout = Layout([variables[i] for i in positions])
        self.gradients = GradientArena(self.layout)
        self.buffers: dict[str, FlatBuffer] = {}
        self.xp = device_of(self.gradients.flat).xp


class Stretch:
    """A slice of a part that is updated in one call.

    Attributes:
        part: the part.
        decays: whether weight decay applies to its variables.
        cells: of its variables' parameters.
        members: indices of its variables in the part's layout.
    """

    __slots__ = ("_arrays", "_cells", "_start", "_stop", "cells", "decays", "members", "part")

    def __init__(self, part: Part, run, decays: bool):
        self.part, self.decays, self.members = part, decays, run.variables
        self.cells = [part.layout.variables[i].handle for i in self.members]
        self._start, self._stop = run.start, run.stop
        self._arrays = {"p": run.parameters, "gradient": part.gradients.flat[run.start : run.stop]}
        self._cells: dict[str, list[Cell]] = {
            "p": self.cells,
            "gradient": [part.gradients.cells[i] for i in self.members],
        }

    def array(self, symbol: str):
        """The slice of parameters (`p`), of gradients (`gradient`) or of a buffer."""
        if symbol not in self._arrays:
            buffer = self.part.buffers[symbol]
            self._arrays[symbol] = buffer.flat[self._start : self._stop]
            self._cells[symbol] = [buffer.cells[i] for i in self.members]
        return self._arrays[symbol]

    def run(self, source: str, symbols: tuple[str, ...], numbers: Numbers) -> None:
        """Run statements over the slice.

        Args:
            source: the statements.
            symbols: the arrays that they know.
            numbers: the numbers that they know.
        """
        update = compile_update(source, symbols, tuple(numbers))
        arrays = [self.array(symbol) for symbol in symbols]
        for symbol in update.written:
            release(self._cells[symbol])
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
            part.buffers[symbol] = FlatBuffer(part.layout, value)

    def cell(self, symbol: str, position: int) -> Cell:
        """The part of a buffer that belongs to one variable."""
        part, i = self.places[position]
        return part.buffers[symbol].cells[i]

    def store(self, gradients: Sequence[Any]) -> None:
        """Place gradients, one for each variable or `None`."""
        for part in self.parts:
            part.gradients.store([gradients[i] for i in part.positions])

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

    def clear(self, symbol: str) -> None:
        """Set a buffer to zero."""
        for part in self.parts:
            release(part.buffers[symbol].cells)
            part.buffers[symbol].flat[...] = 0


@functools.cache
def composed(update: str, preparation: tuple[str, ...], decays: bool) -> str:
    """A rule's statements after those that prepare gradients and those that decay weights."""
    parts = ["g = gradient", *preparation]
    if decays:
        parts.append("p = p - p * decay")
    return "; ".join([*parts, update])
