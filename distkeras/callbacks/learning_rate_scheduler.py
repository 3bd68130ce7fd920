"""`LearningRateScheduler`: a learning rate for each epoch."""

import inspect
from collections.abc import Callable

import numpy as np

from distkeras.callbacks.callback import Callback
from distkeras.callbacks.learning_rates import log_learning_rates, named_optimizers, rate_of
from distkeras.callbacks.messages import say
from distkeras.errors import ArgumentError

__all__ = ["LearningRateScheduler"]


class LearningRateScheduler(Callback):
    """Asks a function for the learning rate at the start of each epoch.

    Args:
        schedule: `schedule(epoch, rate)` or `schedule(epoch)`, with the number of the epoch from 0
            and the rate so far; returns the new rate, a float.
        verbose: 0 silent, 1 says what it does.

    Raises:
        ArgumentError: at an epoch's start, where the schedule's answer is no float.

    Example:
        >>> LearningRateScheduler(lambda epoch, rate: rate * 0.9).verbose
        0
    """

    def __init__(self, schedule: Callable, verbose: int = 0):
        super().__init__()
        self.schedule = schedule
        self.verbose = verbose

    def on_epoch_begin(self, epoch, logs=None):
        for name, optimizer in named_optimizers(self.model):
            rate = self._rate(epoch, rate_of(optimizer))
            optimizer.learning_rate = rate
            if self.verbose > 0:
                say(
                    f"\nEpoch {epoch + 1}: LearningRateScheduler setting "
                    f"{name + ' ' if name else ''}learning rate to {rate}."
                )

    def _rate(self, epoch: int, old: float) -> float:
        rate = self.schedule(epoch, old) if self._takes_two() else self.schedule(epoch)
        if not isinstance(rate, float | np.float32 | np.float64):
            raise ArgumentError(
                f"The output of the `schedule` function should be a float. Got: {rate}"
            )
        return float(rate)

    def _takes_two(self) -> bool:
        try:
            inspect.signature(self.schedule).bind(0, 0.0)
        except TypeError:
            return False
        except ValueError:  # a built-in function that does not tell
            return True
        return True

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            log_learning_rates(self.model, logs)
