"""`Recorder`: writes checkpoints of a run as it goes on, and takes a run up where one was written.

How a run is recorded:
  a. Every `fit` of the program has an ordinal, every model too. A checkpoint is one of
     `fit000-step0000000500`, in the middle of a fit, and `fit000-end`, its end state, which stays
     as long as the run's directory, since what follows builds upon it.
  b. After each step, and after each epoch, each rank says whether it wants a checkpoint, in the
     message by which the ranks agree on going on (`boundary.py`). Counts of steps and epochs are
     the same on all ranks; what the clock says is decided by rank 0.
  c. All ranks hand their own state to rank 0, which copies the shared state and lets a thread write
     both while the training goes on. Before the next one the thread is waited for.
  d. When the thread fails, rank 0 asks for a checkpoint at the next step; before one is taken all
     ranks learn how the one before ended, and raise its error. At the end of a `fit` all wait until
     its end state is on the disk.

How a run is resumed:
  e. Rank 0 looks for the newest complete checkpoint whose files are whole, and for the end states
     of all fits before. Ranks learn which fits are known; states are broadcast when they are
     needed, so nobody else needs to see rank 0's disk.
  f. A fit with a known end takes its end state and returns. The interrupted one goes on at its
     step. What comes after runs as usual.
"""

import os
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from distkeras.distribution import collectives, requests
from distkeras.distribution.world import world
from distkeras.errors import CheckpointError
from distkeras.saving import checkpoints
from distkeras.saving.checkpoints import Checkpoint
from distkeras.saving.once import do_once
from distkeras.saving.packing import from_bytes, pack, to_bytes, unpack
from distkeras.training import snapshot
from distkeras.utils.intervals import Interval

__all__ = ["Fit", "Recorder"]


def _end_name(fit: int) -> str:
    return f"fit{fit:03d}-end"


