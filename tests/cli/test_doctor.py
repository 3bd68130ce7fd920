import importlib.metadata
import json
import os
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

from distkeras.cli import answers, doctor, machine_checks, mpi_checks
from distkeras.cli.answers import BAD, GOOD, MISSING, WARNING, Reply
from distkeras.distribution.environment import THREAD_VARIABLES

CODE = "import sys; from distkeras.cli import main; sys.exit(main(['doctor', *sys.argv[1:]]))"
LIBRARIES = {
    "MPICH": "MPICH Version: 5.0.2 MPICH Release date: today",
    "Open MPI": "Open MPI v5.0.11, package: Open MPI x, ident: 5.0.11",
    "Intel MPI": "Intel(R) MPI Library 2021.18 for Linux* OS",
}
LAUNCHERS = {
    "MPICH": "HYDRA build details:\n    Version:                                 5.0.2",
    "Open MPI": "mpirun (Open MPI) 5.0.11",
}


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    mpi_checks.forget()
    for name in (*THREAD_VARIABLES, "OPENBLAS_CORETYPE", "MPIR_CVAR_PMI_VERSION"):
        monkeypatch.delenv(name, raising=False)
    yield
    mpi_checks.forget()


@pytest.fixture
def without(monkeypatch):
    """Make distributions look as if they were not installed."""
    real = importlib.metadata.version

    def hide(*names):
        def version(name):
            if name in names:
                raise importlib.metadata.PackageNotFoundError(name)
            return real(name)

        monkeypatch.setattr(importlib.metadata, "version", version)

    return hide


@pytest.fixture
def with_library(monkeypatch):
    """Make mpi4py look as if it had loaded the library of a family."""

    def load(family):
        monkeypatch.setattr(mpi_checks, "version_of", lambda name: "4.1.2")
        mpi_checks._loaded[:] = [Reply(True, LIBRARIES[family] + "\n")]

    return load


@pytest.fixture
def programs(monkeypatch, tmp_path):
    """Shell scripts by name, the only programs in PATH or beside this Python."""

    def make(folder="bin", **bodies):
        place = tmp_path / folder
        place.mkdir(exist_ok=True)
        for name, body in bodies.items():
            script = place / name.replace("_", "-")
            script.write_text(f"#!/bin/sh\n{body}\n")
            script.chmod(0o755)
        return place

    monkeypatch.setenv("PATH", str(make()))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "env" / "python"))
    return make


def places(*rows):
    nodes = [node for node, _, _ in rows]
    return [
        {
            "node": node,
            "usable": len(cores),
            "threads": threads,
            "neighbours": nodes.count(node),
            "cores": cores,
        }
        for node, cores, threads in rows
    ]


def test_a_line_for_each_check_and_no_mpi_in_this_process(run_program, needs_mpi):
    end = run_program(
        [
            "-c",
            f"import sys\n{CODE.replace('sys.exit(', 'status = (')}\n"
            "assert 'mpi4py' not in sys.modules\nsys.exit(status)",
        ]
    )
    assert end.returncode == 0, end.describe()
    lines = [line for line in end.stdout.splitlines() if not line.startswith("    ")]
    width = max(map(len, doctor.CHECKS))
    assert [line[4 : 4 + width].strip() for line in lines] == list(doctor.CHECKS)
    assert f"numpy {np.__version__}" in lines[1]
    assert "2 ranks: 4 KiB in " in lines[-1]


def test_the_ranks_of_a_job_are_measured_and_rank_0_speaks(run_program, needs_mpi):
    end = run_program(["-c", CODE, "--json"], n=3)
    assert end.returncode == 0, end.describe()
    told = json.loads(end.stdout)
    found = {check["name"]: check for check in told["checks"]}
    assert told["good"] is True
    assert list(found) == list(doctor.CHECKS)
    assert found["launcher"]["data"]["size"] == found["ranks"]["data"]["size"] == 3
    assert all(rank["cores"] for rank in found["ranks"]["data"]["ranks"])
    speeds = found["reduction"]["data"]["speeds"]
    assert [speed["bytes"] for speed in speeds] == [4096, 2**20, 2**24]
    assert all(
        s["gigabytes_per_second"] == pytest.approx(s["bytes"] / s["seconds"] / 1e9) for s in speeds
    )
    for check in told["checks"]:
        assert check["state"] in answers.MARKS
        assert check["advice"] or check["state"] in (GOOD, MISSING)


