"""What the launcher runs, as what it runs, and what it makes of the command line."""

import json
import os
import re

import pytest

SHOW = """
import json, os, pickle, sys
class Local:
    pass
assert type(pickle.loads(pickle.dumps(Local()))) is Local
print(json.dumps({
    "name": __name__, "file": __file__, "argv": sys.argv, "path": sys.path[0],
    "main": sys.modules["__main__"].Local is Local, "package": __package__ or "",
    "heavy": sorted({"numpy", "mpi4py"} & set(sys.modules)),
}))
"""


def shown(end):
    assert end.returncode == 0, end.describe()
    return json.loads(end.stdout)


def test_script(run_program, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "show.py").write_text(SHOW)
    seen = shown(run_program(["-m", "distkeras.launch", "sub/show.py", "-n", "7", "--help", "x"]))
    assert seen == {
        "name": "__main__",
        "file": str(tmp_path / "sub" / "show.py"),
        "argv": ["sub/show.py", "-n", "7", "--help", "x"],
        "path": os.path.realpath(tmp_path / "sub"),
        "main": True,
        "package": "",
        "heavy": [],
    }


def test_script_on_two_ranks(run_program, needs_mpi, tmp_path):
    (tmp_path / "show.py").write_text(SHOW)
    seen = shown(run_program(["-m", "distkeras.launch", "-n", "2", "show.py", "a"]))
    assert (seen["argv"], seen["main"]) == (["show.py", "a"], True)
    assert seen["heavy"] == ["mpi4py", "numpy"]  # NumPy is seeded


@pytest.mark.parametrize("target, file", [("pack.show", "show.py"), ("pack", "__main__.py")])
def test_module(target, file, run_program, tmp_path):
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").touch()
    (tmp_path / "pack" / file).write_text("from . import __name__ as package\n" + SHOW)
    seen = shown(run_program(["-m", "distkeras.launch", target, "x"]))
    full = str(tmp_path / "pack" / file)
    assert (seen["name"], seen["file"], seen["package"]) == ("__main__", full, "pack")
    assert seen["argv"] == [full, "x"]


@pytest.mark.parametrize(
    "result, code", [("None", 0), ("4", 4), ("True", 0), ("[1]", 0), ("print('said') or 0", 0)]
)
def test_function(result, code, run_program, tmp_path):
    (tmp_path / "work.py").write_text(
        f"import sys\nclass Job:\n    @staticmethod\n    def main():\n"
        f"        assert sys.argv[1:] == ['x'], sys.argv\n        return {result}\n"
    )
    end = run_program(["-m", "distkeras.launch", "work:Job.main", "x"])
    assert end.returncode == code, end.describe()


def test_main_module_is_there_until_the_process_ends(run_program, tmp_path):
    (tmp_path / "late.py").write_text(
        "import atexit, pickle\n"
        "class Late:\n    pass\n"
        "atexit.register(lambda: print(pickle.loads(pickle.dumps(Late())).__class__ is Late))\n"
    )
    assert run_program(["-m", "distkeras.launch", "late.py"]).stdout == "True\n"


def test_spawned_workers_find_the_script(run_program, needs_mpi, tmp_path):
    (tmp_path / "workers.py").write_text(
        "import multiprocessing, os\n"
        "from distkeras import distribution\n"
        "def double(x):\n"
        "    place = [k for k in os.environ if k.startswith(('PMI_', 'PMIX_S', 'OMPI_COMM'))]\n"
        "    return 2 * x, distribution.initialize().size, place\n"
        "if __name__ == '__main__':\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        "        print(distribution.size(), pool.map(double, [4]))\n"
    )
    end = run_program(["-m", "distkeras.launch", "workers.py"], n=2)
    assert (end.returncode, end.stdout) == (0, "2 [(8, 1, [])]\n"), end.describe()


def test_forked_child_is_alone(run_program, needs_mpi, tmp_path):
    (tmp_path / "fork.py").write_text(
        "import os\n"
        "from distkeras import distribution\n"
        "if os.fork() == 0:\n"
        "    assert distribution.size() == 1 and distribution.initialize().size == 1\n"
        "    os._exit(7)\n"
        "print(distribution.size(), os.waitstatus_to_exitcode(os.wait()[1]))\n"
    )
    end = run_program(["-m", "distkeras.launch", "fork.py"], n=2)
    assert (end.returncode, end.stdout) == (0, "2 7\n"), end.describe()


def test_child_programs_can_be_jobs_of_their_own(run_program, needs_mpi, tmp_path):
    (tmp_path / "inner.py").write_text(
        "from distkeras import distribution\nprint('inner', distribution.initialize().size)\n"
    )
    (tmp_path / "outer.py").write_text(
        "import subprocess, sys\n"
        "from distkeras import distribution\n"
        "if distribution.rank() == 1:\n"
        "    sys.exit()\n"
        "for how in ([], ['-m', 'distkeras.launch', '-n', '3']):\n"
        "    subprocess.run([sys.executable, *how, 'inner.py'], check=True)\n"
    )
    end = run_program(["-m", "distkeras.launch", "outer.py"], n=2, timeout=30)
    assert (end.returncode, end.stdout) == (0, "inner 1\ninner 3\n"), end.describe()


