"""`Callback`: the events of training."""

from typing import Any

__all__ = ["Callback"]


class Callback:
    """Code that runs at events of `fit`, `evaluate` and `predict`: override the events that matter.

    On several ranks every rank runs it, with the same logs, which are those of all rows. (Where it
    runs on one rank only, the logs of a batch are those of that rank's rows.)

    Attributes:
        params: `{"verbose", "epochs", "steps"}` of the running call; `"resumed"` is true in a `fit`
            that goes on from a checkpoint of the run.
        model: the model.
        runs_on: `"all"` (each rank runs it, the default) or a rank's number: then it runs there
            only, and everything within it is local to that rank.

    Example:
        >>> class Print(Callback):
        ...     def on_epoch_end(self, epoch, logs=None):
        ...         print(epoch, sorted(logs))
        >>> Print().on_epoch_end(0, {"loss": 1.0})
        0 ['loss']
    """

    runs_on: str | int = "all"
    # Whether the logs of batches are looked at: those of several ranks are joined for it.
    _reads_batch_logs = True

    def __init__(self):
        self.params: dict = {}
        self._model: Any = None

    @property
    def model(self):
        """The model that is trained, evaluated or asked."""
        return self._model

    def set_params(self, params: dict) -> None:
        """Take `{"verbose", "epochs", "steps"}`."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Take the model."""
        self._model = model

    def get_state(self) -> Any:
        """What a checkpoint of the run keeps of the callback; `None`, the default, for nothing.

        `None`, booleans, numbers, strings, NumPy arrays, and lists, tuples and dicts of them. Where
        the callback runs on all ranks it is asked on rank 0.
        """
        return None

    def set_state(self, state: Any) -> None:
        """Take over what `get_state` answered in the run that is resumed; on every rank on which
        the callback runs, after `on_train_begin` and, within an epoch, after `on_epoch_begin`."""

    def on_train_begin(self, logs=None):
        """Before the first epoch."""

    def on_train_end(self, logs=None):
        """After the last epoch; `logs` are those of that epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        """Before an epoch."""

    def on_epoch_end(self, epoch, logs=None):
        """After an epoch and its validation; `logs` hold the metrics and, with a `val_` prefix,
        those of validation. What a callback adds to `logs` is seen by those behind it."""

    def on_batch_begin(self, batch, logs=None):
        """Another name of `on_train_batch_begin`."""

    def on_batch_end(self, batch, logs=None):
        """Another name of `on_train_batch_end`."""

    def on_train_batch_begin(self, batch, logs=None):
        """Before a training step."""
        self.on_batch_begin(batch, logs=logs)

    def on_train_batch_end(self, batch, logs=None):
        """After a training step; `logs` hold the metrics of the epoch so far."""
        self.on_batch_end(batch, logs=logs)

    def on_test_begin(self, logs=None):
        """Before an evaluation."""

    def on_test_end(self, logs=None):
        """After an evaluation."""

    def on_test_batch_begin(self, batch, logs=None):
        """Before a batch of an evaluation."""

    def on_test_batch_end(self, batch, logs=None):
        """After a batch of an evaluation."""

    def on_predict_begin(self, logs=None):
        """Before a prediction."""

    def on_predict_end(self, logs=None):
        """After a prediction."""

    def on_predict_batch_begin(self, batch, logs=None):
        """Before a batch of a prediction."""

    def on_predict_batch_end(self, batch, logs=None):
        """After a batch of a prediction; `logs["outputs"]` are the outputs of the whole batch."""
