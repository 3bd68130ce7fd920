"""How long `import distkeras` takes, and the way from a process's start to its first training step.

    python benchmarks/startup.py [--runs 9] [--peer PYTHON]

One unmeasured run comes first: it brings the files into memory and compiles the modules. `--peer`
names the Python of an environment with Keras and PyTorch, measured in turn with ours.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import machine

GOALS = {"import": 0.2, "first step": 0.6}

IMPORT = """
import time
begin = time.perf_counter()
import {module}
print(time.perf_counter() - begin)
"""

# `time.time()` is one clock for this process and its parent.
FIRST_STEP = """
import time
import numpy as np
import {module} as keras

model = keras.Sequential(
    [
        keras.Input((784,)),
        keras.layers.Dense(512, activation="relu"),
        keras.layers.Dense(512, activation="relu"),
        keras.layers.Dense(10, activation="softmax"),
    ]
)
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
x, y = np.ones((128, 784), "float32"), np.zeros(128, "int64")
model.fit(x, y, batch_size=128, verbose=0)
print(time.time())
"""


def once(python: str, module: str, env: dict[str, str]) -> dict[str, float]:
    """One process for each figure; seconds."""
    imported = float(machine.run([python, "-c", IMPORT.format(module=module)], env))
    begin = time.time()
    done = float(machine.run([python, "-c", FIRST_STEP.format(module=module)], env).split()[-1])
    return {"import": imported, "first step": done - begin}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--peer", metavar="PYTHON")
    arguments = parser.parse_args()
    print(machine.describe())
    with tempfile.TemporaryDirectory() as bytecode:
        env = machine.environment(Path(bytecode), KERAS_BACKEND="torch")
        subjects = {"distkeras": (sys.executable, "distkeras")}
        if arguments.peer:
            subjects["Keras on torch"] = (arguments.peer, "keras")
        found: dict[str, list] = {name: [] for name in subjects}
        for round_ in range(arguments.runs + 1):
            for name, (python, module) in subjects.items():
                seconds = once(python, module, env)
                if round_:
                    found[name].append(seconds)
    for name, rounds in found.items():
        for what, goal in GOALS.items():
            values = [seconds[what] for seconds in rounds]
            said = ""
            if name == "distkeras":
                said = "reached" if statistics.median(values) < goal else "MISSED"
                said = f"   goal: below {goal} s, {said}"
            print(f"{name:15} {what:11} {machine.spread(values)} s{said}")


if __name__ == "__main__":
    main()
