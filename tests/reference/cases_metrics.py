"""Metrics whose results over two updates are compared with Keras: one line each."""

from __future__ import annotations

from .cases_losses import one_hot, softmax
from .formula import integers, uniform

# kind: function of a batch's name -> (y_true, y_pred)
DATA = {
    "real": lambda n: (uniform(n + "t", (5, 4)), uniform(n + "p", (5, 4))),
    "real_column": lambda n: (uniform(n + "t", (5, 1)), uniform(n + "p", (5, 1))),
    "real_flat": lambda n: (uniform(n + "t", (5,)), uniform(n + "p", (5, 1))),
    "positive": lambda n: (uniform(n + "t", (5, 4), 0.1, 3), uniform(n + "p", (5, 4), 0.1, 3)),
    "signs": lambda n: (integers(n + "t", (5, 4), 0, 2) * 2.0 - 1, uniform(n + "p", (5, 4), -2, 2)),
    "binary": lambda n: (integers(n + "t", (8, 1), 0, 2), uniform(n + "p", (8, 1))),
    "probability": lambda n: (integers(n + "t", (9, 1), 0, 2), uniform(n + "p", (9, 1), 0, 1)),
    "many": lambda n: (integers(n + "t", (9, 3), 0, 2), uniform(n + "p", (9, 3), 0, 1)),
    "logits": lambda n: (integers(n + "t", (9, 3), 0, 2), uniform(n + "p", (9, 3), -3, 3)),
    "classes": lambda n: (one_hot(n + "t", (7,), 4), softmax(uniform(n + "p", (7, 4)))),
    "classes_3d": lambda n: (one_hot(n + "t", (3, 5), 4), softmax(uniform(n + "p", (3, 5, 4)))),
    "class_logits": lambda n: (one_hot(n + "t", (7,), 4), uniform(n + "p", (7, 4), -3, 3)),
    "sparse": lambda n: (integers(n + "t", (7,), 0, 4), softmax(uniform(n + "p", (7, 4)))),
    "sparse_column": lambda n: (integers(n + "t", (7, 1), 0, 4), softmax(uniform(n + "p", (7, 4)))),
    "sparse_3d": lambda n: (integers(n + "t", (3, 5), 0, 4), softmax(uniform(n + "p", (3, 5, 4)))),
    "labels": lambda n: (integers(n + "t", (8,), 0, 3), integers(n + "p", (8,), 0, 3)),
    "distribution": lambda n: (
        softmax(uniform(n + "t", (5, 4))),
        softmax(uniform(n + "p", (5, 4))),
    ),
    "value": lambda n: (uniform(n + "v", (6,)),),
}

