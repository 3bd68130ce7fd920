"""The same elements in other shapes and orders."""

import itertools

from distkeras.engine import primitives as P
from distkeras.engine.rows import everywhere
from distkeras.engine.shapes import broadcast, normalize_axes, normalize_axis
from distkeras.errors import ShapeError
from distkeras.ops.core import as_tensor, convert_to_tensor
from distkeras.ops.promotion import common
from distkeras.ops.symbolic import op

__all__ = [
    "broadcast_shapes",
    "broadcast_to",
    "concatenate",
    "expand_dims",
    "flip",
    "moveaxis",
    "ravel",
    "repeat",
    "reshape",
    "roll",
    "split",
    "squeeze",
    "stack",
    "swapaxes",
    "tile",
    "transpose",
]


@op
def reshape(x, newshape):
    """The same elements in another shape; one dimension may be -1.

    Example:
        >>> reshape([1, 2, 3, 4], (2, -1)).tolist()
        [[1, 2], [3, 4]]
    """
    if not isinstance(newshape, list | tuple):
        newshape = (newshape,)
    # A size may know what it counts: it is kept.
    sizes = (-1 if d is None else d if isinstance(d, int) else int(d) for d in newshape)
    return P.reshape(as_tensor(x), shape=tuple(sizes))


@op
def transpose(x, axes=None):
    """The axes in another order, reversed by default.

    Example:
        >>> transpose([[1, 2]]).tolist()
        [[1], [2]]
    """
    x = as_tensor(x)
    axes = tuple(reversed(range(x.ndim))) if axes is None else normalize_axes(tuple(axes), x.ndim)
    return P.transpose(x, axes=axes)


@op
def expand_dims(x, axis):
    """New axes of size 1.

    Example:
        >>> expand_dims([1, 2], 0).shape
        (1, 2)
    """
    x = as_tensor(x)
    axes = axis if isinstance(axis, list | tuple) else (axis,)
    rank = x.ndim + len(axes)
    axes = normalize_axes(tuple(axes), rank)
    rest = iter(x.shape)
    return P.reshape(x, shape=tuple(1 if i in axes else next(rest) for i in range(rank)))


@op
def squeeze(x, axis=None):
    """Without axes of size 1.

    Example:
        >>> squeeze([[1, 2]]).shape
        (2,)
    """
    x = as_tensor(x)
    axes = (
        tuple(i for i, d in enumerate(x.shape) if everywhere(d) == 1)
        if axis is None
        else normalize_axes(axis, x.ndim)
    )
    for a in axes:
        if x.shape[a] != 1:
            raise ShapeError(f"Cannot squeeze axis {a} of shape {x.shape}: its size is not 1.")
    return P.reshape(x, shape=tuple(d for i, d in enumerate(x.shape) if i not in axes))


@op
def moveaxis(x, source, destination):
    """Axes moved to other places.

    Example:
        >>> moveaxis(zeros((1, 2, 3)), 0, -1).shape
        (2, 3, 1)
    """
    x = as_tensor(x)
    source, destination = normalize_axes(source, x.ndim), normalize_axes(destination, x.ndim)
    order = [i for i in range(x.ndim) if i not in source]
    for d, s in sorted(zip(destination, source, strict=True)):
        order.insert(d, s)
    return P.transpose(x, axes=tuple(order))


@op
def swapaxes(x, axis1, axis2):
    """Two axes exchanged.

    Example:
        >>> swapaxes(zeros((1, 2, 3)), 0, 2).shape
        (3, 2, 1)
    """
    x = as_tensor(x)
    order = list(range(x.ndim))
    order[axis1], order[axis2] = order[axis2], order[axis1]
    return P.transpose(x, axes=tuple(order))


@op
def broadcast_to(x, shape):
    """Repeated along axes of size 1, without copies.

    Example:
        >>> broadcast_to([1, 2], (2, 2)).tolist()
        [[1, 2], [1, 2]]
    """
    return P.broadcast_to(as_tensor(x), shape=tuple(shape))


@op
def concatenate(xs, axis=0):
    """Tensors joined along an existing axis.

    Example:
        >>> concatenate([[1], [2]]).tolist()
        [1, 2]
    """
    return P.concatenate(*common(xs), axis=axis)


@op
def stack(x, axis=0):
    """Tensors joined along a new axis.

    Example:
        >>> stack([[1], [2]]).shape
        (2, 1)
    """
    return P.stack(*common(x), axis=axis)


