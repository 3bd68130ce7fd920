"""Imports point down only, and arrays and MPI are named where they belong."""

import textwrap

import pytest

from architecture import floors, sources

MODULES = sources.modules()


def test_every_module_is_on_a_floor():
    strays = [m for m in MODULES if m != sources.PACKAGE and floors.floor(m) is None]
    assert strays == []


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module):
    found = list(sources.imports(module, MODULES[module]))
    assert floors.violations(found) == []


def test_only_one_package_names_mpi4py():
    named = {
        item.module.split(".")[1]
        for module, path in MODULES.items()
        for item in sources.imports(module, path)
        if item.target.split(".")[0] == "mpi4py"
    }
    assert named <= {"distribution"}


def test_exceptions_are_needed():
    existing = {
        (item.module, item.target)
        for module, path in MODULES.items()
        for item in sources.imports(module, path)
    }
    assert set(floors.EXCEPTIONS) <= existing
    assert all(floors.EXCEPTIONS.values()), "each exception has a reason"


@pytest.mark.parametrize(
    "module, text, said",
    [
        ("engine.x", "from distkeras.layers import Dense", "floor 2 must not know floor 6"),
        ("engine.x", "def f():\n    import distkeras.models", "floor 2 must not know floor 9"),
        ("engine.x", "from ..ops import core", "floor 2 must not know floor 5"),
        ("engine.x", "from .. import layers", "floor 2 must not know floor 6"),
        ("utils.x", "if TYPE_CHECKING:\n    from distkeras.engine import t", "must not know"),
        ("ops.x", "import importlib\nimportlib.import_module('distkeras.data')", "must not know"),
        ("layers.x", "from distkeras import Sequential", "not the public face"),
        ("layers.x", "import distkeras", "not the public face"),
        ("layers.x", "import numpy as np", "compute with distkeras.ops"),
        ("layers.x", "def f():\n    from numpy import dot", "compute with distkeras.ops"),
        ("training.x", "def f():\n    from mpi4py import MPI", "above the floors"),
        ("layers.x", "import cupy", "above the floors"),
        ("devices.x", "import cupy", "inside the function"),
        ("distribution.x", "from mpi4py import MPI", "inside the function"),
    ],
)
def test_a_violation_is_found(tmp_path, module, text, said):
    path = tmp_path / "x.py"
    path.write_text(textwrap.dedent(text))
    (broken,) = floors.violations(list(sources.imports(f"distkeras.{module}", path)))
    assert said in broken


@pytest.mark.parametrize(
    "module, text",
    [
        ("layers.x", "from distkeras import config, ops\nfrom distkeras.losses import loss"),
        ("layers.x", "from . import core\nfrom ..initializers import get"),
        ("data.x", "import numpy as np"),
        ("engine.x", "import numpy as np"),
        ("devices.x", "def f():\n    import cupy"),
        ("distribution.x", "def f():\n    from mpi4py import MPI"),
        ("cli.x", "import os, json"),
        ("launch.x", "def f():\n    from distkeras import Sequential, layers"),
        ("layers.x", "from distkeras import __version__"),
    ],
)
def test_what_is_allowed_is_not_found(tmp_path, module, text):
    path = tmp_path / "x.py"
    path.write_text(text)
    assert floors.violations(list(sources.imports(f"distkeras.{module}", path))) == []
