"""`Lambda`: any function as a layer."""

import inspect
from collections.abc import Callable
from typing import Any

from distkeras.errors import ArgumentError
from distkeras.layers.layer import Layer
from distkeras.ops.symbolic import infer_spec
from distkeras.utils import tree
from distkeras.utils.serialization import deserialize_keras_object, serialize_keras_object

__all__ = ["Lambda"]


class Lambda(Layer):
    """A function of tensors as a layer.

    A model with it can be saved if the function has a name (`def`, or registered); lambdas are
    never written to files.

    Args:
        function: `function(inputs, **arguments)`; it may also take `mask` and `training`.
        output_shape: the shape of one sample of the output, or a function of the input shape;
            default found by
            running the function on shapes.
        mask: a function `(inputs, mask) -> mask`, or the output's mask itself; default none.
        arguments: further keyword arguments of the function.
        **kwargs: `name`, `dtype`, `trainable`.

    Raises:
        UnsafeFileError: on loading from a file that holds code.

    Example:
        >>> Lambda(lambda x: x * 2)([[1.0, 2.0]]).tolist()
        [[2.0, 4.0]]
    """

    def __init__(
        self,
        function: Callable,
        output_shape: Any = None,
        mask: Any = None,
        arguments: dict[str, Any] | None = None,
        **kwargs: Any,
    ):
        if not callable(function):
            raise ArgumentError(
                f"`function` of a Lambda layer must be callable. Received: function={function!r}"
            )
        super().__init__(**kwargs)
        self.arguments = arguments or {}
        self.function = function
        self.mask = mask
        self.supports_masking = mask is not None
        self._output_shape = output_shape
        names = inspect.signature(function).parameters if callable(function) else ()
        self._passed = tuple(n for n in ("mask", "training") if n in names)
        self.built = True

    def call(self, inputs, mask=None, training=None):
        found = {"mask": mask, "training": training}
        return self.function(inputs, **self.arguments, **{n: found[n] for n in self._passed})

    def compute_mask(self, inputs, mask=None):
        """What `mask` says."""
        return self.mask(inputs, mask) if callable(self.mask) else self.mask

    def compute_output_spec(self, inputs, mask=None, training=None):
        if self._output_shape is None:
            return infer_spec(self.call, inputs, mask=mask, training=training)
        return super().compute_output_spec(inputs)

    def compute_output_shape(self, input_shape):
        """`output_shape` with the batch axis, or what running the function on shapes gives."""
        if self._output_shape is None:
            return super().compute_output_shape(input_shape)
        if callable(self._output_shape):
            return self._output_shape(input_shape)
        samples = tree.flatten(input_shape)[0]
        return _with_samples(self._output_shape, samples)

    def get_config(self) -> dict:
        """The arguments from which the layer can be made again.

        Raises:
            SavingError: where a function is a lambda.
        """
        config = {"function": serialize_keras_object(self.function)}
        if self._output_shape is not None:
            named = callable(self._output_shape)
            config["output_shape"] = (
                serialize_keras_object(self._output_shape) if named else self._output_shape
            )
        if self.mask is not None:
            config["mask"] = serialize_keras_object(self.mask)
        config["arguments"] = serialize_keras_object(self.arguments)
        return {**super().get_config(), **config}

    @classmethod
    def from_config(
        cls, config: dict, custom_objects: dict | None = None, safe_mode: bool | None = None
    ):
        """A layer made from `get_config()`'s result."""
        config = dict(config)
        for name in ("function", "output_shape", "mask", "arguments"):
            if isinstance(config.get(name), dict):
                config[name] = deserialize_keras_object(
                    config[name], custom_objects=custom_objects, safe_mode=safe_mode is not False
                )
        if isinstance(config.get("output_shape"), list):
            config["output_shape"] = tuple(config["output_shape"])
        return cls(**config)


def _with_samples(shape, samples):
    if isinstance(shape, tuple | list) and all(d is None or isinstance(d, int) for d in shape):
        return (samples, *shape)
    if isinstance(shape, dict):
        return {k: _with_samples(s, samples) for k, s in shape.items()}
    return [_with_samples(s, samples) for s in shape]
