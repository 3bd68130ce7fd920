"""Arguments that layers share: what a name's ending says about how it is read and written.

`kernel_initializer`, `beta_regularizer`, `bias_constraint`, `recurrent_activation`: an argument
whose name
ends so is looked up by that kind, and written to configurations by it. Any other argument is kept
as given.
"""

from types import ModuleType
from typing import Any

from distkeras import activations, constraints, initializers, regularizers
from distkeras.errors import ArgumentError, ShapeError

__all__ = ["arguments_of", "given", "known_size", "positive_int", "refuse", "set_arguments"]

_KINDS: dict[str, ModuleType] = {
    "activation": activations,
    "initializer": initializers,
    "regularizer": regularizers,
    "constraint": constraints,
}


def set_arguments(layer: Any, **values: Any) -> None:
    """Set a layer's attributes, with names of initializers, activations, ... looked up.

    Args:
        layer: the layer.
        **values: its arguments as they were given.
    """
    for name, value in values.items():
        kind = _KINDS.get(name.rpartition("_")[2])
        setattr(layer, name, value if kind is None else kind.get(value))


def arguments_of(layer: Any, names: str) -> dict[str, Any]:
    """The entries of a configuration, from a layer's attributes of the same names.

    Args:
        layer: the layer.
        names: attribute names, separated by spaces.
    """
    config = {}
    for name in names.split():
        value = getattr(layer, name)
        kind = _KINDS.get(name.rpartition("_")[2])
        config[name] = value if kind is None or value is None else kind.serialize(value)
    return config


def given(scope: dict[str, Any]) -> dict[str, Any]:
    """A constructor's named arguments.

    Args:
        scope: its `locals()`, taken before it sets any.

    Returns:
        Name -> value, without `self` and `**kwargs`.
    """
    return {k: v for k, v in scope.items() if k not in ("self", "kwargs", "__class__")}


def positive_int(layer: Any, name: str, value: Any) -> int:
    """`value`, if it is an integer above 0.

    Raises:
        ArgumentError: where it is not, naming the layer's class and the argument.
    """
    if isinstance(value, bool) or not hasattr(value, "__index__") or int(value) <= 0:
        raise ArgumentError(
            f"Received an invalid value for argument `{name}` of {type(layer).__name__}, expected "
            "a "
            f"positive integer. Received: {name}={value!r}"
        )
    return int(value)


def refuse(layer: Any, **values: Any) -> None:
    """Refuse arguments of Keras for which nothing exists here, unless they are `None`.

    Raises:
        ArgumentError: naming the argument.
    """
    for name, value in values.items():
        if value is not None:
            raise ArgumentError(
                f"`{name}` of {type(layer).__name__} must be None: low-rank adapters and quantized "
                f"layers do not exist here. Received: {name}={value!r}"
            )


def known_size(layer: Any, shape: Any, axis: int = -1) -> int:
    """The size of an axis on which the shape of a weight depends.

    Raises:
        ShapeError: where it is not known.
    """
    if not isinstance(shape, tuple | list):
        raise ShapeError(
            f"The {type(layer).__name__} layer '{layer.name}' takes one tensor, got a "
            f"{type(shape).__name__} of tensors with the shapes {shape}. Pass one of them, or join "
            "them with `layers.Concatenate()`."
        )
    size = shape[axis]
    if size is None:
        raise ShapeError(
            f"Axis {axis} of the inputs to the {type(layer).__name__} layer '{layer.name}' must "
            "have "
            f"a known size, since weights depend on it. Full input shape received: {tuple(shape)}"
        )
    return size
