"""Data that come in batches: generators, data loaders, any iterable.

Every rank iterates over the same global batches and takes its rows of each. Before each step the
ranks compare what they got: whether there is a batch, its length, and some of its values.
"""

from collections.abc import Generator, Iterator
from typing import Any

import numpy as np

from distkeras.data.batch import Batch
from distkeras.data.compare import fingerprint
from distkeras.data.convert import as_arrays, check_labels, class_weights, count_samples
from distkeras.data.sampler import share
from distkeras.data.source import PEEKED_ROWS, Source
from distkeras.distribution.collectives import agree
from distkeras.errors import DataError
from distkeras.utils import tree
from distkeras.utils.seeding import random_states, set_random_states

__all__ = ["IterableData"]

_COMPARED_ROWS = 3
_END: Any = object()


class IterableData(Source):
    """Batches from an iterable: `(x, y)`, `(x, y, sample_weight)`, `(x,)`, or `x` alone.

    Args:
        iterable: yields global batches. What can be iterated over only once (a generator) goes on
            from epoch to epoch until it is used up.
        class_weight: class number -> weight.
        rank, size: this rank and the number of ranks.
        labels: whether labels that are not numbers are an error.
        limit: batches in an epoch.

    Raises:
        DataError: where a batch cannot be used, or ranks get different batches.
    """

    def __init__(
        self,
        iterable: Any,
        class_weight: dict | None = None,
        rank: int = 0,
        size: int = 1,
        labels: bool = True,
        limit: int | None = None,
    ):
        super().__init__(limit)
        self.source = iterable
        self.class_weight = class_weight
        self.rank, self.size = rank, size
        self.labels = labels
        # An iterator that has begun, its first batch where that was looked at, and how many were
        # taken from it.
        self._begun: tuple[Iterator, Any, int] | None = None
        self._remembers = False
        self._start: Any = None  # random states, and the source's own, where a pass began
        self._total = 0
        self.length = self._known_length()

    @property
    def is_once(self) -> bool:
        """Whether there is only one pass."""
        return iter(self.source) is self.source

    def _known_length(self) -> int | None:
        try:
            return len(self.source)  # type: ignore[arg-type]
        except (TypeError, NotImplementedError):
            return None

    def _batches(self, number: int, skip: int = 0) -> Iterator:
        """What the user's object yields in one pass, after so many batches."""
        rest = iter(self.source)
        for _ in range(skip):
            if next(rest, _END) is _END:
                raise DataError(_shorter(skip))
        return rest

    def passes(self, number: int, skip: int = 0) -> Generator[Batch]:
        if self._begun is not None:
            rest, first, count = self._begun
            self._begun = None
        else:
            self._start = self._states() if self._remembers else None
            rest, first, count = self._batches(number, skip), _END, skip
        try:
            while True:
                raw = next(rest, _END) if first is _END else first
                first = _END
                batch = self._agreed(raw, count)
                if batch is None:
                    break
                count += 1
                self._total += 1
                yield batch
        finally:
            # A pass that is left early ends what it started, but not the user's own generator.
            if rest is not self.source and hasattr(rest, "close"):
                rest.close()
        if self.length is None and self.limit is None and count:
            self.length = count

    def peek(self) -> Batch:
        if self._begun is None:
            rest = self._batches(0)
            first = next(rest, _END)
            if self.size > 1:
                found = agree(np.array([first is not _END]))
                if not found.same[0]:
                    raise DataError(_different(0, found))
            if first is _END:
                raise DataError(
                    "The data gave no batch: the iterable is empty, or a generator that was used "
                    "up before."
                )
            self._begun = rest, first, 0
        data = self._arrays(self._begun[1], 0)
        x, y, weight = data
        rows = min(PEEKED_ROWS, count_samples(x, y, weight, "Batch 0"))
        return Batch(_take(data, 0, rows), rows, 0, rows)

    # --- positions in checkpoints ---

    def remember(self) -> None:
        self._remembers = True

    def _states(self) -> tuple:
        """The random states of this process, and the state of a source that tells it."""
        tells = hasattr(self.source, "get_state") and hasattr(self.source, "set_state")
        return random_states(), self.source.get_state() if tells else None

    def position(self, epoch: int, step: int) -> dict[str, Any]:
        # Within a pass: how it began, since it is taken again from there; else, how the next will.
        found = super().position(epoch, step)
        start = self._start if found["taken"] else self._states()
        return {**found, "start": start, "total": self._total}

    def resume(self, position: dict[str, Any]) -> None:
        """Batches that were used before are taken from the user's object again, and dropped."""
        super().resume(position)
        self._total = position["total"]
        if self.is_once:
            rest, first, _ = self._begun or (iter(self.source), _END, 0)
            for _ in range(self._total - (self._total > 0 and first is not _END)):
                if next(rest, _END) is _END:
                    raise DataError(_shorter(self._total))
            self._begun = (rest, _END if self._total else first, position["taken"])
            return
        if position["start"] is None:  # the pass was begun by a look at its first batch
            rest, first, _ = self._begun or (self._batches(0), _END, 0)
            for _ in range(position["taken"] - (first is not _END)):
                if next(rest, _END) is _END:
                    raise DataError(_shorter(position["taken"]))
            self._begun = (rest, _END, position["taken"])
            return
        states, own = position["start"]
        if own is not None:
            self.source.set_state(own)
        self._begun = None
        if position["taken"]:
            set_random_states(states)
            self._start = position["start"]
            rest = self._batches(position["pass"], position["taken"])
            self._begun = (rest, _END, position["taken"])

    def _agreed(self, raw: Any, number: int) -> Batch | None:
        """A batch of this rank's rows, when all ranks have got the same; `None` at the end."""
        data = None if raw is _END else self._arrays(raw, number)
        rows = 0
        if data is not None:
            x, y, weight = data
            rows = count_samples(x, y, weight, f"Batch {number}")
        if self.size > 1:
            mark = 0 if data is None else fingerprint(data, _COMPARED_ROWS)
            found = agree(np.array([rows, mark], np.int64))
            if not found.same.all():
                raise DataError(_different(number, found))
        if data is None:
            return None
        start, stop = share(rows, self.rank, self.size)
        return Batch(_take(data, start, stop), stop - start, start, rows)

    def _arrays(self, raw: Any, number: int) -> tuple:
        """`(x, y, sample_weight)` as arrays."""
        parts = tuple(raw) if isinstance(raw, list | tuple) else (raw,)
        if not 1 <= len(parts) <= 3:
            raise DataError(
                f"Batch {number} of the data has {len(parts)} parts; expected (inputs,), (inputs, "
                "targets) or (inputs, targets, sample_weights). Put several inputs into a tuple, "
                "list or dict of their own."
            )
        x, y, weight = (*parts, None, None)[:3]
        where = f"of batch {number}"
        x, y = as_arrays(x, f"the input {where}"), as_arrays(y, f"the target {where}")
        weight = as_arrays(weight, f"the sample weight {where}")
        if x is None:
            raise DataError(f"Batch {number} of the data has no input (None).")
        if self.labels:
            check_labels(y)
        if self.class_weight is not None:
            if weight is not None:
                raise DataError(
                    "You cannot pass `class_weight` where batches hold sample weights already."
                )
            weight = class_weights(y, self.class_weight)
        return x, y, weight


def _shorter(count: int) -> str:
    return (
        f"The data have fewer batches than the {count} that were used before the checkpoint. To "
        "resume, a program must iterate over the same data."
    )


def _take(data: tuple, start: int, stop: int) -> tuple:
    """Rows, copied: the user's buffers may be written again while a step still runs."""

    def rows(leaf):
        return None if leaf is None else leaf[start:stop].copy()

    return tuple(tree.map_structure(rows, part) for part in data)


def _different(number: int, found: Any) -> str:
    if found.lowest[0] == 0 and found.highest[0] > 0:
        what = "some ranks' data end here, others' go on"
    elif not found.same[0]:
        what = f"it has from {found.lowest[0]} to {found.highest[0]} samples"
    else:
        what = "its values or shapes differ"
    return (
        f"The ranks' data differ at batch {number}: {what}. Every rank must iterate over the same "
        "global batches, of which it takes its own rows. Usual causes of a difference: a generator "
        "that draws from an unseeded `numpy.random.default_rng()`, the order of a set or of "
        "`os.listdir`, or data that were split by rank already."
    )
