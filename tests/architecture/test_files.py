"""What no file of the project may hold, and how long it may be."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LONGEST = 700

# Directories that exist on the machine of one developer only; put together here, so that this file
# does not hold them itself.
MACHINE = re.compile(
    r"(?<![\w.~$}/-])(?:/(?:" + "|".join(("work", "farm", "root")) + r")|/tmp/" + r"venvs)/"
    r"|/home/" + r"(?!user|you|me\b)\w+/"
)


def tracked() -> list[Path]:
    """The project's files: those that git tracks, or all in an unpacked source archive."""
    if (ROOT / ".git").exists():
        listed = subprocess.run(
            ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        names = [ROOT / name for name in listed.stdout.split("\0") if name]
        return [path for path in names if path.is_file()]
    hidden = re.compile(r"/(\.venv|venv|__pycache__|\.[a-z]+_cache|build|dist)/")
    return [p for p in ROOT.rglob("*") if p.is_file() and not hidden.search(p.as_posix())]


def text_of(path: Path) -> str | None:
    content = path.read_bytes()
    return None if b"\0" in content else content.decode("utf-8", errors="replace")


def test_no_file_names_a_machines_paths():
    named = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:120]}"
        for path in tracked()
        for number, line in enumerate((text_of(path) or "").splitlines(), 1)
        if MACHINE.search(line)
    ]
    assert named == []


@pytest.mark.parametrize(
    "line, found",
    [
        ("cd /" + "work/main", True),
        ("source=/" + "root/data", True),
        ("/tmp/" + "venvs/dev", True),
        ("/home/" + "someone/x", True),
        ("framework/main", False),
        ("https://x.org/" + "work/1", False),
        ("./" + "work/1", False),
        ("/home/" + "user/x", False),
    ],
)
def test_the_search_for_paths(line, found):
    assert bool(MACHINE.search(line)) is found


def test_no_file_outside_the_tests_is_too_long():
    long = {
        str(path.relative_to(ROOT)): count
        for path in tracked()
        if path.suffix == ".py" and path.relative_to(ROOT).parts[0] != "tests"
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > LONGEST
    }
    assert long == {}


def test_the_files_were_found():
    names = {path.relative_to(ROOT).as_posix() for path in tracked()}
    assert {"pyproject.toml", "tests/architecture/test_files.py"} <= names
