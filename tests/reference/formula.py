"""Arrays that the reference generator and the tests compute alike, from a name and a shape."""

from __future__ import annotations

import zlib

import numpy as np


def stream(name: str) -> np.random.RandomState:
    """Return a random stream keyed by a name (`RandomState` streams are frozen by NumPy)."""
    return np.random.RandomState(zlib.crc32(name.encode()) % (2**31))


def uniform(name: str, shape, low: float = -1.0, high: float = 1.0) -> np.ndarray:
    """Return float32 values in [low, high), keyed by name."""
    return stream(name).uniform(low, high, size=shape).astype("float32")


def integers(name: str, shape, low: int, high: int) -> np.ndarray:
    """Return int32 values in [low, high), keyed by name."""
    return stream(name).randint(low, high, size=shape).astype("int32")


def distinct(name: str, shape, low: float = -1.0, high: float = 1.0) -> np.ndarray:
    """Return float32 values that are all different (no ties in maxima), keyed by name."""
    size = int(np.prod(shape))
    order = stream(name).permutation(size)
    return (low + (high - low) * (order + 0.5) / size).reshape(shape).astype("float32")


def weight_value(name: str, index: int, shape, variable_name: str) -> np.ndarray:
    """Return the value to load into the weight `index` of a layer; variances stay positive."""
    low = 0.3 if "variance" in variable_name else -0.7
    return uniform(f"{name}/weight{index}", shape, low, low + 1.2)


def set_formula_weights(name: str, layer) -> None:
    """Load formula values into all weights of a built layer."""
    layer.set_weights(
        [
            weight_value(name, i, tuple(int(d) for d in w.shape), w.name)
            for i, w in enumerate(layer.weights)
        ]
    )


def sample(array, limit: int = 160) -> np.ndarray:
    """Return at most `limit` elements of an array, evenly spaced in its flat order."""
    flat = np.asarray(array).reshape(-1)
    if flat.size <= limit:
        return flat
    return flat[np.linspace(0, flat.size - 1, limit).round().astype("int64")]
