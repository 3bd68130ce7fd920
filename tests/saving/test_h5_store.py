"""HDF5 files are read without trust, and a failing write is one clear error."""

import io

import h5py
import numpy as np
import pytest

from distkeras.errors import SavingError, UnsafeFileError
from distkeras.saving.h5_store import ArrayGroup, array_of, child_group, open_reader, open_writer


def written(fill) -> io.BytesIO:
    file = io.BytesIO()
    with h5py.File(file, "w") as h5:
        fill(h5)
    file.seek(0)
    return file


DTYPES = "float16 float32 float64 int8 int64 uint8 bool bfloat16".split()


@pytest.mark.parametrize("dtype", DTYPES)
def test_arrays_come_back(dtype):
    import ml_dtypes

    kind = ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype
    arrays = {"0": np.arange(6).reshape(2, 3).astype(kind), "1": np.array(1).astype(kind)}
    arrays["2"] = np.zeros((0, 4), kind)
    file = io.BytesIO()
    with open_writer(file) as h5:
        ArrayGroup(h5.create_group("a/vars")).update(arrays)
    file.seek(0)
    with open_reader(file, "x") as h5:
        store = ArrayGroup(child_group(h5, "a/vars"))
        assert sorted(store) == ["0", "1", "2"]
        for name, array in arrays.items():
            assert store[name].dtype == array.dtype
            assert store[name].shape == array.shape
            np.testing.assert_array_equal(store[name].astype(float), array.astype(float))


def test_bfloat16_as_other_backends_of_keras_write_it():
    import ml_dtypes

    values = np.array([1.5, -2.0], ml_dtypes.bfloat16)

    def fill(h5):
        h5.create_dataset("opaque", data=values.view("V2")).attrs["dtype"] = "bfloat16"
        h5.create_dataset("float", data=values.astype("float32")).attrs["dtype"] = "bfloat16"

    with open_reader(written(fill), "x") as h5:
        for name in ("opaque", "float"):
            found = array_of(h5, name)
            assert found.dtype == ml_dtypes.bfloat16
            assert found.astype(float).tolist() == [1.5, -2.0]


def test_what_is_not_there():
    with open_reader(written(lambda h5: h5.create_group("a")), "x") as h5:
        assert child_group(h5, "a/b") is None
        assert len(ArrayGroup(None)) == 0
        with pytest.raises(KeyError):
            array_of(h5, "a/0")
        with pytest.raises(KeyError):
            ArrayGroup(None)["0"]


def soft_link(h5):
    h5["other/0"] = np.zeros(2)
    h5.create_group("a")["vars"] = h5py.SoftLink("/other")


def soft_link_of_an_array(h5):
    h5["other"] = np.zeros(2)
    h5.create_group("a/vars")["0"] = h5py.SoftLink("/other")


def external_link(h5):
    h5.create_group("a")["vars"] = h5py.ExternalLink("/etc/passwd", "/")


def external_link_of_an_array(h5):
    h5.create_group("a/vars")["0"] = h5py.ExternalLink("secret.h5", "0")


def external_data(h5):
    h5.create_group("a/vars").create_dataset(
        "0", (8,), "u1", external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)]
    )


def virtual_data(h5):
    layout = h5py.VirtualLayout((2,), "f4")
    layout[:] = h5py.VirtualSource("secret.h5", "0", (2,))
    h5.create_group("a/vars").create_virtual_dataset("0", layout)


def python_objects(h5):
    text = h5py.string_dtype()
    h5.create_group("a/vars").create_dataset("0", data=["x"], dtype=text)


def references(h5):
    group = h5.create_group("a/vars")
    group.create_dataset("0", data=[group.ref], dtype=h5py.ref_dtype)


def records(h5):
    h5.create_group("a/vars")["0"] = np.zeros(2, [("x", "f4")])


def shape_bomb(h5):
    h5.create_group("a/vars").create_dataset(
        "0", (1 << 40,), "f4", chunks=(1 << 20,), compression="gzip"
    )


HOSTILE = [
    (soft_link, "SoftLink"),
    (soft_link_of_an_array, "SoftLink"),
    (external_link, "ExternalLink"),
    (external_link_of_an_array, "ExternalLink"),
    (external_data, "in another file"),
    (virtual_data, "put together"),
    (python_objects, "not numbers"),
    (references, "not numbers"),
    (records, "not numbers"),
    (shape_bomb, "declares"),
]


@pytest.mark.parametrize("fill,words", HOSTILE, ids=[fill.__name__ for fill, _ in HOSTILE])
def test_hostile_files(fill, words):
    with (
        open_reader(written(fill), "x") as h5,
        pytest.raises(UnsafeFileError, match=words),
    ):
        array_of(h5, "a/vars/0")


@pytest.mark.parametrize("name", ["..", ".", "a/../b", "a//b", "/a"])
def test_odd_names(name):
    file = written(lambda h5: h5.create_group("a/b"))
    with open_reader(file, "x") as h5, pytest.raises(UnsafeFileError):
        child_group(h5, name)


def test_groups_and_arrays_are_not_confused():
    def fill(h5):
        h5["a"] = np.zeros(2)
        h5.create_group("b")

    with open_reader(written(fill), "x") as h5:
        with pytest.raises(SavingError, match="should be a group"):
            child_group(h5, "a/b")
        with pytest.raises(SavingError, match="should be an array"):
            array_of(h5, "b")


def test_damaged_files():
    whole = written(lambda h5: h5.create_dataset("0", data=np.arange(100_000))).getvalue()
    for data in (b"", b"not at all", whole[: len(whole) // 2], whole[:100]):
        with pytest.raises(SavingError), open_reader(io.BytesIO(data), "file.h5") as h5:
            array_of(h5, "0")


class Full(io.BytesIO):
    """A file on a disk that holds only so many bytes."""

    def __init__(self, room):
        super().__init__()
        self.room = room

    def write(self, data):
        if self.tell() + len(data) > self.room:
            raise OSError(28, "No space left on device")
        return super().write(data)


@pytest.mark.parametrize("room", [0, 100, 5_000, 700_000])
def test_the_first_failing_write_is_what_is_raised(room):
    with pytest.raises(OSError, match="No space left") as caught, open_writer(Full(room)) as h5:
        for name in range(10):
            h5[str(name)] = np.zeros(100_000)
    assert caught.value.errno == 28


def test_an_error_of_the_writer_is_not_hidden():
    with pytest.raises(KeyError, match="mine"), open_writer(io.BytesIO()) as h5:
        h5["a"] = np.zeros(3)
        raise KeyError("mine")
