"""Run by hand, with Keras: writes data/, the files that test_exchange.py reads.

KERAS_BACKEND=torch python tests/saving/make_data.py
"""

from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

FOLDER = Path(__file__).parent / "data"
X = np.linspace(-1, 1, 8, dtype="float32").reshape(2, 4)


def operations():
    """Return a model whose graph has operations beside layers."""
    x, y = keras.Input((4,), name="x"), keras.Input((4,), name="y")
    z = layers.Dense(4)(x) * 2 + y
    z = ops.reshape(ops.concatenate([z, y], axis=-1), (-1, 2, 4))
    z = ops.squeeze(ops.mean(z, axis=1, keepdims=True), axis=1)
    z = ops.softmax(ops.relu(z)[:, :3], axis=-1)
    return keras.Model([x, y], ops.clip(ops.where(z > 0.3, z, 0.1), 0, 1))


def legacy():
    """Return a functional model with a shared layer, trained for the state of its optimizer."""
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    shared = layers.Dense(3, activation="relu", kernel_regularizer="l2", name="shared")
    merged = layers.Concatenate()([shared(a), layers.BatchNormalization()(b)])
    outputs = {"one": layers.Dense(2)(merged), "two": layers.Dense(1)(shared(b))}
    model = keras.Model([a, b], outputs)
    model.compile(keras.optimizers.SGD(0.1), loss={"one": "mse", "two": keras.losses.Huber()})
    model.fit([X, X + 1], {"one": X[:, :2], "two": X[:, :1]}, verbose=0)
    return model


def main() -> None:
    """Write the files and what the models predict."""
    keras.utils.set_random_seed(3)
    arrays = {}
    for name, make in (("operations.keras", operations), ("legacy.h5", legacy)):
        model = make()
        model.save(FOLDER / name)
        found = model.predict([X, X + 1], verbose=0)
        found = found if isinstance(found, dict) else {"": found}
        arrays |= {f"{name}/{key}": value for key, value in found.items()}
    np.savez_compressed(FOLDER / "predicted.npz", **arrays)


if __name__ == "__main__":
    main()
