"""Shape rules that several primitives share. A rule takes specs (`shape`, `_np_dtype`) and answers
`(shape, dtype)`."""

from collections.abc import Callable

from distkeras.engine.dtypes import numpy_dtype
from distkeras.errors import ShapeError

__all__ = [
    "broadcast",
    "elementwise_shape",
    "normalize_axes",
    "normalize_axis",
    "reduced_shape",
    "same",
]


def broadcast(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape to which shapes broadcast.

    Raises:
        ShapeError: where they do not.

    Example:
        >>> broadcast((3, 1), (4,))
        (3, 4)
    """
    out = []
    for i in range(1, max((len(s) for s in shapes), default=0) + 1):
        dims = {s[-i] for s in shapes if len(s) >= i} - {1}
        if len(dims) > 1:
            raise ShapeError(
                f"Shapes {', '.join(map(str, shapes))} do not broadcast: axis -{i} has sizes "
                f"{sorted(dims)}."
            )
        out.append(dims.pop() if dims else 1)
    return tuple(reversed(out))


def elementwise_shape(dtype: str | None = None) -> Callable:
    """The rule of elementwise primitives: inputs broadcast and have one dtype."""

    def rule(*specs, **_):
        shape = broadcast(*(s.shape for s in specs))
        return shape, specs[-1]._np_dtype if dtype is None else numpy_dtype(dtype)

    return rule


def same(x, *_, **__):
    """The rule of primitives whose result looks like their first input."""
    return x.shape, x._np_dtype


def normalize_axis(axis: int, rank: int) -> int:
    """A non-negative axis number.

    Raises:
        ShapeError: where it is out of range.

    Example:
        >>> normalize_axis(-1, 3)
        2
    """
    axis = int(axis)
    if not -rank <= axis < rank:
        raise ShapeError(f"Axis {axis} is out of range for {rank} axes.")
    return axis % rank


def normalize_axes(axis, rank: int) -> tuple[int, ...]:
    """A tuple of non-negative axis numbers; `None` stands for all.

    Example:
        >>> normalize_axes(None, 2), normalize_axes(-1, 2)
        ((0, 1), (1,))
    """
    if axis is None:
        return tuple(range(rank))
    if isinstance(axis, tuple | list):
        return tuple(normalize_axis(a, rank) for a in axis)
    return (normalize_axis(axis, rank),)


def reduced_shape(shape: tuple[int, ...], axis, keepdims: bool) -> tuple[int, ...]:
    """A shape after a reduction.

    Example:
        >>> reduced_shape((2, 3), -1, True)
        (2, 1)
    """
    axes = normalize_axes(axis, len(shape))
    if keepdims:
        return tuple(1 if i in axes else d for i, d in enumerate(shape))
    return tuple(d for i, d in enumerate(shape) if i not in axes)
