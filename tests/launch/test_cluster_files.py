"""The files in `launch/`: scripts that run, here without Slurm, and hosts that both MPIs read."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support import mpi
from support.processes import run_job

ROOT = Path(__file__).parents[2]
LAUNCH = ROOT / "launch"
SBATCH = LAUNCH / "slurm" / "train.sbatch"
SCRIPTS = [SBATCH, LAUNCH / "local.sh"]
BASH = shutil.which("bash")

pytestmark = [
    pytest.mark.skipif(not LAUNCH.is_dir(), reason="an installed distkeras has no launch/"),
    pytest.mark.skipif(BASH is None, reason="there is no bash"),
]

REPORT = """\
import os, signal, sys, time
from distkeras import distribution as d
told = []
signal.signal(signal.SIGUSR1, lambda *_: told.append(1))
threads = os.environ["OMP_NUM_THREADS"]
print("rank", d.rank(), "of", d.size(), "threads", threads, sys.argv[1:], flush=True)
if "fail" in sys.argv:
    sys.exit(3)
deadline = time.monotonic() + 30
while "wait" in sys.argv and time.monotonic() < deadline:
    if d.all_reduce([len(told)], "max")[0]:
        d.barrier()
        sys.exit(75 if "save" in sys.argv else 0)
    time.sleep(0.02)
"""


@pytest.fixture
def job(tmp_path):
    """Runs a batch job of two ranks on this machine; `scontrol` and `srun` only record."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, body in (
        ("srun", f'echo "srun $*" >> {tmp_path}/calls'),
        (
            "scontrol",
            'if [ "$1" = show ]; then echo "   SuspendTime=None"\n'
            'echo "   PreemptEligibleTime=2026-01-01T00:00:00 PreemptTime=${PREEMPTED:-None}"\n'
            f'else echo "scontrol $*" >> {tmp_path}/calls; fi',
        ),
    ):
        (programs / name).write_text(f"#!/bin/sh\n{body}\n")
        (programs / name).chmod(0o755)
    (tmp_path / "report.py").write_text(REPORT)
    own = {name: v for name, v in mpi.environment().items() if not name.startswith("SLURM_")}
    paths = [str(programs), str(Path(sys.executable).parent), own.get("PATH", "")]
    if mpi.find_mpiexec():
        paths.insert(1, str(Path(mpi.find_mpiexec()).parent))
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        own.pop(name, None)
    environ = {
        **own,
        "PATH": os.pathsep.join(paths),
        "SLURM_JOB_ID": "42",
        "SLURM_NTASKS": "2",
        "SLURM_CPUS_PER_TASK": "3",
    }

    def run(*words, env=None, signals=()):
        line = [BASH, str(SBATCH), "--output", "all", "report.py", *words]
        out = tmp_path / "out"
        with out.open("w") as file:
            process = subprocess.Popen(
                line, cwd=tmp_path, env={**environ, **(env or {})}, stdout=file, stderr=file
            )
            try:
                _wait(lambda: not signals or out.read_text().count("rank ") >= 2, process)
                for number in signals:
                    process.send_signal(number)
                status = process.wait(timeout=40)
            finally:
                process.kill()
        calls = tmp_path / "calls"
        return status, out.read_text(), calls.read_text() if calls.exists() else ""

    return run


def _wait(condition, process):
    deadline = time.monotonic() + 30
    while not condition() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_correct_shell(script):
    subprocess.run([BASH, "-n", str(script)], check=True, timeout=20)
    checker = shutil.which("shellcheck")
    if checker:
        subprocess.run([checker, "-s", "bash", str(script)], check=True, timeout=60)


def test_sbatch_reads_its_options():
    """sbatch stops reading at the first command, and knows no comment behind an option."""
    lines = SBATCH.read_text().splitlines()
    assert lines[0].startswith("#!")
    first = next(i for i, line in enumerate(lines) if line and not line.startswith("#"))
    options = [line for line in lines if line.startswith("#SBATCH")]
    assert options == [line for line in lines[:first] if line.startswith("#SBATCH")]
    assert all(re.fullmatch(r"#SBATCH --[a-z-]+(=\S+)?", line) for line in options)
    assert {
        "#SBATCH --signal=B:USR1@120",
        "#SBATCH --requeue",
        "#SBATCH --open-mode=append",
    } <= set(options)


