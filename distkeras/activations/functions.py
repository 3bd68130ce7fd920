"""Activations unlike the operation of the same name, and how names become activations."""

from collections.abc import Callable
from typing import Any

from distkeras import ops
from distkeras.registry import REGISTRY
from distkeras.utils.lookup import deserialize_kind, get_kind
from distkeras.utils.serialization import serialize_keras_object

__all__ = ["deserialize", "exponential", "gelu", "get", "linear", "relu", "serialize"]


def relu(
    x: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
):
    """max(x, 0), with three refinements.

    Args:
        x: a tensor.
        negative_slope: the slope below the threshold, default 0.
        max_value: the greatest value, default none.
        threshold: below it x counts as negative, default 0.

    Returns:
        A tensor: `max_value` where x reaches it, x above the threshold, else negative_slope * (x -
            threshold).

    Example:
        >>> relu([-2.0, 1.0, 9.0], negative_slope=0.5, max_value=6.0).tolist()
        [-1.0, 1.0, 6.0]
    """
    if threshold == 0:
        if max_value is None:
            return ops.leaky_relu(x, negative_slope) if negative_slope else ops.relu(x)
        above = ops.clip(x, 0.0, float(max_value))
    else:
        above = ops.threshold(x, threshold, 0)
        if max_value is not None:
            above = ops.clip(above, 0.0, float(max_value))
    if not negative_slope:
        return above
    return above - negative_slope * ops.relu(ops.subtract(threshold, x))


def gelu(x: Any, approximate: bool = False):
    """x times the probability that a standard normal variable is below x; see `ops.gelu`.

    Args:
        x: a tensor.
        approximate: whether to use the formula with tanh, default `False`.

    Example:
        >>> round(float(gelu(1.0)), 4)
        0.8413
    """
    return ops.gelu(x, approximate=approximate)


def exponential(x: Any):
    """exp(x).

    Example:
        >>> float(exponential(0.0))
        1.0
    """
    return ops.exp(x)


def linear(x: Any):
    """x itself.

    Example:
        >>> linear(3.0)
        3.0
    """
    return x


def get(identifier: Any) -> Callable:
    """The activation that an argument stands for.

    Args:
        identifier: a name such as `"relu"`, a configuration, a callable, or `None` for `linear`.

    Raises:
        UnknownNameError: for an unknown name.

    Example:
        >>> get("relu")([-1.0]).tolist()
        [0.0]
    """
    return linear if identifier is None else get_kind("activation", identifier)


def serialize(activation: Callable) -> Any:
    """A built-in function's name; the configuration of anything else.

    Example:
        >>> serialize(relu)
        'relu'
    """
    config = serialize_keras_object(activation)
    provider = REGISTRY.provider_of(activation)
    if (
        isinstance(config, dict)
        and config["class_name"] == "function"
        and provider is not None
        and provider.built_in
    ):
        return config["config"]
    return config


def deserialize(config: Any, custom_objects: dict | None = None) -> Callable:
    """The activation of what `serialize` gave.

    Example:
        >>> deserialize("relu") is relu
        True
    """
    if isinstance(config, str):
        named = None if custom_objects is None else custom_objects.get(config)
        return get(config) if named is None else named
    return deserialize_kind("activation", config, custom_objects)