@pytest.mark.parametrize("launcher", ["PMI", "OMPI_COMM_WORLD"])
def test_variables_without_their_launcher(run_program, needs_mpi, launcher):
    end = run_program(["-c", CODE], env={f"{launcher}_SIZE": "2", f"{launcher}_RANK": "0"})
    assert end.returncode == 1, end.describe()
    assert end.seconds < 45
    line = next(line for line in end.stdout.splitlines() if line.startswith("!!  ranks"))
    assert "did not come up: LauncherMismatchError" in line or "not started: its variables" in line
    assert "unset" in end.stdout  # the advice


def test_a_rank_that_does_not_report_says_its_trouble(run_program, needs_mpi):
    end = run_program(["-c", CODE], env={"PMI_SIZE": "2", "PMI_RANK": "1"})
    assert (end.returncode, end.stdout) == (0, "")
    assert end.stderr.startswith("[rank 1] distkeras doctor: "), end.describe()


def test_nothing_hangs():
    begin = time.monotonic()
    reply = answers.ask(["sh", "-c", "sleep 60 & wait"], 0.5)
    assert reply == Reply(False, "", "no answer within 0.5 s")
    assert time.monotonic() - begin < 10


def test_what_a_program_started_ends_with_it(tmp_path):
    child = tmp_path / "child"
    answers.ask(["sh", "-c", f"sleep 60 & echo $! > {child}; wait"], 0.5)
    deadline = time.monotonic() + 5
    while os.path.exists(f"/proc/{child.read_text().strip()}/exe") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not os.path.exists(f"/proc/{child.read_text().strip()}/exe")


@pytest.mark.parametrize(
    "code, why",
    [
        ("import sys; print('a', file=sys.stderr); sys.exit('b')", "b"),
        ("raise SystemExit(7)", "exit status 7"),
        ("import os; os.kill(os.getpid(), 9)", "exit status -9"),
    ],
)
def test_how_a_program_failed(code, why):
    reply = answers.ask([sys.executable, "-c", code])
    assert (reply.good, reply.why) == (False, why)


def test_a_missing_package_is_bad(without):
    without("pluggy")
    answer = machine_checks.packages()
    assert (answer.state, answer.advice) == (BAD, "pip install pluggy")
    assert "pluggy missing" in answer.found


def test_no_mpi_is_not_bad(without, programs):
    without("mpi4py")
    for check in (mpi_checks.library, mpi_checks.mpiexec, mpi_checks.ranks, mpi_checks.reduction):
        assert check().state == MISSING
    assert "distkeras[mpi]" in mpi_checks.library().advice


def test_mpi4py_without_a_library_is_bad(monkeypatch):
    monkeypatch.setattr(mpi_checks, "version_of", lambda name: "0.0.0")
    monkeypatch.setattr(
        mpi_checks, "_LIBRARY_REPORT", "raise RuntimeError('cannot load MPI library')"
    )
    answer = mpi_checks.library()
    assert answer.state == BAD
    assert "cannot load MPI library" in answer.found
    assert "mpich 0.0.0 is an empty package" in answer.advice
    assert mpi_checks.ranks().state == MISSING


def test_a_library_without_mpiexec_is_bad(with_library, programs):
    with_library("MPICH")
    answer = mpi_checks.mpiexec()
    assert answer.state == BAD
    assert "no mpiexec in" in answer.found
    assert mpi_checks.ranks().state == MISSING


@pytest.mark.parametrize(
    "beside, path, library, state, words",
    [
        ("MPICH", "MPICH", "MPICH", GOOD, ""),
        ("Open MPI", None, "Open MPI", GOOD, "not in PATH"),
        (None, "MPICH", "MPICH", GOOD, ""),
        (
            "MPICH",
            "Open MPI",
            "MPICH",
            BAD,
            "the mpiexec in PATH is of Open MPI, the library MPICH",
        ),
        (None, "MPICH", "Open MPI", BAD, "but the library is Open MPI"),
        ("Open MPI", "Open MPI", "Intel MPI", BAD, "but the library is Intel MPI"),
    ],
)
def test_launchers_of_another_mpi_are_named(
    programs, with_library, beside, path, library, state, words
):
    with_library(library)
    for folder, family in (("env", beside), ("bin", path)):
        if family:
            programs(folder, mpiexec=f"echo '{LAUNCHERS[family]}'")
    answer = mpi_checks.mpiexec()
    assert answer.state == state
    assert words in answer.found
    assert bool(answer.advice) is (state == BAD)


def test_a_launcher_that_does_not_run_is_shown(programs, with_library):
    with_library("MPICH")
    programs(mpiexec="echo 'libfabric.so: not found' >&2; exit 127")
    assert "does not run: libfabric.so: not found" in mpi_checks.mpiexec().found


