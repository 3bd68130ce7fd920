"""Where the batch axis goes: one rule for each primitive.

A rule is `(axes, shapes, params, out_shape) -> axis`. `axes` holds for each input the position of
its batch axis, or `None` where the input does not depend on the batch; it is consulted only where
at least one is not `None`. The answer is the position in the output, `REDUCED` (the rows were
summed up: partial results of ranks add up), or `MIXED` (a row of the result depends on several
rows, or nobody can tell). `JOINED` marks what was summed over ranks: it depends on
all rows and is the same everywhere.

What a rule calls MIXED is computed from the whole batch where a step says how to gather it: see
the last part of this file.
"""

from typing import Any, Final

from distkeras.engine.context import state
from distkeras.engine.rows import Axis, axis_in, everywhere, form_of, is_derived, mark_of

__all__ = [
    "JOINED",
    "MIXED",
    "REDUCED",
    "WHOLE",
    "along",
    "elementwise",
    "first",
    "kept",
    "matmul",
    "mixed",
    "none",
    "of_whole_batch",
    "own_rows_of",
    "propagate",
    "reduce",
]

REDUCED: Final = "reduced"
MIXED: Final = "mixed"
JOINED: Final = "joined"
WHOLE: Final = "whole"


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
    elsewhere = all(m in (None, JOINED, WHOLE, REDUCED) for m in marks)
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


def propagate(prim, inputs, outputs, params) -> None:
    """Set `batch` of the outputs of a primitive that has just run (called by the dispatch point
    where it is tracked; parts of sums have been aligned)."""
    marks = tuple(t.batch for t in inputs)
    if all(m is None for m in marks):
        if "shape" in params:  # made in the size of the batch
            for out in outputs:
                out.batch = axis_in(params["shape"])
        return
    axes = tuple(None if m in (JOINED, WHOLE) else m for m in marks)
    for out in outputs:
        if prim.batch is none:
            out.batch = JOINED if prim.name == "cross_rank_sum" else None
        elif MIXED in axes:
            out.batch = MIXED
        elif REDUCED in axes:
            out.batch = REDUCED
        elif all(a is None for a in axes):
            out.batch = WHOLE if WHOLE in marks else JOINED
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


# --- rows that meet rows of other ranks --------------------------------------------------------
#
# Where an operation relates rows to each other no rank can compute its rows alone:
#   a. `bind` gathers the inputs' rows of all ranks and runs the operation again, on every rank;
#   b. the result, and what is made of it, is marked WHOLE: the same everywhere, with all rows;
#   c. where it meets a rank's rows element by element it gives up its own rows (no message); where
#      they meet otherwise, these are gathered too.
# The first run of (a) is in vain; a rank without rows may fail in it: `bind` asks the rule then.


def of_whole_batch(prim, inputs, params, current) -> tuple | None:
    """Inputs with the rows of all ranks, and parameters that count them; `None` where there is
    nothing to gather.

    Args:
        prim: the primitive that relates rows.
        inputs: its inputs.
        params: its parameters.
        current: the engine's state, which says how rows are gathered.
    """
    if current.gather is None or not any(type(t.batch) in (int, Axis) for t in inputs):
        return None
    gathered = tuple(
        current.gather(t, prim.name) if type(t.batch) in (int, Axis) else t for t in inputs
    )
    return gathered, {name: everywhere(value) for name, value in params.items()}


def mixes(prim, inputs, specs, params) -> bool:
    """Whether a primitive relates rows of its inputs, also where it cannot run.

    Args:
        prim, inputs, params: the primitive and what it is given.
        specs: the shapes of the inputs, as shape rules take them.
    """
    axes = tuple(None if t.batch in (JOINED, WHOLE) else t.batch for t in inputs)
    if all(a is None for a in axes) or REDUCED in axes:
        return False
    if any(is_derived(value) for value in params.values()):
        return True  # a size that has a meaning only for the whole batch
    try:
        answer: Any = prim.shape(*specs, **params)
    except Exception:
        return False  # the operation is wrong for other reasons
    shape = (answer if prim.outputs == 1 else answer[0])[0]
    found = prim.batch(axes, tuple(t.array.shape for t in inputs), params, shape)
    return MIXED in (found, _of_form(axes, found))


def meet(prim, inputs, params, current):
    """Step (c): the inputs and parameters of a primitive of which some inputs are WHOLE."""
    if current.gather is None or prim.batch is none:
        return inputs, params
    if not any(type(t.batch) in (int, Axis) for t in inputs):
        return inputs, {name: everywhere(value) for name, value in params.items()}
    if prim.batch is not elementwise:
        return of_whole_batch(prim, inputs, params, current) or (inputs, params)
    places = {t.batch - len(t.array.shape) for t in inputs if type(t.batch) in (int, Axis)}
    if len(places) != 1:
        return inputs, params
    place = places.pop()
    form = next(form_of(t.batch) for t in inputs if type(t.batch) in (int, Axis))
    rows = current.rows[1] * form[0] * form[1]

    def own(t):
        axis = place + len(t.array.shape)
        if t.batch != WHOLE or axis < 0 or t.array.shape[axis] != rows:
            return t
        return current.own(t, mark_of(axis, form))

    return tuple(map(own, inputs)), params


def own_rows_of(*tensors):
    """Tensors with samples along their first axis, of which some hold the rows of all ranks and
    others those of this one: this rank's rows of each.

    Args:
        *tensors: tensors, or shapes of such.
    """
    current = state()
    marks = [getattr(t, "batch", None) for t in tensors]
    if current.own is None or WHOLE not in marks or 0 not in marks:
        return tensors
    return tuple(
        current.own(t, 0) if m == WHOLE and t.array.shape[:1] == current.rows[1:] else t
        for t, m in zip(tensors, marks, strict=True)
    )
