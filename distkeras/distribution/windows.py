"""The memory that the ranks of a node share: a pooled heap.

a) Memory comes in segments that have no name: local rank 0 makes an anonymous file
   (`memfd_create`) and tells the others its process and descriptor; they open and map it. Nothing
   is left behind whenever and however a job dies, and the size of `/dev/shm` does not matter.
b) The need is compared with the free memory first, and pages are reserved (`posix_fallocate`):
   a mapping beyond either succeeds, and kills at the first touch. Where one rank cannot, all ranks
   of all nodes go without.
c) A block is taken in a collective call, at the same place of the same segment on every rank of a
   node. It stays taken while any rank of the job still has an array that shows it. Ranks drop
   models at different times; they compare who still needs what at the next call that takes a block.
   Nothing is ever freed by a finalizer.
"""

import contextlib
import gc
import mmap
import os
import sys
import weakref
from typing import Any

import numpy as np

from distkeras import config
from distkeras.distribution import collectives, world
from distkeras.distribution.flags import LINE

__all__ = ["Heap", "free_memory", "heap_of"]

_PAGE = 4096
_SEGMENT = 4 << 20  # the least that is mapped at once
_KEPT_FREE = 0.1  # of the free memory, for everybody else


class _Block:
    """A taken stretch of a segment, known by the one array that all arrays in it are views of."""

    __slots__ = ("array", "segment", "start", "stop")

    def __init__(self, segment: "_Segment", start: int, size: int):
        self.segment, self.start, self.stop = segment, start, start + size
        self.array: Any = None

    def show(self) -> np.ndarray:
        # Views of it refer to this array, not to the map: it lives as long as the last of them.
        array = np.frombuffer(self.segment.memory, np.uint8, self.stop - self.start, self.start)
        self.array = weakref.ref(array)
        return array


class _Segment:
    """A map of memory."""

    __slots__ = ("memory", "size")

    def __init__(self, memory: mmap.mmap, size: int):
        self.memory, self.size = memory, size


