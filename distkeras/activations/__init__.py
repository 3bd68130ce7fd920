"""`keras.activations`: functions by name. Most are the operations of the same name."""

from distkeras.registry import plugin_attribute
from distkeras.utils.lazy import lazy_attributes

NAMES = {
    "distkeras.activations.functions": (
        "deserialize",
        "get",
        "serialize",
        "exponential",
        "gelu",
        "linear",
        "relu",
    ),
    "distkeras.ops.unary": ("tanh",),
    "distkeras.ops.nn_activations": (
        "celu",
        "elu",
        "glu",
        "hard_shrink",
        "hard_sigmoid",
        "hard_silu",
        "hard_tanh",
        "leaky_relu",
        "log_sigmoid",
        "log_softmax",
        "mish",
        "relu6",
        "selu",
        "sigmoid",
        "silu",
        "soft_shrink",
        "softmax",
        "softplus",
        "softsign",
        "sparse_plus",
        "sparse_sigmoid",
        "sparsemax",
        "squareplus",
        "tanh_shrink",
        "threshold",
        "hard_swish=hard_silu",
        "swish=silu",
    ),
}
__getattr__, __dir__, __all__ = lazy_attributes(
    __name__, NAMES, fallback=plugin_attribute(__name__, "activation")
)
