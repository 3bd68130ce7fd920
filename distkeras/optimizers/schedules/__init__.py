"""Learning rate schedules: functions of the number of updates."""

from distkeras.registry import plugin_attribute
from distkeras.utils.lazy import lazy_attributes

NAMES = {
    "distkeras.optimizers.schedules.schedule": ("LearningRateSchedule",),
    "distkeras.optimizers.schedules.formulas": (
        "CosineDecay",
        "CosineDecayRestarts",
        "ExponentialDecay",
        "InverseTimeDecay",
        "PiecewiseConstantDecay",
        "PolynomialDecay",
    ),
    "distkeras.optimizers.schedules.lookup": ("deserialize", "serialize"),
}

__getattr__, __dir__, __all__ = lazy_attributes(
    __name__, NAMES, fallback=plugin_attribute(__name__, "schedule")
)
