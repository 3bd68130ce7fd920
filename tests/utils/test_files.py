"""Files appear whole or not at all: full and read-only disks, kills, left-overs."""

import errno
import os
import stat
import subprocess
import sys
import time

import pytest

from distkeras.errors import SavingError, UnwritableFileError
from distkeras.utils.files import atomic_write
from support.disks import file_size_limit


def write(path, data: bytes) -> None:
    with atomic_write(path) as file:
        file.write(data)


def test_replaces_and_leaves_nothing_behind(tmp_path):
    path = tmp_path / "a"
    write(path, b"one")
    write(path, b"two")
    assert path.read_bytes() == b"two"
    assert os.listdir(tmp_path) == ["a"]


def test_an_exception_leaves_the_old_file(tmp_path):
    path = tmp_path / "a"
    write(path, b"old")
    with pytest.raises(KeyError), atomic_write(path) as file:
        file.write(b"new")
        raise KeyError("x")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_keeps_the_mode_and_follows_links(tmp_path):
    path, link = tmp_path / "a", tmp_path / "link"
    write(path, b"old")
    path.chmod(0o640)
    link.symlink_to(path)
    write(link, b"new")
    assert link.is_symlink()
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize(
    "name,code,words",
    [
        ("none/a", errno.ENOENT, "create it first"),
        ("file/a", errno.ENOTDIR, "a part of the path is a file"),
        (".", errno.EISDIR, "give the name of a file"),
    ],
)
def test_impossible_places(tmp_path, name, code, words):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UnwritableFileError, match=words) as caught:
        write(tmp_path / name, b"x")
    assert caught.value.errno == code
    assert isinstance(caught.value, OSError)
    assert isinstance(caught.value, SavingError)


def test_a_limit_of_the_file_size_is_named(tmp_path):
    path = tmp_path / "a"
    write(path, b"old")
    with file_size_limit(100_000), pytest.raises(UnwritableFileError, match="size limit"):
        write(path, bytes(3_000_000))
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


KILLED = """
import sys, time
from distkeras.utils.files import atomic_write
with atomic_write(sys.argv[1]) as file:
    file.write(bytes(2_000_000))
    file.flush()
    print("half", flush=True)
    time.sleep(60)
"""


def test_kill_leaves_the_old_file_and_the_next_write_cleans_up(tmp_path):
    path = tmp_path / "a"
    write(path, b"old")
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "half\n"
    assert len(os.listdir(tmp_path)) == 2
    write(path, b"newer")  # the other writer lives: its temporary file stays
    assert len(os.listdir(tmp_path)) == 2
    process.kill()
    process.wait()
    process.stdout.close()
    assert path.read_bytes() == b"newer"
    deadline = time.monotonic() + 5
    while len(os.listdir(tmp_path)) > 1 and time.monotonic() < deadline:
        write(path, b"newest")
    assert os.listdir(tmp_path) == ["a"]
