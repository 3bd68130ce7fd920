"""Metrics, weights and single batches."""

import numpy as np

import distkeras as keras
from distkeras import layers, ops
from exactness.common import CLASSES, TOKENS, N, dense, fit, numbers, outcome, target


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


class Extremes(keras.metrics.Metric):
    """A metric whose state is more than sums."""

    def __init__(self, name="extremes"):
        super().__init__(name=name)
        self.rows = self.add_weight(name="rows")
        self.largest = self.add_variable((), name="largest", aggregation="max")
        self.smallest = self.add_variable((), name="smallest", aggregation="min")
        self.step = self.add_variable((), name="step", aggregation="only_first_replica")
        self.same = self.add_variable((), name="same", aggregation="mean")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.rows.assign_add(ops.shape(y_pred)[0])
        if y_pred.shape[0]:
            self.largest.assign(ops.maximum(self.largest, ops.max(y_pred)))
            self.smallest.assign(ops.minimum(self.smallest, ops.min(y_pred)))
        self.step.assign_add(1.0)
        self.same.assign_add(2.0)

    def result(self):
        return self.largest * 3 + self.smallest * 5 + self.rows + self.step * 7 + self.same


class ByRows(Extremes):
    """The same, where each rank counts its own rows."""

    by_rows = True


def metrics_of_ones_own():
    m = keras.metrics
    kinds = [
        Extremes(),
        ByRows("by_rows"),
        m.MeanMetricWrapper(lambda t, p: ops.max(ops.abs(t - p), axis=-1), name="worst"),
        m.PearsonCorrelation(),
        m.ConcordanceCorrelation(),
        m.R2Score(class_aggregation="variance_weighted_average"),
        m.MeanAbsolutePercentageError(),
        m.MeanSquaredLogarithmicError(),
        lambda t, p: ops.mean(ops.square(t - p)),
        "cosine_similarity",
    ]
    model = dense("sgd", metrics=kinds)
    x = numbers(N, 6)
    return outcome(model, fit(model, x, target(x), validation_split=0.3))


def metrics_of_categories():
    m = keras.metrics
    head = layers.Dense(3, activation="softmax")
    kinds = [
        "accuracy",
        "categorical_crossentropy",
        m.AUC(multi_label=True, num_thresholds=9),
        m.TopKCategoricalAccuracy(k=2),
        m.CategoricalHinge(),
        m.OneHotIoU(3, [1]),
        m.OneHotMeanIoU(3),
        m.F1Score(average="macro"),
        m.F1Score(average=None, name="f1s"),
        m.Precision(top_k=2),
        m.Recall(class_id=1),
        m.SpecificityAtSensitivity(0.5, num_thresholds=9),
        m.RecallAtPrecision(0.5, num_thresholds=9),
    ]
    model = dense("sgd", "categorical_crossentropy", kinds, head=head)
    y = np.eye(3, dtype="float32")[CLASSES]
    weight = np.linspace(0, 2, N)
    model.compile(
        "sgd", "categorical_crossentropy", metrics=kinds, weighted_metrics=["accuracy", m.AUC()]
    )
    return outcome(model, fit(model, numbers(N, 6), y, sample_weight=weight))


def reductions(reduction):
    def case():
        loss = keras.losses.MeanSquaredError(reduction=reduction)
        inputs = keras.Input((9,), dtype="int32")
        embedded = layers.Embedding(13, 4, mask_zero=True)(inputs)
        outputs = layers.GRU(3, return_sequences=True)(embedded)
        model = keras.Model(inputs, outputs)
        model.compile(keras.optimizers.SGD(1e-3), loss, weighted_metrics=["mae"])
        weight = np.outer(np.linspace(0, 1, N), np.linspace(1, 2, 9))
        return outcome(model, fit(model, TOKENS, numbers(N, 9, 3), sample_weight=weight))

    return case


def losses_of_every_kind():
    """Each loss is the only one of an output of its own."""
    k = keras.losses
    regression = [
        "mse", "mae", "mape", "msle", "log_cosh", "huber", "cosine_similarity", "hinge",
        "squared_hinge", "poisson", k.MeanAbsoluteError(reduction="sum"),
    ]  # fmt: skip
    classes = [
        "categorical_crossentropy", k.CategoricalCrossentropy(label_smoothing=0.1),
        "categorical_focal_crossentropy", "categorical_hinge", "kl_divergence", k.Dice(),
        k.Tversky(alpha=0.3), "binary_crossentropy", "binary_focal_crossentropy",
    ]  # fmt: skip
    inputs = keras.Input((6,))
    h = layers.Dense(5, activation="tanh")(inputs)
    outputs, losses, y = [], [], []
    for i, loss in enumerate(regression):
        outputs.append(layers.Dense(2, activation="softplus", name=f"r{i}")(h))
        losses.append(loss)
        y.append(np.abs(numbers(N, 2, seed=i)))
    for i, loss in enumerate(classes):
        outputs.append(layers.Dense(3, activation="softmax", name=f"c{i}")(h))
        losses.append(loss)
        y.append(np.eye(3, dtype="float32")[CLASSES])
    model = keras.Model(inputs, outputs)
    weights = [np.linspace(0, 1, N)] * len(losses)
    model.compile(keras.optimizers.SGD(1e-3), losses)
    return outcome(model, fit(model, numbers(N, 6), y, sample_weight=weights, epochs=2))


MEASURES = {
    "single batches": single_batches,
    "metrics of every kind": metrics_of_every_kind,
    "metrics of classes": metrics_of_classes,
    "metrics of categories": metrics_of_categories,
    "metrics of one's own": metrics_of_ones_own,
    "class_weight": class_weight,
    "losses of every kind": losses_of_every_kind,
    **{
        f"mask and weights, {kind}": reductions(kind)
        for kind in ("sum", "sum_over_batch_size", "mean", "mean_with_sample_weight")
    },
}
