"""What the environment says about the job that started this process, read without MPI.

Every MPI launcher tells a process its rank in variables of its own. One table row describes one
launcher; the first row whose size variable is set wins, so the more specific launcher stands above
the more general one (`mpirun` inside a Slurm job sets its own variables beside those of Slurm).
"""

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = [
    "RANK_PROCESS",
    "Launched",
    "available_cores",
    "child_environment",
    "clear_environment",
    "is_child",
    "launched",
    "node_cores",
    "thread_settings",
]

# Set to the process id of a rank once its world is up; a process that inherits another id is a
# child of that rank.
RANK_PROCESS = "DISTKERAS_RANK_PROCESS"

# What numerical libraries read, once, when they are loaded.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)

# Variables that tie a process to its place in a job, by prefix. Settings of a library, such as
# `OMPI_MCA_btl`, are no places and stay.
_PLACES = (
    "HYDI_",
    "MPI_LOCALNRANKS",
    "MPI_LOCALRANKID",
    "MV2_COMM_WORLD_",
    "OMPI_",
    "PMI_",
    "PMIX_",
    "PRTE_",
    "SLURM_STEP_NUM_TASKS",
    "SLURM_STEP_TASKS_PER_NODE",
)
_SETTINGS = ("OMPI_ALLOW_", "OMPI_MCA_", "PMIX_MCA_", "PRTE_ALLOW_", "PRTE_MCA_")


@dataclass(frozen=True)
class Launched:
    """The place in a job that a launcher gave this process.

    Attributes:
        launcher: the launcher's name, for messages.
        family: `"mpich"`, `"openmpi"` or `""` where the variables serve several libraries.
        size: number of processes in the job, at least 1.
        rank: this process's number, or None where the launcher does not tell.
        local_rank: its number among the processes on this node, or None.
        local_size: how many processes this node has, or None.
    """

    launcher: str
    family: str
    size: int
    rank: int | None = None
    local_rank: int | None = None
    local_size: int | None = None


# launcher, family, variables of: size, rank, local rank, local size
_LAUNCHERS = (
    (
        "mpirun of Open MPI",
        "openmpi",
        "OMPI_COMM_WORLD_SIZE",
        "OMPI_COMM_WORLD_RANK",
        "OMPI_COMM_WORLD_LOCAL_RANK",
        "OMPI_COMM_WORLD_LOCAL_SIZE",
    ),
    (
        "mpirun of MVAPICH",
        "mpich",
        "MV2_COMM_WORLD_SIZE",
        "MV2_COMM_WORLD_RANK",
        "MV2_COMM_WORLD_LOCAL_RANK",
        "MV2_COMM_WORLD_LOCAL_SIZE",
    ),
    # Also Intel MPI, Cray and whatever else speaks PMI.
    (
        "a PMI launcher (mpirun of MPICH or Intel MPI)",
        "mpich",
        "PMI_SIZE",
        "PMI_RANK",
        "MPI_LOCALRANKID",
        "MPI_LOCALNRANKS",
    ),
    # SLURM_NTASKS is also set in the batch script itself, which is one process; a step's variables
    # are not.
    (
        "srun of Slurm",
        "",
        "SLURM_STEP_NUM_TASKS",
        "SLURM_PROCID",
        "SLURM_LOCALID",
        "SLURM_STEP_TASKS_PER_NODE",
    ),
)


def launched(environ: Mapping[str, str] | None = None) -> Launched | None:
    """The place that a launcher gave this process, or None where none started it.

    Args:
        environ: the variables to read, default `os.environ`.

    Returns:
        A `Launched`, or None for a process that no launcher started and for a child process of a
        rank.

    Example:
        >>> launched({"PMI_SIZE": "4", "PMI_RANK": "1"}).rank
        1
        >>> launched({"HOME": "/home/user"}) is None
        True
    """
    environ = os.environ if environ is None else environ
    if is_child(environ):
        return None
    for launcher, family, size, rank, local_rank, local_size in _LAUNCHERS:
        count = _number(environ.get(size))
        if not count:
            continue
        place = _number(environ.get(rank))
        if place is None:
            place = _number(environ.get("PMIX_RANK"))
        here = _number(environ.get(local_size))
        if here is None and local_size.startswith("SLURM"):
            here = _tasks_on_node(environ.get(local_size, ""), environ.get("SLURM_NODEID", "0"))
        return Launched(launcher, family, count, place, _number(environ.get(local_rank)), here)
    return None


