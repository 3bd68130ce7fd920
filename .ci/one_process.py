"""One process without MPI: `import` needs NumPy alone, `train` the base dependencies."""

import importlib.util
import sys

assert importlib.util.find_spec("mpi4py") is None, "this check wants an environment without mpi4py"

import distkeras
from distkeras.datasets import digits

(x_train, y_train), (x_test, y_test) = digits.load_data()

if sys.argv[1] == "import":
    assert importlib.util.find_spec("h5py") is None, "this check wants NumPy alone"
else:
    model = distkeras.Sequential(
        [
            distkeras.layers.Input(shape=(8, 8)),
            distkeras.layers.Rescaling(1 / 16),
            distkeras.layers.Flatten(),
            distkeras.layers.Dense(32, activation="relu"),
            distkeras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x_train, y_train, epochs=10, batch_size=32, verbose=0)
    loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
    print(f"one process: test loss {loss:.3f}, accuracy {accuracy:.3f}")
    assert accuracy > 0.85, "ten epochs of a small network reach more than this"
print(f"{sys.argv[1]}: distkeras from {distkeras.__file__}")
