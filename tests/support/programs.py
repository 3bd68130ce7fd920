"""`run_program`: a user's program in its own process group, under `mpiexec` or not."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from support import mpi
from support.processes import Finished, run_job


class ProgramRunner:
    """Runs `python ARGS` in a directory and returns how it ended; see `__call__`."""

    def __init__(self, directory: Path):
        self.directory = directory

    def __call__(
        self,
        args: Sequence[str | os.PathLike[str]],
        *,
        n: int | None = None,
        timeout: float = 60.0,
        env: Mapping[str, str | None] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        stdin: str = "",
        mpiexec_args: Sequence[str] = (),
    ) -> Finished:
        """Run `python ARGS`, or `mpiexec -n n python ARGS`.

        Args:
            args: what follows `python`: a script and its arguments, or `-m module`, or `-c code`.
            n: how many ranks `mpiexec` starts; None runs one process without `mpiexec`.
            timeout: seconds after which the whole job is killed.
            env: variables to set on top of this process's, or to remove where the value is None.
            cwd: the working directory, by default the test's `tmp_path`.
            stdin: text for the standard input.
            mpiexec_args: more arguments for `mpiexec`.
        """
        words = [os.fspath(word) for word in args]
        line = [sys.executable, *words] if n is None else mpi.command(n, words, mpiexec_args)
        whole = mpi.environment()
        for name, value in (env or {}).items():
            if value is None:
                whole.pop(name, None)
            else:
                whole[name] = value
        return run_job(line, timeout=timeout, env=whole, cwd=cwd or self.directory, stdin=stdin)
