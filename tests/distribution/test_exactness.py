"""Training on N ranks gives the numbers of one process.

Each case trains small networks and returns everything that should not depend on the number of
ranks. Rank 0 computes what is expected, alone, in its own process; then all ranks run the case
together and compare. The networks are chosen well-conditioned (smooth activations, modest rates),
so that rounding stays rounding.
"""

from collections.abc import Callable
from contextlib import contextmanager
from unittest import mock

import numpy as np
import pytest

import distkeras as keras
from distkeras import distribution, layers, ops
from distkeras.distribution.world import alone
from distkeras.errors import OwnRowsWarning

SINGLE, DOUBLE = 1e-5, 1e-12
N, EPOCHS = 23, 5  # batches of 8, 8 and 7; batches of 11 leave a last one of 1


@pytest.fixture(autouse=True)
def ranks():
    """Every test here runs on the world that its process was started in."""
    distribution.initialize()
    yield
    keras.config.set_floatx("float32")


@contextmanager
def single_process():
    """Train as one process does, within a job of several."""
    with alone(), mock.patch("distkeras.training.trainer.is_alone", return_value=False):
        yield


# --- data ---


def numbers(*shape, seed=0):
    draw = np.random.default_rng(seed).standard_normal(shape)
    return draw.astype(keras.config.floatx())


CLASSES = np.arange(N) * 7 % 3
LENGTHS = np.array([1, 1, 1, 1, 1, 2, 1, 9, 9, 9, 1, 1, 8, 9, 1, 9, 1, 1, 1, 1, 9, 9, 3])[:N]
TOKENS = np.where(np.arange(9) < LENGTHS[:, None], np.arange(N * 9).reshape(N, 9) % 11 + 1, 0)


def target(x):
    return np.sin(x.reshape(len(x), -1)[:, :2] * 2).astype(x.dtype)


# --- networks ---


def dense(optimizer="sgd", loss="mse", metrics=(), head=None, **settings):
    model = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(8, activation="tanh", **settings),
            head or layers.Dense(2),
        ]
    )
    model.compile(optimizer, loss, metrics=list(metrics))
    return model


def outcome(model, history=None, **more):
    """What a case returns: names -> numbers."""
    # Metrics count their own rows on each rank; what counts is in the history.
    of_metrics = {id(v) for m in model.metrics for v in m.variables}
    kept = [v for v in model.variables if id(v) not in of_metrics]
    found = {f"{i} {v.path}": v.numpy() for i, v in enumerate(kept)}
    if getattr(model, "optimizer", None) is not None:
        found |= {f"slot {i} {v.path}": v.numpy() for i, v in enumerate(model.optimizer.variables)}
    if history is not None:
        found |= {f"history {k}": np.array(v, "float64") for k, v in history.history.items()}
    return found | {k: np.asarray(v) for k, v in more.items()}


def fit(model, x, y, *, batch_size=8, epochs=EPOCHS, **settings):
    return model.fit(x, y, batch_size=batch_size, epochs=epochs, verbose=0, **settings)


# --- cases: whole networks ---


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


# --- cases: sizes of batches ---


def batches(size):
    def case():
        x = numbers(N, 6)
        model = dense("adam", metrics=["mae"])
        return outcome(model, fit(model, x, target(x), batch_size=size, epochs=2))

    return case


# --- cases: weights, metrics, single batches ---


def class_weight():
    head = layers.Dense(3, activation="softmax")
    model = dense("adam", "sparse_categorical_crossentropy", ["accuracy"], head=head)
    history = fit(model, numbers(N, 6), CLASSES, class_weight={0: 3.0, 1: 0.2, 2: 1.0})
    return outcome(model, history)


def metrics_of_every_kind():
    m = keras.metrics
    head = layers.Dense(1, activation="sigmoid")
    kinds = [
        m.AUC(num_thresholds=20),
        m.AUC(curve="PR", num_thresholds=20, name="pr"),
        m.Precision(),
        m.Recall(),
        m.F1Score(threshold=0.5),
        m.FBetaScore(threshold=0.4, beta=2.0, name="fbeta"),
        m.BinaryIoU(),
        m.MeanSquaredError(),
        m.RootMeanSquaredError(),
        m.R2Score(),
        m.CosineSimilarity(),
        m.TruePositives(),
        m.PrecisionAtRecall(0.5, num_thresholds=20),
        m.SensitivityAtSpecificity(0.5, num_thresholds=20),
        m.LogCoshError(),
        m.Hinge(),
        m.KLDivergence(),
        m.Poisson(),
    ]
    model = dense("sgd", "binary_crossentropy", kinds, head=head)
    x = numbers(N, 6)
    y = (x[:, :1] > 0).astype(x.dtype)
    history = fit(model, x, y, validation_data=(x, y, np.linspace(0, 1, N)))
    return outcome(model, history)


def metrics_of_classes():
    m = keras.metrics
    head = layers.Dense(3, activation="softmax")
    kinds = [
        "accuracy",
        m.SparseTopKCategoricalAccuracy(k=2),
        m.MeanIoU(3, sparse_y_pred=False),
        m.IoU(3, [0, 2], sparse_y_pred=False),
        m.SparseCategoricalCrossentropy(),
    ]
    model = dense("sgd", "sparse_categorical_crossentropy", kinds, head=head)
    return outcome(model, fit(model, numbers(N, 6), CLASSES))


