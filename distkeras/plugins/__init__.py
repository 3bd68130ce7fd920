"""Third-party layers, losses, callbacks and the rest: one pluggy project, entry-point group "
"`distkeras`."""

from distkeras.utils.lazy import lazy_attributes

__getattr__, __dir__, __all__ = lazy_attributes(
    __name__,
    {
        "distkeras.plugins.hookspecs": ("hookimpl",),
        "distkeras.plugins.manager": ("fingerprint", "installed"),
    },
)
