"""A rank that dies without a word is named by a small process beside it.

`kill -9`, the kernel's choice when memory runs out, a crash in native code and `os._exit` leave no
chance to report, and an MPI launcher tells a process id at best. So each rank of a job forks a
watcher:

(a) It waits for the end of two pipes whose other ends only the rank holds. By one of them the rank
    tells it where error reports go and who its node's other watchers are, and says goodbye at a
    normal end.
(b) The launcher kills the other ranks as soon as it misses one, so the watchers of all wake
    together. Which rank was first the kernel knows: a watcher has the pipes of all ranks of the
    node in one epoll set, which answers in the order of events. The order is causal: a dying
    process closes its files by ascending or by descending number, depending on the kernel, and
    one of the two pipes has a lower, the other a higher number than the connection to the
    launcher.
(c) The watcher of the first claims the right to speak as a failing rank does (see
    `distribution/ends.py`). The others leave when it is claimed. They speak themselves where
    nobody has for a while: the first had said goodbye, or the order is not known.
(d) When its rank ended without goodbye it removes the names that the MPI library gave to segments
    of shared memory. MPICH keeps them until MPI_Finalize: some megabytes for each job that failed.
(e) Meanwhile it looks whether its rank waits for another one for too long (see `overdue.py`).
"""

import atexit
import contextlib
import fcntl
import json
import os
import select
import signal
import time
from collections.abc import Iterable
from pathlib import Path

from distkeras.distribution import beacon, ends
from distkeras.launch import overdue

__all__ = ["Watcher"]

_MESSAGE = (
    "ended without a word: killed by a signal (kill -9, or the kernel when memory ran out), "
    "crashed in native code, or ended by os._exit"
)
_GOODBYE = "goodbye"
# Numbers of descriptors. Those of a watcher are the same everywhere: others find them by it.
_LIFE, _WORDS, _BEACON, _STACKS = range(100, 104)
_LAUNCHER_FROM = 64  # the connection to MPICH's launcher moves to the first free one from here
_WORDS_FROM = 512
_SEGMENTS = ("/dev/shm/mpich_shm_", "/dev/shm/sm_segment.", "/dev/shm/vader_segment.")
_PATIENCE = 1.0  # seconds for the first rank's watcher to speak


