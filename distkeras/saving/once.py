"""What one rank does for all: files are written once, and every rank learns the outcome."""

import os
import time
from collections.abc import Callable

import numpy as np

from distkeras.distribution.collectives import broadcast
from distkeras.distribution.world import alone, world
from distkeras.errors import SavingError, UnwritableFileError

__all__ = ["do_once", "write_once"]

_VISIBLE_WITHIN_SECONDS = 2.0
_LETTER_BYTES = 2048
_not_shared: set[str] = set()


def do_once(action: Callable[[], None], what: str) -> None:
    """Does something on rank 0, and returns, or raises, on all ranks.

    Steps, of which the second is collective:
      a. rank 0 acts, alone, and keeps its exception, if there is one;
      b. rank 0 tells the others whether it went well, and why not.

    Args:
        action: what rank 0 does.
        what: the same in words, for messages: "write model.keras".

    Raises:
        UnwritableFileError: on the other ranks, where rank 0 raised an `OSError`.
        SavingError: on the other ranks, where it raised something else. Rank 0 raises what it met.
    """
    here = world()
    if here.size == 1:
        action()
        return
    failure: Exception | None = None
    if here.rank == 0:
        try:
            with alone():
                action()
        except Exception as error:
            failure = error
    told = broadcast(_told(failure), root=0)
    if failure is not None:
        raise failure
    letter = np.asarray(told, dtype=np.uint8).tobytes().rstrip(b"\0")
    kind, _, text = letter.decode(errors="replace").partition(":")
    if kind == "ok":
        return
    message = f"Rank 0 could not {what}: {text}"
    raise UnwritableFileError(int(kind), message) if kind != "other" else SavingError(message)


def _told(failure: Exception | None) -> np.ndarray:
    """An outcome as bytes: `ok`, an `OSError`'s number, or `other`, and the message."""
    if failure is None:
        text = "ok"
    elif isinstance(failure, OSError):
        text = f"{failure.errno or 0}:{type(failure).__name__}: {failure}"
    else:
        text = f"other:{type(failure).__name__}: {failure}"
    letter = np.zeros(_LETTER_BYTES, dtype=np.uint8)  # ranks broadcast arrays of one shape
    data = text.encode()[:_LETTER_BYTES]
    letter[: len(data)] = np.frombuffer(data, dtype=np.uint8)
    return letter


def write_once(path: str, write: Callable[[], None]) -> None:
    """Writes a file from rank 0, and returns, or raises, on all ranks: a `do_once`, after which
    the others wait until their file system shows the file, at most two seconds: a directory that is
    not shared with rank 0 never will, and is not waited for again.

    Args:
        path: the file, the same on all ranks.
        write: writes it.

    Raises:
        UnwritableFileError, SavingError: see `do_once`.
    """
    do_once(write, f"write {path}")
    if world().size > 1:
        _wait_until_visible(path)


def _wait_until_visible(path: str) -> None:
    folder = os.path.dirname(os.path.abspath(path))
    deadline = time.monotonic() + _VISIBLE_WITHIN_SECONDS
    while folder not in _not_shared and not os.path.exists(path):
        if time.monotonic() > deadline:
            _not_shared.add(folder)
        time.sleep(0.01)
