"""Removing noise from handwritten digits: an encoder and a decoder trained together."""

import argparse

import numpy as np

import distkeras as keras
from distkeras import layers


def main(epochs: int = 30) -> float:
    """Train and evaluate; returns the share of the noise that is left on test images."""
    keras.utils.set_random_seed(1)
    (x_train, _), (x_test, _) = keras.datasets.digits.load_data()
    x_train, x_test = (x[..., None].astype("float32") / 16.0 for x in (x_train, x_test))
    rng = np.random.default_rng(0)
    noisy_train = x_train + 0.4 * rng.standard_normal(x_train.shape).astype("float32")
    noisy_test = x_test + 0.4 * rng.standard_normal(x_test.shape).astype("float32")

    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(32, 3, padding="same", activation="relu")(inputs)
    x = layers.MaxPooling2D(2)(x)
    x = layers.Flatten()(x)
    code = layers.Dense(32, activation="relu", name="code")(x)
    encoder = keras.Model(inputs, code, name="encoder")

    codes = keras.Input((32,))
    x = layers.Dense(4 * 4 * 32, activation="relu")(codes)
    x = layers.Reshape((4, 4, 32))(x)
    x = layers.UpSampling2D(2)(x)
    images = layers.Conv2D(1, 3, padding="same", activation="sigmoid")(x)
    decoder = keras.Model(codes, images, name="decoder")

    autoencoder = keras.Model(inputs, decoder(encoder(inputs)), name="autoencoder")
    autoencoder.compile(optimizer="adam", loss="mse")
    test = (noisy_test, x_test)
    autoencoder.fit(
        noisy_train, x_train, epochs=epochs, batch_size=64, validation_data=test, verbose=2
    )
    noise = float(np.mean((noisy_test - x_test) ** 2))
    left = autoencoder.evaluate(noisy_test, x_test, verbose=0) / noise
    print(f"noise left: {left:.3f}")
    return left


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=30)
    main(parser.parse_args().epochs)
