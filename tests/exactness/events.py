"""Callbacks, and loops written by hand."""

import numpy as np

import distkeras as keras
from exactness.common import N, dense, fit, numbers, outcome, target

SGD = keras.optimizers.SGD


def monitors():
    x = numbers(N, 6)
    model = dense(SGD(0.3))
    c = keras.callbacks
    plateau = c.ReduceLROnPlateau("val_loss", patience=0, factor=0.5, min_delta=0.05)
    stop = c.EarlyStopping("val_loss", patience=1, min_delta=0.05, restore_best_weights=True)
    history = fit(model, x, target(x), epochs=12, validation_split=0.3, callbacks=[plateau, stop])
    return outcome(model, history, epochs=history.epoch)


class Halves(keras.callbacks.Callback):
    """Halves a weight after each epoch."""

    def on_epoch_end(self, epoch, logs=None):
        kernel = self.model.layers[0].kernel
        kernel.assign(kernel * 0.5)


def halves():
    x = numbers(N, 6)
    model = dense("adam")
    return outcome(model, fit(model, x, target(x), callbacks=[Halves()]))


class Follows(keras.callbacks.Callback):
    """A second network that follows the weights of the trained one, slowly."""

    def __init__(self, follower):
        super().__init__()
        self.follower = follower

    def on_train_batch_end(self, batch, logs=None):
        for slow, fast in zip(self.follower.weights, self.model.weights, strict=True):
            slow.assign(0.9 * slow + 0.1 * fast)


def follows():
    x = numbers(N, 6)
    model, follower = dense("adam"), dense("adam")
    history = fit(model, x, target(x), callbacks=[Follows(follower)])
    return outcome(model, history) | {
        f"follower {i}": v.numpy() for i, v in enumerate(follower.weights)
    }


def loop():
    """Outside of `fit` everything is local: every rank runs the whole loop."""
    model = dense("adam")
    squares = keras.losses.MeanSquaredError()
    mean = keras.metrics.Mean()
    x = numbers(N, 6)
    for start in range(0, N, 8):
        rows = x[start : start + 8]
        with keras.GradientTape() as tape:
            loss = squares(target(rows), model(rows, training=True))
        weights = model.trainable_variables
        model.optimizer.apply(tape.gradient(loss, weights), weights)
        mean.update_state(loss)
    return outcome(model, mean=mean.result().numpy())


class Watches(keras.callbacks.Callback):
    """Reads the logs of every batch, evaluates, sets rates, and stops by what it saw."""

    def __init__(self, x, y):
        super().__init__()
        self.x, self.y = x, y
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append([logs["loss"], logs["mae"]])

    def on_epoch_end(self, epoch, logs=None):
        values = self.model.evaluate(self.x, self.y, batch_size=7, verbose=0, return_dict=True)
        logs["held_out"] = values["loss"]
        rows = self.model.predict(self.x, batch_size=4, verbose=0)
        self.seen.append([values["mae"], float(np.sum(rows))])
        self.model.optimizer.learning_rate = 0.1 / (1 + values["loss"])
        if len(self.seen) > 12:
            self.model.stop_training = True


def watches():
    x = numbers(N, 6)
    y = target(x)
    model = dense(SGD(0.1), metrics=["mae"])
    watcher = Watches(x[:9], y[:9])
    history = fit(model, x, y, epochs=9, callbacks=[watcher])
    return outcome(model, history, seen=np.array(watcher.seen))


class Reads(keras.Model):
    """A step that looks at values: what it does depends on the loss of the whole batch."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(2)
        self.mean = keras.metrics.Mean(name="mean")
        self.total = keras.metrics.Sum(name="total")
        self.steps = keras.metrics.Sum(name="steps")

    @property
    def metrics(self):
        return [self.mean, self.total, self.steps]

    def call(self, x):
        return self.dense(x)

    def train_step(self, data):
        x, y = data
        with keras.GradientTape() as tape:
            loss = self.compute_loss(y=y, y_pred=self(x, training=True))
        weights = self.trainable_variables
        gradients = tape.gradient(loss, weights)
        if float(loss) > 1.0:
            gradients = [g * 0.5 for g in gradients]
        norm = float(keras.ops.sqrt(sum(keras.ops.sum(g * g) for g in gradients)))
        self.optimizer.apply([g / (1.0 + norm) for g in gradients], weights)
        self.mean.update_state(float(loss))
        self.total.update_state(loss)
        self.steps.update_state(1.0)
        return {m.name: m.result() for m in self.metrics} | {"norm": norm}


def reads():
    x = numbers(N, 6)
    model = Reads()
    model.compile(SGD(0.2), "mse")
    return outcome(model, fit(model, x, target(x)))


def assigns():
    """Variables written between two fits, between their epochs, and within a step."""
    x = numbers(N, 6)
    model = dense("adam", kernel_constraint=keras.constraints.NonNeg())
    c = keras.callbacks
    kernel = model.layers[0].kernel

    def begin(epoch, logs):
        kernel.assign(kernel + 0.01 * epoch)
        model.optimizer.learning_rate.assign(0.01 / (epoch + 1))

    def batch(step, logs):
        model.layers[1].bias.assign_add([0.01 * logs["loss"], 0.0])

    rate = c.LearningRateScheduler(lambda epoch, rate: rate * 0.9)
    events = c.LambdaCallback(on_epoch_begin=begin, on_train_batch_end=batch)
    first = fit(model, x, target(x), epochs=2, callbacks=[events, rate])
    model.set_weights([w * 0.9 for w in model.get_weights()])
    model.layers[0].trainable = False
    model.compile("sgd", "mse")
    second = fit(model, x, target(x), epochs=3, initial_epoch=1)
    return outcome(model, second, first=first.history["loss"])


def frozen_between():
    """Fine-tuning: layers frozen and released between fits."""
    x = numbers(N, 6)
    model = dense(SGD(0.05, momentum=0.5))
    found = []
    for trainable in (True, False, True):
        model.layers[0].trainable = trainable
        model.compile(SGD(0.05, momentum=0.5), "mse")
        found += fit(model, x, target(x), epochs=2).history["loss"]
    return outcome(model, losses=found)


EVENTS = {
    "monitors": monitors,
    "a callback halves a weight": halves,
    "a network follows": follows,
    "a callback that reads, evaluates and stops": watches,
    "a step that reads values": reads,
    "assigning anywhere": assigns,
    "frozen between fits": frozen_between,
    "a loop by hand": loop,
}
