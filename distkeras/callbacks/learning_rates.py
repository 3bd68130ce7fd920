"""Learning rates as callbacks see them, of one optimizer or of several."""

from collections.abc import Iterator
from typing import Any

from distkeras.errors import ArgumentError

__all__ = ["log_learning_rates", "named_optimizers", "rate_of"]


def named_optimizers(model: Any) -> Iterator[tuple[str, Any]]:
    """The optimizers of a model that have a learning rate, each with a name to tell it by.

    Args:
        model: a compiled model.

    Yields:
        `("", optimizer)`, or a name and an optimizer for each of several.

    Raises:
        ArgumentError: where the model has no optimizer with a learning rate.
    """
    optimizer = model.optimizer
    several = getattr(optimizer, "optimizers", None)
    for each in several if several is not None else (optimizer,):
        if not hasattr(each, "learning_rate"):
            raise ArgumentError(
                'Optimizer must have a "learning_rate" attribute; the model is compiled with '
                f"{optimizer!r}."
            )
        yield (each.name if several is not None else ""), each


def rate_of(optimizer: Any) -> float:
    """An optimizer's learning rate, a Python number."""
    rate = optimizer.learning_rate
    return float(rate.numpy() if hasattr(rate, "numpy") else rate)


def log_learning_rates(model: Any, logs: dict) -> None:
    """Add `learning_rate` (or `learning_rate_NAME` for each of several) to the logs."""
    for name, optimizer in named_optimizers(model):
        logs[f"learning_rate_{name}" if name else "learning_rate"] = rate_of(optimizer)
