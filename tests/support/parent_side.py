"""In the pytest that was started: launches the N-rank tests and judges them by the reports."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from support import mpi
from support.processes import Finished, run_job
from support.rank_side import JOB, STACKS_SIGNAL

LEAVE_OUT = "DISTKERAS_TEST_NO_MPI"

START_LIMIT = 60.0
END_LIMIT = 15.0
# How long the other ranks may go on with a test that has failed on one of them.
GRACE_AFTER_FAILURE = 3.0


@dataclass(frozen=True)
class Verdict:
    """What became of one test: `passed`, `skipped` or `failed`, with the reason."""

    outcome: str
    text: str = ""


class RanksFailed(Exception):
    """A test failed on the ranks; the text is the whole report."""


class RanksItem(pytest.Item):
    """Stands in the parent for one test on `size` ranks."""

    def __init__(self, *, original: pytest.Item, size: int, timeout: float, **rest: object):
        super().__init__(**rest)
        self.path = original.path
        self.original = original
        self.size = size
        self.timeout = timeout
        self.own_markers.extend(original.own_markers)
        self.keywords.update(original.keywords)

    def runtest(self) -> None:
        verdict = self.config.pluginmanager.get_plugin("distkeras-ranks").verdict(self)
        if verdict.outcome == "skipped":
            pytest.skip(verdict.text)
        if verdict.outcome == "failed":
            raise RanksFailed(verdict.text)

    def repr_failure(self, excinfo, style=None):
        if isinstance(excinfo.value, RanksFailed):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self):
        return self.original.reportinfo()


@dataclass
class Progress:
    """One rank's reports so far."""

    path: Path
    offset: int = 0
    pid: int = 0
    collected: list[str] | None = None
    begun: dict[str, float] = field(default_factory=dict)
    done: dict[str, bool] = field(default_factory=dict)
    reports: dict[str, list[dict]] = field(default_factory=lambda: defaultdict(list))
    problems: list[str] = field(default_factory=list)
    executed: int | None = None
    finished_at: float | None = None

    def read(self) -> None:
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self.offset)
            fresh = file.read()
        whole = fresh[: fresh.rfind(b"\n") + 1]
        self.offset += len(whole)
        for line in whole.splitlines():
            self._take(json.loads(line))

    def _take(self, event: dict) -> None:
        kind = event["event"]
        if kind == "start":
            self.pid = event["pid"]
        elif kind == "collected":
            self.collected = event["tests"]
        elif kind == "collection_error":
            self.problems.append(event["text"])
        elif kind == "begin":
            self.begun[event["test"]] = time.monotonic()
        elif kind == "report":
            self.reports[event["test"]].append(event)
        elif kind == "done":
            self.done[event["test"]] = event["failed"]
        elif kind == "finish":
            self.executed = event["executed"]
            self.finished_at = time.monotonic()

    def outcome(self, test: str) -> str:
        """`passed`, `failed`, `skipped`, `unfinished` or `not executed`."""
        if any(report["outcome"] == "failed" for report in self.reports[test]):
            return "failed"
        if test in self.begun and test not in self.done:
            return "unfinished"
        if any(report["outcome"] == "skipped" for report in self.reports[test]):
            return "skipped"
        called = any(report["when"] == "call" for report in self.reports[test])
        return "passed" if called else "not executed"

    def text(self, test: str, outcome: str) -> str:
        texts = (r["text"] for r in self.reports[test] if r["outcome"] == outcome)
        return "\n".join(text for text in texts if text)


