"""Optimizers: rules, clipping, constraints, accumulation, loss scales."""

from collections.abc import Callable

import numpy as np

import distkeras as keras
from exactness.common import N, dense, fit, numbers, outcome, target


def optimizer(make: Callable):
    def case():
        x = numbers(N, 6)
        model = dense(make(), kernel_constraint=keras.constraints.MaxNorm(1.2))
        return outcome(model, fit(model, x, target(x) * 3))

    return case


SGD, ADAM = keras.optimizers.SGD, keras.optimizers.Adam
OPTIMIZERS = {
    "clipnorm": lambda: SGD(0.1, momentum=0.9, clipnorm=0.2),
    "global_clipnorm": lambda: ADAM(0.01, global_clipnorm=0.2),
    "clipvalue": lambda: SGD(0.1, clipvalue=0.05),
    "accumulation": lambda: ADAM(0.01, gradient_accumulation_steps=2),
    "ema": lambda: SGD(0.1, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=4),
    "loss scale": lambda: keras.optimizers.LossScaleOptimizer(SGD(0.1), dynamic_growth_steps=3),
    "scaled, accumulated and clipped": lambda: keras.optimizers.LossScaleOptimizer(
        ADAM(0.01, gradient_accumulation_steps=2, global_clipnorm=0.5, use_ema=True),
        initial_scale=2.0**10,
        dynamic_growth_steps=2,
    ),
    **{
        name.lower(): lambda name=name: getattr(keras.optimizers, name)(0.01)
        for name in (
            "Adadelta",
            "Adagrad",
            "Adamax",
            "Adafactor",
            "Ftrl",
            "Lion",
            "Nadam",
            "RMSprop",
        )
        if hasattr(keras.optimizers, name)
    },
    "decay": lambda: keras.optimizers.AdamW(0.01, weight_decay=0.1),
}


def overflow():
    model = dense(keras.optimizers.LossScaleOptimizer(SGD(0.1), initial_scale=2.0**15))
    x = numbers(N, 6)
    y = target(x)
    y[20] = np.finfo(y.dtype).max  # a row of one rank
    fit(model, x, y, epochs=2, shuffle=False)
    return outcome(model)


class Counting(keras.Model):
    """Accumulates gradients by hand: the optimizer sees every third sum."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(2)
        self.steps = 0

    def call(self, x):
        return self.dense(x)

    def build(self, input_shape):
        self.dense.build(input_shape)
        self.sums = [
            self.add_weight(shape=v.shape, initializer="zeros", trainable=False)
            for v in self.dense.trainable_variables
        ]

    def train_step(self, data):
        x, y = data
        with keras.GradientTape() as tape:
            loss = self.compute_loss(y=y, y_pred=self(x))
        weights = self.dense.trainable_variables
        for total, gradient in zip(self.sums, tape.gradient(loss, weights), strict=True):
            total.assign_add(gradient)
        self.steps += 1
        if self.steps % 3 == 0:
            self.optimizer.apply([s / 3 for s in self.sums], weights)
            for total in self.sums:
                total.assign(total * 0)
        return {"loss": loss}


def sums_by_hand():
    x = numbers(N, 6)
    model = Counting()
    model.compile("sgd", "mse")
    return outcome(model, fit(model, x, target(x)))


UPDATES = {
    "overflow on one rank": overflow,
    "gradients summed by hand": sums_by_hand,
    **{f"optimizer: {name}": optimizer(make) for name, make in OPTIMIZERS.items()},
}
