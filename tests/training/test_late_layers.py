"""A model that defines no `call` and whose layers are built by its first training step."""

import numpy as np

import distkeras as keras


class Late(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(1, kernel_initializer="ones")

    def train_step(self, data):
        x, y = data
        with keras.GradientTape() as tape:
            loss = keras.ops.mean(keras.ops.square(self.dense(x) - y))
        weights = self.dense.trainable_weights
        self.optimizer.apply(tape.gradient(loss, weights), weights)
        return {"squared": loss}


def test_the_first_step_builds_model_and_optimizer():
    model = Late()
    model.compile(optimizer=keras.optimizers.SGD(0.1))
    history = model.fit(np.ones((8, 2)), np.zeros((8, 1)), batch_size=4, epochs=2, verbose=0)
    losses = history.history["squared"]
    assert losses[1] < losses[0] < 4.0
    assert len(model.optimizer.variables) == 2
