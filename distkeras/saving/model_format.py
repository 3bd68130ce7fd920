"""`.keras`: a zip archive with a model's description, its state and a word about its origin.

Members: `metadata.json`, `config.json` and `model.weights.h5`, stored without compression. Reading
checks the archive first: names that lead elsewhere, links, duplicates, encrypted members and
members that declare absurd sizes are refused. Nothing is ever unpacked to the disk.
"""

import datetime
import io
import json
import os
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO

from distkeras.errors import NotBuiltError, SavingError, UnsafeFileError
from distkeras.saving.h5_store import open_writer
from distkeras.saving.once import write_once
from distkeras.saving.serialization import (
    deserialize_keras_object,
    object_sharing,
    safe_mode_scope,
    serialize_keras_object,
)
from distkeras.saving.state import save_state
from distkeras.saving.weights_format import holds_arrays, load_weights_file, open_file
from distkeras.utils.files import atomic_write

__all__ = [
    "config_text",
    "load_model_file",
    "model_from_text",
    "open_weights_member",
    "save_model_file",
]

METADATA, CONFIG, WEIGHTS = "metadata.json", "config.json", "model.weights.h5"
# The version of Keras whose file layout this is.
KERAS_VERSION = "3.15.1"
_MAX_CONFIG_BYTES = 1 << 27
_BOMB_FLOOR_BYTES = 1 << 26
_MAX_EXPANSION = 100


def save_model_file(model: Any, path: str) -> None:
    """Writes a whole model, with its optimizer's state, to a `.keras` file.

    Args:
        model: the model.
        path: the file.
    """
    config = config_text(model)
    metadata = {
        "keras_version": KERAS_VERSION,
        "date_saved": datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S"),
        "saved_by": "distkeras",
    }

    def write() -> None:
        with (
            atomic_write(path) as file,
            # Without a name: nothing is left of it however the process ends.
            tempfile.TemporaryFile(dir=os.path.dirname(os.path.abspath(path))) as weights,
        ):
            with open_writer(weights) as h5:
                save_state(model, h5)
            with zipfile.ZipFile(file, "w") as archive:
                archive.writestr(METADATA, json.dumps(metadata))
                archive.writestr(CONFIG, config)
                weights.seek(0)
                with archive.open(WEIGHTS, "w", force_zip64=True) as member:
                    shutil.copyfileobj(weights, member, 1 << 22)

    write_once(path, write)


def config_text(model: Any, **options: Any) -> str:
    """A model's description as JSON text.

    Args:
        model: the model.
        **options: of `json.dumps`.
    """
    with object_sharing():
        description = serialize_keras_object(model)
    try:
        return json.dumps(description, **options)
    except TypeError as error:
        raise SavingError(
            f"The configuration of {model.name!r} cannot be written as JSON: {error}. The "
            "get_config() of each layer must return numbers, strings, lists, dictionaries and "
            "serializable objects."
        ) from error


