"""The tree of processes below one, and its end."""

import contextlib
import os
import signal
import subprocess
from collections import defaultdict

__all__ = ["descendants", "kill_descendants"]


def descendants(process: int) -> list[int]:
    """The process ids of all children of a process, their children, and so on.

    Args:
        process: a process id.

    Returns:
        Process ids, children before grandchildren; without those that ended but were not waited
        for.

    Example:
        >>> descendants(2**22 + 1)
        []
    """
    children = defaultdict(list)
    for child, parent in _pairs():
        children[parent].append(child)
    found = []
    waiting = [process]
    while waiting:
        below = children[waiting.pop()]
        found += below
        waiting += below
    return found


def kill_descendants(process: int) -> int:
    """Send SIGKILL to every process below one, again until no new one appears.

    Args:
        process: a process id; it is not killed itself.

    Returns:
        How many processes were killed.

    Example:
        >>> kill_descendants(2**22 + 1)
        0
    """
    killed: set[int] = set()
    while new := set(descendants(process)) - killed:
        for child in new:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(child, signal.SIGKILL)
        killed |= new
    return len(killed)


def _pairs() -> list[tuple[int, int]]:
    """(process, parent) of every living process."""
    if not os.path.exists("/proc/self/stat"):
        rows = subprocess.run(
            ["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True
        ).stdout
        return [(int(row.split()[0]), int(row.split()[1])) for row in rows.splitlines()]
    pairs = []
    for name in os.listdir("/proc"):
        if name.isdecimal():
            # The command in parentheses may hold anything; a process may end while we look.
            with contextlib.suppress(OSError, IndexError), open(f"/proc/{name}/stat", "rb") as file:
                state, parent = file.read().rpartition(b")")[2].split()[:2]
                if state != b"Z":
                    pairs.append((int(name), int(parent)))
    return pairs
