"""`Masking`: time steps of one value are padding."""

from typing import Any

from distkeras import ops
from distkeras.layers.layer import Layer

__all__ = ["Masking"]


class Masking(Layer):
    """Marks time steps whose features all equal a value, so that later layers leave them out.

    Args:
        mask_value: the value, default 0.
        **kwargs: `name`, `dtype`, `trainable`.

    Inputs:
        `(samples, steps, features)`; the outputs are the inputs, with zeros in the steps left out.

    Example:
        >>> x = Masking()([[[1.0, 0.0], [0.0, 0.0]]])
        >>> x._keras_mask.tolist()
        [[True, False]]
    """

    def __init__(self, mask_value: float = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.mask_value = mask_value
        self.supports_masking = True
        self.built = True

    def compute_mask(self, inputs, mask=None):
        """Where a step has a feature that differs from `mask_value`."""
        return ops.any(ops.not_equal(inputs, self.mask_value), axis=-1)

    def call(self, inputs):
        kept = self.compute_mask(inputs)
        # A choice, not a product: what is left out may be infinite.
        outputs = ops.where(ops.expand_dims(kept, -1), inputs, 0)
        outputs._keras_mask = kept
        return outputs

    def get_config(self) -> dict:
        """The arguments from which the layer can be made again."""
        return {**super().get_config(), "mask_value": self.mask_value}
