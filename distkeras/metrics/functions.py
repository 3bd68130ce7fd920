"""The formulas of metrics that are means over samples, beside those that are losses too."""

from typing import Any

from distkeras import config, ops
from distkeras.losses.loss import squeeze_or_expand_to_same_rank


def _truth(matches):
    """Hits as numbers."""
    return ops.cast(matches, config.floatx())


def accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where predictions equal targets, else 0.

    Example:
        >>> accuracy([1, 2], [1, 0]).tolist()
        [1.0, 0.0]
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.convert_to_tensor(y_true, y_pred.dtype)
    return _truth(ops.equal(*squeeze_or_expand_to_same_rank(y_true, y_pred)))


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Any:
    """1 where a prediction lies on its label's side of a threshold, else 0.

    Args:
        y_true: labels 0 and 1.
        y_pred: probabilities of that shape.
        threshold: above which a prediction means 1, default 0.5.

    Example:
        >>> binary_accuracy([1, 0], [0.75, 0.75]).tolist()
        [1.0, 0.0]
    """
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
    return _truth(ops.equal(y_true, ops.cast(ops.greater(y_pred, threshold), y_true.dtype)))


def categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where the most probable class is that of the one-hot label, else 0.

    Args:
        y_true: one-hot labels, `(batch, ..., classes)`.
        y_pred: probabilities or scores of that shape.

    Example:
        >>> categorical_accuracy([[0, 1], [1, 0]], [[0.1, 0.9], [0.1, 0.9]]).tolist()
        [1.0, 0.0]
    """
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    return _same_class(ops.argmax(y_true, axis=-1), y_pred)


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where the most probable class is the integer label, else 0.

    Args:
        y_true: integers, `(batch, ...)` or `(batch, ..., 1)`.
        y_pred: probabilities or scores, `(batch, ..., classes)`.

    Example:
        >>> sparse_categorical_accuracy([1, 0], [[0.1, 0.9], [0.1, 0.9]]).tolist()
        [1.0, 0.0]
    """
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    matches = _same_class(y_true, y_pred)
    if len(matches.shape) > 1 and matches.shape[-1] == 1:
        matches = ops.squeeze(matches, -1)
    return matches


def _same_class(labels, scores):
    """Hits, in the shape of the labels."""
    given = labels.shape
    column = len(given) == len(scores.shape) and given[-1] == 1
    if column:
        labels = ops.squeeze(labels, -1)
    matches = _truth(ops.equal(labels, ops.argmax(scores, axis=-1)))
    return ops.reshape(matches, given) if column else matches


def _in_top_k(labels, scores, k):
    """Whether fewer than k scores beat that of the label; NaN never is among the best."""
    own = ops.take_along_axis(scores, ops.expand_dims(ops.cast(labels, "int32"), -1), axis=-1)
    better = ops.sum(ops.cast(ops.greater(scores, own), "int32"), axis=-1)
    own = ops.squeeze(own, -1)
    return ops.logical_and(ops.less(better, k), ops.equal(own, own))


def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Any:
    """1 where the class of the one-hot label is among the k most probable, else 0.

    Args:
        y_true: one-hot labels, `(batch, ..., classes)`.
        y_pred: probabilities or scores of that shape.
        k: default 5.

    Example:
        >>> top_k_categorical_accuracy([[0, 0, 1]], [[0.1, 0.7, 0.2]], k=2).tolist()
        [1.0]
    """
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    return _truth(_in_top_k(ops.argmax(y_true, axis=-1), y_pred, k))


def sparse_top_k_categorical_accuracy(
    y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False
) -> Any:
    """1 where the integer label is among the k most probable classes, else 0.

    Args:
        y_true: integers, `(batch, ...)` or `(batch, ..., 1)`.
        y_pred: probabilities or scores, `(batch, ..., classes)`.
        k: default 5.
        from_sorted_ids: whether `y_pred` holds class numbers instead, the most probable first.

    Example:
        >>> sparse_top_k_categorical_accuracy([2], [[0.1, 0.7, 0.2]], k=2).tolist()
        [1.0]
    """
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    shape = y_true.shape
    labels = ops.reshape(y_true, y_pred.shape[:-1])
    if from_sorted_ids:
        hits = ops.any(ops.equal(ops.expand_dims(labels, -1), y_pred[..., :k]), axis=-1)
    else:
        hits = _in_top_k(labels, y_pred, k)
    return ops.reshape(_truth(hits), shape)


def pearson_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """The correlation coefficient of targets and predictions along an axis.

    Example:
        >>> x = pearson_correlation([[0.0, 1.0, 2.0]], [[1.0, 3.0, 5.0]])
        >>> round(float(x[0]), 4)
        1.0
    """
    y_true, y_pred = _float_pair(y_true, y_pred)
    scores = []
    for y in (y_true, y_pred):
        centred = y - ops.mean(y, axis=axis, keepdims=True)
        scores.append(centred / ops.std(centred, axis=axis, keepdims=True))
    return ops.mean(scores[0] * scores[1], axis=axis)


def concordance_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """Lin's concordance coefficient of targets and predictions along an axis.

    Example:
        >>> x = concordance_correlation([[0.0, 1.0, 2.0]], [[0.0, 1.0, 2.0]])
        >>> round(float(x[0]), 4)
        1.0
    """
    y_true, y_pred = _float_pair(y_true, y_pred)
    of_true, of_pred = (ops.mean(y, axis=axis, keepdims=True) for y in (y_true, y_pred))
    covariance = (y_true - of_pred) * (y_pred - of_pred)
    spread = ops.var(y_true, axis=axis, keepdims=True) + ops.var(y_pred, axis=axis, keepdims=True)
    spread = spread + ops.square(of_true - of_pred) + config.epsilon()
    return ops.mean(covariance * 2.0 / spread, axis=axis)


def _float_pair(y_true, y_pred):
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.convert_to_tensor(y_true, y_pred.dtype)
    return squeeze_or_expand_to_same_rank(y_true, y_pred)
