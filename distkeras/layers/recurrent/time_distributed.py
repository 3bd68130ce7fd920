"""`TimeDistributed`: one layer for every step, and `Wrapper`, the base of layers around a layer."""

from typing import Any

from distkeras import ops
from distkeras.errors import ArgumentError, ShapeError
from distkeras.layers.layer import Layer
from distkeras.utils.serialization import deserialize_keras_object, serialize_keras_object

__all__ = ["TimeDistributed", "Wrapper"]


class Wrapper(Layer):
    """A layer around another one.

    Args:
        layer: the layer within.
        **kwargs: `name`, `dtype`, `trainable`.

    Raises:
        ArgumentError: where `layer` is no layer.

    Example:
        >>> from distkeras import layers
        >>> Wrapper(layers.Dense(2)).layer.units
        2
    """

    def __init__(self, layer: Layer, **kwargs: Any):
        if not isinstance(layer, Layer):
            raise ArgumentError(
                f"Please initialize `{type(self).__name__}` layer with a `keras.layers.Layer` "
                f"instance. Received: {layer!r}"
            )
        super().__init__(**kwargs)
        self.layer = layer

    def build(self, input_shape=None):
        if not self.layer.built:
            object.__setattr__(self.layer, "_path", f"{self.path}/{self.layer.name}")
            self.layer.build(input_shape)
            self.layer.built = True

    def get_config(self) -> dict:
        """The arguments from which the layer can be made again."""
        return {**super().get_config(), "layer": serialize_keras_object(self.layer)}

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None):
        """A layer made from `get_config()`'s result."""
        config = dict(config)
        layer = deserialize_keras_object(config.pop("layer"), custom_objects=custom_objects)
        return cls(layer, **config)


class TimeDistributed(Wrapper):
    """Applies a layer to every step of sequences.

    Args:
        layer: the layer.
        **kwargs: `name`, `dtype`, `trainable`.

    Inputs:
        `(samples, steps, ...)` with at least three axes, and optionally `mask`, whose first two
        axes
        are those.

    Raises:
        ShapeError: where the inputs have fewer axes, or the mask does not fit.

    Example:
        >>> from distkeras import layers, ops
        >>> TimeDistributed(layers.Dense(2))(ops.zeros((3, 5, 4))).shape
        (3, 5, 2)
    """

    def __init__(self, layer: Layer, **kwargs: Any):
        super().__init__(layer, **kwargs)
        self.supports_masking = True

    def _step_shape(self, input_shape):
        if not isinstance(input_shape, list | tuple) or len(input_shape) < 3:
            raise ShapeError(
                "`TimeDistributed` Layer should be passed an `input_shape` with at least 3 "
                f"dimensions, received: {input_shape}"
            )
        return (input_shape[0], *input_shape[2:])

    def build(self, input_shape=None):
        super().build(self._step_shape(input_shape))

    def call(self, inputs, training=None, mask=None):
        if mask is not None and (mask.ndim < 2 or mask.shape[:2] != inputs.shape[:2]):
            raise ShapeError(
                "The first two axes of the mask passed to `TimeDistributed` must be those of the "
                f"inputs. Received: mask.shape={mask.shape}, inputs.shape={inputs.shape}"
            )
        takes = self.layer._call_signature.takes
        extra = {"training": training} if takes("training") else {}
        if inputs.shape[1] == 0:
            shape = self.compute_output_shape(inputs.shape)
            return ops.zeros(shape, dtype=self.compute_dtype)

        def body(_, row):
            x, kept = row
            own = {"mask": kept} if kept is not None else {}
            return (), self.layer.call(x, **own, **extra)

        steps = ops.swapaxes(inputs, 0, 1)
        if mask is not None and takes("mask"):
            outputs = ops.scan(body, (), (steps, ops.swapaxes(mask, 0, 1)))[1]
        else:
            outputs = ops.scan(lambda c, x: body(c, (x, None)), (), steps)[1]
        return ops.swapaxes(outputs, 0, 1)

    def compute_output_shape(self, input_shape):
        shape = self.layer.compute_output_shape(self._step_shape(input_shape))
        return (shape[0], input_shape[1], *shape[1:])
