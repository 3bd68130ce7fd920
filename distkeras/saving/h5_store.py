"""HDF5 files as stores of named arrays: written without losing errors, read without trusting them.

Reading accepts plain data sets of numbers only. Refused, by name: links out of the file or across
it, data kept in other files, virtual data sets, Python objects and strings, unknown filters, and
data sets that declare far more than the file holds.
"""

import io
import traceback
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np

from distkeras.errors import DistkerasError, SavingError, UnsafeFileError

__all__ = [
    "ArrayGroup",
    "array_of",
    "child_group",
    "open_reader",
    "open_writer",
    "set_text",
    "text_attribute",
]

# gzip, shuffle, Fletcher-32, szip, n-bit, scale-offset and lzf: what HDF5 and h5py bring
# themselves.
_KNOWN_FILTERS = {1, 2, 3, 4, 5, 6, 32000}
_BOMB_FLOOR_BYTES = 1 << 28
_MAX_EXPANSION = 1000


class _Sink(io.RawIOBase):
    """A file for h5py that remembers the first error and lets h5py close in peace.

    HDF5 cannot abandon a file after a failed write: it tries again when it closes, and at exit.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        if self.error is None:
            try:
                self.file.write(data)
            except OSError as error:
                self.error = error
        return len(data)

    def flush(self) -> None:
        if self.error is None and not self.file.closed:
            try:
                self.file.flush()
            except OSError as error:
                self.error = error

    def truncate(self, size: int | None = None) -> int:
        return 0 if self.error else self.file.truncate(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return offset if self.error else self.file.seek(offset, whence)

    def tell(self) -> int:
        return 0 if self.error else self.file.tell()

    def readinto(self, buffer: Any) -> int:
        if self.error:
            buffer[:] = bytes(len(buffer))
            return len(buffer)
        return self.file.readinto(buffer)  # type: ignore[attr-defined]

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True


@contextmanager
def open_writer(file: BinaryIO) -> Iterator[Any]:
    """A `with` block with a new HDF5 file inside an open binary file.

    Args:
        file: open for reading and writing, seekable.

    Yields:
        The `h5py.File`.

    Raises:
        OSError: the first write that failed.
    """
    import h5py

    sink = _Sink(file)
    try:
        # The format of HDF5 1.8 has checksums in all that describes the data: libhdf5 can loop for
        # ever, or crash, on a damaged file without them.
        with h5py.File(sink, "w", libver=("v108", "v108")) as h5:
            yield h5
    except (OSError, RuntimeError, ValueError):
        if sink.error is None:
            raise
    if sink.error is not None:
        raise sink.error


@contextmanager
def open_reader(file: BinaryIO, name: str) -> Iterator[Any]:
    """A `with` block with an HDF5 file to read.

    Args:
        file: open for reading, seekable.
        name: what to call the file in messages.

    Raises:
        SavingError: the file is no HDF5 file, or is damaged, also where that shows only in the
            block.
    """
    import h5py

    try:
        h5 = h5py.File(file, "r")
    except (OSError, RuntimeError) as error:
        raise _damaged(name, error) from error
    with h5:
        try:
            yield h5
        except (KeyError, OSError, RuntimeError, ValueError) as error:
            if isinstance(error, DistkerasError) or not _comes_from_h5py(error):
                raise
            raise _damaged(name, error) from error


def _comes_from_h5py(error: BaseException) -> bool:
    frames = list(traceback.walk_tb(error.__traceback__))
    return "h5py" in frames[-1][0].f_code.co_filename


def _damaged(name: str, error: Exception) -> SavingError:
    return SavingError(
        f"{name} cannot be read as an HDF5 file: {error}. It is of another kind, or its writing or "
        "copying was cut off; use another copy."
    )


def child_group(group: Any, path: str) -> Any:
    """A group within a group, or None where there is none.

    Args:
        group: an HDF5 file or group.
        path: names joined by `/`.

    Raises:
        UnsafeFileError: a link of the path leads elsewhere.
        SavingError: something of the path is not a group.
    """
    import h5py

    for part in path.split("/") if path else ():
        if not _has(group, part):
            return None
        item = group[part]
        if not isinstance(item, h5py.Group):
            raise SavingError(f"{item.name!r} in the HDF5 file should be a group; it is {item}.")
        group = item
    return group


def _has(group: Any, name: str) -> bool:
    """Whether a group has a member, which must be a member of its own."""
    import h5py

    if not name or name in (".", ".."):
        raise UnsafeFileError(f"{name!r} is no name of a member of an HDF5 group.")
    link = group.get(name, getclass=True, getlink=True)
    if link is None:
        return False
    if link is not h5py.HardLink:
        raise UnsafeFileError(
            f"{group.name.rstrip('/')}/{name} in the HDF5 file is a {link.__name__}, which leads "
            "out of the place where the weights should be: refused. Use a file from a source you "
            "trust."
        )
    return True


def array_of(group: Any, name: str) -> np.ndarray:
    """The array of a data set within a group, checked before it is read.

    Args:
        group: an HDF5 group.
        name: a name, or names joined by `/`.

    Raises:
        KeyError: there is none of that name.
        UnsafeFileError: see the module's text.
        SavingError: the data are damaged.
    """
    import h5py

    folder, _, leaf = name.rpartition("/")
    parent = child_group(group, folder)
    if parent is None or not _has(parent, leaf):
        raise KeyError(name)
    data = parent[leaf]
    if not isinstance(data, h5py.Dataset):
        raise SavingError(f"{data.name!r} in the HDF5 file should be an array; it is {data}.")
    is_bfloat16 = data.attrs.get("dtype") == "bfloat16"
    _check(data, is_bfloat16)
    try:
        array = data[()]
    except (OSError, RuntimeError, ValueError) as error:
        raise SavingError(f"The array {data.name!r} in the file is damaged: {error}") from error
    if is_bfloat16:
        import ml_dtypes

        array = np.asarray(array)
        if array.dtype.kind == "V":
            return array.view(ml_dtypes.bfloat16)
        return array.astype(ml_dtypes.bfloat16)
    return np.asarray(array)


def _check(data: Any, is_bfloat16: bool) -> None:
    dtype = data.dtype
    kinds = "biufcV" if is_bfloat16 else "biufc"
    problem = ""
    if dtype.hasobject or dtype.kind not in kinds or dtype.names:
        problem = f"holds {dtype}, not numbers"
    elif data.external:
        problem = f"keeps its data in another file, {data.external[0][0]!r}"
    elif data.is_virtual:
        problem = "is put together from other data sets"
    else:
        properties = data.id.get_create_plist()
        filters = {properties.get_filter(i)[0] for i in range(properties.get_nfilters())}
        declared, stored = data.nbytes, data.id.get_storage_size()
        if filters - _KNOWN_FILTERS:
            problem = f"needs the HDF5 filter {sorted(filters - _KNOWN_FILTERS)[0]}"
        elif declared > _BOMB_FLOOR_BYTES and declared > _MAX_EXPANSION * stored:
            problem = f"declares {declared} bytes and stores {stored}"
    if problem:
        raise UnsafeFileError(
            f"The data set {data.name!r} {problem}: refused. Use a file from a source you trust."
        )


class ArrayGroup(MutableMapping[str, np.ndarray]):
    """A group of an HDF5 file as a mapping of names to arrays; what layers save to and load from.

    Args:
        group: the HDF5 group, or None for one without members.
    """

    def __init__(self, group: Any) -> None:
        self.group = group

    def __getitem__(self, name: str) -> np.ndarray:
        if self.group is None:
            raise KeyError(name)
        return array_of(self.group, name)

    def __setitem__(self, name: str, value: Any) -> None:
        array = np.asarray(value)
        if array.dtype.name == "bfloat16":
            # HDF5 has no such type: float32 holds its values, and Keras reads the attribute.
            self.group.create_dataset(name, data=array.astype("float32"))
            self.group[name].attrs["dtype"] = "bfloat16"
        else:
            self.group.create_dataset(name, data=array)

    def __delitem__(self, name: str) -> None:
        del self.group[name]

    def __iter__(self) -> Iterator[str]:
        return iter(() if self.group is None else self.group)

    def __len__(self) -> int:
        return 0 if self.group is None else len(self.group)


def set_text(group: Any, name: str, value: str | list[str]) -> None:
    """Writes a text attribute, or a list of texts, of fixed length: those have checksums too."""
    if isinstance(value, str):
        group.attrs.create(name, np.bytes_(value.encode("utf-8")))
    else:
        group.attrs.create(name, np.array([text.encode("utf-8") for text in value], dtype="S"))


def text_attribute(group: Any, name: str) -> str | None:
    """A text attribute of an HDF5 group, or None where there is none."""
    value = group.attrs.get(name)
    if isinstance(value, bytes | np.bytes_):
        return value.decode("utf-8", errors="replace")
    return None if value is None else str(value)
