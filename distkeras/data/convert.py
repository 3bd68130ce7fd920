"""What users pass as data, made NumPy arrays; and what cannot be made one, said in words."""

from typing import Any

import numpy as np

from distkeras import config
from distkeras.errors import DataError
from distkeras.utils import tree

__all__ = [
    "as_array",
    "as_arrays",
    "check_labels",
    "class_weights",
    "count_samples",
    "is_array_like",
]

# What a thing needs to be read as one array.
_ARRAY_MARKS = ("__array__", "__array_interface__", "__dlpack__", "to_numpy", "toarray")
_NUMBERS = int | float | bool | np.number | np.bool_


def is_array_like(leaf: Any) -> bool:
    """Whether something stands for one array: arrays, tensors, tables, numbers; or for none.

    Example:
        >>> is_array_like(3), is_array_like(iter([]))
        (True, False)
    """
    if isinstance(leaf, int | float | complex | str | bytes | type(None)):
        return True
    return any(hasattr(leaf, mark) for mark in _ARRAY_MARKS)


def as_array(leaf: Any, what: str) -> np.ndarray:
    """One array from an array, a tensor of any library, a table, or a list of numbers.

    Floats become `floatx()`, other dtypes stay.

    Args:
        leaf: what was passed.
        what: its name, for messages.

    Raises:
        DataError: where it holds no numbers, or has no axis that counts the samples.

    Example:
        >>> as_array(np.ones(3), "x").dtype.name
        'float32'
    """
    if leaf is None or isinstance(leaf, str | bytes):
        raise DataError(f"Expected arrays as {what}, got {leaf!r}.")
    try:
        array = np.asarray(_on_host(leaf))
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(
            f"{what}, a {type(leaf).__qualname__}, cannot be made an array: {error}. Check that "
            "all rows have equal length, and pad them if not (keras.utils.pad_sequences)."
        ) from error
    if array.dtype.kind in "OUSMmV":
        raise DataError(
            f"{what} has dtype {array.dtype}, which holds no numbers. Map text, dates or objects "
            "to numbers first, and check that all rows have equal length."
        )
    if array.ndim == 0:
        raise DataError(
            f"{what} is a single number; expected an array whose first axis counts the samples."
        )
    floatx = config.floatx()
    if array.dtype.kind == "f" and array.dtype.name != floatx:
        array = array.astype(floatx if floatx != "bfloat16" else "float32")
    return array


def _on_host(leaf: Any) -> Any:
    """What NumPy can read: tables and tensors of other libraries say how themselves."""
    if isinstance(leaf, np.ndarray):
        return leaf
    if hasattr(leaf, "detach"):  # PyTorch
        return leaf.detach().cpu().numpy()
    if hasattr(leaf, "to_numpy"):  # pandas, polars
        return leaf.to_numpy()
    if hasattr(leaf, "toarray"):  # SciPy's sparse matrices
        return leaf.toarray()
    return leaf.numpy() if hasattr(leaf, "numpy") else leaf


def as_arrays(structure: Any, what: str) -> Any:
    """A nested structure of arrays from what a user passed.

    Args:
        structure: an array, list, dict, ... of arrays or what becomes one; a list of numbers, or of
            lists of numbers, is one array.
        what: its name, for messages.

    Raises:
        DataError: where something holds no numbers.

    Example:
        >>> as_arrays([[1, 2], [3, 4]], "x").shape
        (2, 2)
    """
    if structure is None:
        return None
    if not tree.is_nested(structure) or _is_numbers(structure):
        return as_array(structure, what)
    if not structure:
        raise DataError(f"{what} is an empty {type(structure).__qualname__}; expected arrays.")
    named = isinstance(structure, dict)
    found = [
        None if leaf is None else as_array(leaf, f"{what}[{path[-1]!r}]" if named else what)
        for path, leaf in tree.flatten_with_path(structure)
    ]
    return tree.pack_sequence_as(structure, found)


def _is_numbers(structure: Any) -> bool:
    """Whether a list is to become one array: numbers, or rows of numbers."""
    if not structure or not isinstance(structure, list | tuple):
        return False
    return all(isinstance(leaf, _NUMBERS) for leaf in tree.flatten(structure))


def count_samples(x: Any, y: Any = None, sample_weight: Any = None, where: str = "Data") -> int:
    """The length of the first axis, which all arrays must share.

    Args:
        x, y, sample_weight: structures of arrays.
        where: what is counted, for messages.

    Raises:
        DataError: where lengths differ, or there is no sample.

    Example:
        >>> count_samples(np.ones((3, 2)), np.ones(3))
        3
    """
    sizes = {
        name: [len(a) for a in tree.flatten(part) if a is not None]
        for name, part in (("x", x), ("y", y), ("sample_weight", sample_weight))
        if part is not None
    }
    found = {n for ns in sizes.values() for n in ns}
    if len(found) > 1:
        listed = ", ".join(f"'{k}' sizes: {', '.join(map(str, v))}" for k, v in sizes.items())
        raise DataError(
            f"{where} cardinality is ambiguous. Make sure all arrays contain the same number of "
            f"samples. {listed}"
        )
    if not found or found == {0}:
        raise DataError(
            f"{where} is empty: expected at least one sample. Check the path or the filter that "
            "made the arrays."
        )
    return found.pop()


def class_weights(y: Any, class_weight: dict) -> np.ndarray:
    """A weight for each sample from a weight for each class.

    Args:
        y: integer labels of shape `(n,)` or `(n, 1)`, or one-hot labels of shape `(n, classes)`.
        class_weight: class number -> weight; 1 where missing.

    Returns:
        An array of shape `(n,)`.

    Raises:
        DataError: where `y` is missing, has several outputs or more than two axes, or where
            `class_weight` is no dict of numbers.

    Example:
        >>> class_weights(np.array([0, 1]), {1: 3.0}).tolist()
        [1.0, 3.0]
    """
    if y is None:
        raise DataError("`class_weight` needs labels: pass `y`.")
    if tree.is_nested(y):
        raise DataError("`class_weight` is only supported for Models with a single output.")
    y = np.asarray(y)
    if y.ndim > 2:
        raise DataError(
            f"`class_weight` not supported for 3+ dimensional targets; `y` has shape {y.shape}."
        )
    try:
        weights = {int(number): float(weight) for number, weight in class_weight.items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise DataError(
            f"`class_weight` must be a dict of class number -> weight, got {class_weight!r}."
        ) from error
    labels = y.argmax(-1) if y.ndim == 2 and y.shape[1] > 1 else np.rint(y.reshape(-1))
    found = np.ones(len(y), config.floatx() if config.floatx() != "bfloat16" else "float32")
    for number, weight in weights.items():
        found[labels == number] = weight
    return found


def check_labels(y: Any) -> None:
    """Refuse labels that are no numbers.

    Args:
        y: a structure of arrays.

    Raises:
        DataError: where a label is NaN.

    Example:
        >>> check_labels(np.array([0.0, 1.0]))
    """
    for path, leaf in tree.flatten_with_path(y):
        if leaf is not None and leaf.dtype.kind == "f" and np.isnan(leaf).any():
            first = int(np.argwhere(np.isnan(leaf))[0][0])
            where = f" of output {'/'.join(map(str, path))}" if path else ""
            raise DataError(
                f"The labels{where} hold NaN, first in sample {first}. A NaN label makes the loss "
                "and every weight NaN: drop those samples, or give them a number and a "
                "`sample_weight` of 0."
            )
