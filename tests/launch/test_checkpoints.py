"""Options for checkpoints and restarts, with real processes."""

import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from distkeras.launch.options import parse
from distkeras.launch.supervisor import Failure, is_certain
from distkeras.saving import checkpoints
from distkeras.utils.intervals import Interval, parse_interval
from support import mpi

LAUNCH = ["-m", "distkeras.launch", "--seed=3"]
QUICK = {"DISTKERAS_RESTART_PAUSE": "0.05", "OPENBLAS_NUM_THREADS": "1"}
PROGRAM = """
import os, signal, sys, time
import numpy as np
import distkeras as keras
from distkeras import distribution

what, at, rank = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
x = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.Dropout(0.2)])
model.compile("adam", "mse")

class Fails(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if what == "slow":
            time.sleep(0.2)
        count = int(model.optimizer.iterations.numpy())
        if count == at and distribution.rank() == rank:
            if what == "always":
                raise ValueError("always here")
            if what == "slow":
                open("waits", "w").close()
            if what == "exit":
                sys.exit(7)
            if what in ("kill", "raise", "elsewhere") and not os.path.exists("failed"):
                open("failed", "w").close()
                if what == "kill":
                    os.kill(os.getpid(), signal.SIGKILL)
                raise ValueError("once")
            elif what == "elsewhere":
                os.remove("failed")
                raise ValueError("once more")

h = model.fit(x, x[:, :2], batch_size=8, epochs=3, verbose=0, callbacks=[Fails()])
if distribution.rank() == 0:
    np.savez("out.npz", *model.get_weights(), loss=h.history["loss"])
"""


@pytest.fixture
def train(run_program, tmp_path):
    (tmp_path / "train.py").write_text(PROGRAM)

    def run(*words, n=None, env=None, args=("none", "0", "0")):
        ranks = ["-n", str(n)] if n else []
        return run_program(
            [*LAUNCH, *ranks, *words, "train.py", *args], env={**QUICK, **(env or {})}
        )

    return run


def result(tmp_path):
    return {k: v.tobytes() for k, v in np.load(tmp_path / "out.npz").items()}


# --- the command line ---


@pytest.mark.parametrize(
    "text, expected",
    [
        ("500", Interval(500, "steps")),
        ("1step", Interval(1, "steps")),
        ("20 steps", Interval(20, "steps")),
        ("epoch", Interval(1, "epochs")),
        ("2epochs", Interval(2, "epochs")),
        ("30s", Interval(30.0, "seconds")),
        ("10min", Interval(600.0, "seconds")),
        ("1.5h", Interval(5400.0, "seconds")),
    ],
)
def test_intervals(text, expected):
    assert parse_interval(text) == expected
    assert parse_interval(str(expected)) == expected


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "1.5epochs", "min", "5 x", "0s", "auto"])
def test_what_is_no_interval(text, capsys):
    with pytest.raises(SystemExit):
        parse([f"--checkpoint-every={text}", "train.py"])
    assert "is no interval: expected a number of steps (500)" in capsys.readouterr().err


def test_a_start_hands_its_options_on():
    words = ["--checkpoint-every=10min", "--keep=3", "--resume=auto", "--restarts=2", "a.py", "-x"]
    options = parse(["-n", "4", *words])
    again = parse(options.words())
    assert again.restarts == 0
    assert again.ranks is None
    for name in ("every", "keep", "resume", "target", "arguments", "output"):
        assert getattr(again, name) == getattr(options, name)


def test_mistakes(capsys):
    for words in (["--keep=0"], ["--restarts=-1"]):
        with pytest.raises(SystemExit):
            parse([*words, "train.py"])
        assert "expects a number of at least" in capsys.readouterr().err


def test_restarts_need_a_launcher_of_ones_own(run_program, needs_mpi, tmp_path):
    end = run_program([*LAUNCH, "--restarts=1", "train.py"], n=2)
    assert end.returncode != 0
    assert "--restarts needs a launcher that starts the ranks itself: use -n 2" in end.stderr


# --- resuming ---


