"""State that belongs to the running thread or context: tapes, automatic casts, tracing.

Each thread starts with its own empty state, and a `contextvars.Context` copied elsewhere keeps its
own: two trainings in two threads, or a data worker that calls operations, never see each other.
"""

import contextvars
import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["EngineState", "changed", "state"]


@dataclasses.dataclass(frozen=True, slots=True)
class EngineState:
    """What the dispatch point consults.

    Attributes:
        tapes: the gradient tapes that are recording, outermost first.
        autocast: dtype to which float variables are cast when read, or `None`.
        track_batch: whether tensors carry the position of their batch axis.
        sample_offset: index in the global batch of this process's first row.
        rows: this process's rows and those of the global batch, or `None` outside a step on several
            ranks.
        abstract: whether shapes are being inferred: nothing may be drawn or changed.
        join: sums a tensor over ranks, `tensor -> tensor`, or `None`; `ranks`: over how many.
        gather: the rows of all ranks of a tensor, `(tensor, what for) -> tensor`, or `None`; `own`:
            this rank's rows of such a tensor, `(tensor, batch axis) -> tensor`.
        reduce_gradients: makes gradients of variables global, `(variables, gradients) ->
            gradients`, or `None`; `gradient_places`: where it wants them, `variables -> {id of a
            variable: array}`.
    """

    tapes: tuple = ()
    autocast: str | None = None
    track_batch: bool = False
    sample_offset: int = 0
    rows: tuple[int, int] | None = None
    abstract: bool = False
    join: Callable[[Any], Any] | None = None
    ranks: int = 1
    gather: Any = None
    own: Any = None
    reduce_gradients: Callable[[list, list], list] | None = None
    gradient_places: Callable[[list], dict[int, Any]] | None = None


_IDLE = EngineState()
_STATE: contextvars.ContextVar[EngineState] = contextvars.ContextVar("engine_state", default=_IDLE)
state = _STATE.get


@contextmanager
def changed(**changes: Any) -> Iterator[EngineState]:
    """The state with some fields replaced, within a `with` block.

    Args:
        **changes: fields of `EngineState` and their new values.

    Example:
        >>> with changed(autocast="float16"):
        ...     state().autocast
        'float16'
    """
    new = dataclasses.replace(_STATE.get(), **changes)
    token = _STATE.set(new)
    try:
        yield new
    finally:
        _STATE.reset(token)


def set_tapes(tapes: tuple) -> None:
    """Replace the recording tapes: for `GradientTape`, whose start and end need not nest."""
    _STATE.set(dataclasses.replace(_STATE.get(), tapes=tapes))
