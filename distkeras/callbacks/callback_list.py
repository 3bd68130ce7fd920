"""`CallbackList`: passes events on to callbacks, in order, and to each on the ranks it runs on."""

from collections.abc import Callable
from typing import Any

from distkeras.callbacks.callback import Callback
from distkeras.distribution.world import alone, rank, size
from distkeras.errors import ArgumentError, DTypeError
from distkeras.utils import tree

__all__ = ["CallbackList"]

EVENTS = (
    "on_train_begin",
    "on_train_end",
    "on_epoch_begin",
    "on_epoch_end",
    "on_test_begin",
    "on_test_end",
    "on_predict_begin",
    "on_predict_end",
)
BATCH_EVENTS = (
    "on_batch_begin",
    "on_batch_end",
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_test_batch_begin",
    "on_test_batch_end",
    "on_predict_batch_begin",
    "on_predict_batch_end",
)
_SHORT = {"on_train_batch_begin": "on_batch_begin", "on_train_batch_end": "on_batch_end"}


class CallbackList(Callback):
    """Passes events to callbacks, in order.

    Args:
        callbacks: a callback, a list of them, or `None`.
        add_history: whether to add a `History` where there is none.
        add_progbar: whether to add a `ProgbarLogger` where there is none.
        model: the model.
        **params: `verbose`, `epochs`, `steps`.

    Raises:
        DTypeError: where something is no callback.
        ArgumentError: where a callback's `runs_on` is no rank.

    Example:
        >>> from distkeras.callbacks import LambdaCallback
        >>> events = CallbackList([LambdaCallback(on_train_begin=lambda logs: print("begin"))])
        >>> events.on_train_begin()
        begin
    """

    def __init__(
        self,
        callbacks: Any = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        **params: Any,
    ):
        super().__init__()
        self.callbacks = tree.flatten(callbacks) if callbacks is not None else []
        for c in self.callbacks:
            _check(c)
        self._add_defaults(add_history, add_progbar)
        # Only those that define a batch event are called for it: a step pays for nobody who does
        # not listen.
        self._listeners: dict[str, list[Callable]] = {event: [] for event in BATCH_EVENTS}
        for c in self.callbacks:
            self._listen(c)
        self.set_model(model)
        self.set_params(params)

    def _add_defaults(self, add_history: bool, add_progbar: bool) -> None:
        from distkeras.callbacks.history import History
        from distkeras.callbacks.progbar_logger import ProgbarLogger

        # They come last: what a callback adds to the logs of an epoch is recorded and shown.
        self._history = next((c for c in self.callbacks if isinstance(c, History)), None)
        if add_history and self._history is None:
            self._history = History()
            self.callbacks.append(self._history)
        if add_progbar and not any(isinstance(c, ProgbarLogger) for c in self.callbacks):
            self.callbacks.append(ProgbarLogger())

    def _listen(self, callback: Any) -> None:
        for event in BATCH_EVENTS:
            if _defines(callback, event) and _runs_here(callback):
                self._listeners[event].append(_bound(callback, event))

    def append(self, callback: Callback) -> None:
        """Add one callback."""
        _check(callback)
        self.callbacks.append(callback)
        self._listen(callback)

    def set_params(self, params: dict) -> None:
        self.params = params
        if params:
            for c in self.callbacks:
                c.set_params(params)

    def set_model(self, model: Any) -> None:
        if model is None:
            return
        super().set_model(model)
        if self._history is not None:
            model.history = self._history
        for c in self.callbacks:
            c.set_model(model)

    def listens(self, event: str) -> bool:
        """Whether any callback defines a batch event."""
        return bool(self._listeners[event])

    def wants_logs(self, event: str) -> bool:
        """Whether a callback that runs on all ranks may look at the logs of a batch event.

        Example:
            >>> CallbackList().wants_logs("on_train_batch_end")
            False
        """
        return any(
            _defines(c, event)
            and getattr(c, "runs_on", "all") == "all"
            and getattr(c, "_reads_batch_logs", True)
            for c in self.callbacks
        )


def _check(callback: Any) -> None:
    if isinstance(callback, type) or not hasattr(callback, "set_model"):
        raise DTypeError(
            "Expected `Callback` instances in `callbacks`, got "
            f"{type(callback).__qualname__}: {callback!r}."
        )
    where: Any = getattr(callback, "runs_on", "all")
    is_number = isinstance(where, int) and not isinstance(where, bool)
    # A process without others stands for every rank.
    known = is_number and where >= 0 and (size() == 1 or where < size())
    if where != "all" and not known:
        raise ArgumentError(
            f"{type(callback).__name__}.runs_on is {where!r}: expected 'all', or the number of one "
            f"of the {size()} ranks."
        )


def _runs_here(callback: Any) -> bool:
    """Whether this rank runs a callback; a process without others is every rank."""
    where = getattr(callback, "runs_on", "all")
    return where == "all" or size() == 1 or where == rank()


def _bound(callback: Any, event: str) -> Callable:
    """The method for an event, local to this rank where the callback runs on one rank only."""
    method = getattr(callback, event)
    if getattr(callback, "runs_on", "all") == "all":
        return method

    def local(*args, **kwargs):
        with alone():
            method(*args, **kwargs)

    return local


def _defines(callback: Any, event: str) -> bool:
    """Whether a callback does something at a batch event."""
    if not isinstance(callback, Callback):
        return hasattr(callback, event)
    kind, short = type(callback), _SHORT.get(event, event)
    return any(
        name in vars(callback) or getattr(kind, name) is not getattr(Callback, name)
        for name in (event, short)
    )


def _to_all(event: str):
    numbered = event.startswith("on_epoch")  # these take the epoch before the logs

    def passes(self, *args, logs=None):
        if len(args) == numbered:
            args = (*args, logs)
        if args[-1] is None:
            args = (*args[:-1], {})
        for c in self.callbacks:
            if _runs_here(c):
                _bound(c, event)(*args)

    passes.__name__ = event
    passes.__doc__ = f"Pass `{event}` on."
    return passes


def _to_listeners(event: str):
    def passes(self, batch, logs=None):
        logs = {} if logs is None else logs
        for listener in self._listeners[event]:
            listener(batch, logs=logs)

    passes.__name__ = event
    passes.__doc__ = f"Pass `{event}` on to those who listen."
    return passes


for _event in EVENTS:
    setattr(CallbackList, _event, _to_all(_event))
for _event in BATCH_EVENTS:
    setattr(CallbackList, _event, _to_listeners(_event))
