"""Saving on disks that are full, read-only or limited, and under kill -9."""

import errno
import hashlib
import os
import subprocess
import sys
import time

import numpy as np
import pytest

import distkeras as keras
from distkeras.errors import UnwritableFileError
from support.disks import file_size_limit

FILES = ["m.keras", "m.weights.h5", "m.h5"]


def wide(units=300):
    return keras.Sequential([keras.Input((units,)), keras.layers.Dense(units)])


def save(model, path):
    (model.save_weights if str(path).endswith(".weights.h5") else model.save)(path)


def load(path, units=300):
    if str(path).endswith(".weights.h5"):
        model = wide(units)
        model.load_weights(path)
        return model
    return keras.saving.load_model(path)


@pytest.mark.parametrize("size", [0, 3_000, 100_000])
@pytest.mark.parametrize("name", FILES)
def test_a_write_that_fails_leaves_the_old_file(tmp_path, name, size):
    old = wide()
    save(old, tmp_path / name)
    before = (tmp_path / name).read_bytes()
    new = wide()
    with (
        file_size_limit(size),
        pytest.raises(UnwritableFileError, match="Nothing was changed") as caught,
    ):
        save(new, tmp_path / name)
    assert caught.value.errno == errno.EFBIG
    assert (tmp_path / name).read_bytes() == before
    assert os.listdir(tmp_path) == [name]
    np.testing.assert_array_equal(load(tmp_path / name).get_weights()[0], old.get_weights()[0])


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 600 kB; needs the rights to mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    line = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(line, capture_output=True).returncode:
        pytest.skip("only root can mount a small file system; the limits above cover the same code")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("name", FILES)
def test_a_full_disk(small_disk, name):
    save(wide(100), small_disk / name)
    before = (small_disk / name).read_bytes()
    with pytest.raises(UnwritableFileError, match="the disk is full") as caught:
        save(wide(600), small_disk / name)
    assert caught.value.errno == errno.ENOSPC
    assert (small_disk / name).read_bytes() == before
    assert os.listdir(small_disk) == [name]
    save(wide(100), small_disk / name)  # the room has been given back


@pytest.mark.parametrize("name", FILES)
def test_a_read_only_disk(small_disk, name):
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(UnwritableFileError, match="read-only"):
        save(wide(10), small_disk / name)


@pytest.mark.parametrize("name", FILES)
def test_a_directory_that_is_not_there(tmp_path, name):
    with pytest.raises(UnwritableFileError, match="create it first"):
        save(wide(10), tmp_path / "none" / name)


SAVE_FOR_EVER = """
import sys
import distkeras as keras
model = keras.Sequential([keras.Input((700,)), keras.layers.Dense(700)])
save = model.save_weights if sys.argv[1].endswith(".weights.h5") else model.save
save(sys.argv[1])
print("first", flush=True)
while True:
    save(sys.argv[1])
"""


@pytest.mark.parametrize("name", FILES)
def test_kill_while_saving(tmp_path, name):
    path = tmp_path / name
    for delay in (0.004, 0.011, 0.019):
        process = subprocess.Popen(
            [sys.executable, "-c", SAVE_FOR_EVER, str(path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout.readline() == "first\n"
        time.sleep(delay)
        process.kill()
        process.wait()
        process.stdout.close()
        assert load(path, 700).get_weights()[0].shape == (700, 700)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    load(path, 700)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == digest
    save(wide(10), path)
    assert os.listdir(tmp_path) == [name]
