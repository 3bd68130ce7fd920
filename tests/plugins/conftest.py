"""`install`: a fake site-packages directory with plugins, and programs that see it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import distkeras

ROOT = Path(distkeras.__path__[0]).parent


class Site:
    """A directory with distributions, as pip would unpack them."""

    def __init__(self, folder: Path):
        self.folder = folder

    def add(self, name: str, code: str, version: str = "1.0", entry: str = "plugin") -> None:
        """Install a distribution of one module with one entry point."""
        module = name.replace("-", "_")
        (self.folder / f"{module}.py").write_text(code)
        info = self.folder / f"{module}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[distkeras]\n{entry} = {module}\n")

    def python(self, *args: str, **env: str) -> subprocess.CompletedProcess:
        """Run Python with these distributions."""
        path = os.pathsep.join([str(self.folder), str(ROOT)])
        return subprocess.run(
            [sys.executable, *args],
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "PYTHONPATH": path, **env},
        )

    def plugins(self, *args: str) -> subprocess.CompletedProcess:
        """Run `distkeras plugins`."""
        return self.python("-c", COMMAND, "plugins", *args)

    def listed(self) -> dict[str, dict]:
        """The answer of `distkeras plugins --json`, by distribution."""
        answer = self.plugins("--json")
        assert answer.stderr == ""
        return {plugin["distribution"]: plugin for plugin in json.loads(answer.stdout)}


COMMAND = "import sys; from distkeras.cli import main; sys.exit(main(sys.argv[1:]))"


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)
