"""What the cases share: data, a small network, and what they give back to be compared."""

from contextlib import contextmanager
from unittest import mock

import numpy as np

import distkeras as keras
from distkeras import layers
from distkeras.distribution.world import alone

N, EPOCHS = 23, 5  # batches of 8, 8 and 7; batches of 11 leave a last one of 1


@contextmanager
def single_process():
    """Training as one process does it, within a job of several."""
    with alone(), mock.patch("distkeras.training.trainer.is_alone", return_value=False):
        yield


def numbers(*shape, seed=0):
    draw = np.random.default_rng(seed).standard_normal(shape)
    return draw.astype(keras.config.floatx())


CLASSES = np.arange(N) * 7 % 3
LENGTHS = np.array([1, 1, 1, 1, 1, 2, 1, 9, 9, 9, 1, 1, 8, 9, 1, 9, 1, 1, 1, 1, 9, 9, 3])[:N]
TOKENS = np.where(np.arange(9) < LENGTHS[:, None], np.arange(N * 9).reshape(N, 9) % 11 + 1, 0)


def target(x):
    return np.sin(x.reshape(len(x), -1)[:, :2] * 2).astype(x.dtype)


def dense(optimizer="sgd", loss="mse", metrics=(), head=None, **settings):
    model = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(8, activation="tanh", **settings),
            head or layers.Dense(2),
        ]
    )
    model.compile(optimizer, loss, metrics=list(metrics))
    return model


def outcome(model, history=None, **more):
    """What a case returns: names -> numbers."""
    # Metrics count their own rows on each rank; what counts is in the history.
    of_metrics = {id(v) for m in model.metrics for v in m.variables}
    kept = [v for v in model.variables if id(v) not in of_metrics]
    found = {f"{i} {v.path}": v.numpy() for i, v in enumerate(kept)}
    if getattr(model, "optimizer", None) is not None:
        found |= {f"slot {i} {v.path}": v.numpy() for i, v in enumerate(model.optimizer.variables)}
    if history is not None:
        found |= {f"history {k}": np.array(v, "float64") for k, v in history.history.items()}
    return found | {k: np.asarray(v) for k, v in more.items()}


def fit(model, x, y, *, batch_size=8, epochs=EPOCHS, **settings):
    return model.fit(x, y, batch_size=batch_size, epochs=epochs, verbose=0, **settings)


def nudged(array):
    """Floats, each at random moved to a neighbour or not: what another order of sums may do."""
    up = np.random.default_rng(1).integers(0, 2, array.shape).astype(bool)
    return np.where(up, np.nextafter(array, np.asarray(np.inf, array.dtype)), array)


def run(case, floatx="float32"):
    """What a case gives back, in a session of its own."""
    keras.config.set_floatx(floatx)
    keras.utils.clear_session()
    keras.utils.set_random_seed(7)
    return case()


def differences(found, wanted):
    """name -> distance relative to the expected value's norm."""
    assert list(found) == list(wanted)
    result = {}
    for key, b in wanted.items():
        a = found[key]
        assert a.shape == b.shape, key
        if b.dtype.kind in "iub":
            result[key] = 0.0 if np.array_equal(a, b) else np.inf
            continue
        a, b = a.astype("float64"), b.astype("float64")
        assert np.isfinite(b).all(), key
        distance = np.linalg.norm(a - b)
        result[key] = distance and distance / max(np.linalg.norm(b), 1e-30)
    return result
