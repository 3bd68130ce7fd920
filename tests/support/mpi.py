"""Which `mpiexec` the tests use, and with which flags and environment."""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import site
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

# By these a launcher tells a process its place; a job that we start must not inherit another job's.
LAUNCHER_PREFIXES = ("PMI_", "PMIX_", "OMPI_COMM_WORLD_", "OMPI_UNIVERSE_", "HYDI_", "MPI_LOCAL")

_OPENMPI_ENVIRONMENT = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    "OMPI_MCA_osc": "^ucx",
}


@functools.cache
def find_mpiexec() -> str | None:
    """`mpiexec` (or `mpirun`) beside the running Python, or else on `PATH`."""
    for directory in (str(Path(sys.executable).parent), None):
        for name in ("mpiexec", "mpirun"):
            found = shutil.which(name, path=directory)
            if found:
                return found
    return None


@functools.cache
def version() -> str:
    """The first line with content of `mpiexec --version`."""
    found = find_mpiexec()
    if found is None:
        return "no mpiexec"
    answer = subprocess.run(
        [found, "--version"], capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL
    )
    lines = [" ".join(line.split()) for line in answer.stdout.splitlines() if line.strip()]
    if any("HYDRA" in line for line in lines[:1]):
        return next((f"MPICH, {line}" for line in lines if line.startswith("Version")), lines[0])
    return lines[0] if lines else "unknown"


def missing() -> str | None:
    """What is missing for N-rank tests, or None."""
    if importlib.util.find_spec("mpi4py") is None:
        return "mpi4py is not installed"
    if find_mpiexec() is None:
        return f"there is no mpiexec beside {sys.executable} or on PATH"
    return None


def command(n: int, args: Sequence[str], extra: Sequence[str] = ()) -> list[str]:
    """`mpiexec -n n EXTRA python ARGS`.

    Raises:
        RuntimeError: if there is no MPI.
    """
    lack = missing()
    if lack is not None:
        raise RuntimeError(f"{lack}: pip install 'distkeras[mpi]'")
    # Open MPI pins ranks to cores: a second job, or a busy core, would then hold a rank up.
    flags = ["--bind-to", "none"] if _is_openmpi() else []
    return [str(find_mpiexec()), *flags, "-n", str(n), *extra, sys.executable, *args]


def environment() -> dict[str, str]:
    """This process's environment without a launcher's variables, and with the same distkeras."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(LAUNCHER_PREFIXES)}
    if find_mpiexec() is not None and _is_openmpi():
        env = {**_OPENMPI_ENVIRONMENT, **env}
    source = _source_directory()
    if source is not None:
        paths = [p for p in env.get("PYTHONPATH", "").split(os.pathsep) if p and p != source]
        env["PYTHONPATH"] = os.pathsep.join([source, *paths])
    return env


def _is_openmpi() -> bool:
    return any(name in version() for name in ("Open MPI", "OpenRTE", "PRRTE", "prte"))


def _source_directory() -> str | None:
    """The directory above an imported-from-source distkeras; None if it is installed or absent."""
    spec = importlib.util.find_spec("distkeras")
    if spec is None or not spec.submodule_search_locations:
        return None
    parent = Path(next(iter(spec.submodule_search_locations))).resolve().parent
    installed = [Path(p).resolve() for p in (*site.getsitepackages(), site.getusersitepackages())]
    return None if parent in installed else str(parent)
