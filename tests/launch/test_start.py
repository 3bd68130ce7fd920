"""What happens before the program runs: ranks, refusals, threads, output."""

import re
import sys

import pytest

REPORT = (
    "import os, sys\n"
    "from distkeras import distribution as d\n"
    "print('at', d.rank(), d.size(), d.local_rank(), d.is_initialized(), 'mpi4py' in sys.modules)\n"
)

# `import mpi4py` fails as on a machine without it.
WITHOUT_MPI4PY = (
    "import runpy, sys\n"
    "class Blocked:\n"
    "    def find_spec(self, name, path=None, target=None):\n"
    "        if name.split('.')[0] == 'mpi4py':\n"
    "            raise ModuleNotFoundError(\"No module named 'mpi4py'\", name='mpi4py')\n"
    "sys.meta_path.insert(0, Blocked())\n"
    "sys.argv = ['distkeras.launch', *sys.argv[1:]]\n"
    "runpy.run_module('distkeras.launch', run_name='__main__', alter_sys=True)\n"
)


def test_ranks_by_mpirun_and_by_the_launcher(run_program, needs_mpi, tmp_path):
    (tmp_path / "report.py").write_text(REPORT)
    for end in (
        run_program(["-m", "distkeras.launch", "--output", "all", "report.py"], n=3),
        run_program(["-m", "distkeras.launch", "--output=all", "-n", "3", "report.py"]),
    ):
        assert end.returncode == 0, end.describe()
        assert sorted(end.stdout.splitlines()) == [
            f"[{r}] at {r} 3 {r} True True" for r in range(3)
        ]
        assert end.complaints == ""


def test_one_process_needs_no_mpi(run_program, tmp_path):
    (tmp_path / "report.py").write_text(REPORT)
    end = run_program(["-c", WITHOUT_MPI4PY, "report.py"])
    assert (end.returncode, end.stdout) == (0, "at 0 1 0 True False\n"), end.describe()


def test_collectives_of_one_process_need_no_mpi(run_program, tmp_path):
    (tmp_path / "alone.py").write_text(
        "from distkeras import distribution as d\n"
        "d.barrier()\n"
        "print(d.all_reduce([1]), d.all_gather([1]), d.broadcast([1]))\n"
    )
    end = run_program(["-c", WITHOUT_MPI4PY, "alone.py"])
    assert (end.returncode, end.stdout) == (0, "[1] [1] [1]\n"), end.describe()


def test_ranks_without_mpi4py_are_refused(run_program, tmp_path):
    (tmp_path / "report.py").write_text(REPORT)
    end = run_program(["-c", WITHOUT_MPI4PY, "report.py"], env={"PMI_SIZE": "2", "PMI_RANK": "0"})
    assert end.returncode == 1
    assert end.stderr.startswith("[rank 0] MPIMissingError: "), end.describe()
    assert 'pip install "distkeras[mpi]"' in end.stderr
    assert end.stdout == ""


