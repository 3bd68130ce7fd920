"""Programs with regions: `scan`, `cond` and `while_loop`.

Run eagerly, a region runs its body each time and the tape records the body's operations, so the
gradient of a scan is the scan in reverse. `scan` takes its inputs apart by one `unstack` and joins
its outputs by one `stack`, so that the backward pass touches each row once. While only shapes are
known, a body is run once and its carry must keep its shape and dtype.
"""

from collections.abc import Callable
from typing import Any

from distkeras.engine.abstract import ShapeTensor
from distkeras.engine.primitives import stack, unstack
from distkeras.errors import ShapeError
from distkeras.utils import tree

__all__ = ["cond", "scan", "while_loop"]


def _is_abstract(structure) -> bool:
    return any(isinstance(leaf, ShapeTensor) for leaf in tree.flatten(structure))


def _check_carry(before, after, what: str) -> None:
    a = [(tuple(t.shape), t.dtype) for t in tree.flatten(before) if hasattr(t, "shape")]
    b = [(tuple(t.shape), t.dtype) for t in tree.flatten(after) if hasattr(t, "shape")]
    if a != b:
        raise ShapeError(
            f"The body of `{what}` must keep the shapes and dtypes of its state: it got {a} and "
            f"returned {b}."
        )


def scan(
    body: Callable[[Any, Any], tuple[Any, Any]],
    carry: Any,
    xs: Any,
    *,
    length: int | None = None,
    reverse: bool = False,
) -> tuple[Any, Any]:
    """Run a body over the rows of its inputs, passing state on.

    Args:
        body: `(carry, x) -> (carry, y)`; `x` and `y` are structures of tensors, or `None`.
        carry: the first state, a structure of tensors.
        xs: a structure of tensors whose first axis is walked, or `None`.
        length: the number of steps where `xs` is `None`.
        reverse: whether to start with the last row; outputs stay in the order of the inputs.

    Returns:
        The last state, and the outputs of all steps stacked along a new first axis.

    Raises:
        ShapeError: where the state changes its shape, or first axes differ.

    Example:
        >>> from distkeras import ops
        >>> rows = ops.arange(3, dtype="float32")
        >>> last, sums = scan(lambda c, x: (c + x, c + x), ops.zeros(()), rows)
        >>> sums.tolist()
        [0.0, 1.0, 3.0]
    """
    leaves = tree.flatten(xs) if xs is not None else []
    lengths = {t.shape[0] for t in leaves}
    if length is not None:
        lengths.add(length)
    if len(lengths) != 1:
        raise ShapeError(
            f"`scan` needs one length; the inputs' first axes and `length` give {sorted(lengths)}."
        )
    steps = lengths.pop()
    if _is_abstract((carry, xs)):
        x = (
            None
            if xs is None
            else tree.map_structure(lambda t: ShapeTensor(t.shape[1:], t.dtype), xs)
        )
        after, y = body(carry, x)
        _check_carry(carry, after, "scan")
        return after, None if y is None else tree.map_structure(
            lambda t: ShapeTensor((steps, *t.shape), t.dtype), y
        )
    rows = [unstack(t, axis=0) for t in leaves]
    outputs: list = [None] * steps
    for t in range(steps - 1, -1, -1) if reverse else range(steps):
        x = None if xs is None else tree.pack_sequence_as(xs, [r[t] for r in rows])
        carry, outputs[t] = body(carry, x)
    if not outputs or outputs[0] is None:
        return carry, None
    columns = zip(*(tree.flatten(y) for y in outputs), strict=True)
    return carry, tree.pack_sequence_as(outputs[0], [stack(*c, axis=0) for c in columns])


def cond(pred: Any, true_fn: Callable[[], Any], false_fn: Callable[[], Any]) -> Any:
    """The result of one of two functions.

    Args:
        pred: a boolean scalar.
        true_fn, false_fn: called without arguments; their results have the same form, shapes and
            dtypes.

    Example:
        >>> cond(True, lambda: 1, lambda: 2)
        1
    """
    if isinstance(pred, ShapeTensor):
        a, b = true_fn(), false_fn()
        _check_carry(a, b, "cond")
        return a
    return true_fn() if bool(pred) else false_fn()


def while_loop(
    cond_fn: Callable[..., Any],
    body: Callable[..., Any],
    loop_vars: Any,
    maximum_iterations: int | None = None,
):
    """Run a body as long as a condition holds.

    Args:
        cond_fn: `(*loop_vars) -> boolean scalar`.
        body: `(*loop_vars) -> loop_vars`.
        loop_vars: a tuple or list of state, or a single value.
        maximum_iterations: an upper bound on the number of runs.

    Returns:
        The last state, in the form of `loop_vars`.

    Example:
        >>> while_loop(lambda i: i < 3, lambda i: i + 1, 0)
        3
    """
    many = isinstance(loop_vars, list | tuple)
    state = tuple(loop_vars) if many else (loop_vars,)
    if _is_abstract(state):
        after = body(*state)
        after = tuple(after) if isinstance(after, list | tuple) else (after,)
        _check_carry(state, after, "while_loop")
        return type(loop_vars)(after) if many else after[0]
    runs = 0
    while (maximum_iterations is None or runs < maximum_iterations) and bool(cond_fn(*state)):
        result = body(*state)
        state = tuple(result) if isinstance(result, list | tuple) else (result,)
        runs += 1
    return type(loop_vars)(state) if many else state[0]
