"""The state of a run that records checkpoints: where a checkpoint is asked for.

What records them registers a function here; who needs one now, such as the end of a step at which
the ranks agreed to end the job, calls `checkpoint_now`.
"""

from collections.abc import Callable
from typing import Any

__all__ = ["checkpoint_now", "register"]

_writer: Callable[[Any], str | None] | None = None


def register(writer: Callable[[Any], str | None] | None) -> None:
    """Name the function that writes a checkpoint of the run, or None for no longer any.

    Args:
        writer: takes the model whose step has just ended; returns where the checkpoint is, in
            words, when it is complete, or None where nothing was to be saved. All ranks call it at
            the same place, so it may be collective.

    Example:
        >>> register(lambda model: "runs/example/step-7")
        >>> checkpoint_now(None)
        'runs/example/step-7'
        >>> register(None)
    """
    global _writer
    _writer = writer


def checkpoint_now(model: Any) -> str | None:
    """Write a checkpoint, if the run records any; a collective call.

    Args:
        model: the model whose step of `fit`, `evaluate` or `predict` has just ended. A validation
            within `fit` is an `evaluate`.

    Returns:
        Where the checkpoint is, or None where none was written.

    Example:
        >>> checkpoint_now(None) is None
        True
    """
    return None if _writer is None else _writer(model)
