"""One rank of a job: what happens between its start and its end.

(a) Strings hash alike on all ranks, and thread counts are set before anything imports NumPy.
(b) The failure hook is installed and the watcher forked before MPI starts, with the rank that the
    launcher told.
(c) The world comes up, or the start is refused.
(d) Ranks agree on a run directory; all but rank 0 send their output there. Where options ask for
    it, `fit` is told to record checkpoints, or to go on from one.
(e) Signals become requests that all ranks act on together.
(f) The program runs as `__main__`. Its normal end is followed by Python's: threads are joined, exit
    handlers run, and the rank waits asleep for the others.
"""

import atexit
import contextlib
import json
import os
import random
import secrets
import sys

from distkeras.config import seconds
from distkeras.distribution import beacon, ends, environment, requests
from distkeras.distribution.world import World, initialize
from distkeras.launch import hashing, output
from distkeras.launch.options import MAIN_JOB, Options
from distkeras.launch.resuming import record
from distkeras.launch.rundir import RunDirectory, agree_on_directory
from distkeras.launch.target import run_target
from distkeras.launch.watch import Watcher

__all__ = ["run_rank"]


def run_rank(options: Options) -> int:
    """Run the program as one rank of the job that a launcher started, or alone.

    Args:
        options: the command line.

    Returns:
        The exit status; in a job of several ranks a failure does not return.
    """
    place = environment.launched()
    repeats = any(o is not None for o in (options.seed, options.every, options.resume))
    if repeats or (place is not None and place.size > 1):
        hashing.fix()
    _set_threads(place, options)
    rank = (place.rank or 0) if place else 0
    ends.install(rank, place.size if place else 1)
    watcher = prefixer = None
    if place is not None and place.size > 1:
        output.write_lines()
        watcher = Watcher(rank)
        if options.output == "all":
            prefixer = output.Prefixer(rank)
    os.environ.update(options.times)
    os.environ.setdefault("MPIR_CVAR_SUPPRESS_ABORT_MESSAGE", "1")  # our report is the message
    made: list[RunDirectory] = []
    try:
        _prepare(options, watcher, prefixer, made)
        run_target(options.target, options.arguments)
    except requests.AgreedExit as agreed:
        return ends.exit_code(agreed)
    except BaseException as error:
        if ends.exit_code(error) != 0 or not isinstance(error, SystemExit):
            _note_position(made, rank)
            return ends.fail(error)
        ends.ended(options.target, error)
    else:
        ends.ended(options.target)
    return 0


def _set_threads(place: environment.Launched | None, options: Options) -> None:
    local_size = (place.local_size or place.size) if place else 1
    if options.target == MAIN_JOB:
        # Its matrices are too small to be shared: beside another job on the same two cores, two
        # threads took 20.8 s where one took 2.6 s.
        local_size = environment.available_cores()
    os.environ.update(environment.thread_settings(local_size))


def _note_position(made: list[RunDirectory], rank: int) -> None:
    """Leave where training was, for who decides whether to start again (`supervisor.py`)."""
    run_state = sys.modules.get("distkeras.training.run_state")
    where = run_state.where() if run_state is not None else None
    for directory in made if where is not None else ():
        with contextlib.suppress(OSError):
            directory.errors.mkdir(exist_ok=True)
            (directory.errors / f"position{rank}.json").write_text(json.dumps(where))


def _prepare(
    options: Options,
    watcher: Watcher | None,
    prefixer: output.Prefixer | None,
    made: list[RunDirectory],
) -> None:
    atexit.register(_tidy, made)
    world = initialize()  # exit handlers run backwards: ranks wait for each other before they tidy
    ends.install(world.rank, world.size)
    beacon.identify(world.rank)
    requests.install(world.rank, world.size, seconds("DISTKERAS_GRACE"))
    needed = options.every is not None
    directory = agree_on_directory(world, options.run_dir, options.target, needed)
    if directory is not None:
        made.append(directory)
        ends.report_to(directory.errors)
        if watcher is not None:
            limits = seconds("DISTKERAS_STEP_TIMEOUT"), seconds("DISTKERAS_USER_TIMEOUT")
            peers = world.same_node(watcher.pid)
            watcher.report_to(directory.errors, peers, world.rank, world.size, limits)
        if prefixer is not None:
            prefixer.share(world.same_node(prefixer.pid))
        os.environ["DISTKERAS_RUN_DIR"] = str(directory.path)
        if options.output == "rank0" and world.rank != 0:
            output.log_to(directory.log)
    seed = record(options, world, directory.path if directory else None, _agreed_seed)
    if seed is not None:
        _seed(seed)


def _tidy(made: list[RunDirectory]) -> None:
    for directory in made:
        directory.tidy()


def _agreed_seed(world: World, wanted: int | None) -> int | None:
    """The seed of all ranks: the wanted one, or else one that rank 0 draws and tells; collective.

    A single process that wants none has none, as under Python itself.
    """
    if wanted is not None or not world.is_multi:
        return wanted
    seed = int(world.share_text(str(secrets.randbits(31))))
    if world.rank == 0:
        ends.tell(f"the random seed of this job is {seed}; --seed {seed} repeats it")
    return seed


def _seed(seed: int) -> None:
    random.seed(seed)
    from distkeras.utils import set_random_seed

    set_random_seed(seed)
    hashing.set_for_children(os.environ)
