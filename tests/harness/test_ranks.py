"""The harness itself: what must make an N-rank test fail does make it fail."""

import os
import sys
import time
import xml.etree.ElementTree
from pathlib import Path

import pytest

from support import mpi
from support.processes import Finished, run_job

CONFTEST = Path(__file__).parents[1] / "conftest.py"

RANKS = """
import json, os, signal, time
import pytest

two = pytest.mark.mpi(min_size=2)


@two
def test_passes(comm, tmp_path, shared_tmp_path):
    (shared_tmp_path / str(comm.rank)).write_text(str(tmp_path))
    comm.barrier()
    assert len({p.read_text() for p in shared_tmp_path.iterdir()}) == comm.size == 2


@two
def test_fails_on_rank_1(comm):
    print("seen on rank", comm.rank)
    assert comm.rank == 0, "rank 1 is unhappy"


@two
def test_after_a_failure_passes(comm):
    assert comm.allreduce(1) == 2


@two
def test_is_skipped_on_rank_0(comm):
    if comm.rank == 0:
        pytest.skip("only rank 0 stays out")


@two
def test_is_skipped_everywhere(comm):
    pytest.skip("nobody can")


@two
def test_raises_while_the_other_waits(comm):
    if comm.rank == 1:
        raise ValueError("rank 1 gave up")
    comm.barrier()


@pytest.mark.mpi(min_size=2, timeout=1.5)
def test_deadlocks(comm):
    child = os.spawnlp(os.P_NOWAIT, "sleep", "sleep", "300")
    with open(os.environ["PIDS"] + str(comm.rank), "w") as file:
        file.write(f"{os.getpid()} {child}")
    comm.recv(source=1 - comm.rank)


@two
def test_is_killed_on_rank_0(comm):
    if comm.rank == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    comm.barrier()


@pytest.mark.mpi(sizes=(1, 3))
@pytest.mark.parametrize("word", ["a"])
def test_sizes(comm, word):
    assert comm.allreduce(1) == comm.size


def test_without_ranks():
    assert "JOB" not in os.environ
"""

FEWER = """
import os
import pytest

if os.environ.get("PMI_RANK", os.environ.get("OMPI_COMM_WORLD_RANK", "0")) == "0":
    @pytest.mark.mpi(min_size=2)
    def test_on_rank_0_only(comm):
        pass

@pytest.mark.mpi(min_size=2)
def test_on_both(comm):
    pass
"""

BROKEN = """
import os
import pytest

assert os.environ.get("PMI_RANK", os.environ.get("OMPI_COMM_WORLD_RANK")) in (None, "0"), "not here"

@pytest.mark.mpi(min_size=2)
def test_whose_file_rank_1_cannot_import(comm):
    pass
"""


class Project:
    """A small project that uses the harness, and the result of `pytest` on it."""

    def __init__(self, directory: Path, **files: str):
        self.directory = directory
        (directory / "conftest.py").write_text(CONFTEST.read_text())
        (directory / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib\n")
        for name, text in files.items():
            (directory / f"{name}.py").write_text(text)

    def run(self, *words: str, **variables: str) -> Finished:
        env = mpi.environment()
        path = [str(CONFTEST.parent), *env.get("PYTHONPATH", "").split(os.pathsep)]
        env["PYTHONPATH"] = os.pathsep.join(filter(None, path))
        env["PIDS"] = str(self.directory / "pids")
        env.pop("DISTKERAS_TEST_NO_MPI", None)
        return run_job(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words],
            timeout=100,
            env={**env, **variables},
            cwd=self.directory,
        )


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """Test name -> (`passed`, `failed` or `skipped`, report), from one run of a whole project."""
    lack = mpi.missing()
    if lack is not None:
        pytest.fail(lack)
    project = Project(
        tmp_path_factory.mktemp("project"), test_ranks=RANKS, test_fewer=FEWER, test_broken=BROKEN
    )
    report = project.directory / "report.xml"
    finished = project.run(f"--junitxml={report}")
    assert finished.returncode == pytest.ExitCode.TESTS_FAILED, finished.describe()
    assert finished.orphans == ()
    outcomes = {}
    for case in xml.etree.ElementTree.parse(report).iter("testcase"):
        failure, skipped = case.find("failure"), case.find("skipped")
        if failure is not None:
            outcomes[case.get("name")] = ("failed", failure.text)
        elif skipped is not None:
            outcomes[case.get("name")] = ("skipped", skipped.get("message"))
        else:
            outcomes[case.get("name")] = ("passed", "")
    outcomes["pids"] = [
        int(pid)
        for file in sorted(project.directory.glob("pids*"))
        for pid in file.read_text().split()
    ]
    return outcomes


