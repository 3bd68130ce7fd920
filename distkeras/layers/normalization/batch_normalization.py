"""`BatchNormalization`, over the global batch.

On N ranks, with C channels:
a) Each rank sums its rows: C sums and the number of values, in one vector, which is summed over
ranks.
b) The mean is known everywhere; each rank sums the squared distances from it, and these are summed
   over ranks: the two-pass variance, which does not cancel where the mean is large.
c) What is left is elementwise. Gradients take the way back: the cotangent of a sum over ranks is a
sum
   over ranks. All ranks take part, also those that have no rows.
So results do not depend on the number of ranks, and the moving statistics are equal on all.
"""

import math
from typing import Any

from distkeras import config, ops
from distkeras.distribution import denominators
from distkeras.distribution.batch import cross_rank_sum
from distkeras.engine.context import changed, state
from distkeras.errors import ArgumentError, ShapeError
from distkeras.layers.arguments import arguments_of, known_size, set_arguments
from distkeras.layers.input_spec import InputSpec
from distkeras.layers.normalization.affine import Affine

__all__ = ["BatchNormalization"]


class BatchNormalization(Affine):
    """Makes each channel's mean 0 and variance 1 over the batch (arXiv:1502.03167).

    In training by the batch's own moments, which also move the moving averages; otherwise by those.

    Args:
        axis: the channel axis, default -1.
        momentum: how much of the moving averages is kept at each step, default 0.99.
        epsilon: added to the variance, default 1e-3.
        center, scale: whether there is an offset `beta`, a factor `gamma`; default `True`.
        beta_initializer, gamma_initializer: default zeros and ones.
        moving_mean_initializer, moving_variance_initializer: default zeros and ones.
        beta_regularizer, gamma_regularizer: added to the loss, default none.
        beta_constraint, gamma_constraint: applied after each update, default none.
        renorm: whether batch moments are corrected towards moving ones (Ioffe, arXiv:1702.03275).
        renorm_clipping: limits `{"rmin", "rmax", "dmax"}` of that correction.
        renorm_momentum: how much of its moving averages is kept, default 0.99.
        synchronized: accepted for Keras's sake: several ranks always use the global batch.
        **kwargs: `name`, `dtype`, `trainable`; a layer that is not trainable uses the moving
            averages.

    Inputs:
        any tensor with a batch axis, and `mask` with one axis less: masked rows do not count.

    Raises:
        ShapeError: where the channels are unknown or differ, or the mask does not fit.

    Example:
        >>> y = BatchNormalization()([[1.0], [3.0]], training=True)
        >>> y.numpy().round(1).tolist()
        [[-1.0], [1.0]]
    """

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        renorm: bool = False,
        renorm_clipping: dict[str, float] | None = None,
        renorm_momentum: float = 0.99,
        synchronized: bool = False,
        **kwargs: Any,
    ):
        super().__init__(
            center=center,
            scale=scale,
            beta_initializer=beta_initializer,
            gamma_initializer=gamma_initializer,
            beta_regularizer=beta_regularizer,
            gamma_regularizer=gamma_regularizer,
            beta_constraint=beta_constraint,
            gamma_constraint=gamma_constraint,
            **kwargs,
        )
        self.axis = int(axis)
        self.momentum = float(momentum)
        self.epsilon = float(epsilon)
        self.synchronized = synchronized
        set_arguments(
            self,
            moving_mean_initializer=moving_mean_initializer,
            moving_variance_initializer=moving_variance_initializer,
        )
        self.renorm = renorm
        self.renorm_clipping = _clipping(renorm_clipping or {}) if renorm else renorm_clipping
        self.renorm_momentum = renorm_momentum

    def build(self, input_shape):
        rank = len(input_shape)
        if not -rank <= self.axis < rank:
            raise ShapeError(
                f"Axis {self.axis} is out of bounds for input shape {tuple(input_shape)} of the "
                "layer "
                f"'{self.name}'."
            )
        if self.axis % rank == 0:
            raise ShapeError(
                f"The layer '{self.name}' normalizes channels; axis {self.axis} of input shape "
                f"{tuple(input_shape)} is the batch axis."
            )
        channels = known_size(self, input_shape, self.axis)
        self.add_affine((channels,))
        for name in ("moving_mean", "moving_variance"):
            setattr(
                self, name, self._statistic(name, channels, getattr(self, f"{name}_initializer"))
            )
        if self.renorm:
            mean, variance = self.moving_mean_initializer, self.moving_variance_initializer

            def deviation(shape, dtype=None):
                return ops.sqrt(variance(shape, dtype=dtype))

            self.moving_stddev = self._statistic("moving_stddev", channels, deviation)
            self.renorm_mean = self._statistic("renorm_mean", channels, mean)
            self.renorm_stddev = self._statistic("renorm_stddev", channels, deviation)
        self.input_spec = InputSpec(ndim=rank, axes={self.axis: channels})

    def _statistic(self, name, channels, initializer):
        return self.add_weight(
            name=name, shape=(channels,), initializer=initializer, trainable=False, autocast=False
        )

    def call(self, inputs, training=None, mask=None):
        if mask is not None and len(mask.shape) != inputs.ndim - 1:
            raise ShapeError(
                "The mask provided should be one dimension less than the inputs. Received: "
                f"mask.shape={mask.shape}, inputs.shape={inputs.shape}"
            )
        form = inputs.shape
        # Squares overflow in half precision.
        x = ops.cast(inputs, "float32") if inputs.dtype in ("float16", "bfloat16") else inputs
        kept = None
        if mask is not None:
            kept = ops.broadcast_to(ops.expand_dims(ops.cast(mask, "bool"), -1), form)
        if self.axis % x.ndim == x.ndim - 1 and x.ndim > 2:
            # Long rows: arrays of a few channels are walked several times slower.
            x = _rows(x)
            kept = None if kept is None else _rows(kept)
        gamma = None if self.gamma is None else ops.cast(self.gamma, x.dtype)
        beta = None if self.beta is None else ops.cast(self.beta, x.dtype)
        if training and self.trainable:
            mean, variance, moved = self._moments(x, kept)
            if self.renorm:
                gamma, beta = self._renormalized(mean, variance, gamma, beta)
            self._move(mean, variance)
        else:
            mean = ops.cast(self.moving_mean, x.dtype)
            variance = ops.cast(self.moving_variance, x.dtype)
            moved = None
        factor = ops.rsqrt(ops.add(variance, self.epsilon))
        if gamma is not None:
            factor = ops.multiply(factor, gamma)
        if moved is None:  # constants: one product and one sum
            offset = ops.negative(ops.multiply(mean, factor))
            offset = offset if beta is None else ops.add(offset, beta)
            y = ops.add(ops.multiply(x, self._along(factor, x)), self._along(offset, x))
        else:
            y = ops.multiply(moved, self._along(factor, x))
            y = y if beta is None else ops.add(y, self._along(beta, x))
        y = y if y.ndim == len(form) else ops.reshape(y, form)
        return ops.cast(y, self.compute_dtype)

    def _along(self, vector, x):
        """A vector over channels, shaped to broadcast against `x`."""
        channels = vector.shape[0]
        if x.ndim == 2:
            repeats = x.shape[1] // channels
            if repeats == 1:
                return vector
            return ops.reshape(ops.broadcast_to(vector, (repeats, channels)), (x.shape[1],))
        after = x.ndim - 1 - self.axis % x.ndim
        return ops.reshape(vector, (-1, *(1 for _ in range(after)))) if after else vector

    def _channel_sum(self, x):
        """The sum of each channel."""
        channels = self.moving_mean.shape[0]
        if x.ndim > 2:
            channel = self.axis % x.ndim
            return ops.sum(x, axis=tuple(a for a in range(x.ndim) if a != channel))
        total = ops.sum(x, axis=0)
        if x.shape[1] == channels:
            return total
        return ops.sum(ops.reshape(total, (x.shape[1] // channels, channels)), axis=0)

    def _moments(self, x, kept):
        """Mean and variance of each channel over the global batch; the inputs minus the mean."""
        if kept is None:
            count = math.prod(x.shape) // self.moving_mean.shape[0]
            total = self._channel_sum(x)
        else:
            count = self._channel_sum(ops.cast(kept, x.dtype))
            # Choices, not products, here and below: what is left out may be infinite.
            total = self._channel_sum(ops.where(kept, x, 0))
        total, count = _over_ranks(total, count)
        # As Keras has it: a mask that leaves nothing gives zeros, not a division by zero.
        if kept is not None:
            divisor = ops.add(count, config.epsilon())
        else:
            divisor = max(count, 1) if isinstance(count, int) else ops.maximum(count, 1)
        mean = ops.divide(total, divisor)
        moved = ops.subtract(x, self._along(mean, x))
        counted = moved if kept is None else ops.where(kept, moved, 0)
        squares = cross_rank_sum(self._channel_sum(ops.square(counted)))
        variance = ops.divide(squares, divisor)
        if isinstance(count, int) and count == 0 and not state().abstract:
            mean = ops.cast(self.moving_mean, x.dtype)  # an empty batch says nothing
            variance = ops.cast(self.moving_variance, x.dtype)
        return mean, variance, moved

    def _move(self, mean, variance):
        """Let the moving averages follow the batch's moments."""
        if state().abstract:
            return
        if not self.renorm:
            _follow(self.moving_mean, mean, self.momentum)
            _follow(self.moving_variance, variance, self.momentum)
            return
        deviation = ops.sqrt(ops.add(variance, self.epsilon))
        _follow(self.renorm_mean, mean, self.renorm_momentum)
        _follow(self.renorm_stddev, deviation, self.renorm_momentum)
        _follow(self.moving_mean, mean, self.momentum)
        _follow(self.moving_stddev, deviation, self.momentum)
        squared = ops.subtract(ops.square(self.moving_stddev), self.epsilon)
        self.moving_variance.assign(ops.maximum(squared, 0.0))

    def _renormalized(self, mean, variance, gamma, beta):
        """`gamma` and `beta` with which batch moments act as if they were the moving ones."""
        limits = self.renorm_clipping
        deviation = ops.sqrt(ops.add(variance, self.epsilon))
        usual = ops.maximum(ops.cast(self.renorm_stddev, mean.dtype), math.sqrt(self.epsilon))
        r = ops.divide(deviation, usual)
        d = ops.divide(ops.subtract(mean, ops.cast(self.renorm_mean, mean.dtype)), usual)
        if limits.get("rmin") is not None:
            r = ops.maximum(r, limits["rmin"])
        if limits.get("rmax") is not None:
            r = ops.minimum(r, limits["rmax"])
        if limits.get("dmax") is not None:
            d = ops.clip(d, -limits["dmax"], limits["dmax"])
        r, d = ops.stop_gradient(r), ops.stop_gradient(d)
        if gamma is not None:
            r, d = ops.multiply(r, gamma), ops.multiply(d, gamma)
        return r, d if beta is None else ops.add(d, beta)

    def get_config(self) -> dict:
        """The arguments from which the layer can be made again."""
        names = (
            "axis momentum epsilon moving_mean_initializer moving_variance_initializer "
            "synchronized "
            "renorm renorm_clipping renorm_momentum"
        )
        return {**super().get_config(), **self.affine_config(), **arguments_of(self, names)}


def _rows(x):
    """A tensor with its channels last as one row for each sample."""
    return ops.reshape(x, (x.shape[0], math.prod(x.shape[1:])))


def _over_ranks(total, count):
    """Sums and the number of values over ranks, by one collective."""
    if not denominators.active():
        return total, count
    channels = total.shape[0]
    counts = ops.full((channels,), count, dtype=total.dtype) if isinstance(count, int) else count
    with changed(track_batch=False):  # both are parts of sums, also a count that bears no mark
        parts = ops.concatenate([total, counts], axis=0)
    joined = cross_rank_sum(parts)
    return joined[:channels], joined[channels:]


def _follow(variable, value, momentum: float) -> None:
    value = ops.cast(ops.stop_gradient(value), variable.dtype)
    variable.assign(ops.add(ops.multiply(variable, momentum), ops.multiply(value, 1.0 - momentum)))


def _clipping(limits: dict[str, float]) -> dict[str, float]:
    known = ("rmax", "rmin", "dmax")
    unknown = sorted(set(limits) - set(known))
    if unknown:
        raise ArgumentError(
            f"Received invalid keys for `renorm_clipping`: {unknown}. Supported values: {known}."
        )
    rmax, rmin, dmax = (limits.get(k) for k in known)
    if rmax is not None and rmin is not None and rmax < rmin:
        raise ArgumentError(
            f"`renorm_clipping` needs rmax not below rmin. Received: rmax={rmax}, rmin={rmin}."
        )
    if dmax is not None and dmax < 0:
        raise ArgumentError(f"`renorm_clipping` needs dmax not below 0. Received: dmax={dmax}.")
    return limits