class Launch:
    """One `mpiexec` that runs some tests of one file."""

    def __init__(self, config: pytest.Config, file: Path, size: int, limits: dict[str, float]):
        self.config = config
        self.file = file
        self.size = size
        self.limits = limits
        self.ranks: list[Progress] = []
        self.stacks: dict[int, str] = {}
        self.job: Finished | None = None
        self.begin = 0.0
        self.failed_at: float | None = None

    def run(self) -> None:
        with tempfile.TemporaryDirectory(prefix="distkeras-ranks-") as name:
            directory = Path(name)
            (directory / "tests.json").write_text(json.dumps(list(self.limits)))
            self.ranks = [Progress(directory / f"rank{r}.jsonl") for r in range(self.size)]
            env = mpi.environment()
            env[JOB] = name
            env.setdefault("OPENBLAS_NUM_THREADS", "1")  # N ranks share the machine's cores
            self.begin = time.monotonic()
            self.job = run_job(
                mpi.command(self.size, self._pytest_words()),
                timeout=START_LIMIT + sum(self.limits.values()) + END_LIMIT,
                env=env,
                cwd=self.config.rootpath,
                watch=self._watch,
                before_kill=lambda: self._ask_for_stacks(directory),
            )
            for rank in self.ranks:
                rank.read()

    def _pytest_words(self) -> list[str]:
        # -P: the working directory stays off sys.path, so the ranks import what the parent imports.
        words = ["-P", "-m", "pytest", str(self.file), f"--rootdir={self.config.rootpath}"]
        if self.config.inipath is not None:
            words += ["-c", str(self.config.inipath)]
        return [*words, "-q", "--no-header", "--color=no", "-p", "no:cacheprovider"]

    def _watch(self) -> str | None:
        for rank in self.ranks:
            rank.read()
        now = time.monotonic()
        if any(rank.collected is None for rank in self.ranks):
            if any(rank.problems for rank in self.ranks):
                return self._over(now, self.begin, GRACE_AFTER_FAILURE, "a rank could not collect")
            return self._over(now, self.begin, START_LIMIT, "not all ranks started")
        ends = [rank.finished_at for rank in self.ranks]
        for test, limit in self.limits.items():
            begins = [rank.begun[test] for rank in self.ranks if test in rank.begun]
            if not begins or all(test in rank.done for rank in self.ranks):
                continue
            reason = self._over(now, min(begins), limit, f"the test's limit of {limit:g} s passed")
            if reason is None and any(rank.outcome(test) == "failed" for rank in self.ranks):
                self.failed_at = self.failed_at or now
                reason = self._over(
                    now,
                    self.failed_at,
                    GRACE_AFTER_FAILURE,
                    "a rank failed and others did not come to an end",
                )
            if reason is not None:
                return reason
        known = [end for end in ends if end is not None]
        if known:
            return self._over(now, max(known), END_LIMIT, "the ranks finished, the job did not end")
        return None

    @staticmethod
    def _over(now: float, since: float, limit: float, reason: str) -> str | None:
        return reason if now - since > limit else None

    def _ask_for_stacks(self, directory: Path) -> None:
        for rank in self.ranks:
            if rank.pid and rank.finished_at is None:
                try:
                    os.kill(rank.pid, STACKS_SIGNAL)
                except ProcessLookupError:
                    continue
        time.sleep(0.3)
        for number in range(self.size):
            path = directory / f"stacks{number}.txt"
            self.stacks[number] = _test_frames(path.read_text()) if path.exists() else ""

    def verdicts(self) -> dict[str, Verdict]:
        """A verdict for each test that this launch decided; the others need another launch."""
        decided = {}
        for test in self.limits:
            outcomes = [rank.outcome(test) for rank in self.ranks]
            if set(outcomes) == {"passed"}:
                decided[test] = Verdict("passed")
            elif set(outcomes) == {"skipped"}:
                decided[test] = Verdict("skipped", self.ranks[0].text(test, "skipped"))
            elif set(outcomes) != {"not executed"} or self._collected_apart(test):
                decided[test] = Verdict("failed", self._explain(test, outcomes))
        return self._checked_counts(decided) if decided else self._nothing_happened()

    def _collected_apart(self, test: str) -> bool:
        return len({test in (rank.collected or ()) for rank in self.ranks}) > 1

    def _checked_counts(self, decided: dict[str, Verdict]) -> dict[str, Verdict]:
        """Every rank must have executed the number of tests that are called passed."""
        assert self.job is not None
        if any(verdict.outcome == "failed" for verdict in decided.values()):
            return decided
        passed = sum(verdict.outcome == "passed" for verdict in decided.values())
        counts = [rank.executed for rank in self.ranks]
        wrong = None
        if counts != [passed] * self.size:
            wrong = f"the ranks executed {counts} tests, expected {passed} each"
        elif self.job.stopped is not None or self.job.returncode != 0:
            wrong = "all tests passed, and then the job did not end well"
        elif self.job.orphans:
            wrong = "the job left processes behind"
        if wrong is not None:
            last = list(decided)[-1]
            decided[last] = Verdict("failed", f"{wrong}\n{self.job.describe()}")
        return decided

    def _nothing_happened(self) -> dict[str, Verdict]:
        assert self.job is not None
        problems = dict.fromkeys(text for rank in self.ranks for text in rank.problems)
        text = "\n".join(["no rank executed any test", *problems, self.job.describe()])
        return {test: Verdict("failed", text) for test in self.limits}

    def _explain(self, test: str, outcomes: list[str]) -> str:
        """Ranks that say the same are named together; those that failed come first."""
        assert self.job is not None
        stopped = self.job.stopped if "unfinished" in outcomes else None
        lines = [f"{test} on {self.size} ranks: {stopped or 'not passed on every rank'}"]
        said: dict[tuple[str, str], list[int]] = defaultdict(list)
        for number, outcome in enumerate(outcomes):
            body = self.ranks[number].text(test, outcome)
            if outcome == "unfinished":
                body = self.stacks.get(number) or "(the rank's process ended during the test)"
            elif outcome == "not executed":
                collected = self.ranks[number].collected
                found = "nothing" if collected is None else len(collected)
                body = "\n".join([f"(it collected {found})", *self.ranks[number].problems])
            said[outcome, body].append(number)
        order = ("failed", "unfinished", "not executed", "skipped", "passed")
        for (outcome, body), numbers in sorted(said.items(), key=lambda s: order.index(s[0][0])):
            who = "rank " + str(numbers[0]) if len(numbers) == 1 else f"ranks {numbers}"
            lines.append(f"======== {who}: {outcome} ========")
            lines += [body] if body else []
        if not {"failed", "skipped"} & set(outcomes):
            lines += ["======== the job ========", self.job.describe()]
        return "\n".join(lines)


