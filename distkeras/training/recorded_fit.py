"""`Fit`: what a recorder does in one `fit`: when a checkpoint is due, what it holds, and how it is
taken up."""

import time
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from distkeras.distribution import collectives, requests
from distkeras.distribution.world import world
from distkeras.errors import CheckpointError
from distkeras.saving.packing import from_bytes, pack, to_bytes, unpack
from distkeras.training import snapshot

if TYPE_CHECKING:
    from distkeras.training.recorder import Recorder

__all__ = ["Fit", "end_name"]


def end_name(fit: int) -> str:
    """The name of the checkpoint of a fit's end; `fit` counts from 0, names count from 1."""
    return f"fit{fit + 1:03d}-end"


class Fit:
    """One `fit` of a recorded run.

    Attributes:
        ordinal: number among the program's fits, from 0.
        state: what is taken up, or `None`.
        finished: whether that is an end state.
        epoch, step: the epoch to go on with, and how many of its steps are done.
        epoch_logs: those of the epoch before.
        can_save: whether this is a moment that a checkpoint can describe: between steps or epochs,
            or in an epoch's validation.
    """

    def __init__(self, recorder: "Recorder", ordinal: int, number: int, model: Any, strategy: Any):
        self.recorder = recorder
        self.ordinal = ordinal
        self.number = number
        self.model = model
        self.strategy = strategy
        self.total = 0
        self.can_save = False
        self.epoch = self.step = 0
        self.epoch_logs: dict = {}
        self._logs: Any = None
        self._held: dict[str, Any] | None = None
        self._data: Any = None
        self._validation: Any = None
        self._callbacks: list = []
        self._epochs = 0
        recorder.where = (ordinal, 0, 0)
        found = recorder.state_of(ordinal)
        self.state: dict[str, Any] | None
        self.state, self._path = found or (None, "")
        self.finished = bool(self.state and self.state["finished"])
        if self.state:
            self.epoch, self.step = self.state["epoch"], self.state["step"]
            self.total = self.state["total"]

    @property
    def resumes(self) -> bool:
        """Whether the fit goes on where another process left it."""
        return self.state is not None and not self.finished

    def leave(self) -> None:
        """The fit has ended, in whatever way."""
        self.recorder.leave()

    def attach(self, data: Any, validation: Any, callbacks: Any, epochs: int) -> None:
        """Take what the fit works with."""
        self._data, self._validation = data, validation
        self._callbacks = list(snapshot.pairs_with_state(callbacks.callbacks))
        self._epochs = epochs
        if self.resumes:
            callbacks.set_params({**callbacks.params, "resumed": True})
        data.remember()
        if validation is not None:
            validation.remember()

    # --- taking up ---

    def needs_a_step(self) -> bool:
        """Whether the model has yet to make variables that were saved."""
        return self.state is not None and snapshot.is_smaller(self.model, self.state)

    def check(self) -> None:
        """Compare model and data with the saved ones.

        Raises:
            CheckpointError: where they differ.
        """
        if self.state is None:
            return
        if self.state["number"] != self.number:
            raise CheckpointError(
                f"The fit {self.ordinal + 1} of the checkpoint {self._path} trained the program's "
                f"model {self.state['number'] + 1}; here it trains model {self.number + 1} "
                "(counted in the order of their first fit). Resume with the program that wrote "
                "it, or start anew without --resume."
            )
        snapshot.check(self.model, self.state, self._path)
        old, new = self.state["data"]["description"], self._data.description()
        different = [
            f"{key}: {old.get(key)} in the checkpoint, {new.get(key)} here"
            for key in {**old, **new}
            if old.get(key) != new.get(key)
        ]
        snapshot.raise_differences("The training data", different, self._path)

    def restore(self) -> Any:
        """Put everything back.

        Returns:
            What the last step returned, where steps of the epoch are done.
        """
        state = self.state
        assert state is not None
        if self.finished and self._epochs > state["epochs"] and self.strategy.rank == 0:
            warnings.warn(
                f"The fit {self.ordinal + 1} of this program had finished with "
                f"epochs={state['epochs']} in {self._path}: it is not trained any further, "
                f"although the program now asks for epochs={self._epochs}.",
                stacklevel=4,
            )
        position = state["data"]["position"]
        if state["finished"] and not getattr(self._data, "is_once", False):
            position = {**position, "taken": 0}  # nothing is read from it any more
        self._data.resume(position)
        if self._validation is not None and state["validation"] is not None:
            self._validation.resume(state["validation"])
        snapshot.restore_global(self.model, state)
        size = self.strategy.size
        ranks = [from_bytes(each.tobytes()) for each in state["ranks"]]
        own = ranks[self.strategy.rank]["callbacks"] if len(ranks) == size else {}
        for key, callback in self._callbacks:
            saved = state["callbacks"].get(key)
            if _is_local(callback):
                saved = own.get(key)
            if saved is not None and _runs_here(callback):
                callback.set_state(saved)
        object.__setattr__(self.model, "stop_training", state["stop_training"])
        self.epoch_logs = state["epoch_logs"]
        self.can_save = True
        self.state = None  # its arrays are not needed any more
        return snapshot.restore_rank(self.model, ranks, size)

    # --- recording ---

    def enter(self) -> None:
        """A step begins, or the events at an epoch's end: until `ask` nothing can be saved."""
        self.can_save = False

    def hold(self) -> None:
        """The steps of an epoch are done: keep the metrics, which validation uses for itself."""
        self._held = snapshot.rank_state(self.model)
        self.can_save = True

    def ask(self, epoch: int, step: int, logs: Any) -> None:
        """After a step or an epoch: ask the ranks for a checkpoint, where one is due.

        Args:
            epoch, step: where training goes on; `step` is 0 between epochs.
            logs: what the step returned; between epochs the epoch's logs.
        """
        self.can_save = True
        self.epoch, self.step, self._logs, self._held = epoch, step, logs, None
        if not step:
            self.epoch_logs = logs
        self.recorder.where = (self.ordinal, epoch, step)
        self.total += step > 0
        every = self.recorder.every
        if every is None:
            return
        if every.unit == "seconds":
            waited = time.monotonic() - self.recorder.last_write
            due = self.strategy.rank == 0 and waited >= every.number
        elif every.unit == "epochs":
            due = step == 0 and epoch % every.number == 0
        else:
            due = step > 0 and self.total % every.number == 0
        if due or self.recorder.has_failed:
            requests.ask(requests.CHECKPOINT)

    def finish(self, epoch_logs: dict) -> None:
        """The fit has ended: write its end state."""
        self.step, self.epoch_logs, self._held = 0, epoch_logs, None
        if self.recorder.every is not None:
            self.recorder.finish_writing()
            self.save(finished=True)
            self.recorder.finish_writing()

    def save(self, finished: bool = False) -> str:
        """Take the state of this moment and have it written; collective.

        Args:
            finished: whether the fit has ended.

        Returns:
            The checkpoint's name.
        """
        in_epoch = self.step > 0
        local: dict[str, Any] = {}
        shared: dict[str, Any] = {}
        for key, callback in self._callbacks:
            if _runs_here(callback):
                (local if _is_local(callback) else shared)[key] = callback.get_state()
        mine = {
            **(self._held or snapshot.rank_state(self.model)),
            "logs": snapshot.rank_logs(self._logs) if in_epoch else None,
            "callbacks": local,
        }
        stop = bool(self.model.stop_training)
        ranks, stops = _gather(to_bytes(mine, "what is saved of a step or a callback"), stop)
        self.recorder.last_write = time.monotonic()
        name = end_name(self.ordinal)
        if not finished:
            # An epoch's end comes after its last step.
            name = f"fit{self.ordinal + 1:03d}-step{self.total:010d}{'' if in_epoch else '-epoch'}"
        if self.strategy.rank:
            return name
        state = {
            "fit": self.ordinal,
            "number": self.number,
            "finished": finished,
            "epoch": self.epoch,
            "step": self.step,
            "total": self.total,
            "epochs": self._epochs,
            "stop_training": stops,
            "epoch_logs": self.epoch_logs,
            "callbacks": unpack(*pack(shared, "a callback's state", copy=True)),
            "data": {
                "description": self._data.description(),
                "position": self._data.position(self.epoch, self.step),
            },
            "validation": None if self._validation is None else self._validation.position(0, 0),
            "ranks": ranks,
            **snapshot.global_state(self.model),
        }
        about = {
            **self.recorder.about,
            **{key: state[key] for key in ("fit", "finished", "epoch", "step", "total")},
            "ranks": self.strategy.size,
            "model": getattr(self.model, "name", type(self.model).__name__),
        }
        self.recorder.write(name, pack(state), about)
        return name


def _is_local(callback: Any) -> bool:
    return getattr(callback, "runs_on", "all") != "all"


def _runs_here(callback: Any) -> bool:
    where = getattr(callback, "runs_on", "all")
    return where == "all" or world().size == 1 or where == world().rank


def _gather(data: bytes, flag: bool) -> tuple[list[np.ndarray], bool]:
    """The bytes of every rank, in rank order, and whether any has set the flag."""
    told = collectives.all_gather(np.array([[len(data), flag]]))
    ends = np.cumsum(told[:, 0])
    return np.split(collectives.all_gather(np.frombuffer(data, np.uint8)), ends[:-1]), bool(
        told[:, 1].any()
    )
