"""Whole networks, and sizes of batches."""

import numpy as np

import distkeras as keras
from distkeras import layers, ops
from exactness.common import EPOCHS, TOKENS, N, dense, fit, numbers, outcome, target


def mlp():
    x = numbers(N, 6)
    model = dense("adam", metrics=["mae"], kernel_regularizer=keras.regularizers.L2(1e-3))
    history = fit(model, x, target(x), validation_split=0.2)
    evaluated = model.evaluate(x, target(x), batch_size=5, verbose=0)
    return outcome(
        model,
        history,
        predicted=model.predict(x, batch_size=5, verbose=0),
        on_batch=model.predict_on_batch(x),
        evaluated=evaluated,
    )


def cnn():
    x = numbers(N, 6, 6, 2)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.Conv2D(4, 3, use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.Activation("swish"),
            layers.Dropout(0.3, seed=5),
            layers.AveragePooling2D(2),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), "mse", metrics=["mae"])
    history = fit(model, x, target(x), validation_data=(x[:5], target(x[:5])))
    return outcome(model, history, predicted=model.predict(x, batch_size=5, verbose=0))


def lstm():
    model = keras.Sequential(
        [
            keras.Input((9,), dtype="int32"),
            layers.Embedding(13, 4, mask_zero=True),
            layers.LSTM(5, return_sequences=True, dropout=0.2, seed=3),
            layers.TimeDistributed(layers.Dense(2)),
        ]
    )
    model.compile("rmsprop", "mse", metrics=["mse"], weighted_metrics=["mae"])
    return outcome(model, fit(model, TOKENS, numbers(N, 9, 2, seed=1)))


def two_masked_outputs():
    inputs = keras.Input((9,), dtype="int32")
    embedded = layers.Embedding(13, 4, mask_zero=True)(inputs)
    penalty = keras.regularizers.L2(1e-3)
    sequence = layers.GRU(5, return_sequences=True, kernel_regularizer=penalty)(embedded)
    steps = layers.Dense(3, activation="softmax", name="steps")(sequence)
    value = layers.Dense(1, name="value", activity_regularizer="l2")(layers.LSTM(4)(embedded))
    other = layers.Dense(2, name="other")(layers.Masking()(sequence))
    model = keras.Model(inputs, {"steps": steps, "value": value, "other": other})
    model.compile(
        keras.optimizers.Adam(3e-3),
        {"steps": "sparse_categorical_crossentropy", "value": "mae", "other": "mse"},
        loss_weights={"steps": 2.0, "value": 0.5, "other": 1.0},
        weighted_metrics={"steps": ["accuracy"], "value": ["mse"], "other": ["mae"]},
    )
    y = {
        "steps": np.arange(N * 9).reshape(N, 9) % 3,
        "value": numbers(N, 1, seed=2) + 3,
        "other": numbers(N, 9, 2, seed=3),
    }
    weight = np.linspace(0, 3, N)
    weights = {
        "steps": np.outer(weight, np.arange(9)),
        "value": weight[::-1],
        "other": np.ones((N, 9)),
    }
    return outcome(model, fit(model, TOKENS, y, sample_weight=weights))


class Adversaries(keras.Model):
    """A generator and a discriminator, with noise on the labels, as in Keras's guides."""

    def __init__(self):
        super().__init__()
        self.generator = keras.Sequential(
            [keras.Input((4,)), layers.Dense(8, activation="tanh"), layers.Dense(6)]
        )
        self.discriminator = keras.Sequential(
            [
                keras.Input((6,)),
                layers.Dense(8, activation="tanh"),
                layers.Dropout(0.2, seed=4),
                layers.Dense(1),
            ]
        )
        self.seeds = keras.random.SeedGenerator(1)
        self.d_mean = keras.metrics.Mean(name="d_loss")
        self.g_mean = keras.metrics.Mean(name="g_loss")
        self.hits = keras.metrics.BinaryAccuracy(name="hits", threshold=0.1)

    @property
    def metrics(self):
        return [self.d_mean, self.g_mean, self.hits]

    def compile(self):
        super().compile()
        self.d_optimizer = keras.optimizers.Adam(1e-3)
        self.g_optimizer = keras.optimizers.SGD(1e-2)
        self.entropy = keras.losses.BinaryCrossentropy(from_logits=True)

    def train_step(self, real):
        rows = ops.shape(real)[0]
        noise = keras.random.normal((rows, 4), seed=self.seeds)
        both = ops.concatenate([self.generator(noise), real], axis=0)
        labels = ops.concatenate([ops.ones((rows, 1)), ops.zeros((rows, 1))], axis=0)
        labels += 0.05 * keras.random.uniform(ops.shape(labels), seed=self.seeds)
        with keras.GradientTape() as tape:
            logits = self.discriminator(both, training=True)
            loss = self.entropy(labels, logits)
        weights = self.discriminator.trainable_weights
        self.d_optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        self.d_mean.update_state(loss)
        self.hits.update_state(labels, logits)
        noise = keras.random.normal(shape=(real.shape[0], 4), seed=self.seeds)
        with keras.GradientTape() as tape:
            loss = self.entropy(ops.zeros((rows, 1)), self.discriminator(self.generator(noise)))
        weights = self.generator.trainable_weights
        self.g_optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        self.g_mean.update_state(loss)
        return {m.name: m.result() for m in self.metrics}