def single_batches():
    model = dense("adam", metrics=["mae"])
    x = numbers(N, 6)
    y = target(x)
    logs = [
        model.train_on_batch(x[:2], y[:2]),
        model.train_on_batch(x, y, sample_weight=np.linspace(0, 2, N)),
        model.train_on_batch(x[:1], y[:1]),
        model.test_on_batch(x[:3], y[:3]),
        model.test_on_batch(x, y, sample_weight=np.linspace(0, 2, N)),
    ]
    return outcome(model, logs=logs)


# --- cases: optimizers ---


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
    "decay": lambda: keras.optimizers.AdamW(0.01, weight_decay=0.1),
}


# --- cases: callbacks ---


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


# --- cases: steps of one's own ---


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


# --- cases: samples that are not the first axis alone, random numbers, loops ---


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


def overflow():
    model = dense(keras.optimizers.LossScaleOptimizer(SGD(0.1), initial_scale=2.0**15))
    x = numbers(N, 6)
    y = target(x)
    y[20] = np.finfo(y.dtype).max  # a row of one rank
    fit(model, x, y, epochs=2, shuffle=False)
    return outcome(model)


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


WHOLE = {"mlp": mlp, "cnn": cnn, "lstm": lstm, "two masked outputs": two_masked_outputs, "gan": gan}
SIZES = {
    "last batch of 1": batches(11),
    "batch_size=1": batches(1),
    "batches below the rank count": batches(3),
    "single batches": single_batches,
    "metrics of every kind": metrics_of_every_kind,
}
FURTHER = {
    "class_weight": class_weight,
    "metrics of classes": metrics_of_classes,
    "monitors": monitors,
    "a callback halves a weight": halves,
    "a network follows": follows,
    "merged axes": merged_axes,
    "random layers": random_layers,
    "gradient penalty": gradient_penalty,
    "overflow on one rank": overflow,
    "a loop by hand": loop,
    **{f"optimizer: {name}": optimizer(make) for name, make in OPTIMIZERS.items()},
    **{f"own step: {name}": own_step(loss) for name, loss in OWN_LOSSES.items()},
}
CASES = WHOLE | SIZES | FURTHER


def run(name, floatx="float32"):
    keras.config.set_floatx(floatx)
    keras.utils.clear_session()
    keras.utils.set_random_seed(7)
    return CASES[name]()


def expected(name, comm, floatx="float32"):
    """What one process computes: rank 0, while the others sleep."""
    found = None
    if comm.rank == 0:
        with single_process():
            found = run(name, floatx)
    distribution.barrier()  # it waits asleep
    return comm.bcast(found)


def differences(found, wanted):
    """name -> distance relative to the expected value's norm."""
    assert list(found) == list(wanted)
    result = {}
    for key, b in wanted.items():
        a = found[key]
        assert a.shape == b.shape, key
        if b.dtype.kind in "iub":
            result[key] = 0.0 if np.array_equal(a, b) else np.inf
            continue
        a, b = a.astype("float64"), b.astype("float64")
        assert np.isfinite(b).all(), key
        distance = np.linalg.norm(a - b)
        result[key] = distance and distance / max(np.linalg.norm(b), 1e-30)
    return result


def assert_same(found, wanted, tolerance):
    far = {k: d for k, d in differences(found, wanted).items() if not d <= tolerance}
    assert not far, far


@pytest.mark.mpi(sizes=(2, 3, 4))
@pytest.mark.parametrize("name", WHOLE | SIZES)
def test_as_in_one_process(name, comm):
    assert_same(run(name), expected(name, comm), SINGLE)


@pytest.mark.mpi(sizes=(3,))
@pytest.mark.parametrize("name", FURTHER)
def test_details_as_in_one_process(name, comm):
    assert_same(run(name), expected(name, comm), SINGLE)


@pytest.mark.mpi(sizes=(2,))
def test_rows_among_each_other_are_named():
    model = OwnStep(lambda m, y, p: ops.mean(ops.matmul(p, ops.transpose(p))))
    model.compile("sgd")
    with pytest.warns(OwnRowsWarning, match="depend on the number of ranks"):
        fit(model, numbers(N, 6), target(numbers(N, 6)), epochs=1)


@pytest.mark.mpi(sizes=(3,))
@pytest.mark.parametrize("name", WHOLE)
def test_in_double_precision(name, comm):
    assert_same(run(name, "float64"), expected(name, comm, "float64"), DOUBLE)


@pytest.mark.mpi(sizes=(8,))
@pytest.mark.parametrize("name", ["cnn"])
def test_eight_ranks(name, comm):
    assert_same(run(name), expected(name, comm), SINGLE)


@pytest.mark.mpi(sizes=(3,))
@pytest.mark.parametrize("name", WHOLE)
def test_two_runs_are_equal_bit_for_bit(name, comm):
    first, second = run(name), run(name)
    for key, value in first.items():
        np.testing.assert_array_equal(value, second[key], err_msg=key)
    everywhere = comm.allgather(first)
    for key, value in everywhere[0].items():
        for other in everywhere[1:]:
            np.testing.assert_array_equal(other[key], value, err_msg=key)
