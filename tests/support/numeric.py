"""Helpers: gradients by finite differences, and a step spread over pretended ranks."""

import threading

import numpy as np

from distkeras.distribution import denominators
from distkeras.engine.tensor import Tensor


def numeric_gradient(function, x: np.ndarray, step: float = 1e-6) -> np.ndarray:
    """Central differences of a function of a float64 array."""
    gradient = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[index] += step
        down[index] -= step
        gradient[index] = (function(up) - function(down)) / (2 * step)
    return gradient


def on_ranks(function, parts: list) -> list:
    """`function(part)` for each part at once, with denominators summed over all of them.

    Every part runs in a thread of its own, so a rank that asks for a sum waits for the others, as
    in a job; a different number of sums on the ranks breaks the barrier and fails the test.
    """
    size = len(parts)
    barrier = threading.Barrier(size, timeout=10)
    slots, results, errors = [None] * size, [None] * size, []

    def reducer_of(rank):
        def reducer(x):
            slots[rank] = x.numpy() if isinstance(x, Tensor) else x
            barrier.wait()
            total = sum(slots)
            barrier.wait()
            return Tensor(np.asarray(total, x.array.dtype)) if isinstance(x, Tensor) else total

        return reducer

    def run(rank):
        try:
            with denominators.using(reducer_of(rank)):
                results[rank] = function(parts[rank])
        except BaseException as error:
            errors.append(error)
            barrier.abort()

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    real = [e for e in errors if not isinstance(e, threading.BrokenBarrierError)]
    if errors:
        raise (real or errors)[0]
    return results
