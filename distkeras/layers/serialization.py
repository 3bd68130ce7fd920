"""Layers as configurations, and back."""

from collections.abc import Mapping
from typing import Any

from distkeras.layers.layer import Layer
from distkeras.utils.serialization import deserialize_keras_object, serialize_keras_object

__all__ = ["deserialize", "serialize"]


def serialize(layer: Layer) -> dict[str, Any]:
    """The configuration of a layer, from which `deserialize` makes it again, with new weights.

    Args:
        layer: the layer.

    Example:
        >>> from distkeras.layers import Flatten
        >>> serialize(Flatten())["class_name"]
        'Flatten'
    """
    return serialize_keras_object(layer)


def deserialize(config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Layer:
    """The layer that a configuration describes.

    Args:
        config: what `serialize` returned.
        custom_objects: name -> class, for layers that are neither built in nor registered.

    Raises:
        UnknownObjectError: nobody provides the class.
        TypeError: the configuration is not that of a layer.

    Example:
        >>> from distkeras.layers import Flatten
        >>> deserialize(serialize(Flatten(name="flat"))).name
        'flat'
    """
    layer = deserialize_keras_object(config, custom_objects=custom_objects)
    if not isinstance(layer, Layer):
        raise TypeError(f"Expected the configuration of a layer; got {config!r}.")
    return layer
