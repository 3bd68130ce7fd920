"""Sums over the whole batch, and all its rows, wherever they are."""

import sys
import warnings
from typing import Any

import numpy as np

from distkeras.distribution import collectives, denominators
from distkeras.distribution.world import rank
from distkeras.engine import batch as batch_rules
from distkeras.engine import primitives as P
from distkeras.engine.context import state
from distkeras.engine.primitive import primitive
from distkeras.engine.rows import form_of, mark_of, pieces
from distkeras.engine.shapes import same
from distkeras.engine.tensor import Tensor, from_host
from distkeras.errors import WholeBatchWarning

__all__ = ["cross_rank_sum", "gathered", "own_rows", "rows_of_all_ranks"]


def _run(xp, x):
    total = denominators.global_sum(Tensor(x))
    return total.array


# The global loss is the sum of the ranks' losses, so the cotangent of a sum that all ranks use is
# itself a sum over ranks.
_sum: Any = primitive(
    "cross_rank_sum", shape=same, batch=batch_rules.none, vjp=lambda e, g: _sum(g)
)(_run)


def cross_rank_sum(x):
    """The sum of a tensor over ranks within a data-parallel step; the tensor itself anywhere else.

    All ranks must call it equally often and in one order, also with no rows of their own. It is
    differentiable any number of times.

    Args:
        x: a tensor, of one shape on all ranks.

    Returns:
        A tensor of the same shape and dtype, equal on all ranks.

    Example:
        >>> from distkeras.ops import convert_to_tensor
        >>> cross_rank_sum(convert_to_tensor([1.0])).tolist()
        [1.0]
    """
    return _sum(x) if denominators.active() else x


def _gather_shape(x, *, axis, form):
    """Shape rules are asked only for explanations: with the rows of this rank."""
    return x.shape, x._np_dtype


# As for sums: each rank has a part of the cotangent of what all ranks have.
_gather: Any = primitive(
    "cross_rank_rows",
    shape=_gather_shape,
    batch=batch_rules.none,
    vjp=lambda e, g: own_rows(_sum(g), mark_of(e.params["axis"], e.params["form"])),
)(lambda xp, x, *, axis, form: rows_of_all_ranks(Tensor(x), mark_of(axis, form)).array)


def rows_of_all_ranks(x: Tensor, axis: int) -> Tensor:
    """The rows of all ranks of a tensor, in the order of the global batch; no gradient.

    All ranks must call it, also with no rows of their own.

    Args:
        x: a tensor with this rank's rows.
        axis: the batch axis, an `Axis` where it does not hold each sample once.
    """
    _, parts = form_of(axis)
    rows = np.moveaxis(x.numpy(), axis, 0)
    rest = rows.shape[1:]
    # Whole batches that lie one after another are gathered each by itself.
    rows = rows.reshape(parts, len(rows) // parts, *rest).swapaxes(0, 1)
    rows = collectives.all_gather(np.ascontiguousarray(rows)).swapaxes(0, 1)
    rows = np.moveaxis(rows.reshape(-1 if rest and rows.size else rows.size, *rest), 0, axis)
    return from_host(np.ascontiguousarray(rows), x.dtype)


def gathered(x: Tensor, purpose: str) -> Tensor:
    """The rows of all ranks of a tensor within a data-parallel step, differentiable.

    All ranks must call it, also with no rows of their own. The first call of a job says so.

    Args:
        x: a tensor with a batch axis.
        purpose: the operation that needs all rows, for the warning.

    Returns:
        A tensor that is the same on all ranks.
    """
    _warn_once(purpose)
    axis = x.batch
    whole = _gather(x, axis=int(axis), form=form_of(axis))
    whole.batch = batch_rules.WHOLE
    return whole


def own_rows(x: Tensor, axis: int) -> Tensor:
    """This rank's rows of a tensor that holds the rows of all ranks, differentiable.

    Args:
        x: a tensor that all ranks have alike.
        axis: the axis of its rows, an `Axis` where it does not hold each sample once.
    """
    each, parts = form_of(axis)
    mine = (state().rows or (0, 0))[0] * each * parts
    before = (slice(None),) * axis
    found = [
        P.slice_(x, index=(*before, slice(first, first + n)))
        for first, n in pieces(mine, each, parts)
    ]
    rows = found[0] if len(found) == 1 else P.concatenate(*found, axis=int(axis))
    if state().track_batch:
        rows.batch = axis
    return rows


_warned: set[str] = set()


def _warn_once(purpose: str) -> None:
    if purpose in _warned or rank() != 0:
        return
    _warned.add(purpose)
    level, frame = 2, sys._getframe(1)
    package = __name__.split(".")[0]
    while frame.f_back and frame.f_globals.get("__name__", "").split(".")[0] == package:
        level, frame = level + 1, frame.f_back
    warnings.warn(
        f"The operation '{purpose}' relates rows of the batch to each other. Every rank gathers "
        "the rows of all ranks and computes it for the whole batch: the results are those of one "
        "process, at the cost of a message and of work that is not shared.",
        WholeBatchWarning,
        stacklevel=level,
    )
