"""Small tools that know nothing of tensors, and the helpers that `keras.utils` offers."""

from distkeras.utils.lazy import lazy_attributes

__getattr__, __dir__, __all__ = lazy_attributes(
    __name__,
    {
        "distkeras.utils.custom_objects": (
            "CustomObjectScope",
            "custom_object_scope",
            "get_custom_objects",
            "get_registered_name",
            "get_registered_object",
            "register_keras_serializable",
        ),
        "distkeras.utils.serialization": (
            "deserialize_keras_object",
            "serialize_keras_object",
        ),
        "distkeras.utils.naming": ("get_uid", "to_snake_case"),
        "distkeras.utils.seeding": ("set_random_seed",),
        "distkeras.utils.session": ("clear_session",),
        "distkeras.utils.labels": ("normalize", "to_categorical"),
        "distkeras.utils.progbar": ("Progbar",),
        "distkeras.data.batch": ("pack_x_y_sample_weight", "unpack_x_y_sample_weight"),
        "distkeras.data.sequences": ("pad_sequences",),
        "distkeras.data.py_dataset": ("PyDataset", "Sequence=PyDataset"),
    },
)
