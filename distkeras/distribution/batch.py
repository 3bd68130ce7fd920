"""Sums over the whole batch, wherever its rows are."""

from typing import Any

from distkeras.distribution import denominators
from distkeras.engine import batch as batch_rules
from distkeras.engine.primitive import primitive
from distkeras.engine.shapes import same
from distkeras.engine.tensor import Tensor

__all__ = ["cross_rank_sum"]


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