class Heap:
    """The shared memory of the ranks of this node, and its counterparts on the other nodes.

    Args:
        group: a world of several ranks. Making a heap is a collective call.

    Attributes:
        calls: for each rank of the node the ordinal of its newest collective, `LINE` bytes apart;
            None where nothing can be shared.
    """

    def __init__(self, group: world.World):
        self.group = group
        self._segments: list[_Segment] = []
        self._blocks: list[_Block] = []
        # A window without memory: MPI's memory barrier belongs to one.
        self._window = group.mpi.Win.Create_dynamic(comm=group.node)
        self._window.Lock_all()
        self.fence = self._window.Sync
        world.at_end(self._free)
        self._said = False
        self.calls: Any = None
        lines = self.take(LINE * group.local_size)
        if lines is not None:
            self.calls = lines.view(np.int64).data
            self._lines = lines
            collectives.publish_calls(self.calls[group.local_rank * LINE // 8 :])

    def _free(self) -> None:
        self._window.Unlock_all()
        self._window.Free()

    @property
    def size(self) -> int:
        """How many bytes are mapped."""
        return sum(segment.size for segment in self._segments)

    @property
    def taken(self) -> int:
        """How many blocks are taken, as of the last call of `take`."""
        return len(self._blocks)

    def take(self, size: int) -> np.ndarray | None:
        """A block; collective over the whole world.

        Args:
            size: bytes, the same on all ranks of a node.

        Returns:
            A flat uint8 array that starts at a page and shows the same memory on every rank of the
            node, with whatever was there before. None, on all ranks of the world, where some node
            has not so much memory to share.
        """
        size = -(-size // _PAGE) * _PAGE
        self._drop_the_dead()
        place = self._fit(size)
        if self._any(place is None):
            gc.collect()  # models are cycles: those that are dropped may still be waiting for it
            self._drop_the_dead()
            place = self._fit(size)
            if self._any(place is None) and not self._grow(size if place is None else 0):
                return None
            place = self._fit(size)
        assert place is not None
        block = _Block(*place, size)
        self._blocks.append(block)
        return block.show()

    def _drop_the_dead(self) -> None:
        """Blocks that no rank has arrays of are free."""
        if self._blocks:
            alive = collectives.agree([int(b.array() is not None) for b in self._blocks]).highest
            self._blocks = [b for b, a in zip(self._blocks, alive, strict=True) if a]

    def _fit(self, size: int) -> tuple[_Segment, int] | None:
        """The first gap that is large enough."""
        for segment in self._segments:
            start = 0
            mine = [b for b in self._blocks if b.segment is segment]
            for block in sorted(mine, key=lambda b: b.start):
                if block.start - start >= size:
                    break
                start = block.stop
            if segment.size - start >= size:
                return segment, start
        return None

    def _any(self, flag: bool) -> bool:
        return bool(collectives.agree([int(flag)]).highest[0])

    def _grow(self, size: int) -> bool:
        """Map a segment where this node needs one; whether all nodes have what they need."""
        used = {id(b.segment) for b in self._blocks}
        self._segments = [s for s in self._segments if id(s) in used]
        segment, why = self._map(size)
        if not self._any(bool(why)):
            if segment is not None:
                self._segments.append(segment)
            return True
        if not self._said and config.environment("DISTKERAS_SHARED_MEMORY") != "0":
            self._said = True
            self._say(why)
        return False

    def _map(self, size: int) -> tuple[_Segment | None, str]:
        """A segment on all ranks of this node, or why this rank has none."""
        node, why, memory, descriptor = self.group.node, "", None, -1
        place = np.array([-1, -1, size], np.int64)
        if node.Get_rank() == 0 and size:
            free = free_memory(self.size)
            if size > free:
                why = f"{_mb(size)} more are needed and {_mb(free)} are free"
            else:
                if size < _SEGMENT < free // 8:
                    size = _SEGMENT
                try:
                    descriptor = os.memfd_create("distkeras")
                    os.posix_fallocate(descriptor, 0, size)
                    place[:] = os.getpid(), descriptor, size
                except (OSError, AttributeError) as error:
                    why = f"{_mb(size)} cannot be reserved: {error}"
        node.Bcast(place)
        size = int(place[2])
        if place[0] >= 0:
            try:
                if descriptor < 0:
                    descriptor = os.open(f"/proc/{place[0]}/fd/{place[1]}", os.O_RDWR)
                memory = mmap.mmap(descriptor, size)
            except (OSError, ValueError) as error:
                why = f"{_mb(size)} cannot be mapped: {error}"
        node.Barrier()  # the descriptor stays open until all have it
        if descriptor >= 0:
            with contextlib.suppress(OSError):
                os.close(descriptor)
        return (None if memory is None else _Segment(memory, size)), why

    def _say(self, why: str) -> None:
        """One line on why ranks send gradients; collective."""
        first = collectives.agree([-self.group.rank if why else -self.group.size]).highest[0]
        text = self.group.share_text(why, root=int(-first))
        if self.group.rank == 0:
            print(
                "distkeras: there is too little memory that ranks can share, so gradients take the "
                f"slower way, which gives the same numbers (rank {-first}: {text}).",
                file=sys.stderr,
                flush=True,
            )


_heap: Heap | None = None


def heap_of(group: world.World) -> Heap:
    """The heap of a world; the first call is collective."""
    global _heap
    if _heap is None or _heap.group is not group:
        _heap = Heap(group)
    return _heap


def free_memory(taken: int = 0) -> int:
    """How many bytes a node's ranks may share beyond those that they do.

    It is what the system calls available, less a tenth, within the limit of the control group and
    of `DISTKERAS_SHARED_MEMORY`.

    Args:
        taken: what is shared already.

    Example:
        >>> free_memory() >= 0
        True
    """
    free = sys.maxsize
    with contextlib.suppress(OSError), open("/proc/meminfo") as file:
        for line in file:
            name, _, value = line.partition(":")
            if name == "MemAvailable":
                free = int(value.split()[0]) << 10
    with contextlib.suppress(OSError, ValueError):
        limits = []
        for name in ("max", "current"):
            with open(f"/sys/fs/cgroup/memory.{name}") as file:
                limits.append(int(file.read()))
        free = min(free, limits[0] - limits[1])
    free = int(free * (1 - _KEPT_FREE))
    if config.environment("DISTKERAS_SHARED_MEMORY") != "auto":
        free = min(free, config.environment_number("DISTKERAS_SHARED_MEMORY") - taken)
    return max(0, free)


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
