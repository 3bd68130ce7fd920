"""The compiler and its cache: whatever is wrong with either, a text compiles or NumPy computes."""

import ctypes
import os
import subprocess
import sys
import time

import pytest

from distkeras.kernels.cpu import compiler
from distkeras.kernels.cpu.kernel import COMPILE_AFTER, LOAD_AFTER, Kernel

TWICE = '__attribute__((visibility("default"))) int run(int x) { return 2 * x; }\n'


def files(folder):
    return sorted(p.suffix for p in folder.iterdir())


def test_a_text_is_compiled_once(cache, needs_compiler):
    assert compiler.find(TWICE) is None
    assert compiler.build(TWICE).run(21) == 42
    assert files(cache) == [".sha256", ".so"]
    (library,) = cache.glob("*.so")
    made = library.stat().st_mtime_ns
    assert compiler.find(TWICE).run(4) == 8
    assert compiler.build(TWICE).run(4) == 8
    assert library.stat().st_mtime_ns == made


@pytest.mark.parametrize("damage", [b"", b"no library", None], ids=["empty", "text", "torn"])
def test_a_damaged_library_is_compiled_again(damage, cache, needs_compiler):
    # In processes of their own: what is mapped must not be written to.
    program = f"from distkeras.kernels.cpu import compiler as c; print(c.build({TWICE!r}).run(3))"
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    (library,) = cache.glob("*.so")
    whole = library.read_bytes()
    library.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    assert compiler.find(TWICE) is None
    again = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert again.stdout == b"6\n"
    assert library.stat().st_size == len(whole)


def test_processes_that_want_the_same_compile_it_once(cache, needs_compiler):
    program = (
        "import time\n"
        "from distkeras.kernels.cpu import compiler as c\n"
        f"while (found := c.build({TWICE!r})) == c.BUSY: time.sleep(0.01)\n"
        "print(found.run(5))\n"
    )
    jobs = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) for _ in range(4)
    ]
    assert {job.communicate(timeout=60)[0] for job in jobs} == {b"10\n"}
    assert files(cache) == [".sha256", ".so"]


def test_a_lock_that_was_left_is_taken_over(cache, needs_compiler):
    compiler.build(TWICE)
    (library,) = cache.glob("*.so")
    for path in cache.iterdir():
        path.unlink()
    lock = library.with_suffix(".lock")
    lock.touch()
    assert compiler.build(TWICE) == compiler.BUSY
    os.utime(lock, (time.time() - 3600,) * 2)
    left = cache / ".compile-left"
    left.mkdir()
    os.utime(left, (time.time() - 3600,) * 2)
    assert compiler.build(TWICE).run(1) == 2
    assert files(cache) == [".sha256", ".so"]


def test_a_text_that_does_not_compile(cache, needs_compiler):
    assert compiler.build("this is no C") is None
    assert files(cache) == []


def test_no_compiler(cache, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    assert compiler.compiler() is None
    assert compiler.build(TWICE) is None
    assert compiler.find(TWICE) is None


def test_a_compiler_that_fails(cache, monkeypatch, needs_compiler):
    monkeypatch.setenv("CC", "false")
    assert compiler.build(TWICE) is None
    kernel = Kernel(TWICE, (ctypes.c_int,))
    assert kernel.after(1) is None
    assert kernel.after(10 * COMPILE_AFTER) is None


@pytest.mark.parametrize("mode", [0o770, 0o707])
def test_a_directory_of_others_is_not_used(mode, cache, needs_compiler):
    cache.mkdir()
    cache.chmod(mode)
    assert compiler.build(TWICE) is None
    assert files(cache) == []


def test_a_place_that_is_no_directory(cache, needs_compiler):
    cache.write_text("")
    assert compiler.build(TWICE) is None
    assert cache.read_text() == ""


def test_little_work_starts_no_compiler_and_much_does(cache, monkeypatch, needs_compiler):
    monkeypatch.setenv("DISTKERAS_NATIVE", "auto")
    kernel = Kernel(TWICE, (ctypes.c_int,))
    assert kernel.after(LOAD_AFTER - 1) is None
    assert kernel.after(LOAD_AFTER) is None
    assert not cache.exists() or files(cache) == []
    kernel.after(COMPILE_AFTER)
    deadline = time.monotonic() + 60
    while kernel.after(1) is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert files(cache) == [".sha256", ".so"]
    second = Kernel(TWICE, (ctypes.c_int,))  # as in the next process: it is loaded soon
    assert second.after(LOAD_AFTER) is not None


def test_native_code_can_be_turned_off(cache, monkeypatch, needs_compiler):
    monkeypatch.setenv("DISTKERAS_NATIVE", "0")
    assert Kernel(TWICE, (ctypes.c_int,)).after(10**12) is None
    assert not cache.exists()


def test_a_process_does_not_wait_for_its_compiler(cache, monkeypatch, tmp_path):
    slow = tmp_path / "slow-cc"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setenv("CC", str(slow))
    monkeypatch.setenv("DISTKERAS_NATIVE", "auto")
    program = (
        "import ctypes, time\n"
        "from distkeras.kernels.cpu import compiler\n"
        "from distkeras.kernels.cpu.kernel import Kernel\n"
        f"kernel = Kernel({TWICE!r}, (ctypes.c_int,))\n"
        "for _ in range(3): kernel.after(10**9)\n"
        "while not compiler._running: time.sleep(0.01)\n"
    )
    begin = time.monotonic()
    subprocess.run([sys.executable, "-c", program], check=True, timeout=50)
    assert time.monotonic() - begin < 40
    assert files(cache) == []
