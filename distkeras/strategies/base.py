"""What a strategy decides, and the one that changes nothing."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from distkeras.engine.arena import ParameterArena

__all__ = ["SingleProcess", "Strategy"]


class Strategy:
    """How steps are spread over ranks.

    The convention that everything rests on: **the global loss is the sum of the ranks' losses**. A
    rank divides its sum of losses by the global denominator (`distribution/denominators.py`), terms
    that do not depend on data are shared out, and so the global gradient is the plain sum of the
    ranks' gradients.

    Attributes:
        rank, size: this rank and the number of ranks.
    """

    rank = 0
    size = 1

    @contextmanager
    def step(self, offset: int, rows: int, global_rows: int) -> Iterator[None]:
        """A context for one step.

        Args:
            offset: index in the global batch of this rank's first row.
            rows: this rank's rows.
            global_rows: rows of the global batch.
        """
        yield

    def prepare(self, variables: Sequence) -> None:
        """Give variables their homes: one arena for what optimizers change, one for other state.

        A variable that has a home keeps it, so models that share layers share their memory.

        Args:
            variables: all variables of a model, in its order.
        """
        ParameterArena([v for v in variables if v.trainable])
        ParameterArena([v for v in variables if not v.trainable])

    def start(self, variables: Sequence) -> None:
        """Before training: all ranks take rank 0's values."""

    def totals(self, arrays: Sequence) -> list:
        """The sums of host arrays over ranks."""
        return list(arrays)

    def extremes(self, arrays: Sequence) -> list:
        """The largest values of host arrays over ranks, element by element."""
        return list(arrays)

    def first(self, values: Any) -> Any:
        """Rank 0's host array, on all ranks."""
        return values

    def union(self, bits: int) -> int:
        """The bits of `distribution.requests` that are set on any rank."""
        return bits

    def differing(self, fingerprints: Sequence[int]) -> list[int]:
        """The indices of the unsigned 64-bit numbers that are not equal on all ranks."""
        return []

    def of_all_ranks(self, number: int) -> list[int]:
        """The unsigned 64-bit number of each rank."""
        return [number]

    def gather_rows(self, rows: Any) -> Any:
        """The rows of all ranks, in rank order."""
        return rows


class SingleProcess(Strategy):
    """One process, no communication."""
