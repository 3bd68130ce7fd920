"""Which checkpoints a start writes, and from which it goes on; nothing here happens unasked."""

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from distkeras.distribution.world import World
from distkeras.errors import CheckpointError, LaunchError
from distkeras.launch.options import Options
from distkeras.launch.rundir import program_name

if TYPE_CHECKING:
    from distkeras.saving.checkpoints import Checkpoint

__all__ = ["candidates", "directories", "record", "say"]


def say(text: str) -> None:
    """A line of the launcher's own, on stderr: stdout is the program's."""
    sys.stderr.write(f"distkeras: {text}\n")
    sys.stderr.flush()


def directories(options: Options) -> list[str]:
    """Where `--resume` looks, as paths that need not exist.

    Args:
        options: the command line.
    """
    if options.resume is None:
        return []
    if options.resume != "auto":
        if os.path.exists(options.resume):
            return [options.resume]  # whatever characters it has
        return options.resume.split(os.pathsep)
    if options.run_dir is not None:
        return [options.run_dir]
    pattern = re.compile(r"\d{8}-\d{6}-" + re.escape(program_name(options.target)) + r"(-\d+)?")
    runs = Path("runs")
    names = os.listdir(runs) if runs.is_dir() else []
    return [str(runs / name) for name in sorted(names) if pattern.fullmatch(name)]


def candidates(options: Options) -> "list[Checkpoint]":
    """The checkpoints that `--resume` may go on from, the newest first.

    Args:
        options: the command line.

    Raises:
        LaunchError: where a path was given and there is none.
    """
    from distkeras.saving.checkpoints import find, open_checkpoint

    where = directories(options)
    found = [each for path in where for each in find(path)]
    if not found and options.resume not in (None, "auto"):
        reason = f"There is no complete checkpoint in {' or '.join(where)}."
        if len(where) == 1 and os.path.isdir(where[0]):
            try:
                open_checkpoint(where[0])
            except CheckpointError as error:
                reason = f"{reason} ({error})"
        raise LaunchError(f"{reason} `distkeras checkpoints DIR` lists those below a directory.")
    return sorted(found, key=lambda each: -each.written)


def record(
    options: Options,
    world: World,
    directory: Path | None,
    agree: Callable[[World, int | None], int | None],
) -> int | None:
    """Have every `fit` of the program write checkpoints, and go on from one, as the options ask;
    a collective call.

    Args:
        options: the command line.
        world: the ranks.
        directory: the run directory.
        agree: makes the seed of all ranks of the one that was given or resumed, or None.

    Returns:
        The seed of the run.

    Raises:
        LaunchError: where there is nothing to resume from.
    """
    if options.every is None and options.resume is None:
        return agree(world, options.seed)
    from distkeras.training import run_state
    from distkeras.training.recorder import Recorder

    folder = ""
    if options.every is not None and world.rank == 0:
        assert directory is not None
        folder = str(_unused(directory))
        if options.run_dir is None and directory.parent.name != "runs":
            say(f"./runs cannot be written: checkpoints go to {folder}")
    folder = world.share_text(folder)
    recorder = Recorder(folder, options.every, options.keep)
    seed = options.seed
    if options.resume is not None:
        found = candidates(options) if world.rank == 0 else []
        chosen = recorder.resume(found, say)
        told = ""
        if chosen is not None:
            seed = chosen.about.get("seed") if seed is None else seed
            told = "" if seed is None else str(seed)
            say(f"resuming from {describe(chosen)}")
        elif world.rank == 0:
            if options.resume != "auto":
                raise LaunchError("None of the checkpoints found is whole: nothing to resume from.")
            say("there is no checkpoint to resume from: starting at the beginning")
        told = world.share_text(told)
        seed = int(told) if told else seed
    seed = agree(world, seed)
    recorder.about = {"program": options.target, "seed": seed}
    run_state.record(recorder)
    return seed


def describe(checkpoint: "Checkpoint") -> str:
    """A checkpoint in a line."""
    about = checkpoint.about
    place = "the end" if about["finished"] else f"epoch {about['epoch'] + 1}, step {about['step']}"
    return f"{checkpoint.path} (fit {about['fit'] + 1}: {place})"


def _unused(directory: Path) -> Path:
    """A directory for the checkpoints of this start alone, also where an earlier one used the same
    run directory."""
    for number in range(1, 10_000):
        path = directory / ("checkpoints" if number == 1 else f"checkpoints-{number}")
        if not path.exists():
            return path
    raise LaunchError(f"{directory} holds the checkpoints of too many starts: give another one.")
