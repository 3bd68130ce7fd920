"""Copies of models with new weights."""

from distkeras.models.model import Model

__all__ = ["clone_model"]


def clone_model(model: Model, custom_objects=None) -> Model:
    """A model of the same architecture with layers and weights of its own.

    Args:
        model: a model whose layers can be made from their configurations.

    Example:
        >>> import distkeras as keras
        >>> clone_model(keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])).output_shape
        (None, 3)
    """
    return type(model).from_config(model.get_config(), custom_objects=custom_objects)
