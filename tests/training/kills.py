"""Trainings that are killed (-9) at random moments and resumed, against undisturbed ones.

The test suite does ten of them. For a hundred:

    python tests/training/kills.py --count 100
"""

import argparse
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

# Two fits of two models, with all that a step can depend on: dropout, moving statistics, slots,
# validation, callbacks that decide by the logs, data that are drawn while training goes on.
PROGRAM = '''
import os, random, sys, time
import numpy as np
import distkeras as keras
from distkeras import distribution

out, data = sys.argv[1:3]
with open(f"pid-{distribution.rank()}.new", "w") as file:
    file.write(str(os.getpid()))
os.replace(f"pid-{distribution.rank()}.new", f"pid-{distribution.rank()}")
rng = np.random.default_rng(0)
x = rng.normal(size=(50, 6)).astype("float32")
y = (x.sum(1, keepdims=True) > 0).astype("float32")


class Noise(keras.callbacks.Callback):
    """State of its own, changed by random numbers of every kind."""

    def __init__(self):
        super().__init__()
        self.sum = 0.0

    def on_train_batch_end(self, batch, logs=None):
        time.sleep(0.004)
        self.sum += random.random() + np.random.rand()

    def on_epoch_end(self, epoch, logs=None):
        logs["noise"] = self.sum

    def get_state(self):
        return self.sum

    def set_state(self, state):
        self.sum = state


class Own(keras.utils.PyDataset):
    def __len__(self):
        return 7

    def __getitem__(self, i):
        return x[7 * i : 7 * i + 7], y[7 * i : 7 * i + 7]


def drawn():
    while True:
        rows = np.random.randint(0, 50, 9)
        yield x[rows], y[rows]


def net():
    return keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(8, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )


first, second = net(), net()
first.compile("adam", "binary_crossentropy", metrics=["accuracy"])
second.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse", metrics=["mae", keras.metrics.AUC()])
stop = keras.callbacks.EarlyStopping(patience=2, restore_best_weights=True)
table = keras.callbacks.CSVLogger("log.csv")
h1 = first.fit(x, y, 8, 4, 0, [Noise(), stop, table], validation_split=0.2)
slower = keras.callbacks.ReduceLROnPlateau("loss", patience=1, factor=0.5, min_delta=0.01)
given = {
    "arrays": dict(x=x, y=first.predict(x, verbose=0), batch_size=7),
    "generator": dict(x=drawn(), steps_per_epoch=8),
    "dataset": dict(x=Own()),
}[data]
h2 = second.fit(**given, epochs=4, verbose=0, callbacks=[Noise(), slower])
if distribution.rank() == 0:
    histories = {f"{i}{k}": v for i, h in enumerate((h1, h2)) for k, v in h.history.items()}
    weights = {str(i): w for i, w in enumerate(first.get_weights() + second.get_weights())}
    after = np.array([random.random(), np.random.rand(), float(keras.random.uniform(()))])
    np.savez(out, **histories, **weights, after=after)
'''
DATA = ("arrays", "generator", "dataset")


@dataclass(frozen=True)
class Outcome:
    """How one trial went.

    Attributes:
        moment: where the killed run had come to, as its newest checkpoint tells.
        difference: the largest of ||a - b|| / ||b|| over all arrays of the result.
        equal: whether all are equal bit for bit.
    """

    moment: str
    difference: float
    equal: bool


