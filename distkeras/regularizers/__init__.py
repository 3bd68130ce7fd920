"""`keras.regularizers`: penalties on weights and activities."""

from distkeras.registry import plugin_attribute
from distkeras.utils.lazy import lazy_attributes

NAMES = {
    "distkeras.regularizers.regularizers": (
        "L1",
        "L1L2",
        "L2",
        "OrthogonalRegularizer",
        "Regularizer",
        "deserialize",
        "get",
        "l1=L1",
        "l1_l2=L1L2",
        "l2=L2",
        "orthogonal_regularizer=OrthogonalRegularizer",
        "serialize",
    ),
}
__getattr__, __dir__, __all__ = lazy_attributes(
    __name__, NAMES, fallback=plugin_attribute(__name__, "regularizer")
)
