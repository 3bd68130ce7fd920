"""`keras.constraints`: what weights are projected onto after each update."""

from distkeras.registry import plugin_attribute
from distkeras.utils.lazy import lazy_attributes

NAMES = {
    "distkeras.constraints.constraints": (
        "Constraint",
        "MaxNorm",
        "MinMaxNorm",
        "NonNeg",
        "UnitNorm",
        "deserialize",
        "get",
        "max_norm=MaxNorm",
        "min_max_norm=MinMaxNorm",
        "non_neg=NonNeg",
        "serialize",
        "unit_norm=UnitNorm",
    ),
}
__getattr__, __dir__, __all__ = lazy_attributes(
    __name__, NAMES, fallback=plugin_attribute(__name__, "constraint")
)