@pytest.mark.usefixtures("needs_mpi")
class TestOutcomes:
    @pytest.mark.parametrize(
        "name",
        [
            "test_passes",
            "test_after_a_failure_passes",
            "test_sizes[a-1-ranks]",
            "test_sizes[a-3-ranks]",
            "test_without_ranks",
            "test_on_both",
        ],
    )
    def test_a_good_test_passes(self, outcome, name):
        assert outcome[name] == ("passed", "")

    @pytest.mark.parametrize(
        "name, said",
        [
            (
                "test_fails_on_rank_1",
                ["rank 1: failed", "rank 1 is unhappy", "seen on rank 1", "rank 0: passed"],
            ),
            ("test_is_skipped_on_rank_0", ["rank 0: skipped", "only rank 0 stays out"]),
            (
                "test_raises_while_the_other_waits",
                ["rank 1: failed", "rank 1 gave up", "rank 0: unfinished", "in test_raises"],
            ),
            ("test_deadlocks", ["limit of 1.5 s passed", "unfinished", "in test_deadlocks"]),
            ("test_is_killed_on_rank_0", ["unfinished", "process ended during the test"]),
            ("test_on_rank_0_only", ["rank 1: not executed", "it collected 1"]),
            ("test_whose_file_rank_1_cannot_import", ["rank 1: not executed", "not here"]),
        ],
    )
    def test_a_bad_test_fails_and_says_why(self, outcome, name, said):
        verdict, text = outcome[name]
        assert verdict == "failed"
        assert [part for part in said if part not in text] == []

    def test_a_skip_on_all_ranks_is_a_visible_skip(self, outcome):
        assert outcome["test_is_skipped_everywhere"] == ("skipped", "Skipped: nobody can")

    def test_nothing_of_a_deadlock_stays_alive(self, outcome):
        assert len(outcome["pids"]) == 4
        assert all(has_ended(pid) for pid in outcome["pids"])


def test_without_mpi_rank_tests_fail(tmp_path):
    project = Project(tmp_path, test_ranks=RANKS)
    hide = "from support import mpi\nmpi.missing = lambda: 'mpi4py is gone'\n"
    (tmp_path / "conftest.py").write_text(hide + CONFTEST.read_text())
    finished = project.run("-k", "test_passes or test_without_ranks")
    assert finished.returncode == pytest.ExitCode.TESTS_FAILED, finished.describe()
    assert "1 failed, 1 passed" in finished.stdout
    assert "mpi4py is gone" in finished.stdout
    assert "DISTKERAS_TEST_NO_MPI=1" in finished.stdout


def test_leaving_rank_tests_out_is_explicit_and_said(tmp_path):
    project = Project(tmp_path, test_ranks=RANKS)
    finished = project.run("-v", DISTKERAS_TEST_NO_MPI="1")
    assert finished.returncode == 0, finished.describe()
    assert "LEFT OUT by DISTKERAS_TEST_NO_MPI=1" in finished.stdout
    assert "1 passed, 9 deselected" in finished.stdout


def test_a_wrong_mark_is_refused(tmp_path):
    text = "import pytest\n@pytest.mark.mpi(minsize=2)\ndef test_it(): pass\n"
    finished = Project(tmp_path, test_wrong=text).run()
    assert finished.returncode == pytest.ExitCode.USAGE_ERROR, finished.describe()
    assert "min_size" in finished.stderr


def test_pytest_under_mpiexec_is_refused(tmp_path):
    finished = Project(tmp_path, test_ranks=RANKS).run(PMI_SIZE="2")
    assert finished.returncode != 0
    assert "Start plain `pytest`" in finished.stdout + finished.stderr


class TestRunProgram:
    def test_one_process(self, run_program, tmp_path):
        (tmp_path / "program.py").write_text(
            "import os, sys\nprint(os.getcwd(), sys.argv[1:], input(), os.environ.get('EXTRA'))\n"
            "print('seen', file=sys.stderr)\nsys.exit(3)\n"
        )
        finished = run_program(["program.py", "x"], stdin="typed\n", env={"EXTRA": "1"})
        assert finished.returncode == 3
        assert finished.stdout == f"{tmp_path} ['x'] typed 1\n"
        assert finished.stderr == "seen\n"
        assert finished.orphans == ()
        assert not finished.timed_out

    @pytest.mark.usefixtures("needs_mpi")
    def test_two_ranks(self, run_program):
        code = (
            "import sys\n"
            "from mpi4py.MPI import COMM_WORLD as c\n"
            "sys.stdout.write(f'sum={c.allreduce(c.rank)},size={c.size}\\n')"
        )
        finished = run_program(["-c", code], n=2)
        assert finished.returncode == 0, finished.describe()
        assert finished.stdout == "sum=1,size=2\n" * 2

    def test_a_limit_kills_the_whole_tree(self, run_program):
        code = (
            "import subprocess\n"
            "child = subprocess.Popen(['sleep', '300'], start_new_session=True)\n"
            "print(child.pid, flush=True)\n"
            "child.wait()"
        )
        begin = time.monotonic()
        finished = run_program(["-c", code], timeout=2)
        assert finished.timed_out
        assert time.monotonic() - begin < 10
        assert has_ended(int(finished.stdout))

    def test_an_orphan_is_reported_and_killed(self, run_program):
        code = "import subprocess\nprint(subprocess.Popen(['sleep', '300']).pid)"
        finished = run_program(["-c", code])
        assert finished.returncode == 0
        assert finished.orphans == (int(finished.stdout),)
        assert has_ended(finished.orphans[0])


def has_ended(pid: int) -> bool:
    """Whether a process is gone; a zombie that waits for its parent counts as gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True
