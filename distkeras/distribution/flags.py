"""How the ranks of a node wait for each other without messages: one flag each in shared memory.

a) A flag is an aligned 8-byte counter, alone on its cache line. One rank writes it, and only ever
   makes it larger, so no read-modify-write is needed: a reader sees the old value or the new one.
b) Every rank passes the same phases in the same order. Who has done its part of phase n *posts* n,
   and whoever needs the others' part of it *waits* until every flag is at least n. Posting and
   waiting are apart, so a rank does something else in between.
c) What was written before a post must be seen after the wait. Both therefore call a fence,
   `MPI_Win_sync`, a full memory barrier in MPICH and Open MPI; x86 would hardly need it, ARM does.
"""

from collections.abc import Callable

import numpy as np

from distkeras.distribution.waiting import wait_until

__all__ = ["LINE", "Flags"]

LINE = 64  # bytes of a cache line


class Flags:
    """The flags of a node's ranks.

    Args:
        memory: uint8, `LINE` bytes for each rank, zero before the first post.
        rank: which of them this rank writes.
        fence: a full memory barrier.

    Attributes:
        phase: the last phase that this rank posted.

    Example:
        >>> flags = Flags(np.zeros(LINE, np.uint8), 0, lambda: None)
        >>> flags.wait(flags.post())
    """

    def __init__(self, memory: np.ndarray, rank: int, fence: Callable[[], None]):
        self.phase = 0
        self._fence = fence
        self._words = memory.view(np.int64).data  # a memoryview answers Python numbers, quickly
        self._own = rank * (LINE // 8)
        self._others = [i for i in range(0, len(self._words), LINE // 8) if i != self._own]

    def post(self) -> int:
        """This rank has done its part of the next phase; the number of that phase."""
        self.phase += 1
        self._fence()
        self._words[self._own] = self.phase
        return self.phase

    def behind(self, phase: int) -> list[int]:
        """The ranks that have not posted a phase yet."""
        return [i // (LINE // 8) for i in self._others if self._words[i] < phase]

    def wait(self, phase: int, overdue: Callable[[], None] | None = None) -> None:
        """Return when every rank has posted a phase.

        Args:
            phase: its number.
            overdue: see `wait_until`.
        """
        words, others = self._words, self._others

        def reached() -> bool:
            for i in others:  # no generator: this loop is what a rank that waits does
                if words[i] < phase:
                    break
            else:
                return True
            return False

        wait_until(reached, overdue=overdue)
        self._fence()
