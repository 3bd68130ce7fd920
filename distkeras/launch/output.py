"""Where a rank's output goes, changed at its descriptors: C code and child processes follow."""

import atexit
import contextlib
import fcntl
import os
import selectors
import signal
import stat
import sys
from collections.abc import Iterable
from pathlib import Path

__all__ = ["Prefixer", "log_to", "write_lines"]


def log_to(path: Path) -> None:
    """Append everything that this process writes to stdout to a file, line by line.

    Args:
        path: the file.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    sys.stdout.flush()
    os.dup2(descriptor, 1)
    os.close(descriptor)


def write_lines() -> None:
    """Let Python hand on its output by lines, although a pipe stands behind it.

    All ranks share one stderr. With PYTHONUNBUFFERED it would get the words of a line one by one,
    between those of other ranks.
    """
    with contextlib.suppress(AttributeError, ValueError):
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        sys.stderr.reconfigure(line_buffering=True, write_through=False)  # type: ignore[union-attr]


class Prefixer:
    """Puts `[rank]` before each line of this process's stdout and stderr.

    A child process does it, since a thread would not run while C code that holds the interpreter's
    lock waits for room in the pipe. It must be made before threads and MPI are started.

    Args:
        rank: this process's number.

    Attributes:
        pid: the child's process id.
    """

    def __init__(self, rank: int):
        sys.stdout.flush()
        sys.stderr.flush()
        pipes = [os.pipe() for _ in range(3)]
        self._drained, drained = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                _pump([*(read for read, _ in pipes), drained], f"[{rank}] ".encode())
            finally:
                os._exit(0)
        self._originals = [os.dup(1), os.dup(2)]
        for target, (read, write) in zip((1, 2), pipes, strict=False):
            os.close(read)
            os.dup2(write, target)
            os.close(write)
        os.close(pipes[2][0])
        os.close(drained)
        self._orders = pipes[2][1]
        self._process = os.getpid()
        os.register_at_fork(after_in_child=self._close)
        atexit.register(self._drain)

    def share(self, pids: Iterable[int]) -> None:
        """Let the ranks of a node write to one stream, by turns.

        MPI launchers join the streams of ranks by pieces of some size, wherever a line is then.

        Args:
            pids: the children of this node's ranks, the same and in one order on all of them.
        """
        with contextlib.suppress(OSError):
            os.write(self._orders, b"%d\n" % next(iter(pids)))

    def _drain(self) -> None:
        if os.getpid() != self._process:
            return
        for stream, original, target in zip(
            (sys.stdout, sys.stderr), self._originals, (1, 2), strict=True
        ):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                stream.flush()
            os.dup2(original, target)
        self._close()
        # Not for its end: a child of ours may hold the pipes, and wait for our end itself.
        os.read(self._drained, 1)

    def _close(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self._orders)


# Descriptors of the child, by which those of other ranks find what they share.
_OUT, _ERR, _ORDERS, _DRAINED, _TURN = range(100, 105)


def _pump(ends: list[int], prefix: bytes) -> None:
    """Copy lines from the first two pipes to descriptors 1 and 2 until they end.

    The end of the third is that of the rank, which waits until what it has written is copied.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)  # it ends with its rank, after the last line
    last = [os.dup2(end, at) for at, end in enumerate(ends, _OUT)][-1]
    if hasattr(os, "memfd_create"):
        last = os.dup2(os.memfd_create("distkeras-turn"), _TURN)
    os.closerange(3, _OUT)  # among them the launcher's, which would take us for the rank
    os.closerange(last + 1, 4096)
    streams = {_OUT: _Stream(1, prefix), _ERR: _Stream(2, prefix)}
    with selectors.DefaultSelector() as selector:
        for read in (*streams, _ORDERS):
            os.set_blocking(read, False)
            selector.register(read, selectors.EVENT_READ)
        while selector.get_map().keys() & streams.keys():
            ready = [key.fd for key, _ in selector.select()]
            for read in sorted(ready):  # orders come last
                if read != _ORDERS:
                    ended = not streams[read].copy(read)
                elif not (ended := not (order := os.read(read, 1 << 10))):
                    _share(int(order), streams)
                if ended:
                    selector.unregister(read)
            if _ORDERS in ready and _ORDERS not in selector.get_map():
                for read, stream in streams.items():
                    while read in selector.get_map() and stream.copy(read, until_empty=True):
                        pass
                os.close(_DRAINED)


class _Stream:
    """Where one stream's lines go.

    Args:
        target: a descriptor.
        prefix: what each line begins with.
    """

    def __init__(self, target: int, prefix: bytes):
        self.target, self.prefix = target, prefix
        self.turn: int | None = None
        self.rest = b""

    def copy(self, read: int, until_empty: bool = False) -> bool:
        """Copy the lines that are there.

        Args:
            read: a descriptor.
            until_empty: whether an empty pipe counts as its end, and the last line as whole.

        Returns:
            Whether more may come.
        """
        try:
            data = os.read(read, 1 << 16)
        except BlockingIOError:
            if not until_empty:
                return True
            data = b""
        *lines, self.rest = (self.rest + data).split(b"\n")
        if not data:
            lines, self.rest = [self.rest] if self.rest else [], b""
        self._write(b"".join(self.prefix + line + b"\n" for line in lines))
        return bool(data)

    def _write(self, text: bytes) -> None:
        """Write everything, and nothing of others in between."""
        if self.turn is not None:
            fcntl.flock(self.turn, fcntl.LOCK_EX)
        while text:
            text = text[os.write(self.target, text) :]
        if self.turn is not None:
            fcntl.flock(self.turn, fcntl.LOCK_UN)


def _share(pid: int, streams: dict[int, _Stream]) -> None:
    """Write to the streams of the first rank of the node, by turns.

    Other things than pipes, such as files, cannot be shared: each writer would have a place of
    its own in them.
    """
    folder = f"/proc/{pid}/fd"
    with contextlib.suppress(OSError):
        paths = {at: f"{folder}/{stream.target}" for at, stream in streams.items()}
        if not all(stat.S_ISFIFO(os.stat(path).st_mode) for path in paths.values()):
            return
        turn = os.open(f"{folder}/{_TURN}", os.O_RDWR)
        targets = {at: os.open(path, os.O_WRONLY) for at, path in paths.items()}
        for at, stream in streams.items():
            stream.target, stream.turn = targets[at], turn
