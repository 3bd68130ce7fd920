"""What a rank is doing, for those who wait for it: a few words of memory that others can read.

A rank writes what collective it waits in, and whether it is inside a step or in the program's own
code, by plain stores that cost a fraction of a microsecond. Its watcher and those of the other
ranks of its node read them (see `launch/overdue.py`), without its help: it may be stopped, or loop
in native code.

The memory belongs to a file without a name, so nothing is left over however the rank ends. Where
the system has no such files the words are an ordinary list that nobody reads.
"""

import mmap
import os
from dataclasses import dataclass
from typing import Any, Self

__all__ = [
    "END",
    "ENDED",
    "IN_STEP",
    "IN_USER_CODE",
    "KINDS",
    "Reading",
    "create",
    "enter",
    "identify",
    "leave",
    "place",
    "progress",
    "read",
]

# The collectives by their numbers in headers and beacons.
KINDS = (
    "all_reduce",
    "all_reduce_inplace",
    "all_gather",
    "broadcast",
    "broadcast_inplace",
    "barrier",
    "agree",
    "reduce",
    END := "end of the program",
)

# Where a rank is between its collectives.
IN_USER_CODE, IN_STEP, ENDED = range(3)

_CALL, _PLACE, _PROGRESS, _RANK, _PROCESS = range(5)
_SIZE = 64

_words: Any = [0] * (_SIZE // 8)


@dataclass(frozen=True)
class Reading:
    """What a beacon said at one moment.

    Attributes:
        ordinal: the number of the rank's newest collective, 0 before the first.
        kind: its name.
        waits: whether the rank is still in it.
        place: `IN_USER_CODE`, `IN_STEP` or `ENDED`.
        progress: counts the pieces of long messages.
        rank, process: whose beacon it is; the process id is 0 before `identify`.
    """

    ordinal: int
    kind: str
    waits: bool
    place: int
    progress: int
    rank: int
    process: int

    @classmethod
    def of(cls, words: Any) -> Self:
        """The reading of a beacon's memory."""
        call = words[_CALL]
        return cls(
            ordinal=call >> 8,
            kind=KINDS[(call & 0xFF) >> 1],
            waits=bool(call & 1),
            place=words[_PLACE],
            progress=words[_PROGRESS],
            rank=words[_RANK],
            process=words[_PROCESS],
        )


def create() -> int | None:
    """Make this process's beacon; its forked children share it.

    Returns:
        A descriptor of its memory, or None where the system has no files without names.
    """
    global _words
    if not hasattr(os, "memfd_create"):
        return None
    try:
        descriptor = os.memfd_create("distkeras-beacon")
        os.write(descriptor, bytes(_SIZE))  # takes the memory now: a store must not fail later
        _words = memoryview(mmap.mmap(descriptor, _SIZE)).cast("q")
    except OSError:
        return None
    return descriptor


def read(descriptor: int) -> Any:
    """The memory of another process's beacon, for `Reading.of`.

    Args:
        descriptor: of its file.
    """
    return memoryview(mmap.mmap(descriptor, _SIZE, prot=mmap.PROT_READ)).cast("q")


def identify(rank: int) -> None:
    """Say whose beacon this is.

    Args:
        rank: this process's number.
    """
    _words[_RANK] = rank
    _words[_PROCESS] = os.getpid()


def enter(ordinal: int, kind: int) -> None:
    """This rank enters a collective.

    Args:
        ordinal: its number in this process, from 1.
        kind: the number of its name in `KINDS`.
    """
    _words[_CALL] = ordinal << 8 | kind << 1 | 1


def leave() -> None:
    """It has come out of it."""
    _words[_CALL] &= ~1


def progress() -> None:
    """A piece of a long message has arrived."""
    _words[_PROGRESS] += 1


def place(where: int) -> int:
    """Say where this rank is.

    Args:
        where: `IN_USER_CODE`, `IN_STEP` or `ENDED`.

    Returns:
        Where it was before.

    Example:
        >>> place(place(IN_STEP)) == IN_STEP
        True
    """
    before: int = _words[_PLACE]
    _words[_PLACE] = where
    return before
