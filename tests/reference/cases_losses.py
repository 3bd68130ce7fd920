"""Losses whose values and gradients are compared with Keras: one line each."""

from __future__ import annotations

from .formula import integers, stream, uniform

REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none")


def one_hot(name, shape, classes):
    """Return one-hot labels."""
    import numpy as np

    return np.eye(classes, dtype="float32")[integers(name, shape, 0, classes)]


def softmax(values):
    """Return rows that sum to one."""
    import numpy as np

    exponents = np.exp(3 * values)
    return (exponents / exponents.sum(-1, keepdims=True)).astype("float32")


def labels_with_gaps(name, shape, classes):
    """Return labels of which a third is -1."""
    labels = integers(name, shape, 0, classes)
    labels[stream(name + "/gaps").uniform(size=shape) < 0.34] = -1
    return labels


# kind: (y_true, y_pred, shape of the loss before reduction)
DATA = {
    "real": lambda: (uniform("t", (5, 4)), uniform("p", (5, 4)), (5,)),
    "real_3d": lambda: (uniform("t3", (4, 3, 2)), uniform("p3", (4, 3, 2)), (4, 3)),
    "real_4d": lambda: (uniform("t4", (2, 3, 4, 1)), uniform("p4", (2, 3, 4, 1)), (2, 3, 4)),
    "squeezed": lambda: (uniform("ts", (5,)), uniform("ps", (5, 1)), (5,)),
    "positive": lambda: (uniform("t+", (5, 4), 0.1, 3.0), uniform("p+", (5, 4), 0.1, 3.0), (5,)),
    "binary": lambda: (
        integers("tb", (6, 3), 0, 2).astype("float32"),
        uniform("pb", (6, 3), 0.01, 0.99),
        (6,),
    ),
    "binary_int": lambda: (integers("tb", (6, 1), 0, 2), uniform("pb", (6, 1), 0.01, 0.99), (6,)),
    "binary_logits": lambda: (
        integers("tb", (6, 3), 0, 2).astype("float32"),
        uniform("pl", (6, 3), -4, 4),
        (6,),
    ),
    "binary_extreme": lambda: (
        integers("tb", (6, 3), 0, 2).astype("float32"),
        uniform("px", (6, 3), -1, 1).round(),
        (6,),
    ),
    "signs": lambda: (integers("th", (5, 4), 0, 2) * 2.0 - 1.0, uniform("ph", (5, 4), -2, 2), (5,)),
    "classes": lambda: (one_hot("tc", (6,), 4), softmax(uniform("pc", (6, 4))), (6,)),
    "classes_3d": lambda: (one_hot("tc3", (3, 5), 4), softmax(uniform("pc3", (3, 5, 4))), (3, 5)),
    "classes_unnormed": lambda: (one_hot("tc", (6,), 4), uniform("pu", (6, 4), 0.05, 0.9), (6,)),
    "class_logits": lambda: (one_hot("tc", (6,), 4), uniform("pcl", (6, 4), -3, 3), (6,)),
    "sparse": lambda: (integers("si", (6,), 0, 4), softmax(uniform("pc", (6, 4))), (6,)),
    "sparse_column": lambda: (integers("si", (6, 1), 0, 4), softmax(uniform("pc", (6, 4))), (6,)),
    "sparse_3d": lambda: (
        integers("si3", (3, 5), 0, 4),
        softmax(uniform("pc3", (3, 5, 4))),
        (3, 5),
    ),
    "sparse_logits": lambda: (integers("si", (6,), 0, 4), uniform("pcl", (6, 4), -3, 3), (6,)),
    "sparse_gaps": lambda: (
        labels_with_gaps("sg", (3, 5), 4),
        softmax(uniform("pc3", (3, 5, 4))),
        (3, 5),
    ),
    "sparse_gaps_logits": lambda: (
        labels_with_gaps("sg", (3, 5), 4),
        uniform("pl3", (3, 5, 4), -3, 3),
        (3, 5),
    ),
    "distribution": lambda: (softmax(uniform("td", (5, 4))), softmax(uniform("pd", (5, 4))), (5,)),
    "regions": lambda: (
        integers("tr", (4, 3, 3, 2), 0, 2).astype("float32"),
        uniform("pr", (4, 3, 3, 2), 0.01, 0.99),
        (),
    ),
}

