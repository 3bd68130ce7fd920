"""Steps and losses of one's own."""

import distkeras as keras
from distkeras import layers, ops
from exactness.common import EPOCHS, N, fit, numbers, outcome, target

ADAM = keras.optimizers.Adam


class OwnStep(keras.Model):
    """A step whose loss is written with operations, beside a Keras loss and a penalty."""

    def __init__(self, loss_of):
        super().__init__()
        self.first = layers.Dense(8, activation="tanh")
        self.second = layers.Dense(2)
        self.loss_of = loss_of
        self.seen = keras.metrics.Mean(name="seen")

    @property
    def metrics(self):
        return [self.seen]

    def call(self, x):
        return self.second(self.first(x))

    def train_step(self, data):
        x, y = data
        with keras.GradientTape() as tape:
            loss = self.loss_of(self, y, self(x))
        weights = self.trainable_variables
        self.optimizer.apply(tape.gradient(loss, weights), weights)
        self.seen.update_state(loss)
        return {"seen": self.seen.result(), "now": ops.mean(loss)}


def own_step(loss_of):
    def case():
        x = numbers(N, 6)
        model = OwnStep(loss_of)
        model.build((None, 6))
        model.compile("sgd")
        return outcome(model, fit(model, x, target(x)))

    return case


def _penalty(model):
    return 1e-2 * ops.sum(ops.square(model.first.kernel))


SQUARES = keras.losses.MeanSquaredError
OWN_LOSSES = {
    "mean": lambda m, y, p: ops.mean(ops.square(y - p)),
    "mean of a loss function": lambda m, y, p: ops.mean(keras.losses.mean_squared_error(y, p)),
    "sum by rows": lambda m, y, p: ops.sum(ops.square(y - p)) / ops.shape(y)[0],
    "sum": lambda m, y, p: 0.05 * ops.sum(ops.square(y - p)),
    "vector": lambda m, y, p: 0.05 * keras.losses.mean_squared_error(y, p),
    "loss object": lambda m, y, p: SQUARES()(y, p),
    "loss object and penalty": lambda m, y, p: SQUARES()(y, p) + _penalty(m),
    "mean and penalty": lambda m, y, p: ops.mean(ops.square(y - p)) + _penalty(m),
    "loss object and mean": lambda m, y, p: SQUARES()(y, p) + 0.1 * ops.mean(ops.abs(p) ** 3),
    "root of a mean": lambda m, y, p: ops.sqrt(ops.mean(ops.square(y - p)) + 0.1),
    "mean over two axes in turn": lambda m, y, p: ops.mean(ops.mean(ops.square(y - p), 0) * 2),
    "batch variance": lambda m, y, p: ops.mean(ops.square(y - p)) + 0.1 * ops.sum(ops.var(p, 0)),
}


class Critic(keras.Model):
    """A critic with a penalty on the gradient by its inputs, as in Keras's guides."""

    def __init__(self):
        super().__init__()
        self.critic = keras.Sequential(
            [keras.Input((6,)), layers.Dense(8, activation="tanh"), layers.Dense(1)]
        )

    def train_step(self, real):
        rows = ops.shape(real)[0]
        fake = keras.random.normal((rows, 6))
        with keras.GradientTape() as tape:
            cost = ops.mean(self.critic(fake)) - ops.mean(self.critic(real))
            between = real + keras.random.uniform((rows, 1)) * (fake - real)
            with keras.GradientTape() as inner:
                inner.watch(between)
                score = self.critic(between)
            slope = inner.gradient(score, between)
            norm = ops.sqrt(ops.sum(ops.square(slope), axis=1) + 1e-8)
            loss = cost + 10.0 * ops.mean((norm - 1.0) ** 2)
        weights = self.critic.trainable_weights
        self.optimizer.apply(tape.gradient(loss, weights), weights)
        return {"loss": loss}


def gradient_penalty():
    model = Critic()
    model.compile(ADAM(1e-3))
    return outcome(model, model.fit(numbers(N, 6), batch_size=8, epochs=EPOCHS, verbose=0))


STEPS = {
    "gradient penalty": gradient_penalty,
    **{f"own step: {name}": own_step(loss) for name, loss in OWN_LOSSES.items()},
}
