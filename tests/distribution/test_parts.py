"""Parts of sums: values and gradients of a step of one's own are those of the whole batch, however
the rows are spread."""

import numpy as np
import pytest

import distkeras as keras
from distkeras import ops

X = np.random.default_rng(0).standard_normal((7, 3)).astype("float64")
Y = np.random.default_rng(1).standard_normal((7, 1)).astype("float64")


def mse(x, y, w, b):
    return ops.mean(ops.square(ops.matmul(x, w) + b - y))


def rmse_and_penalty(x, y, w, b):
    return ops.sqrt(mse(x, y, w, b)) + 0.1 * ops.sum(ops.square(w))


def hand_made_batch_norm(x, y, w, b):
    h = ops.matmul(x, w) + b
    h = (h - ops.mean(h, axis=0)) / ops.sqrt(ops.var(h, axis=0) + 1e-3)
    return ops.mean(ops.square(ops.tanh(h) - y))


def loss_class_and_penalty(x, y, w, b):
    return (
        keras.losses.MeanSquaredError()(y, ops.matmul(x, w) + b)
        + 0.1 * ops.sum(ops.square(w))
        + 2.0
    )


def root_of_a_loss_class(x, y, w, b):
    return ops.sqrt(keras.losses.MeanSquaredError()(y, ops.matmul(x, w) + b))


def product_of_means(x, y, w, b):
    h = ops.matmul(x, w)
    return ops.mean(h * h) * keras.losses.MeanAbsoluteError()(y, h + b)


def sum_of_rows(x, y, w, b):
    return ops.sum(ops.square(ops.matmul(x, w) + b - y)) / 7.0


def one_dimensional(x, y, w, b):
    h = ops.squeeze(ops.matmul(x, w) + b, -1)
    return keras.losses.MeanSquaredError()(ops.squeeze(y, -1), h)


def penalty_alone(x, y, w, b):
    return ops.sum(ops.square(w)) + ops.sum(ops.abs(b))


def constant_in_the_form_of_a_part(x, y, w, b):
    loss = keras.losses.MeanSquaredError()(y, ops.matmul(x, w) + b)
    return loss * ops.full_like(loss, 3.0) + ops.ones_like(loss)


CASES = [
    constant_in_the_form_of_a_part,
    penalty_alone,
    mse,
    rmse_and_penalty,
    hand_made_batch_norm,
    loss_class_and_penalty,
    root_of_a_loss_class,
    product_of_means,
    sum_of_rows,
    one_dimensional,
]


class Step(keras.Model):
    """One step of plain gradient descent on a loss."""

    def __init__(self, function):
        super().__init__(dtype="float64")
        self.function = function
        self.w = self.add_weight(
            shape=(3, 1), initializer=keras.initializers.RandomNormal(stddev=1.0, seed=3), name="w"
        )
        self.b = self.add_weight(shape=(1,), initializer="zeros", name="b")
        self.tracker = keras.metrics.Mean(name="loss", dtype="float64")
        self.built = True

    def train_step(self, data):
        x, y = data
        with keras.GradientTape() as tape:
            loss = self.function(x, y, self.w, self.b)
        gradients = tape.gradient(loss, [self.w, self.b])
        self.optimizer.apply_gradients(zip(gradients, [self.w, self.b], strict=True))
        self.tracker.update_state(loss)
        return {"loss": self.tracker.result()}


def trained(function):
    model = Step(function)
    model.compile(optimizer=keras.optimizers.SGD(0.1))
    history = model.fit(X, Y, batch_size=4, epochs=2, shuffle=False, verbose=0)
    return history.history["loss"], [v.numpy() for v in (model.w, model.b)]


@pytest.mark.mpi(sizes=(2, 3))
@pytest.mark.parametrize("function", CASES, ids=lambda f: f.__name__)
def test_a_step_of_ones_own(comm, function):
    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    try:
        from distkeras.distribution.world import alone

        keras.distribution.initialize()
        with alone():
            losses, weights = serial(function)
        found_losses, found = trained(function)
    finally:
        keras.config.set_floatx(before)
    for a, b in zip(found, weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(found_losses, losses, rtol=1e-10)


def serial(function):
    """The same descent by hand: `fit` is not for one rank alone."""
    model = Step(function)
    losses = []
    for _ in range(2):
        epoch = []
        for rows in (slice(0, 4), slice(4, 7)):
            x, y = ops.convert_to_tensor(X[rows]), ops.convert_to_tensor(Y[rows])
            with keras.GradientTape() as tape:
                loss = function(x, y, model.w, model.b)
            for v, g in zip(
                (model.w, model.b), tape.gradient(loss, [model.w, model.b]), strict=True
            ):
                v.assign(v.value - 0.1 * g)
            epoch.append(float(loss))
        losses.append(np.mean(epoch))
    return losses, [v.numpy() for v in (model.w, model.b)]
