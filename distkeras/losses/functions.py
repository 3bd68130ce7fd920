"""The formulas of the losses: functions of targets and predictions, one value for each sample.

Sources: the losses of Keras 3 (keras.io/api/losses), whose conventions they follow (clipping by
`epsilon()`, means over the last axis); Huber 1964; focal loss, Lin et al. 2017; Dice, Milletari
et al. 2016; Tversky, Salehi et al. 2017; circle loss, Sun et al. 2020; generalized cross-entropy,
Zhang and Sabuncu 2018.
"""

import math
import warnings
from typing import Any

from distkeras import config, ops
from distkeras.distribution import denominators
from distkeras.errors import ArgumentError
from distkeras.losses.loss import squeeze_or_expand_to_same_rank


def _cast_pair(y_true, y_pred):
    """Two tensors of the predictions' dtype."""
    y_pred = ops.convert_to_tensor(y_pred)
    return ops.convert_to_tensor(y_true, y_pred.dtype), y_pred


def _pair(y_true, y_pred):
    """Two tensors of the predictions' dtype, and of one rank."""
    return squeeze_or_expand_to_same_rank(*_cast_pair(y_true, y_pred))


# --- regression ---


def mean_squared_error(y_true: Any, y_pred: Any) -> Any:
    """The mean of `(y_true - y_pred) ** 2` over the last axis.

    Args:
        y_true: targets, `(batch, ..., d)`.
        y_pred: predictions of that shape.

    Returns:
        A tensor `(batch, ...)`.

    Example:
        >>> mean_squared_error([[0.0, 1.0]], [[1.0, 1.0]]).tolist()
        [0.5]
    """
    y_true, y_pred = _pair(y_true, y_pred)
    return ops.mean(ops.square(y_true - y_pred), axis=-1)


def mean_absolute_error(y_true: Any, y_pred: Any) -> Any:
    """The mean of `|y_true - y_pred|` over the last axis; see `mean_squared_error`.

    Example:
        >>> mean_absolute_error([[0.0, 1.0]], [[2.0, 1.0]]).tolist()
        [1.0]
    """
    y_true, y_pred = _pair(y_true, y_pred)
    return ops.mean(ops.absolute(y_true - y_pred), axis=-1)


def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Any:
    """The mean of `100 |y_true - y_pred| / |y_true|`; see `mean_squared_error`.

    Example:
        >>> mean_absolute_percentage_error([[2.0, 4.0]], [[1.0, 4.0]]).tolist()
        [25.0]
    """
    y_true, y_pred = _pair(y_true, y_pred)
    floor = ops.maximum(ops.absolute(y_true), config.epsilon())
    return ops.mean(ops.absolute((y_true - y_pred) / floor), axis=-1) * 100.0


def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Any:
    """The mean of `(log(y_true + 1) - log(y_pred + 1)) ** 2`; see `mean_squared_error`.

    Example:
        >>> mean_squared_logarithmic_error([[0.0, 1.0]], [[0.0, 1.0]]).tolist()
        [0.0]
    """
    y_true, y_pred = _pair(y_true, y_pred)
    of_pred, of_true = (ops.log(ops.maximum(y, config.epsilon()) + 1.0) for y in (y_pred, y_true))
    return ops.mean(ops.square(of_pred - of_true), axis=-1)


def _unit(x, axis):
    """`x` divided by its Euclidean length; shorter vectors than epsilon() stay short."""
    inverse = ops.rsqrt(ops.sum(ops.square(x), axis=axis, keepdims=True))
    return x * ops.minimum(inverse, 1.0 / config.epsilon())


