"""Checkpoints of runs: directories that are complete or are none.

A checkpoint `DIR/NAME` holds
  - `arrays.bin`: the arrays one after another, as they lie in memory (little-endian, C order), each
    beginning at a multiple of 64 bytes;
  - `state.json`: everything else, and for each array its dtype, shape and place (`packing.py`);
  - `manifest.json`: what a list of checkpoints shows, and length and CRC-32 of the other files.

How one is written, so that a process that is killed, or a disk that is full, at any moment leaves
the older ones as they were and no half one:
  a. the files go to a directory `DIR/.NAME.HOST-PID.tmp`, the manifest last; each is flushed to the
     disk;
  b. that directory is renamed to `DIR/NAME`, and `DIR` is flushed;
  c. on a failure it is removed.
How one is removed: the manifest first, since what has no manifest is no checkpoint.

Reading executes nothing: JSON and numbers.
"""

import contextlib
import json
import math
import os
import shutil
import socket
import sys
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from distkeras.engine.dtypes import numpy_dtype
from distkeras.errors import CheckpointError
from distkeras.saving.packing import describe_array, unpack
from distkeras.utils.files import sync_directory, unwritable

__all__ = [
    "Checkpoint",
    "adopt",
    "find",
    "left_overs",
    "load",
    "open_checkpoint",
    "problem",
    "remove",
    "write",
]

