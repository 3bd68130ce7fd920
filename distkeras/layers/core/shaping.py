"""Layers that move elements without computing on them."""

import math
from collections.abc import Sequence
from typing import Any

from distkeras import config, ops
from distkeras.errors import ArgumentError, DTypeError, ShapeError
from distkeras.layers.input_spec import InputSpec
from distkeras.layers.layer import Layer
from distkeras.ops.symbolic import infer_spec

__all__ = ["Flatten", "Identity", "Permute", "RepeatVector", "Reshape"]


class Identity(Layer):
    """The inputs as they are: tensors or any structure of them.

    Example:
        >>> Identity()([[1.0, 2.0]]).tolist()
        [[1.0, 2.0]]
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.built = True

    def call(self, inputs):
        return inputs

    def compute_output_shape(self, input_shape):
        return input_shape

    def compute_output_spec(self, inputs):
        return infer_spec(self.call, inputs)


class Flatten(Layer):
    """All axes but the first as one.

    Args:
        data_format: with `"channels_first"` the channels become the last axis before; default
            `keras.config.image_data_format()`.
        **kwargs: `name`, `dtype`, `trainable`.

    Example:
        >>> from distkeras import ops
        >>> Flatten()(ops.zeros((2, 3, 4))).shape
        (2, 12)
    """

    _summary_infers_shape = True

    def __init__(self, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = config.standardize_data_format(data_format)
        self.input_spec = InputSpec(min_ndim=1)

    def call(self, inputs):
        rank = inputs.ndim
        if self.data_format == "channels_first" and rank > 2:
            inputs = ops.transpose(inputs, (0, *range(2, rank), 1))
        return ops.reshape(inputs, (inputs.shape[0], math.prod(inputs.shape[1:])))

    def get_config(self) -> dict:
        """The arguments from which the layer can be made again."""
        return {**super().get_config(), "data_format": self.data_format}


class Reshape(Layer):
    """Each sample in another shape.

    Args:
        target_shape: the shape of one sample; one entry may be -1.
        **kwargs: `name`, `dtype`, `trainable`.

    Raises:
        ShapeError: where the number of elements differs.

    Example:
        >>> from distkeras import ops
        >>> Reshape((2, -1))(ops.zeros((5, 6))).shape
        (5, 2, 3)
    """

    def __init__(self, target_shape: Sequence[int], **kwargs: Any):
        super().__init__(**kwargs)
        self.target_shape = (
            tuple(target_shape) if isinstance(target_shape, Sequence) else (target_shape,)
        )
        if sum(d == -1 for d in self.target_shape) > 1:
            raise ArgumentError(
                f"Only one size of `target_shape` may be -1. Received: {self.target_shape}"
            )
        self.built = True

    def call(self, inputs):
        return ops.reshape(inputs, (inputs.shape[0], *self._sizes(inputs.shape[1:])))

    def _sizes(self, sample: Sequence[int]) -> tuple[int, ...]:
        """The target shape without -1, also where the batch is empty."""
        total = math.prod(sample)
        known = math.prod(d for d in self.target_shape if d != -1)
        if -1 not in self.target_shape:
            fits = total == known
        else:
            fits = known != 0 and total % known == 0
        if not fits:
            raise ShapeError(
                f"The {total} elements of a sample of shape {tuple(sample)} cannot be reshaped to "
                f"{self.target_shape} in the layer '{self.name}': the total size must be unchanged."
            )
        return tuple(total // known if d == -1 else d for d in self.target_shape)

    def get_config(self) -> dict:
        """The arguments from which the layer can be made again."""
        return {**super().get_config(), "target_shape": self.target_shape}


class Permute(Layer):
    """The axes of each sample in another order.

    Args:
        dims: a permutation of 1, 2, ...: axis 1 is the first of a sample.
        **kwargs: `name`, `dtype`, `trainable`.

    Raises:
        ArgumentError: where it is no permutation.

    Example:
        >>> from distkeras import ops
        >>> Permute((2, 1))(ops.zeros((5, 2, 3))).shape
        (5, 3, 2)
    """

    _summary_infers_shape = True

    def __init__(self, dims: Sequence[int], **kwargs: Any):
        super().__init__(**kwargs)
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ArgumentError(
                "Invalid permutation argument `dims` for Permute Layer. The set of indices in "
                "`dims` must be "
                f"consecutive and start from 1. Received dims={dims}"
            )
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)

    def call(self, inputs):
        return ops.transpose(inputs, (0, *self.dims))

    def get_config(self) -> dict:
        """The arguments from which the layer can be made again."""
        return {**super().get_config(), "dims": self.dims}


class RepeatVector(Layer):
    """Each sample's vector, repeated along a new axis.

    Args:
        n: how often.
        **kwargs: `name`, `dtype`, `trainable`.

    Inputs:
        `(samples, features)`; outputs `(samples, n, features)`.

    Example:
        >>> RepeatVector(3)([[1.0, 2.0]]).shape
        (1, 3, 2)
    """

    _summary_infers_shape = True

    def __init__(self, n: int, **kwargs: Any):
        super().__init__(**kwargs)
        if isinstance(n, bool) or not isinstance(n, int):
            raise DTypeError(f"Expected an integer value for `n`, got {type(n)}.")
        if n < 0:
            raise ArgumentError(f"`n` must not be negative. Received: n={n}")
        self.n = n
        self.input_spec = InputSpec(ndim=2)

    def call(self, inputs):
        samples, features = inputs.shape
        return ops.broadcast_to(ops.expand_dims(inputs, 1), (samples, self.n, features))

    def get_config(self) -> dict:
        """The arguments from which the layer can be made again."""
        return {**super().get_config(), "n": self.n}
