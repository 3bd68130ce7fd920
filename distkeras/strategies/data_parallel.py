"""Data parallelism: each rank computes its rows of the global batch, gradients are summed over
ranks.

One training step on N ranks:
a) The batch is cut by rows (`data.sampler.share`); `step` tells the engine where this rank's rows
   lie in the global batch.
b) Losses divide by global denominators; batch normalization sums over ranks; random layers draw by
   global sample index.
c) `GradientTape.gradient` hands the gradients of variables to `reduce_gradients`: they are placed
   in one flat arena, which is summed over ranks by one collective for each dtype.
d) Every rank applies the same update to its own copy of the model.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from distkeras.devices.base import device_of
from distkeras.distribution import beacon, collectives, denominators, messages
from distkeras.distribution.batch import cross_rank_sum
from distkeras.engine import context
from distkeras.engine.arena import GradientArena, Layout, ParameterArena
from distkeras.engine.tensor import Tensor
from distkeras.strategies.base import Strategy

__all__ = ["DataParallel"]


class DataParallel(Strategy):
    """Rows of each batch on different ranks, the same model on all.

    Args:
        world: the `World` of ranks.
    """

    def __init__(self, world):
        self.world = world
        self.rank, self.size = world.rank, world.size
        self._arenas: dict[tuple[int, ...], list[GradientArena]] = {}

    @contextmanager
    def step(self, offset: int, rows: int, global_rows: int) -> Iterator[None]:
        changes = {
            "sample_offset": offset,
            "rows": (rows, global_rows),
            "track_batch": True,
            "join": cross_rank_sum,
            "ranks": self.size,
            "reduce_gradients": self.reduce_gradients,
        }
        before = beacon.place(beacon.IN_STEP)
        try:
            with context.changed(**changes), denominators.using(messages.sum_of):
                yield
        finally:
            beacon.place(before)

    def reduce_gradients(self, variables: list, gradients: list) -> list[Tensor]:
        """The sums over ranks of gradients of variables; all ranks call it with the same variables.

        Args:
            variables: those that have a gradient.
            gradients: this rank's, one for each.

        Returns:
            Tensors that show the summed gradients.
        """
        arenas = self._arenas_for(variables)
        position = {
            id(v): (arena, i) for arena in arenas for i, v in enumerate(arena.layout.variables)
        }
        placed: dict[int, list] = {
            id(arena): [None] * len(arena.layout.variables) for arena in arenas
        }
        for v, g in zip(variables, gradients, strict=True):
            arena, i = position[id(v)]
            placed[id(arena)][i] = g
        for arena in arenas:
            # A gradient may be an earlier one of this arena, which the sum below would change.
            arena.release(range(len(arena.cells)))
            arena.store(placed[id(arena)])
            messages.sum_in_place(arena.flat)
        return [position[id(v)][0].cells[position[id(v)][1]].tensor() for v in variables]

    def _arenas_for(self, variables) -> list[GradientArena]:
        key = tuple(id(v) for v in variables)
        arenas = self._arenas.get(key)
        if arenas is None:
            ParameterArena(variables)  # those without a home get one, as when an optimizer is built
            by_dtype: dict = {}
            for v in variables:
                by_dtype.setdefault(v.handle.array.dtype, []).append(v)
            arenas = self._arenas[key] = [GradientArena(Layout(vs)) for vs in by_dtype.values()]
        return arenas

    def start(self, variables: Sequence) -> None:
        for v in variables:
            device = device_of(v.handle.array)
            v.assign(collectives.broadcast(device.to_host(v.handle.array)))

    def totals(self, arrays: Sequence) -> list:
        return messages.totals(arrays)

    def first(self, values: Any) -> Any:
        return collectives.broadcast(values)

    def union(self, bits: int) -> int:
        return messages.union(bits)

    def differing(self, fingerprints: Sequence[int]) -> list[int]:
        return messages.differing(fingerprints)

    def of_all_ranks(self, number: int) -> list[int]:
        return messages.of_all_ranks(number)

    def gather_rows(self, rows: Any) -> Any:
        return collectives.all_gather(rows)