def test_resuming_is_asked_for(train, tmp_path):
    assert train().returncode == 0
    expected = result(tmp_path)
    assert not (tmp_path / "runs").exists()
    end = train("--checkpoint-every=4", args=("kill", "9", "0"))
    assert end.returncode != 0, end.describe()
    assert checkpoints.find(tmp_path / "runs")[0].about["total"] >= 4
    end = train("--checkpoint-every=4")
    assert "resuming" not in end.stderr
    end = train("--checkpoint-every=4", "--resume=auto")
    assert re.search(
        r"distkeras: resuming from runs/\S+-train(-\d)?/\S+ \(fit 1: the end\)", end.stderr
    )
    assert result(tmp_path) == expected


def test_the_newest_of_a_run_directory(train, tmp_path):
    assert train().returncode == 0
    expected = result(tmp_path)
    end = train("--run-dir=here", "--checkpoint-every=4", args=("kill", "9", "0"))
    assert end.returncode != 0
    (newest, *_) = checkpoints.find(tmp_path / "here")
    (newest.path / "arrays.bin").write_bytes(b"")
    end = train("--run-dir=here", "--checkpoint-every=4", "--resume=auto")
    assert end.returncode == 0, end.describe()
    assert (
        f"the checkpoint {newest.path.relative_to(tmp_path)} is passed over: arrays.bin"
        in end.stderr
    )
    assert result(tmp_path) == expected
    assert (tmp_path / "here" / "checkpoints-2").is_dir()


def test_nothing_to_resume_from(train, tmp_path):
    end = train("--resume=auto")
    assert end.returncode == 0, end.describe()
    assert "there is no checkpoint to resume from: starting at the beginning" in end.stderr
    end = train("--resume=nowhere")
    assert end.returncode == 1
    assert "LaunchError: There is no complete checkpoint in nowhere" in end.stderr


def test_only_rank_0_needs_to_see_the_directory(train, needs_mpi, tmp_path):
    """The other ranks' disks: whatever they read or write of a checkpoint would fail."""
    program = (tmp_path / "train.py").read_text()
    (tmp_path / "train.py").write_text(
        "from distkeras import distribution\n"
        "from distkeras.saving import checkpoints\n"
        "def refuse(*args): raise OSError('not my disk')\n"
        "if distribution.rank():\n"
        "    for name in ('load', 'write', 'find', 'problem', 'open_checkpoint', 'adopt'):\n"
        "        setattr(checkpoints, name, refuse)\n" + program
    )
    end = train("--checkpoint-every=4", n=3, args=("kill", "9", "1"))
    assert end.returncode != 0
    end = train("--checkpoint-every=4", "--resume=auto", n=3)
    assert end.returncode == 0, end.describe()
    resumed = result(tmp_path)
    assert train(n=3).returncode == 0
    assert result(tmp_path) == resumed


@pytest.mark.parametrize("n", [None, 2])
def test_a_disk_that_refuses_ends_the_job(train, needs_mpi, tmp_path, n):
    """Files may have 20 kB; what rank 0 says reaches everybody, and no half one is left."""
    program = (tmp_path / "train.py").read_text()
    (tmp_path / "train.py").write_text(
        "import resource, signal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        + program.replace(
            "keras.layers.Dense(2)", "keras.layers.Dense(3000), keras.layers.Dense(2)"
        )
    )
    end = train("--checkpoint-every=2", "--run-dir=here", n=n)
    assert end.returncode == 1, end.describe()
    assert "UnwritableFileError" in end.stderr
    assert "cannot be written: File too large" in end.stderr
    assert list((tmp_path / "here").rglob("*fit*")) == []


# --- restarts ---


@pytest.mark.parametrize("n, what", [(None, "kill"), (2, "kill"), (None, "raise")])
def test_a_failure_is_followed_by_another_try(train, needs_mpi, tmp_path, n, what):
    assert train(n=n).returncode == 0
    expected = result(tmp_path)
    os.remove(tmp_path / "out.npz")
    end = train("--checkpoint-every=4", "--restarts=2", n=n, args=(what, "9", str((n or 1) - 1)))
    assert end.returncode == 0, end.describe()
    assert re.search(r"try 1 failed \(status \d+\); starting again in 0.05 s", end.stderr)
    assert "resuming from" in end.stderr
    assert "try 2" not in end.stderr.replace("try2", "")
    assert result(tmp_path) == expected
    assert not end.orphans


