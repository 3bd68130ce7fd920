"""What strategies exchange, as messages of host arrays: sums of tensors, of buffers and of
totals."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from distkeras import config
from distkeras.devices.base import device_of
from distkeras.distribution import collectives, ordered, requests
from distkeras.engine.tensor import Tensor, from_host

__all__ = ["differing", "extremes", "of_all_ranks", "sum_in_place", "sum_of", "totals", "union"]


def sum_of(x: Any) -> Any:
    """The sum over ranks of a number or of a tensor, in the same form.

    Example:
        >>> sum_of(2), sum_of(0.5)
        (2, 0.5)
    """
    if isinstance(x, Tensor):
        host = device_of(x.array).to_host(x.array)
        return from_host(collectives.all_reduce(host).reshape(host.shape), x.dtype)
    if isinstance(x, int):
        return int(collectives.all_reduce(np.array([x], np.int64))[0])
    return float(collectives.all_reduce(np.array([x], np.float64))[0])


def sum_in_place(flat: Any, detail: str) -> None:
    """Sum a device's flat array over ranks, in place: in rank order, or as the library likes where
    `config.determinism()` is `"fast"`.

    Args:
        flat: the array.
        detail: what it holds, in words that all ranks choose alike.

    Example:
        >>> sum_in_place(np.ones(2), "two ones")
    """
    if not isinstance(flat, np.ndarray):  # a GPU's goes through the host: MPI knows no streams
        device = device_of(flat)
        host = device.to_host(flat)
        sum_in_place(host, detail)
        flat[...] = device.from_host(host)
    elif config.determinism() == "fast":
        collectives.all_reduce_inplace(flat)
    else:
        ordered.sum_in_place(flat, detail)


def totals(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The sums of host arrays over ranks, in one message.

    Example:
        >>> totals([np.ones(2, "float32")])[0].tolist()
        [1.0, 1.0]
    """
    if not arrays:
        return []
    # In float64 counts stay exact, and sums of float32 lose nothing.
    parts = [np.asarray(a, np.float64).reshape(-1) for a in arrays]
    return _cut(collectives.all_reduce(np.concatenate(parts)), arrays)


def extremes(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The largest values of host arrays over ranks, element by element, in one message.

    Example:
        >>> extremes([np.ones(2, "float32")])[0].tolist()
        [1.0, 1.0]
    """
    if not arrays:
        return []
    flat = np.concatenate([np.asarray(a, np.float64).reshape(-1) for a in arrays])
    return _cut(collectives.all_reduce(flat, "max"), arrays)


def _cut(flat: np.ndarray, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """A flat array in the shapes and dtypes of others."""
    found, start = [], 0
    for a in arrays:
        found.append(flat[start : start + a.size].reshape(a.shape).astype(a.dtype))
        start += a.size
    return found


def union(bits: int) -> int:
    """The bits of `requests` that are set on any rank.

    Example:
        >>> union(5)
        5
    """
    # A vector of bits, since ranks agree by maxima; it travels in the header: one message.
    highest = collectives.agree([bits >> i & 1 for i in range(requests.WIDTH)]).highest
    return sum(1 << i for i, bit in enumerate(highest.tolist()) if bit)


def differing(numbers: Sequence[int]) -> list[int]:
    """The indices of the unsigned 64-bit numbers that are not equal on all ranks.

    Example:
        >>> differing([2**64 - 1])
        []
    """
    same = collectives.agree(np.array(numbers, np.uint64)).same
    return [i for i, equal in enumerate(same.tolist()) if not equal]


def of_all_ranks(number: int) -> list[int]:
    """The unsigned 64-bit number of each rank.

    Example:
        >>> of_all_ranks(3)
        [3]
    """
    return collectives.all_gather(np.array([number], np.uint64)).tolist()
