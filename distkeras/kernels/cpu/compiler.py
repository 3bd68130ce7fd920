"""C text to a loaded library, by the system's compiler and a cache on disk.

How a library gets into the cache, where several processes may want it at once:
  a. its name is a hash of source, flags, compiler and processor: a shared home directory serves
     machines of different kinds;
  b. who creates `NAME.lock` compiles; the others look again later. A lock that is older than any
     compilation is taken over;
  c. the compiler writes a temporary file, which is renamed after the hash of its content was
     written beside it;
  d. a reader loads only what matches that hash: a torn or damaged file is as good as none;
  e. a process that ends before its compiler kills it and tidies up; after one that was killed
     itself the next compilation does.
"""

import atexit
import contextlib
import ctypes
import functools
import hashlib
import os
import platform
import shlex
import shutil
import stat
import subprocess
import tempfile
import time
from pathlib import Path

from distkeras import config

__all__ = ["BUSY", "build", "compiler", "find"]

# Neither of the two changes a value: without the first a square root is a call into libm, without
# the second a comparison is not vectorised. Fused multiply-adds would change values.
FLAGS = (
    *("-O3", "-std=gnu11", "-fPIC", "-shared", "-fvisibility=hidden"),
    *("-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off"),
)
_SECONDS = 120.0  # that a compilation may take
_PLACE = ".compile-"
BUSY = "another process compiles the same text"

_running: dict[subprocess.Popen, tuple[Path, Path]] = {}  # compiler -> its directory, its lock


def compiler() -> list[str] | None:
    """The command of the C compiler: `$CC`, or the first of cc, gcc and clang in PATH.

    Returns:
        Its words, or `None` where there is none.
    """
    for name in (os.environ.get("CC", ""), "cc", "gcc", "clang"):
        words = shlex.split(name)
        path = shutil.which(words[0]) if words else None
        if path is not None:
            return [path, *words[1:]]
    return None


def find(source: str) -> ctypes.CDLL | None:
    """The library of a C text, where the cache has it.

    Args:
        source: the C text.
    """
    command, folder = compiler(), _folder()
    if command is None or folder is None:
        return None
    return _load(folder / f"{_name(source, command)}.so")


def build(source: str) -> ctypes.CDLL | str | None:
    """The library of a C text from the cache, or compiled now.

    Args:
        source: the C text.

    Returns:
        The library; `BUSY`; or `None` where there is no compiler or no place for the result, or
        where the compiler fails.
    """
    command, folder = compiler(), _folder()
    if command is None or folder is None:
        return None
    target = folder / f"{_name(source, command)}.so"
    found = _load(target)
    if found is not None:
        return found
    try:
        lock = _lock(target.with_suffix(".lock"))
        if lock is None:
            return BUSY
        _tidy(folder)
        _compile(source, command, target, lock)
    except (OSError, subprocess.SubprocessError):
        return None
    return _load(target)


def _compile(source: str, command: list[str], target: Path, lock: Path) -> None:
    place = Path(tempfile.mkdtemp(prefix=_PLACE, dir=target.parent))
    try:
        text, made, digest = place / "kernel.c", place / "kernel.so", place / "digest"
        text.write_text(source)
        tuned = "-mcpu=native" if platform.machine() in ("aarch64", "arm64") else "-march=native"
        job = subprocess.Popen(
            [*command, *FLAGS, tuned, "-o", str(made), str(text), "-lm"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=place,
        )
        _running[job] = place, lock
        try:
            code = job.wait(_SECONDS)
        finally:
            job.kill()
            del _running[job]
        if code:
            raise subprocess.CalledProcessError(code, command)
        digest.write_text(hashlib.sha256(made.read_bytes()).hexdigest())
        os.replace(digest, target.with_suffix(".sha256"))
        os.replace(made, target)
    finally:
        _remove(place, lock)


def _remove(place: Path, lock: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    with contextlib.suppress(OSError):
        lock.unlink()


@atexit.register
def _stop() -> None:
    """Step e."""
    for job, (place, lock) in list(_running.items()):
        job.kill()
        _remove(place, lock)


def _tidy(folder: Path) -> None:
    for left in folder.glob(f"{_PLACE}*"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > 2 * _SECONDS:
                shutil.rmtree(left, ignore_errors=True)


def _load(path: Path) -> ctypes.CDLL | None:
    try:
        digest = path.with_suffix(".sha256").read_text()
        if hashlib.sha256(path.read_bytes()).hexdigest() == digest:
            return ctypes.CDLL(str(path))
    except OSError:  # not there, or of another kind of machine
        pass
    return None


def _lock(path: Path) -> Path | None:
    """The lock, where this process has it and may compile."""
    with contextlib.suppress(FileNotFoundError):
        if time.time() - path.stat().st_mtime > 2 * _SECONDS:
            path.unlink()
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return None
    return path


@functools.cache
def _folder() -> Path | None:
    """The cache's directory, which only this user can write to."""
    given = config.environment("DISTKERAS_CACHE")
    if given:
        folder = Path(given)
    else:
        home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
        folder = Path(home, "distkeras")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
    except OSError:
        return None
    others_write = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return folder if found.st_uid == os.getuid() and not others_write else None


def _name(source: str, command: list[str]) -> str:
    parts = (source, *command, _stamp(command[0]), *FLAGS, _processor())
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


@functools.cache
def _stamp(path: str) -> str:
    """What changes when a compiler is replaced."""
    found = os.stat(os.path.realpath(path))
    return f"{found.st_size} {found.st_mtime_ns}"


@functools.cache
def _processor() -> str:
    """Model and abilities of this machine's processor."""
    lines = []
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("model name", "flags", "Features", "CPU part")):
                lines.append(line)
            elif not line:
                break  # the first processor speaks for all
    return "\n".join([platform.machine(), platform.processor(), *lines])
