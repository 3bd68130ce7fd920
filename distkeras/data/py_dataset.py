"""`PyDataset`: batches by their number, and what `fit` makes of them."""

import itertools
import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from distkeras.data.batch import Batch
from distkeras.data.iterables import IterableData
from distkeras.data.sampler import GlobalSampler
from distkeras.errors import DataError
from distkeras.utils.seeding import random_states, set_random_states

__all__ = ["PyDataset", "PyDatasetData"]


class PyDataset:
    """Batches of data by number: a subclass defines `__getitem__`, and `__len__` or `num_batches`.

    On several ranks every rank reads the same batches and takes its own rows of each.

    Args:
        workers: how many threads read batches ahead; with 1 or less none is read ahead.
        use_multiprocessing: accepted; batches are read ahead by threads in either case.
        max_queue_size: how many batches are read ahead at most.

    Example:
        >>> import numpy as np
        >>> class Squares(PyDataset):
        ...     def __len__(self):
        ...         return 2
        ...     def __getitem__(self, index):
        ...         x = np.array([[index]], "float32")
        ...         return x, x**2
        >>> [float(y[0, 0]) for x, y in Squares()]
        [0.0, 1.0]
    """

    def __init__(
        self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10
    ):
        self.workers = workers
        self.use_multiprocessing = use_multiprocessing
        self.max_queue_size = max_queue_size

    def __getitem__(self, index: int) -> Any:
        """The batch of a number: `(inputs,)`, `(inputs, targets)`, or with sample weights."""
        raise NotImplementedError(f"{type(self).__name__} does not define `__getitem__`.")

    def __iter__(self) -> Iterator:
        """The batches in order."""
        for index in _indices(self):
            yield self[index]

    @property
    def num_batches(self) -> int | None:
        """How many batches there are, `None` for no end."""
        if hasattr(self, "__len__"):
            return len(self)
        raise NotImplementedError(
            f"{type(self).__name__} must define `__len__`, or the property `num_batches` (None for "
            "data without an end)."
        )

    def on_epoch_begin(self) -> None:
        """Called before each epoch."""

    def on_epoch_end(self) -> None:
        """Called after each epoch."""


def _indices(dataset: PyDataset) -> Iterable[int]:
    number = dataset.num_batches
    return itertools.count() if number is None else range(number)


class PyDatasetData(IterableData):
    """The batches of a `PyDataset`.

    Args:
        dataset: the data set.
        shuffle: whether each epoch takes the batches in another order.
        seed: decides the orders.
        **settings: those of `IterableData`.

    Raises:
        DataError: where it has no batch, or no end and `limit` is not given.
    """

    def __init__(self, dataset: PyDataset, shuffle: bool = False, seed: int = 0, **settings: Any):
        super().__init__(dataset, **settings)
        self.shuffle, self.seed = bool(shuffle), seed
        self._epochs = 0
        self._before_end: Any = None
        if self.length is None and self.limit is None:
            raise DataError(
                "A PyDataset without an end (`num_batches` is None) needs `steps_per_epoch` in "
                "`fit`, `validation_steps` for validation, or `steps` elsewhere."
            )
        if self.length is not None and self.length < 1:
            raise DataError(f"The PyDataset {type(dataset).__name__} has length {self.length}.")

    is_once = False

    def _known_length(self) -> int | None:
        return self.source.num_batches

    def begin_epoch(self) -> None:
        self.source.on_epoch_begin()

    def end_epoch(self) -> None:
        self._before_end = random_states() if self._remembers else None
        self._epochs += 1
        self.source.on_epoch_end()
        self.length = self._known_length()

    def description(self) -> dict[str, Any]:
        return {**super().description(), "batches": self.length, "shuffle": self.shuffle}

    def position(self, epoch: int, step: int) -> dict[str, Any]:
        own = {"seed": self.seed, "epochs": self._epochs, "before_end": self._before_end}
        return {**super().position(epoch, step), **own}

    def resume(self, position: dict[str, Any]) -> None:
        self.seed, self._epochs = position["seed"], position["epochs"]
        if not hasattr(self.source, "set_state"):
            # Data sets that shuffle themselves do so between epochs: let them do it as often.
            for epoch in range(self._epochs):
                self.source.on_epoch_begin()
                if epoch == self._epochs - 1 and position["before_end"] is not None:
                    set_random_states(position["before_end"])
                self.source.on_epoch_end()
        super().resume(position)

    def peek(self) -> Batch:
        if self._begun is None:  # before the first epoch, out of its order: read again there
            self._begun = iter(()), self.source[0], 0
            found = super().peek()
            self._begun = None
            return found
        return super().peek()

    def _batches(self, number: int, skip: int = 0) -> Iterator:
        if self.shuffle and self.length is not None:
            shuffled = GlobalSampler(self.length, 1, True, self.seed).order(number)
            order: Iterable[int] = [int(i) for i in shuffled]
        else:
            order = _indices(self.source)
        if skip:
            order = itertools.islice(order, skip, None)
        workers = _setting(self.source, "workers", 1)
        parallel = _setting(self.source, "use_multiprocessing", False)
        if workers > 1 or (workers > 0 and parallel):
            ahead = max(1, int(_setting(self.source, "max_queue_size", 10)))
            return _read_ahead(self.source, order, int(workers), ahead)
        return (self.source[i] for i in order)


def _setting(dataset: PyDataset, name: str, default: Any) -> Any:
    """An attribute that `PyDataset.__init__` sets, if it was called."""
    if not hasattr(dataset, name):
        warnings.warn(
            "Your `PyDataset` class should call `super().__init__(**kwargs)` in its constructor. "
            "`**kwargs` can include `workers`, `use_multiprocessing`, `max_queue_size`.",
            stacklevel=2,
        )
        setattr(dataset, name, default)
    return getattr(dataset, name)


def _read_ahead(dataset: Any, order: Iterable[int], workers: int, ahead: int) -> Iterator:
    """Batches in order, read by threads before they are needed."""
    pool = ThreadPoolExecutor(workers, thread_name_prefix="distkeras-data")
    try:
        waiting: deque = deque()
        for index in order:
            waiting.append(pool.submit(dataset.__getitem__, index))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
