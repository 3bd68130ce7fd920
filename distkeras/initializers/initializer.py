"""The base of initializers, and how names and configurations become initializers."""

from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any

from distkeras import ops
from distkeras.engine.dtypes import standardize_dtype
from distkeras.errors import ArgumentError, ShapeError
from distkeras.random.seed_generator import SeedGenerator, make_default_seed
from distkeras.utils.lookup import deserialize_kind, get_kind
from distkeras.utils.serialization import serialize_keras_object

__all__ = ["Initializer", "RandomInitializer", "deserialize", "get", "serialize"]


class Initializer:
    """Something that makes the first value of a weight: called with a shape and a dtype, it returns
    a tensor.

    Example:
        >>> from distkeras import initializers, ops
        >>> class Twos(initializers.Initializer):
        ...     def __call__(self, shape, dtype=None):
        ...         return ops.full(shape, 2.0, dtype=dtype)
        >>> Twos()((2,)).tolist()
        [2.0, 2.0]
    """

    def __call__(self, shape: Sequence[int], dtype: str | None = None):
        """A tensor of the shape and dtype (default `floatx()`)."""
        raise NotImplementedError(
            f"{type(self).__name__} must define `__call__(self, shape, dtype=None)`."
        )

    def get_config(self) -> dict:
        """The arguments of the constructor."""
        return {}

    @classmethod
    def from_config(cls, config: dict) -> "Initializer":
        """An initializer made from `get_config()`'s result."""
        return cls(**config)

    def clone(self) -> "Initializer":
        """Another initializer with the same configuration."""
        return type(self).from_config(self.get_config())


class RandomInitializer(Initializer):
    """An initializer that draws.

    Args:
        seed: an integer (the same values at every call with one shape), a `SeedGenerator`, or
            `None`: an integer from Python's `random`.
    """

    def __init__(self, seed: Any = None):
        self._init_seed = seed
        if seed is None:
            seed = make_default_seed()
        elif isinstance(seed, dict):
            seed = SeedGenerator.from_config(seed["config"])
        elif not isinstance(seed, Integral | SeedGenerator):
            raise ArgumentError(
                "`seed` argument should be an instance of `keras.random.SeedGenerator()` or an "
                f"integer. Received: seed={seed}"
            )
        self.seed = seed

    def get_config(self) -> dict:
        """The seed as it was given; a generator as its configuration."""
        seed = self._init_seed
        if isinstance(seed, SeedGenerator):
            seed = {
                "module": "keras.random",
                "class_name": "SeedGenerator",
                "config": seed.get_config(),
                "registered_name": None,
            }
        return {"seed": seed}


def serialize(initializer: Any) -> Any:
    """An initializer's configuration, with its class.

    Example:
        >>> from distkeras import initializers
        >>> initializers.serialize(initializers.Zeros())["class_name"]
        'Zeros'
    """
    return serialize_keras_object(initializer)


def deserialize(config: dict, custom_objects: dict | None = None) -> Any:
    """The initializer of a configuration that `serialize` gave.

    Example:
        >>> from distkeras import initializers
        >>> config = {"class_name": "Constant", "config": {"value": 2.0}}
        >>> initializers.deserialize(config)((1,)).tolist()
        [2.0]
    """
    return deserialize_kind("initializer", config, custom_objects)


def get(identifier: Any) -> Callable | None:
    """The initializer that an argument stands for.

    Args:
        identifier: a name such as `"he_normal"`, a configuration, a class, a callable `(shape,
            dtype)`, an array or tensor (the value itself), or `None`.

    Returns:
        A callable, or `None`.

    Raises:
        UnknownNameError: for an unknown name.

    Example:
        >>> type(get("glorot_uniform")).__name__
        'GlorotUniform'
    """
    if hasattr(identifier, "__array__") and hasattr(identifier, "shape"):
        return _value(identifier)
    return get_kind("initializer", identifier)


def _value(value) -> Callable:
    def initialize(shape, dtype=None):
        if tuple(shape) != tuple(value.shape):
            raise ShapeError(
                f"Expected `shape` to be {tuple(value.shape)} for direct tensor as initializer. "
                f"Received shape={shape}"
            )
        return ops.cast(value, standardize_dtype(dtype))

    return initialize