def test_a_batch_job_runs_its_ranks(job, needs_mpi):
    status, out, calls = job("a", "b c")
    assert status == 0, out
    for rank in range(2):
        assert f"[{rank}] rank {rank} of 2 threads 3 ['a', 'b c']" in out
    assert calls == ""


PREEMPTED = "2026-01-01T00:05:00"


@pytest.mark.parametrize(
    "words, signals, restarts, preempted, status, requeued",
    [
        (("wait", "save"), [signal.SIGUSR1], "0", "None", 75, True),
        (("wait", "save"), [signal.SIGUSR1], "100", "None", 75, False),
        (("wait",), [signal.SIGUSR1], "0", "None", 0, False),
        (("wait", "save"), [signal.SIGTERM], "0", "None", 75, False),
        (("fail",), [], "0", "None", 3, False),
        (("fail",), [], "0", PREEMPTED, 3, True),
        ((), [], "0", PREEMPTED, 0, False),
    ],
    ids=["saved", "too often", "finished", "cancelled", "failed", "preempted", "just in time"],
)
def test_a_warned_job_comes_back(
    job, needs_mpi, words, signals, restarts, preempted, status, requeued
):
    env = {"SLURM_RESTART_COUNT": restarts, "PREEMPTED": preempted}
    ended, out, calls = job(*words, signals=signals, env=env)
    assert ended == status, out
    assert calls == ("scontrol requeue 42\n" if requeued else "")
    assert out.count("telling the ranks") == len(signals)


@pytest.mark.parametrize("form", ["pmi2", "pmix"])
def test_srun_gets_its_options(job, form):
    status, out, calls = job("a", env={"LAUNCH": form})
    assert status == 0, out
    assert calls == (
        f"srun --mpi={form} --kill-on-bad-exit=1 --cpus-per-task=3 "
        "python -m distkeras.launch --output all report.py a\n"
    )


def test_an_unknown_form_is_refused(job):
    status, out, calls = job(env={"LAUNCH": "ssh"})
    assert (status, calls) == (2, "")
    assert "LAUNCH is one of mpirun, pmi2, pmix; got 'ssh'" in out


def test_the_local_script(needs_mpi, tmp_path):
    (tmp_path / "report.py").write_text(REPORT)
    env = {**mpi.environment(), "PYTHON": sys.executable, "N": "2", "OMP_NUM_THREADS": "1"}
    command = [BASH, str(LAUNCH / "local.sh"), "--output", "all", "report.py", "x y"]
    end = run_job(command, timeout=60, env=env, cwd=tmp_path)
    assert end.returncode == 0, end.describe()
    assert sorted(end.stdout.splitlines()) == [
        f"[{rank}] rank {rank} of 2 threads 1 ['x y']" for rank in range(2)
    ]


def test_the_host_file_serves_this_mpi(needs_mpi, tmp_path):
    text = (LAUNCH / "hosts.txt").read_text()
    names = [line for line in text.splitlines() if not line.startswith("#")]
    assert len(names) > 1
    assert all(re.fullmatch(r"[\w.-]+", name) for name in names)
    hosts = tmp_path / "hosts.txt"
    hosts.write_text(re.sub(rf"(?m)^({'|'.join(names)})\n", "", text) + "localhost\n")
    flags = (
        ["--hostfile", str(hosts), "--map-by", "ppr:2:node:oversubscribe"]
        if "Open MPI" in mpi.version()
        else ["-f", str(hosts), "-ppn", "2"]
    )
    (tmp_path / "report.py").write_text(REPORT)
    words = ["-m", "distkeras.launch", "--output", "all", "report.py"]
    command = mpi.command(2, words, flags)
    end = run_job(command, timeout=60, env=mpi.environment(), cwd=tmp_path)
    assert end.returncode == 0, end.describe()
    assert end.stdout.count(" of 2 ") == 2
