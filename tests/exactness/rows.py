"""Programs that relate the rows of a batch to each other, or compute with their number."""

import distkeras as keras
from distkeras import layers, ops
from exactness.common import N, dense, fit, numbers, outcome, target
from exactness.steps import own_step


class Contrasts(keras.Model):
    """Two views of each sample are told from those of all others (SimCLR), as in Keras's guides."""

    def __init__(self):
        super().__init__()
        self.encoder = keras.Sequential(
            [
                keras.Input((6,)),
                layers.Dense(8, activation="tanh"),
                layers.Dropout(0.2, seed=3),
                layers.Dense(4),
            ]
        )
        self.loss_mean = keras.metrics.Mean(name="contrast")
        self.hits = keras.metrics.SparseCategoricalAccuracy(name="hits")

    @property
    def metrics(self):
        return [self.loss_mean, self.hits]

    def contrast(self, a, b):
        a, b = (v / ops.sqrt(ops.sum(v * v, axis=1, keepdims=True) + 1e-6) for v in (a, b))
        similarities = ops.matmul(a, ops.transpose(b)) / 0.5
        labels = ops.arange(ops.shape(a)[0])
        self.hits.update_state(labels, similarities)
        entropy = keras.losses.sparse_categorical_crossentropy
        both = entropy(labels, similarities, from_logits=True)
        return (both + entropy(labels, ops.transpose(similarities), from_logits=True)) / 2

    def train_step(self, data):
        with keras.GradientTape() as tape:
            views = [self.encoder(data, training=True) for _ in range(2)]
            loss = ops.mean(self.contrast(*views))
        weights = self.encoder.trainable_weights
        self.optimizer.apply(tape.gradient(loss, weights), weights)
        self.loss_mean.update_state(loss)
        return {m.name: m.result() for m in self.metrics}


def contrasts():
    model = Contrasts()
    model.compile(keras.optimizers.Adam(3e-3))
    return outcome(model, fit(model, numbers(N, 6), None))


def masked_contrast(model, y, p):
    """As written by hand: all pairs of two views, without the pairs of a view with itself."""
    rows = ops.shape(p)[0]
    a, b = p, p * 0.5 + y
    labels = ops.one_hot(ops.arange(rows), rows * 2)
    same = ops.one_hot(ops.arange(rows), rows)
    with_self = ops.matmul(a, ops.transpose(a)) - same * 1e9
    with_other = ops.matmul(a, ops.transpose(b))
    logits = ops.concatenate([with_other, with_self], axis=1)
    return ops.mean(keras.losses.categorical_crossentropy(labels, logits, from_logits=True))


def pairs(model, y, p):
    """Distances of all pairs, divided by their number."""
    rows = p.shape[0]
    distances = ops.sum(ops.square(ops.expand_dims(p, 1) - ops.expand_dims(p, 0)), axis=-1)
    kept = 1.0 - ops.eye(rows)
    return ops.sum(ops.exp(-distances) * kept) / (rows * (rows - 1) + 1) + _fit(y, p)


def _fit(y, p):
    return ops.mean(ops.square(y - p))


def neighbours(model, y, p):
    """Each row beside the one before it, in the order of the batch."""
    return ops.mean(ops.square(p - ops.roll(p, 1, axis=0))) + _fit(y, p)


def halves(model, y, p):
    """The first half of the batch against the second."""
    half = p.shape[0] // 2
    return ops.abs(ops.mean(p[:half]) - ops.mean(p[half:])) + _fit(y, p)


class Attends(layers.Layer):
    """Rows that look at each other."""

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], 3))

    def call(self, x):
        keys = ops.matmul(x, self.kernel)
        weights = ops.softmax(ops.matmul(keys, ops.transpose(keys)), axis=-1)
        return ops.matmul(weights, x)


def attention():
    """Inside of a model: its outputs, losses, metrics and predictions follow."""
    x = numbers(N, 6)
    model = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(5, activation="tanh"),
            Attends(),
            layers.BatchNormalization(momentum=0.8),
            layers.Dropout(0.2, seed=1),
            layers.Dense(2),
        ]
    )
    model.compile("adam", "mse", metrics=["mae", keras.metrics.R2Score()])
    history = fit(model, x, target(x), validation_split=0.3)
    return outcome(model, history, predicted=model.predict(x, batch_size=5, verbose=0))


class Mixup(keras.Model):
    """Each sample mixed with another one of the batch."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(2)

    def call(self, x):
        return self.dense(x)

    def train_step(self, data):
        x, y = data
        share = keras.random.uniform((ops.shape(x)[0], 1), seed=keras.random.SeedGenerator(2))
        order = keras.random.shuffle(ops.arange(ops.shape(x)[0]), seed=5)
        x = share * x + (1 - share) * ops.take(x, order, axis=0)
        y = share * y + (1 - share) * ops.take(y, order, axis=0)
        return super().train_step((x, y))


def mixup():
    x = numbers(N, 6)
    model = Mixup()
    model.compile("sgd", "mse", metrics=["mae"])
    return outcome(model, fit(model, x, target(x)))


def own_loss(function):
    def case():
        x = numbers(N, 6)
        model = dense("sgd", function)
        return outcome(model, fit(model, x, target(x)))

    return case


LOSSES = {
    "products of rows": lambda m, y, p: ops.mean(ops.matmul(p, ops.transpose(p))) + _fit(y, p),
    "the worst row": lambda m, y, p: ops.max(ops.mean(ops.square(y - p), axis=-1)),
    "a quantile": lambda m, y, p: ops.mean(ops.sort(ops.sum(ops.abs(y - p), -1))[-2:]),
    "softmax over the batch": lambda m, y, p: (
        ops.sum(ops.softmax(p, axis=0) * ops.square(y - p)) + _fit(y, p)
    ),
    "a number of rows in Python": lambda m, y, p: ops.sum(ops.square(y - p)) * (1 / y.shape[0]),
    "covariance": lambda m, y, p: (
        ops.sum(ops.square(ops.matmul(ops.transpose(p), p) / (p.shape[0] - 0.5))) + _fit(y, p)
    ),
    "contrast with masks": masked_contrast,
    "pairs": pairs,
    "neighbours": neighbours,
    "halves": halves,
}
ROWS = {
    "contrast": contrasts,
    "attention over the batch": attention,
    "mixup": mixup,
    "compiled loss: the worst row": own_loss(
        lambda y, p: ops.max(ops.mean(ops.square(y - p), axis=-1))
    ),
    "compiled loss: a value for each row, from all": own_loss(
        lambda y, p: ops.mean(ops.square(y - p), -1) * ops.softmax(ops.sum(p, -1), axis=0)
    ),
    **{f"rows: {name}": own_step(loss) for name, loss in LOSSES.items()},
}