@pytest.mark.parametrize(
    "variables, library, words",
    [
        ({"PMI_SIZE": "2"}, "MPICH", ""),
        ({"PMI_SIZE": "2"}, "Intel MPI", ""),
        ({"PMI_SIZE": "2"}, "Open MPI", "those of MPICH, the library is Open MPI"),
        ({"OMPI_COMM_WORLD_SIZE": "4"}, "MPICH", "those of Open MPI, the library is MPICH"),
        ({"OMPI_COMM_WORLD_SIZE": "4", "MPIR_CVAR_PMI_VERSION": "x"}, "MPICH", ""),
        ({"OMPI_COMM_WORLD_SIZE": "4", "PMI_SIZE": "2"}, "MPICH", "of two launchers"),
        ({"SLURM_STEP_NUM_TASKS": "2"}, "Open MPI", ""),
    ],
)
def test_variables_of_another_launcher_are_named(
    monkeypatch, with_library, variables, library, words
):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with_library(library)
    answer = mpi_checks.launcher()
    assert answer.state == (BAD if words else GOOD)
    assert words in answer.found
    if words:
        assert mpi_checks.ranks().state == BAD  # and it did not start MPI to find that out
        assert "unset" in answer.advice


@pytest.mark.parametrize(
    "rows, there, state, words",
    [
        (places((1, [0], 1), (1, [1], 1)), 2, GOOD, "2 on 1 node, each with 1 of 2 cores"),
        (places((1, [0, 1], 2), (2, [0], 1)), 2, GOOD, "2 on 2 nodes, each with 1 to 2 of 2 cores"),
        (places((1, [3], 1), (1, [3], 1)), 4, WARNING, "ranks 0, 1 share core 3"),
        (places(*[(1, [0, 1], 1)] * 3), 2, WARNING, "more ranks than cores"),
        (places((1, [0], 8), (1, [1], 1)), 2, WARNING, "rank 0 starts 8 threads on 1"),
    ],
)
def test_binding(monkeypatch, rows, there, state, words):
    monkeypatch.setattr(os, "cpu_count", lambda: there)
    mpi_checks._probed[:] = [({"size": len(rows), "ranks": rows}, None)]
    answer = mpi_checks.ranks()
    assert (answer.state, bool(answer.advice)) == (state, state == WARNING)
    assert words in answer.found


def test_ranks_that_do_not_know_their_neighbours():
    rows = [{**row, "neighbours": 1} for row in places((1, [0], 1), (1, [1], 1))]
    mpi_checks._probed[:] = [({"size": 2, "ranks": rows}, None)]
    answer = mpi_checks.ranks()
    assert answer.state == WARNING
    assert "MPI tells a rank of 1 on its node, where 2 run" in answer.found


@pytest.mark.parametrize(
    "nodes, small, large, state, words",
    [
        (1, 1e-5, 5e-3, GOOD, ""),
        (1, 8e-3, 5e-3, WARNING, "wait for a core"),
        (1, 1e-5, 1e-1, WARNING, "shared memory"),
        (2, 1e-4, 8e-2, GOOD, ""),
        (2, 1e-4, 3e-1, WARNING, "InfiniBand"),
    ],
)
def test_slow_reductions(nodes, small, large, state, words):
    speeds = [
        {"bytes": size, "seconds": s, "gigabytes_per_second": size / s / 1e9}
        for size, s in ((4096, small), (1 << 24, large))
    ]
    rows = places(*((node, [0], 1) for node in range(nodes)))
    mpi_checks._probed[:] = [({"size": nodes, "ranks": rows, "speeds": speeds}, None)]
    answer = mpi_checks.reduction()
    assert answer.state == state
    assert words in answer.advice
    assert f"16 MiB in {large * 1e3:.3g} ms" in answer.found


@pytest.mark.parametrize(
    "size, free, state, words",
    [
        (8 << 30, 4 << 30, GOOD, ""),
        (64 << 20, 64 << 20, WARNING, "--shm-size"),
        (64 << 20, 1 << 20, BAD, "--shm-size"),
        (8 << 30, 100 << 20, WARNING, "jobs that were killed"),
    ],
)
def test_small_shared_memory(monkeypatch, tmp_path, size, free, state, words):
    monkeypatch.setattr(machine_checks, "SHARED", str(tmp_path))
    told = SimpleNamespace(f_blocks=size >> 12, f_bavail=free >> 12, f_frsize=4096)
    monkeypatch.setattr(os, "statvfs", lambda path: told)
    answer = machine_checks.shared_memory()
    assert answer.state == state
    assert words in answer.advice
    assert answer.data == {"bytes": size, "free": free}