def cosine(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """The cosine of the angle between targets and predictions along an axis.

    Example:
        >>> cosine([[0.0, 1.0]], [[1.0, 0.0]]).tolist()
        [0.0]
    """
    y_true, y_pred = _pair(y_true, y_pred)
    return ops.sum(_unit(y_true, axis) * _unit(y_pred, axis), axis=axis)


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """The negative cosine of the angle between targets and predictions: -1 where they agree.

    Args:
        y_true: targets.
        y_pred: predictions of that shape.
        axis: along which the vectors lie, default -1.

    Example:
        >>> cosine_similarity([[0.0, 1.0]], [[0.0, 2.0]]).tolist()
        [-1.0]
    """
    return -cosine(y_true, y_pred, axis)


def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Any:
    """The mean of a square near zero and a line beyond `delta`.

    Args:
        y_true: targets, `(batch, ..., d)`.
        y_pred: predictions of that shape.
        delta: where `0.5 e ** 2` becomes `delta |e| - 0.5 delta ** 2`, default 1.

    Example:
        >>> huber([[0.0, 0.0]], [[1.0, 3.0]]).tolist()
        [1.5]
    """
    y_true, y_pred = _pair(y_true, y_pred)
    error = y_pred - y_true
    size = ops.absolute(error)
    near, far = ops.square(error) * 0.5, size * delta - 0.5 * delta**2
    return ops.mean(ops.where(size <= delta, near, far), axis=-1)


def log_cosh(y_true: Any, y_pred: Any) -> Any:
    """The mean of `log(cosh(y_pred - y_true))`; see `mean_squared_error`.

    Example:
        >>> log_cosh([[1.0, 1.0]], [[1.0, 1.0]]).tolist()
        [0.0]
    """
    y_true, y_pred = _pair(y_true, y_pred)
    error = y_pred - y_true
    return ops.mean(error + ops.softplus(error * -2.0) - math.log(2.0), axis=-1)


# --- margins ---


def _signed_labels(y_true):
    """Labels 0 and 1 as -1 and 1; others as they are, decided for the whole batch."""
    binary = ops.all(ops.logical_or(ops.equal(y_true, 0), ops.equal(y_true, 1)))
    return ops.where(binary, y_true * 2.0 - 1.0, y_true)


def _margins(y_true, y_pred):
    y_true, y_pred = _cast_pair(y_true, y_pred)
    return ops.relu(1.0 - _signed_labels(y_true) * y_pred)


def hinge(y_true: Any, y_pred: Any) -> Any:
    """The mean of `max(1 - y_true * y_pred, 0)`, with labels -1 and 1 (or 0 and 1).

    Example:
        >>> hinge([[1.0, -1.0]], [[0.5, -2.0]]).tolist()
        [0.25]
    """
    return ops.mean(_margins(y_true, y_pred), axis=-1)


def squared_hinge(y_true: Any, y_pred: Any) -> Any:
    """The mean of `max(1 - y_true * y_pred, 0) ** 2`, with labels -1 and 1 (or 0 and 1).

    Example:
        >>> squared_hinge([[1.0, -1.0]], [[0.5, -2.0]]).tolist()
        [0.125]
    """
    return ops.mean(ops.square(_margins(y_true, y_pred)), axis=-1)


def categorical_hinge(y_true: Any, y_pred: Any) -> Any:
    """`max(neg - pos + 1, 0)`: the best wrong class's score against the right one's.

    Args:
        y_true: one-hot labels, `(batch, ..., classes)`.
        y_pred: scores of that shape.

    Example:
        >>> categorical_hinge([[0.0, 1.0]], [[0.25, 0.75]]).tolist()
        [0.5]
    """
    y_true, y_pred = _cast_pair(y_true, y_pred)
    right = ops.sum(y_true * y_pred, axis=-1)
    wrong = ops.max((1.0 - y_true) * y_pred, axis=-1)
    return ops.relu(wrong - right + 1.0)


# --- probabilities ---


def kl_divergence(y_true: Any, y_pred: Any) -> Any:
    """The sum of `y_true * log(y_true / y_pred)` over the last axis, of clipped probabilities.

    Example:
        >>> kl_divergence([[0.5, 0.5]], [[0.5, 0.5]]).tolist()
        [0.0]
    """
    y_true, y_pred = (ops.clip(y, config.epsilon(), 1.0) for y in _cast_pair(y_true, y_pred))
    return ops.sum(y_true * ops.log(y_true / y_pred), axis=-1)


def poisson(y_true: Any, y_pred: Any) -> Any:
    """The mean of `y_pred - y_true * log(y_pred)` over the last axis.

    Example:
        >>> poisson([[0.0, 0.0]], [[1.0, 2.0]]).tolist()
        [1.5]
    """
    y_true, y_pred = _cast_pair(y_true, y_pred)
    return ops.mean(y_pred - y_true * ops.log(y_pred + config.epsilon()), axis=-1)


def _check_axis(axis):
    if isinstance(axis, bool):
        raise ArgumentError(f"`axis` must be of type `int`. Received: axis={axis} of type bool")


def _warn_one_class(name, y_pred):
    if y_pred.shape and y_pred.shape[-1] == 1:
        warnings.warn(
            f"In loss {name}, expected y_pred.shape to be (batch_size, num_classes) with "
            f"num_classes > 1. Received: y_pred.shape={tuple(y_pred.shape)}. Consider using "
            "'binary_crossentropy' if you only have 2 classes.",
            SyntaxWarning,
            stacklevel=3,
        )


def _smoothed(y_true, label_smoothing):
    """One-hot labels moved towards the uniform distribution."""
    if not label_smoothing:
        return y_true
    return y_true * (1.0 - label_smoothing) + label_smoothing / y_true.shape[-1]


def _smoothed_binary(y_true, label_smoothing):
    return y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing if label_smoothing else y_true


def categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """The cross-entropy of predictions and one-hot labels.

    Args:
        y_true: one-hot labels or distributions, `(batch, ..., classes)`.
        y_pred: probabilities or logits of that shape.
        from_logits: whether `y_pred` holds logits, default `False`.
        label_smoothing: a number from 0 to 1: how far labels move towards the uniform distribution.
        axis: the class axis, default -1.

    Returns:
        A tensor of that shape without the class axis.

    Raises:
        ShapeError: where the shapes differ.

    Example:
        >>> round(float(categorical_crossentropy([[0.0, 1.0]], [[0.5, 0.5]])[0]), 4)
        0.6931
    """
    _check_axis(axis)
    y_true, y_pred = _cast_pair(y_true, y_pred)
    _warn_one_class("categorical_crossentropy", y_pred)
    y_true = _smoothed(y_true, label_smoothing)
    return ops.categorical_crossentropy(y_true, y_pred, from_logits=from_logits, axis=axis)


def categorical_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    alpha: Any = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """The cross-entropy with weight `alpha * (1 - p) ** gamma`: less for what is easy.

    Args:
        y_true: one-hot labels, `(batch, ..., classes)`.
        y_pred: probabilities or logits of that shape.
        alpha: a weight, or one for each class, default 0.25.
        gamma: the focusing exponent, default 2.
        from_logits, label_smoothing, axis: as for `categorical_crossentropy`.

    Example:
        >>> x = categorical_focal_crossentropy([[0.0, 1.0]], [[0.5, 0.5]])
        >>> round(float(x[0]), 4)
        0.0433
    """
    _check_axis(axis)
    y_true, y_pred = _cast_pair(y_true, y_pred)
    _warn_one_class("categorical_focal_crossentropy", y_pred)
    y_true = _smoothed(y_true, label_smoothing)
    if from_logits:
        y_pred = ops.softmax(y_pred, axis=axis)
    p = y_pred / ops.sum(y_pred, axis=axis, keepdims=True)
    p = ops.clip(p, config.epsilon(), 1.0 - config.epsilon())
    weight = ops.power(1.0 - p, gamma) * alpha
    return -ops.sum(weight * y_true * ops.log(p), axis=axis)


def sparse_categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
) -> Any:
    """The cross-entropy of predictions and integer labels.

    Args:
        y_true: integers from 0 to `classes - 1`, `(batch, ...)` or `(batch, ..., 1)`.
        y_pred: probabilities or logits, `(batch, ..., classes)`.
        from_logits: whether `y_pred` holds logits, default `False`.
        ignore_class: a label whose places do not count, such as -1 or 255.
        axis: the class axis, default -1.

    Returns:
        A tensor of the shape of `y_pred` without the class axis; where a class is ignored, with a
        mask.

    Raises:
        ShapeError: where the shapes do not fit.
        ArgumentError: a label out of range.

    Example:
        >>> round(float(sparse_categorical_crossentropy([1], [[0.5, 0.5]])[0]), 4)
        0.6931
    """
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    if len(y_true.shape) == len(y_pred.shape) and y_true.shape[axis] == 1:
        y_true = ops.squeeze(y_true, axis=axis)
    settings = {"from_logits": from_logits, "axis": axis}
    if ignore_class is None:
        return ops.sparse_categorical_crossentropy(y_true, y_pred, **settings)
    valid = ops.not_equal(y_true, ignore_class)
    # What is ignored has label 0 and a prediction without effect, so that no NaN comes of it.
    y_true = ops.where(valid, y_true, 0)
    y_pred = ops.where(ops.expand_dims(valid, axis), y_pred, 0.0 if from_logits else 1.0)
    loss = ops.sparse_categorical_crossentropy(y_true, y_pred, **settings)
    loss = ops.where(valid, loss, 0.0)
    loss._keras_mask = valid
    return loss


