"""How large a fresh installation is, in bytes on the disk.

    python benchmarks/install_size.py [--extra mpi]

Makes a virtual environment in a temporary directory, installs this tree with the extra, and adds
up what is there, the environment's own pip among it. It needs the network or a package cache.
"""

import argparse
import importlib.metadata
import subprocess
import sys
import tempfile
from pathlib import Path

import machine

GOAL = 200
MB = 1e6


def size(path: Path) -> float:
    """What a file or directory takes on the disk, in MB of 10^6 bytes."""
    files = [path] if path.is_file() else [p for p in path.rglob("*") if not p.is_symlink()]
    return sum(p.lstat().st_blocks for p in files) * 512 / MB


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--extra", default="mpi", help="an extra of the package, default mpi")
    extra = parser.parse_args().extra
    print(machine.describe())
    with tempfile.TemporaryDirectory() as directory:
        venv = Path(directory, "venv")
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        empty = size(venv)
        python = str(venv / "bin" / "python")
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, f"{machine.ROOT}[{extra}]"], check=True)
        whole = size(venv)
        said = "reached" if whole < GOAL else "MISSED"
        print(f"distkeras[{extra}]: {whole:.0f} MB   goal: below {GOAL} MB, {said}")
        print(f"of it the empty environment: {empty:.0f} MB")
        packages = next((venv / "lib").glob("python*/site-packages"))
        parts = {
            distribution.metadata["Name"]: sum(
                size(path)
                for file in distribution.files or []
                if (path := Path(distribution.locate_file(file))).is_file()
            )
            for distribution in importlib.metadata.distributions(path=[str(packages)])
        }
        for name, part in sorted(parts.items(), key=lambda item: -item[1]):
            print(f"  {name:15} {part:6.1f} MB")


if __name__ == "__main__":
    main()
