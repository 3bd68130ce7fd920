"""The examples in the docstrings run and print what they say."""

import doctest
import importlib

import numpy as np
import pytest

import distkeras
from architecture import sources

# Run by `python -m` only.
MODULES = [name for name in sources.modules() if not name.endswith(".__main__")]


def names_for(module: str) -> dict[str, object]:
    """What an example may use beside its own module's names; in `ops`, all of `distkeras.ops`."""
    names: dict[str, object] = {"np": np, "distkeras": distkeras, "keras": distkeras}
    if module.startswith("distkeras.ops"):
        ops = importlib.import_module("distkeras.ops")
        names |= {name: getattr(ops, name) for name in dir(ops) if not name.startswith("_")}
    return names


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    finder = doctest.DocTestFinder(exclude_empty=True)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    report: list[str] = []
    for test in finder.find(module, name, extraglobs=names_for(name)):
        runner.run(test, out=report.append)
    assert not runner.summarize(verbose=False).failed, "".join(report)


def test_the_examples_are_found():
    from distkeras.datasets import digits

    (test,) = [t for t in doctest.DocTestFinder().find(digits) if t.name.endswith("load_data")]
    assert len(test.examples) == 2
