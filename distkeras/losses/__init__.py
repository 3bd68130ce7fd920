"""`keras.losses`: what training makes small. Names are imported on first use.

`NAMES` is the table of public names; the registry reads it through the plugin hook.
"""

from distkeras.registry import plugin_attribute
from distkeras.utils.lazy import lazy_attributes

NAMES = {
    "distkeras.losses.loss": ("Loss",),
    "distkeras.losses.table": (
        "LossFunctionWrapper",
        "MeanSquaredError",
        "MeanAbsoluteError",
        "MeanAbsolutePercentageError",
        "MeanSquaredLogarithmicError",
        "CosineSimilarity",
        "Huber",
        "LogCosh",
        "Hinge",
        "SquaredHinge",
        "CategoricalHinge",
        "KLDivergence",
        "Poisson",
        "BinaryCrossentropy",
        "BinaryFocalCrossentropy",
        "CategoricalCrossentropy",
        "CategoricalFocalCrossentropy",
        "SparseCategoricalCrossentropy",
        "CategoricalGeneralizedCrossEntropy",
        "Dice",
        "Tversky",
        "Circle",
    ),
    "distkeras.losses.functions": (
        "mean_squared_error",
        "mean_absolute_error",
        "mean_absolute_percentage_error",
        "mean_squared_logarithmic_error",
        "cosine_similarity",
        "huber",
        "log_cosh",
        "hinge",
        "squared_hinge",
        "categorical_hinge",
        "kl_divergence",
        "poisson",
        "categorical_crossentropy",
        "categorical_focal_crossentropy",
        "sparse_categorical_crossentropy",
        "binary_crossentropy",
        "binary_focal_crossentropy",
        "categorical_generalized_cross_entropy",
        "dice",
        "tversky",
        "circle",
    ),
    "distkeras.losses.lookup": (
        "deserialize",
        "get",
        "serialize",
    ),
}

__getattr__, __dir__, __all__ = lazy_attributes(
    __name__, NAMES, fallback=plugin_attribute(__name__, "loss")
)
