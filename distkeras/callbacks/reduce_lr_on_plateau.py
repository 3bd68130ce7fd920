"""`ReduceLROnPlateau`: smaller steps when larger ones no longer help."""

import warnings

import numpy as np

from distkeras.callbacks.learning_rates import log_learning_rates, named_optimizers, rate_of
from distkeras.callbacks.messages import say
from distkeras.callbacks.monitor import MonitorCallback
from distkeras.errors import ArgumentError

__all__ = ["ReduceLROnPlateau"]


class ReduceLROnPlateau(MonitorCallback):
    """Multiplies the learning rate by a factor when a value has stopped becoming better.

    Args:
        monitor: the value's name in the logs, default `"val_loss"`.
        factor: the new rate is `rate * factor`; below 1.
        patience: epochs without a better value after which the rate is reduced.
        verbose: 0 silent, 1 says what it does.
        mode: `"min"`, `"max"` or `"auto"`; see `MonitorCallback`.
        min_delta: how much better a value must be to count, in its unit.
        cooldown: epochs after a reduction during which nothing is counted.
        min_lr: the rate is never reduced below it.
        **kwargs: accepted for Keras's sake.

    Raises:
        ArgumentError: for a factor of 1 or more.

    Example:
        >>> ReduceLROnPlateau(monitor="loss", factor=0.5, patience=2).factor
        0.5
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
        **kwargs,
    ):
        super().__init__(monitor, mode, min_delta=min_delta)
        if factor >= 1.0:
            raise ArgumentError(
                f"ReduceLROnPlateau does not support a factor >= 1.0. Received factor={factor}"
            )
        self.factor = factor
        self.patience = patience
        self.verbose = verbose
        self.cooldown = cooldown
        self.min_lr = min_lr
        self.cooldown_counter = 0
        self.wait = 0

    def on_train_begin(self, logs=None):
        self.best = None
        self.cooldown_counter = 0
        self.wait = 0

    def get_state(self):
        return {"best": self.best, "cooldown": self.cooldown_counter, "wait": self.wait}

    def set_state(self, state):
        self.best, self.wait = state["best"], state["wait"]
        self.cooldown_counter = state["cooldown"]

    def on_epoch_end(self, epoch, logs=None):
        if self.monitor_op is None:
            self._set_monitor_op()
        logs = {} if logs is None else logs
        log_learning_rates(self.model, logs)
        current = logs.get(self.monitor)
        if current is None:
            warnings.warn(
                f"Learning rate reduction is conditioned on metric `{self.monitor}` which is not "
                f"available. Available metrics are: {','.join(logs)}.",
                stacklevel=2,
            )
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self._is_improvement(current, self.best):
            self.best = current
            self.wait = 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience and self._reduce(epoch):
                self.cooldown_counter = self.cooldown
                self.wait = 0

    def in_cooldown(self) -> bool:
        """Whether a reduction happened less than `cooldown` epochs ago."""
        return self.cooldown_counter > 0

    def _reduce(self, epoch: int) -> bool:
        """Reduce the rates that are above `min_lr`; whether there was one."""
        reduced = False
        for name, optimizer in named_optimizers(self.model):
            old = rate_of(optimizer)
            if old <= np.float32(self.min_lr):
                continue
            new = max(old * self.factor, self.min_lr)
            optimizer.learning_rate = new
            reduced = True
            if self.verbose > 0:
                say(
                    f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing {name + ' ' if name else ''}"
                    f"learning rate to {new}."
                )
        return reduced
