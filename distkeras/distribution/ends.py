"""How a rank's failure ends the job: non-zero, at once, with one report that names the rank.

MPI knows nothing of Python's exceptions. A rank that raised leaves the others waiting in their
collectives for ever, so whoever catches the last exception of a rank calls `fail` here:

(a) The ranks that fail together (the same mistake runs on all of them) claim the right to speak by
    creating one file in the run directory; one succeeds. Without a run directory rank 0 speaks
    first, the others after a pause that normally is their last.
(b) The speaker writes its report, each line behind `[rank R]`, by one write to the process's
    original stderr. Every failing rank leaves its own in `errors/rankR.txt`.
(c) Children of this rank are killed: nobody would be left to wait for them.
(d) MPI_Abort ends all ranks. An alarm kills a process that MPI_Abort itself does not end.
"""

import contextlib
import faulthandler
import os
import signal
import sys
import threading
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NoReturn

from distkeras.errors import LauncherMismatchError, LaunchError, MPIMissingError
from distkeras.utils.processes import kill_descendants

__all__ = [
    "claim",
    "ended",
    "exit_code",
    "fail",
    "install",
    "is_claimed",
    "job_is_failing",
    "keep_report",
    "leave",
    "report_to",
    "stop",
    "tell",
    "where_ended",
    "write_all",
]

# Seconds for the rank that speaks to end the job before the silent ones end it themselves.
PATIENCE = 4.0
# The same while no run directory exists, so that the ranks cannot tell who speaks.
PAUSE = 1.0

# Errors of how the job was started: their message is the whole report.
_PLAIN = (LaunchError, LauncherMismatchError, MPIMissingError)


@dataclass
class _Job:
    """What `fail` needs to know of this process."""

    process: int
    rank: int
    size: int
    stderr: int
    errors: Path | None = None


_job: _Job | None = None
_failing = threading.Lock()
_end = "its interpreter ended"


def install(rank: int, size: int) -> None:
    """Make exceptions that nobody catches end the job, on the main thread and on every other.

    Args:
        rank: this process's number, which reports will name.
        size: how many processes the job has; with 1 reports look like Python's own.

    Called again, it corrects rank and size and keeps the rest.
    """
    global _job
    if _job is not None and _job.process == os.getpid():
        _job.rank, _job.size = rank, size
        return
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.flush()
    try:
        stderr = os.dup(2)  # stays where it is when the program redirects its output
    except OSError:
        stderr = os.open(os.devnull, os.O_WRONLY)
    os.set_inheritable(stderr, False)
    _job = _Job(os.getpid(), rank, size, stderr)
    faulthandler.enable(file=stderr)
    sys.excepthook = _on_exception
    threading.excepthook = _on_thread_exception


def report_to(directory: Path) -> None:
    """Keep the reports of failing ranks as `rankR.txt` in a directory that all ranks see."""
    if _job is not None:
        _job.errors = directory


def exit_code(error: BaseException) -> int:
    """The exit status that an exception means, 0 for a normal end.

    Args:
        error: any exception. SystemExit carries its own code, as for the Python interpreter.

    Returns:
        An int from 0 to 255.

    Example:
        >>> exit_code(SystemExit(3)), exit_code(SystemExit()), exit_code(KeyError("x"))
        (3, 0, 1)
    """
    if isinstance(error, KeyboardInterrupt):
        return 128 + signal.SIGINT
    if not isinstance(error, SystemExit):
        return 1
    if error.code is None:
        return 0
    if isinstance(error.code, int):
        # The operating system keeps 8 bits; a failure must not become a success by that.
        return error.code & 0xFF or (1 if error.code else 0)
    return 1


def fail(error: BaseException, thread: threading.Thread | None = None) -> int:
    """Report an exception and end the job; returns only in a job of one process, with the exit
    status.

    Args:
        error: what nobody caught; SystemExit with a code that is not 0 is a failure too.
        thread: the thread it came from, None for the main thread.

    Returns:
        The exit status for the caller to end with.
    """
    job = _job
    code = exit_code(error)
    if job is None or job.process != os.getpid():
        traceback.print_exception(error)  # a forked child: the job is its parent's
        os._exit(code)
    _failing.acquire()  # for good: the first failure of a process is its only one
    _flush()
    text = _describe(error, thread, job)
    if job.size > 1:
        _end_all(job, text, code, brief=isinstance(error, _PLAIN))
    if job.errors is not None:
        keep_report(job.errors, job.rank, text)
    write_all(job.stderr, text)
    if thread is not None:
        os._exit(code)
    return code


def stop(reason: str, code: int) -> NoReturn:
    """End the job at once for a reason that is no exception; works on every thread.

    Args:
        reason: one line that says why.
        code: the exit status.
    """
    job = _job
    if job is None or job.process != os.getpid():
        os._exit(code)
    _failing.acquire()
    _flush()
    if job.size > 1:
        _end_all(job, f"{reason}\n", code)
    write_all(job.stderr, f"{reason}\n")
    kill_descendants(job.process)
    os._exit(code)


def leave(code: int) -> NoReturn:
    """End the job at once without a word: another process has told the reason.

    Args:
        code: the exit status.
    """
    _failing.acquire()
    _flush()
    _hush()
    kill_descendants(os.getpid())
    _abort(code)


def tell(line: str) -> None:
    """Show a line on the stderr that the process started with, by one write.

    Args:
        line: without its end.
    """
    write_all(2 if _job is None else _job.stderr, f"distkeras: {line}\n")


