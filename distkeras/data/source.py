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
        self._taken = 0  # batches of the pass that goes on from epoch to epoch

    @property
    def steps(self) -> int | None:
        """Batches in an epoch, `None` where that is not known yet."""
        return self.limit or self.length

    def passes(self, number: int, skip: int = 0) -> Generator[Batch]:
        """The batches of one pass over the data.

        Args:
            number: of the pass.
            skip: how many batches of it were taken before.
        """
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

    def epoch(self, number: int, skip: int = 0) -> Generator[Batch]:
        """The batches of an epoch.

        Args:
            number: the epoch, which decides the order of samples.
            skip: how many batches of it were taken before, by a process whose position `resume`
                took over.
        """
        self.begin_epoch()
        try:
            if self.limit is None:
                yield from self.passes(number, skip)
            else:
                yield from self._limited(self.limit, skip)
        finally:
            self.end_epoch()

    def _limited(self, limit: int, skip: int) -> Generator[Batch]:
        for taken in range(skip, limit):
            batch = None if self._rest is None else next(self._rest, None)
            if batch is None and not taken:
                self._rest = self.passes(self._passes)
                self._passes += 1
                self._taken = 0
                batch = next(self._rest, None)
            if batch is None:
                self._rest = None
                if taken:
                    warnings.warn(RAN_OUT, stacklevel=2)
                return
            self._taken += 1
            yield batch

    # --- positions in checkpoints ---

    def remember(self) -> None:
        """Keep from now on what `position` needs to know."""

    def description(self) -> dict[str, Any]:
        """What must be the same for a position to mean the same."""
        return {"kind": type(self).__name__, "steps_per_epoch": self.limit}

    def position(self, epoch: int, step: int) -> dict[str, Any]:
        """Where the data are, for a checkpoint.

        Args:
            epoch: the running epoch, or the next one.
            step: batches taken in the running epoch, 0 between epochs.
        """
        if self.limit is None:
            return {"pass": epoch, "passes": self._passes, "taken": step}
        taken = 0 if self._rest is None else self._taken
        return {"pass": self._passes - 1, "passes": self._passes, "taken": taken}

    def resume(self, position: dict[str, Any]) -> None:
        """Go on where another process was: the next epoch begins, or goes on, as there.

        Args:
            position: what `position` answered.
        """
        self._passes = position["passes"]
        self._taken = position["taken"]
        self._rest = None
        if self.limit is not None and self._taken:
            self._rest = self.passes(position["pass"], self._taken)
