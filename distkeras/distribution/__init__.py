"""The ranks that train together: who they are, and what they exchange. See README.md.

Importing it imports neither NumPy nor mpi4py; the launcher sets thread counts before either is
loaded.
"""

from distkeras.utils.lazy import lazy_attributes

__getattr__, __dir__, __all__ = lazy_attributes(
    __name__,
    {
        "distkeras.distribution.world": (
            "World",
            "initialize",
            "is_initialized",
            "local_rank",
            "local_size",
            "on_rank",
            "rank",
            "size",
            "warn_if_unlaunched",
        ),
        "distkeras.distribution.collectives": ("all_gather", "all_reduce", "barrier", "broadcast"),
        "distkeras.distribution.settings": ("DataParallel", "distribution", "set_distribution"),
        "distkeras.distribution.environment": ("child_environment", "launched"),
    },
)