def _end_all(job: _Job, text: str, code: int, brief: bool = False) -> NoReturn:
    """Steps (a) to (d) for a job of several ranks."""
    text = "".join(f"[rank {job.rank}] {line}\n" for line in text.splitlines())
    if _may_speak(job, text):
        if job.errors is None and job.rank != 0 and brief:
            text = text.partition("\n")[0] + "\n"  # rank 0 has told the rest
        write_all(job.stderr, text)
    _hush()
    kill_descendants(job.process)
    _abort(code)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()


def ended(program: str, error: SystemExit | None = None) -> None:
    """Remember where the program ended well, for a rank that still expects something of this one.

    Args:
        program: its name.
        error: the exception by which it ended before its last line.
    """
    global _end
    by = f"by sys.exit{_place(error.__traceback__)}" if error is not None else "at its last line"
    _end = f"{program} ended {by}"


def where_ended() -> str:
    """What `ended` remembers, in words.

    Example:
        >>> where_ended()
        'its interpreter ended'
    """
    return _end


def _on_exception(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    code = fail(error.with_traceback(trace))
    if isinstance(error, KeyboardInterrupt):
        os._exit(code)


def _on_thread_exception(args: threading.ExceptHookArgs) -> None:
    if args.exc_type is SystemExit or sys.is_finalizing():
        return
    error = args.exc_value or args.exc_type()
    fail(error.with_traceback(args.exc_traceback), args.thread or threading.current_thread())


def _describe(error: BaseException, thread: threading.Thread | None, job: _Job) -> str:
    error.__traceback__ = _strip(error.__traceback__)
    if isinstance(error, SystemExit):
        if job.size == 1:
            return f"{error.code}\n" if not isinstance(error.code, int) else ""
        told = (
            f"with status {error.code}" if isinstance(error.code, int) else f"saying: {error.code}"
        )
        return f"ended the job by sys.exit {told}{_place(error.__traceback__)}\n"
    if isinstance(error, KeyboardInterrupt) and job.size > 1:
        return f"KeyboardInterrupt{_place(error.__traceback__)}\n"
    if isinstance(error, _PLAIN):
        return f"{type(error).__name__}: {error}\n"
    head = f"Exception in thread {thread.name}:\n" if thread is not None else ""
    return head + "".join(traceback.format_exception(error))


def _strip(trace: TracebackType | None) -> TracebackType | None:
    """The traceback from the first frame that belongs to the program, not to the launcher."""
    first = trace
    while trace is not None and _is_launcher(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    return trace if trace is not None else first


def _is_launcher(filename: str) -> bool:
    folder = os.path.join(os.path.dirname(os.path.dirname(__file__)), "launch", "")
    named = os.path.basename(filename)
    return (filename.startswith(folder) and named != "digits.py") or filename.startswith("<frozen ")


def _place(trace: TracebackType | None) -> str:
    if trace is None:
        return ""
    above = trace
    while trace.tb_next is not None:
        above, trace = trace, trace.tb_next
    if trace.tb_frame.f_code.co_name == "_on_interrupt":
        trace = above  # the handler of a signal, which came in that frame
    return f" ({trace.tb_frame.f_code.co_filename}, line {trace.tb_lineno})"


def _may_speak(job: _Job, text: str) -> bool:
    """Step (a), and the rank's own file of step (b)."""
    if job.errors is None:
        if job.rank != 0:
            time.sleep(PAUSE)
        return True
    first = claim(job.errors)
    keep_report(job.errors, job.rank, text)
    if not first:
        time.sleep(PATIENCE)
    return first


def job_is_failing() -> bool:
    """Whether some rank has reported a failure, so that the launcher ends the others.

    Example:
        >>> job_is_failing()
        False
    """
    return _job is not None and _job.errors is not None and is_claimed(_job.errors)


def claim(errors: Path) -> bool:
    """Whether this process is the first of the job to report a failure, step (a).

    Args:
        errors: the job's directory of error reports. Where it cannot be written everyone is first.
    """
    with contextlib.suppress(OSError):
        errors.mkdir(parents=True, exist_ok=True)
    try:
        os.close(os.open(errors / "first", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError:
        return False
    except OSError:
        return True
    return True


def is_claimed(errors: Path) -> bool:
    """Whether some process of the job has claimed the right to speak, step (a)."""
    return (errors / "first").exists()


def keep_report(errors: Path, rank: int, text: str) -> None:
    """Leave a rank's report in the directory of error reports, if that can be written."""
    with contextlib.suppress(OSError):
        errors.mkdir(parents=True, exist_ok=True)
        (errors / f"rank{rank}.txt").write_text(text)


def _hush() -> None:
    """What this rank and MPI write to stderr from now on is the noise of its end."""
    with contextlib.suppress(OSError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 2)
        os.close(null)


def write_all(descriptor: int, text: str) -> None:
    data = text.encode(errors="backslashreplace")
    with contextlib.suppress(OSError):
        while data:
            data = data[os.write(descriptor, data) :]


def _abort(code: int) -> NoReturn:
    signal.alarm(3)
    MPI = sys.modules.get("mpi4py.MPI")
    with contextlib.suppress(Exception):
        if MPI is not None and MPI.Is_initialized() and not MPI.Is_finalized():
            MPI.COMM_WORLD.Abort(code)
    os._exit(code)
