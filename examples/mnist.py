"""Handwritten digits of MNIST: a convolutional net.

Needs MNIST's files: with `--data DIR` the directory that holds `t10k-images-idx3-ubyte.gz` and
`t10k-labels-idx1-ubyte.gz` (8,000 of their 10,000 images train, 2,000 test), without it what
`keras.datasets.mnist.load_data()` finds.
"""

import argparse
from pathlib import Path

import distkeras as keras
from distkeras import layers


def load(data: str | None):
    """Training and test images with their labels."""
    if data is None:
        return keras.datasets.mnist.load_data()
    folder = Path(data)
    images, labels = keras.datasets.mnist.load_idx(
        folder / "t10k-images-idx3-ubyte.gz", folder / "t10k-labels-idx1-ubyte.gz"
    )
    cut = len(images) * 4 // 5
    return (images[:cut], labels[:cut]), (images[cut:], labels[cut:])


def main(data: str | None = None, epochs: int = 5) -> float:
    """Train and evaluate; returns the test accuracy."""
    keras.utils.set_random_seed(1)
    (x_train, y_train), (x_test, y_test) = load(data)
    x_train = x_train.reshape(-1, 28, 28, 1).astype("float32") / 255.0
    x_test = x_test.reshape(-1, 28, 28, 1).astype("float32") / 255.0

    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, (3, 3), activation="relu"),
            layers.MaxPooling2D((2, 2)),
            layers.Conv2D(64, (3, 3), activation="relu"),
            layers.MaxPooling2D((2, 2)),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(64, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x_train, y_train, epochs=epochs, batch_size=64, validation_split=0.1, verbose=2)
    _, accuracy = model.evaluate(x_test, y_test, verbose=0)
    print(f"test accuracy: {accuracy:.4f}")
    return accuracy


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="the directory that holds the two files")
    parser.add_argument("--epochs", type=int, default=5)
    arguments = parser.parse_args()
    main(arguments.data, arguments.epochs)
