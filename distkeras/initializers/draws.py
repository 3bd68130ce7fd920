"""Initializers that draw from one distribution whatever the shape, and orthogonal matrices."""

import math
from collections.abc import Sequence
from typing import Any

from distkeras import ops
from distkeras.engine import primitives as P
from distkeras.engine.dtypes import standardize_dtype
from distkeras.errors import ShapeError
from distkeras.initializers.initializer import RandomInitializer
from distkeras.random.distributions import normal, truncated_normal, uniform

__all__ = ["Orthogonal", "RandomNormal", "RandomUniform", "TruncatedNormal"]


class RandomNormal(RandomInitializer):
    """Normally distributed values.

    Args:
        mean: the mean, default 0.
        stddev: the standard deviation, default 0.05.
        seed: see `RandomInitializer`.

    Example:
        >>> RandomNormal(seed=1)((2, 3)).shape
        (2, 3)
    """

    draw = staticmethod(normal)

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None):
        self.mean = mean
        self.stddev = stddev
        super().__init__(seed)

    def __call__(self, shape: Sequence[int], dtype: str | None = None):
        return self.draw(shape, mean=self.mean, stddev=self.stddev, dtype=dtype, seed=self.seed)

    def get_config(self) -> dict:
        """The arguments of the constructor."""
        return {**super().get_config(), "mean": self.mean, "stddev": self.stddev}


class TruncatedNormal(RandomNormal):
    """Normally distributed values within two standard deviations of the mean; see `RandomNormal`.

    Example:
        >>> float(abs(TruncatedNormal(seed=1)((9,))).numpy().max()) <= 0.1
        True
    """

    draw = staticmethod(truncated_normal)


class RandomUniform(RandomInitializer):
    """Values that are equally likely in a range.

    Args:
        minval: the lower end, default -0.05.
        maxval: the upper end, default 0.05.
        seed: see `RandomInitializer`.

    Example:
        >>> 1 <= float(RandomUniform(1.0, 2.0, seed=1)(())) < 2
        True
    """

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: Any = None):
        self.minval = minval
        self.maxval = maxval
        super().__init__(seed)

    def __call__(self, shape: Sequence[int], dtype: str | None = None):
        return uniform(shape, minval=self.minval, maxval=self.maxval, dtype=dtype, seed=self.seed)

    def get_config(self) -> dict:
        """The arguments of the constructor."""
        return {**super().get_config(), "minval": self.minval, "maxval": self.maxval}


class Orthogonal(RandomInitializer):
    """Orthogonal columns (or rows, if there are fewer); axes before the last count as rows.

    Source: A. Saxe et al., "Exact solutions to the nonlinear dynamics of learning in deep linear
        neural networks" (2013).

    Args:
        gain: a factor, default 1.
        seed: see `RandomInitializer`.

    Raises:
        ShapeError: when called with a shape of fewer than two axes.

    Example:
        >>> w = Orthogonal(seed=1)((3, 2))
        >>> round(float((w[:, 0] * w[:, 1]).numpy().sum()), 5) + 0.0
        0.0
    """

    def __init__(self, gain: float = 1.0, seed: Any = None):
        self.gain = gain
        super().__init__(seed)

    def __call__(self, shape: Sequence[int], dtype: str | None = None):
        if len(shape) < 2:
            raise ShapeError(
                "The tensor to initialize must be at least two-dimensional. "
                f"Received: shape={shape} of rank {len(shape)}."
            )
        rows, columns = math.prod(shape[:-1]), shape[-1]
        tall = normal(
            (max(rows, columns), min(rows, columns)), dtype=standardize_dtype(dtype), seed=self.seed
        )
        q, r = P.qr(tall)
        # Signs by the diagonal of r make the distribution uniform: F. Mezzadri, Notices of the AMS
        # 54 (2007).
        q = q * ops.sign(ops.sum(r * ops.eye(r.shape[0], dtype=r.dtype), axis=0))
        return self.gain * ops.reshape(ops.transpose(q) if rows < columns else q, tuple(shape))

    def get_config(self) -> dict:
        """The arguments of the constructor."""
        return {**super().get_config(), "gain": self.gain}
