"""Optimizers: update rules, and what carries them out. See `rules.py` for the formulas."""

from distkeras.registry import plugin_attribute
from distkeras.utils.lazy import lazy_attributes

NAMES = {
    "distkeras.optimizers.builtin": (
        "SGD",
        "Adadelta",
        "Adagrad",
        "Adam",
        "AdamW",
        "Adamax",
        "Ftrl",
        "Lion",
        "Nadam",
        "RMSprop",
    ),
    "distkeras.optimizers.loss_scale": ("LossScaleOptimizer",),
    "distkeras.optimizers.optimizer": ("Optimizer",),
    "distkeras.optimizers.lookup": ("deserialize", "get", "serialize"),
}

__getattr__, __dir__, __all__ = lazy_attributes(
    __name__,
    NAMES,
    submodules=("schedules",),
    fallback=plugin_attribute(__name__, "optimizer"),
)
