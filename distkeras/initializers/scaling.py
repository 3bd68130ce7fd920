"""Initializers whose variance follows from the numbers of inputs and outputs of a unit."""

import math
from collections.abc import Sequence
from typing import Any

from distkeras.errors import ArgumentError
from distkeras.initializers.initializer import RandomInitializer
from distkeras.random.distributions import normal, truncated_normal, uniform

__all__ = [
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "LecunNormal",
    "LecunUniform",
    "VarianceScaling",
    "compute_fans",
]

_MODES = ("fan_in", "fan_out", "fan_avg")
_DISTRIBUTIONS = ("uniform", "truncated_normal", "untruncated_normal")
# The standard deviation of a standard normal variable within two deviations.
_TRUNCATED_DEVIATION = 0.87962566103423978


def compute_fans(
    shape: Sequence[int],
    input_axes: Sequence[int] | None = None,
    output_axes: Sequence[int] | None = None,
) -> tuple[int, int]:
    """The numbers of inputs and outputs of a weight.

    Args:
        shape: the weight's shape; by default the last two axes are inputs and outputs, and those
            before them the receptive field.
        input_axes, output_axes: both or neither: the axes whose sizes multiply to the two numbers.

    Example:
        >>> compute_fans((3, 3, 16, 32))
        (144, 288)
    """
    if input_axes is not None and output_axes is not None:
        return math.prod(int(shape[a]) for a in input_axes), math.prod(
            int(shape[a]) for a in output_axes
        )
    if len(shape) < 2:
        size = int(shape[0]) if shape else 1
        return size, size
    field = math.prod(int(d) for d in shape[:-2])
    return int(shape[-2]) * field, int(shape[-1]) * field


class VarianceScaling(RandomInitializer):
    """Values of variance scale / n, where n is the number of inputs, of outputs, or their mean.

    Args:
        scale: a positive factor, default 1.
        mode: `"fan_in"` (default), `"fan_out"` or `"fan_avg"`.
        distribution: `"truncated_normal"` (default; also `"normal"`), `"untruncated_normal"` or
            `"uniform"`.
        seed: see `RandomInitializer`.
        input_axes, output_axes: see `compute_fans`.

    Raises:
        ArgumentError: for a scale that is not positive, an unknown mode or distribution.

    Example:
        >>> float(abs(VarianceScaling(3.0, "fan_in", "uniform", seed=1)((9, 4))).numpy().max()) <= 1
        True
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: Any = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ):
        if not scale > 0:
            raise ArgumentError(f"Argument `scale` must be positive float. Received: scale={scale}")
        if mode not in _MODES:
            raise ArgumentError(f"Invalid `mode` argument: {mode}. Please use one of {_MODES}")
        distribution = str(distribution).lower()
        if distribution == "normal":
            distribution = "truncated_normal"
        if distribution not in _DISTRIBUTIONS:
            raise ArgumentError(
                f"Invalid `distribution` argument: {distribution}. "
                f"Please use one of {_DISTRIBUTIONS}"
            )
        self.scale = scale
        self.mode = mode
        self.distribution = distribution
        self.input_axes = input_axes
        self.output_axes = output_axes
        super().__init__(seed)

    def __call__(self, shape: Sequence[int], dtype: str | None = None):
        fan_in, fan_out = compute_fans(shape, self.input_axes, self.output_axes)
        n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        deviation = math.sqrt(self.scale / max(1.0, n))
        settings = {"dtype": dtype, "seed": self.seed}
        if self.distribution == "uniform":
            limit = math.sqrt(3) * deviation
            return uniform(shape, minval=-limit, maxval=limit, **settings)
        if self.distribution == "untruncated_normal":
            return normal(shape, stddev=deviation, **settings)
        return truncated_normal(shape, stddev=deviation / _TRUNCATED_DEVIATION, **settings)

    def get_config(self) -> dict:
        """The arguments of the constructor."""
        return {
            **super().get_config(),
            "scale": self.scale,
            "mode": self.mode,
            "distribution": self.distribution,
            "input_axes": self.input_axes,
            "output_axes": self.output_axes,
        }


class _Named(VarianceScaling):
    """A `VarianceScaling` whose scale, mode and distribution are those of its class."""

    SETTINGS: tuple[float, str, str]

    def __init__(
        self,
        seed: Any = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ):
        super().__init__(*self.SETTINGS, seed=seed, input_axes=input_axes, output_axes=output_axes)

    def get_config(self) -> dict:
        """The arguments of the constructor."""
        config = super().get_config()
        return {key: config[key] for key in ("seed", "input_axes", "output_axes")}


class GlorotUniform(_Named):
    """Uniform with variance 2 / (inputs + outputs).

    Source: X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural
        networks" (2010).

    Args:
        seed: see `RandomInitializer`.
        input_axes, output_axes: see `compute_fans`.

    Example:
        >>> float(abs(GlorotUniform(seed=1)((3, 3))).numpy().max()) <= 1
        True
    """

    SETTINGS = (1.0, "fan_avg", "uniform")


class GlorotNormal(_Named):
    """Truncated normal with variance 2 / (inputs + outputs); see `GlorotUniform`.

    Example:
        >>> GlorotNormal(seed=1)((3, 4)).shape
        (3, 4)
    """

    SETTINGS = (1.0, "fan_avg", "truncated_normal")


class LecunNormal(_Named):
    """Truncated normal with variance 1 / inputs; arguments as `GlorotUniform`.

    Source: Y. LeCun et al., "Efficient backprop" (1998).

    Example:
        >>> LecunNormal(seed=1)((3, 4)).shape
        (3, 4)
    """

    SETTINGS = (1.0, "fan_in", "truncated_normal")


class LecunUniform(_Named):
    """Uniform with variance 1 / inputs; see `LecunNormal`.

    Example:
        >>> LecunUniform(seed=1)((3, 4)).shape
        (3, 4)
    """

    SETTINGS = (1.0, "fan_in", "uniform")


class HeNormal(_Named):
    """Truncated normal with variance 2 / inputs; arguments as `GlorotUniform`.

    Source: K. He et al., "Delving deep into rectifiers" (2015).

    Example:
        >>> HeNormal(seed=1)((3, 4)).shape
        (3, 4)
    """

    SETTINGS = (2.0, "fan_in", "truncated_normal")


class HeUniform(_Named):
    """Uniform with variance 2 / inputs; see `HeNormal`.

    Example:
        >>> HeUniform(seed=1)((3, 4)).shape
        (3, 4)
    """

    SETTINGS = (2.0, "fan_in", "uniform")
