"""Which kind of data a user passed, and the object that cuts it into batches."""

import inspect
from typing import Any

from distkeras.data.arrays import ArrayData
from distkeras.data.convert import is_array_like
from distkeras.data.iterables import IterableData
from distkeras.data.py_dataset import PyDataset, PyDatasetData
from distkeras.data.source import Source
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
