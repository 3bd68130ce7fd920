"""`-n N`: start the ranks with the mpiexec of this installation, and see them end."""

import contextlib
import functools
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from distkeras.config import seconds
from distkeras.distribution.environment import child_environment
from distkeras.errors import LaunchError
from distkeras.launch import hashing
from distkeras.launch.options import Options
from distkeras.utils.processes import descendants, kill_descendants

__all__ = ["find_mpiexec", "job_command", "run_job", "start_ranks"]

# Seconds for the ranks to end by themselves once they should.
PATIENCE = 10.0

# What `mpiexec --version` says, the flags that a job on one machine needs, and settings by
# environment. Open MPI counts cores and binds ranks to them: two jobs on one machine would share
# the first core.
_KINDS: tuple[tuple[str, tuple[str, ...], dict[str, str]], ...] = (
    ("Open MPI", ("--map-by", ":oversubscribe", "--bind-to", "none"), {"OMPI_MCA_osc": "^ucx"}),
    ("", (), {}),
)
_PR_SET_PDEATHSIG = 1
_AS_ROOT = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}


def start_ranks(options: Options) -> int:
    """Start the ranks, forward signals to them, and wait for their end.

    Args:
        options: the command line; its `ranks` says how many.

    Returns:
        The job's exit status.
    """
    try:
        command, environ = job_command(options)
    except LaunchError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return run_job(options, command, environ)


def run_job(
    options: Options,
    command: list[str],
    environ: Mapping[str, str],
    received: list[int] | None = None,
) -> int:
    """Run a job to its end, with the signals that arrive meanwhile passed on to it.

    Args:
        options: the command line.
        command, environ: what `job_command` answered.
        received: takes the numbers of the signals.

    Returns:
        The job's exit status.
    """
    # A session of its own: Ctrl-C in a terminal reaches the ranks once, through us.
    job = subprocess.Popen(
        command, env=environ, start_new_session=True, preexec_fn=_end_with_parent
    )
    terminated = _forward_signals(job, options, received)
    while True:
        try:
            code = job.wait(timeout=0.5)  # a wait without limit would not see the deadline change
            break
        except subprocess.TimeoutExpired:
            if time.monotonic() > terminated.deadline:
                kill_descendants(job.pid)
                job.kill()
    if terminated.by_substitute and code == 128 + signal.SIGUSR1:
        return 128 + signal.SIGTERM
    if code < 0:
        return 128 - code
    return code


@dataclass
class _Forwarding:
    """What the launcher has passed on.

    Attributes:
        deadline: when what is left of the job is killed, by the monotonic clock.
        by_substitute: whether a SIGTERM was passed on as SIGUSR1.
    """

    deadline: float = math.inf
    by_substitute: bool = False


def _forward_signals(
    job: subprocess.Popen, options: Options, received: list[int] | None
) -> _Forwarding:
    """Pass signals on to mpiexec, which passes them on to the ranks.

    Open MPI's mpirun kills the ranks on SIGTERM and SIGINT before they can act on them. So they
    get these signals from here; ranks that are on other machines get SIGUSR1 in place of SIGTERM,
    which it does pass on.
    """
    state = _Forwarding()
    grace = float(options.times.get("DISTKERAS_GRACE") or seconds("DISTKERAS_GRACE"))
    seen: set[int] = set()

    def forward(number: int, _: FrameType | None) -> None:
        limit = math.inf
        if received is not None:
            received.append(number)
        if number in seen and number != signal.SIGUSR1:
            limit = PATIENCE
        elif number == signal.SIGTERM:
            limit = 2 * grace + PATIENCE  # the end of a step, and a checkpoint
        seen.add(number)
        state.deadline = min(state.deadline, time.monotonic() + limit)
        receivers = []
        if is_openmpi and number in (signal.SIGTERM, signal.SIGINT):
            receivers = _rank_processes(job.pid)
            if not receivers and number == signal.SIGTERM:
                number = signal.SIGUSR1
                state.by_substitute = True
        for process in receivers or [job.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)

    several = options.ranks is not None and options.ranks > 1
    is_openmpi = several and _kind(find_mpiexec())[0] == "Open MPI"
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, forward)
    return state


def _rank_processes(agent: int) -> list[int]:
    """The processes below Open MPI's mpirun that it started as ranks, without their children."""
    found = {}
    for process in descendants(agent):
        with contextlib.suppress(OSError, IndexError):
            variables = Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
            if any(variable.startswith(b"OMPI_COMM_WORLD_RANK=") for variable in variables):
                stat = Path(f"/proc/{process}/stat").read_bytes()
                found[process] = int(stat.rpartition(b")")[2].split()[1])
    return [process for process, parent in found.items() if parent not in found]


def find_mpiexec() -> str:
    """The path of the mpiexec that belongs to this Python, or else the first one in PATH.

    Raises:
        LaunchError: there is none.
    """
    folder = os.path.dirname(sys.executable)
    for name in ("mpiexec", "mpirun"):
        if found := shutil.which(os.path.join(folder, name)) or shutil.which(name):
            return found
    raise LaunchError(
        f"-n needs an mpiexec, and there is none in {folder} or in PATH. Install MPI with "
        'pip install "distkeras[mpi]", or load the MPI module of the cluster.'
    )


def _end_with_parent() -> None:
    """In the new process: ask the kernel for a SIGTERM when the launcher dies (Linux has it)."""
    with contextlib.suppress(ImportError, OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def job_command(options: Options) -> tuple[list[str], dict[str, str]]:
    """The command that starts a job, and its environment.

    Args:
        options: the command line; its `ranks` says how many, None for one process.

    Raises:
        LaunchError: there is no mpiexec.
    """
    if options.ranks is None or options.ranks == 1:
        return _one_process(options), dict(os.environ)
    mpiexec = find_mpiexec()
    _, flags, settings = _kind(mpiexec)
    environ = child_environment()
    hashing.set_for_children(environ)
    for name, value in settings.items():
        environ.setdefault(name, value)
    if flags and os.geteuid() == 0:
        environ.update(_AS_ROOT)
    command = [mpiexec, *flags, "-n", str(options.ranks), *_one_process(options)]
    return command, environ


def _one_process(options: Options) -> list[str]:
    """The command that starts one process of a job, or a job of one process."""
    words = [sys.executable, *_interpreter_flags(), "-m", "distkeras.launch"]
    return [*words, *options.words()]


@functools.cache
def _kind(mpiexec: str) -> tuple[str, tuple[str, ...], dict[str, str]]:
    """The row of `_KINDS` for an mpiexec."""
    version = subprocess.run([mpiexec, "--version"], capture_output=True, text=True, timeout=30)
    return next(row for row in _KINDS if row[0] in version.stdout + version.stderr)


def _interpreter_flags() -> list[str]:
    """What stood between `python` and `-m distkeras.launch`, such as `-X importtime`."""
    words = sys.orig_argv[1:]
    for at, word in enumerate(words[:-1]):
        if word == "-m" and words[at + 1].startswith("distkeras"):
            return words[:at]
    return []
