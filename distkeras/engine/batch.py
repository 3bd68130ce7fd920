"""Where the batch axis goes: one rule for each primitive.

A rule is `(axes, shapes, params, out_shape) -> axis`. `axes` holds for each input the position of
its batch axis, or `None` where the input does not depend on the batch; it is consulted only where
at least one is not `None`. The answer is the position in the output, `REDUCED` (the rows were
summed up: partial results of ranks add up), or `MIXED` (a row of the result depends on several
rows, or nobody can tell). `JOINED` marks what was summed over ranks: it depends on
all rows and is the same everywhere.
"""

import warnings
from typing import Final

from distkeras.engine.rows import Axis, axis_in, form_of, mark_of
from distkeras.errors import OwnRowsWarning

__all__ = [
    "JOINED",
    "MIXED",
    "REDUCED",
    "along",
    "elementwise",
    "first",
    "kept",
    "matmul",
    "mixed",
    "none",
    "propagate",
    "reduce",
    "warn_of_own_rows",
]

REDUCED: Final = "reduced"
MIXED: Final = "mixed"
JOINED: Final = "joined"


def mixed(axes, shapes, params, out_shape):
    """Nobody can tell."""
    return MIXED


def none(axes, shapes, params, out_shape):
    """The result depends on shapes only."""
    return None


def elementwise(axes, shapes, params, out_shape):
    """Inputs broadcast: axes are counted from the right, and all that have a batch axis must
    agree."""
    found = {
        axis - len(shape) for axis, shape in zip(axes, shapes, strict=True) if axis is not None
    }
    if len(found) != 1:
        return MIXED
    return found.pop() + len(out_shape)


def kept(axes, shapes, params, out_shape):
    """The first input's batch axis stays where it is."""
    return axes[0] if all(a is None for a in axes[1:]) else MIXED


def first(axes, shapes, params, out_shape):
    """Rows are processed one by one where the batch axis is the first (convolution, pooling);
    weights have none."""
    return 0 if axes[0] == 0 and all(a is None for a in axes[1:]) else MIXED


def along(axes, shapes, params, out_shape):
    """The operation works along `params["axis"]`; rows mix only if that is the batch axis."""
    axis = params.get("axis")
    rank = len(shapes[0])
    touched = (
        range(rank)
        if axis is None
        else [a % rank for a in (axis if isinstance(axis, tuple) else (axis,))]
    )
    return MIXED if axes[0] in touched or any(a is not None for a in axes[1:]) else axes[0]


def reduce(axes, shapes, params, out_shape):
    """A sum over `params["axis"]`: over the batch axis it leaves partial sums."""
    axis, keepdims = params.get("axis"), params.get("keepdims", False)
    rank = len(shapes[0])
    touched = (
        set(range(rank))
        if axis is None
        else {a % rank for a in (axis if isinstance(axis, tuple) else (axis,))}
    )
    if axes[0] in touched:
        return REDUCED
    return axes[0] if keepdims else axes[0] - sum(a < axes[0] for a in touched)


def matmul(axes, shapes, params, out_shape):
    """Rows of the first operand, stacked matrices of either, or a contraction over the batch (a
    weight gradient)."""
    (a, b), (x, y), rank = axes, shapes, len(out_shape)
    contracted_x, contracted_y = len(x) - 1, max(len(y) - 2, 0)
    if a == contracted_x and b == contracted_y:
        return REDUCED
    if a == contracted_x or (b == contracted_y and b is not None):
        return MIXED
    found = set()
    if a is not None:
        found.add(a - len(x) + (0 if len(y) > 1 else 1) + rank)
    if b is not None:
        found.add(b - len(y) + rank if b < len(y) - 2 else rank - 1)
    return found.pop() if len(found) == 1 else MIXED


