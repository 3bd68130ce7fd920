"""A callback."""

import time

from distkeras.callbacks import Callback


class EpochTimer(Callback):
    """Measures epochs.

    Attributes:
        seconds: the wall-clock seconds of each epoch so far.
    """

    def __init__(self):
        super().__init__()
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        """Start the clock."""
        self._begin = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        """Stop it."""
        self.seconds.append(time.perf_counter() - self._begin)
