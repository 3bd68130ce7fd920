"""What a loss divides by, made global: so that the gradients of ranks are plain sums.

A rank computes its own part of a loss: the sum over its rows, divided by a count that covers the
rows of every rank. The count (of samples, or a sum of masks or weights) comes from `global_sum`:

a) Without a strategy it is the identity.
b) A data-parallel step opens `using(reducer)`; then it is the sum over ranks. No gradient flows
   through it. Every rank calls it equally often and in one order, also with no rows of its own.
c) A loss that is no sum over rows (Dice: a quotient of sums) sums its ingredients with
   `joined_sum` and ends with `joined_part`: the parts of the ranks add up to the value, and their
   gradients to its gradient.
d) What does not depend on rows (penalties on weights) is known to every rank alike: each takes its
   `share`.
e) Metrics keep statistics of their own rank, which are added up later: they run within `local()`.
"""

import contextvars
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from distkeras.engine import context
from distkeras.engine import primitives as P
from distkeras.engine.batch import REDUCED
from distkeras.engine.rows import form_of
from distkeras.engine.tensor import Tensor

__all__ = [
    "active",
    "global_size",
    "global_sum",
    "joined_part",
    "joined_sum",
    "local",
    "one_process",
    "share",
    "using",
]

_REDUCER: contextvars.ContextVar[Callable[[Any], Any] | None] = contextvars.ContextVar(
    "denominators", default=None
)


def active() -> bool:
    """Whether a data-parallel step is running.

    Example:
        >>> active()
        False
    """
    return _REDUCER.get() is not None


def global_sum(x: Any) -> Any:
    """The sum over ranks of a number that a loss divides by.

    Args:
        x: a Python number or a tensor without axes; what has no value yet stays as it is.

    Returns:
        A number of the same kind, through which no gradient flows.

    Example:
        >>> global_sum(3)
        3
        >>> with using(lambda n: 4 * n):
        ...     global_sum(3)
        12
    """
    reducer = _REDUCER.get()
    if isinstance(x, Tensor):
        x = P.stop_gradient(x)
    elif not isinstance(x, int | float):
        return x
    return x if reducer is None else reducer(x)


def global_size(x: Any) -> int:
    """The number of elements of a tensor, summed over ranks.

    Where the tensor's first axis is known to be the batch axis, the number follows from the rows of
    the global batch and nothing is sent. Whether it is known depends on the program alone, so all
    ranks decide alike.

    Args:
        x: a tensor, or a shape.

    Example:
        >>> global_size((3, 2))
        6
    """
    shape = tuple(getattr(x, "shape", x))
    rows, axis = context.state().rows, getattr(x, "batch", None)
    if rows is not None and active() and axis == 0:
        each, parts = form_of(axis)
        if shape[0] == rows[0] * each * parts:
            return rows[1] * each * parts * math.prod(shape[1:])
    return global_sum(int(math.prod(shape)))


def joined_sum(x: Any) -> Any:
    """The sum over ranks of a tensor without axes, whose gradient is that of this rank's part.

    Example:
        >>> from distkeras.ops import convert_to_tensor
        >>> with using(lambda n: n * 2.0):
        ...     float(joined_sum(convert_to_tensor(1.5)))
        3.0
    """
    if not active() or not isinstance(x, Tensor):
        return x
    with context.changed(track_batch=False):
        others = P.subtract(global_sum(x), P.stop_gradient(x))
        return P.add(x, P.stop_gradient(others))


def joined_part(x: Any) -> Any:
    """This rank's part of a value made of `joined_sum`s: an equal part, with the whole gradient.

    The gradient of such a value by a rank's rows is whole on that rank: it is not divided.

    Example:
        >>> from distkeras.ops import convert_to_tensor
        >>> with using(lambda n: n * 2):
        ...     float(joined_part(convert_to_tensor(3.0)))
        1.5
    """
    if not active() or not isinstance(x, Tensor):
        return x
    excess = 1 - 1 / global_sum(1)
    part = P.subtract(x, P.scale(P.stop_gradient(x), a=excess))
    part.batch = REDUCED
    return part


def share(x: Any) -> Any:
    """This rank's share of a value that every rank knows alike, such as a penalty on weights.

    The shares add up to the value, and their gradients to its gradient.

    Example:
        >>> from distkeras.ops import convert_to_tensor
        >>> with using(lambda n: n * 2):
        ...     float(share(convert_to_tensor(3.0)))
        1.5
    """
    if not active() or not isinstance(x, Tensor):
        return x
    part = P.scale(x, a=1 / global_sum(1))
    part.batch = REDUCED
    return part


@contextmanager
def using(reducer: Callable[[Any], Any] | None) -> Iterator[None]:
    """Make denominators global within a `with` block; a strategy opens it around a step.

    Args:
        reducer: takes a Python number or a tensor without axes and returns its sum over ranks, of
            the same kind; `None` makes denominators local again.
    """
    token = _REDUCER.set(reducer)
    try:
        yield
    finally:
        _REDUCER.reset(token)


@contextmanager
def local() -> Iterator[None]:
    """A `with` block within which everything is of this rank alone: denominators, and sums over
    rows.

    Example:
        >>> with using(lambda n: 2 * n), local():
        ...     global_sum(3)
        3
    """
    with using(None), context.changed(track_batch=False):
        yield


@contextmanager
def one_process() -> Iterator[None]:
    """A `with` block within which everything is as in a process without others: for what every
    rank computes from the rows of all.

    Example:
        >>> with using(lambda n: 2 * n), one_process():
        ...     active()
        False
    """
    alone = context.EngineState()
    changes = {
        name: getattr(alone, name)
        for name in "track_batch sample_offset rows join ranks gather own reduce_gradients".split()
    }
    with using(None), context.changed(**changes):
        yield
