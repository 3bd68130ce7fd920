"""`Source`: what gives batches, and how an epoch is cut from it."""

import warnings
from collections.abc import Generator
from typing import Any

from distkeras.data.batch import Batch
from distkeras.errors import DataError

__all__ = ["PEEKED_ROWS", "RAN_OUT", "Source"]

# Enough to see what targets are like, few enough to cost nothing.
PEEKED_ROWS = 32
RAN_OUT = (
    "Your input ran out of data; interrupting training. Make sure that your dataset or generator "
    "can generate at least `steps_per_epoch * epochs` batches."
)


def _is_positive(limit: Any) -> bool:
    if isinstance(limit, bool | str) or not hasattr(limit, "__int__"):
        return False
    return int(limit) == limit and limit >= 1


class Source:
    """The base of everything that gives batches.

    An epoch is one pass over the data; or, with `limit`, the next so many batches of a pass that
    goes on from epoch to epoch. A pass that ends within such an epoch ends the epoch, with a
    warning, and the next epoch begins a new one.

    Subclasses define `passes(number)`, `peek()` and `length`, and where they need it
    `begin_epoch()` and `end_epoch()`.

    Args:
        limit: batches in an epoch, default one whole pass.

    Raises:
        DataError: where `limit` is no positive integer.
    """

    length: int | None = None

    def __init__(self, limit: int | None = None):
        if limit is not None and not _is_positive(limit):
            raise DataError(
                f"`steps_per_epoch`, `validation_steps` and `steps` must be positive integers, got "
                f"{limit!r}."
            )
        self.limit = None if limit is None else int(limit)
        self._rest: Generator[Batch] | None = None
        self._passes = 0

    @property
    def steps(self) -> int | None:
        """Batches in an epoch, `None` where that is not known yet."""
        return self.limit or self.length

    def passes(self, number: int) -> Generator[Batch]:
        """The batches of one pass over the data."""
        raise NotImplementedError(f"{type(self).__name__} does not define `passes`.")

    def peek(self) -> Batch:
        """The first `PEEKED_ROWS` rows or fewer, to see shapes and values; they are not lost for
        training."""
        raise NotImplementedError(f"{type(self).__name__} does not define `peek`.")

    def begin_epoch(self) -> None:
        """Called before an epoch."""

    def end_epoch(self) -> None:
        """Called after an epoch, however it ends."""

    def restart(self) -> None:
        """The next epoch begins a new pass."""
        self._rest = None

    def epoch(self, number: int) -> Generator[Batch]:
        """The batches of an epoch.

        Args:
            number: the epoch, which decides the order of samples.
        """
        self.begin_epoch()
        try:
            if self.limit is None:
                yield from self.passes(number)
            else:
                yield from self._limited(self.limit)
        finally:
            self.end_epoch()

    def _limited(self, limit: int) -> Generator[Batch]:
        for taken in range(limit):
            batch = None if self._rest is None else next(self._rest, None)
            if batch is None and not taken:
                self._rest = self.passes(self._passes)
                self._passes += 1
                batch = next(self._rest, None)
            if batch is None:
                self._rest = None
                if taken:
                    warnings.warn(RAN_OUT, stacklevel=2)
                return
            yield batch
