"""The format of checkpoints: what is written comes back, and what is not whole is none."""

import errno
import json
import os
import pickle
import subprocess
import sys
import time

import ml_dtypes
import numpy as np
import pytest

from distkeras.cli.checkpoints import main
from distkeras.errors import ArgumentError, CheckpointError, UnwritableFileError
from distkeras.saving import checkpoints
from distkeras.saving.packing import from_bytes, pack, to_bytes, unpack
from support.disks import file_size_limit

ABOUT = {"fit": 0, "epoch": 1, "step": 2, "total": 7, "finished": False, "ranks": 1}
STATE = {
    "numbers": [1, -2.5, 1e-300, float("inf"), True, None, "text"],
    "tuple": (1, (2, [3])),
    "keys": {1: "a", (2, "b"): None, "$array": 5},
    "arrays": {
        "float32": np.arange(6, dtype="float32").reshape(2, 3),
        "bfloat16": np.ones(3, ml_dtypes.bfloat16),
        "bool": np.array([True, False]),
        "uint32": np.array(7, "uint32"),
        "empty": np.zeros((0, 4)),
        "transposed": np.arange(6.0).reshape(2, 3).T,
        "complex": np.array([1j]),
    },
    "scalar": np.float32(0.1),
}


def write(folder, name="one", state=STATE, about=ABOUT):
    return checkpoints.write(folder, name, pack(state), about)


def same(a, b):
    if isinstance(b, np.ndarray):
        assert isinstance(a, np.ndarray)
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        assert a.tobytes() == b.tobytes()
    elif isinstance(b, dict):
        assert list(a) == list(b)
        for key in b:
            same(a[key], b[key])
    elif isinstance(b, list | tuple):
        assert type(a) is type(b)
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            same(x, y)
    else:
        assert type(a) is type(b)
        assert a == b


def test_what_is_written_comes_back(tmp_path):
    path = write(tmp_path)
    assert sorted(os.listdir(path)) == ["arrays.bin", "manifest.json", "state.json"]
    same(checkpoints.load(checkpoints.open_checkpoint(path)), STATE)
    same(from_bytes(to_bytes(STATE)), STATE)
    same(unpack(*pack(STATE, copy=True)), STATE)


@pytest.mark.parametrize("value", [{1, 2}, object(), np.array(["a"]), np.array([None]), b"x"])
def test_what_cannot_be_written_is_named(value):
    with pytest.raises(ArgumentError, match=r"the state\['a'\]\[1\] is of type"):
        pack({"a": [0, value]})


def test_found_newest_first_at_any_depth(tmp_path):
    paths = [write(tmp_path / place, str(i)) for i, place in enumerate(("a/b", ".", "c"))]
    assert [each.path for each in checkpoints.find(tmp_path)] == paths[::-1]
    assert [each.path for each in checkpoints.find(paths[0])] == [paths[0]]
    assert checkpoints.find(tmp_path / "none") == []


DAMAGE = {
    "a bit": (lambda p: flip(p / "arrays.bin"), "arrays.bin has changed"),
    "a bit of the state": (lambda p: flip(p / "state.json"), "state.json has changed"),
    "cut": (lambda p: os.truncate(p / "arrays.bin", 100), "arrays.bin has 100 bytes"),
    "gone": (lambda p: (p / "arrays.bin").unlink(), "arrays.bin: No such file"),
}


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_found(tmp_path, kind):
    damage, says = DAMAGE[kind]
    path = write(tmp_path)
    damage(path)
    (found,) = checkpoints.find(tmp_path)
    assert says in checkpoints.problem(found)
    with pytest.raises(CheckpointError, match="is damaged"):
        checkpoints.load(found)


def test_a_damaged_manifest_is_no_checkpoint(tmp_path):
    path = write(tmp_path)
    manifest = json.loads((path / "manifest.json").read_text())
    for changed in (
        {**manifest, "about": {}},
        {**manifest, "files": {"../x": {"bytes": 1, "crc32": 1}}},
        {},
        [],
        {**manifest, "format": 99},
    ):
        (path / "manifest.json").write_text(json.dumps(changed))
        assert checkpoints.find(tmp_path) == []
    (path / "manifest.json").write_bytes(pickle.dumps(manifest))
    assert checkpoints.find(tmp_path) == []


def test_removed_and_adopted(tmp_path):
    found = checkpoints.open_checkpoint(write(tmp_path / "a"))
    adopted = checkpoints.adopt(found, tmp_path / "b")
    checkpoints.remove(found)
    assert [each.path for each in checkpoints.find(tmp_path)] == [adopted.path]
    assert adopted.written == found.written
    same(checkpoints.load(adopted), STATE)


@pytest.mark.parametrize("size", [0, 10, 5000])
def test_a_write_that_fails_leaves_nothing(tmp_path, size):
    old = write(tmp_path, "old")
    told = r"new cannot be written: File too large.*Nothing was changed"
    with file_size_limit(size), pytest.raises(UnwritableFileError, match=told) as e:
        write(tmp_path, "new", {"a": np.zeros(10_000)})
    assert e.value.errno == errno.EFBIG
    assert os.listdir(tmp_path) == ["old"]
    assert checkpoints.problem(checkpoints.open_checkpoint(old)) is None


WRITER = """
import sys
import numpy as np
from distkeras.saving import checkpoints
from distkeras.saving.packing import pack
about = dict(fit=0, epoch=0, step=0, total=0, finished=False, ranks=1)
for n in range(10_000):
    checkpoints.write(sys.argv[1], f"fit{n:05d}", pack({"a": np.full(300_000, n)}), about)
    found = checkpoints.find(sys.argv[1])
    for old in found[2:]:
        checkpoints.remove(old)
"""


@pytest.mark.parametrize("moment", [0.05, 0.11, 0.2])
def test_a_writer_that_is_killed_leaves_whole_ones(tmp_path, moment):
    job = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)])
    while len(checkpoints.find(tmp_path)) < 2 and job.poll() is None:
        time.sleep(0.01)
    time.sleep(moment)
    job.kill()
    job.wait()
    found = checkpoints.find(tmp_path)
    assert len(found) >= 2
    for each in found:
        assert checkpoints.problem(each) is None
        assert (checkpoints.load(each)["a"] == int(each.path.name[3:])).all()


def test_the_command_lists_and_verifies(tmp_path, capsys):
    write(tmp_path / "run" / "checkpoints", "fit000-step0000000007")
    write(tmp_path / "run" / "checkpoints", "fit000-end", about={**ABOUT, "finished": True})
    (tmp_path / "run" / "checkpoints" / ".fit001-end.host-1.tmp").mkdir()
    assert main([str(tmp_path)]) == 0
    head, end, step, rest = capsys.readouterr().out.splitlines()
    assert head.split() == ["checkpoint", "fit", "where", "ranks", "size", "written"]
    assert end.startswith("run/checkpoints/fit000-end ")
    assert end.endswith("whole")
    assert "epoch 2, step 2" in step
    assert rest.startswith("not finished, may be deleted")
    flip(tmp_path / "run" / "checkpoints" / "fit000-end" / "arrays.bin")
    assert main([str(tmp_path)]) == 1
    assert "damaged: arrays.bin has changed" in capsys.readouterr().out
    assert main([str(tmp_path), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert [bool(each["problem"]) for each in told["checkpoints"]] == [True, False]
    assert main([str(tmp_path / "none")]) == 1
