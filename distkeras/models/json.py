"""Architectures as JSON text."""

import json

from distkeras.errors import SavingError
from distkeras.saving.serialization import deserialize_keras_object, serialize_keras_object

__all__ = ["model_from_json", "to_json"]


def to_json(model, **kwargs) -> str:
    """A model's architecture as JSON text; `kwargs` go to `json.dumps`."""
    return json.dumps(serialize_keras_object(model), **kwargs)


def model_from_json(json_string: str, custom_objects=None):
    """A model, with new weights, from `model.to_json()`'s text.

    Args:
        json_string: the text.
        custom_objects: name -> class, for layers of your own.

    Example:
        >>> import distkeras as keras
        >>> text = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)]).to_json()
        >>> model_from_json(text).output_shape
        (None, 3)
    """
    try:
        config = json.loads(json_string)
    except (TypeError, ValueError) as error:
        raise SavingError(
            f"model_from_json() takes the text that `model.to_json()` returned: {error}. "
            f"Received: {str(json_string)[:100]!r}"
        ) from error
    return deserialize_keras_object(config, custom_objects=custom_objects)
