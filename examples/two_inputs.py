"""Are two handwritten digits the same? A functional model with two inputs and a shared encoder."""

import argparse

import numpy as np

import distkeras as keras
from distkeras import layers


def pairs(images: np.ndarray, labels: np.ndarray, count: int, seed: int):
    """Random pairs of images, half of them of the same digit, and whether they are."""
    rng = np.random.default_rng(seed)
    left = rng.integers(len(images), size=count)
    same = rng.random(count) < 0.5
    right = np.empty(count, int)
    for i in range(count):
        choices = np.flatnonzero((labels == labels[left[i]]) == same[i])
        right[i] = rng.choice(choices)
    return [images[left], images[right]], same.astype("float32")


def main(epochs: int = 12) -> float:
    """Train and evaluate; returns the test accuracy."""
    keras.utils.set_random_seed(1)
    (x_train, y_train), (x_test, y_test) = keras.datasets.digits.load_data()
    x_train, x_test = x_train[..., None] / 16.0, x_test[..., None] / 16.0
    train, train_same = pairs(x_train, y_train, 8000, seed=0)
    test = pairs(x_test, y_test, 2000, seed=1)

    encoder = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(32),
        ],
        name="encoder",
    )
    left, right = keras.Input((8, 8, 1), name="left"), keras.Input((8, 8, 1), name="right")
    a, b = encoder(left), encoder(right)
    distance = keras.ops.absolute(layers.Subtract()([a, b]))
    joined = layers.Concatenate()([distance, layers.Multiply()([a, b])])
    outputs = layers.Dense(1, activation="sigmoid")(layers.Dense(32, activation="relu")(joined))
    model = keras.Model([left, right], outputs, name="same_digit")
    model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
    model.summary()
    model.fit(train, train_same, epochs=epochs, batch_size=64, validation_data=test, verbose=2)
    _, accuracy = model.evaluate(*test, verbose=0)
    print(f"test accuracy: {accuracy:.4f}")
    return accuracy


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=12)
    main(parser.parse_args().epochs)