def test_what_fails_alike_is_not_tried_for_ever(train, tmp_path):
    end = train("--checkpoint-every=4", "--restarts=9", args=("always", "6", "0"))
    assert end.returncode == 1
    assert "try 1 failed (status 1); starting again" in end.stderr
    assert "try 2 failed as it would again (status 1): it is the last" in end.stderr
    end = train("--checkpoint-every=4", "--restarts=1", args=("exit", "6", "0"))
    assert end.returncode == 7
    assert "try 2 failed (status 7)" in end.stderr


@pytest.mark.parametrize(
    "text, says",
    [
        ("import nothing_of_that_name", "ModuleNotFoundError"),
        ("x = (", "SyntaxError"),
        ("import argparse; argparse.ArgumentParser().parse_args(['--what'])", "unrecognized"),
    ],
)
def test_what_is_certain_to_fail_is_not_tried_again(train, tmp_path, text, says):
    (tmp_path / "train.py").write_text(text + "\n")
    end = train("--restarts=3")
    assert end.returncode in (1, 2)
    assert end.stderr.count(says) == 1
    assert "try 1 failed as it would again" in end.stderr


def test_another_model_is_not_tried_again(train, tmp_path):
    assert train("--checkpoint-every=4", args=("kill", "9", "0")).returncode != 0
    text = (tmp_path / "train.py").read_text().replace("Dense(2)", "Dense(2, use_bias=False)")
    (tmp_path / "train.py").write_text(text)
    end = train("--checkpoint-every=4", "--resume=auto", "--restarts=3")
    assert end.returncode == 1
    assert "CheckpointError: The model is not that of the checkpoint" in end.stderr
    assert "try 1 failed as it would again" in end.stderr


def signalled(tmp_path, number, n, *options):
    """A job that gets a signal in its third step; its status and what it said."""
    (tmp_path / "train.py").write_text(PROGRAM)
    line = [sys.executable, *LAUNCH, *options, *(["-n", str(n)] if n else [])]
    job = subprocess.Popen(
        [*line, "train.py", "slow", "3", "0"],
        cwd=tmp_path,
        env={**mpi.environment(), **QUICK},
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 50
    while not (tmp_path / "waits").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    job.send_signal(number)
    said = job.communicate(timeout=50)[1]
    return job.returncode, said


@pytest.mark.parametrize("n", [None, 2])
def test_a_signal_is_passed_on_and_ends_the_tries(tmp_path, needs_mpi, n):
    code, said = signalled(tmp_path, signal.SIGTERM, n, "--restarts=5", "--checkpoint-every=100")
    assert code == 128 + signal.SIGTERM, said
    assert "starting again" not in said
    assert "saved" in said


@pytest.mark.parametrize("n", [None, 2])
def test_what_a_signal_saves_is_resumed(train, tmp_path, needs_mpi, n):
    assert train(n=n).returncode == 0
    expected = result(tmp_path)
    code, said = signalled(tmp_path, signal.SIGUSR1, n, "--checkpoint-every=10h")
    assert code == 128 + signal.SIGUSR1, said
    (saved,) = checkpoints.find(tmp_path)
    assert str(saved.path) in said
    assert 3 <= saved.about["total"] < 15
    end = train("--resume=auto", n=n)
    assert f"resuming from {saved.path.relative_to(tmp_path)}" in end.stderr
    assert result(tmp_path) == expected


def test_what_is_certain():
    def failure(report, position=None, code=1):
        return Failure(code, frozenset([report] if report else []), position)

    error = 'Traceback (most recent call last):\n  File "a.py", line 1\nValueError: x'
    assert not is_certain(failure(error), None)
    assert is_certain(failure(error), failure(error))
    assert is_certain(failure(error, (0, 1, 2)), failure(error, (0, 1, 2)))
    assert not is_certain(failure(error, (0, 1, 2)), failure(error, (0, 1, 3)))
    assert not is_certain(failure("", code=137), failure("", code=137))
    assert is_certain(failure("", code=2), None)
    assert not is_certain(failure("", (0, 0, 1), code=2), None)
    missing = error.replace("ValueError", "ImportError")
    assert is_certain(failure(missing), None)
    assert not is_certain(failure(missing, (0, 0, 1)), None)
    assert is_certain(failure("distkeras.errors.CheckpointError: a\n  b", (0, 0, 1)), None)
