"""Labels and rows as NumPy arrays: one-hot vectors and vectors of length one."""

from typing import Any

import numpy as np

from distkeras.errors import ArgumentError

__all__ = ["normalize", "to_categorical"]


def to_categorical(x: Any, num_classes: int | None = None) -> np.ndarray:
    """Class numbers as rows of zeros with a single one, for `categorical_crossentropy`.

    Args:
        x: integers from 0 up to `num_classes - 1`, array-like of any shape; a last axis of length 1
            is dropped. Floats are taken where they hold whole numbers.
        num_classes: the length of the new last axis; None (the default) takes the largest class
            number plus one.

    Returns:
        A float64 array of shape `x.shape + (num_classes,)`.

    Raises:
        ArgumentError: if `x` is empty and `num_classes` is None, or if a value is no whole number
            or lies outside the range.

    Example:
        >>> to_categorical([0, 2, 1], num_classes=3)
        array([[1., 0., 0.],
               [0., 0., 1.],
               [0., 1., 0.]])
    """
    given = np.asarray(x)
    if given.ndim > 1 and given.shape[-1] == 1:
        given = given[..., 0]
    labels = _whole_numbers(given)
    if not num_classes:
        if not labels.size:
            raise ArgumentError(
                "to_categorical() got no labels, so it cannot tell how many classes there are: "
                "pass `num_classes`."
            )
        num_classes = int(labels.max()) + 1
    if labels.size and not (labels.min() >= 0 and labels.max() < num_classes):
        raise ArgumentError(
            f"to_categorical() takes class numbers from 0 up to num_classes - 1 = "
            f"{num_classes - 1}, got values from {labels.min()} to {labels.max()}. Number the "
            "classes from 0, or pass a larger `num_classes`."
        )
    rows = np.zeros((labels.size, num_classes))
    rows[np.arange(labels.size), labels.ravel()] = 1
    return rows.reshape((*labels.shape, num_classes))


def _whole_numbers(given: np.ndarray) -> np.ndarray:
    """The same values as int64."""
    if given.dtype.kind not in "biuf" or (
        given.dtype.kind == "f" and not np.array_equal(given, np.trunc(given))
    ):
        raise ArgumentError(
            f"to_categorical() takes whole class numbers, got dtype {given.dtype} with values that "
            "are none. Number the classes first, for example with np.unique(x, "
            "return_inverse=True)."
        )
    return given.astype("int64")


def normalize(x: Any, axis: int = -1, order: int = 2) -> np.ndarray:
    """Vectors along an axis, divided by their norms; zero vectors stay zero.

    Args:
        x: array-like of numbers.
        axis: the axis along which the vectors lie, by default the last.
        order: the order of the norm, by default 2 (the Euclidean length).

    Returns:
        An array of the shape of `x`.

    Example:
        >>> normalize([[3.0, 4.0], [0.0, 0.0]])
        array([[0.6, 0.8],
               [0. , 0. ]])
    """
    array = np.asarray(x)
    norms = np.linalg.norm(array, order, axis, keepdims=True)
    return array / np.where(norms == 0, 1, norms)
