"""`ModelCheckpoint`: saves the model as training goes on."""

import errno
import os
import warnings
from typing import Any

import numpy as np

from distkeras.callbacks.messages import say
from distkeras.callbacks.monitor import MonitorCallback
from distkeras.errors import ArgumentError, UnknownFieldError, UnwritableFileError
from distkeras.saving.once import do_once
from distkeras.utils.files import make_directory

__all__ = ["ModelCheckpoint"]

_STATE = ("best", "_current_epoch", "_batches_since_saving", "_last_batch")


class ModelCheckpoint(MonitorCallback):
    """Saves the model, or its weights, after epochs or after a number of batches.

    On several ranks all decide alike, rank 0 writes, and a failure is raised on all ranks. Files
    appear whole or not at all; missing directories are created.

    Args:
        filepath: ends in `.keras` (`.h5` too), or `.weights.h5` with `save_weights_only`; may hold
            fields such as `{epoch:02d}` (from 1), `{batch}` and names of the logs.
        monitor: the value's name in the logs, default `"val_loss"`.
        verbose: 0 silent, 1 says what it does.
        save_best_only: whether to save only when the value is better than ever.
        save_weights_only: whether to save the weights without the architecture.
        mode: `"min"`, `"max"` or `"auto"`; see `MonitorCallback`.
        save_freq: `"epoch"`, or after how many batches.
        initial_value_threshold: the value to beat at first.

    Raises:
        ArgumentError: for a wrong ending or `save_freq`.
        OSError: during training, where a file cannot be written.

    Example:
        >>> ModelCheckpoint("runs/{epoch:02d}-{val_loss:.2f}.keras", save_best_only=True).save_freq
        'epoch'
    """

    _reads_batch_logs = False

    def __init__(
        self,
        filepath: str | os.PathLike,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ):
        super().__init__(monitor, mode, initial_value_threshold)
        self.filepath = os.fspath(filepath)
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.save_freq: Any = save_freq
        self._current_epoch = 0
        self._batches_since_saving = 0
        self._last_batch: Any = None
        if save_freq != "epoch" and (not isinstance(save_freq, int) or save_freq < 1):
            raise ArgumentError(
                f"Unrecognized save_freq: {save_freq}. Expected save_freq are 'epoch' or positive "
                "integer values"
            )
        if save_weights_only and not self.filepath.endswith(".weights.h5"):
            raise ArgumentError(
                "When using `save_weights_only=True` in `ModelCheckpoint`, the filepath provided "
                f"must end in `.weights.h5`. Received: filepath={self.filepath}"
            )
        if not save_weights_only and not self.filepath.endswith((".keras", ".h5")):
            raise ArgumentError(
                "The filepath provided must end in `.keras` (Keras model format). Received: "
                f"filepath={self.filepath}"
            )

    def get_state(self):
        return {name: getattr(self, name) for name in _STATE}

    def set_state(self, state):
        for name in _STATE:
            setattr(self, name, state[name])

    def on_epoch_begin(self, epoch, logs=None):
        self._current_epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.save_freq != "epoch" and self._is_due(batch):
            # A batch's logs are those of one rank; all ranks must decide alike.
            self._save(self._current_epoch, batch, self.model.global_logs(logs or {}))

    def on_epoch_end(self, epoch, logs=None):
        if self.save_freq == "epoch":
            self._save(epoch, None, logs or {})

    def _is_due(self, batch: int) -> bool:
        """Count the batches since the last one that was seen: an epoch starts again from 0."""
        new_epoch = self._last_batch is None or batch <= self._last_batch
        self._batches_since_saving += batch + 1 if new_epoch else batch - self._last_batch
        self._last_batch = batch
        if self._batches_since_saving < self.save_freq:
            return False
        self._batches_since_saving = 0
        return True

    def _save(self, epoch: int, batch: int | None, logs: dict) -> None:
        path = self._path(epoch, batch, logs)
        if not self._should_save(epoch, logs, path):
            return
        folder = os.path.dirname(path)
        if folder:
            do_once(lambda: make_directory(folder), f"create the directory {folder}")
        try:
            if self.save_weights_only:
                self.model.save_weights(path, overwrite=True)
            else:
                self.model.save(path, overwrite=True)
        except OSError as error:
            if error.errno != errno.EISDIR:
                raise
            raise UnwritableFileError(
                errno.EISDIR,
                "Please specify a non-directory filepath for ModelCheckpoint. Filepath used is an "
                f"existing directory: {path}",
            ) from error
        if self.verbose > 0:
            say(f"\nEpoch {epoch + 1}: finished saving model to {path}")

    def _path(self, epoch: int, batch: int | None, logs: dict) -> str:
        fields = {"epoch": epoch + 1, **({} if batch is None else {"batch": batch + 1}), **logs}
        try:
            return self.filepath.format(**fields)
        except KeyError as error:
            raise UnknownFieldError(
                f'Failed to format this callback filepath: "{self.filepath}". Reason: {error}. '
                f"Known here: {', '.join(fields)}."
            ) from error

    def _should_save(self, epoch: int, logs: dict, path: str) -> bool:
        if not self.save_best_only:
            if self.verbose > 0:
                say(f"\nEpoch {epoch + 1}: saving model to {path}")
            return True
        current: Any = logs.get(self.monitor)
        if current is None:
            warnings.warn(f"Can save best model only with {self.monitor} available.", stacklevel=2)
            return True
        if np.ndim(current) > 0:
            warnings.warn(
                "Can save best model only when `monitor` is a scalar value. Received: "
                f"{current}. Falling back to `save_best_only=False`.",
                stacklevel=2,
            )
            return True
        better = self._is_improvement(current, self.best)
        before = "None" if self.best is None else f"{self.best:.5f}"
        if self.verbose > 0:
            say(
                f"\nEpoch {epoch + 1}: {self.monitor} improved from {before} to {current:.5f}, "
                f"saving model to {path}"
                if better
                else f"\nEpoch {epoch + 1}: {self.monitor} did not improve from {before}"
            )
        if better:
            self.best = current
        return better
