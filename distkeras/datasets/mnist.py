"""MNIST from files on this machine: Keras's `mnist.npz`, or the original IDX files."""

import gzip
import zipfile
import zlib
from pathlib import Path

import numpy as np

from distkeras import config
from distkeras.errors import DataError, DatasetNotFoundError

__all__ = ["load_data", "load_idx"]

_Pair = tuple[np.ndarray, np.ndarray]

_IDX_NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
_NPZ_NAMES = ("x_train", "y_train", "x_test", "y_test")
_IDX_UNSIGNED_BYTE = 0x08
_KERAS_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"


def load_data(path: str = "mnist.npz") -> tuple[_Pair, _Pair]:
    """The MNIST digits, as `keras.datasets.mnist.load_data`, but from local files only.

    Looked for in this order; the first that is there is read:

    1. `path` itself: an `.npz` file as Keras keeps it, or a directory that holds such a file named
       `mnist.npz`, or the four IDX files (`train-images-idx3-ubyte.gz` and so on, with or without
       `.gz`);
    2. the directory that the environment variable `DISTKERAS_DATA` names, or `mnist` in it: the
       same two forms;
    3. `$KERAS_HOME/datasets/`, by default `~/.keras/datasets/`, where Keras caches it.

    Nothing is ever downloaded.

    Args:
        path: the file's name below the directories 2 and 3, or a path to a file or directory.

    Returns:
        `(x_train, y_train), (x_test, y_test)`, all uint8: images of shape `(60000, 28, 28)` and
        `(10000, 28, 28)` with values 0..255, labels 0..9 of shape `(60000,)` and `(10000,)`.

    Raises:
        DatasetNotFoundError: (a `FileNotFoundError`) if none of these places has it; it says what
            to put where.
        DataError: if a file is there and is damaged or something else.

    Example:
        >>> (x_train, y_train), (x_test, y_test) = load_data()  # doctest: +SKIP
    """
    tried: list[str] = []
    for place in _places(Path(path).expanduser()):
        if place.is_file():
            return _load_npz(place)
        tried.append(str(place))
        if place.is_dir():
            files = [_idx_file(place, name) for name in _IDX_NAMES]
            found = [file for file in files if file is not None]
            if len(found) == len(_IDX_NAMES):
                return load_idx(found[0], found[1]), load_idx(found[2], found[3])
            if found:
                names = ", ".join(file.name for file in found)
                tried[-1] += f" (a directory with {names}, but not all four IDX files)"
    raise DatasetNotFoundError(_not_found(tried))


def load_idx(images_path: str | Path, labels_path: str | Path) -> _Pair:
    """One pair of IDX files, the format in which MNIST was published, gzipped or not.

    For any subset that is at hand, such as the 10,000 images of `t10k` alone.

    Args:
        images_path: an IDX file of unsigned bytes with 3 dimensions.
        labels_path: an IDX file of unsigned bytes with 1 dimension, of the same length.

    Returns:
        `(images, labels)`, uint8 arrays of shape `(n, height, width)` and `(n,)`.

    Raises:
        DatasetNotFoundError: (a `FileNotFoundError`) if one of the files is not there.
        DataError: if a file is damaged, is not IDX, or the two lengths differ.

    Source: the format is described at http://yann.lecun.com/exdb/mnist/.

    Example:
        >>> images, labels = load_idx(
        ...     "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"
        ... )  # doctest: +SKIP
    """
    images = _read_idx(Path(images_path).expanduser(), dimensions=3)
    labels = _read_idx(Path(labels_path).expanduser(), dimensions=1)
    if len(images) != len(labels):
        raise DataError(
            f"{images_path} holds {len(images)} images but {labels_path} holds {len(labels)} "
            "labels; the two files must belong to one set."
        )
    return images, labels


def _places(path: Path) -> list[Path]:
    """Where `load_data` looks, in order: files, and directories of IDX files."""
    places = [path] if path.suffix == ".npz" else [path, path / "mnist.npz"]
    data = config.environment("DISTKERAS_DATA")
    if data:
        for directory in (Path(data).expanduser(), Path(data).expanduser() / "mnist"):
            places += [directory / path, directory]
    home = config.environment("KERAS_HOME")
    keras = Path(home).expanduser() if home else Path.home() / ".keras"
    places.append(keras / "datasets" / path)
    return list(dict.fromkeys(places))


def _not_found(tried: list[str]) -> str:
    looked = "\n".join(f"  - {place}" for place in tried)
    return (
        "MNIST is not on this machine, and distkeras downloads nothing. Looked for:\n"
        f"{looked}\n"
        "Do one of these:\n"
        f"  - put Keras's file mnist.npz ({_KERAS_URL}) at {tried[-1]};\n"
        "  - put the four files "
        + ", ".join(f"{name}.gz" for name in _IDX_NAMES)
        + " into one directory, and pass it as `path` or name it in the environment variable "
        "DISTKERAS_DATA;\n"
        "  - with only one pair of these files, call "
        "`distkeras.datasets.mnist.load_idx(images_path, labels_path)` and split it yourself."
    )


def _load_npz(path: Path) -> tuple[_Pair, _Pair]:
    wrong = (
        f"{path} is not Keras's mnist.npz, or it is damaged: expected an .npz archive with the "
        f"arrays {', '.join(_NPZ_NAMES)}. Put the right file there."
    )
    if not zipfile.is_zipfile(path):
        raise DataError(wrong)
    try:
        with np.load(path, allow_pickle=False) as archive:
            x_train, y_train, x_test, y_test = (archive[name] for name in _NPZ_NAMES)
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{wrong} ({error})") from error
    return (x_train, y_train), (x_test, y_test)


def _idx_file(directory: Path, name: str) -> Path | None:
    for candidate in (directory / f"{name}.gz", directory / name):
        if candidate.is_file():
            return candidate
    return None


def _read_idx(path: Path, dimensions: int) -> np.ndarray:
    """An IDX file of unsigned bytes: two zero bytes, a type, a count of dimensions, sizes, data."""
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise DatasetNotFoundError(
            f"There is no file {path}; expected an IDX file, gzipped or not."
        ) from error
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(
                f"{path} is damaged: it cannot be decompressed ({error}). Get it again."
            ) from error
    header = bytes((0, 0, _IDX_UNSIGNED_BYTE, dimensions))
    start = 4 + 4 * dimensions
    if content[:4] != header or len(content) < start:
        raise DataError(
            f"{path} is not an IDX file of unsigned bytes with {dimensions} dimension(s): "
            f"expected it to begin with {header.hex(' ')}, it begins with {content[:4].hex(' ')}."
        )
    shape = tuple(int(size) for size in np.frombuffer(content, ">u4", dimensions, 4))
    expected = start + int(np.prod(shape, dtype=np.int64))
    if len(content) != expected:
        raise DataError(
            f"{path} is damaged: its header announces shape {shape}, which takes {expected} bytes, "
            f"and it has {len(content)}. Get it again."
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape).copy()