def binary_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """The mean cross-entropy of independent decisions between 0 and 1.

    Args:
        y_true: labels 0 and 1, or probabilities, `(batch, ..., d)`.
        y_pred: probabilities or logits of that shape.
        from_logits: whether `y_pred` holds logits, default `False`.
        label_smoothing: a number from 0 to 1: how far labels move towards one half.
        axis: over which the mean is taken, default -1.

    Raises:
        ShapeError: where the shapes differ.

    Example:
        >>> round(float(binary_crossentropy([[0.0, 1.0]], [[0.5, 0.5]])[0]), 4)
        0.6931
    """
    y_true, y_pred = _cast_pair(y_true, y_pred)
    y_true = _smoothed_binary(y_true, label_smoothing)
    return ops.mean(ops.binary_crossentropy(y_true, y_pred, from_logits=from_logits), axis=axis)


def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """The binary cross-entropy with weight `(1 - p) ** gamma`: less for what is easy.

    Args:
        y_true: labels 0 and 1, `(batch, ..., d)`.
        y_pred: probabilities or logits of that shape.
        apply_class_balancing: whether 1 weighs `alpha` and 0 weighs `1 - alpha`, default `False`.
        alpha: see there, default 0.25.
        gamma: the focusing exponent, default 2.
        from_logits, label_smoothing, axis: as for `binary_crossentropy`.

    Example:
        >>> round(float(binary_focal_crossentropy([[0.0, 1.0]], [[0.5, 0.5]])[0]), 4)
        0.1733
    """
    y_true, y_pred = _cast_pair(y_true, y_pred)
    y_true = _smoothed_binary(y_true, label_smoothing)
    if from_logits:
        y_pred = ops.sigmoid(y_pred)
    entropy = ops.binary_crossentropy(y_true, y_pred)
    p = y_true * y_pred + (1.0 - y_true) * (1.0 - y_pred)
    focal = ops.power(1.0 - p, gamma) * entropy
    if apply_class_balancing:
        focal = focal * (y_true * alpha + (1.0 - y_true) * (1.0 - alpha))
    return ops.mean(focal, axis=axis)


