"""A layer with weights."""

from distkeras import initializers
from distkeras.layers import Layer


class FeatureScale(Layer):
    """`inputs * scale + offset`, with a learned scale and offset for each feature.

    Args:
        scale_initializer: where the scales begin, default ones.
        **kwargs: `name`, `dtype`, `trainable`.

    Inputs:
        `(..., features)`; outputs of the same shape.

    Example:
        >>> FeatureScale()([[1.0, 2.0]]).shape
        (1, 2)
    """

    def __init__(self, scale_initializer="ones", **kwargs):
        super().__init__(**kwargs)
        self.scale_initializer = initializers.get(scale_initializer)

    def build(self, input_shape):
        """Create the two vectors."""
        shape = (input_shape[-1],)
        self.scale = self.add_weight(shape, self.scale_initializer, name="scale")
        self.offset = self.add_weight(shape, "zeros", name="offset")

    def call(self, inputs):
        """Scale and shift."""
        return inputs * self.scale + self.offset

    def compute_output_shape(self, input_shape):
        """The shape of the inputs."""
        return input_shape

    def get_config(self):
        """The arguments of the constructor."""
        return {
            **super().get_config(),
            "scale_initializer": initializers.serialize(self.scale_initializer),
        }
