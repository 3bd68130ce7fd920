"""`ProgbarLogger`: the progress bar of `fit`, `evaluate` and `predict`."""

import sys

from distkeras.callbacks.callback import Callback
from distkeras.callbacks.messages import say
from distkeras.distribution.world import world
from distkeras.utils.progbar import Progbar

__all__ = ["ProgbarLogger"]


class ProgbarLogger(Callback):
    """Shows progress and metrics; `fit` adds one where `verbose` is not 0. Rank 0 speaks.

    With `verbose="auto"` it draws a bar on a terminal and writes one line an epoch into files and
    pipes. While an epoch runs it shows the metrics of rank 0's rows, at its end those of all.
    """

    _reads_batch_logs = False

    def __init__(self):
        super().__init__()
        self.seen = 0
        self.progbar: Progbar | None = None
        self.target: int | None = None
        self.verbose = 1
        self.epochs = 1
        self._in_fit = False

    def set_params(self, params):
        super().set_params(params)
        verbose = params.get("verbose", 1)
        if verbose == "auto":
            terminal = hasattr(sys.stdout, "isatty") and sys.stdout.isatty()
            verbose = 1 if terminal else 2
        self.verbose = int(verbose) if world().rank == 0 else 0
        self.epochs = params.get("epochs", 1)
        self.target = params.get("steps")

    def _start(self):
        self.seen = 0
        self.progbar = Progbar(self.target, verbose=self.verbose, stateless_metrics=())

    def _show(self, batch, logs=None):
        self.seen = batch + 1
        if self.progbar is None:
            self._start()
        # Logs are read from the device only when they are drawn.
        values = list(logs.items()) if logs is not None and self.progbar.is_due() else None
        self.progbar.update(self.seen, values, finalize=False)

    def _finish(self, logs):
        if self.progbar is None:
            self._start()
        if self.target is None:  # known from now on
            self.target = self.progbar.target = self.seen
        self.progbar.update(self.seen, list((logs or {}).items()), finalize=True)

    def on_train_begin(self, logs=None):
        self._in_fit = True

    def on_epoch_begin(self, epoch, logs=None):
        if self.verbose and self.epochs > 1:
            say(f"Epoch {epoch + 1}/{self.epochs}")
        self._start()

    def on_train_batch_end(self, batch, logs=None):
        self._show(batch, logs)

    def on_epoch_end(self, epoch, logs=None):
        self._finish(logs)

    def on_train_end(self, logs=None):
        self._in_fit = False

    def on_test_begin(self, logs=None):
        if not self._in_fit:
            self._start()

    def on_test_batch_end(self, batch, logs=None):
        if not self._in_fit:
            self._show(batch, logs)

    def on_test_end(self, logs=None):
        if not self._in_fit:
            self._finish(logs)

    def on_predict_begin(self, logs=None):
        self._start()

    def on_predict_batch_end(self, batch, logs=None):
        self._show(batch)

    def on_predict_end(self, logs=None):
        self._finish(None)
