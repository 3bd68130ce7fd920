"""`fit` of a 784-512-512-10 network at batch 128: ours against Keras on PyTorch, in turn.

    python benchmarks/eager_fit.py --peer PYTHON [--rounds 7] [--threads N]

`--peer` names the Python of an environment with Keras and PyTorch. In each round both train for a
few seconds in a fresh process, now one first, now the other; what counts is the ratio of a round,
since both met the same machine. Without `--peer` ours alone is measured.
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

import machine

WORKER = """
import json
import time
import numpy as np
import {module} as keras

rng = np.random.default_rng(0)
x = rng.random((128 * 50, 784), dtype="float32")
y = rng.integers(10, size=len(x))
model = keras.Sequential(
    [
        keras.Input((784,)),
        keras.layers.Dense(512, activation="relu"),
        keras.layers.Dense(512, activation="relu"),
        keras.layers.Dense(10, activation="softmax"),
    ]
)
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x, y, batch_size=128, epochs=2, verbose=0)
speeds = []
end = time.perf_counter() + {seconds}
while time.perf_counter() < end or len(speeds) < 3:
    begin = time.perf_counter()
    model.fit(x, y, batch_size=128, epochs=2, verbose=0)
    speeds.append(2 * len(x) / (time.perf_counter() - begin))
print(json.dumps(speeds))
"""


def samples_per_second(python: str, module: str, env: dict[str, str], seconds: float) -> float:
    """The median over several calls of `fit` in one process."""
    code = WORKER.format(module=module, seconds=seconds)
    return statistics.median(json.loads(machine.run([python, "-c", code], env)))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peer", metavar="PYTHON")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each process's measurement")
    parser.add_argument("--threads", type=int, help="of both libraries, default what they choose")
    arguments = parser.parse_args()
    print(machine.describe())
    print(f"threads: {arguments.threads or 'as the libraries choose'}")
    subjects = [("distkeras", sys.executable, "distkeras")]
    if arguments.peer:
        subjects.append(("Keras on torch", arguments.peer, "keras"))
    found: dict[str, list[float]] = {name: [] for name, _, _ in subjects}
    with tempfile.TemporaryDirectory() as bytecode:
        env = machine.environment(Path(bytecode), arguments.threads, KERAS_BACKEND="torch")
        for round_ in range(arguments.rounds):
            for name, python, module in subjects[:: 1 if round_ % 2 == 0 else -1]:
                speed = samples_per_second(python, module, env, arguments.seconds)
                found[name].append(speed)
                print(f"round {round_ + 1}: {name:15} {speed:9,.0f} samples/s", flush=True)
    for name, speeds in found.items():
        print(f"{name:15} median {statistics.median(speeds):9,.0f} samples/s")
    if arguments.peer:
        ratios = [ours / peer for ours, peer in zip(*found.values(), strict=True)]
        print(f"ratio, ours to theirs, of rounds: {machine.spread(ratios)}")
    print(f"load at the end: {machine.load():.2f}")


if __name__ == "__main__":
    main()
