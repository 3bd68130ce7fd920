"""Where a rank's output goes, changed at its descriptors: C code and child processes follow."""

import atexit
import contextlib
import os
import selectors
import signal
import sys
from pathlib import Path

__all__ = ["log_to", "prefix_lines", "write_lines"]


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


def prefix_lines(rank: int) -> None:
    """Put `[rank]` before each line of this process's stdout and stderr.

    A child process does it, since a thread would not run while C code that holds the interpreter's
    lock waits for room in the pipe. It must be called before threads and MPI are started.

    Args:
        rank: this process's number.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    pipes = [os.pipe(), os.pipe()]
    child = os.fork()
    if child == 0:
        try:
            _pump([read for read, _ in pipes], f"[{rank}] ".encode())
        finally:
            os._exit(0)
    originals = [os.dup(1), os.dup(2)]
    for target, (read, write) in zip((1, 2), pipes, strict=True):
        os.close(read)
        os.dup2(write, target)
        os.close(write)
    process = os.getpid()

    def drain() -> None:
        if os.getpid() != process:
            return
        for stream, original, target in zip(
            (sys.stdout, sys.stderr), originals, (1, 2), strict=True
        ):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                stream.flush()
            os.dup2(original, target)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(child, 0)

    atexit.register(drain)


def _pump(reads: list[int], prefix: bytes) -> None:
    """Copy lines from the pipes to descriptors 1 and 2 until both pipes end."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)  # it ends with its rank, after the last line
    moved = [os.dup2(read, at) for at, read in zip((100, 101), reads, strict=True)]
    os.closerange(3, 100)  # among them the launcher's, which would take us for the rank
    os.closerange(102, 4096)
    rests = {moved[0]: (1, b""), moved[1]: (2, b"")}
    with selectors.DefaultSelector() as selector:
        for read in moved:
            selector.register(read, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select():
                target, rest = rests[key.fd]
                data = os.read(key.fd, 1 << 16)
                *lines, rest = (rest + data).split(b"\n")
                if not data:
                    selector.unregister(key.fd)
                    lines, rest = [rest] if rest else [], b""
                rests[key.fd] = target, rest
                text = b"".join(prefix + line + b"\n" for line in lines)
                while text:
                    text = text[os.write(target, text) :]
