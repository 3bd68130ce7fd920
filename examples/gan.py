"""Generated handwritten digits: a custom `train_step` with two networks and two optimizers."""

import argparse

import numpy as np

import distkeras as keras
from distkeras import layers, ops

LATENT = 32


def networks():
    """The discriminator, image -> logit, and the generator, noise -> image."""
    discriminator = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(32, 3, strides=2, padding="same"),
            layers.LeakyReLU(negative_slope=0.2),
            layers.Conv2D(64, 3, strides=2, padding="same"),
            layers.LeakyReLU(negative_slope=0.2),
            layers.Flatten(),
            layers.Dense(1),
        ],
        name="discriminator",
    )
    generator = keras.Sequential(
        [
            keras.Input((LATENT,)),
            layers.Dense(4 * 4 * 64, activation="relu"),
            layers.Reshape((4, 4, 64)),
            layers.UpSampling2D(2),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.Conv2D(1, 3, padding="same", activation="sigmoid"),
        ],
        name="generator",
    )
    return discriminator, generator


class GAN(keras.Model):
    """Both networks, trained in turn on each batch."""

    def __init__(self, discriminator, generator):
        super().__init__()
        self.discriminator = discriminator
        self.generator = generator
        self.seeds = keras.random.SeedGenerator(1)
        self.d_loss = keras.metrics.BinaryCrossentropy(name="d_loss", from_logits=True)
        self.g_loss = keras.metrics.BinaryCrossentropy(name="g_loss", from_logits=True)

    @property
    def metrics(self):
        return [self.d_loss, self.g_loss]

    def compile(self, d_optimizer, g_optimizer, loss):
        super().compile()
        self.d_optimizer = d_optimizer
        self.g_optimizer = g_optimizer
        self.loss_fn = loss

    def train_step(self, real):
        rows = ops.shape(real)[0]
        noise = keras.random.normal((rows, LATENT), seed=self.seeds)
        fake = self.generator(noise)
        images = ops.concatenate([fake, real], axis=0)
        labels = ops.concatenate([ops.ones((rows, 1)), ops.zeros((rows, 1))], axis=0)
        labels = labels + 0.05 * keras.random.uniform(ops.shape(labels), seed=self.seeds)
        with keras.GradientTape() as tape:
            logits = self.discriminator(images)
            d_loss = self.loss_fn(labels, logits)
        weights = self.discriminator.trainable_weights
        self.d_optimizer.apply_gradients(zip(tape.gradient(d_loss, weights), weights, strict=True))
        self.d_loss.update_state(labels, logits)

        noise = keras.random.normal((rows, LATENT), seed=self.seeds)
        labels = ops.zeros((rows, 1))
        with keras.GradientTape() as tape:
            logits = self.discriminator(self.generator(noise))
            g_loss = self.loss_fn(labels, logits)
        weights = self.generator.trainable_weights
        self.g_optimizer.apply_gradients(zip(tape.gradient(g_loss, weights), weights, strict=True))
        self.g_loss.update_state(labels, logits)
        return {"d_loss": self.d_loss.result(), "g_loss": self.g_loss.result()}


def distance(images: np.ndarray, real: np.ndarray) -> float:
    """How far images are from the nearest real one: the root mean square over pixels, averaged."""
    squares = ((images[:, None] - real[None]) ** 2).mean(axis=(2, 3, 4))
    return float(np.sqrt(squares.min(axis=1)).mean())


def main(epochs: int = 40) -> np.ndarray:
    """Train; returns 100 generated images."""
    keras.utils.set_random_seed(1)
    (images, _), (unseen, _) = keras.datasets.digits.load_data()
    images, unseen = (x[..., None].astype("float32") / 16.0 for x in (images, unseen))
    gan = GAN(*networks())
    gan.compile(
        d_optimizer=keras.optimizers.Adam(3e-4, beta_1=0.5),
        g_optimizer=keras.optimizers.Adam(3e-4, beta_1=0.5),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
    )
    gan.fit(images, epochs=epochs, batch_size=64, verbose=2)
    made = ops.convert_to_numpy(gan.generator(keras.random.normal((100, LATENT), seed=7)))
    print(f"generated digits: {distance(made, images):.3f} from the nearest training digit")
    print(f"unseen real ones: {distance(unseen, images):.3f}")
    print(f"plain grey: {distance(np.full_like(made, 0.5), images):.3f}")
    print("one generated digit:")
    for line in made[0, :, :, 0]:
        print("".join(" .:-=+*#%@"[min(9, int(v * 10))] * 2 for v in line))
    return made


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=40)
    main(parser.parse_args().epochs)
