"""`save_model`, `load_model`, `save_weights`, `load_weights`: the format follows from the file's "
"name."""

import os
import warnings
from collections.abc import Mapping
from typing import Any

from distkeras.errors import NotBuiltError, SavingError
from distkeras.saving.legacy_h5 import load_legacy_model, load_legacy_weights, save_legacy_model
from distkeras.saving.model_format import load_model_file, open_weights_member, save_model_file
from distkeras.saving.weights_format import load_weights_file, open_file, save_weights_file

__all__ = ["load_model", "load_weights", "save_model", "save_weights"]

_LEGACY = (".h5", ".hdf5")


def save_model(
    model: Any,
    filepath: str | os.PathLike,
    overwrite: bool = True,
    zipped: bool | None = None,
    **kwargs: Any,
) -> None:
    """Saves a whole model: architecture, weights, optimizer state and how it was compiled.

    On N ranks this is collective: rank 0 writes, all return when the file is there, or raise.

    Args:
        model: the model.
        filepath: a name that ends in `.keras`, or in `.h5` for the older format.
        overwrite: if false, an existing file is an error.
        zipped: accepted for Keras's sake; must not be false.
        **kwargs: `include_optimizer` (for `.h5`, default true), `save_format` (ignored).

    Raises:
        UnwritableFileError: the file cannot be written; one that was there is untouched.
        SavingError: another extension, or an object that cannot be described.

    Example:
        >>> save_model(model, "model.keras")  # doctest: +SKIP
    """
    include_optimizer = kwargs.pop("include_optimizer", True)
    kwargs.pop("save_format", None)
    if kwargs:
        raise SavingError(f"save_model() does not know the arguments {', '.join(kwargs)}.")
    if zipped is False:
        raise SavingError("zipped=False, a model as a directory, is not supported: use `.keras`.")
    path = _new_file(filepath, overwrite)
    if not path.endswith((".keras", *_LEGACY)):
        raise SavingError(
            "Invalid filepath extension for saving: expected a name that ends in '.keras' "
            f"(recommended) or '.h5'; got {path!r}."
        )
    if not model.built:
        warnings.warn(
            f"{model.name!r} is saved before it is built: the file holds no weights. Call the "
            "model on some data first.",
            stacklevel=2,
        )
    if path.endswith(".keras"):
        save_model_file(model, path)
    else:
        save_legacy_model(model, path, include_optimizer)


def load_model(
    filepath: str | os.PathLike,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> Any:
    """Loads a model that distkeras or Keras saved. Nothing in the file is ever run as code.

    Args:
        filepath: a `.keras` or `.h5` file.
        custom_objects: name -> class or function, for what is neither built in, nor registered, nor
            brought by a plugin.
        compile: whether to compile it as it was, with the optimizer's state.
        safe_mode: whether descriptions that hold code are refused outright. With false they are
            refused too, unless `custom_objects` replaces them.

    Returns:
        The model.

    Raises:
        UnreadableFileError: the file is not there.
        UnknownObjectError, MissingPluginError: a class of the file is not known here.
        UnsafeFileError: the file holds code or reaches out of itself.
        SavingError: the file is damaged or of another kind.

    Example:
        >>> model = load_model("model.keras")  # doctest: +SKIP
    """
    path = _path(filepath)
    if path.endswith(".keras"):
        return load_model_file(path, custom_objects, compile, safe_mode)
    if path.endswith(_LEGACY):
        return load_legacy_model(path, custom_objects, compile, safe_mode)
    raise SavingError(
        f"File format not supported: expected a name that ends in '.keras' or '.h5'; got {path!r}."
    )


def save_weights(
    model: Any,
    filepath: str | os.PathLike,
    overwrite: bool = True,
    max_shard_size: float | None = None,
    **kwargs: Any,
) -> None:
    """Saves the weights of a model, and the state of its optimizer. Collective, as `save_model`.

    Args:
        model: a built model.
        filepath: a name that ends in `.weights.h5`.
        overwrite: if false, an existing file is an error.
        max_shard_size: must be None: weights in several files are not supported.
        **kwargs: `objects_to_skip`, objects whose state is left out.

    Raises:
        UnwritableFileError: the file cannot be written; one that was there is untouched.
        SavingError: another extension.
        NotBuiltError: the model has no weights yet.

    Example:
        >>> save_weights(model, "model.weights.h5")  # doctest: +SKIP
    """
    skip = tuple(kwargs.pop("objects_to_skip", None) or ())
    if kwargs:
        raise SavingError(f"save_weights() does not know the arguments {', '.join(kwargs)}.")
    if max_shard_size is not None:
        raise SavingError(
            f"max_shard_size={max_shard_size}: weights in several files are not supported. Leave "
            "it out: one file may be of any size."
        )
    path = _new_file(filepath, overwrite)
    if not path.endswith(".weights.h5"):
        raise SavingError(f"The filename must end in '.weights.h5'; got {path!r}.")
    if not model.built:
        raise NotBuiltError(
            f"The weights of {model.name!r} cannot be saved before it is built: it has none yet. "
            "Call it on some data, or call build(input_shape), first."
        )
    save_weights_file(model, path, skip)


def load_weights(
    model: Any, filepath: str | os.PathLike, skip_mismatch: bool = False, **kwargs: Any
) -> None:
    """Loads weights into a model, from weights or from a whole model.

    Args:
        model: a built model.
        filepath: a `.weights.h5`, `.keras` or `.h5` file.
        skip_mismatch: keep the values of what does not fit, with a warning, instead of failing.
        **kwargs: `by_name` (`.h5` only): find layers by name instead of order; `objects_to_skip`
            (`.weights.h5` only).

    Raises:
        SavingError: the file is damaged, of another kind, or does not fit; the model is unchanged.
        NotBuiltError: the model has no weights yet.

    Example:
        >>> load_weights(model, "model.weights.h5")  # doctest: +SKIP
    """
    by_name = bool(kwargs.pop("by_name", False))
    skip = tuple(kwargs.pop("objects_to_skip", None) or ())
    if kwargs:
        raise SavingError(f"load_weights() does not know the arguments {', '.join(kwargs)}.")
    path = _path(filepath)
    legacy = path.endswith(_LEGACY) and not path.endswith(".weights.h5")
    if by_name and not legacy:
        raise SavingError(f"by_name=True is for '.h5' files of layers by name; got {path!r}.")
    if skip and not path.endswith(".weights.h5"):
        raise SavingError(f"objects_to_skip is for '.weights.h5' files; got {path!r}.")
    if legacy:
        load_legacy_weights(model, path, by_name, skip_mismatch)
        return
    if path.endswith(".keras"):
        opened = open_weights_member(path)
    elif path.endswith(".weights.h5"):
        opened = open_file(path)
    else:
        raise SavingError(
            "File format not supported: expected a name that ends in '.weights.h5', '.keras' or "
            f"'.h5'; got {path!r}."
        )
    with opened as file:
        load_weights_file(model, file, path, skip_mismatch, skip)


def _path(filepath: str | os.PathLike) -> str:
    try:
        return os.fsdecode(filepath)
    except TypeError as error:
        raise SavingError(
            f"Expected the path of a file, such as 'model.keras'; got {filepath!r}."
        ) from error


def _new_file(filepath: str | os.PathLike, overwrite: bool) -> str:
    path = _path(filepath)
    if not overwrite and os.path.exists(path):
        raise SavingError(f"{path} exists. Delete it, choose another name, or pass overwrite=True.")
    return path