def test_no_shared_memory(monkeypatch, tmp_path):
    monkeypatch.setattr(machine_checks, "SHARED", str(tmp_path / "none"))
    assert machine_checks.shared_memory().state == MISSING


WORKS = 'case "$*" in *--version) echo "toycc 1.0";; esac'
CANNOT = WORKS.replace("esac", '*) echo "fatal error: no math.h" >&2; exit 1;; esac')


@pytest.mark.parametrize(
    "wanted, there, state, words",
    [
        ("", {}, MISSING, "NumPy computes"),
        ("", {"gcc": WORKS}, GOOD, "gcc: toycc 1.0"),
        ("", {"cc": CANNOT}, WARNING, "cannot build a shared library: fatal error: no math.h"),
        ("icx", {"clang": WORKS}, WARNING, "CC=icx is not there"),
        ("icx -O1", {"icx": WORKS, "cc": CANNOT}, GOOD, "icx: toycc 1.0"),
    ],
)
def test_compilers(monkeypatch, programs, wanted, there, state, words):
    monkeypatch.setenv("CC", wanted)
    programs(**there)
    answer = machine_checks.compiler()
    assert answer.state == state
    assert words in answer.found
    assert bool(answer.advice) is (state != GOOD)


def test_a_real_compiler_builds(monkeypatch):
    monkeypatch.delenv("CC", raising=False)
    assert machine_checks.compiler().state in (GOOD, MISSING)


@pytest.mark.parametrize("forced, state", [("", GOOD), ("Haswell", WARNING)])
def test_blas(monkeypatch, forced, state):
    monkeypatch.setenv("OPENBLAS_CORETYPE", forced)
    answer = machine_checks.blas()
    assert answer.state == state
    assert answer.data["libraries"][0]["internal_api"] in answer.found
    assert forced in answer.found


@pytest.mark.parametrize(
    "code, state, words",
    [
        ("print('[]')", WARNING, "no BLAS"),
        ("raise ImportError('numpy is broken')", BAD, "numpy is broken"),
        ("import time; time.sleep(60)", BAD, "no answer within 0.5 s"),
    ],
)
def test_numpy_that_does_not_tell(monkeypatch, code, state, words):
    monkeypatch.setattr(machine_checks, "_BLAS_REPORT", code)
    monkeypatch.setattr(answers, "SECONDS", 0.5 if "sleep" in code else 30)
    answer = machine_checks.blas()
    assert answer.state == state
    assert words in answer.found


@pytest.mark.parametrize(
    "variables, state, words",
    [
        ({}, GOOD, "the launcher divides"),
        ({"OMP_NUM_THREADS": "1"}, GOOD, "OMP_NUM_THREADS=1"),
        ({"OPENBLAS_NUM_THREADS": "4096"}, WARNING, "more than the"),
        ({"OMP_NUM_THREADS": "two"}, WARNING, "OMP_NUM_THREADS=two"),
    ],
)
def test_thread_variables(monkeypatch, variables, state, words):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    answer = machine_checks.threads()
    assert answer.state == state
    assert words in answer.found


@pytest.mark.parametrize(
    "code, state, words",
    [
        ("print('[]')", GOOD, "none installed"),
        ("import os; os._exit(3)", BAD, "exit status 3"),
        (
            "import json; print(json.dumps([{'distribution': 'toy', 'version': '1', "
            "'error': 'no module x'}])); raise SystemExit(1)",
            BAD,
            "toy: no module x",
        ),
    ],
)
def test_plugins(monkeypatch, code, state, words):
    monkeypatch.setattr(machine_checks, "_PLUGIN_REPORT", code)
    answer = machine_checks.plugins()
    assert answer.state == state
    assert words in answer.found


def test_a_gpu_without_cupy_is_told(programs, without):
    without(*machine_checks._CUPY)
    programs(nvidia_smi="")
    answer = machine_checks.gpu()
    assert answer.state == WARNING
    assert "distkeras[cuda13]" in answer.advice


def test_cupy_that_finds_no_gpu_on_a_machine_with_one(programs, monkeypatch):
    programs(nvidia_smi="", python="echo cudaErrorNoDevice >&2; exit 1")
    monkeypatch.setattr(
        machine_checks, "version_of", lambda n: "14.0" if n == "cupy-cuda13x" else None
    )
    monkeypatch.setattr(sys, "executable", str(programs() / "python"))
    answer = machine_checks.gpu()
    assert answer.state == BAD
    assert "cudaErrorNoDevice" in answer.found


def test_arguments_are_refused(capsys):
    assert doctor.main(["--fix"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "usage: distkeras doctor" in captured.err
