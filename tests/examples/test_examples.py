"""Each program in `examples/` runs as its user would start it, with fewer epochs."""

import gzip
import re
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"

ACCURACY = r"test accuracy: ([\d.]+)"
LEFT = r"noise left: ([\d.]+)"
DISTANCE = r"generated digits: ([\d.]+) from"

# Threads of BLAS that wait for each other on busy cores would take most of the time.
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}

# program, epochs, what it prints, (from, to) of that number. What a program reaches with all its
# epochs is in examples/README.md; guessing gives 0.33, 0.25, 0.5, 1.0 of the noise and 0.38.
RUNS = {
    "iris": (60, ACCURACY, (0.93, 1.0)),
    "text_lstm": (2, ACCURACY, (0.6, 1.0)),
    "two_inputs": (2, ACCURACY, (0.85, 1.0)),
    "autoencoder": (3, LEFT, (0.0, 0.6)),
    "gan": (2, DISTANCE, (0.1, 0.32)),
}


def number(end, pattern: str) -> float:
    """The number that a program printed, once."""
    assert end.returncode == 0, end.describe()
    found = re.findall(pattern, end.stdout)
    assert len(found) == 1, end.describe()
    return float(found[0])


def start(name: str, epochs: int, *more: str) -> list[str]:
    return [str(EXAMPLES / f"{name}.py"), "--epochs", str(epochs), *more]


@pytest.mark.parametrize("name", RUNS)
def test_example(run_program, name):
    epochs, pattern, (least, most) = RUNS[name]
    end = run_program(start(name, epochs), env=ONE_THREAD)
    assert least <= number(end, pattern) <= most, end.describe()
    assert end.stderr == ""
    assert f"Epoch {epochs}/{epochs}" in end.stdout


def write_idx(path: Path, array: np.ndarray) -> None:
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    with gzip.open(path, "wb") as file:
        file.write(bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes())


def test_mnist_from_files(run_program, tmp_path):
    rng = np.random.default_rng(0)
    labels = rng.integers(10, size=500).astype("uint8")
    images = rng.integers(40, size=(500, 28, 28)).astype("uint8")
    for image, label in zip(images, labels, strict=True):  # a bright square at the label's place
        row, column = 2 + 14 * (label // 5), 1 + 5 * (label % 5)
        image[row : row + 9, column : column + 5] = 250
    write_idx(tmp_path / "t10k-images-idx3-ubyte.gz", images)
    write_idx(tmp_path / "t10k-labels-idx1-ubyte.gz", labels)
    end = run_program(start("mnist", 4, "--data", str(tmp_path)), env=ONE_THREAD)
    assert number(end, ACCURACY) > 0.8, end.describe()


def test_mnist_without_files_says_what_to_do(run_program, tmp_path):
    nowhere = {"HOME": str(tmp_path), "KERAS_HOME": None, "DISTKERAS_DATA": None}
    end = run_program(start("mnist", 1), env=nowhere)
    assert end.returncode != 0
    assert "distkeras downloads nothing" in end.stderr


@pytest.mark.parametrize("name", ["iris", "gan"])
def test_example_on_two_ranks(run_program, needs_mpi, name):
    epochs, pattern, (least, most) = RUNS[name]
    end = run_program(["-m", "distkeras.launch", *start(name, epochs)], n=2)
    assert least <= number(end, pattern) <= most, end.describe()


def test_every_example_is_run_and_described():
    programs = {path.stem for path in EXAMPLES.glob("*.py")}
    assert programs == {*RUNS, "mnist"}
    readme = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert {name for name in programs if f"`{name}.py`" in readme} == programs
