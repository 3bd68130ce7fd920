"""The program that runs when none is named: the first thing that a new user starts."""

import re

import pytest


def check(end, directory, ranks):
    assert end.returncode == 0, end.describe()
    found = re.search(r"test accuracy ([\d.]+) %, .* (\d+) ranks?, ([\d.]+) s", end.stdout)
    assert found, end.describe()
    assert float(found[1]) >= 97.0, end.stdout
    assert int(found[2]) == ranks
    assert end.seconds < 30
    assert end.complaints == ""
    assert {"best.keras", "digits.keras"} <= {p.name for p in (directory / "digits").iterdir()}
    assert not list((directory / "digits").glob("*.tmp*"))
    assert "val_accuracy" in end.stdout
    assert end.stdout.count("test accuracy") == 1


def test_main_job_on_one_process(run_program, tmp_path):
    check(run_program(["-m", "distkeras.launch"]), tmp_path, 1)


def test_main_job_on_four_ranks(run_program, needs_mpi, tmp_path):
    check(run_program(["-m", "distkeras.launch"], n=4), tmp_path, 4)


def test_main_job_by_the_launchers_own_mpiexec(run_program, needs_mpi, tmp_path):
    end = run_program(["-m", "distkeras.launch", "-n", "2", "--", "--epochs", "1"])
    assert end.returncode == 0, end.describe()
    assert re.search(r"test accuracy .*, 2 ranks, ", end.stdout), end.describe()


def test_main_job_draws_its_curves(run_program, tmp_path):
    pytest.importorskip("matplotlib", reason="the picture is for those who have matplotlib")
    end = run_program(["-m", "distkeras.launch", "--", "--epochs", "1", "--out", "here/there"])
    assert end.returncode == 0, end.describe()
    assert (tmp_path / "here" / "there" / "digits.png").read_bytes().startswith(b"\x89PNG")


def test_main_job_without_a_place_for_its_results(run_program, needs_mpi, tmp_path):
    (tmp_path / "digits").write_text("")
    end = run_program(["-m", "distkeras.launch"], n=2)
    assert end.returncode == 1, end.describe()
    (line,) = end.complaints.splitlines()
    assert line.startswith("[rank 0] LaunchError: The results need a directory"), end.describe()
    assert "-- --out DIR" in line


def test_main_job_loads_again(run_program, tmp_path):
    end = run_program(["-m", "distkeras.launch", "--", "--epochs", "1", "--batch-size", "64"])
    assert end.returncode == 0, end.describe()
    code = (
        "import distkeras as keras\n"
        "model = keras.models.load_model('digits/digits.keras')\n"
        "(_, _), (x, y) = keras.datasets.digits.load_data()\n"
        "print(model.evaluate(x[..., None] / 16.0, y, verbose=0)[1])\n"
    )
    again = run_program(["-c", code])
    assert again.returncode == 0, again.describe()
    said = float(re.search(r"test accuracy ([\d.]+) %", end.stdout)[1])
    assert float(again.stdout) * 100 == pytest.approx(said, abs=0.01)
