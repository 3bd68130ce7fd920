"""`keras.random`: numbers that depend on a seed and a place in the global batch only."""

from distkeras.utils.lazy import lazy_attributes

__getattr__, __dir__, __all__ = lazy_attributes(
    __name__,
    {
        "distkeras.random.distributions": (
            "beta",
            "binomial",
            "categorical",
            "gamma",
            "normal",
            "randint",
            "truncated_normal",
            "uniform",
        ),
        "distkeras.random.dropping": ("dropout", "shuffle"),
        "distkeras.random.seed_generator": ("SeedGenerator",),
    },
)