def model_from_text(
    text: str | bytes,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> Any:
    """A model from its description as JSON text, with fresh weights.

    Args:
        text: what `config_text` returned, or `to_json()` of a Keras model.
        custom_objects: name -> class or function.
        compile: whether to compile it as it was.
        safe_mode: see `deserialize_keras_object`.

    Raises:
        SavingError: the text is no description of a model.
    """
    try:
        description = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SavingError(f"The model's description is not JSON: {error}.") from error
    if not isinstance(description, dict) or "class_name" not in description:
        raise SavingError(
            "The model's description should be a JSON object with the key 'class_name'; got "
            f"{str(description)[:200]}."
        )
    if not compile:
        description["compile_config"] = None
    try:
        with object_sharing(), safe_mode_scope(safe_mode):
            model = deserialize_keras_object(description, custom_objects)
    except RecursionError as error:
        raise UnsafeFileError("The model's description is nested absurdly deep.") from error
    except (AttributeError, LookupError) as error:
        raise SavingError(
            f"The model's description cannot be understood: {type(error).__name__}: {error}. The "
            "file was edited, or comes from a version that writes another layout."
        ) from error
    if not hasattr(model, "load_weights"):
        raise SavingError(f"The file describes a {type(model).__name__}, which is not a model.")
    return model


def load_model_file(
    path: str | os.PathLike,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> Any:
    """Reads a whole model from a `.keras` file.

    Args:
        path: the file.
        custom_objects: name -> class or function, for what is neither built in nor registered.
        compile: whether to compile it as it was.
        safe_mode: see `deserialize_keras_object`.
    """
    with _open_archive(path) as archive:
        text = _read(archive, CONFIG, path)
        model = model_from_text(text, custom_objects, compile, safe_mode)
        optimizer = getattr(model, "optimizer", None)
        if optimizer is not None and model.built and not optimizer.built:
            optimizer.build(model.trainable_variables)
        weights = _read(archive, WEIGHTS, path)
    name = f"{os.fspath(path)}:{WEIGHTS}"
    if model.built:
        load_weights_file(model, io.BytesIO(weights), name)
    elif holds_arrays(io.BytesIO(weights), name):
        raise NotBuiltError(
            f"{os.fspath(path)} holds weights, but not the shapes from which to build the model "
            f"{model.name!r} ({type(model).__name__}): its weights would be lost. Give the class "
            "a `get_build_config()` and a `build_from_config(config)`; or make the model in your "
            "program, call it on data, and read the weights with `load_weights`."
        )
    return model


@contextmanager
def open_weights_member(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """A `with` block with the weights within a `.keras` file."""
    with _open_archive(path) as archive:
        yield io.BytesIO(_read(archive, WEIGHTS, path))


@contextmanager
def _open_archive(path: str | os.PathLike) -> Iterator[zipfile.ZipFile]:
    with open_file(path) as file:
        try:
            archive = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise SavingError(
                f"{os.fspath(path)} cannot be read as a `.keras` file, which is a zip archive: "
                f"{error}. It is of another kind, or its writing or copying was cut off."
            ) from error
        with archive:
            _check_members(archive, path)
            yield archive


def _check_members(archive: zipfile.ZipFile, path: str | os.PathLike) -> None:
    seen = set()
    for info in archive.infolist():
        name = info.filename
        parts = name.replace("\\", "/").split("/")
        problem = ""
        if name.startswith(("/", "\\")) or ".." in parts or ":" in parts[0] or "\0" in name:
            problem = "leads out of the archive"
        elif name in seen:
            problem = "is there twice"
        elif stat.S_ISLNK(info.external_attr >> 16):
            problem = "is a link"
        elif info.flag_bits & 0x1:
            problem = "is encrypted"
        elif info.compress_type == zipfile.ZIP_STORED and info.file_size != info.compress_size:
            problem = f"declares {info.file_size} bytes and stores {info.compress_size}"
        elif info.file_size > max(_BOMB_FLOOR_BYTES, _MAX_EXPANSION * info.compress_size):
            problem = f"would unpack {info.compress_size} bytes to {info.file_size}"
        elif name in (CONFIG, METADATA) and info.file_size > _MAX_CONFIG_BYTES:
            problem = f"declares {info.file_size} bytes"
        if problem:
            raise UnsafeFileError(
                f"The member {name!r} of {os.fspath(path)} {problem}: refused. Use a file from a "
                "source you trust."
            )
        seen.add(name)


def _read(archive: zipfile.ZipFile, name: str, path: str | os.PathLike) -> bytes:
    try:
        return archive.read(name)
    except KeyError as error:
        raise SavingError(
            f"{os.fspath(path)} has no member {name!r}: it is not a whole model in `.keras` "
            f"format. Its members: {', '.join(archive.namelist()[:10]) or 'none'}."
        ) from error
    except (zipfile.BadZipFile, OSError, EOFError, zlib.error, NotImplementedError) as error:
        raise SavingError(
            f"{os.fspath(path)} is damaged: its member {name!r} cannot be read: {error}. Use "
            "another copy."
        ) from error