class Watcher:
    """The process that speaks for a rank which cannot; to be made before threads and MPI start.

    Args:
        rank: the rank that forks it.

    Attributes:
        pid: its process id, by which the watchers of a node find each other.
    """

    def __init__(self, rank: int):
        (life, self._life), (words, self._words) = os.pipe(), os.pipe()
        shared = beacon.create(), overdue.serve()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                _watch(life, words, shared, rank)
            finally:
                os._exit(0)
        os.close(life)
        os.close(words)
        self._words = _moved(self._words, _WORDS_FROM)
        with contextlib.suppress(KeyError, ValueError):
            connection = int(os.environ["PMI_FD"])
            if connection < self._life:
                os.environ["PMI_FD"] = str(_moved(connection, _LAUNCHER_FROM, fcntl.F_DUPFD))
        self._process = os.getpid()
        # A forked child that kept the pipes open would hide the end of its parent.
        os.register_at_fork(after_in_child=self._close)
        atexit.register(self._tell, _GOODBYE)

    def report_to(
        self,
        directory: Path,
        peers: Iterable[int] = (),
        rank: int = 0,
        ranks: int = 1,
        limits: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        """Tell it what it needs to know.

        Args:
            directory: the directory of error reports.
            peers: the process ids of the node's watchers.
            rank: this rank.
            ranks: how many the job has.
            limits: seconds to wait for ranks inside a step and in the program's own code.
        """
        place = {"rank": rank, "ranks": ranks, "step": limits[0], "user": limits[1]}
        peers = [int(pid) for pid in peers]
        self._tell(
            {"errors": str(directory), "peers": peers, "place": place, "segments": _segments()}
        )

    def _tell(self, words: object) -> None:
        if os.getpid() == self._process:
            with contextlib.suppress(OSError):
                os.write(self._words, json.dumps(words).encode() + b"\n")

    def _close(self) -> None:
        for descriptor in (self._life, self._words):
            with contextlib.suppress(OSError):
                os.close(descriptor)


def _moved(descriptor: int, lowest: int, how: int = fcntl.F_DUPFD_CLOEXEC) -> int:
    """A descriptor under the first free number from `lowest`, or as it is where there is none."""
    try:
        new = fcntl.fcntl(descriptor, how, lowest)
    except OSError:
        return descriptor
    os.close(descriptor)
    return new


def _segments() -> list[str]:
    """The files in /dev/shm by which the MPI library shares memory among this node's ranks."""
    found = set()
    with contextlib.suppress(OSError), open("/proc/self/maps") as file:
        for line in file:
            name = "/" + line.rstrip("\n").partition("/")[2]
            if name.startswith(_SEGMENTS):
                found.add(name)
    return sorted(found)


def _watch(life: int, words: int, shared: tuple[int | None, int | None], rank: int) -> None:
    os.setsid()  # the launcher's signals are for the rank
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    life, words = _moved(life, _WORDS_FROM), _moved(words, _WORDS_FROM)
    os.dup2(life, _LIFE)
    os.dup2(words, _WORDS)
    moved = [_moved(each, _WORDS_FROM) for each in shared if each is not None]
    for each, kept in zip(moved, (_BEACON, _STACKS), strict=False):
        os.dup2(each, kept)
    for low, high in ((0, 2), (3, _LIFE), (_WORDS + 1 + len(moved), 4096)):  # all but stderr, these
        os.closerange(low, high)
    told = b""
    while b"\n" not in told:
        data = os.read(_WORDS, 1 << 16)
        if not data:  # before a directory is agreed on nobody could tell the first from the others
            return
        told += data
    words_of_rank, _, rest = told.partition(b"\n")
    start = json.loads(words_of_rank)
    if start == _GOODBYE:
        return
    errors = Path(start["errors"])
    paths = [(f"/proc/{pid}/fd/{_BEACON}", f"/proc/{pid}/fd/{_STACKS}") for pid in start["peers"]]
    rank = start["place"]["rank"]
    overseer = overdue.Overseer(**start["place"], errors=errors, descriptors=paths)
    first = _is_first(start["peers"], overseer)
    while data := os.read(_WORDS, 1 << 16):
        rest += data
    if rest:
        return  # goodbye
    for name in start["segments"]:
        with contextlib.suppress(OSError):  # another watcher was faster
            os.unlink(name)
    deadline = time.monotonic() + (0 if first else _PATIENCE)
    while time.monotonic() < deadline and not ends.is_claimed(errors):
        time.sleep(0.02)
    if ends.claim(errors):
        text = f"[rank {rank}] {_MESSAGE}\n"
        ends.write_all(2, text)
        ends.keep_report(errors, rank, text)


def _is_first(peers: Iterable[int], overseer: overdue.Overseer) -> bool:
    """Wait for the end of this watcher's rank; whether no other rank of the node ended before it.

    Args:
        peers: the process ids of the node's watchers.
        overseer: what to do in the meantime.
    """
    lives = select.epoll() if hasattr(select, "epoll") else select.poll()
    own = (_LIFE, _WORDS)
    for descriptor in own:
        lives.register(descriptor, 0)  # a pipe's end is reported in any case
    for pid in peers:
        for number in own if pid != os.getpid() else ():
            with contextlib.suppress(OSError):  # it has ended, or cannot be seen from here
                other = os.open(f"/proc/{pid}/fd/{number}", os.O_RDONLY | os.O_NONBLOCK)
                lives.register(other, 0)
    first = True
    while True:
        # An epoll takes seconds; where there is none nobody oversees.
        ended = lives.poll(overseer.period) if overseer.period else lives.poll()
        if not ended:
            overseer.look()
        for descriptor, _ in ended:
            if descriptor in own:
                return first
            first = False
            lives.unregister(descriptor)
