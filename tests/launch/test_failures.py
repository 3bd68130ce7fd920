"""A failure on one rank ends the whole job: soon, non-zero, with one report that names the rank."""

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import pytest

from support import mpi

PROGRAM = """
import os, signal, subprocess, sys, threading, time
import multiprocessing as mp
from distkeras import distribution

kind, failing = sys.argv[1], int(sys.argv[2])
if __name__ == "__main__":
    distribution.barrier()
    if failing in (distribution.rank(), -1):
        if kind == "raise":
            raise ValueError("boom")
        if kind == "thread":
            def work():
                raise ValueError("boom")
            threading.Thread(target=work).start()
            time.sleep(60)
        if kind == "exit":
            sys.exit(3)
        if kind == "exit message":
            sys.exit("no such data")
        if kind == "exit 256":
            sys.exit(256)
        if kind == "interrupt":
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(60)
        if kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if kind == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if kind == "_exit":
            os._exit(4)
        if kind == "children":
            pool = mp.get_context("spawn").Pool(1)
            pool.map(abs, [1])
            subprocess.Popen(["sleep", "60"])
            raise ValueError("boom")
        if kind == "forked":
            if os.fork() == 0:
                raise ValueError("boom")
            code = os.waitstatus_to_exitcode(os.wait()[1])
            sys.exit(int(code != 1))
    if kind == "forked":
        sys.exit()
    while True:
        distribution.barrier()
"""


@dataclass(frozen=True)
class Failure:
    """How a rank fails, and what the job then says."""

    kind: str
    says: str
    code: int | None = 1
    tracebacks: int = 0
    rank: int = 1


