"""The arguments of `fit` that count epochs."""

from typing import Any

import numpy as np

from distkeras.errors import ArgumentError

__all__ = ["check_epochs", "is_due"]


def check_epochs(epochs: Any, initial_epoch: Any, validation_freq: Any) -> None:
    """Raise where the arguments of `fit` that count epochs make no sense.

    Args:
        epochs, initial_epoch, validation_freq: see `fit`.

    Raises:
        ArgumentError: where one is outside its domain.
    """
    for name, value in (("epochs", epochs), ("initial_epoch", initial_epoch)):
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 0:
            raise ArgumentError(f"`{name}` must be an integer of at least 0, got {value!r}.")
    number = isinstance(validation_freq, int) and validation_freq >= 1
    if not number and not isinstance(validation_freq, list | tuple | set | range):
        raise ArgumentError(
            "Expected `validation_freq` to be a list or a positive int. Received: "
            f"validation_freq={validation_freq} of the type {type(validation_freq)}."
        )


def is_due(epoch: int, validation_freq: Any) -> bool:
    """Whether an epoch is followed by a validation.

    Args:
        epoch: its number, from 0.
        validation_freq: see `fit`.

    Example:
        >>> [is_due(epoch, 2) for epoch in range(4)]
        [False, True, False, True]
    """
    if isinstance(validation_freq, int):
        return (epoch + 1) % validation_freq == 0
    return epoch + 1 in validation_freq
