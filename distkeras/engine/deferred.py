"""Sums over ranks that are computed where they are used.

A gradient of a variable is needed by the optimizer, slice by slice; few programs look at it. So
`GradientTape.gradient` answers, on several ranks, a tensor whose values are added up when somebody
reads them. An optimizer that finds such a tensor unread adds up and updates in one pass.
"""

from typing import Any, Protocol

from distkeras.devices.base import device_of
from distkeras.engine.dtypes import name_of
from distkeras.engine.tensor import Tensor, _next_uid

__all__ = ["DeferredSum", "Summed"]


class Summed(Protocol):
    """What a strategy has: the arrays of all ranks, and the ways to their sum.

    Attributes:
        share: where this rank's slice starts and stops.
        size, dtype: of the arrays.
    """

    size: int
    dtype: Any
    share: tuple[int, int]

    def read(self, start: int, out: Any) -> None:
        """The sum of a stretch, into a flat array; a local call."""

    def share_of(self, size: int) -> tuple[int, int]:
        """This rank's slice of something else of so many elements."""

    def open_update(self) -> None:
        """All ranks are about to update; collective."""

    def publish(self, start: int, values: Any) -> None:
        """Give the other ranks new values of a part of this rank's slice."""

    def close_update(self) -> None:
        """All ranks have published; collective."""

    def published(self, start: int, stop: int) -> Any:
        """The new values of a stretch."""

    def take_memory(self, size: int) -> Any:
        """So many bytes that the ranks of a node share, or None; collective."""


class DeferredSum(Tensor):
    """A tensor whose array is computed at its first use.

    Args:
        own: this rank's part, an array of the tensor's shape and dtype.
        summed: what adds up.
        start: where the part begins there.
    """

    __slots__ = ("_array", "own", "start", "summed")

    def __init__(self, own: Any, summed: Summed, start: int):
        self._array: Any = None
        self.own, self.summed, self.start = own, summed, start
        self.uid = _next_uid()
        self.cell = None
        self.batch = None

    @property
    def array(self):  # type: ignore[override]
        """The sum, in memory of its own."""
        if self._array is None:
            flat = device_of(self.own).empty(self.own.size, self.own.dtype)
            self.summed.read(self.start, flat)
            self._array = flat.reshape(self.own.shape)
        return self._array

    @property
    def read(self) -> bool:
        """Whether the array was computed."""
        return self._array is not None

    def write_to(self, array: Any) -> None:
        """Put the sum into a contiguous array."""
        if self._array is None:
            self.summed.read(self.start, array.reshape(-1))
        else:
            array[...] = self._array

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape, a tuple of ints."""
        return self.own.shape

    @property
    def dtype(self) -> str:
        """The dtype's name."""
        return name_of(self.own.dtype)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.own.ndim

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.own.size