# (class, constructor arguments, kind of data)
CASES = [
    ("Mean", {}, "value"),
    ("Sum", {}, "value"),
    ("Accuracy", {}, "labels"),
    ("BinaryAccuracy", {}, "probability"),
    ("BinaryAccuracy", {"threshold": 0.2}, "many"),
    ("CategoricalAccuracy", {}, "classes"),
    ("CategoricalAccuracy", {}, "classes_3d"),
    ("SparseCategoricalAccuracy", {}, "sparse"),
    ("SparseCategoricalAccuracy", {}, "sparse_column"),
    ("SparseCategoricalAccuracy", {}, "sparse_3d"),
    ("TopKCategoricalAccuracy", {"k": 2}, "classes"),
    ("SparseTopKCategoricalAccuracy", {"k": 2}, "sparse"),
    ("SparseTopKCategoricalAccuracy", {"k": 3}, "sparse_column"),
    ("MeanSquaredError", {}, "real"),
    ("MeanSquaredError", {}, "real_flat"),
    ("RootMeanSquaredError", {}, "real"),
    ("MeanAbsoluteError", {}, "real"),
    ("MeanAbsolutePercentageError", {}, "positive"),
    ("MeanSquaredLogarithmicError", {}, "positive"),
    ("CosineSimilarity", {}, "real"),
    ("LogCoshError", {}, "real"),
    ("R2Score", {}, "real"),
    ("R2Score", {}, "real_column"),
    ("R2Score", {"class_aggregation": None}, "real"),
    ("R2Score", {"class_aggregation": "variance_weighted_average"}, "real"),
    ("R2Score", {"num_regressors": 2}, "real"),
    ("Hinge", {}, "signs"),
    ("SquaredHinge", {}, "signs"),
    ("CategoricalHinge", {}, "classes"),
    ("KLDivergence", {}, "distribution"),
    ("Poisson", {}, "positive"),
    ("BinaryCrossentropy", {}, "probability"),
    ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, "logits"),
    ("CategoricalCrossentropy", {}, "classes"),
    ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, "class_logits"),
    ("SparseCategoricalCrossentropy", {}, "sparse"),
    ("SparseCategoricalCrossentropy", {}, "sparse_3d"),
    ("TruePositives", {}, "probability"),
    ("TrueNegatives", {}, "probability"),
    ("FalsePositives", {"thresholds": [0.2, 0.5, 0.7]}, "probability"),
    ("FalseNegatives", {"thresholds": 0.3}, "many"),
    ("Precision", {}, "probability"),
    ("Precision", {"thresholds": [0.3, 0.6]}, "many"),
    ("Precision", {"top_k": 2}, "classes"),
    ("Precision", {"top_k": 2, "class_id": 1}, "classes"),
    ("Precision", {"class_id": 2, "thresholds": 0.2}, "classes"),
    ("Recall", {}, "probability"),
    ("Recall", {"thresholds": [0.3, 0.6]}, "many"),
    ("Recall", {"top_k": 2}, "classes"),
    ("Recall", {"class_id": 2, "thresholds": 0.2}, "classes"),
    ("SensitivityAtSpecificity", {"specificity": 0.5}, "probability"),
    ("SpecificityAtSensitivity", {"sensitivity": 0.5}, "probability"),
    ("PrecisionAtRecall", {"recall": 0.6}, "probability"),
    ("RecallAtPrecision", {"precision": 0.6}, "probability"),
    ("AUC", {}, "probability"),
    ("AUC", {"num_thresholds": 5}, "probability"),
    ("AUC", {"curve": "PR"}, "probability"),
    ("AUC", {"curve": "PR", "summation_method": "minoring"}, "probability"),
    ("AUC", {"summation_method": "majoring", "num_thresholds": 10}, "probability"),
    ("AUC", {"thresholds": [0.1, 0.4, 0.8]}, "probability"),
    ("AUC", {"multi_label": True, "num_labels": 3}, "many"),
    ("AUC", {"multi_label": True, "num_labels": 3, "curve": "PR", "num_thresholds": 20}, "many"),
    ("AUC", {"from_logits": True}, "logits"),
    ("F1Score", {}, "classes"),
    ("F1Score", {"average": "micro"}, "classes"),
    ("F1Score", {"average": "macro", "threshold": 0.4}, "many"),
    ("FBetaScore", {"beta": 2.0}, "classes"),
    ("FBetaScore", {"beta": 0.5, "average": "weighted"}, "classes"),
    ("MeanIoU", {"num_classes": 3}, "labels"),
    ("IoU", {"num_classes": 3, "target_class_ids": [0, 2]}, "labels"),
    ("BinaryIoU", {"target_class_ids": [0, 1], "threshold": 0.4}, "many"),
    ("OneHotMeanIoU", {"num_classes": 4}, "classes"),
    ("OneHotIoU", {"num_classes": 4, "target_class_ids": [1]}, "classes"),
]


def key(case) -> str:
    """Return the name of a case."""
    cls, arguments, kind = case
    text = ",".join(f"{k}={v}" for k, v in arguments.items())
    return f"{cls}({text})/{kind}"


def sample_weight(case, batch: str):
    """Return the weights of the second pass."""
    cls, _, kind = case
    if cls in ("R2Score",):
        return uniform(batch + "w", (5,), 0, 2)
    size = DATA[kind](batch)[0].shape[0]
    return uniform(batch + "w", (size,), 0, 2)


ALIASES = (
    "mse MSE mae MAE mape msle accuracy binary_accuracy categorical_accuracy "
    "sparse_categorical_accuracy top_k_categorical_accuracy binary_crossentropy hinge "
    "kl_divergence cosine_similarity poisson mean_squared_error root_mean_squared_error"
).split()
