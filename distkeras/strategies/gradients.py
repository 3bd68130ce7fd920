"""The gradients of a step, summed over ranks.

a) Variables whose gradients are asked for together share an arena for each dtype. Sets that overlap
   share the arena of their union, so a network that drops layers at random has few arenas.
b) A large arena on the CPU lies in memory that the node's ranks share; its sums are computed where
   they are used (`engine/deferred.py`).
c) A small arena, one on a GPU, and one for which there is no memory to share is summed by messages.
   All ways add in one order, so the bits are the same.
"""

import weakref
from collections.abc import Sequence
from typing import Any

from distkeras import config
from distkeras.devices.base import device_of
from distkeras.distribution import messages
from distkeras.distribution.shared_sum import SharedSum
from distkeras.distribution.world import World
from distkeras.engine.arena import GradientArena, Layout, ParameterArena
from distkeras.engine.deferred import DeferredSum
from distkeras.engine.tensor import Tensor
from distkeras.engine.variable import Variable

__all__ = ["GradientSums"]


class _Arena:
    """The gradients of some variables of one dtype.

    Args:
        world: the world.
        variables: in the order of their homes.
    """

    def __init__(self, world: World, variables: Sequence[Variable]):
        self.layout = Layout(variables)
        size, dtype = self.layout.size, self.layout.dtype
        self.shared: SharedSum | None = None
        large = size * dtype.itemsize >= config.environment_number("DISTKERAS_SHARED_FROM")
        on_host = device_of(variables[0].handle.array).name == "cpu"
        if world.is_multi and large and on_host:
            self.shared = SharedSum.make(world, size, dtype)
        self.gradients = GradientArena(self.layout, self.shared.mine if self.shared else None)
        self._given: list[weakref.ref[DeferredSum]] = []
        self._begun = self._open = False

    def begin(self) -> None:
        """Before gradients are placed: sums that somebody holds are computed, on all ranks."""
        if self.shared is not None and not self._begun:
            self.leave()
            self.shared.begin()
            self._begun = True

    def sum(self, gradients: list) -> list:
        """The sums over ranks.

        Args:
            gradients: one for each variable, or `None` where there is none on any rank.

        Returns:
            A tensor for each gradient, or `None`.
        """
        written = [i for i, g in enumerate(gradients) if g is not None]
        detail = f"{len(written)} gradients, {self.layout.size} of {self.layout.dtype.name}"
        if self.shared is None:
            # A gradient may be an earlier one of this arena, which the sum below would change.
            self.gradients.release(range(len(self.gradients.cells)))
            self.gradients.store(gradients)
            messages.sum_in_place(self.gradients.flat, detail)
            return [None if g is None else c.tensor() for g, c in self._pairs(gradients)]
        self.begin()
        self.gradients.store(gradients)
        self.shared.arrive(f"{detail}, {hash(tuple(written))}")
        self._begun, self._open = False, True
        sums = [
            None if g is None else DeferredSum(c.array, self.shared, offset)
            for (g, c), offset in zip(self._pairs(gradients), self.layout.offsets, strict=True)
        ]
        self._given = [weakref.ref(s) for s in sums if s is not None]
        return sums

    def _pairs(self, gradients: list):
        return zip(gradients, self.gradients.cells, strict=True)

    def leave(self) -> None:
        """The end of a step: sums that somebody still holds are computed, and ranks may go on."""
        if self.shared is None or not self._open:
            return
        self._open = False
        for ref in self._given:
            held = ref()
            if held is not None:
                held.array  # noqa: B018
        self._given = []
        self.shared.leave()


class GradientSums:
    """The arenas of a strategy.

    Args:
        world: the world.
    """

    def __init__(self, world: World):
        self._world = world
        self._arenas: list[_Arena] = []
        self._places: dict[int, tuple[_Arena, int]] = {}

    def sum(self, variables: list, gradients: list) -> list[Tensor]:
        """The sums of gradients over ranks; all ranks call it with the same variables.

        Args:
            variables: those that have a gradient.
            gradients: this rank's, one for each.

        Returns:
            Tensors of the sums.
        """
        if any(id(v) not in self._places for v in variables) or self._scattered(variables):
            self._make_room(variables)
        places = [self._places[id(v)] for v in variables]
        by_arena: dict[int, tuple[_Arena, list]] = {}
        for (arena, i), g in zip(places, gradients, strict=True):
            known = by_arena.setdefault(id(arena), (arena, [None] * len(arena.layout.variables)))
            known[1][i] = g
        sums = {key: arena.sum(given) for key, (arena, given) in by_arena.items()}
        return [sums[id(arena)][i] for arena, i in places]

    def places(self, variables: list) -> dict[int, Any]:
        """Where gradients may be computed at once, by id of the variable.

        Args:
            variables: of which some or all have a gradient.
        """
        found = {}
        for v in variables:
            arena, i = self._places.get(id(v), (None, 0))
            if arena is not None and arena.shared is not None:
                arena.begin()
                found[id(v)] = arena.gradients.cells[i].array
        return found

    def leave(self) -> None:
        """The end of a step."""
        for arena in self._arenas:
            arena.leave()

    def _scattered(self, variables: list) -> bool:
        """Whether variables of one dtype lie in several arenas."""
        found: dict = {}
        for v in variables:
            arena = self._places[id(v)][0]
            if found.setdefault(arena.layout.dtype, arena) is not arena:
                return True
        return False

    def _make_room(self, variables: list) -> None:
        ParameterArena(variables)  # those without a home get one, as when an optimizer is built
        asked = {id(v) for v in variables}
        touched = [a for a in self._arenas if any(id(v) in asked for v in a.layout.variables)]
        for arena in touched:
            arena.leave()
        union = {id(v): v for a in touched for v in a.layout.variables}
        union |= {id(v): v for v in variables}
        # In the order of homes an update runs through gradients and parameters together.
        homes: dict[int, int] = {}
        for v in union.values():
            homes.setdefault(id(v.handle.home[1]), len(homes))
        ordered = sorted(
            union.values(), key=lambda v: (homes[id(v.handle.home[1])], v.handle.home[2])
        )
        self._arenas = [a for a in self._arenas if a not in touched]
        by_dtype: dict = {}
        for v in ordered:
            by_dtype.setdefault(v.handle.array.dtype, []).append(v)
        for members in by_dtype.values():
            arena = _Arena(self._world, members)
            self._arenas.append(arena)
            self._places |= {id(v): (arena, i) for i, v in enumerate(members)}
