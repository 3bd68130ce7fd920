"""Data of which each rank is given its own part: `DataParallel(auto_shard_dataset=False)`."""

import contextlib
from collections.abc import Generator
from typing import Any

import numpy as np

from distkeras.data.batch import Batch
from distkeras.data.source import Source
from distkeras.distribution.collectives import all_gather
from distkeras.errors import DataError
from distkeras.utils import tree

__all__ = ["OwnParts"]

_ENDED = -1


class OwnParts(Source):
    """Global batches made of what the ranks give, in rank order.

    A rank whose part ends before those of others takes part in the remaining steps without rows.

    Args:
        part: what gives this rank's batches, made for a single process.
        rank: this rank.
        limit: batches in an epoch.

    Raises:
        DataError: on all ranks, where some rank's part holds no batch.
    """

    def __init__(self, part: Source, rank: int, limit: int | None = None):
        super().__init__(limit)
        self.part, self.rank = part, rank

    def passes(self, number: int, skip: int = 0) -> Generator[Batch]:
        """Each step's batch of this rank; before it, the ranks tell each other their rows.

        On resuming, what was taken before is taken again and dropped: a part may have ended.
        """
        rest = self.part.passes(number)
        empty: Any = None
        try:
            for _ in range(skip):
                batch = next(rest, None)
                if empty is None and batch is not None:
                    empty = tuple(tree.map_structure(_no_rows, d) for d in batch.data)
            while True:
                batch = next(rest, None)
                told = all_gather(np.array([_ENDED if batch is None else batch.rows], np.int64))
                if (told == _ENDED).all():
                    return
                data = empty if batch is None else batch.data
                if empty is None:
                    self._check(told)
                    empty = tuple(tree.map_structure(_no_rows, d) for d in data)
                rows = np.maximum(told, 0)
                offset = int(rows[: self.rank].sum())
                yield Batch(data, int(rows[self.rank]), offset, int(rows.sum()))
        finally:
            rest.close()

    def peek(self) -> Batch:
        found = None
        with contextlib.suppress(DataError):  # all ranks raise it together
            found = self.part.peek()
        self._check(all_gather(np.array([_ENDED if found is None else 0], np.int64)))
        assert found is not None
        return found

    def _check(self, told: np.ndarray) -> None:
        if (told == _ENDED).any():
            raise DataError(
                f"Rank {int(np.argmax(told == _ENDED))} has no batch in its part of the data. With "
                "`auto_shard_dataset=False` every rank is given its own part, and each needs one "
                "batch at least."
            )

    def begin_epoch(self) -> None:
        self.part.begin_epoch()

    def end_epoch(self) -> None:
        self.part.end_epoch()


def _no_rows(leaf: Any) -> Any:
    return None if leaf is None else leaf[:0].copy()
