"""Sums over ranks of arrays that lie in the node's shared memory, and updates made of them.

One step on a node, with the phases of the flags (`flags.py`) in brackets:

a) `begin`: a rank waits until no other needs its numbers of the last step [left], and then writes
   new ones into its own array.
b) `arrive`: ranks meet, in a collective that compares what they are calling. From here on all
   arrays are whole and stay unchanged until [left].
c) Between nodes each owner adds its slice up over its node, then over the nodes; all slices are
   there after [summed]. On a single node nothing is computed yet.
d) Whoever looks at a sum adds up what it looks at (`read`): a local call.
e) `open_update` [updating], then each rank adds and updates its own slice, block by block in cache,
   and puts the new values where the others see them (`publish`); `close_update` [updated]; then
   everybody takes the others' slices over.
f) `leave` [left], at the end of the step: arrays may be written again.

A rank writes its own array, its slice of the sums, and its slice of what is published; nobody else
does.
"""

from typing import Any

import numpy as np

from distkeras.distribution import beacon, collectives
from distkeras.distribution.flags import LINE, Flags
from distkeras.distribution.nodes import nodes_of
from distkeras.distribution.ordered import ordered_sum, sum_by_slices, work_dtype
from distkeras.distribution.windows import Heap, heap_of
from distkeras.distribution.world import World
from distkeras.errors import CollectiveMismatchError

__all__ = ["SharedSum"]

_KIND = beacon.KINDS.index("reduce")


class SharedSum:
    """Arrays of equal size, one for each rank, and the sum of them.

    Make one by `SharedSum.make`.

    Attributes:
        mine: this rank's array.
        share: where this rank's slice starts and stops.
    """

    @classmethod
    def make(cls, group: World, size: int, dtype: np.dtype) -> "SharedSum | None":
        """Shared memory for arrays of so many elements, or None where there is too little; a
        collective call."""
        heap = heap_of(group)
        return cls._of(heap, size, np.dtype(dtype)) if heap.calls is not None else None

    @classmethod
    def _of(cls, heap: Heap, size: int, dtype: np.dtype) -> "SharedSum | None":
        group = heap.group
        several = nodes_of(group).several
        whole = -(-size * dtype.itemsize // LINE) * LINE
        sums = -(-size * work_dtype(dtype).itemsize // LINE) * LINE * several
        here = group.local_size
        block = heap.take(LINE * here + whole * (here + 1) + sums)
        return None if block is None else cls(heap, block, size, dtype)

    def __init__(self, heap: Heap, block: np.ndarray, size: int, dtype: np.dtype):
        self._heap, self._group, self._nodes = heap, heap.group, nodes_of(heap.group)
        here, rank = self._group.local_size, self._group.local_rank
        self.size, self.dtype = size, dtype
        flags = block[: LINE * here]
        flags[LINE * rank : LINE * (rank + 1)] = 0
        parts = []
        start = LINE * here
        for _ in range(here + 1):
            parts.append(block[start : start + size * dtype.itemsize].view(dtype))
            start += -(-size * dtype.itemsize // LINE) * LINE
        *self._arrays, self._new = parts
        self._sums: Any = None
        work = work_dtype(dtype)
        if self._nodes.several:
            self._sums = block[start : start + size * work.itemsize].view(work)
        self.mine = self._arrays[rank]
        self.mine[...] = 0
        self.share = self.share_of(size)
        self._flags = Flags(flags, rank, heap.fence)
        self._left = 0
        collectives.meet("reduce", "flags of a new array")  # none is read before all are zero

    def share_of(self, size: int) -> tuple[int, int]:
        """This rank's slice of so many elements, in whole cache lines."""
        line = max(1, LINE // self.dtype.itemsize)
        step = -(-size // (self._nodes.owners * line)) * line
        start = min(size, step * self._group.local_rank)
        return start, min(size, start + step)

    # --- steps (a) to (d) ---

    def begin(self) -> None:
        """Step (a)."""
        self._wait(self._left)

    def arrive(self, detail: str) -> None:
        """Steps (b) and (c).

        Args:
            detail: what is summed, in words that all ranks choose alike.
        """
        self._heap.fence()
        collectives.meet("reduce", detail)
        self._heap.fence()
        if not self._nodes.several:
            return
        start, stop = self.share
        if self._nodes.peers is not None and stop > start:
            total = self._sums[start:stop]
            ordered_sum([a[start:stop] for a in self._arrays], total)
            sum_by_slices(self._group, self._nodes.peers, total)
        self._wait(self._flags.post())

    def read(self, start: int, out: np.ndarray) -> None:
        """The sum over all ranks of a stretch.

        Args:
            start: where the stretch begins.
            out: a flat array of the arrays' dtype, which takes the sum.
        """
        stop = start + out.size
        if self._nodes.several:
            out[...] = self._sums[start:stop]
        else:
            ordered_sum([a[start:stop] for a in self._arrays], out)

    # --- steps (e) and (f) ---

    def open_update(self) -> None:
        """All ranks of the node are about to update: what they share may change."""
        self._wait(self._flags.post())

    def publish(self, start: int, values: np.ndarray) -> None:
        """Put new values of a part of this rank's slice where the other ranks see them."""
        self._new[start : start + values.size] = values

    def close_update(self) -> None:
        """Wait for the other ranks' slices."""
        self._wait(self._flags.post())

    def published(self, start: int, stop: int) -> np.ndarray:
        """The new values of a stretch, until `leave`."""
        return self._new[start:stop]

    def leave(self) -> None:
        """Step (f): this rank looks at nothing of this step any more."""
        self._left = self._flags.post()

    def take_memory(self, size: int) -> np.ndarray | None:
        """Shared memory for what belongs to the update, such as an optimizer's slots; see
        `Heap.take`."""
        return self._heap.take(size)

    # --- waiting ---

    def _wait(self, phase: int) -> None:
        if not self._flags.behind(phase):
            self._heap.fence()
            return
        beacon.enter(collectives.last_call()[0], _KIND)  # those who look for late ranks see it
        try:
            self._flags.wait(phase, lambda: self._check_the_others(phase))
        finally:
            beacon.leave()

    def _check_the_others(self, phase: int) -> None:
        """A rank that makes another call will never do its part of this one."""
        ordinal, description = collectives.last_call()
        for rank in self._flags.behind(phase):
            theirs = self._heap.calls[rank * LINE // 8]
            if theirs > ordinal:
                self._heap.fence()  # it posted before it called, so the post is visible now
                if rank in self._flags.behind(phase):
                    raise CollectiveMismatchError(
                        "The ranks called different collectives: after collective number "
                        f"{ordinal} ({description}) this rank updates variables with the sums of "
                        f"gradients, and rank {rank} of its node went on to number {theirs} "
                        "without that. Every rank must apply the same gradients: do not call an "
                        "optimizer behind a condition that differs between ranks."
                    )
