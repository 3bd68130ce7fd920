"""Models and weights in files that Keras reads and writes too. See README.md."""

from distkeras.utils.lazy import lazy_attributes

__getattr__, __dir__, __all__ = lazy_attributes(
    __name__,
    {
        "distkeras.saving.api": ("load_model", "load_weights", "save_model", "save_weights"),
        "distkeras.saving.model_format": ("config_text", "model_from_text"),
        "distkeras.saving.serialization": (
            "deserialize_keras_object",
            "enable_unsafe_deserialization",
            "serialize_keras_object",
        ),
        "distkeras.registry": (
            "CustomObjectScope",
            "custom_object_scope",
            "get_custom_objects",
            "get_registered_name",
            "get_registered_object",
            "register_keras_serializable",
        ),
    },
)
