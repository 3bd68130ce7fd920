"""One subprocess job at a time: with a limit, watched, and killed whole."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# Every process of a job inherits this variable, so that it is found even if it left the process
# group. A job started by a job appends to it: whoever kills the outer one finds the inner one too.
TOKEN = "DISTKERAS_TEST_JOB"

_POLL = 0.02
_GRACE_FOR_EXIT = 2.0


@dataclass(frozen=True)
class Finished:
    """How a job ended."""

    command: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str
    seconds: float
    stopped: str | None
    """Why the job was killed, or None if it ended by itself."""
    orphans: tuple[int, ...]
    """Processes that were still alive when the first one had ended; they have been killed."""

    @property
    def complaints(self) -> str:
        """stderr without the line by which the launcher tells a job's seed."""
        lines = self.stderr.splitlines(keepends=True)
        return "".join(line for line in lines if "the random seed of this job is" not in line)

    @property
    def timed_out(self) -> bool:
        return self.stopped is not None

    def describe(self) -> str:
        """Everything a reader of a failed test needs."""
        end = f"exit code {self.returncode}" if self.stopped is None else f"killed: {self.stopped}"
        return (
            f"{' '.join(self.command)}\n"
            f"{end} after {self.seconds:.1f} s, orphans: {list(self.orphans)}\n"
            f"--- stdout ---\n{self.stdout}\n--- stderr ---\n{self.stderr}"
        )


def run_job(
    command: Sequence[str],
    *,
    timeout: float,
    env: Mapping[str, str],
    cwd: str | os.PathLike[str],
    watch: Callable[[], str | None] | None = None,
    before_kill: Callable[[], None] | None = None,
    stdin: str = "",
) -> Finished:
    """Run a command in a session of its own and leave nothing of it behind.

    Args:
        command: the program and its arguments.
        timeout: seconds after which everything is killed.
        env: the whole environment.
        cwd: the working directory.
        watch: called at each poll; a string that it returns is the reason to kill the job now.
        before_kill: called once before a job is killed, to collect evidence.
        stdin: text for the standard input.
    """
    token = uuid.uuid4().hex
    with tempfile.TemporaryDirectory(prefix="distkeras-job-") as directory:
        # Not pipes: a surviving grandchild would keep a pipe open, and reading would hang.
        out, err, given = (Path(directory, name) for name in ("stdout", "stderr", "stdin"))
        given.write_text(stdin)
        begin = time.monotonic()
        with out.open("wb") as o, err.open("wb") as e, given.open("rb") as i:
            process = subprocess.Popen(
                list(command),
                stdin=i,
                stdout=o,
                stderr=e,
                env={**env, TOKEN: f"{env.get(TOKEN, '')}/{token}"},
                cwd=cwd,
                start_new_session=True,
            )
        stopped = None
        try:
            while process.poll() is None:
                if time.monotonic() - begin > timeout:
                    stopped = f"the time limit of {timeout:g} s passed"
                elif watch is not None:
                    stopped = watch()
                if stopped is not None:
                    if before_kill is not None:
                        before_kill()
                    break
                time.sleep(_POLL)
            orphans = () if stopped is not None else _wait_for_end(process.pid, token)
        finally:
            _kill_all(process, token)
        seconds = time.monotonic() - begin
        return Finished(
            tuple(command),
            process.wait(),
            out.read_text(errors="replace"),
            err.read_text(errors="replace"),
            seconds,
            stopped,
            orphans,
        )


def alive(token: str) -> list[int]:
    """The processes that carry `token` in their environment (Linux; elsewhere none is found)."""
    name, wanted = f"{TOKEN}=".encode(), token.encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            variables = entry.read_bytes().split(b"\0")
        except OSError:  # it has ended, or belongs to someone else
            continue
        if any(v.startswith(name) and wanted in v for v in variables):
            found.append(int(entry.parent.name))
    return found


def _wait_for_end(leader: int, token: str) -> tuple[int, ...]:
    """What is left of a job whose first process has ended, after a moment to end by itself."""
    deadline = time.monotonic() + _GRACE_FOR_EXIT
    while True:
        left = tuple(pid for pid in alive(token) if pid != leader)
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(_POLL)


def _kill_all(process: subprocess.Popen[bytes], token: str) -> None:
    # The leader's id names the group for as long as any member lives.
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        targets = alive(token)
        if process.poll() is None or targets:
            _signal(os.killpg, process.pid)
        for pid in targets:
            _signal(os.kill, pid)
        if process.poll() is not None and not alive(token):
            return
        time.sleep(_POLL)
    raise RuntimeError(f"processes {alive(token)} survive SIGKILL")


def _signal(send: Callable[[int, int], None], target: int) -> None:
    try:
        send(target, signal.SIGKILL)
    except ProcessLookupError:
        return
