"""The Python programs in README.md and docs/ run as they are printed."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = {
    f"{path.name}-{number}": block
    for path in DOCUMENTS
    for number, block in enumerate(
        re.findall(r"^```python\n(.*?)^```", path.read_text(encoding="utf-8"), re.S | re.M)
    )
}


@pytest.mark.parametrize("name", BLOCKS)
def test_program_runs(run_program, tmp_path, name):
    (tmp_path / "program.py").write_text(BLOCKS[name], encoding="utf-8")
    end = run_program(["program.py"], env={"OPENBLAS_NUM_THREADS": "1"})
    assert end.returncode == 0, end.describe()
    assert end.stderr == ""


def test_there_are_programs():
    assert {name.partition("-")[0] for name in BLOCKS} >= {
        "README.md",
        "distribution.md",
        "plugins.md",
    }


def test_links_lead_to_files():
    for path in DOCUMENTS:
        for link in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
            if "://" not in link:
                assert (path.parent / link).exists(), f"{path.name}: {link}"
