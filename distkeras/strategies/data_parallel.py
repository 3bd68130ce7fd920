"""Data parallelism: each rank computes its rows of the global batch, gradients are summed over
ranks.

One training step on N ranks:
a) The batch is cut by rows (`data.sampler.share`); `step` tells the engine where this rank's rows
   lie in the global batch.
b) Losses divide by global denominators; batch normalization sums over ranks; random layers draw by
   global sample index.
c) `GradientTape.gradient` hands the gradients of variables to `reduce_gradients`: they are placed
   in one flat arena for each dtype, in memory that the ranks of a node share (`gradients.py`).
d) An optimizer adds up and updates this rank's slice of them in one pass, and copies the other
   slices of the parameters from the ranks that updated those. Where something has to be known of
   whole gradients, every rank adds all of them up, and applies the same update to its own copy.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from distkeras.devices.base import device_of
from distkeras.distribution import beacon, collectives, denominators, messages
from distkeras.distribution.batch import cross_rank_sum, gathered, own_rows
from distkeras.engine import context
from distkeras.engine.tensor import Tensor
from distkeras.strategies.base import Strategy
from distkeras.strategies.gradients import GradientSums

__all__ = ["DataParallel"]


class DataParallel(Strategy):
    """Rows of each batch on different ranks, the same model on all.

    Args:
        world: the `World` of ranks.
    """

    def __init__(self, world):
        self.world = world
        self.rank, self.size = world.rank, world.size
        self._gradients = GradientSums(world)

    @contextmanager
    def step(self, offset: int, rows: int, global_rows: int) -> Iterator[None]:
        changes = {
            "sample_offset": offset,
            "rows": (rows, global_rows),
            "track_batch": True,
            "join": cross_rank_sum,
            "ranks": self.size,
            "gather": gathered,
            "own": own_rows,
            "reduce_gradients": self.reduce_gradients,
            "gradient_places": self._gradients.places,
        }
        before = beacon.place(beacon.IN_STEP)
        try:
            with context.changed(**changes), denominators.using(messages.sum_of):
                yield
            self._gradients.leave()
        finally:
            beacon.place(before)

    def reduce_gradients(self, variables: list, gradients: list) -> list[Tensor]:
        """The sums over ranks of gradients of variables; all ranks call it with the same variables.

        Args:
            variables: those that have a gradient.
            gradients: this rank's, one for each.

        Returns:
            Tensors of the sums.
        """
        return self._gradients.sum(variables, gradients)

    def start(self, variables: Sequence) -> None:
        for v in variables:
            device = device_of(v.handle.array)
            v.assign(collectives.broadcast(device.to_host(v.handle.array)))

    def totals(self, arrays: Sequence) -> list:
        return messages.totals(arrays)

    def extremes(self, arrays: Sequence) -> list:
        return messages.extremes(arrays)

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
