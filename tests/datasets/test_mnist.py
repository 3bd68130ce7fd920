import gzip

import numpy as np
import pytest

from distkeras.datasets import mnist
from distkeras.errors import DataError, DatasetNotFoundError

COUNTS = {"train": 6, "t10k": 3}


def parts(kind):
    rng = np.random.default_rng(COUNTS[kind])
    return (
        rng.integers(0, 256, (COUNTS[kind], 28, 28), dtype=np.uint8),
        rng.integers(0, 10, COUNTS[kind], dtype=np.uint8),
    )


def idx(array):
    return bytes((0, 0, 8, array.ndim)) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def write_idx(directory, kind, packed=True):
    directory.mkdir(parents=True, exist_ok=True)
    images, labels = parts(kind)
    names = (f"{kind}-images-idx3-ubyte", f"{kind}-labels-idx1-ubyte")
    for name, array in zip(names, (images, labels), strict=True):
        if packed:
            (directory / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
        else:
            (directory / name).write_bytes(idx(array))


def write_npz(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    (x_train, y_train), (x_test, y_test) = parts("train"), parts("t10k")
    np.savez(path, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)


def check(result):
    for (x, y), kind in zip(result, ("train", "t10k"), strict=True):
        images, labels = parts(kind)
        assert x.dtype == y.dtype == np.uint8
        assert np.array_equal(x, images)
        assert np.array_equal(y, labels)


@pytest.fixture(autouse=True)
def bare_machine(tmp_path, monkeypatch):
    """No data set anywhere but below `tmp_path`."""
    monkeypatch.delenv("DISTKERAS_DATA", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")


def test_kerass_cache_is_found(tmp_path):
    write_npz(tmp_path / "keras" / "datasets" / "mnist.npz")
    check(mnist.load_data())


def test_kerass_cache_below_the_home_directory_is_found(tmp_path, monkeypatch):
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    write_npz(tmp_path / "home" / ".keras" / "datasets" / "mnist.npz")
    check(mnist.load_data())


def test_another_name_below_kerass_cache(tmp_path):
    write_npz(tmp_path / "keras" / "datasets" / "small.npz")
    check(mnist.load_data("small.npz"))


@pytest.mark.parametrize("packed", [True, False])
def test_a_directory_with_four_idx_files(tmp_path, packed):
    for kind in COUNTS:
        write_idx(tmp_path / "idx", kind, packed)
    check(mnist.load_data(str(tmp_path / "idx")))


def test_a_path_to_an_npz_file(tmp_path):
    write_npz(tmp_path / "any.npz")
    check(mnist.load_data(str(tmp_path / "any.npz")))


def test_a_directory_with_an_npz_file(tmp_path):
    write_npz(tmp_path / "d" / "mnist.npz")
    check(mnist.load_data(str(tmp_path / "d")))


@pytest.mark.parametrize("below", ["", "mnist"])
@pytest.mark.parametrize("form", ["idx", "npz"])
def test_the_environment_names_a_directory(tmp_path, monkeypatch, below, form):
    directory = tmp_path / "data" / below
    if form == "npz":
        write_npz(directory / "mnist.npz")
    else:
        for kind in COUNTS:
            write_idx(directory, kind)
    monkeypatch.setenv("DISTKERAS_DATA", str(tmp_path / "data"))
    check(mnist.load_data())


def test_nothing_found_says_what_to_put_where(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        mnist.load_data()
    assert isinstance(caught.value, DatasetNotFoundError)
    message = str(caught.value)
    for part in (
        str(tmp_path / "keras" / "datasets" / "mnist.npz"),
        "DISTKERAS_DATA",
        "train-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte.gz",
        "load_idx",
    ):
        assert part in message


def test_half_a_set_is_not_a_set(tmp_path, monkeypatch):
    write_idx(tmp_path / "half", "t10k")
    monkeypatch.setenv("DISTKERAS_DATA", str(tmp_path / "half"))
    with pytest.raises(DatasetNotFoundError, match=r"t10k-images-idx3-ubyte.gz.*but not all four"):
        mnist.load_data()
    images, labels = mnist.load_idx(
        tmp_path / "half" / "t10k-images-idx3-ubyte.gz",
        tmp_path / "half" / "t10k-labels-idx1-ubyte.gz",
    )
    expected = parts("t10k")
    assert np.array_equal(images, expected[0])
    assert np.array_equal(labels, expected[1])
    images[0] = 0  # the arrays are the caller's own


def not_a_zip(path):
    path.write_bytes(b"<html>not found</html>")


def another_archive(path):
    np.savez(path, images=np.zeros(3))


def cut_short(path):
    write_npz(path)
    path.write_bytes(path.read_bytes()[:-30])


def pickled(path):
    np.savez(path, **dict.fromkeys(("x_train", "y_train", "x_test", "y_test"), np.array([{}])))


@pytest.mark.parametrize("damage", [not_a_zip, another_archive, cut_short, pickled])
def test_a_wrong_npz_file_is_named(tmp_path, damage):
    path = tmp_path / "wrong.npz"
    damage(path)
    with pytest.raises(DataError, match=r"wrong\.npz is not Keras's"):
        mnist.load_data(str(path))


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "is not an IDX file"),
        (b"\x00\x00\x0d\x03" + bytes(12), "is not an IDX file"),
        (idx(np.zeros((2, 4, 4), np.uint8))[:-1], "header announces shape"),
        (idx(np.zeros((2, 4, 4), np.uint8)) + b"0", "header announces shape"),
        (gzip.compress(idx(np.zeros((2, 4, 4), np.uint8)))[:-9], "cannot be decompressed"),
        (b"\x00\x00\x08\x03" + b"\xff" * 12, "header announces shape"),
        (idx(np.zeros((3, 4, 4), np.uint8)), "3 images but .* 2 labels"),
    ],
)
def test_a_wrong_idx_file_is_named(tmp_path, content, message):
    (tmp_path / "images").write_bytes(content)
    (tmp_path / "labels").write_bytes(idx(np.zeros(2, np.uint8)))
    with pytest.raises(DataError, match=message):
        mnist.load_idx(tmp_path / "images", tmp_path / "labels")


def test_a_missing_idx_file_is_named(tmp_path):
    with pytest.raises(DatasetNotFoundError, match=r"no file .*nowhere"):
        mnist.load_idx(tmp_path / "nowhere", tmp_path / "labels")
