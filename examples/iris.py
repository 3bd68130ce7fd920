"""Three species of iris from four measurements: a Sequential classifier."""

import argparse

import numpy as np

import distkeras as keras
from distkeras import layers


def main(epochs: int = 60) -> float:
    """Train and evaluate; returns the test accuracy."""
    keras.utils.set_random_seed(1)
    (x_train, y_train), (x_test, y_test) = keras.datasets.iris.load_data()
    mean, std = x_train.mean(axis=0), x_train.std(axis=0)
    x_train, x_test = (x_train - mean) / std, (x_test - mean) / std
    y_train, y_test = keras.utils.to_categorical(y_train, 3), keras.utils.to_categorical(y_test, 3)

    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(32, activation="relu"),
            layers.Dense(16, activation="relu"),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    model.summary()
    test = (x_test, y_test)
    model.fit(x_train, y_train, epochs=epochs, batch_size=16, validation_data=test, verbose=2)
    _, accuracy = model.evaluate(x_test, y_test, verbose=0)
    print(f"test accuracy: {accuracy:.4f}")
    species = np.array(["setosa", "versicolor", "virginica"])
    guesses = model.predict(x_test[:5], verbose=0).argmax(axis=1)
    print("first test flowers:", ", ".join(species[guesses]))
    return accuracy


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=60)
    main(parser.parse_args().epochs)
