"""`Rescaling`: a linear map of the inputs."""

from typing import Any

from distkeras import config, ops
from distkeras.layers.layer import Layer
from distkeras.utils.serialization import deserialize_keras_object, serialize_keras_object

__all__ = ["Rescaling"]


class Rescaling(Layer):
    """`inputs * scale + offset`, in the compute dtype: integers become floats.

    Args:
        scale: a number, or one for each channel (`keras.config.image_data_format()` says where
            they are).
        offset: likewise, default 0.
        **kwargs: `name`, `dtype`, `trainable`.

    Example:
        >>> Rescaling(1 / 255)([[0.0, 255.0]]).tolist()
        [[0.0, 1.0]]
    """

    def __init__(self, scale: Any, offset: Any = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.scale = deserialize_keras_object(scale) if isinstance(scale, dict) else scale
        self.offset = deserialize_keras_object(offset) if isinstance(offset, dict) else offset
        self.supports_masking = True
        self.built = True

    def call(self, inputs):
        x = ops.cast(inputs, self.compute_dtype)
        scale, offset = self._factor(self.scale, x), self._factor(self.offset, x)
        return ops.add(ops.multiply(x, scale), offset)

    def _factor(self, value, x):
        """A number as it is; a list as a tensor along the channels."""
        if isinstance(value, int | float):
            return float(value)
        value = ops.cast(value, self.compute_dtype)
        if value.ndim == 1 and config.image_data_format() == "channels_first" and x.ndim > 2:
            value = ops.reshape(value, (value.shape[0], *(1 for _ in range(x.ndim - 2))))
        return value

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self) -> dict:
        """The arguments from which the layer can be made again."""
        return {
            **super().get_config(),
            "scale": serialize_keras_object(self.scale),
            "offset": serialize_keras_object(self.offset),
        }
