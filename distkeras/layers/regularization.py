"""Layers that act in training only: dropout, noise, and a penalty on activations."""

import math
from collections.abc import Sequence
from typing import Any

from distkeras import config, ops, random, regularizers
from distkeras.errors import ArgumentError
from distkeras.layers.arguments import arguments_of
from distkeras.layers.input_spec import InputSpec
from distkeras.layers.layer import Layer
from distkeras.random.seed_generator import SeedGenerator

__all__ = [
    "ActivityRegularization",
    "AlphaDropout",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
]


def _between_0_and_1(name: str, value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ArgumentError(
            f"Invalid value received for argument `{name}`. Expected a float value between 0 and "
            "1. "
            f"Received: {name}={value!r}"
        )
    return value


def _noise_shape(value: Any) -> tuple[int | None, ...] | None:
    if value is None:
        return None
    sizes = None if isinstance(value, str) or not isinstance(value, Sequence) else tuple(value)
    if sizes is None or any(
        d is not None and (isinstance(d, bool) or not isinstance(d, int) or d <= 0) for d in sizes
    ):
        raise ArgumentError(
            "Invalid value received for argument `noise_shape`. Expected a tuple of positive "
            "integers and None. "
            f"Received: noise_shape={value!r}"
        )
    return sizes


class _Noise(Layer):
    """Random in training, the identity otherwise; subclasses say how in `disturb`."""

    ARGUMENTS = "rate seed"

    def __init__(self, amount: float, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.seed = seed
        self.supports_masking = True
        self._amount = amount
        if amount > 0:
            self.seed_generator = SeedGenerator(seed)
        self.built = True

    def call(self, inputs, training=False):
        return self.disturb(inputs) if training and self._amount > 0 else inputs

    def disturb(self, inputs):
        """The outputs in training."""
        raise NotImplementedError(f"{type(self).__name__} does not define `disturb`.")

    def normal(self, inputs, mean: float, stddev: float):
        """Normal numbers of the inputs' shape, keyed by the samples' places in the global batch."""
        return random.normal(
            inputs.shape,
            mean=mean,
            stddev=stddev,
            dtype=self.compute_dtype,
            seed=self.seed_generator,
            batch_axis=0,
        )

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self) -> dict:
        """The arguments from which the layer can be made again."""
        return {**super().get_config(), **arguments_of(self, self.ARGUMENTS)}


class Dropout(_Noise):
    """Zeros at random places in training; the rest is divided by `1 - rate` (Srivastava, 2014).

    Args:
        rate: the probability with which an element is dropped, from 0 to 1.
        noise_shape: the mask's shape, which broadcasts to that of the inputs; `None` in it is the
            inputs' size.
        seed: an integer for the same draws in every run.
        **kwargs: `name`, `dtype`, `trainable`.

    Raises:
        ArgumentError: where the rate or the mask's shape is not as said.

    Example:
        >>> Dropout(0.5)([[1.0, 2.0]]).tolist()
        [[1.0, 2.0]]
    """

    ARGUMENTS = "rate seed noise_shape"

    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(_between_0_and_1("rate", rate), seed=seed, **kwargs)
        self.rate = rate
        self.noise_shape = _noise_shape(noise_shape)

    def disturb(self, inputs):
        return random.dropout(
            inputs, self.rate, noise_shape=self.noise_shape, seed=self.seed_generator
        )


class _SpatialDropout(_Noise):
    """Dropout of whole feature maps (Tompson et al., arXiv:1411.4280)."""

    RANK = 1

    def __init__(self, rate, data_format=None, seed=None, **kwargs):
        super().__init__(_between_0_and_1("rate", rate), seed=seed, **kwargs)
        self.rate = rate
        self.data_format = config.standardize_data_format(data_format)
        self.input_spec = InputSpec(ndim=self.RANK + 2)

    def disturb(self, inputs):
        ones = (1,) * self.RANK
        shape = (None, None, *ones) if self.data_format == "channels_first" else (None, *ones, None)
        return random.dropout(inputs, self.rate, noise_shape=shape, seed=self.seed_generator)

    def get_config(self) -> dict:
        """The arguments from which the layer can be made again."""
        return {"rate": self.rate, "seed": self.seed, "name": self.name, "dtype": self.dtype}


class SpatialDropout1D(_SpatialDropout):
    """Dropout of whole feature maps of sequences, in training.

    Args:
        rate: the probability with which a map is dropped, from 0 to 1.
        seed: an integer for the same draws in every run.
        name, dtype: as in `Layer`.

    Inputs:
        `(samples, steps, channels)`.

    Example:
        >>> SpatialDropout1D(0.5)([[[1.0, 2.0]]]).shape
        (1, 1, 2)
    """

    def __init__(
        self, rate: float, seed: int | None = None, name: str | None = None, dtype: Any = None
    ):
        super().__init__(rate, "channels_last", seed, name=name, dtype=dtype)


class SpatialDropout2D(_SpatialDropout):
    """Dropout of whole feature maps of images, in training.

    Args:
        rate: the probability with which a map is dropped, from 0 to 1.
        data_format: `"channels_last"` or `"channels_first"`; default
            `keras.config.image_data_format()`.
        seed: an integer for the same draws in every run.
        name, dtype: as in `Layer`.

    Inputs:
        `(samples, rows, columns, channels)`, or with the channels first.

    Example:
        >>> SpatialDropout2D(0.5).get_config()["data_format"]
        'channels_last'
    """

    RANK = 2

    def __init__(
        self,
        rate: float,
        data_format: str | None = None,
        seed: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(rate, data_format, seed, name=name, dtype=dtype)

    def get_config(self) -> dict:
        """The arguments from which the layer can be made again."""
        return {**super().get_config(), "data_format": self.data_format}


class SpatialDropout3D(SpatialDropout2D):
    """Dropout of whole feature maps of volumes, in training; see `SpatialDropout2D`.

    Example:
        >>> SpatialDropout3D(0.5).rate
        0.5
    """

    RANK = 3


class GaussianNoise(_Noise):
    """Adds normal numbers in training.

    Args:
        stddev: their standard deviation, not negative.
        seed: an integer for the same draws in every run.
        **kwargs: `name`, `dtype`, `trainable`.

    Example:
        >>> GaussianNoise(0.1)([[1.0]]).tolist()
        [[1.0]]
    """

    ARGUMENTS = "stddev seed"

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any):
        if isinstance(stddev, bool) or not isinstance(stddev, int | float) or stddev < 0:
            raise ArgumentError(
                "Invalid value received for argument `stddev`. Expected a number that is not "
                "negative. "
                f"Received: stddev={stddev!r}"
            )
        super().__init__(stddev, seed=seed, **kwargs)
        self.stddev = stddev

    def disturb(self, inputs):
        return ops.add(inputs, self.normal(inputs, 0.0, self.stddev))


class GaussianDropout(_Noise):
    """Multiplies by normal numbers of mean 1 and variance `rate / (1 - rate)` in training.

    Args:
        rate: from 0 to 1, excluded.
        seed: an integer for the same draws in every run.
        **kwargs: `name`, `dtype`, `trainable`.

    Example:
        >>> GaussianDropout(0.1)([[1.0]]).tolist()
        [[1.0]]
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any):
        super().__init__(_between_0_and_1("rate", rate), seed=seed, **kwargs)
        self.rate = rate
        if rate == 1:
            raise ArgumentError(
                "`rate` of GaussianDropout must be below 1: the variance would be infinite."
            )

    def disturb(self, inputs):
        return ops.multiply(
            inputs, self.normal(inputs, 1.0, math.sqrt(self.rate / (1.0 - self.rate)))
        )


# The fixed point of the scaled exponential linear unit (Klambauer et al., arXiv:1706.02515):
# -scale * alpha.
_SELU_FLOOR = -1.0507009873554804934193349852946 * 1.6732632423543772848170429916717


class AlphaDropout(_Noise):
    """Dropout that keeps mean and variance of SELU's activations (arXiv:1706.02515).

    Args:
        rate: the probability with which an element is set to SELU's lower limit, from 0 to 1.
        noise_shape: the mask's shape, which broadcasts to that of the inputs; `None` in it is the
            inputs' size.
        seed: an integer for the same draws in every run.
        **kwargs: `name`, `dtype`, `trainable`.

    Example:
        >>> AlphaDropout(0.1)([[1.0]]).tolist()
        [[1.0]]
    """

    ARGUMENTS = "rate seed noise_shape"

    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(_between_0_and_1("rate", rate), seed=seed, **kwargs)
        self.rate = rate
        self.noise_shape = _noise_shape(noise_shape)

    def disturb(self, inputs):
        if self.rate == 1:
            return ops.zeros_like(inputs)
        # Dropout of ones: 0 where dropped, 1 / (1 - rate) elsewhere.
        drawn = random.dropout(
            ops.ones_like(inputs), self.rate, noise_shape=self.noise_shape, seed=self.seed_generator
        )
        kept = ops.multiply(drawn, 1 - self.rate)
        a = ((1 - self.rate) * (1 + self.rate * _SELU_FLOOR**2)) ** -0.5
        b = -a * _SELU_FLOOR * self.rate
        mixed = ops.add(
            ops.multiply(inputs, kept), ops.multiply(ops.subtract(1.0, kept), _SELU_FLOOR)
        )
        return ops.add(ops.multiply(mixed, a), b)


class ActivityRegularization(Layer):
    """The identity, which adds `l1 * sum(|x|) + l2 * sum(x * x)`, per sample, to the loss.

    Args:
        l1, l2: factors, default 0.
        **kwargs: `name`, `dtype`, `trainable`.

    Example:
        >>> ActivityRegularization(l1=0.1)([[1.0]]).tolist()
        [[1.0]]
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any):
        super().__init__(activity_regularizer=regularizers.L1L2(l1=l1, l2=l2), **kwargs)
        self.supports_masking = True
        self.l1 = l1
        self.l2 = l2
        self.built = True

    def call(self, inputs):
        return inputs

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self) -> dict:
        """The arguments from which the layer can be made again."""
        config = super().get_config()
        config.pop("activity_regularizer", None)
        return {**config, "l1": self.l1, "l2": self.l2}
