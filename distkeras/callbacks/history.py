"""`History`: the logs of all epochs."""

from distkeras.callbacks.callback import Callback

__all__ = ["History"]


class History(Callback):
    """Keeps the logs of each epoch; `fit` returns one.

    Attributes:
        epoch: the epochs' numbers.
        history: metric name -> its value in each epoch.

    Example:
        >>> h = History()
        >>> h.on_train_begin(); h.on_epoch_end(0, {"loss": 1.5})
        >>> h.history
        {'loss': [1.5]}
    """

    def __init__(self):
        super().__init__()
        self.history: dict[str, list] = {}
        self.epoch: list[int] = []

    def on_train_begin(self, logs=None):
        self.epoch = []

    def get_state(self):
        return {"epoch": self.epoch, "history": self.history}

    def set_state(self, state):
        self.epoch, self.history = state["epoch"], state["history"]

    def on_epoch_end(self, epoch, logs=None):
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