@op
def split(x, indices_or_sections, axis=0):
    """A list of parts along an axis: equal ones, or cut at indices.

    Example:
        >>> [p.tolist() for p in split([1, 2, 3, 4], 2)]
        [[1, 2], [3, 4]]
    """
    x = as_tensor(x)
    axis = normalize_axis(axis, x.ndim)
    size = x.shape[axis]
    if isinstance(indices_or_sections, int):
        if size % indices_or_sections:
            raise ShapeError(
                f"Axis {axis} of size {size} cannot be split into {indices_or_sections} equal "
                "parts."
            )
        step = size // indices_or_sections
        cuts = [step * i for i in range(1, indices_or_sections)]
    else:
        cuts = [int(c) for c in indices_or_sections]
    bounds = [0, *cuts, size]
    return [_range(x, axis, a, b) for a, b in itertools.pairwise(bounds)]


def _range(x, axis, start, stop):
    return P.slice_(x, index=(slice(None),) * axis + (slice(start, stop),))


@op
def tile(x, repeats):
    """Repeated whole along axes.

    Example:
        >>> tile([1, 2], 2).tolist()
        [1, 2, 1, 2]
    """
    x = as_tensor(x)
    repeats = tuple(repeats) if isinstance(repeats, list | tuple) else (repeats,)
    rank = len(repeats) if len(repeats) > x.ndim else x.ndim
    repeats = (1,) * (rank - len(repeats)) + repeats
    shape = (1,) * (rank - x.ndim) + x.shape
    pairs = [n for r, d in zip(repeats, shape, strict=True) for n in (r, d)]
    x = P.reshape(x, shape=tuple(n for d in shape for n in (1, d)))
    return P.reshape(
        P.broadcast_to(x, shape=tuple(pairs)),
        shape=tuple(r * d for r, d in zip(repeats, shape, strict=True)),
    )


@op
def repeat(x, repeats, axis=None):
    """Each element repeated along an axis.

    Example:
        >>> repeat([1, 2], 2).tolist()
        [1, 1, 2, 2]
    """
    x = as_tensor(x)
    if axis is None:
        x, axis = P.reshape(x, shape=(-1,)), 0
    axis = normalize_axis(axis, x.ndim)
    if isinstance(repeats, int):
        wide = P.reshape(x, shape=(*x.shape[: axis + 1], 1, *x.shape[axis + 1 :]))
        wide = P.broadcast_to(wide, shape=(*x.shape[: axis + 1], repeats, *x.shape[axis + 1 :]))
        return P.reshape(
            wide, shape=(*x.shape[:axis], x.shape[axis] * repeats, *x.shape[axis + 1 :])
        )
    index = [i for i, r in enumerate(repeats) for _ in range(int(r))]
    return P.gather(x, convert_to_tensor(index, "int32"), axis=axis)


@op
def flip(x, axis=None):
    """The order of elements reversed along axes.

    Example:
        >>> flip([1, 2]).tolist()
        [2, 1]
    """
    x = as_tensor(x)
    axes = normalize_axes(axis, x.ndim)
    return P.slice_(
        x, index=tuple(slice(None, None, -1) if i in axes else slice(None) for i in range(x.ndim))
    )


@op
def roll(x, shift, axis=None):
    """Elements moved along axes; what falls off one end comes in at the other.

    Example:
        >>> roll([1, 2, 3], 1).tolist()
        [3, 1, 2]
    """
    x = as_tensor(x)
    if axis is None:
        return P.reshape(roll(P.reshape(x, shape=(-1,)), shift, 0), shape=x.shape)
    shifts = shift if isinstance(shift, list | tuple) else (shift,)
    axes = axis if isinstance(axis, list | tuple) else (axis,)
    for s, a in zip(shifts, axes, strict=True):
        a = normalize_axis(a, x.ndim)
        if everywhere(x.shape[a]):
            cut = -s % x.shape[a]
            x = P.concatenate(_range(x, a, cut, None), _range(x, a, 0, cut), axis=a)
    return x


@op
def ravel(x):
    """All elements along one axis.

    Example:
        >>> ravel([[1], [2]]).tolist()
        [1, 2]
    """
    return P.reshape(as_tensor(x), shape=(-1,))


def broadcast_shapes(*shapes):
    """The shape to which shapes broadcast.

    Example:
        >>> broadcast_shapes((3, 1), (2,))
        (3, 2)
    """
    return broadcast(*shapes)
