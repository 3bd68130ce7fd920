"""Whether all ranks were given the same data."""

import zlib
from typing import Any

import numpy as np

from distkeras.distribution.collectives import agree
from distkeras.errors import DataError
from distkeras.utils import tree

__all__ = ["check_same", "fingerprint"]

_CAUSES = (
    "Every rank must be given the same data, of which it takes its own rows. Usual causes of a "
    "difference: `numpy.random.default_rng()` without a seed, the order of a set, the order of "
    "`os.listdir`, or data that were split by rank already."
)


def fingerprint(structure: Any, rows: int) -> int:
    """A number that tells data apart: from shapes, dtypes and up to `rows` rows of each array.

    Args:
        structure: NumPy arrays in any structure, and `None`.
        rows: how many rows of each array count, spread evenly, the last one among them.

    Example:
        >>> a = np.arange(6.0).reshape(3, 2)
        >>> fingerprint(a, 8) == fingerprint(a.copy(), 8), fingerprint(a, 8) == fingerprint(-a, 8)
        (True, False)
    """
    crc = 0
    for path, leaf in tree.flatten_with_path(structure):
        if leaf is None:
            continue
        crc = zlib.crc32(f"{path} {leaf.shape} {leaf.dtype}".encode(), crc)
        n = len(leaf)
        picked = leaf if n <= rows else leaf[np.linspace(0, n - 1, rows).astype(np.intp)]
        crc = zlib.crc32(np.ascontiguousarray(picked).view(np.uint8).data, crc)
    return crc


def check_same(structure: Any, samples: int, rows: int, where: str = "The data") -> None:
    """Compare this rank's data with that of the others; collective.

    Args:
        structure: NumPy arrays in any structure.
        samples: their length.
        rows: how many rows of each array are looked at.
        where: what is compared, for the message.

    Raises:
        DataError: on all ranks, where the data differ.
    """
    found = agree(np.array([samples, fingerprint(structure, rows)], np.int64))
    if not found.same[0]:
        raise DataError(
            f"{where} differ between ranks: from {found.lowest[0]} to {found.highest[0]} samples. "
            f"{_CAUSES}"
        )
    if not found.same[1]:
        raise DataError(f"{where} differ between ranks in their values or shapes. {_CAUSES}")
