"""`CSVLogger`: the logs of all epochs as a table in a file."""

import csv
import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from distkeras.callbacks.callback import Callback
from distkeras.saving.once import write_once

__all__ = ["CSVLogger"]


class CSVLogger(Callback):
    """Writes the logs of each epoch as a line of a CSV file, when the epoch ends.

    Rank 0 writes; a failure is raised on all ranks.

    Args:
        filename: the file.
        separator: between two values of a line.
        append: whether to go on with an existing file instead of replacing it.

    Raises:
        OSError: during training, where the file cannot be written.

    Example:
        >>> CSVLogger("log.csv", separator=";").append
        False
    """

    def __init__(self, filename: str | os.PathLike, separator: str = ",", append: bool = False):
        super().__init__()
        self.sep = separator
        self.filename = os.fspath(filename)
        self.append = append
        self.keys: list[str] | None = None
        self.csv_file: Any = None
        self._writer: Any = None

    def on_train_begin(self, logs=None):
        self.keys = None
        self._writer = None
        write_once(self.filename, self._open)

    def _open(self) -> None:
        self._close()
        self.csv_file = open(  # noqa: SIM115 - it stays open until the training ends
            self.filename, "a" if self.append else "w", newline="", encoding="utf-8"
        )

    def on_epoch_end(self, epoch, logs=None):
        logs = logs or {}
        if self.keys is None:
            self.keys = sorted(logs)
            if self.keys and not any(key.startswith("val_") for key in self.keys):
                # Validation may come later; the header is written only once.
                self.keys += [f"val_{key}" for key in self.keys]
        write_once(self.filename, lambda: self._write(epoch, logs))

    def _write(self, epoch: int, logs: dict) -> None:
        keys = self.keys or []
        if self._writer is None:
            self._writer = csv.DictWriter(
                self.csv_file, fieldnames=["epoch", *keys], delimiter=self.sep
            )
            if self.csv_file.tell() == 0:
                self._writer.writeheader()
        self._writer.writerow({"epoch": epoch, **{k: _cell(logs.get(k, "NA")) for k in keys}})
        self.csv_file.flush()

    def on_train_end(self, logs=None):
        self._close()

    def _close(self) -> None:
        if self.csv_file is not None:
            self.csv_file.close()
        self.csv_file = self._writer = None


def _cell(value: Any) -> Any:
    """A value as it is written: what has several numbers becomes one quoted cell."""
    several = isinstance(value, Iterable) and not isinstance(value, str) and np.ndim(value) > 0  # type: ignore[arg-type]
    return f'"[{", ".join(map(str, value))}]"' if several else value
