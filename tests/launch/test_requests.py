"""Signals ask the whole job for something: all ranks act on it together, at the end of a step."""

import os
import signal
import subprocess
import sys
import time

import pytest

from support import mpi

# Rank 0 tells the process ids once all are within `fit`, whose steps sleep.
PROGRAM = """
import os, signal, sys, time
import numpy as np
import distkeras as keras
from distkeras import distribution
from distkeras.training import run_state

kind = sys.argv[1]
ids = distribution.all_gather(os.getpid())

class Slow(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if distribution.rank() == 0 and batch == 1:
            print(*ids, flush=True)
        time.sleep(60 if kind == "stuck" and batch == 1 and distribution.rank() else 0.02)

def checkpoint(model):
    saved = int(distribution.all_reduce(1))
    if distribution.rank() == 0:
        print("checkpoint on", saved, flush=True)
    return "everything"

if kind == "checkpoint":
    run_state.register(checkpoint)
if kind == "deaf":  # as in a long call, or one that began just when the signal came
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
if kind in ("asleep", "deaf"):
    if distribution.rank() == 0:
        print(*ids, flush=True)
    time.sleep(60)
model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
try:
    model.fit(np.ones((99999, 2)), np.ones((99999, 1)), 4, verbose=0, callbacks=[Slow()])
except KeyboardInterrupt:
    if kind == "uncaught":
        raise
    places = distribution.all_gather(int(model.optimizer.iterations))
    if distribution.rank() == 0:
        print("interrupted after", *set(places.tolist()), flush=True)
    time.sleep(0.3)
"""

LAUNCHER = "the launcher"


@pytest.fixture
def job(tmp_path):
    """Starts PROGRAM, sends it signals, and tells how it ended."""
    (tmp_path / "program.py").write_text(PROGRAM)
    started = []

    def run(number, to, kind="", *, ranks=2, times=1, options=()):
        words = ["-m", "distkeras.launch", *options]
        words += ["-n", str(ranks)] if ranks > 1 else []
        process = subprocess.Popen(
            [sys.executable, *words, "program.py", kind],
            cwd=tmp_path,
            env=mpi.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        ids = [int(word) for word in process.stdout.readline().split()]
        assert len(ids) == ranks, process.communicate()
        for turn in range(times):
            time.sleep(1.0 * bool(turn))
            os.kill(process.pid if to == LAUNCHER else ids[to], number)
        out, err = process.communicate(timeout=30)
        lines = err.splitlines(keepends=True)
        err = "".join(line for line in lines if "the random seed of this job is" not in line)
        return process.returncode, out, err

    yield run
    for process in started:
        process.kill()


@pytest.mark.parametrize("to", [0, 1, LAUNCHER])
def test_interrupt_is_raised_on_all_ranks_after_the_same_step(to, job, needs_mpi):
    code, out, err = job(signal.SIGINT, to)
    assert (code, err) == (0, "")
    said = [line for line in out.splitlines() if line.startswith("interrupted after ")]
    assert [len(line.split()) for line in said] == [3], out


def test_interrupt_that_nobody_catches_ends_the_job(job, needs_mpi):
    code, _, err = job(signal.SIGINT, 1, "uncaught")
    assert code == 130, err
    assert err.count("] KeyboardInterrupt (") == 1, err
    assert "Traceback" not in err, err


def test_second_interrupt_ends_a_job_that_does_not_come_to_a_step(job, needs_mpi):
    begin = time.monotonic()
    code, _, err = job(signal.SIGINT, 0, "stuck", times=2)
    assert code == 130, err
    assert err.count("[rank 0] KeyboardInterrupt") == 1, err
    assert time.monotonic() - begin < 20


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1], ids=lambda n: n.name)
@pytest.mark.parametrize("ranks, to", [(1, 0), (2, 1), (2, LAUNCHER)])
def test_ending_signal_saves_and_ends_all_ranks_with_one_status(number, ranks, to, job, needs_mpi):
    code, out, err = job(number, to, "checkpoint", ranks=ranks)
    assert code == 128 + number, err
    assert out == f"checkpoint on {ranks}\n"
    assert err.count(f"{number.name}: saved everything; the job ends with status {code}\n") == 1
    assert "Traceback" not in err, err
    assert "sys.exit" not in err, err


def test_ending_signal_without_checkpoints_says_so(job, needs_mpi):
    code, out, err = job(signal.SIGTERM, 1)
    assert (code, out) == (143, ""), err
    assert err.startswith(  # Open MPI adds words of its own
        "distkeras: SIGTERM: no checkpoint, since the run records none; "
        "the job ends with status 143\n"
    )
    assert err.count("distkeras: ") == 1, err


@pytest.mark.parametrize("kind", ["asleep", "deaf"])
@pytest.mark.parametrize("ranks", [1, 2])
def test_ending_signal_waits_for_a_step_no_longer_than_the_grace_time(ranks, kind, job, needs_mpi):
    begin = time.monotonic()
    code, _, err = job(signal.SIGTERM, 0, kind, ranks=ranks, options=("--grace", "1"))
    assert code == 143, err
    assert time.monotonic() - begin < 20
    assert "at the latest in 1 s" in err
    assert err.count("no step of fit, evaluate or predict ended within") == 1, err


def test_second_ending_signal_ends_the_job_at_once(job, needs_mpi):
    begin = time.monotonic()
    code, _, err = job(signal.SIGTERM, 1, "asleep", times=2)
    assert code == 143, err
    assert err.startswith("[rank 1] a second SIGTERM ends the job at once, without a checkpoint\n")
    assert err.count("[rank ") == 1, err
    assert time.monotonic() - begin < 20


def test_children_of_a_rank_end_by_a_signal_as_usual(run_program, needs_mpi, tmp_path):
    (tmp_path / "program.py").write_text(
        "import os, signal, sys, time\n"
        "import multiprocessing as mp\n"
        "if __name__ == '__main__':\n"
        "    for number in (signal.SIGTERM, signal.SIGUSR1):\n"
        "        child = mp.get_context('fork').Process(target=time.sleep, args=(60,))\n"
        "        child.start()\n"
        "        os.kill(child.pid, number)\n"
        "        child.join()\n"
        "        assert child.exitcode == -number, child.exitcode\n"
        "    for method in ('fork', 'spawn'):\n"
        "        with mp.get_context(method).Pool(2) as pool:\n"  # terminates them in the end
        "            assert pool.map(abs, [-1, -2]) == [1, 2]\n"
    )
    for n in (None, 2):
        end = run_program(["-m", "distkeras.launch", "program.py"], n=n, timeout=30)
        assert (end.returncode, end.timed_out) == (0, False), end.describe()
