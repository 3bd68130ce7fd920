"""In each rank: runs the tests it was given and reports every step to the parent, a JSON line each.

The protocol, per launch:

a. The parent writes the ids of the tests into `tests.json`, and starts pytest on N ranks with `JOB`
   naming the directory.
b. Each rank reports `start`, collects, reports `collected` with the ids it found, and compares them
   with the others'. If they differ, no rank runs anything.
c. For each test a rank reports `begin`, pytest's `report` of each phase, and `done`.
d. The ranks then tell each other whether it failed anywhere. If so all stop here, so that no test
   starts on ranks that are in different places.
e. At the end each rank reports `finish` with the number of tests it executed.

A rank that never gets through (d) because another one hangs in its test is killed by the parent,
which sees `done` and `failed` from one and not from the other.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
from pathlib import Path

import pytest

JOB = "DISTKERAS_TEST_RANK_JOB"
STACKS_SIGNAL = signal.SIGUSR2


class RankSide:
    """The pytest plugin of one rank."""

    def __init__(self, config: pytest.Config, directory: Path):
        from mpi4py import MPI

        # The harness has a communicator of its own; the world is the tests'.
        self.channel = MPI.COMM_WORLD.Dup()
        self.world = MPI.COMM_WORLD
        self.directory = directory
        self.rank = self.world.rank
        self.wanted: list[str] = json.loads((directory / "tests.json").read_text())
        self.log = (directory / f"rank{self.rank}.jsonl").open("w", buffering=1)
        self.stacks = (directory / f"stacks{self.rank}.txt").open("w")
        self.failed = False
        self.executed = 0
        faulthandler.register(STACKS_SIGNAL, file=self.stacks, all_threads=True)
        config.option.basetemp = str(directory / f"tmp{self.rank}")
        self.tell("start", pid=os.getpid(), size=self.world.size)

    def tell(self, event: str, **content: object) -> None:
        self.log.write(json.dumps({"event": event, **content}) + "\n")
        self.log.flush()

    def communicator(self):
        """A duplicate of the world, freed with the process."""
        return self.world.Dup()

    def shared_directory(self, nodeid: str) -> Path:
        path = self.directory / "shared" / str(self.wanted.index(nodeid))
        path.mkdir(parents=True, exist_ok=True)
        return path

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        found = {item.nodeid: item for item in items}
        items[:] = [found[nodeid] for nodeid in self.wanted if nodeid in found]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.tell("collection_error", text=str(report.longrepr))

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        mine = [item.nodeid for item in session.items]
        self.tell("collected", tests=mine)
        if any(other != mine for other in self.channel.allgather(mine)):
            pytest.exit(
                "the ranks collected different tests", returncode=pytest.ExitCode.USAGE_ERROR
            )

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item):
        self.failed = False
        self.tell("begin", test=item.nodeid)
        result = yield
        self.tell("done", test=item.nodeid, failed=self.failed)
        if any(self.channel.allgather(self.failed)):
            item.session.shouldstop = "a rank failed"
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        text = ""
        if report.failed:
            self.failed = True
            text = "\n".join(
                [
                    str(report.longrepr),
                    *(f"--- {title} ---\n{body}" for title, body in report.sections),
                ]
            )
        elif report.skipped:
            text = (
                report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            )
        self.executed += report.when == "call" and not report.skipped
        self.tell("report", test=report.nodeid, when=report.when, outcome=report.outcome, text=text)

    def pytest_sessionfinish(self) -> None:
        self.tell("finish", executed=self.executed)
