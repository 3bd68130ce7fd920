"""The processes that `scaling.py` measures; each prints one line of JSON."""

import json
import os
import statistics
import sys
import time
from collections import defaultdict

import numpy as np

ROWS, STEPS = 128, 50


def data(ranks: int):
    rng = np.random.default_rng(0)
    x = rng.random((ROWS * STEPS * ranks, 784), dtype="float32")
    return x, rng.integers(10, size=len(x))


def network(*widths: int):
    import distkeras as keras

    hidden = [keras.layers.Dense(w, activation="relu") for w in widths]
    model = keras.Sequential(
        [keras.Input((784,)), *hidden, keras.layers.Dense(10, activation="softmax")]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def fits(seconds: float) -> tuple[list[float], float]:
    """Seconds of several calls of `fit`, after two unmeasured ones, and the processor time that
    they took in all."""
    from distkeras import distribution

    model, (x, y) = network(512, 512), data(distribution.size())

    def once() -> float:
        begin = time.perf_counter()
        model.fit(x, y, batch_size=ROWS * distribution.size(), epochs=2, verbose=0)
        return time.perf_counter() - begin

    once()
    count = int(distribution.broadcast(max(3, round(seconds / once()))))
    begin = time.process_time()
    times = [once() for _ in range(count)]
    return times, time.process_time() - begin


def fit(seconds: str) -> dict:
    from distkeras import distribution

    times, cpu = fits(float(seconds))
    samples = 2 * ROWS * STEPS
    return {
        "speed": samples * distribution.size() / statistics.median(times),
        "cpu": 1e6 * cpu / (samples * len(times)),
    }


class Clock:
    """Adds up the time within functions, without that of other timed functions inside."""

    def __init__(self):
        self.spent: dict[str, float] = defaultdict(float)
        self._inner = [0.0]

    def wrap(self, owner, name: str, phase: str) -> None:
        function = getattr(owner, name)

        def timed(*args, **kwargs):
            self._inner.append(0.0)
            begin = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                whole = time.perf_counter() - begin
                self.spent[phase] += whole - self._inner.pop()
                self._inner[-1] += whole

        setattr(owner, name, timed)


def phases(seconds: str) -> dict:
    from distkeras.distribution import collectives
    from distkeras.distribution.flags import Flags
    from distkeras.distribution.shared_sum import SharedSum
    from distkeras.engine.arena import GradientArena
    from distkeras.optimizers.memory import Slice
    from distkeras.training.trainer import Trainer

    clock = Clock()
    clock.wrap(GradientArena, "store", "gradients copied into the arena")
    clock.wrap(collectives, "meet", "waiting until all gradients are there")
    clock.wrap(Flags, "wait", "waiting for updates")
    clock.wrap(SharedSum, "read", "reduction")
    clock.wrap(Slice, "run", "update")
    clock.wrap(SharedSum, "publish", "new parameters written for the others")
    clock.wrap(Slice, "take_over", "new parameters copied from the others")
    clock.wrap(Trainer, "train_step", "compute and everything else in the step")
    clock.wrap(collectives, "agree", "agreement whether to stop, with waiting")
    clock.wrap(Trainer, "_train_epoch", "data, callbacks, logs")
    times, _ = fits(float(seconds))
    steps = (len(times) + 2) * 2 * STEPS
    return {"phases": {name: 1e3 * t / steps for name, t in clock.spent.items()}}


def bound(name: str) -> dict:
    import distkeras as keras
    from distkeras import distribution, ops
    from distkeras.strategies import current_strategy

    rank, ranks = distribution.rank(), distribution.size()
    model, optimizer = network(4096, 4096), keras.optimizers.get(name)
    variables, strategy = model.trainable_variables, current_strategy()
    optimizer.build(variables)
    gradients = [ops.ones(v.shape) for v in variables]
    size = sum(4 * v.size for v in variables)
    a, b, c = (np.ones(size // 12, "float32") for _ in range(3))
    adds, updates = [], []
    for _ in range(12):
        distribution.barrier()
        begin = time.perf_counter()
        for _ in range(4):
            np.add(a, b, out=c)
        distribution.barrier()
        adds.append((time.perf_counter() - begin) / 4)
        with strategy.step(rank, 1, ranks):
            sums = strategy.reduce_gradients(variables, gradients)
            distribution.barrier()
            begin = time.perf_counter()
            optimizer.apply(sums, variables)
            distribution.barrier()
            updates.append(time.perf_counter() - begin)
            del sums
    bandwidth = 3 * a.nbytes / min(adds[2:])
    # Each rank reads its slice of all gradients, reads and writes its slice of the parameters and
    # of both slots, writes it once more, and copies the other slices.
    slots = {"sgd": 0, "adam": 2}[name]
    touched = size + size / ranks * (2 + 2 * slots + 1) + 2 * size * (ranks - 1) / ranks
    needed, took = touched / bandwidth, min(updates[2:])
    return {
        "megabytes": size / 1e6,
        "touched": touched / 1e6,
        "bandwidth": bandwidth / 1e9,
        "bound": 1e3 * needed,
        "time": 1e3 * took,
        "ratio": took / needed,
    }


def torch(seconds: str) -> dict:
    import torch
    import torch.distributed as dist
    from torch import nn

    ranks = int(os.environ.get("WORLD_SIZE", 1))
    torch.set_num_threads(1)
    hidden = [nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)]
    model: nn.Module = nn.Sequential(*hidden)
    if ranks > 1:
        dist.init_process_group("gloo")
        model = nn.parallel.DistributedDataParallel(model)
    optimizer, loss = torch.optim.Adam(model.parameters()), nn.CrossEntropyLoss()
    x, y = map(torch.from_numpy, data(1))

    def once() -> float:
        begin = time.perf_counter()
        for _ in range(2):
            order = torch.randperm(len(x))
            for start in range(0, len(x), ROWS):
                rows = order[start : start + ROWS]
                optimizer.zero_grad()
                loss(model(x[rows]), y[rows]).backward()
                optimizer.step()
        return time.perf_counter() - begin

    once()
    count = torch.tensor(max(3, round(float(seconds) / once())))
    if ranks > 1:
        dist.broadcast(count, 0)
    times = [once() for _ in range(int(count))]
    return {"speed": 2 * len(x) * ranks / statistics.median(times)}


def main() -> None:
    jobs = {"fit": fit, "phases": phases, "bound": bound, "torch": torch}
    found = jobs[sys.argv[1]](*sys.argv[2:])
    if int(os.environ.get("RANK", 0)) == 0:
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