def categorical_generalized_cross_entropy(y_true: Any, y_pred: Any, q: float) -> Any:
    """`(1 - p ** q) / q`, of the probability of the right class: robust to wrong labels.

    Args:
        y_true: integers from 0 to `classes - 1`, `(batch,)`.
        y_pred: probabilities, `(batch, classes)`.
        q: between 0 (the cross-entropy) and 1 (the absolute error).

    Example:
        >>> categorical_generalized_cross_entropy([1], [[0.75, 0.25]], q=0.5).tolist()
        [1.0]
    """
    y_pred = ops.convert_to_tensor(y_pred)
    labels = ops.cast(y_true, "int32")
    codes = ops.one_hot(labels, y_pred.shape[-1], dtype=y_pred.dtype)
    return (1.0 - ops.power(ops.sum(y_pred * codes, axis=-1), q)) / q


# --- overlaps and embeddings ---


def _joined(axis, *sums):
    """Sums over the batch are sums over the batches of all ranks; others are rows' own."""
    return [denominators.joined_sum(s) for s in sums] if axis is None else sums


def _shared(axis, value):
    return denominators.joined_part(value) if axis is None else value


def dice(y_true: Any, y_pred: Any, axis: Any = None) -> Any:
    """`1 - 2 |A and B| / (|A| + |B|)`, of regions given as probabilities.

    Args:
        y_true: labels 0 and 1.
        y_pred: probabilities of that shape.
        axis: over which regions are summed, default all.

    Example:
        >>> round(float(dice([[1.0, 0.0]], [[1.0, 1.0]])), 4)
        0.3333
    """
    y_true, y_pred = _cast_pair(y_true, y_pred)
    sums = (ops.sum(x, axis=axis) for x in (y_true * y_pred, y_true, y_pred))
    both, of_true, of_pred = _joined(axis, *sums)
    return _shared(axis, 1.0 - both * 2.0 / (of_true + of_pred + config.epsilon()))


