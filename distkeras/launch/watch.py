"""A rank that dies without a word is named by a small process beside it.

`kill -9`, the kernel's choice when memory runs out, a crash in native code and `os._exit` leave no
chance to report, and an MPI launcher tells a process id at best. So each rank of a job forks a
watcher:

(a) It waits for the end of a pipe whose other end only the rank holds.
(b) The rank tells it where error reports go, and says goodbye at a normal end.
(c) When the pipe ends without goodbye the watcher claims the right to speak as a failing rank does
    (see `distribution/ends.py`). The launcher then kills the other ranks, whose watchers find it
    claimed.
"""

import atexit
import contextlib
import os
import signal
from pathlib import Path

from distkeras.distribution import ends

__all__ = ["Watcher"]

_MESSAGE = (
    "ended without a word: killed by a signal (kill -9, or the kernel when memory ran out), "
    "crashed in native code, or ended by os._exit"
)
_GOODBYE = b"\n"


class Watcher:
    """The process that speaks for a rank which cannot; to be made before threads and MPI start.

    Args:
        rank: the rank that forks it.
    """

    def __init__(self, rank: int):
        read, self._write = os.pipe()
        if os.fork() == 0:
            try:
                _watch(read, rank)
            finally:
                os._exit(0)
        os.close(read)
        self._process = os.getpid()
        # A forked child that kept the pipe open would hide the end of its parent.
        os.register_at_fork(after_in_child=self._close)
        atexit.register(self._goodbye)

    def report_to(self, directory: Path) -> None:
        """Tell it the directory of error reports."""
        os.write(self._write, os.fsencode(directory))

    def _goodbye(self) -> None:
        if os.getpid() == self._process:
            with contextlib.suppress(OSError):
                os.write(self._write, _GOODBYE)

    def _close(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self._write)


def _watch(read: int, rank: int) -> None:
    os.setsid()  # the launcher's signals are for the rank
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    kept = os.dup2(read, 100)
    for low, high in ((0, 2), (3, 100), (101, 4096)):  # all but stderr and the pipe
        os.closerange(low, high)
    told = b""
    while data := os.read(kept, 4096):
        told += data
    if not told or told.endswith(_GOODBYE):
        return  # before a directory is agreed on nobody could tell the first from the others
    errors = Path(os.fsdecode(told))
    if ends.claim(errors):
        text = f"[rank {rank}] {_MESSAGE}\n"
        ends.write_all(2, text)
        ends.keep_report(errors, rank, text)
