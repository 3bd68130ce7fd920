"""How a training step is spread over ranks: not at all, or by rows of the batch."""

from distkeras.distribution.world import world
from distkeras.strategies.base import SingleProcess, Strategy
from distkeras.strategies.data_parallel import DataParallel

__all__ = ["DataParallel", "SingleProcess", "Strategy", "current_strategy"]


def current_strategy() -> Strategy:
    """The strategy of this process: `DataParallel` where the world has several ranks, else
    `SingleProcess`."""
    here = world()
    return DataParallel(here) if here.size > 1 else SingleProcess()