def gan():
    model = Adversaries()
    model.compile()
    history = model.fit(numbers(N, 6), batch_size=8, epochs=EPOCHS, verbose=0)
    return outcome(model, history)


def batches(size):
    def case():
        x = numbers(N, 6)
        model = dense("adam", metrics=["mae"])
        return outcome(model, fit(model, x, target(x), batch_size=size, epochs=2))

    return case


WHOLE = {"mlp": mlp, "cnn": cnn, "lstm": lstm, "two masked outputs": two_masked_outputs, "gan": gan}


def deep_cnn():
    x = numbers(N, 8, 8, 3)
    inputs = keras.Input((8, 8, 3))
    h = layers.Conv2D(4, 3, padding="same", use_bias=False)(inputs)
    h = layers.BatchNormalization(momentum=0.8)(h)
    skip = layers.Activation("swish")(h)
    h = layers.SeparableConv2D(4, 3, padding="same", use_bias=False)(skip)
    h = layers.BatchNormalization(momentum=0.8, renorm=False)(h)
    h = layers.add([layers.Activation("tanh")(h), skip])
    h = layers.SpatialDropout2D(0.2, seed=2)(h)
    h = layers.MaxPooling2D()(h)
    h = layers.Conv2DTranspose(3, 2, strides=2)(h)
    h = layers.GlobalAveragePooling2D()(h)
    model = keras.Model(inputs, layers.Dense(2)(layers.LayerNormalization()(h)))
    model.compile(keras.optimizers.SGD(0.02, momentum=0.9, nesterov=True), "huber")
    return outcome(model, fit(model, x, target(x)))


def renormalized():
    x = numbers(N, 6)
    model = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(5, use_bias=False),
            layers.BatchNormalization(renorm=True, momentum=0.8),
            layers.Dense(2),
        ]
    )
    model.compile("sgd", "mse")
    return outcome(model, fit(model, x, target(x)))


def masked_normalization():
    model = keras.Sequential(
        [
            keras.Input((9,), dtype="int32"),
            layers.Embedding(13, 4, mask_zero=True),
            layers.BatchNormalization(momentum=0.8),
            layers.Bidirectional(layers.GRU(3, return_sequences=True, recurrent_dropout=0.1)),
            layers.LSTM(3),
            layers.Dense(2),
        ]
    )
    model.compile("adam", "mae")
    return outcome(model, fit(model, TOKENS, numbers(N, 2, seed=1)))


def shared_layers():
    """One network on two inputs, an unused head, a frozen layer."""
    tower = keras.Sequential([keras.Input((6,)), layers.Dense(5, activation="tanh")])
    frozen = layers.Dense(5, activation="tanh", trainable=False)
    a, b = keras.Input((6,), name="a"), keras.Input((6,), name="b")
    joined = layers.concatenate([tower(a), frozen(tower(b))])
    used = layers.Dense(2, name="used")(joined)
    unused = layers.Dense(3, name="unused", kernel_regularizer="l1")(joined)
    model = keras.Model({"a": a, "b": b}, {"used": used, "unused": unused})
    rule = keras.optimizers.AdamW(0.01, weight_decay=0.1, clipnorm=1.0, use_ema=True)
    rule.exclude_from_weight_decay(var_names=["bias"])
    model.compile(rule, {"used": "mse", "unused": None})
    x = {"a": numbers(N, 6), "b": numbers(N, 6, seed=1)}
    return outcome(model, fit(model, x, {"used": target(x["a"]), "unused": None}))


def remembering():
    """Stateful layers keep a state for each sample of the batch."""
    cells = layers.LSTM(4, stateful=True)
    model = keras.Sequential([keras.Input(batch_shape=(6, 5, 3)), cells, layers.Dense(2)])
    model.compile("sgd", "mse")
    x, y = numbers(24, 5, 3), numbers(24, 2, seed=1)
    history = fit(model, x, y, batch_size=6, shuffle=False, epochs=3)
    return outcome(model, history, predicted=model.predict(x, batch_size=6, verbose=0))


def repeated_by_time():
    model = keras.Sequential(
        [
            keras.Input((4, 6, 2)),
            layers.TimeDistributed(layers.Conv1D(3, 2, activation="tanh")),
            layers.TimeDistributed(layers.BatchNormalization(momentum=0.8)),
            layers.TimeDistributed(layers.Dropout(0.2, seed=1)),
            layers.TimeDistributed(layers.Flatten()),
            layers.SimpleRNN(4),
            layers.Dense(2),
        ]
    )
    model.compile("adam", "log_cosh")
    x = numbers(N, 4, 6, 2)
    return outcome(model, fit(model, x, target(x)))


NETWORKS = {
    "deep cnn": deep_cnn,
    "renormalized": renormalized,
    "masked normalization": masked_normalization,
    "shared layers": shared_layers,
    "stateful": remembering,
    "time distributed": repeated_by_time,
}
SIZES = {
    "last batch of 1": batches(11),
    "batch_size=1": batches(1),
    "batches below the rank count": batches(3),
}
