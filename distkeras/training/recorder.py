"""`Recorder`: writes checkpoints of a run as it goes on, and takes a run up where one was written.

How a run is recorded:
  a. Every `fit` of the program has an ordinal, every model too. A checkpoint is one of
     `fit001-step0000000500`, in the middle of a fit, and `fit001-end`, its end state, which stays
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

from distkeras.distribution import collectives
from distkeras.distribution.world import world
from distkeras.errors import CheckpointError
from distkeras.saving import checkpoints
from distkeras.saving.checkpoints import Checkpoint
from distkeras.saving.once import do_once
from distkeras.saving.packing import from_bytes, pack, to_bytes, unpack
from distkeras.training.recorded_fit import Fit, end_name
from distkeras.utils.intervals import Interval

__all__ = ["Recorder"]


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
                found[fit] = checkpoints.open_checkpoint(candidate.path.parent / end_name(fit))
            except CheckpointError as error:
                return f"the end state of fit {fit + 1} is missing: {error}"
            if wrong := checkpoints.problem(found[fit]):
                return f"the end state of fit {fit + 1} is damaged: {wrong}"
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
            found = [c for c in checkpoints.find(self.directory) if not c.about["finished"]]
            # By position, since clocks are set back at times.
            found.sort(key=lambda c: (c.about["fit"], c.about["total"], c.about["step"] == 0))
            for old in found[: -self.keep]:
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


def _as_array(data: bytes) -> np.ndarray:
    return np.frombuffer(data, np.uint8)
