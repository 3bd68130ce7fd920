"""Data that lie in memory: NumPy arrays and what becomes one."""

import warnings
from collections.abc import Generator
from typing import Any

import numpy as np

from distkeras.data.batch import Batch
from distkeras.data.compare import check_same
from distkeras.data.convert import (
    as_arrays,
    check_labels,
    class_weights,
    count_samples,
    is_array_like,
)
from distkeras.data.sampler import GlobalSampler, share
from distkeras.data.source import PEEKED_ROWS, Source
from distkeras.errors import DataError
from distkeras.utils import tree

__all__ = ["ArrayData", "split_validation"]

DEFAULT_BATCH = 32
_COMPARED_ROWS = 4096


def split_validation(arrays: tuple, validation_split: float) -> tuple[tuple, tuple]:
    """The last part of the samples set aside, before any shuffling.

    Args:
        arrays: `(x, y, sample_weight)`.
        validation_split: the share of samples, between 0 and 1.

    Returns:
        `(training, validation)`, each like `arrays`.

    Raises:
        DataError: where nothing would be left on one side.
    """
    if not isinstance(validation_split, int | float | np.number) or not 0 < validation_split < 1:
        raise DataError(f"`validation_split` must be between 0 and 1, received: {validation_split}")
    odd = [type(leaf).__name__ for leaf in tree.flatten(arrays) if not is_array_like(leaf)]
    if odd:
        raise DataError(
            "Argument `validation_split` is only supported for tensors or NumPy arrays; found "
            f"{', '.join(odd)}. Pass `validation_data` instead."
        )
    names = ("x", "y", "sample_weight")
    arrays = tuple(as_arrays(part, f"`{n}`") for part, n in zip(arrays, names, strict=True))
    n = count_samples(*arrays)
    cut = int(np.floor(n * (1.0 - validation_split)))
    if cut == 0 or cut == n:
        raise DataError(
            f"Training data contains {n} samples, which is not sufficient to split it into a "
            f"validation and training set as specified by `validation_split={validation_split}`. "
            "Either provide more data, or a different value for the `validation_split` argument."
        )
    return _rows(arrays, slice(0, cut)), _rows(arrays, slice(cut, None))


def _rows(arrays: tuple, index: Any) -> tuple:
    """Rows of `(x, y, sample_weight)`."""

    def rows(leaf):
        return None if leaf is None else leaf[index]

    return tuple(
        part[index] if isinstance(part, np.ndarray) else tree.map_structure(rows, part)
        for part in arrays
    )


def _weights(y: Any, sample_weight: Any, class_weight: dict | None) -> Any:
    """The weights of samples, in the form of `y`."""
    if class_weight is not None:
        if sample_weight is not None:
            raise DataError(
                "You cannot pass `class_weight` and `sample_weight` at the same time. Multiply the "
                "classes' weights into `sample_weight`."
            )
        return class_weights(y, class_weight)
    if sample_weight is None or not tree.is_nested(y):
        return sample_weight
    if not tree.is_nested(sample_weight):
        if not (sample_weight.ndim == 1 or sample_weight.shape[1:] == (1,)):
            raise DataError(
                "For a model with several outputs a single `sample_weight` array must have one "
                f"number for each sample, shape (samples,); got {sample_weight.shape}. Pass one "
                "array for each output for weights of another shape."
            )
        return tree.map_structure(lambda _: sample_weight, y)
    if len(tree.flatten(sample_weight)) != len(tree.flatten(y)):
        raise DataError(
            "You should provide one `sample_weight` array per output in `y`: got "
            f"{len(tree.flatten(sample_weight))} for {len(tree.flatten(y))} outputs."
        )
    return sample_weight


_warned = False


def _warn_of_small_batches(batch_size: int, size: int, rank: int) -> None:
    """Once, from one rank: it is right, and no faster for so many ranks."""
    global _warned
    if _warned or rank != 0:
        return
    _warned = True
    warnings.warn(
        f"`batch_size={batch_size}` counts the rows of all ranks together, and there are {size} "
        "ranks: some have nothing to compute in each step. The results are right; use a larger "
        "batch, or fewer ranks.",
        stacklevel=5,
    )


class ArrayData(Source):
    """Arrays cut into global batches, of which each rank takes its rows.

    Args:
        x, y, sample_weight: nested structures of arrays with equal first axes.
        batch_size: rows of a global batch; default 32, or what `limit` batches need.
        shuffle: whether to take the samples in another order in each epoch; `"batch"` is taken as
            true.
        class_weight: class number -> weight.
        seed: decides the orders.
        rank, size: this rank and the number of ranks.
        labels: whether labels that are not numbers are an error.
        limit: batches in an epoch.
        compared: how many rows are compared over ranks.

    Raises:
        DataError: where the arrays cannot be used.
    """

    def __init__(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        batch_size: int | None = None,
        shuffle: bool | str = False,
        class_weight: dict | None = None,
        seed: int = 0,
        rank: int = 0,
        size: int = 1,
        labels: bool = True,
        limit: int | None = None,
        compared: int = _COMPARED_ROWS,
    ):
        super().__init__(limit)
        x, y = as_arrays(x, "`x`"), as_arrays(y, "`y`")
        sample_weight = as_arrays(sample_weight, "`sample_weight`")
        self.samples = count_samples(x, y, sample_weight)
        if labels:
            check_labels(y)
        self.arrays = (x, y, _weights(y, sample_weight, class_weight))
        given = batch_size is not None
        if batch_size is None:
            batch_size = -(-self.samples // limit) if limit else DEFAULT_BATCH
        if not isinstance(batch_size, int | np.integer) or batch_size < 1:
            raise DataError(f"`batch_size` must be a positive integer, got {batch_size!r}.")
        self.batch_size = int(batch_size)
        self.rank, self.size = rank, size
        if given and self.batch_size < size:
            _warn_of_small_batches(self.batch_size, size, rank)
        if size > 1:
            check_same(self.arrays, self.samples, compared)
        self.sampler = GlobalSampler(self.samples, self.batch_size, bool(shuffle), seed)
        self.length = self.sampler.steps

    def passes(self, number: int, skip: int = 0) -> Generator[Batch]:
        """This rank's part of each global batch, in the order of a pass."""
        for index in self.sampler.epoch(number, skip * self.batch_size):
            n = len(index)
            start, stop = share(n, self.rank, self.size)
            yield Batch(self._take(index[start:stop]), stop - start, start, n)

    def peek(self) -> Batch:
        """The first rows, to see shapes and values."""
        rows = min(PEEKED_ROWS, self.samples)
        return Batch(self._take(np.arange(rows)), rows, 0, rows)

    def description(self) -> dict[str, Any]:
        return {
            **super().description(),
            "samples": self.samples,
            "batch_size": self.batch_size,
            "shuffle": self.sampler.shuffle,
        }

    def position(self, epoch: int, step: int) -> dict[str, Any]:
        return {**super().position(epoch, step), "seed": self.sampler.seed}

    def resume(self, position: dict[str, Any]) -> None:
        self.sampler.seed = position["seed"]
        super().resume(position)

    def _take(self, index: np.ndarray) -> tuple:
        if not self.sampler.shuffle and len(index):
            return _rows(self.arrays, slice(int(index[0]), int(index[-1]) + 1))
        return _rows(self.arrays, index)