@pytest.mark.parametrize(
    "variables",
    [
        {"PMI_SIZE": "2", "PMI_RANK": "0"},
        {"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "0"},
        {"SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "0"},
    ],
    ids=lambda v: next(iter(v)),
)
def test_world_of_size_one_in_a_larger_job_is_refused(variables, run_program, needs_mpi, tmp_path):
    (tmp_path / "report.py").write_text(REPORT)
    end = run_program(["-m", "distkeras.launch", "report.py"], env=variables)
    assert end.returncode == 1, end.describe()
    assert "[rank 0] LauncherMismatchError: " in end.stderr, end.describe()
    assert re.search(r"launcher: +\S.*, size 2", end.stderr)
    assert re.search(r"library: +(MPICH|Open MPI)", end.stderr)
    assert "-n N" in end.stderr
    assert (end.stdout, "Traceback" in end.stderr) == ("", False)
    assert "suspicious" not in end.stderr


def test_ranks_without_the_launcher_are_warned_once(run_program, needs_mpi, tmp_path):
    (tmp_path / "train.py").write_text(
        "from distkeras.distribution import rank, size, warn_if_unlaunched\n"
        "warn_if_unlaunched()\n"
        "warn_if_unlaunched()\n"
        "print(f'{rank()} {size()}\\n', end='', flush=True)\n"  # one write: lines are not mixed
    )
    end = run_program(["train.py"], n=3)
    assert (end.returncode, end.stdout) == (0, "0 1\n" * 3), end.describe()
    assert end.stderr.count("UnlaunchedWarning: 3 independent trainings run") == 1, end.describe()
    assert "mpirun -n 3 python -m distkeras.launch train.py" in end.stderr
    assert run_program(["train.py"]).stderr == ""
    assert run_program(["-m", "distkeras.launch", "train.py"], n=2).complaints == ""


def test_a_program_may_join_by_itself(run_program, needs_mpi, tmp_path):
    (tmp_path / "train.py").write_text(
        "import sys\n"
        "from distkeras import distribution as d\n"
        "d.initialize()\n"
        "d.warn_if_unlaunched()\n"
        "print(f'{d.size()}\\n', end='', flush=True)\n"
        "if len(sys.argv) > 1 and d.rank() == 1:\n"
        "    raise ValueError('boom')\n"
        "d.barrier()\n"
    )
    end = run_program(["train.py"], n=2)
    assert (end.returncode, end.stdout, end.stderr) == (0, "2\n2\n", ""), end.describe()
    end = run_program(["train.py", "fail"], n=2, timeout=30)
    assert not end.timed_out, end.describe()
    assert (end.returncode, end.stderr.count("Traceback")) == (1, 1), end.describe()
    assert "[rank 1] ValueError: boom" in end.stderr


@pytest.mark.parametrize("launcher", [(), ("-m", "distkeras.launch")], ids=["plain", "launched"])
def test_programs_with_mpi_traffic_of_their_own(launcher, run_program, needs_mpi, tmp_path):
    (tmp_path / "own.py").write_text(
        "from mpi4py import MPI\n"
        "from distkeras import distribution as d\n"
        "world = d.initialize()\n"
        "request = MPI.COMM_WORLD.irecv(source=(world.rank + 1) % 2)\n"
        "MPI.COMM_WORLD.send(world.rank, dest=(world.rank + 1) % 2)\n"
        "total = d.all_reduce(1)\n"
        "assert (request.wait(), total) == (1 - world.rank, 2)\n"
        "assert world.comm != MPI.COMM_WORLD\n"
    )
    end = run_program([*launcher, "own.py"], n=2)
    assert (end.returncode, end.complaints) == (0, ""), end.describe()


def test_input_goes_to_rank_0(run_program, needs_mpi, tmp_path):
    (tmp_path / "ask.py").write_text(
        "from distkeras import distribution as d\n"
        "if d.rank() == 0:\n"
        "    print('got', input())\n"
        "d.barrier()\n"
    )
    end = run_program(["-m", "distkeras.launch", "-n", "2", "ask.py"], stdin="this\n")
    assert (end.returncode, end.stdout) == (0, "got this\n"), end.describe()


def test_importing_never_imports_mpi4py_or_numpy(run_program):
    code = "import sys, distkeras.distribution; print({'mpi4py', 'numpy'} & set(sys.modules))"
    assert run_program(["-c", code]).stdout == "set()\n"
    code = (
        "import sys\n"
        "from distkeras.distribution import *\n"
        "initialize(); barrier(); print('mpi4py' in sys.modules)"
    )
    assert run_program(["-c", code]).stdout == "False\n"


THREADS = "import os; print(os.environ['OMP_NUM_THREADS'], os.environ.get('MKL_NUM_THREADS'))"


def test_cores_are_divided_among_ranks(run_program, needs_mpi, tmp_path):
    from distkeras.distribution.environment import available_cores

    (tmp_path / "threads.py").write_text(THREADS)
    unset = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"))
    for n in (1, 2):
        end = run_program(["-m", "distkeras.launch", "-n", str(n), "threads.py"], env=unset)
        share = max(1, available_cores() // n)
        assert end.stdout == f"{share} {share}\n", end.describe()
    end = run_program(
        ["-m", "distkeras.launch", "threads.py"], env={**unset, "OMP_NUM_THREADS": "7"}
    )
    assert end.stdout == "7 None\n", end.describe()


OUTPUT = (
    "import os, subprocess, sys\n"
    "from distkeras import distribution as d\n"
    "print('python', d.rank())\n"
    "os.write(1, b'descriptor %d\\n' % d.rank())\n"
    "subprocess.run(['echo', 'child', str(d.rank())], check=True)\n"
    "print('error', d.rank(), file=sys.stderr)\n"
    "print('no newline', end='')\n"
)


def test_output_of_rank_0_is_shown_and_the_others_keep_logs(run_program, needs_mpi, tmp_path):
    (tmp_path / "say.py").write_text(OUTPUT)
    end = run_program(["-m", "distkeras.launch", "-n", "3", "--run-dir", "here", "say.py"])
    assert end.returncode == 0, end.describe()
    said = "python {0}\ndescriptor {0}\nchild {0}\nno newline"
    assert end.stdout == said.format(0)
    assert sorted(end.complaints.split()) == sorted("error 0 error 1 error 2".split())
    logs = {p.name: p.read_text() for p in (tmp_path / "here").iterdir()}
    assert logs == {f"rank{r}.log": said.format(r) for r in (1, 2)}


def test_lines_of_stderr_are_written_whole(run_program, needs_mpi, tmp_path):
    (tmp_path / "say.py").write_text(
        "import sys, time\n"
        "class Slow:\n"
        "    def __str__(self):\n"
        "        time.sleep(0.1)\n"
        "        return 'b'\n"
        "for _ in range(5):\n"
        "    print('a', Slow(), 'c', file=sys.stderr)\n"
    )
    line = ["-m", "distkeras.launch", "say.py"]
    end = run_program(line, n=3, env={"PYTHONUNBUFFERED": "1"})
    assert end.complaints == 15 * "a b c\n", end.describe()


def test_output_of_all_is_shown_with_prefixes(run_program, needs_mpi, tmp_path):
    (tmp_path / "say.py").write_text(OUTPUT + "print('x' * 3000)\n")
    end = run_program(["-m", "distkeras.launch", "-n", "2", "--output", "all", "say.py"])
    assert end.returncode == 0, end.describe()
    lines = [
        line
        for r in range(2)
        for line in (
            f"[{r}] python {r}",
            f"[{r}] descriptor {r}",
            f"[{r}] child {r}",
            f"[{r}] no newline" + "x" * 3000,
        )
    ]
    assert sorted(end.stdout.splitlines()) == sorted(lines)
    assert sorted(end.complaints.splitlines()) == ["[0] error 0", "[1] error 1"]


def test_run_directory_exists_only_for_what_is_in_it(run_program, needs_mpi, tmp_path):
    (tmp_path / "quiet.py").write_text("")
    (tmp_path / "loud.py").write_text("print('x')")
    assert run_program(["-m", "distkeras.launch", "loud.py"]).returncode == 0
    assert run_program(["-m", "distkeras.launch", "quiet.py"], n=2).returncode == 0
    assert not (tmp_path / "runs").exists()
    assert run_program(["-m", "distkeras.launch", "loud.py"], n=2).returncode == 0
    (run,) = (tmp_path / "runs").iterdir()
    assert re.fullmatch(r"\d{8}-\d{6}-loud", run.name)
    assert [p.name for p in run.iterdir()] == ["rank1.log"]


def test_run_directory_that_cannot_be_made(run_program, needs_mpi, tmp_path):
    (tmp_path / "loud.py").write_text("print('x')")
    end = run_program(["-m", "distkeras.launch", "--run-dir", "loud.py/x", "loud.py"], n=2)
    assert end.returncode == 1, end.describe()
    assert "LaunchError: The run directory" in end.stderr
    assert "Traceback" not in end.stderr


def test_launcher_without_mpiexec_says_what_to_install(run_program, tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    code = (
        "import sys; sys.executable = sys.argv.pop(1)\n"
        "from distkeras.launch import main\n"
        "sys.exit(main(['-n', '2', 'x.py']))\n"
    )
    end = run_program(
        ["-c", code, str(tmp_path / "bin" / "python")], env={"PATH": str(tmp_path / "bin")}
    )
    assert end.returncode == 1
    assert end.stderr.startswith("LaunchError: -n needs an mpiexec"), end.describe()
