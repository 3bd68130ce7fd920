"""`Model`, `Sequential` and functional models."""

from distkeras.registry import plugin_attribute
from distkeras.utils.lazy import lazy_attributes

__getattr__, __dir__, __all__ = lazy_attributes(
    __name__,
    {
        "distkeras.models.model": ("Model",),
        "distkeras.models.sequential": ("Sequential",),
        "distkeras.models.functional": ("Functional",),
        "distkeras.models.cloning": ("clone_model",),
        "distkeras.models.json": ("model_from_json",),
        "distkeras.saving": ("load_model", "save_model"),
    },
    fallback=plugin_attribute(__name__, "model"),
)