FAILURES = [
    Failure("raise", r"\[rank 1\] ValueError: boom", tracebacks=1),
    Failure("raise", r"\[rank \d\] ValueError: boom", tracebacks=1, rank=-1),
    Failure("thread", r"\[rank 1\] Exception in thread Thread-1", tracebacks=1),
    Failure("exit", r"\[rank 1\] ended the job by sys.exit with status 3 \(.*program.py, line ", 3),
    Failure("exit message", r"\[rank 1\] ended the job by sys.exit saying: no such data"),
    Failure("exit 256", r"\[rank 1\] ended the job by sys.exit with status 256"),
    Failure("interrupt", r"\[rank 1\] KeyboardInterrupt", 130),
    Failure("kill", r"\[rank 1\] ended without a word: killed", None),
    Failure("crash", r"Segmentation fault(.|\n)*\[rank 1\] ended without a word", None),
    Failure("_exit", r"\[rank 1\] ended without a word", None),
    Failure("children", r"\[rank 1\] ValueError: boom", tracebacks=1),
]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda f: f"{f.kind} {f.rank}")
def test_failure_of_a_rank_ends_the_job(failure, run_program, needs_mpi, tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    begin = time.time()
    end = run_program(
        ["-m", "distkeras.launch", "program.py", failure.kind, str(failure.rank)], n=3, timeout=30
    )
    assert not end.timed_out, end.describe()
    # Starting the job and importing NumPy three times is part of the time.
    assert time.time() - begin < 10, end.describe()
    assert end.returncode != 0, end.describe()
    if failure.code is not None:
        assert end.returncode == failure.code, end.describe()
    assert re.search(failure.says, end.stderr), end.describe()
    assert end.stderr.count("Traceback (most recent") == failure.tracebacks, end.describe()
    assert len(re.findall(r"\[rank \d\] (?:Value|Keyb|ended)", end.stderr)) == 1, end.describe()
    assert "distkeras/launch" not in end.stderr or failure.kind == "crash", end.describe()
    assert end.orphans == (), end.describe()


@pytest.mark.parametrize("kind", ["raise", "kill", "_exit"])
def test_failure_leaves_no_shared_memory(kind, run_program, needs_mpi, tmp_path):
    """The names are those of this job: others may run on the machine."""
    (tmp_path / "program.py").write_text(
        "import re\n"
        "names = re.findall(r'/dev/shm/\\S+', open('/proc/self/maps').read())\n"
        "print(*set(names), flush=True)\n" + PROGRAM
    )
    words = ["-m", "distkeras.launch", "--output", "all", "program.py", kind, "1"]
    end = run_program(words, n=2, timeout=30)
    assert end.returncode != 0
    names = {word for word in end.stdout.split() if word.startswith("/dev/shm/")}
    assert names or "MPICH" not in mpi.version(), end.describe()
    assert not [name for name in names if os.path.exists(name)], end.describe()


def test_failure_leaves_its_report_in_the_run_directory(run_program, needs_mpi, tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    line = ["-m", "distkeras.launch", "--run-dir", "run", "program.py", "raise", "1"]
    first = run_program(line, n=2)
    report = (tmp_path / "run" / "errors" / "rank1.txt").read_text()
    assert report.endswith("[rank 1] ValueError: boom\n")
    assert report in first.stderr
    second = run_program(line, n=2)  # what the first start left there silences nobody
    assert "[rank 1] ValueError: boom" in second.stderr, second.describe()


def test_failure_of_a_forked_child_is_not_the_jobs(run_program, needs_mpi, tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    end = run_program(["-m", "distkeras.launch", "program.py", "forked", "1"], n=2, timeout=30)
    assert end.returncode == 0, end.describe()
    assert end.stderr.count("ValueError: boom") == 1


def test_failure_in_one_process_looks_like_pythons(run_program, tmp_path):
    (tmp_path / "program.py").write_text("def f():\n    raise ValueError('boom')\n\n\nf()\n")
    plain = run_program(["program.py"])
    launched = run_program(["-m", "distkeras.launch", "program.py"])
    assert launched.returncode == plain.returncode == 1
    assert launched.stderr == plain.stderr


@pytest.mark.parametrize(
    "body, code, stderr",
    [
        ("import sys; sys.exit(5)", 5, ""),
        ("import sys; sys.exit('bad')", 1, "bad\n"),
        ("import sys; sys.exit()", 0, ""),
        ("raise SystemExit(0)", 0, ""),
    ],
)
def test_exit_of_one_process(body, code, stderr, run_program, tmp_path):
    (tmp_path / "program.py").write_text(body)
    end = run_program(["-m", "distkeras.launch", "program.py"])
    assert (end.returncode, end.stderr) == (code, stderr)


def test_thread_of_one_process_ends_it(run_program, tmp_path):
    (tmp_path / "program.py").write_text(
        "import threading, time\nthreading.Thread(target=lambda: 1 / 0).start()\ntime.sleep(60)\n"
    )
    end = run_program(["-m", "distkeras.launch", "program.py"], timeout=30)
    assert end.returncode == 1, end.describe()
    assert end.stderr.count("ZeroDivisionError") == 1, end.describe()


def test_a_rank_that_ends_early_waits_asleep(run_program, needs_mpi, tmp_path):
    (tmp_path / "program.py").write_text(
        "import atexit, os, sys, time\n"
        "from distkeras import distribution\n"
        "if distribution.rank() == 1:\n"
        "    time.sleep(2)\n"
        "    sys.exit(0)\n"
        "import distkeras.distribution.world as world\n"
        "leave = world._leave\n"
        "begin = time.process_time()\n"
        "atexit.unregister(leave)\n"
        "def measured():\n"
        "    leave(world.world().comm, os.getpid(), True)\n"
        "    print('used', time.process_time() - begin)\n"
        "atexit.register(measured)\n"
    )
    end = run_program(["-m", "distkeras.launch", "program.py"], n=2)
    assert end.returncode == 0, end.describe()
    assert float(end.stdout.split()[1]) < 0.5, end.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_signal_to_the_launcher_ends_its_job(number, needs_mpi, tmp_path):
    (tmp_path / "program.py").write_text(
        "import time\n"
        "from distkeras import distribution\n"
        "distribution.barrier()\n"
        "import os\n"
        "ids = distribution.all_gather(os.getpid())\n"
        "if distribution.rank() == 0:\n"
        "    print(*ids, flush=True)\n"
        "time.sleep(60)\n"
    )
    job = subprocess.Popen(
        [sys.executable, "-m", "distkeras.launch", "--grace", "1", "-n", "2", "program.py"],
        cwd=tmp_path,
        env=mpi.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        ranks = [int(word) for word in job.stdout.readline().split()]
        assert len(ranks) == 2
        os.kill(job.pid, number)
        _, stderr = job.communicate(timeout=15)
    finally:
        job.kill()
    assert job.returncode != 0
    assert "Traceback" not in stderr
    deadline = time.monotonic() + 5
    while any(os.path.exists(f"/proc/{rank}") for rank in ranks) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [rank for rank in ranks if os.path.exists(f"/proc/{rank}/exe")]
    reports = re.findall(r"KeyboardInterrupt \(.*program.py, line 8\)", stderr)
    assert len(reports) == int(number == signal.SIGINT), stderr
    assert stderr.count("KeyboardInterrupt") == len(reports), stderr
