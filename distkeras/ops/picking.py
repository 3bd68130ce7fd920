"""Elements by number: indexing, gathering, sorting."""

import builtins
from typing import Any

from distkeras.engine import primitives as P
from distkeras.engine.shapes import normalize_axis
from distkeras.errors import ShapeError
from distkeras.ops.core import as_tensor, cast
from distkeras.ops.symbolic import op

__all__ = [
    "argsort",
    "get_item",
    "nonzero",
    "slice",
    "slice_update",
    "sort",
    "take",
    "take_along_axis",
    "top_k",
]


@op
def get_item(x, key):
    """`x[key]`: ints, slices, `None`, `...`, and tensors of integers or truth values.

    Example:
        >>> get_item([1, 2, 3], np.s_[1:]).tolist()
        [2, 3]
    """
    x = as_tensor(x)
    items = key if isinstance(key, tuple) else (key,)
    if all(i is None or i is Ellipsis or isinstance(i, int | builtins.slice) for i in items):
        return P.slice_(x, index=tuple(_plain(i) for i in items))
    layout, tensors = [], []
    for i in items:
        if i is None or i is Ellipsis or isinstance(i, int | builtins.slice):
            layout.append(_plain(i))
        else:
            layout.append("t")
            tensors.append(as_tensor(i))
    if len(items) == 1 and tensors[0].dtype != "bool":
        return P.gather(x, tensors[0], axis=0)
    return P.index(x, *tensors, layout=tuple(layout))


def _plain(item):
    if isinstance(item, builtins.slice):
        return builtins.slice(
            *(
                v if v is None or isinstance(v, int) else int(v)
                for v in (item.start, item.stop, item.step)
            )
        )
    return item


@op
def take(x, indices, axis=None):
    """Elements or slices by number along an axis, or of all elements.

    Example:
        >>> take([5, 6, 7], [0, -1]).tolist()
        [5, 7]
    """
    x = as_tensor(x)
    indices = as_tensor(indices)
    if axis is None:
        x, axis = P.reshape(x, shape=(-1,)), 0
    return P.gather(x, indices, axis=normalize_axis(axis, x.ndim))


def take_rows(x, numbers):
    """Rows by number, counted from 0 only, as in a table of embeddings.

    Raises:
        ShapeError: for a number that is no row's, negative ones too (on the CPU; on a GPU nothing
            is looked at, since that would wait for it).

    Example:
        >>> take_rows([[5], [6]], [1, 1]).tolist()
        [[6], [6]]
    """
    return P.gather(as_tensor(x), as_tensor(numbers), axis=0, wraps=False)


@op
def take_along_axis(x, indices, axis=None):
    """Elements by number, another number for each position.

    Example:
        >>> take_along_axis([[1, 2]], [[1, 0]], axis=1).tolist()
        [[2, 1]]
    """
    x, indices = as_tensor(x), as_tensor(indices)
    if axis is None:
        x, indices, axis = P.reshape(x, shape=(-1,)), P.reshape(indices, shape=(-1,)), 0
    return P.take_along_axis(x, indices, axis=normalize_axis(axis, x.ndim))


@op
def sort(x, axis=-1):
    """Sorted along an axis.

    Example:
        >>> sort([3, 1, 2]).tolist()
        [1, 2, 3]
    """
    x = as_tensor(x)
    if axis is None:
        x, axis = P.reshape(x, shape=(-1,)), 0
    return P.sort(x, axis=normalize_axis(axis, x.ndim))


@op
def argsort(x, axis=-1):
    """The indices that would sort along an axis.

    Example:
        >>> argsort([3, 1, 2]).tolist()
        [1, 2, 0]
    """
    x = as_tensor(x)
    if axis is None:
        x, axis = P.reshape(x, shape=(-1,)), 0
    return P.argsort(x, axis=normalize_axis(axis, x.ndim))


@op
def top_k(x, k, sorted=True):
    """The k largest elements along the last axis, and their indices.

    Example:
        >>> [t.tolist() for t in top_k([1, 3, 2], 2)]
        [[3, 2], [1, 2]]
    """
    return P.top_k(as_tensor(x), k=k if isinstance(k, int) else int(k))


@op
def slice_update(inputs, start_indices, updates):
    """`inputs` with a block, beginning at `start_indices`, replaced.

    Example:
        >>> slice_update([1, 2, 3], [1], [9]).tolist()
        [1, 9, 3]
    """
    x, new = as_tensor(inputs), as_tensor(updates)
    new = new if new.dtype == x.dtype else cast(new, x.dtype)
    index = _block(start_indices, new.shape)
    hole = P.put_slice(P.full_like(new, value=1), shape=x.shape, index=index)
    return P.where(cast(hole, "bool"), P.put_slice(new, shape=x.shape, index=index), x)


@op
def slice(inputs, start_indices, shape):
    """The block of a shape that begins at `start_indices`.

    Example:
        >>> slice([[1, 2, 3], [4, 5, 6]], (0, 1), (2, 2)).tolist()
        [[2, 3], [5, 6]]
    """
    x = as_tensor(inputs)
    index = _block(start_indices, shape)
    if any(not 0 <= i.start <= i.stop <= n for i, n in zip(index, x.shape, strict=True)):
        raise ShapeError(
            f"A block of shape {tuple(shape)} at {tuple(start_indices)} does not lie within a "
            f"tensor of shape {x.shape}."
        )
    return P.slice_(x, index=index)


def _block(start: Any, shape: Any) -> tuple:
    if len(start) != len(shape):
        raise ShapeError(f"{len(shape)} axes need as many `start_indices`, got {len(start)}.")
    return tuple(builtins.slice(int(s), int(s) + d) for s, d in zip(start, shape, strict=True))


@op
def nonzero(x):
    """The places of the elements that are not 0, as one tensor of numbers for each axis.

    How many there are depends on the values: the operation does not run on symbolic tensors.

    Example:
        >>> [i.tolist() for i in nonzero([[1, 0], [0, 2]])]
        [[0, 1], [0, 1]]
    """
    return P.nonzero(as_tensor(x))
