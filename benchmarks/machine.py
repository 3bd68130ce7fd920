"""What every benchmark needs: a clean environment for its children, and the machine in words."""

import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# What would change a child's threads or libraries behind the back of the one who measures.
DROPPED = ("OPENBLAS_", "OMP_", "MKL_", "GOTO_", "PYTHONDONTWRITEBYTECODE")
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def environment(bytecode: Path, threads: int | None = None, **more: str) -> dict[str, str]:
    """The environment of a measured process.

    Args:
        bytecode: where compiled modules are kept, so that no run but the first compiles any: as
            with an installed package, whatever the tree is like.
        threads: of BLAS and OpenMP, by default as many as the libraries choose.
        **more: further variables.
    """
    env = {name: value for name, value in os.environ.items() if not name.startswith(DROPPED)}
    env["PYTHONPYCACHEPREFIX"] = str(bytecode)
    env["PYTHONPATH"] = str(ROOT)
    if threads is not None:
        env |= dict.fromkeys(THREADS, str(threads))
    return env | more


def run(command: Sequence[str], env: dict[str, str], limit: float = 300) -> str:
    """What a program prints; it ends with the program's error where that fails."""
    end = subprocess.run(
        list(command), env=env, cwd=ROOT, capture_output=True, text=True, timeout=limit, check=False
    )
    if end.returncode:
        sys.exit(f"{' '.join(command)}\nended with {end.returncode}:\n{end.stdout}{end.stderr}")
    return end.stdout


def load() -> float:
    """How many processes wanted a core in the last minute, on average."""
    return os.getloadavg()[0]


def describe() -> str:
    """The machine, the day and the load, in one line."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [x for x in cpuinfo.read_text().splitlines() if x.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    return (
        f"{time.strftime('%Y-%m-%d %H:%M')}: {os.cpu_count()} cores, {model}, "
        f"{platform.system()}, Python {platform.python_version()}, load {load():.2f}"
    )


def spread(values: Sequence[float]) -> str:
    """The least, the middle and the largest value."""
    ordered = sorted(values)
    return f"{ordered[0]:.3f} .. {ordered[len(ordered) // 2]:.3f} .. {ordered[-1]:.3f}"
