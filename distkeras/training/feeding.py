"""Host arrays into tensors before a step, and numbers out of tensors after it."""

from typing import Any

import numpy as np

from distkeras.devices.base import current_device
from distkeras.engine.tensor import Tensor, from_host
from distkeras.utils import tree

__all__ = ["host_number", "to_tensors"]


def to_tensors(data: tuple, mark: bool = False) -> tuple:
    """The arrays of a batch as tensors on the current device.

    Args:
        data: `(x, y, sample_weight)` of NumPy arrays, structures of them, or `None`.
        mark: whether to note that axis 0 is the batch axis, which steps on several ranks need.

    Returns:
        The same with tensors. An array that is nobody else's is taken over without a copy.
    """
    own = current_device().name == "cpu"

    def convert(leaf: Any):
        if leaf is None or isinstance(leaf, Tensor):
            return leaf
        t = Tensor(leaf) if own and leaf.base is None else from_host(np.asarray(leaf))
        if mark and t.array.shape:
            t.batch = 0
        return t

    return tuple(
        convert(part)
        if part is None or isinstance(part, np.ndarray)
        else tree.map_structure(convert, part)
        for part in data
    )


def host_number(value: Any) -> Any:
    """A metric's value as Python floats or NumPy arrays."""
    if isinstance(value, Tensor):
        return value.item() if value.size == 1 else value.numpy()
    if isinstance(value, dict):
        return {k: host_number(v) for k, v in value.items()}
    if isinstance(value, np.generic):
        return value.item()
    return value.numpy() if hasattr(value, "handle") else value
