"""Keras's learning rate schedules, each a formula of the number of updates."""

import math
from collections.abc import Sequence
from typing import Any

from distkeras.errors import ArgumentError
from distkeras.optimizers.schedules.schedule import Formula

__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
]


def _positive(name: str, value: float) -> float:
    if value <= 0:
        raise ArgumentError(f"Argument `{name}` must be > 0. Received: {name}={value}")
    return value


def _cosine(fraction: Any, f: Any) -> Any:
    """Half a cosine wave: 1 at fraction 0, 0 at fraction 1."""
    return 0.5 * (1.0 + f.cos(math.pi * fraction))


class ExponentialDecay(Formula):
    """`initial_learning_rate * decay_rate ** (step / decay_steps)`.

    Args:
        initial_learning_rate: the rate at step 0.
        decay_steps: after how many updates the rate was multiplied by `decay_rate` once; positive.
        decay_rate: the factor.
        staircase: whether the exponent is rounded down to an integer.
        name: a name.

    Example:
        >>> ExponentialDecay(0.1, decay_steps=10, decay_rate=0.5)(20)
        0.025
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ):
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = _positive("decay_steps", decay_steps)
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def _rate(self, step, f):
        p = step / self.decay_steps
        if self.staircase:
            p = f.floor(p)
        return self.initial_learning_rate * f.power(self.decay_rate, p)


class PiecewiseConstantDecay(Formula):
    """A constant rate between boundaries.

    Args:
        boundaries: increasing numbers of updates; up to and with the first of them the rate is
            `values[0]`.
        values: the rates, one more than boundaries.
        name: a name.

    Example:
        >>> rate = PiecewiseConstantDecay([100, 200], [0.1, 0.05, 0.01])
        >>> rate(100), rate(101), rate(500)
        (0.1, 0.05, 0.01)
    """

    def __init__(
        self, boundaries: Sequence[float], values: Sequence[float], name="PiecewiseConstant"
    ):
        if len(boundaries) != len(values) - 1:
            raise ArgumentError(
                "The length of boundaries should be 1 less than the length of values. Received: "
                f"boundaries={boundaries} of length {len(boundaries)}, and values={values} of "
                f"length {len(values)}."
            )
        self.boundaries = boundaries
        self.values = values
        self.name = name

    def _rate(self, step, f):
        rate = self.values[-1]
        for boundary, value in zip(reversed(self.boundaries), self.values[-2::-1], strict=True):
            rate = f.where(step <= boundary, value, rate)
        return rate


class PolynomialDecay(Formula):
    """From one rate to another along a power of the remaining fraction of steps.

    Args:
        initial_learning_rate: the rate at step 0.
        decay_steps: when `end_learning_rate` is reached; positive.
        end_learning_rate: the rate then.
        power: 1 is linear.
        cycle: whether the decay, instead of ending, is stretched to the next multiple of
            `decay_steps`, so that the rate jumps up there.
        name: a name.

    Example:
        >>> PolynomialDecay(0.1, decay_steps=10, end_learning_rate=0.0)(5)
        0.05
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ):
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = _positive("decay_steps", decay_steps)
        self.end_learning_rate = end_learning_rate
        self.power = power
        self.cycle = cycle
        self.name = name

    def _rate(self, step, f):
        if self.cycle:
            cycles = f.where(step == 0, 1.0, f.ceil(step / self.decay_steps))
            p = step / (self.decay_steps * cycles)
        else:
            p = f.minimum(step, float(self.decay_steps)) / self.decay_steps
        span = self.initial_learning_rate - self.end_learning_rate
        return span * f.power(1.0 - p, self.power) + self.end_learning_rate


class InverseTimeDecay(Formula):
    """`initial_learning_rate / (1 + decay_rate * step / decay_steps)`.

    Args:
        initial_learning_rate: the rate at step 0.
        decay_steps: the unit in which steps are counted; positive.
        decay_rate: how fast the rate falls.
        staircase: whether `step / decay_steps` is rounded down to an integer.
        name: a name.

    Example:
        >>> InverseTimeDecay(0.1, decay_steps=10, decay_rate=1.0)(10)
        0.05
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ):
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = _positive("decay_steps", decay_steps)
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def _rate(self, step, f):
        p = step / self.decay_steps
        if self.staircase:
            p = f.floor(p)
        return self.initial_learning_rate / (1.0 + self.decay_rate * p)


class CosineDecay(Formula):
    """Half a cosine wave down, after an optional linear warm-up.

    Source: Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2016.

    Args:
        initial_learning_rate: the rate at step 0.
        decay_steps: how many updates the decay takes; positive.
        alpha: the last rate, as a fraction of the one from which the decay starts.
        name: a name.
        warmup_target: the rate at the end of the warm-up, from which the decay starts; `None`
            for no warm-up.
        warmup_steps: how many updates the warm-up takes.

    Example:
        >>> rate = CosineDecay(0.0, decay_steps=10, warmup_target=0.1, warmup_steps=4)
        >>> rate(0), rate(2), rate(4), rate(9), rate(14)
        (0.0, 0.05, 0.1, 0.05, 0.0)
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: int = 0,
    ):
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = _positive("decay_steps", decay_steps)
        self.alpha = alpha
        self.name = name
        self.warmup_steps = warmup_steps
        self.warmup_target = warmup_target

    def _rate(self, step, f):
        start, warmup = self.initial_learning_rate, 0
        if self.warmup_target is not None:
            start, warmup = self.warmup_target, self.warmup_steps
        step = f.minimum(step, float(self.decay_steps + warmup))
        decayed = (1 - self.alpha) * _cosine((step - warmup) / self.decay_steps, f) + self.alpha
        if not warmup:
            return start * decayed
        rise = (start - self.initial_learning_rate) * (step / warmup) + self.initial_learning_rate
        return f.where(step < warmup, rise, start * decayed)


class CosineDecayRestarts(Formula):
    """Half cosine waves, each longer or lower than the last.

    Source: Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2016.

    Args:
        initial_learning_rate: the rate at step 0.
        first_decay_steps: the length of the first wave in updates; positive.
        t_mul: by what the length of a wave is multiplied from one to the next.
        m_mul: by what its height is multiplied.
        alpha: the lowest rate, as a fraction of the initial one.
        name: a name.

    Example:
        >>> rate = CosineDecayRestarts(0.1, first_decay_steps=10, m_mul=0.5)
        >>> rate(0), rate(5), rate(10), rate(20)
        (0.1, 0.05, 0.05, 0.025)
    """

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: int,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ):
        self.initial_learning_rate = initial_learning_rate
        self.first_decay_steps = _positive("first_decay_steps", first_decay_steps)
        self._t_mul = t_mul
        self._m_mul = m_mul
        self.alpha = alpha
        self.name = name

    def _rate(self, step, f):
        fraction = step / self.first_decay_steps
        if self._t_mul == 1.0:
            wave = f.floor(fraction)
            fraction = fraction - wave
        else:
            # Waves have the lengths 1, t, t**2, ...: their sum 1 + ... + t**(k-1) is
            # (1 - t**k) / (1 - t).
            t = self._t_mul
            # Rounding must not miss the beginning of a wave, where the quotient is an integer.
            wave = f.floor(f.log(1.0 - fraction * (1.0 - t)) / math.log(t) + 1e-9)
            begin = (1.0 - f.power(t, wave)) / (1.0 - t)
            fraction = (fraction - begin) / f.power(t, wave)
        height = f.power(self._m_mul, wave)
        decayed = (1 - self.alpha) * (height * _cosine(fraction, f)) + self.alpha
        return self.initial_learning_rate * decayed
