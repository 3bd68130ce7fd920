"""The state of a run that records checkpoints: where a checkpoint is asked for.

What records them registers a function here; who needs one now, such as the end of a step at which
the ranks agreed to end the job, calls `checkpoint_now`. The launcher names a recorder
(`training/recorder.py`), of which `fit` asks for a part in it. Without one nothing here costs
anything: a `fit` asks once.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distkeras.training.recorded_fit import Fit
    from distkeras.training.recorder import Recorder

__all__ = [
    "begin",
    "checkpoint_now",
    "checkpoint_soon",
    "is_recording",
    "record",
    "register",
    "where",
]

_writer: Callable[[Any], str | None] | None = None
_recorder: "Recorder | None" = None


def record(recorder: "Recorder | None") -> None:
    """Have a recorder take part in every `fit` from now on, and write what is asked for; `None`
    ends that."""
    global _recorder
    _recorder = recorder
    register(None if recorder is None else recorder.checkpoint_now)


def begin(model: Any, strategy: Any) -> "Fit | None":
    """The part that the recorder takes in a `fit`, or `None`."""
    return None if _recorder is None else _recorder.begin(model, strategy)


def is_recording() -> bool:
    """Whether the launcher writes checkpoints of this run.

    Example:
        >>> is_recording()
        False
    """
    return _recorder is not None and _recorder.every is not None


def where() -> tuple[int, int, int] | None:
    """The running or last `fit`, its epoch and its step, all from 0; `None` before the first."""
    return None if _recorder is None else _recorder.where


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


def checkpoint_soon(model: Any) -> None:
    """Take the state of this moment, and have it written while the training goes on; collective.

    Args:
        model: as for `checkpoint_now`.

    Raises:
        UnwritableFileError: on all ranks, where the checkpoint before could not be written.
    """
    if _recorder is not None:
        _recorder.checkpoint_soon()
    else:
        checkpoint_now(model)
