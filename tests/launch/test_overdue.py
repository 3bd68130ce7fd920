"""A rank that does not come to a collective ends the job, with a report of who waits for whom."""

import re

import pytest

# Rank 1 does what `kind` says within the sixth step, or before it.
PROGRAM = """
import ctypes, os, signal, sys, threading, time
import numpy as np
import distkeras as keras
from distkeras import distribution

kind, rank = sys.argv[1], distribution.rank()
kernel = np.ones((1500, 1500))

class Held(keras.layers.Layer):
    calls = 0

    def call(self, x):
        Held.calls += 1
        if rank == 1 and Held.calls == 6:
            if kind == "python":
                while True:
                    pass
            if kind == "native":
                while True:  # a signal, such as the one that asks for stacks, ends a sleep
                    ctypes.PyDLL(None).sleep(300)  # keeps the interpreter's lock
            if kind == "stopped":
                os.kill(os.getpid(), signal.SIGSTOP)
            if kind == "blas":
                while True:
                    kernel @ kernel
            if kind == "thread":
                threading.Thread(target=wait_in_thread, daemon=True).start()
                time.sleep(300)
            if kind == "slow":
                time.sleep(0.5)
        return x

def wait_in_thread():
    time.sleep(300)

class Pause(keras.callbacks.Callback):
    def on_train_batch_begin(self, batch, logs=None):
        if rank == 1 and batch == 5:
            if kind == "callback":
                time.sleep(300)
            if kind == "message":
                from mpi4py import MPI
                MPI.COMM_WORLD.Recv(bytearray(8), source=0, tag=77)
            if kind == "slow":
                time.sleep(5)

model = keras.Sequential([keras.Input((4,)), Held(), keras.layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(np.ones((80, 4)), np.ones((80, 1)), 8, verbose=0, callbacks=[Pause()])
if kind == "reduce":
    if rank == 1:
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGSTOP)).start()
    while True:
        distribution.all_reduce(np.ones(1 << 18))
if kind == "ended":
    if rank == 1:
        os.kill(os.getpid(), signal.SIGSTOP)
"""

IN_STEP, IN_USER_CODE = "is inside a step; its", "is in the program's own code; its"
CASES = {
    "python": (IN_STEP, "program.py", "in call"),
    "native": (IN_STEP, "program.py", "in call"),
    "blas": (IN_STEP, "program.py", "in call"),
    "thread": (IN_STEP, "in wait_in_thread", "in call"),
    "stopped": (IN_STEP, "stopped by a signal"),
    "callback": (IN_USER_CODE, "in on_train_batch_begin"),
    "message": (IN_USER_CODE, "in on_train_batch_begin"),
    "reduce": ("stopped by a signal",),
    "ended": (IN_USER_CODE, "stopped by a signal"),
}


def run(run_program, tmp_path, kind, step, user, n=2):
    (tmp_path / "program.py").write_text(PROGRAM)
    limits = (f"--step-timeout={step}", f"--user-timeout={user}")
    words = ["-m", "distkeras.launch", "--run-dir", "run", *limits, "program.py", kind]
    return run_program(words, n=n, timeout=60)


@pytest.mark.parametrize("kind", CASES)
def test_overdue_rank_is_reported_with_its_stacks(kind, run_program, needs_mpi, tmp_path):
    n = 3 if kind == "thread" else 2
    end = run(run_program, tmp_path, kind, step=1, user=2, n=n)
    assert not end.timed_out, end.describe()
    assert end.returncode != 0, end.describe()
    assert end.orphans == (), end.describe()
    report = [line for line in end.stderr.splitlines() if line.startswith("[rank ")]
    assert len({line[:8] for line in report}) == 1, end.describe()  # one rank speaks
    text = "\n".join(line[9:] for line in report)
    limit = 2 if IN_USER_CODE in text else 1
    assert f"overdue, so the job ends: rank 1 held it up for {limit} s" in text, end.describe()
    waiting = r"  (rank 0|ranks 0, 2) in (\w+), collective number \d+, called at .*program.py:\d+"
    if kind == "ended":
        waiting = "  (rank 0) in end of the program"
    found = re.search(waiting, text)
    assert found, end.describe()
    assert found[1] == ("rank 0" if n == 2 else "ranks 0, 2"), end.describe()
    assert re.search(r"  rank 1 \(process \d+\) ", text), end.describe()
    for words in CASES[kind]:
        assert words in text, end.describe()
    assert "distkeras/launch" not in text, end.describe()
    assert (tmp_path / "run" / "errors" / f"rank{report[0][6]}.txt").read_text() in end.stderr


def test_each_wait_has_a_time_of_its_own(run_program, needs_mpi, tmp_path):
    """The limit for a step is passed by a callback and the step after it together."""
    end = run(run_program, tmp_path, "slow", step=4, user=60)
    assert (end.returncode, end.complaints) == (0, ""), end.describe()


def test_limit_that_is_no_number_is_refused(run_program, tmp_path):
    (tmp_path / "program.py").write_text("")
    for value in ("soon", "-1", "inf"):
        end = run_program(["-m", "distkeras.launch", f"--step-timeout={value}", "program.py"])
        assert end.returncode == 2, end.describe()
        assert f"invalid number of seconds value: '{value}'" in end.stderr
