"""The run directory: where the ranks of one start leave their logs and error reports."""

import contextlib
import os
import tempfile
import time
from pathlib import Path

from distkeras.distribution.world import World
from distkeras.errors import LaunchError

__all__ = ["RunDirectory", "agree_on_directory", "new_directory", "program_name"]


class RunDirectory:
    """The directory of one start, the same for all its ranks.

    Args:
        path: the directory, which exists.
        rank: this process's number.
        disposable: whether it may vanish at a normal end when nothing was left in it.
    """

    def __init__(self, path: Path, rank: int, disposable: bool):
        self.path = path
        self.log = path / f"rank{rank}.log"
        self.errors = path / "errors"
        self._disposable = disposable
        self._process = os.getpid()

    def tidy(self) -> None:
        """Remove this rank's log when it is empty, and what then is an empty directory of ours.

        Ranks call it at a normal end, when all of them have opened their logs.
        """
        if os.getpid() != self._process:
            return
        with contextlib.suppress(OSError):
            if self.log.stat().st_size == 0:
                self.log.unlink()
        if self._disposable:
            with contextlib.suppress(OSError):  # the last rank succeeds
                self.path.rmdir()
                self.path.parent.rmdir()


def agree_on_directory(
    world: World, wanted: str | None, target: str, needed: bool = False
) -> RunDirectory | None:
    """Create the run directory on rank 0 and tell all ranks; a collective call.

    Args:
        world: the ranks.
        wanted: the user's directory, or None for a new one in `./runs`, or in the system's
            temporary directory where that cannot be written.
        target: the program, after which a new directory is named.
        needed: whether a single process needs one too.

    Returns:
        A `RunDirectory`, or None for a single process that did not ask for one.

    Raises:
        LaunchError: the wanted directory cannot be made.
    """
    if wanted is None and not world.is_multi and not needed:
        return None
    shared = ""
    if world.rank == 0:
        path = new_directory(target) if wanted is None else Path(wanted).absolute()
        _make(path)
        for old in path.glob("errors/*"):
            old.unlink(missing_ok=True)
        shared = str(path)
    path = Path(world.share_text(shared))
    _make(path)  # on a node with disks of its own
    return RunDirectory(path, world.rank, disposable=wanted is None)


def _make(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LaunchError(
            f"The run directory {path} cannot be made: {error.strerror}. "
            "Give another with --run-dir."
        ) from error


def program_name(target: str) -> str:
    """How a program is called in names of run directories.

    Example:
        >>> program_name("examples/train.py"), program_name("package.module:main")
        ('train', 'module')
    """
    name = os.path.basename(target.partition(":")[0]).removesuffix(".py")
    return name.rpartition(".")[2] or "program"


def new_directory(target: str) -> Path:
    """Make a new run directory in `./runs`, or in the system's temporary directory.

    Args:
        target: the program, after which it is named.
    """
    stem = f"{time.strftime('%Y%m%d-%H%M%S')}-{program_name(target)}"
    for attempt in range(1, 1000):
        path = Path("runs", stem if attempt == 1 else f"{stem}-{attempt}").absolute()
        try:
            path.mkdir(parents=True)
            return path
        except FileExistsError:
            continue
        except OSError:
            break
    return Path(tempfile.mkdtemp(prefix=f"{stem}-"))
