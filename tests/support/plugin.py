"""The pytest plugin of this test suite: one side of it in the parent, the other in each rank."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from support import mpi, rank_side
from support.parent_side import ParentSide
from support.programs import ProgramRunner

MARKER = (
    "mpi(min_size=2, sizes=(), timeout=60): runs on min_size MPI ranks (or once on each of sizes), "
    "started by pytest itself; timeout is in seconds per test"
)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)
    if rank_side.JOB in os.environ:
        side: object = rank_side.RankSide(config, Path(os.environ[rank_side.JOB]))
    else:
        for name in ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE"):
            if int(os.environ.get(name, 1)) > 1:
                raise pytest.UsageError(
                    f"pytest was started on several ranks ({name} is set). Start plain `pytest`: "
                    "it runs the N-rank tests through mpiexec by itself."
                )
        side = ParentSide(config)
    config.pluginmanager.register(side, "distkeras-ranks")


@pytest.fixture
def comm(request: pytest.FixtureRequest):
    """A communicator over the ranks of this test, its own."""
    return _rank_side(request).communicator()


@pytest.fixture
def shared_tmp_path(request: pytest.FixtureRequest) -> Path:
    """An empty directory of this test that all its ranks see."""
    return _rank_side(request).shared_directory(request.node.nodeid)


@pytest.fixture
def run_program(tmp_path: Path) -> ProgramRunner:
    """Runs a program as its user would; see `ProgramRunner.__call__`."""
    return ProgramRunner(tmp_path)


@pytest.fixture
def needs_mpi() -> None:
    """For ordinary tests that call `run_program(n=...)`: they count as MPI tests too."""
    lack = mpi.missing()
    if lack is not None:
        pytest.fail(f"{lack}: pip install '.[mpi]'", pytrace=False)


def _rank_side(request: pytest.FixtureRequest) -> rank_side.RankSide:
    side = request.config.pluginmanager.get_plugin("distkeras-ranks")
    if not isinstance(side, rank_side.RankSide):
        pytest.fail("this fixture exists on MPI ranks only: mark the test with `pytest.mark.mpi`")
    return side