class ParentSide:
    """The pytest plugin of the process that the developer started."""

    def __init__(self, config: pytest.Config):
        self.config = config
        self.left_out = os.environ.get(LEAVE_OUT) == "1"
        self.groups: dict[tuple[Path, int], list[RanksItem]] = defaultdict(list)
        self.verdicts: dict[str, Verdict] = {}

    def pytest_report_header(self) -> str:
        if self.left_out:
            return f"mpi: N-rank tests are LEFT OUT by {LEAVE_OUT}=1"
        lack = mpi.missing()
        if lack is not None:
            return f"mpi: {lack}; N-rank tests will fail"
        return f"mpi: {mpi.find_mpiexec()} ({mpi.version()})"

    # First, so that -k and -m choose among the tests on ranks.
    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        kept, dropped = [], []
        for item in items:
            mark = item.get_closest_marker("mpi")
            wants_mpi = mark is not None or "needs_mpi" in getattr(item, "fixturenames", ())
            if wants_mpi and self.left_out:
                dropped.append(item)
            elif mark is not None:
                kept += _on_ranks(item, mark)
            else:
                kept.append(item)
        items[:] = kept
        if dropped:
            config.hook.pytest_deselected(items=dropped)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            if isinstance(item, RanksItem):
                self.groups[item.path, item.size].append(item)

    def verdict(self, item: RanksItem) -> Verdict:
        """The verdict on one test; its whole group is launched when the first one asks."""
        lack = mpi.missing()
        if lack is not None:
            return Verdict(
                "failed",
                f"{lack}, so this test cannot run on {item.size} ranks. pip install '.[mpi]', or "
                f"set {LEAVE_OUT}=1 to leave all such tests out.",
            )
        if item.nodeid not in self.verdicts:
            self._run_group(item)
        return self.verdicts[item.nodeid]

    def _run_group(self, item: RanksItem) -> None:
        group = self.groups[item.path, item.size]
        names = {other.original.nodeid: other for other in group[group.index(item) :]}
        pending = {name: other.timeout for name, other in names.items()}
        while pending:
            launch = Launch(self.config, item.path, item.size, pending)
            launch.run()
            decided = launch.verdicts()
            for name, verdict in decided.items():
                self.verdicts[names[name].nodeid] = verdict
            pending = {name: limit for name, limit in pending.items() if name not in decided}


def _test_frames(stacks: str) -> str:
    """The dump of `faulthandler` without the frames of pytest itself."""
    own = ("/_pytest/", "/pluggy/", "/pytest/", "<frozen runpy>")
    lines = stacks.splitlines()
    return "\n".join(line for line in lines if not any(part in line for part in own))


def _on_ranks(item: pytest.Item, mark: pytest.Mark) -> list[RanksItem]:
    known = {"min_size", "sizes", "timeout"}
    if mark.args or set(mark.kwargs) - known:
        raise pytest.UsageError(
            f"{item.nodeid}: pytest.mark.mpi takes the keywords {sorted(known)}, "
            f"got {mark.args} {mark.kwargs}"
        )
    sizes = mark.kwargs.get("sizes") or (mark.kwargs.get("min_size", 2),)
    made = []
    for size in sizes:
        name = item.name
        if len(sizes) > 1:
            ranks = f"{size}-ranks"
            name = f"{name[:-1]}-{ranks}]" if name.endswith("]") else f"{name}[{ranks}]"
        made.append(
            RanksItem.from_parent(
                item.parent,
                name=name,
                original=item,
                size=int(size),
                timeout=float(mark.kwargs.get("timeout", 60.0)),
            )
        )
    return made