@pytest.mark.parametrize(
    "target, says",
    [
        ("nothing.py", "LaunchError: Cannot read the program"),
        ("nothing", "LaunchError: There is no script and no module named 'nothing'"),
        ("json.nothing", "LaunchError: There is no script and no module named 'json.nothing'"),
        ("json:nothing", "LaunchError: The module json has no function 'nothing'"),
        ("json:__name__", "LaunchError: json:__name__ is no function"),
        ("json", "LaunchError: There is no script and no module named 'json.__main__'"),
    ],
)
def test_no_such_program(target, says, run_program):
    end = run_program(["-m", "distkeras.launch", target])
    assert end.returncode == 1
    assert end.stderr.startswith(says), end.describe()
    assert "Traceback" not in end.stderr


def test_no_such_program_is_said_once(run_program, needs_mpi):
    end = run_program(["-m", "distkeras.launch", "nothing.py"], n=3)
    assert end.returncode == 1
    assert end.stderr.count("LaunchError: Cannot read the program") == 1, end.describe()


@pytest.mark.parametrize(
    "words, says",
    [
        (["--nothing"], "unknown option --nothing"),
        (["-n", "0"], "at least 1, got 0"),
        (["--output", "some"], "invalid choice: 'some'"),
        (["-m", "package.module"], "a module's name stands alone, without -m"),
    ],
)
def test_mistakes_in_the_command_line(words, says, run_program):
    end = run_program(["-m", "distkeras.launch", *words])
    assert end.returncode == 2
    assert says in end.stderr


def test_mistake_is_said_once(run_program, needs_mpi):
    end = run_program(["-m", "distkeras.launch", "-n", "2", "x.py"], n=2)
    assert end.returncode == 2, end.describe()
    assert end.stderr.count("Use either mpirun or -n") == 1


@pytest.mark.parametrize("word, says", [("--help", "mpirun -n 4 python -m"), ("--version", "0.")])
def test_help_is_cheap(word, says, run_program):
    code = (
        "import sys, distkeras.launch as launch\n"
        "try:\n    launch.main([%r])\nexcept SystemExit as end:\n    assert not end.code\n"
        "print(sorted({'numpy', 'mpi4py'} & set(sys.modules)))\n"
    )
    end = run_program(["-c", code % word])
    assert says in end.stdout, end.describe()
    assert end.stdout.endswith("[]\n"), end.describe()


DRAW = """
import os, random, numpy as np
import distkeras as keras
from distkeras import distribution as d
own = [random.random(), np.random.rand(), hash("a"), float(keras.random.uniform(()))]
drawn = d.all_gather(np.array([own]))
if d.rank() == 0:
    print(len({tuple(row) for row in drawn.tolist()}), *own)
"""


@pytest.mark.parametrize("ours", [True, False], ids=["by the launcher", "by mpirun"])
def test_seed_is_the_same_everywhere(ours, run_program, needs_mpi, tmp_path):
    (tmp_path / "draw.py").write_text(DRAW)
    words = ["-m", "distkeras.launch", *(["-n", "2"] if ours else [])]
    n = None if ours else 2
    end = run_program([*words, "draw.py"], n=n)
    assert end.stdout.startswith("1 "), end.describe()
    told = re.fullmatch(
        r"distkeras: the random seed of this job is (\d+); --seed \1 repeats it\n", end.stderr
    )
    assert told, end.describe()
    again = run_program([*words, "--seed", told[1], "draw.py"], n=n)
    assert (again.stdout, again.stderr) == (end.stdout, ""), again.describe()
    alone = run_program(["-m", "distkeras.launch", "--seed", told[1], "draw.py"])
    assert (alone.stdout, alone.stderr) == (end.stdout, ""), alone.describe()
    other = run_program([*words, "draw.py"], n=n)
    assert other.stdout != end.stdout


def test_hash_seed_of_the_user_counts(run_program, needs_mpi, tmp_path):
    (tmp_path / "draw.py").write_text(
        "import os\n"
        "from distkeras import distribution as d\n"
        "print(len(set(d.all_gather(hash('a')).tolist())), os.environ.get('PYTHONHASHSEED'))\n"
    )
    for value, said in ((None, "1 0\n"), ("7", "1 7\n"), ("random", "2 random\n")):
        env = {"PYTHONHASHSEED": value}
        end = run_program(["-m", "distkeras.launch", "draw.py"], n=2, env=env)
        assert end.stdout == said, end.describe()
    alone = run_program(["-m", "distkeras.launch", "draw.py"], env={"PYTHONHASHSEED": None})
    assert (alone.stdout, alone.stderr) == ("1 None\n", ""), alone.describe()
