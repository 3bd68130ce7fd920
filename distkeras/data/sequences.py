"""Sequences of different lengths as one array."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from distkeras.errors import DataError

__all__ = ["pad_sequences"]


def pad_sequences(
    sequences: Sequence,
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> np.ndarray:
    """Sequences of different lengths as one array.

    Args:
        sequences: lists or arrays, whose items all have one shape.
        maxlen: the length of all, default that of the longest.
        dtype: of the result, default `"int32"`.
        padding: whether missing items go before (`"pre"`) or after (`"post"`).
        truncating: whether surplus items are cut off at the start or the end.
        value: the missing items.

    Returns:
        An array of shape `(len(sequences), maxlen, ...)`.

    Raises:
        DataError: where something is no sequence, or items differ in shape.

    Example:
        >>> pad_sequences([[1], [2, 3]]).tolist()
        [[0, 1], [2, 3]]
    """
    for name, where in (("padding", padding), ("truncating", truncating)):
        if where not in ("pre", "post"):
            raise DataError(f"`{name}` must be 'pre' or 'post', got {where!r}.")
    if not hasattr(sequences, "__len__"):
        raise DataError(f"`sequences` must be a list of sequences, got {type(sequences).__name__}.")
    odd = next((s for s in sequences if not hasattr(s, "__len__")), None)
    if odd is not None:
        raise DataError(f"`sequences` must be a list of iterables. Found non-iterable: {odd!r}")
    rows = [np.asarray(s, dtype=dtype) for s in sequences]
    length = max(map(len, rows), default=0) if maxlen is None else maxlen
    shape = next((r.shape[1:] for r in rows if len(r)), ())
    if isinstance(value, str) and np.dtype(dtype).kind not in "OSU":
        raise DataError(
            f"`dtype` {dtype} is not compatible with `value`'s type: {type(value)}\nYou should set "
            "`dtype=object` for variable length strings."
        )
    out = np.full((len(rows), length, *shape), value, dtype=dtype)
    for i, row in enumerate(rows):
        if len(row) and row.shape[1:] != shape:
            raise DataError(
                f"Shape of sample {row.shape[1:]} of sequence at position {i} is different from "
                f"expected shape {shape}"
            )
        kept = row[-length:] if truncating == "pre" else row[:length]
        if len(kept) and length:
            part = slice(0, len(kept)) if padding == "post" else slice(length - len(kept), length)
            out[i, part] = kept
    return out
