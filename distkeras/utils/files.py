"""Files that appear whole or not at all.

How `atomic_write` works:
  a. what is written goes to a temporary file beside the target, `.NAME.HOST-PID-N.tmp`;
  b. it is flushed to the disk (fsync), then renamed over the target, and the directory is flushed;
  c. on any failure it is removed, and the target is what it was;
  d. left-overs of processes of this machine that were killed while writing the same target are
     removed by the next write.
"""

import errno
import itertools
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from distkeras.errors import DistkerasError, UnwritableFileError

__all__ = ["atomic_write", "make_directory", "sync_directory", "unwritable"]

_ADVICE = {
    errno.ENOSPC: "the disk is full: free some space, or write elsewhere",
    errno.EDQUOT: "your disk quota is used up: delete files, or write elsewhere",
    errno.EFBIG: "the file would exceed the size limit of this process (ulimit -f) or disk",
    errno.EROFS: "the file system is read-only: write elsewhere",
    errno.EACCES: "you may not write there: write elsewhere, or change the permissions",
    errno.EPERM: "you may not write there: write elsewhere, or change the permissions",
    errno.ENOENT: "the directory does not exist: create it first",
    errno.ENOTDIR: "a part of the path is a file: write elsewhere",
    errno.EISDIR: "the path is a directory: give the name of a file",
    errno.EIO: "the disk reports an input/output error: write elsewhere, and check the disk",
    errno.ENAMETOOLONG: "the name is too long: choose a shorter one",
}
_counter = itertools.count()


def unwritable(path: str | os.PathLike, error: OSError) -> UnwritableFileError:
    """The named error for a file that could not be written.

    Args:
        path: the file.
        error: what the operating system said.

    Example:
        >>> unwritable("m.keras", OSError(errno.ENOSPC, "No space left on device")).errno
        28
    """
    advice = _ADVICE.get(error.errno or 0, "write elsewhere, or see what the system says")
    return UnwritableFileError(
        error.errno,
        f"{os.fspath(path)} cannot be written: {error.strerror or error}; {advice}. "
        "Nothing was changed: a file that was there before is as it was",
    )


def make_directory(path: str | os.PathLike) -> None:
    """Make a directory with those above it, unless it is there.

    Args:
        path: the directory.

    Raises:
        UnwritableFileError: it cannot be made (read-only disk, permissions, a file in its place).

    Example:
        >>> make_directory(".")
    """
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        if isinstance(error, FileExistsError):
            error = NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        raise unwritable(path, error) from error


@contextmanager
def atomic_write(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """A `with` block that writes a file, which replaces `path` when the block ends well.

    Args:
        path: the target; its directory must exist.

    Yields:
        A binary file open for reading and writing.

    Raises:
        UnwritableFileError: the operating system refused (full or read-only disk, permissions).

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with atomic_write(os.path.join(folder, "a")) as file:
        ...         _ = file.write(b"whole")
        ...     print(Path(folder, "a").read_text(), os.listdir(folder))
        whole ['a']
    """
    target = Path(path)
    if target.is_symlink():  # the link stays, the file behind it is replaced
        target = Path(os.path.realpath(target))
    temporary = target.with_name(
        f".{target.name[:150]}.{_host()}-{os.getpid()}-{next(_counter)}.tmp"
    )
    try:
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        _remove_left_overs(target)
        with open(temporary, "xb+", buffering=1 << 20) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            with suppress(OSError):  # another owner's file: the new one keeps the default mode
                os.chmod(temporary, target.stat().st_mode & 0o7777)
        os.replace(temporary, target)
        sync_directory(target.parent)
    except BaseException as error:
        with suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError) and not isinstance(error, DistkerasError):
            raise unwritable(path, error) from error
        raise


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9]", "_", socket.gethostname())[:40]


def sync_directory(folder: str | os.PathLike) -> None:
    """Flush the names in a directory to the disk, where its file system can do that."""
    with suppress(OSError):  # some file systems cannot; the rename itself has been made
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remove_left_overs(target: Path) -> None:
    pattern = re.compile(
        re.escape(f".{target.name[:150]}.{_host()}-") + r"(\d+)-\d+\.tmp", re.ASCII
    )
    with suppress(OSError), os.scandir(target.parent) as entries:
        for entry in entries:
            found = pattern.fullmatch(entry.name)
            if found and not _runs(int(found[1])):
                with suppress(OSError):
                    os.unlink(entry.path)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