# --- parts of a sum ---------------------------------------------------------------------------
#
# A tensor marked REDUCED is this rank's part of a sum over the whole batch. Three rules keep every
# value right wherever a program uses it (compare the partial tensors of PyTorch's DTensor):
#   a. a linear operation makes parts of parts;
#   b. what is added to a part and does not depend on rows is divided by the number of ranks first;
#   c. before any other operation the part is joined: summed over ranks, and marked JOINED.
_LINEAR = frozenset(
    "negative scale divide_by cast reshape transpose identity stop_gradient reduce_sum sum_to "
    "broadcast_to slice put_slice unstack gather scatter_rows cumsum".split()
)
_ADDING = frozenset("add subtract concatenate stack".split())
_MULTIPLYING = frozenset("multiply matmul einsum".split())
_DIVIDING = frozenset(("divide", "divide_no_nan"))


def align(prim, inputs, params, current):
    """The inputs and parameters with which a primitive is right where parts of sums come in.

    Args:
        prim: the primitive.
        inputs: its inputs, of which at least one is marked REDUCED.
        params: its parameters.
        current: the engine's state, which says how parts are joined.
    """
    marks = [t.batch for t in inputs]
    elsewhere = all(m in (None, JOINED, REDUCED) for m in marks)
    parts = marks.count(REDUCED)
    if prim.batch is none or current.join is None:
        return inputs, params
    if prim.name in _LINEAR and marks[0] == REDUCED and parts == 1 and elsewhere:
        return inputs, params
    if prim.name == "shift":
        return inputs, {**params, "a": params["a"] / current.ranks}
    if prim.name in _ADDING and elsewhere:
        return tuple(
            t if m == REDUCED else _nth(t, current) for t, m in zip(inputs, marks, strict=True)
        ), params
    if prim.name in _MULTIPLYING and elsewhere and parts == 1:
        return inputs, params
    if prim.name in _DIVIDING and elsewhere and parts == 1 and marks[0] == REDUCED:
        return inputs, params
    return tuple(
        current.join(t) if m == REDUCED else t for t, m in zip(inputs, marks, strict=True)
    ), params


def _nth(t, current):
    from distkeras.engine.primitive import PRIMITIVES

    return PRIMITIVES["scale"](t, a=1 / current.ranks)


def warn_of_own_rows(mark, ranks: int, stacklevel: int) -> None:
    """Warn where a loss relates rows to each other: each rank sees its own alone."""
    if mark == MIXED and ranks > 1:
        warnings.warn(
            "The loss relates rows of the batch to each other (products of rows with rows, an "
            "extreme over the batch, ...). Each rank computes it from its own rows, so results "
            "depend on the number of ranks. Sums and means over the batch do not.",
            OwnRowsWarning,
            stacklevel=stacklevel,
        )


def propagate(prim, inputs, outputs, params) -> None:
    """Set `batch` of the outputs of a primitive that has just run (called by the dispatch point
    where it is tracked; parts of sums have been aligned)."""
    marks = tuple(t.batch for t in inputs)
    if all(m is None for m in marks):
        if "shape" in params:  # made in the size of the batch
            for out in outputs:
                out.batch = axis_in(params["shape"])
        return
    axes = tuple(None if m == JOINED else m for m in marks)
    for out in outputs:
        if prim.batch is none:
            out.batch = JOINED if prim.name == "cross_rank_sum" else None
        elif MIXED in axes:
            out.batch = MIXED
        elif REDUCED in axes:
            out.batch = REDUCED
        elif all(a is None for a in axes):
            out.batch = JOINED
        else:
            shapes = tuple(t.array.shape for t in inputs)
            out.batch = _of_form(axes, prim.batch(axes, shapes, params, out.array.shape))


def _of_form(axes, found):
    """The batch axis that a rule found, with as many rows of a sample as in the inputs."""
    if type(found) is not int:
        return found if type(found) is not Axis else mark_of(found, form_of(found))
    if Axis not in [type(a) for a in axes]:
        return found
    forms = {form_of(a) for a in axes if a is not None}
    return mark_of(found, forms.pop()) if len(forms) == 1 else MIXED