def tversky(
    y_true: Any, y_pred: Any, alpha: float = 0.5, beta: float = 0.5, axis: Any = None
) -> Any:
    """`1 - both / (both + alpha * missed + beta * invented)`, of regions given as probabilities.

    Args:
        y_true: labels 0 and 1.
        y_pred: probabilities of that shape.
        alpha: the weight of `y_true * (1 - y_pred)`, default 0.5.
        beta: the weight of `y_pred * (1 - y_true)`, default 0.5.
        axis: over which regions are summed, default all.

    Example:
        >>> round(float(tversky([[1.0, 0.0]], [[1.0, 1.0]])), 4)
        0.3333
    """
    y_true, y_pred = _cast_pair(y_true, y_pred)
    parts = (y_true * y_pred, (1.0 - y_pred) * y_true, y_pred * (1.0 - y_true))
    both, missed, invented = _joined(axis, *(ops.sum(x, axis=axis) for x in parts))
    quotient = both / (both + missed * alpha + invented * beta + config.epsilon())
    return _shared(axis, 1.0 - quotient)


def circle(
    y_true: Any,
    y_pred: Any,
    ref_labels: Any = None,
    ref_embeddings: Any = None,
    remove_diagonal: bool = True,
    gamma: float = 80,
    margin: float = 0.4,
) -> Any:
    """The circle loss of embeddings: like ones together, unlike ones apart.

    On several ranks each row meets the rows of its own rank only, unless references are given.

    Args:
        y_true: integer labels, `(batch,)`.
        y_pred: embeddings of unit length, `(batch, d)`.
        ref_labels: labels to compare with, `(n,)`, default `y_true`.
        ref_embeddings: their embeddings, `(n, d)`, default `y_pred`.
        remove_diagonal: whether a row is not compared with itself, default `True`.
        gamma: the scale, default 80.
        margin: the relaxation, default 0.4.

    Returns:
        A tensor `(batch,)` with a mask of the positive values.

    Example:
        >>> circle([0, 0, 1], [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]).shape
        (3,)
    """
    y_pred = ops.convert_to_tensor(y_pred)
    labels = ops.cast(y_true, "int32")
    references = y_pred if ref_embeddings is None else ops.convert_to_tensor(ref_embeddings)
    others = labels if ref_labels is None else ops.cast(ref_labels, "int32")
    distance = ops.relu(1.0 - ops.matmul(y_pred, ops.transpose(references)))
    labels, others = ops.reshape(labels, (-1, 1)), ops.reshape(others, (1, -1))
    same = ops.equal(labels, others)
    other = ops.logical_not(same)
    if remove_diagonal:
        same = ops.logical_and(
            same, ops.logical_not(ops.eye(same.shape[0], same.shape[1], dtype="bool"))
        )
    pull = -gamma * ops.relu(margin + distance) * (margin - distance)
    push = gamma * ops.relu(1.0 + margin - distance) * (1.0 - margin - distance)
    total = _masked_logsumexp(pull, same) + _masked_logsumexp(push, other)
    loss = ops.softplus(total)
    loss._keras_mask = loss > 0
    return loss


def _masked_logsumexp(x, mask):
    return ops.logsumexp(ops.where(mask, x, -math.inf), axis=1)
