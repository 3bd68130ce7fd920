"""Which kind of data a user passed, and the object that cuts it into batches."""

import inspect
from typing import Any

import numpy as np

from distkeras.data.arrays import DEFAULT_BATCH, ArrayData
from distkeras.data.convert import is_array_like
from distkeras.data.iterables import IterableData
from distkeras.data.parts import OwnParts
from distkeras.data.py_dataset import PyDataset, PyDatasetData
from distkeras.data.sampler import share
from distkeras.data.source import Source
from distkeras.distribution.settings import distribution
from distkeras.errors import DataError
from distkeras.utils import tree

__all__ = ["data_for"]


def data_for(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    batch_size: int | None = None,
    shuffle: bool | str = False,
    class_weight: dict | None = None,
    seed: int = 0,
    rank: int = 0,
    size: int = 1,
    labels: bool = True,
    limit: int | None = None,
    **settings: Any,
) -> Source:
    """The object that gives the batches of an epoch.

    Args:
        x, y, sample_weight, batch_size, shuffle, class_weight: what `fit` got.
        seed: decides the orders of samples.
        rank, size: this rank and the number of ranks.
        labels: whether labels that are not numbers are an error.
        limit: batches in an epoch, default all.
        **settings: further ones of `ArrayData`.

    Returns:
        A `Source`; `x` itself where it is one.

    Raises:
        DataError: where the data cannot be used.
    """
    if isinstance(x, Source):
        return x
    if x is None:
        raise DataError(
            "No data: pass `x`, an array with one row for each sample or an iterable of batches."
        )
    if size > 1 and not _shards():
        part = data_for(
            x,
            y,
            sample_weight,
            batch_size=_share_of_batch(batch_size, limit, rank, size),
            shuffle=shuffle,
            class_weight=class_weight,
            seed=seed,
            labels=labels,
            limit=limit,
            **settings,
        )
        return OwnParts(part, rank, limit)
    common: dict[str, Any] = {
        "class_weight": class_weight,
        "rank": rank,
        "size": size,
        "labels": labels,
        "limit": limit,
    }
    leaves = tree.flatten((x, y, sample_weight))
    if all(map(is_array_like, leaves)):
        return ArrayData(
            x, y, sample_weight, batch_size, shuffle=shuffle, seed=seed, **common, **settings
        )
    kind = _kind(x)
    _refuse(x, y, sample_weight, kind)
    if isinstance(x, PyDataset):
        return PyDatasetData(x, shuffle=bool(shuffle), seed=seed, **common)
    return IterableData(x, **common)


def _shards() -> bool:
    """Whether all ranks are given the same data."""
    chosen = distribution()
    return chosen is None or chosen.auto_shard_dataset


def _share_of_batch(batch_size: Any, limit: int | None, rank: int, size: int) -> Any:
    """A rank's rows of a global batch of arrays, of which each rank is given its own."""
    if batch_size is None and limit:
        return None  # what so many batches need
    batch_size = DEFAULT_BATCH if batch_size is None else batch_size
    if not isinstance(batch_size, int | np.integer) or batch_size < size:
        raise DataError(
            f"`batch_size` must be an integer of at least {size}, the number of ranks, where each "
            f"is given its own part of the data; got {batch_size!r}."
        )
    start, stop = share(int(batch_size), rank, size)
    return stop - start


def _kind(x: Any) -> str:
    """What an object is, in a word for messages."""
    if isinstance(x, PyDataset):
        return "PyDataset"
    if inspect.isgenerator(x):
        return "generator"
    return type(x).__qualname__


def _refuse(x: Any, y: Any, sample_weight: Any, kind: str) -> None:
    """Raise where `x` is no iterable of batches, or comes with what its batches should hold."""
    if tree.is_nested(x) or is_array_like(x):
        leaves = tree.flatten((x, y, sample_weight))
        odd = next(leaf for leaf in leaves if not is_array_like(leaf))
        raise DataError(
            "Expected arrays, or structures of arrays, as `x`, `y` and `sample_weight`; found an "
            f"object of type {type(odd).__module__}.{type(odd).__qualname__} among them."
        )
    if inspect.isgeneratorfunction(x):
        raise DataError(
            f"`x` is the function {x.__name__}, which makes a generator: call it, x={x.__name__}()."
        )
    if not hasattr(x, "__iter__"):
        hint = (
            " A data set that gives single samples needs a loader that makes batches of them, such "
            "as torch.utils.data.DataLoader."
            if hasattr(x, "__getitem__")
            else ""
        )
        raise DataError(
            f"Unrecognized data type: x={x!r} (of type {type(x)}). Expected arrays, a PyDataset, "
            f"or an iterable of batches.{hint}"
        )
    for name, value, words in (
        ("y", y, "the targets"),
        ("sample_weight", sample_weight, "the sample weights"),
    ):
        if value is not None:
            raise DataError(
                f"When providing `x` as a {kind}, `{name}` should not be passed. Instead, {words} "
                f"should be included as part of the {kind}."
            )
