"""`CSVLogger`: the logs of all epochs as a table in a file."""

import csv
import io
import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from distkeras.callbacks.callback import Callback
from distkeras.saving.once import write_once
from distkeras.utils.files import unwritable

__all__ = ["CSVLogger"]


class CSVLogger(Callback):
    """Writes the logs of each epoch as a line of a CSV file, when the epoch ends.

    Rank 0 writes; a failure is raised on all ranks.

    Args:
        filename: the file.
        separator: between two values of a line.
        append: whether to go on with an existing file instead of replacing it.

    Raises:
        UnwritableFileError: when training begins, or an epoch ends, where the file cannot be
            written; it then holds the whole lines that it held before.

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

    def on_train_begin(self, logs=None):
        self.keys = None
        write_once(self.filename, self._open)

    def _open(self) -> None:
        self._close()
        kept = self.append or self.params.get("resumed", False)
        try:
            # Without a buffer, a line that does not fit on the disk can be taken back.
            mode = "ab" if kept else "wb"
            self.csv_file = open(self.filename, mode, buffering=0)  # noqa: SIM115 - until the end
        except OSError as error:
            raise unwritable(self.filename, error) from error

    def get_state(self):
        return {"keys": self.keys, "bytes": self.csv_file.tell() if self.csv_file else None}

    def set_state(self, state):
        """Go on behind the lines of the checkpoint: later ones are written again."""
        self.keys = state["keys"]
        if self.csv_file is not None and state["bytes"] is not None:
            end = self.csv_file.seek(0, os.SEEK_END)
            if end > state["bytes"]:
                self.csv_file.truncate(state["bytes"])
                self.csv_file.seek(0, os.SEEK_END)

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
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, fieldnames=["epoch", *keys], delimiter=self.sep)
        end = self.csv_file.seek(0, os.SEEK_END)
        if end == 0:
            writer.writeheader()
        writer.writerow({"epoch": epoch, **{k: _cell(logs.get(k, "NA")) for k in keys}})
        data = text.getvalue().encode()
        try:
            while data:
                data = data[self.csv_file.write(data) :]
        except OSError as error:
            self.csv_file.truncate(end)
            raise unwritable(self.filename, error) from error

    def on_train_end(self, logs=None):
        self._close()

    def _close(self) -> None:
        if self.csv_file is not None:
            self.csv_file.close()
        self.csv_file = None


def _cell(value: Any) -> Any:
    """A value as it is written: what has several numbers becomes one quoted cell."""
    several = isinstance(value, Iterable) and not isinstance(value, str) and np.ndim(value) > 0  # type: ignore[arg-type]
    return f'"[{", ".join(map(str, value))}]"' if several else value