def is_child(environ: Mapping[str, str] | None = None) -> bool:
    """Whether this process descends from a rank, so that it is none itself.

    Args:
        environ: the variables to read, default `os.environ`.

    Returns:
        True below a rank process, however it was started.

    Example:
        >>> is_child({})
        False
    """
    environ = os.environ if environ is None else environ
    return environ.get(RANK_PROCESS, str(os.getpid())) != str(os.getpid())


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None


def _tasks_on_node(counts: str, node: str) -> int | None:
    """One entry of Slurm's run-length list: "2(x3),1" means 2, 2, 2, 1."""
    index = _number(node)
    for entry in counts.split(","):
        tasks, _, repeat = entry.strip().partition("(x")
        times = _number(repeat.rstrip(")")) if repeat else 1
        if _number(tasks) is None or times is None or index is None:
            return None
        if index < times:
            return int(tasks)
        index -= times
    return None


def child_environment(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables for a child process, without those that give a place in an MPI job.

    A child that inherited them would take itself for its parent's rank: it would wait for a
    launcher that does not know it, or train as a part of a job that it is not in. Rank processes
    drop them from `os.environ` as soon as their world is up, so children started in any way are
    single processes.

    Args:
        environ: the variables to start from, default `os.environ`.

    Returns:
        A new dictionary.

    Example:
        >>> child_environment({"PMI_RANK": "1", "PMI_SIZE": "4", "PATH": "/bin"})
        {'PATH': '/bin'}
    """
    environ = os.environ if environ is None else environ
    return {
        name: value
        for name, value in environ.items()
        if not _gives_a_place(name) and name != RANK_PROCESS
    }


def clear_environment() -> None:
    """Drop this rank's place from `os.environ`, and mark the process: its children are no ranks."""
    for name in [name for name in os.environ if _gives_a_place(name)]:
        del os.environ[name]
    os.environ[RANK_PROCESS] = str(os.getpid())


def _gives_a_place(name: str) -> bool:
    return name.startswith(_PLACES) and not name.startswith(_SETTINGS)


def available_cores(process: int = 0) -> int:
    """How many cores a process may use: its affinity, limited by the quota of its control group.

    Args:
        process: process id, 0 for this one.

    Returns:
        An int of at least 1.

    Example:
        >>> available_cores() >= 1
        True
    """
    try:
        cores = len(os.sched_getaffinity(process))
    except (AttributeError, OSError):  # macOS has no affinity; another user's process does not tell
        cores = os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError), open("/sys/fs/cgroup/cpu.max") as file:
        quota, period = file.read().split()
        if quota != "max":
            cores = min(cores, int(quota) // int(period))
    return max(1, cores)


def node_cores() -> int:
    """How many cores the ranks of this node have together.

    A launcher may have bound this rank to fewer; its parent's affinity then tells what the node
    has.

    Returns:
        An int of at least 1.

    Example:
        >>> node_cores() >= available_cores()
        True
    """
    return max(available_cores(), available_cores(os.getppid()))


def thread_settings(local_size: int, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Thread counts for BLAS and OpenMP: the node's cores divided by its ranks, where the user has
    set none.

    They count only when they are set before NumPy is imported.

    Args:
        local_size: ranks on this node.
        environ: the variables to respect, default `os.environ`.

    Returns:
        The variables to set; empty where the user chose a count in any of them.

    Example:
        >>> thread_settings(1, {"OMP_NUM_THREADS": "3"})
        {}
    """
    environ = os.environ if environ is None else environ
    if any(environ.get(name) for name in THREAD_VARIABLES):
        return {}
    threads = str(max(1, min(available_cores(), node_cores() // max(1, local_size))))
    return dict.fromkeys(THREAD_VARIABLES, threads)
