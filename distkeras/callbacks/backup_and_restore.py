"""`BackupAndRestore`: a training that was interrupted goes on where it stopped."""

import json
import os
import shutil

import numpy as np

from distkeras.callbacks.callback import Callback
from distkeras.callbacks.messages import say
from distkeras.distribution.collectives import broadcast
from distkeras.distribution.world import world
from distkeras.errors import ArgumentError, NotBuiltError, SavingError
from distkeras.saving.once import do_once, write_once
from distkeras.training.run_state import is_recording
from distkeras.utils.files import atomic_write, make_directory

__all__ = ["BackupAndRestore"]


class BackupAndRestore(Callback):
    """Saves weights and the optimizer's state as training goes on, and starts from what it finds.

    Rank 0 writes and reads; all ranks take what it read. When training ends well the backup is
    deleted. Where the launcher writes checkpoints of the run (`--checkpoint-every`) this callback
    leaves it to them, says so once, and does nothing.

    Args:
        backup_dir: a directory for this training alone.
        save_freq: `"epoch"`, or after how many batches. Training goes on at an epoch's start.
        double_checkpoint: whether to keep the backup before the newest one too.
        delete_checkpoint: whether to delete the directory when training has ended.

    Raises:
        ArgumentError: for an empty `backup_dir` or a wrong `save_freq`.
        NotBuiltError: at the start of training, where the model is not built.
        OSError: during training, where the backup cannot be written.

    Example:
        >>> BackupAndRestore("backup").save_freq
        'epoch'
    """

    _reads_batch_logs = False

    def __init__(
        self,
        backup_dir: str | os.PathLike,
        save_freq: str | int = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ):
        super().__init__()
        if not backup_dir:
            raise ArgumentError("Empty `backup_dir` argument passed")
        if save_freq != "epoch" and (not isinstance(save_freq, int) or save_freq < 1):
            raise ArgumentError(
                f"Invalid value for argument `save_freq`. Received: save_freq={save_freq}. "
                "Expected either 'epoch' or a positive integer value."
            )
        self.backup_dir = os.fspath(backup_dir)
        self.save_freq = save_freq
        self.double_checkpoint = double_checkpoint
        self.delete_checkpoint = delete_checkpoint
        self._weights = os.path.join(self.backup_dir, "latest.weights.h5")
        self._position = os.path.join(self.backup_dir, "training_metadata.json")
        self._epoch = 0
        self._batch = 0
        self._batches_since_saving = 0
        self._defers = False

    def on_train_begin(self, logs=None):
        if is_recording():
            if not self._defers:
                say(f"BackupAndRestore: the launcher writes checkpoints; {self.backup_dir} is idle")
            self._defers = True
            return
        if not self.model.built:
            raise NotBuiltError(
                "To use the BackupAndRestore callback, your model must be built before you call "
                f"`fit()`. Model {self.model} is unbuilt. You can build it beforehand by calling "
                "it on a batch of data."
            )
        optimizer = self.model.optimizer
        if optimizer is not None and not optimizer.built:
            optimizer.build(self.model.trainable_variables)
        do_once(self._restore, f"restore the backup in {self.backup_dir}")
        if world().size > 1:
            self._epoch = int(broadcast(np.array([self._epoch]))[0])
            for v in (*self.model.variables, *(optimizer.variables if optimizer else ())):
                v.assign(broadcast(v.numpy()))
        if self._epoch:
            self.model._initial_epoch = self._epoch

    def _restore(self) -> None:
        self._epoch = 0
        for suffix in ("", ".bkp"):
            weights, position = self._weights + suffix, self._position + suffix
            if not os.path.exists(weights):
                continue
            try:
                self.model.load_weights(self._named(weights))
            except (OSError, SavingError):  # damaged: the one before it may be whole
                if suffix or not os.path.exists(f"{self._weights}.bkp"):
                    raise
                continue
            if os.path.exists(position):
                with open(position, encoding="utf-8") as file:
                    self._epoch = int(json.load(file)["epoch"])
            return

    def _named(self, path: str) -> str:
        """A path with the ending by which weights are known."""
        if not path.endswith(".bkp"):
            return path
        shutil.copyfile(path, self._weights)
        return self._weights

    def on_epoch_end(self, epoch, logs=None):
        if self._defers:
            return
        self._epoch, self._batch = epoch + 1, 0
        if self.save_freq == "epoch":
            self._save()

    def on_train_batch_end(self, batch, logs=None):
        if self.save_freq == "epoch" or self._defers:
            return
        self._batches_since_saving += 1
        self._batch = batch
        if self._batches_since_saving >= self.save_freq:
            self._batches_since_saving = 0
            self._save()

    def _save(self) -> None:
        do_once(self._prepare, f"write into {self.backup_dir}")
        self.model.save_weights(self._weights, overwrite=True)
        write_once(self._position, self._write_position)

    def _prepare(self) -> None:
        make_directory(self.backup_dir)
        if self.double_checkpoint:
            for path in (self._weights, self._position):
                if os.path.exists(path):
                    shutil.copyfile(path, f"{path}.bkp")

    def _write_position(self) -> None:
        with atomic_write(self._position) as file:
            file.write(json.dumps({"epoch": self._epoch, "batch": self._batch}).encode())

    def on_train_end(self, logs=None):
        if self.delete_checkpoint and not self._defers:
            do_once(
                lambda: shutil.rmtree(self.backup_dir, ignore_errors=True),
                f"delete {self.backup_dir}",
            )
