"""Activation functions: `keras.ops.relu` and its relatives, by composition."""

from typing import Any

from distkeras.engine import primitives as P
from distkeras.engine.shapes import normalize_axes, normalize_axis
from distkeras.errors import ArgumentError, ShapeError
from distkeras.ops.core import as_tensor, cast
from distkeras.ops.promotion import floats
from distkeras.ops.symbolic import op

__all__ = [
    "celu",
    "elu",
    "gelu",
    "glu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "squareplus",
    "swish",
    "tanh_shrink",
    "threshold",
]

# G. Klambauer et al., "Self-normalizing neural networks" (2017).
_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805


def _affine(x, factor: float, offset: float):
    return P.shift(P.scale(x, a=factor), a=offset)


def _halves(x, axis: int) -> list:
    axis = normalize_axis(axis, x.ndim)
    size = x.shape[axis]
    if size % 2:
        raise ShapeError(f"`glu` halves axis {axis}, whose size must be even; got shape {x.shape}.")
    lead = (slice(None),) * axis
    return [
        P.slice_(x, index=(*lead, part)) for part in (slice(0, size // 2), slice(size // 2, size))
    ]


@op
def relu(x: Any):
    """max(x, 0).

    Example:
        >>> relu([-1.0, 2.0]).tolist()
        [0.0, 2.0]
    """
    return P.relu(as_tensor(x))


@op
def relu6(x: Any):
    """x limited to [0, 6].

    Example:
        >>> relu6([-1.0, 7.0]).tolist()
        [0.0, 6.0]
    """
    return P.clip(as_tensor(x), low=0, high=6)


@op
def leaky_relu(x: Any, negative_slope: float = 0.2):
    """x where positive, else `negative_slope` x.

    Example:
        >>> leaky_relu([-1.0, 2.0], negative_slope=0.5).tolist()
        [-0.5, 2.0]
    """
    return P.leaky_relu(floats(x), a=float(negative_slope))


@op
def elu(x: Any, alpha: float = 1.0):
    """x where positive, else alpha (exp(x) - 1).

    Source: D.-A. Clevert et al., "Fast and accurate deep network learning by exponential linear
        units" (2015).

    Example:
        >>> elu([0.0, 2.0]).tolist()
        [0.0, 2.0]
    """
    return P.elu(floats(x), a=float(alpha))


@op
def selu(x: Any):
    """`elu` with the constants that keep mean 0 and variance 1 from layer to layer.

    Example:
        >>> f"{float(selu(1.0)):.4f}"
        '1.0507'
    """
    return P.scale(P.elu(floats(x), a=_SELU_ALPHA), a=_SELU_SCALE)


@op
def celu(x: Any, alpha: float = 1.0):
    """x where positive, else alpha (exp(x / alpha) - 1); alpha is not 0.

    Source: J. Barron, "Continuously differentiable exponential linear units" (2017).

    Example:
        >>> celu([0.0, 2.0]).tolist()
        [0.0, 2.0]
    """
    if not alpha > 0:
        raise ArgumentError(f"`celu` needs a positive `alpha`, got {alpha!r}.")
    x = floats(x)
    return (
        P.elu(x, a=1.0)
        if alpha == 1
        else P.scale(P.elu(P.scale(x, a=1 / alpha), a=1.0), a=float(alpha))
    )


@op
def gelu(x: Any, approximate: bool = True):
    """x times the probability that a standard normal variable is below x.

    Source: D. Hendrycks, K. Gimpel, "Gaussian error linear units" (2016).

    Args:
        x: a tensor.
        approximate: whether to use the formula with tanh, default `True`.

    Example:
        >>> f"{float(gelu(1.0, approximate=False)):.4f}"
        '0.8413'
    """
    x = floats(x)
    if approximate:
        inner = P.multiply(x, _affine(P.square(x), 0.044715, 1.0))
        return P.multiply(
            P.scale(x, a=0.5), P.shift(P.tanh(P.scale(inner, a=0.7978845608028654)), a=1.0)
        )
    return P.multiply(P.scale(x, a=0.5), P.shift(P.erf(P.scale(x, a=0.7071067811865476)), a=1.0))


@op
def silu(x: Any):
    """x sigmoid(x), also known as swish.

    Example:
        >>> float(silu(0.0))
        0.0
    """
    x = floats(x)
    return P.multiply(x, P.sigmoid(x))


@op
def mish(x: Any):
    """x tanh(softplus(x)).

    Source: D. Misra, "Mish: a self regularized non-monotonic activation function" (2019).

    Example:
        >>> float(mish(0.0))
        0.0
    """
    x = floats(x)
    return P.multiply(x, P.tanh(P.softplus(x)))


@op
def sigmoid(x: Any):
    """1 / (1 + exp(-x)).

    Example:
        >>> float(sigmoid(0.0))
        0.5
    """
    return P.sigmoid(floats(x))


@op
def log_sigmoid(x: Any):
    """log(sigmoid(x)).

    Example:
        >>> f"{float(log_sigmoid(0.0)):.4f}"
        '-0.6931'
    """
    return P.negative(P.softplus(P.negative(floats(x))))


@op
def hard_sigmoid(x: Any):
    """x / 6 + 1 / 2, limited to [0, 1].

    Example:
        >>> hard_sigmoid([-3.0, 0.0, 3.0]).tolist()
        [0.0, 0.5, 1.0]
    """
    return P.scale(P.clip(P.shift(floats(x), a=3.0), low=0.0, high=6.0), a=1 / 6)


@op
def sparse_sigmoid(x: Any):
    """(x + 1) / 2, limited to [0, 1].

    Example:
        >>> sparse_sigmoid([-2.0, 0.0, 2.0]).tolist()
        [0.0, 0.5, 1.0]
    """
    return _affine(P.clip(floats(x), low=-1.0, high=1.0), 0.5, 0.5)


@op
def hard_silu(x: Any):
    """x hard_sigmoid(x), also known as hard swish.

    Example:
        >>> hard_silu([0.0, 3.0]).tolist()
        [0.0, 3.0]
    """
    x = floats(x)
    return P.multiply(x, hard_sigmoid(x))


@op
def hard_tanh(x: Any):
    """x limited to [-1, 1].

    Example:
        >>> hard_tanh([-2.0, 0.5]).tolist()
        [-1.0, 0.5]
    """
    return P.clip(floats(x), low=-1.0, high=1.0)


@op
def tanh_shrink(x: Any):
    """x - tanh(x).

    Example:
        >>> float(tanh_shrink(0.0))
        0.0
    """
    x = floats(x)
    return P.subtract(x, P.tanh(x))


@op
def soft_shrink(x: Any, threshold: float = 0.5):
    """x moved towards 0 by the threshold, 0 where it is nearer than that.

    Example:
        >>> soft_shrink([-2.0, 0.25, 2.0]).tolist()
        [-1.5, 0.0, 1.5]
    """
    x = floats(x)
    return P.subtract(x, P.clip(x, low=-threshold, high=threshold))


@op
def hard_shrink(x: Any, threshold: float = 0.5):
    """x where |x| exceeds the threshold, else 0.

    Example:
        >>> hard_shrink([-2.0, 0.25, 2.0]).tolist()
        [-2.0, 0.0, 2.0]
    """
    x = floats(x)
    return P.masked_scale(P.greater(P.abs_(x), P.full_like(x, value=threshold)), x, a=1.0)


@op
def threshold(x: Any, threshold: float, default_value: float):
    """x where it exceeds the threshold, else a default value.

    Example:
        >>> threshold([0.0, 2.0], 1.0, 9.0).tolist()
        [9.0, 2.0]
    """
    x = as_tensor(x)
    return P.where(
        P.greater(x, P.full_like(x, value=threshold)), x, P.full_like(x, value=default_value)
    )


@op
def softplus(x: Any):
    """log(1 + exp(x)).

    Example:
        >>> f"{float(softplus(0.0)):.4f}"
        '0.6931'
    """
    return P.softplus(floats(x))


@op
def softsign(x: Any):
    """x / (1 + |x|).

    Example:
        >>> softsign([-1.0, 1.0]).tolist()
        [-0.5, 0.5]
    """
    x = floats(x)
    return P.divide(x, P.shift(P.abs_(x), a=1.0))


@op
def squareplus(x: Any, b: float = 4):
    """(x + sqrt(x^2 + b)) / 2.

    Example:
        >>> float(squareplus(0.0))
        1.0
    """
    x = floats(x)
    return P.scale(P.add(x, P.sqrt(P.shift(P.square(x), a=b))), a=0.5)


@op
def sparse_plus(x: Any):
    """0 below -1, (x + 1)^2 / 4 up to 1, x above.

    Source: as `sparsemax`.

    Example:
        >>> sparse_plus([-1.0, 0.0, 3.0]).tolist()
        [0.0, 0.25, 3.0]
    """
    x = floats(x)
    return P.add(
        P.square(_affine(P.clip(x, low=-1.0, high=1.0), 0.5, 0.5)), P.relu(P.shift(x, a=-1.0))
    )


@op
def glu(x: Any, axis: int = -1):
    """The first half of an axis, times the sigmoid of the second.

    Source: Y. Dauphin et al., "Language modeling with gated convolutional networks" (2016).

    Example:
        >>> glu([1.0, 0.0]).tolist()
        [0.5]
    """
    first, second = _halves(floats(x), axis)
    return P.multiply(first, P.sigmoid(second))


def _axis(axis, rank: int):
    return (
        None
        if axis is None
        else normalize_axes(axis, rank)
        if isinstance(axis, tuple | list)
        else normalize_axis(axis, rank)
    )


@op
def softmax(x: Any, axis: int | tuple[int, ...] | None = -1):
    """exp(x), divided by its sum.

    Args:
        x: a tensor.
        axis: the axis or axes of the sum, default the last; `None` for all.

    Example:
        >>> softmax([0.0, 0.0]).tolist()
        [0.5, 0.5]
    """
    x = floats(x)
    return P.softmax(x, axis=_axis(axis, x.ndim))


@op
def log_softmax(x: Any, axis: int | tuple[int, ...] | None = -1):
    """log(softmax(x)), accurate where the softmax is close to 0.

    Args:
        x: a tensor.
        axis: as for `softmax`.

    Example:
        >>> f"{float(log_softmax([0.0, 0.0])[0]):.4f}"
        '-0.6931'
    """
    x = floats(x)
    return P.log_softmax(x, axis=_axis(axis, x.ndim))


@op
def sparsemax(x: Any, axis: int = -1):
    """The nearest point of the probability simplex: non-negative, of sum 1, often with zeros.

    Source: A. Martins, R. Astudillo, "From softmax to sparsemax" (2016).

    Args:
        x: a tensor.
        axis: the axis that sums to 1, default the last.

    Example:
        >>> sparsemax([2.0, 1.5, -1.0]).tolist()
        [0.75, 0.25, 0.0]
    """
    x = floats(x)
    axis = normalize_axis(axis, x.ndim)
    n = x.shape[axis]
    ordered = P.negative(P.sort(P.negative(x), axis=axis))
    rank = P.reshape(
        P.arange(start=1, stop=n + 1, step=1, dtype=x.dtype),
        shape=tuple(n if i == axis else 1 for i in range(x.ndim)),
    )
    inside = P.greater(P.shift(P.multiply(rank, ordered), a=1.0), P.cumsum(ordered, axis=axis))
    count = P.reduce_sum(cast(inside, x.dtype), axis=axis, keepdims=True)
    total = P.reduce_sum(P.masked_scale(inside, ordered, a=1.0), axis=axis, keepdims=True)
    return P.relu(P.subtract(x, P.divide(P.shift(total, a=-1.0), count)))


swish = silu
hard_swish = hard_silu