# (class, constructor arguments, kind of data)
CASES = [
    ("MeanSquaredError", {}, "real"),
    ("MeanSquaredError", {}, "real_3d"),
    ("MeanSquaredError", {}, "real_4d"),
    ("MeanSquaredError", {}, "squeezed"),
    ("MeanAbsoluteError", {}, "real"),
    ("MeanAbsoluteError", {}, "real_3d"),
    ("MeanAbsolutePercentageError", {}, "positive"),
    ("MeanAbsolutePercentageError", {}, "real"),
    ("MeanSquaredLogarithmicError", {}, "positive"),
    ("MeanSquaredLogarithmicError", {}, "real"),
    ("CosineSimilarity", {}, "real"),
    ("CosineSimilarity", {"axis": 1}, "real_3d"),
    ("Huber", {}, "real"),
    ("Huber", {"delta": 0.3}, "real_3d"),
    ("LogCosh", {}, "real"),
    ("LogCosh", {}, "positive"),
    ("Hinge", {}, "signs"),
    ("Hinge", {}, "binary"),
    ("SquaredHinge", {}, "signs"),
    ("SquaredHinge", {}, "binary"),
    ("CategoricalHinge", {}, "classes"),
    ("KLDivergence", {}, "distribution"),
    ("Poisson", {}, "positive"),
    ("BinaryCrossentropy", {}, "binary"),
    ("BinaryCrossentropy", {}, "binary_int"),
    ("BinaryCrossentropy", {"from_logits": True}, "binary_logits"),
    ("BinaryCrossentropy", {"label_smoothing": 0.2}, "binary"),
    ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, "binary_logits"),
    ("BinaryCrossentropy", {}, "binary_extreme"),
    ("BinaryFocalCrossentropy", {}, "binary"),
    ("BinaryFocalCrossentropy", {"gamma": 1.0, "label_smoothing": 0.1}, "binary"),
    ("BinaryFocalCrossentropy", {"apply_class_balancing": True, "alpha": 0.3}, "binary"),
    ("BinaryFocalCrossentropy", {"from_logits": True}, "binary_logits"),
    ("CategoricalCrossentropy", {}, "classes"),
    ("CategoricalCrossentropy", {}, "classes_3d"),
    ("CategoricalCrossentropy", {}, "classes_unnormed"),
    ("CategoricalCrossentropy", {"from_logits": True}, "class_logits"),
    ("CategoricalCrossentropy", {"label_smoothing": 0.1}, "classes"),
    ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.3}, "class_logits"),
    ("CategoricalFocalCrossentropy", {}, "classes"),
    ("CategoricalFocalCrossentropy", {"alpha": 0.5, "gamma": 1.0}, "classes_3d"),
    ("CategoricalFocalCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, "class_logits"),
    ("SparseCategoricalCrossentropy", {}, "sparse"),
    ("SparseCategoricalCrossentropy", {}, "sparse_column"),
    ("SparseCategoricalCrossentropy", {}, "sparse_3d"),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, "sparse_logits"),
    ("SparseCategoricalCrossentropy", {"ignore_class": 2}, "sparse_3d"),
    ("SparseCategoricalCrossentropy", {"ignore_class": -1}, "sparse_gaps"),
    (
        "SparseCategoricalCrossentropy",
        {"ignore_class": -1, "from_logits": True},
        "sparse_gaps_logits",
    ),
    ("Dice", {}, "regions"),
    ("Dice", {"axis": (1, 2, 3)}, "regions"),
    ("Tversky", {"alpha": 0.3, "beta": 0.7}, "regions"),
    ("Tversky", {"axis": (1, 2)}, "regions"),
]


def key(case) -> str:
    """Return the name of a case."""
    cls, arguments, kind = case
    text = ",".join(f"{k}={v}" for k, v in arguments.items())
    return f"{cls}({text})/{kind}"


def weights(case) -> dict:
    """Return the sample weights that a case is computed with."""
    _cls, arguments, kind = case
    shape = DATA[kind]()[2]
    if arguments.get("axis") == (1, 2, 3):
        return {"none": None, "sample": uniform("w", (4,), 0, 2)}
    if not shape or "axis" in arguments:
        return {"none": None}
    sample = uniform("w", shape[:1], 0, 2)
    found = {"none": None, "sample": sample.reshape(shape[:1] + (1,) * (len(shape) - 1))}
    if len(shape) > 1:
        found["element"] = uniform("we", shape, 0, 2)
        zero = uniform("wz", shape, 0, 2)
        zero[0] = 0
        found["zeros"] = zero
    else:
        found["column"] = uniform("wc", (*shape, 1), 0, 2)
    return found


def gradient_weight(case):
    """Return the sample weight under which a case's gradient is computed."""
    found = weights(case)
    return found.get("element", found.get("sample"))


FUNCTIONS = [
    ("mean_squared_error", "real"),
    ("mean_absolute_error", "real"),
    ("mean_absolute_percentage_error", "positive"),
    ("mean_squared_logarithmic_error", "positive"),
    ("cosine_similarity", "real"),
    ("huber", "real"),
    ("log_cosh", "real"),
    ("hinge", "signs"),
    ("squared_hinge", "signs"),
    ("categorical_hinge", "classes"),
    ("kl_divergence", "distribution"),
    ("poisson", "positive"),
    ("binary_crossentropy", "binary"),
    ("binary_focal_crossentropy", "binary"),
    ("categorical_crossentropy", "classes"),
    ("categorical_focal_crossentropy", "classes"),
    ("sparse_categorical_crossentropy", "sparse"),
    ("dice", "regions"),
    ("tversky", "regions"),
]

# Names that `compile(loss=...)` and `losses.get` take.
ALIASES = (
    "mse MSE mae MAE mape MAPE msle MSLE mean_squared_error huber log_cosh hinge squared_hinge "
    "poisson binary_crossentropy categorical_crossentropy sparse_categorical_crossentropy "
    "kl_divergence cosine_similarity categorical_hinge dice tversky"
).split()