class Recorder:
    """Records the fits of a program.

    Args:
        directory: where checkpoints go, of this start alone.
        every: how often; `None` for a run that is resumed without being recorded.
        keep: how many checkpoints in the middle of fits are kept, the newest ones.
        about: what every checkpoint tells, for JSON: the program, its seed.

    Attributes:
        where: fit, epoch and step of this process.
    """

    def __init__(
        self,
        directory: str | os.PathLike,
        every: Interval | None,
        keep: int = 2,
        about: dict[str, Any] | None = None,
    ):
        self.directory = Path(directory)
        self.every = every
        self.keep = keep
        self.about = about or {}
        self.where: tuple[int, int, int] | None = None
        self.last_write = time.monotonic()
        self._fits = 0
        self._models: list[weakref.ref] = []
        self._running: Fit | None = None
        self._known = 0  # so many fits have a state to take up
        self._saved: dict[int, Checkpoint] = {}  # rank 0's
        self._thread: threading.Thread | None = None
        self._failure: Exception | None = None

    # --- resuming ---

    def resume(self, candidates: list[Checkpoint], say: Callable[[str], None]) -> Checkpoint | None:
        """Choose the checkpoint to go on from; a collective call.

        Args:
            candidates: on rank 0 the checkpoints to choose from, the preferred one first.
            say: tells the user which are passed over, and why.

        Returns:
            On rank 0 the chosen one, or `None`, where there is none, and on other ranks.
        """
        chosen = None
        if world().rank == 0:
            for candidate in candidates:
                found = self._with_ends(candidate)
                if isinstance(found, dict):
                    chosen, self._saved = candidate, found
                    break
                say(f"the checkpoint {candidate.path} is passed over: {found}")
        self._known = int(collectives.broadcast(np.array([len(self._saved)]))[0])
        return chosen

    def _with_ends(self, candidate: Checkpoint) -> dict[int, Checkpoint] | str:
        """A checkpoint with the end states of the fits before, by ordinal; or what is wrong."""
        wrong = checkpoints.problem(candidate)
        if wrong:
            return wrong
        last = int(candidate.about["fit"])
        found = {last: candidate}
        for fit in range(last):
            try:
                found[fit] = checkpoints.open_checkpoint(candidate.path.parent / _end_name(fit))
            except CheckpointError as error:
                return f"the end state of fit {fit} is missing: {error}"
            if wrong := checkpoints.problem(found[fit]):
                return f"the end state of fit {fit} is damaged: {wrong}"
        return found

    def state_of(self, fit: int) -> tuple[dict[str, Any], str] | None:
        """The saved state of a fit and its path, on all ranks; collective where there is one."""
        if fit >= self._known:
            return None
        packed: list = []

        def read() -> None:
            checkpoint = self._saved[fit]
            packed.append(pack((checkpoints.load(checkpoint), str(checkpoint.path))))
            if checkpoint.about["finished"] and self.every is not None:
                checkpoints.adopt(checkpoint, self.directory)

        do_once(read, "read the checkpoint")
        tree, arrays = packed[0] if packed else (None, [])
        head = collectives.broadcast(_as_array(to_bytes((tree, len(arrays)))) if packed else None)
        tree, count = from_bytes(head.tobytes())
        arrays = [collectives.broadcast(arrays[i] if packed else None) for i in range(count)]
        return unpack(tree, arrays)

    # --- recording ---

    def begin(self, model: Any, strategy: Any) -> "Fit | None":
        """A `fit` begins; `None` for one within another, which belongs to that."""
        if self._running is not None:
            return None
        self._running = Fit(self, self._fits, self._ordinal(model), model, strategy)
        self._fits += 1
        return self._running

    def leave(self) -> None:
        """The running `fit` has ended, in whatever way."""
        self._running = None

    def _ordinal(self, model: Any) -> int:
        for i, ref in enumerate(self._models):
            if ref() is model:
                return i
        self._models.append(weakref.ref(model))
        return len(self._models) - 1

    def checkpoint_now(self, model: Any = None) -> str | None:
        """Have a checkpoint of this moment on the disk; see `run_state`."""
        if self.every is None or self._running is None or not self._running.can_save:
            return None
        name = self._running.save()
        self.finish_writing()
        return str(self.directory / name)

    def checkpoint_soon(self) -> None:
        """Take the state of this moment; see `run_state`."""
        if self.every is not None and self._running is not None and self._running.can_save:
            self.finish_writing()
            self._running.save()

    @property
    def has_failed(self) -> bool:
        """Whether the thread could not write the last checkpoint; known on rank 0."""
        return self._failure is not None

    def write(self, name: str, packed: tuple[Any, list], about: dict[str, Any]) -> None:
        """On rank 0: have the thread write a checkpoint; the one before is written."""
        self._join()
        self._thread = threading.Thread(
            target=self._work, args=(name, packed, about), name="distkeras-checkpoints"
        )
        self._thread.start()

    def _work(self, name: str, packed: tuple[Any, list], about: dict[str, Any]) -> None:
        try:
            checkpoints.write(self.directory, name, packed, about)
            steps = [c for c in checkpoints.find(self.directory) if not c.about["finished"]]
            for old in steps[self.keep :]:
                checkpoints.remove(old)
        except Exception as error:
            self._failure = error

    def _join(self) -> None:
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def finish_writing(self) -> None:
        """Wait until what was asked for is on the disk; collective.

        Raises:
            UnwritableFileError, SavingError: on all ranks, where it is not.
        """

        def wait() -> None:
            self._join()
            if self._failure is not None:
                raise self._failure

        do_once(wait, f"write a checkpoint into {self.directory}")


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

    def __init__(self, recorder: Recorder, ordinal: int, number: int, model: Any, strategy: Any):
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

    def attach(self, data: Any, validation: Any, callbacks: Any) -> None:
        """Take what the fit works with."""
        self._data, self._validation = data, validation
        self._callbacks = list(snapshot.pairs_with_state(callbacks.callbacks))
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
                f"The fit {self.ordinal} of the checkpoint {self._path} trained the program's "
                f"model {self.state['number']}; here it trains model {self.number} (counted from 0 "
                "in the order of their first fit). Resume with the program that wrote it, or start "
                "anew without --resume."
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
        name = _end_name(self.ordinal)
        if not finished:
            # An epoch's end comes after its last step.
            name = f"fit{self.ordinal:03d}-step{self.total:010d}{'' if in_epoch else '-epoch'}"
        if self.strategy.rank:
            return name
        state = {
            "fit": self.ordinal,
            "number": self.number,
            "finished": finished,
            "epoch": self.epoch,
            "step": self.step,
            "total": self.total,
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


def _as_array(data: bytes) -> np.ndarray:
    return np.frombuffer(data, np.uint8)


def _gather(data: bytes, flag: bool) -> tuple[list[np.ndarray], bool]:
    """The bytes of every rank, in rank order, and whether any has set the flag."""
    told = collectives.all_gather(np.array([[len(data), flag]]))
    ends = np.cumsum(told[:, 0])
    return np.split(collectives.all_gather(_as_array(data)), ends[:-1]), bool(told[:, 1].any())