FORMAT = 1
_ALIGNED = 64
_PIECE = 1 << 24
_MANIFEST, _STATE, _ARRAYS = "manifest.json", "state.json", "arrays.bin"
_DEPTH = 4  # DIR / run / try / checkpoints / NAME


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that has a readable manifest.

    Attributes:
        path: its directory.
        about: what the writer told about it: `fit`, `epoch`, `step`, `finished`, ...
        written: when, in seconds since 1970.
        files: name -> `{"bytes", "crc32"}`.
    """

    path: Path
    about: Mapping[str, Any]
    written: float
    files: Mapping[str, Mapping[str, int]]

    @property
    def bytes(self) -> int:
        """Its size."""
        return sum(each["bytes"] for each in self.files.values())


def write(
    directory: str | os.PathLike, name: str, packed: tuple[Any, list], about: Mapping[str, Any]
) -> Path:
    """Write a checkpoint; returns when it is on the disk.

    Args:
        directory: where; it is made where it does not exist.
        name: its name there. Where a checkpoint has it already nothing is written.
        packed: the state, as `packing.pack` answered.
        about: what a list of checkpoints shows, for JSON.

    Returns:
        The path.

    Raises:
        UnwritableFileError: the operating system refused (full or read-only disk, permissions).

    Example:
        >>> import tempfile
        >>> from distkeras.saving.packing import pack
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = write(folder, "step1", pack({"w": np.ones(2)}), {"step": 1})
        ...     load(open_checkpoint(path))["w"].tolist()
        [1.0, 1.0]
    """
    tree, arrays = packed
    folder = Path(directory)
    path = folder / name
    if (path / _MANIFEST).exists():
        return path
    temporary = folder / f".{name}.{socket.gethostname()[:40]}-{os.getpid()}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        files = {}
        places: list[dict[str, Any]] = []
        with _sum(temporary / _ARRAYS) as written:
            for array in arrays:
                written.align()
                places.append({**describe_array(array), "at": written.bytes})
                written.write(_little(array))
        files[_ARRAYS] = written.told()
        with _sum(temporary / _STATE) as written:
            written.write(json.dumps({"state": tree, "arrays": places}).encode())
        files[_STATE] = written.told()
        manifest = {
            "format": FORMAT,
            "written": time.time(),
            "about": dict(about),
            "files": files,
        }
        with _sum(temporary / _MANIFEST) as written:
            written.write(json.dumps({"crc32": _crc(manifest), **manifest}, indent=1).encode())
        sync_directory(temporary)
        shutil.rmtree(path, ignore_errors=True)  # without a manifest: the rest of a removed one
        os.rename(temporary, path)
        sync_directory(folder)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, OSError):
            raise unwritable(path, error) from error
        raise
    return path


def open_checkpoint(path: str | os.PathLike) -> Checkpoint:
    """Read the manifest of a checkpoint.

    Args:
        path: its directory.

    Raises:
        CheckpointError: where there is none that can be read.
    """
    path = Path(path)
    try:
        manifest = json.loads((path / _MANIFEST).read_bytes())
        expected = manifest.pop("crc32")
        if manifest["format"] > FORMAT:
            raise CheckpointError(
                f"{path} was written by a newer distkeras (format {manifest['format']}; this one "
                f"reads up to {FORMAT})."
            )
        if _crc(manifest) != expected:
            raise ValueError("its checksum is wrong")
        if set(manifest["files"]) != {_STATE, _ARRAYS}:
            raise ValueError("it names other files than a checkpoint has")
        return Checkpoint(path, manifest["about"], float(manifest["written"]), manifest["files"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{path} is no complete checkpoint: {_MANIFEST}: {error}.") from error


def find(directory: str | os.PathLike) -> list[Checkpoint]:
    """The checkpoints with a readable manifest in a directory and those below it, newest first.

    Args:
        directory: a checkpoint, or a directory of checkpoints, of a run, or of runs.
    """
    found = []
    for folder in _folders(Path(directory), _DEPTH):
        with contextlib.suppress(CheckpointError):
            found.append(open_checkpoint(folder))
    # Copies of a finished fit's checkpoint keep its time: the one that was copied comes later.
    return sorted(found, key=lambda c: (-c.written, str(c.path)))


def _folders(folder: Path, depth: int) -> Iterator[Path]:
    """Directories with a manifest."""
    if (folder / _MANIFEST).exists():
        yield folder
    elif depth:
        try:
            inner = sorted(entry.path for entry in os.scandir(folder) if entry.is_dir())
        except OSError:
            return
        for each in inner:
            if not os.path.basename(each).startswith("."):
                yield from _folders(Path(each), depth - 1)


def left_overs(directory: str | os.PathLike) -> list[Path]:
    """What writers that were killed left in a directory and those below it."""
    found = Path(directory).glob("**/.fit*.tmp")
    return sorted(path for path in found if path.is_dir())


def problem(checkpoint: Checkpoint) -> str | None:
    """What is damaged in a checkpoint, in words; `None` where length and checksum of every file are
    right."""
    for name, told in checkpoint.files.items():
        crc = size = 0
        try:
            with open(checkpoint.path / name, "rb") as file:
                while piece := file.read(_PIECE):
                    crc, size = zlib.crc32(piece, crc), size + len(piece)
        except OSError as error:
            return f"{name}: {error.strerror or error}"
        if size != told["bytes"]:
            return f"{name} has {size} bytes, {told['bytes']} were written"
        if crc != told["crc32"]:
            return f"{name} has changed since it was written (its checksum is wrong)"
    return None


def load(checkpoint: Checkpoint) -> Any:
    """The state that was written.

    Args:
        checkpoint: what `find` or `open_checkpoint` answered.

    Raises:
        CheckpointError: where it is damaged.
    """
    wrong = problem(checkpoint)
    if wrong is not None:
        raise CheckpointError(f"{checkpoint.path} is damaged: {wrong}.")
    told = json.loads((checkpoint.path / _STATE).read_bytes())
    size = checkpoint.files[_ARRAYS]["bytes"]
    arrays = []
    with open(checkpoint.path / _ARRAYS, "rb") as file:
        for place in told["arrays"]:
            file.seek(place["at"])
            dtype = numpy_dtype(place["dtype"])
            if place["at"] + math.prod(place["shape"]) * dtype.itemsize > size:
                raise CheckpointError(f"{checkpoint.path} is damaged: an array ends outside.")
            array = np.empty(place["shape"], dtype)
            file.readinto(array.reshape(-1).view(np.uint8).data)
            arrays.append(array if sys.byteorder == "little" else array.byteswap())
    return unpack(told["state"], arrays)


def remove(checkpoint: Checkpoint) -> None:
    """Delete a checkpoint: from then on it is none, also when the process is killed meanwhile."""
    with contextlib.suppress(OSError):
        (checkpoint.path / _MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(checkpoint.path, ignore_errors=True)


def adopt(checkpoint: Checkpoint, directory: str | os.PathLike) -> Checkpoint:
    """Have a checkpoint in another directory too, by links where the disk allows it.

    Args:
        checkpoint: any.
        directory: the other directory.

    Returns:
        The one in that directory.

    Raises:
        UnwritableFileError: where it cannot be written there.
    """
    path = Path(directory) / checkpoint.path.name
    if not (path / _MANIFEST).exists():
        temporary = path.with_name(f".{path.name}.{socket.gethostname()[:40]}-{os.getpid()}.tmp")
        try:
            temporary.mkdir(parents=True)
            for name in (*checkpoint.files, _MANIFEST):
                try:
                    os.link(checkpoint.path / name, temporary / name)
                except OSError:
                    shutil.copyfile(checkpoint.path / name, temporary / name)
            os.rename(temporary, path)
            sync_directory(path.parent)
        except OSError as error:
            shutil.rmtree(temporary, ignore_errors=True)
            raise unwritable(path, error) from error
    return open_checkpoint(path)


def _crc(manifest: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(manifest, sort_keys=True).encode())


def _little(array: np.ndarray) -> memoryview:
    whole = np.ascontiguousarray(array)
    if sys.byteorder != "little":
        whole = whole.byteswap()
    return whole.reshape(-1).view(np.uint8).data


class _Sum:
    """A file that is written, with its length and checksum."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self.bytes = 0
        self._crc = 0

    def write(self, data: bytes | memoryview) -> None:
        for start in range(0, len(data), _PIECE):
            piece = data[start : start + _PIECE]
            self._file.write(piece)
            self._crc = zlib.crc32(piece, self._crc)
        self.bytes += len(data)

    def align(self) -> None:
        self.write(bytes(-self.bytes % _ALIGNED))

    def told(self) -> dict[str, int]:
        return {"bytes": self.bytes, "crc32": self._crc}


@contextlib.contextmanager
def _sum(path: Path) -> Iterator[_Sum]:
    with open(path, "xb") as file:
        yield _Sum(file)
        file.flush()
        os.fsync(file.fileno())
