"""One step's data: this rank's rows of a global batch."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from distkeras.errors import DataError

__all__ = ["Batch", "pack_x_y_sample_weight", "unpack_x_y_sample_weight"]


@dataclass(slots=True)
class Batch:
    """This rank's rows of a global batch.

    Attributes:
        data: `(x, y, sample_weight)` of NumPy arrays, as `train_step` gets it.
        rows: rows on this rank.
        offset: index of the first of them in the global batch.
        global_rows: rows of the global batch.
    """

    data: Any
    rows: int
    offset: int
    global_rows: int


def unpack_x_y_sample_weight(data: Any) -> tuple:
    """`data` as a tuple `(x, y, sample_weight)`, with `None` for what is missing.

    Raises:
        DataError: where a tuple has more than three items.

    Example:
        >>> unpack_x_y_sample_weight((1, 2))
        (1, 2, None)
    """
    if isinstance(data, list):
        data = tuple(data)
    if not isinstance(data, tuple):
        return data, None, None
    if not 1 <= len(data) <= 3:
        raise DataError(
            "Data is expected to be in format `x`, `(x,)`, `(x, y)`, or `(x, y, sample_weight)`, "
            f"found {len(data)} items."
        )
    return (*data, None, None)[:3]


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """The reverse of `unpack_x_y_sample_weight`: as few items as needed.

    Example:
        >>> pack_x_y_sample_weight(1, 2)
        (1, 2)
    """
    if y is None:
        return x if not isinstance(x, tuple | list) else (x,)
    return (x, y) if sample_weight is None else (x, y, sample_weight)


def rows_of(structure: Any) -> int:
    """The number of rows of the first array of a nested structure."""
    from distkeras.utils import tree

    for leaf in tree.flatten(structure):
        if leaf is not None:
            return int(np.shape(leaf)[0])
    return 0