class Trials:
    """Kills trainings in a directory.

    Args:
        folder: a directory; each trial gets one within.
        seed: decides the moments; `None` for others each time.
    """

    def __init__(self, folder: Path, seed: int | None):
        self.folder = folder
        self.random = random.Random(seed)
        self._references: dict[tuple[int, str], tuple[dict, float]] = {}
        self._count = 0

    def trial(self, ranks: int, data: str, resumed_on: int | None = None) -> Outcome:
        """Kill one rank of a training at a random moment, resume, and compare with an undisturbed
        training on `ranks` ranks.

        Args:
            ranks: how many.
            data: one of `DATA`.
            resumed_on: ranks to resume on, default as many.
        """
        expected, seconds = self._reference(ranks, data)
        self._count += 1
        folder = self.folder / f"trial{self._count}"
        folder.mkdir()
        victim = folder / f"pid-{self.random.randrange(ranks)}"
        job = start(folder, ranks, data, "--checkpoint-every=2")
        while not victim.exists():
            if job.poll() is not None:
                raise AssertionError(f"the job ended early:\n{job.communicate()[1]}")
            time.sleep(0.002)
        time.sleep(self.random.uniform(0, seconds))
        killed = job.poll() is None
        if killed:
            try:
                os.kill(int(victim.read_text()), signal.SIGKILL)
            except ProcessLookupError:
                killed = False
        job.communicate(timeout=60)
        if killed and job.returncode == 0:
            killed = False
        shutil.rmtree(folder / "out.npz", ignore_errors=True)
        job = start(folder, resumed_on or ranks, data, "--checkpoint-every=2", "--resume", "auto")
        said = finish(job)
        moment = re.search(r"\((fit .*)\)", said)
        found = dict(np.load(folder / "out.npz"))
        assert found.keys() == expected.keys()
        log = (folder / "log.csv").read_text().splitlines()
        assert len(log) == 1 + len(found["0loss"]), log
        shutil.rmtree(folder)
        at = moment[1] if moment else "no checkpoint"
        return Outcome(
            at if killed else f"{at}, after its end",
            max(map(_difference, found.values(), [expected[k] for k in found])),
            all(np.array_equal(found[k], expected[k], equal_nan=True) for k in found),
        )

    def _reference(self, ranks: int, data: str) -> tuple[dict, float]:
        """The result of an undisturbed training, and how long it takes from the first line of the
        program."""
        if (ranks, data) not in self._references:
            folder = self.folder / f"reference-{ranks}-{data}"
            folder.mkdir()
            job = start(folder, ranks, data)
            while not (folder / "pid-0").exists() and job.poll() is None:
                time.sleep(0.002)
            begin = time.monotonic()
            finish(job)
            seconds = time.monotonic() - begin
            self._references[ranks, data] = dict(np.load(folder / "out.npz")), seconds
        return self._references[ranks, data]


def _difference(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a.astype(float), b.astype(float)
    if a.shape != b.shape:
        return float("inf")
    norm = float(np.linalg.norm(a - b))
    return norm / float(np.linalg.norm(b)) if norm else 0.0


def start(folder: Path, ranks: int, data: str, *options: str) -> subprocess.Popen:
    """A training on some ranks."""
    (folder / "train.py").write_text(PROGRAM)
    line = [sys.executable, "-m", "distkeras.launch", "--seed=3", *options]
    if ranks > 1:
        line += ["-n", str(ranks)]
    environ = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*line, "train.py", "out.npz", data],
        cwd=folder,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(job: subprocess.Popen) -> str:
    """Wait for a training that must end well; what it wrote to stderr."""
    out, err = job.communicate(timeout=120)
    assert job.returncode == 0, f"status {job.returncode}\n{out}\n{err}"
    return err


def main() -> int:
    """Many trials; the exit status says whether all were exact."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        trials = Trials(Path(folder), options.seed)
        for number in range(options.count):
            ranks = (1, 3)[number % 2]
            data = DATA[number // 2 % len(DATA)]
            other = {1: 2, 3: 1}[ranks] if number % 5 == 4 else None
            outcome = trials.trial(ranks, data, other)
            good = outcome.difference <= 1e-5 if other else outcome.equal
            bad += not good
            print(
                f"{number + 1:3d} {'ok ' if good else 'BAD'} {ranks} ranks"
                f"{f', resumed on {other}' if other else ''}, {data}: killed at {outcome.moment}; "
                f"difference {outcome.difference:.2g}",
                flush=True,
            )
    print(f"{options.count - bad} of {options.count} were exact")
    return int(bad > 0)


if __name__ == "__main__":
    raise SystemExit(main())
