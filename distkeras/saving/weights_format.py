"""`.weights.h5`: the state of a model, in Keras's own layout."""

import os
import warnings
from contextlib import contextmanager
from typing import Any, BinaryIO

from distkeras.errors import NotBuiltError, UnreadableFileError
from distkeras.saving.h5_store import open_reader, open_writer
from distkeras.saving.once import write_once
from distkeras.saving.state import describe_failures, load_state, save_state
from distkeras.utils.files import atomic_write

__all__ = [
    "holds_arrays",
    "load_weights_file",
    "open_file",
    "save_weights_file",
    "unchanged_on_error",
]


def save_weights_file(model: Any, path: str, skip: tuple[Any, ...] = ()) -> None:
    """Writes the state of a model (and of its optimizer) to a `.weights.h5` file.

    Args:
        model: a built model.
        path: the file.
        skip: objects that are left out.
    """

    def write() -> None:
        with atomic_write(path) as file, open_writer(file) as h5:
            save_state(model, h5, skip)

    write_once(path, write)


def load_weights_file(
    model: Any, file: BinaryIO, name: str, skip_mismatch: bool = False, skip: tuple[Any, ...] = ()
) -> None:
    """Reads the state of a model from an HDF5 file in the layout of `.weights.h5`.

    Args:
        model: a built model.
        file: the file, open for reading.
        name: what to call it in messages.
        skip_mismatch: keep the values of what does not fit, with a warning, instead of failing.
        skip: objects that are left out.

    Raises:
        SavingError: the file does not fit the model, which is left as it was.
    """
    with open_reader(file, name) as h5, unchanged_on_error(model):
        failures = load_state(model, h5, skip)
        if failures:
            problem = describe_failures(failures, name)
            if not skip_mismatch:
                raise problem from failures[0][1]
            warnings.warn(str(problem).split(" nothing was loaded.")[0], stacklevel=3)


def holds_arrays(file: BinaryIO, name: str) -> bool:
    """Whether a file in the layout of `.weights.h5` holds any values.

    Args:
        file: the file, open for reading.
        name: what to call it in messages.
    """
    found: list[str] = []

    def look(path: str, item: Any) -> None:
        if hasattr(item, "shape"):
            found.append(path)

    with open_reader(file, name) as h5:
        h5.visititems(look)
    return bool(found)


@contextmanager
def unchanged_on_error(model: Any):
    """A `with` block that gives all variables their old values back if it raises."""
    if not model.built:
        raise NotBuiltError(
            f"The weights of {model.name!r} cannot be loaded before it is built: it has no "
            "variables yet. Call it on some data, or call build(input_shape), first."
        )
    variables = list(model.variables)
    optimizer = getattr(model, "optimizer", None)
    variables += list(getattr(optimizer, "variables", ()))
    before = [(variable, variable.numpy()) for variable in variables]
    try:
        yield
    except BaseException:
        for variable, value in before:
            variable.assign(value)
        raise


@contextmanager
def open_file(path: str | os.PathLike):
    """A `with` block with a file open for reading; a missing one is a named error."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise UnreadableFileError(
            error.errno,
            f"{os.fspath(path)} cannot be read: {error.strerror or error}. Check the path and your "
            f"permissions; the working directory is {os.getcwd()}",
        ) from error
    with os.fdopen(descriptor, "rb") as file:
        yield file
