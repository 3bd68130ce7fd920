"""`keras.metrics`: what training watches. Names are imported on first use.

`NAMES` is the table of public names; the registry reads it through the plugin hook. Functions that
are losses too belong to `distkeras.losses`, and are published here under the same names.
"""

from distkeras.registry import plugin_attribute
from distkeras.utils.lazy import lazy_attributes

NAMES = {
    "distkeras.metrics.metric": ("Metric",),
    "distkeras.metrics.reduction": (
        "Mean",
        "MeanMetricWrapper",
        "Sum",
    ),
    "distkeras.metrics.table": (
        "Accuracy",
        "BinaryAccuracy",
        "CategoricalAccuracy",
        "SparseCategoricalAccuracy",
        "TopKCategoricalAccuracy",
        "SparseTopKCategoricalAccuracy",
        "MeanSquaredError",
        "MeanAbsoluteError",
        "MeanAbsolutePercentageError",
        "MeanSquaredLogarithmicError",
        "CosineSimilarity",
        "LogCoshError",
        "Hinge",
        "SquaredHinge",
        "CategoricalHinge",
        "KLDivergence",
        "Poisson",
        "BinaryCrossentropy",
        "CategoricalCrossentropy",
        "SparseCategoricalCrossentropy",
        "PearsonCorrelation",
        "ConcordanceCorrelation",
    ),
    "distkeras.metrics.confusion": (
        "FalseNegatives",
        "FalsePositives",
        "Precision",
        "PrecisionAtRecall",
        "Recall",
        "RecallAtPrecision",
        "SensitivityAtSpecificity",
        "SpecificityAtSensitivity",
        "TrueNegatives",
        "TruePositives",
    ),
    "distkeras.metrics.auc": ("AUC",),
    "distkeras.metrics.f_score": (
        "F1Score",
        "FBetaScore",
    ),
    "distkeras.metrics.regression": (
        "R2Score",
        "RootMeanSquaredError",
    ),
    "distkeras.metrics.iou": (
        "BinaryIoU",
        "IoU",
        "MeanIoU",
        "OneHotIoU",
        "OneHotMeanIoU",
    ),
    "distkeras.metrics.functions": (
        "binary_accuracy",
        "categorical_accuracy",
        "concordance_correlation",
        "pearson_correlation",
        "sparse_categorical_accuracy",
        "sparse_top_k_categorical_accuracy",
        "top_k_categorical_accuracy",
    ),
    "distkeras.metrics.lookup": (
        "deserialize",
        "get",
        "serialize",
    ),
}
LOSS_FUNCTIONS = {
    "distkeras.losses.functions": (
        "binary_crossentropy",
        "binary_focal_crossentropy",
        "categorical_crossentropy",
        "categorical_focal_crossentropy",
        "categorical_hinge",
        "hinge",
        "huber",
        "kl_divergence",
        "log_cosh",
        "mean_absolute_error",
        "mean_absolute_percentage_error",
        "mean_squared_error",
        "mean_squared_logarithmic_error",
        "poisson",
        "sparse_categorical_crossentropy",
        "squared_hinge",
    ),
}

__getattr__, __dir__, __all__ = lazy_attributes(
    __name__, {**NAMES, **LOSS_FUNCTIONS}, fallback=plugin_attribute(__name__, "metric")
)
