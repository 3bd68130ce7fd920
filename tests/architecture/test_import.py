"""`import distkeras` is light: it loads nothing heavy and takes less than 0.2 s."""

import json

import pytest

HEAVY = ("mpi4py", "h5py", "rich", "pluggy", "ml_dtypes", "matplotlib", "cupy", "threadpoolctl")

REPORT = """
import json, sys, time
begin = time.perf_counter()
import distkeras
print(json.dumps([time.perf_counter() - begin, sorted(sys.modules)]))
"""


def import_once(run_program):
    finished = run_program(["-c", REPORT])
    assert finished.returncode == 0, finished.describe()
    return json.loads(finished.stdout)


@pytest.mark.parametrize("heavy", HEAVY)
def test_nothing_heavy_is_loaded(loaded, heavy):
    assert heavy not in loaded


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    from support.programs import ProgramRunner

    return set(import_once(ProgramRunner(tmp_path_factory.mktemp("import")))[1])


def test_the_check_sees_a_loaded_module(loaded):
    assert {"distkeras", "json"} <= loaded


def test_it_is_fast(run_program):
    # The least of several tries: other programs on the machine can only slow it down.
    assert min(import_once(run_program)[0] for _ in range(5)) < 0.2


def test_one_process_needs_no_mpi(run_program):
    code = (
        "import sys\n"
        "sys.modules['mpi4py'] = None\n"
        "import distkeras\n"
        "from distkeras.datasets import digits\n"
        "print(digits.load_data()[0][0].shape)"
    )
    finished = run_program(["-c", code])
    assert finished.returncode == 0, finished.describe()
    assert finished.stdout == "(1438, 8, 8)\n"
