"""Random layers and draws, also where samples are not the first axis alone."""

import distkeras as keras
from distkeras import layers, ops
from exactness.common import N, fit, numbers, outcome, target


class Merged(keras.Model):
    """Steps of all samples as one axis, in which the loss and dropout see them."""

    def __init__(self):
        super().__init__()
        self.inner = layers.Dense(5, activation="tanh")
        self.dropout = layers.Dropout(0.3, seed=1)
        self.outer = layers.Dense(1)
        self.squares = keras.losses.MeanSquaredError()

    def call(self, x, training=None):
        merged = ops.reshape(x, (-1, 3))
        return self.outer(self.dropout(self.inner(merged), training=training))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return self.squares(ops.reshape(y, (-1, 1)), y_pred)


def merged_axes():
    model = Merged()
    model.compile("sgd")
    x, y = numbers(N, 4, 3), numbers(N, 4, seed=1)
    return outcome(model, fit(model, x, y, batch_size=2, epochs=2))


class Sampling(layers.Layer):
    """A normal draw of the inputs' size, a token before each sample, and a penalty on means."""

    def __init__(self):
        super().__init__()
        self.seeds = keras.random.SeedGenerator(3)

    def build(self, input_shape):
        self.token = self.add_weight(shape=(1, 1, input_shape[-1]), initializer="ones")

    def call(self, x):
        rows, width = ops.shape(x)[0], ops.shape(x)[2]
        self.add_loss(0.1 * ops.mean(ops.square(x)))
        x = x + 0.1 * keras.random.normal((rows, 1, width), seed=self.seeds)
        return ops.concatenate([ops.broadcast_to(self.token, (rows, 1, width)), x], axis=1)


def random_layers():
    x = numbers(N, 5, 6)
    model = keras.Sequential(
        [
            keras.Input((5, 6)),
            layers.GaussianNoise(0.1, seed=1),
            layers.SpatialDropout1D(0.3, seed=2),
            Sampling(),
            layers.GaussianDropout(0.2, seed=3),
            layers.Flatten(),
            layers.Dense(8, activation="tanh"),
            layers.AlphaDropout(0.2, seed=4),
            layers.Dense(2),
        ]
    )
    model.compile("sgd", "mse")
    return outcome(model, fit(model, x, target(x), batch_size=5))


RANDOM = {"merged axes": merged_axes, "random layers": random_layers}
