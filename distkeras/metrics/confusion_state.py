"""Counting hits and misses at thresholds."""

from typing import Any

from distkeras import config, ops
from distkeras.engine import primitives as P
from distkeras.errors import ArgumentError, ShapeError
from distkeras.losses.loss import squeeze_or_expand_to_same_rank

__all__ = ["NEG_INF", "count", "evenly_spaced", "parse_thresholds", "spaced"]

NEG_INF = -1e10  # below every prediction


def parse_thresholds(thresholds: Any, default: float = 0.5) -> list[float]:
    """Thresholds as a list.

    Raises:
        ArgumentError: where one lies outside of [0, 1].

    Example:
        >>> parse_thresholds(None), parse_thresholds(0.25)
        ([0.5], [0.25])
    """
    if thresholds is None:
        return [default]
    found = list(thresholds) if isinstance(thresholds, list | tuple) else [thresholds]
    invalid = [t for t in found if t is None or not 0 <= t <= 1]
    if invalid:
        raise ArgumentError(f"Threshold values must be in [0, 1]. Received: {invalid}")
    return found


def spaced(number: int) -> list[float]:
    """Thresholds from 0 to 1 in equal steps.

    Example:
        >>> spaced(3)
        [0.0, 0.5, 1.0]
    """
    return [0.0, *((i + 1) * 1.0 / (number - 1) for i in range(number - 2)), 1.0]


def evenly_spaced(thresholds: list[float]) -> bool:
    """Whether thresholds go from 0 to 1 in equal steps, up to rounding.

    Example:
        >>> evenly_spaced([0.0, 0.5, 1.0]), evenly_spaced([0.5])
        (True, False)
    """
    if len(thresholds) < 3:
        return False
    pairs = zip(thresholds, spaced(len(thresholds)), strict=True)
    return all(abs(a - b) <= config.epsilon() + 1e-5 * b for a, b in pairs)


def count(
    variables: dict[str, Any],
    y_true: Any,
    y_pred: Any,
    thresholds: list[float],
    even: bool,
    *,
    top_k: int | None = None,
    class_id: int | None = None,
    sample_weight: Any = None,
    multi_label: bool = False,
    label_weights: Any = None,
) -> None:
    """Add a batch to counters of true and false positives and negatives.

    Args:
        variables: counters by `"tp"`, `"fp"`, `"tn"`, `"fn"`, of shape `(thresholds,)`, with
            `multi_label` `(thresholds, labels)`.
        y_true: labels 0 and 1.
        y_pred: predictions from 0 to 1 of that shape.
        thresholds: above which a prediction means 1.
        even: whether they are equally spaced.
        top_k: count only the k largest predictions of a row as 1.
        class_id: look at one column only.
        sample_weight: one for each sample, or for each value.
        multi_label: whether each column is a problem of its own.
        label_weights: weights of the columns.

    Raises:
        ShapeError: where shapes do not fit.
    """
    dtype = next(iter(variables.values())).dtype
    y_true, y_pred = ops.cast(y_true, dtype), ops.cast(y_pred, dtype)
    y_pred, y_true = squeeze_or_expand_to_same_rank(y_pred, y_true)
    if y_pred.shape != y_true.shape:
        raise ShapeError(
            f"y_true of shape {tuple(y_true.shape)} does not fit y_pred of shape "
            f"{tuple(y_pred.shape)}: one label 0 or 1 is expected for each prediction."
        )
    weight = None
    if sample_weight is not None:
        weight = ops.expand_dims(ops.cast(sample_weight, dtype), -1)
        _, weight = squeeze_or_expand_to_same_rank(y_true, weight, expand_rank_1=False)
    if top_k is not None:
        y_pred = _only_top_k(y_pred, top_k)
    if class_id is not None:
        if len(y_pred.shape) == 1:
            raise ShapeError(
                "When class_id is provided, y_pred must be a 2D array with shape (num_samples, "
                f"num_classes), found shape: {tuple(y_pred.shape)}"
            )
        y_true, y_pred = (y[..., class_id : class_id + 1] for y in (y_true, y_pred))
    if label_weights is not None:
        weight = label_weights if weight is None else weight * label_weights
    positive = ops.cast(ops.cast(y_true, "bool"), dtype)
    negative = 1.0 - positive
    if weight is not None:
        weight = ops.broadcast_to(weight, y_pred.shape)
        positive, negative = positive * weight, negative * weight
    # Rows are samples, columns are problems: all values are one problem without multi_label.
    columns = y_pred.shape[-1] if multi_label else 1
    positive, negative, y_pred = (
        ops.reshape(x, (x.size // max(columns, 1), columns)) for x in (positive, negative, y_pred)
    )
    hits = (_hits_even if even else _hits)(positive, negative, y_pred, thresholds)
    _add(variables, hits, (positive, negative), multi_label)


def _add(variables, hits, weights, multi_label):
    """True and false positives give the negatives, since each label is one or the other."""
    found = {}
    for hit, missed, weight, sums in zip(("tp", "fp"), ("fn", "tn"), weights, hits, strict=True):
        found[hit] = sums
        if missed in variables:
            found[missed] = ops.sum(weight, axis=0) - sums
    for name, variable in variables.items():
        sums = found[name]
        variable.assign_add(sums if multi_label else ops.squeeze(sums, -1))


def _only_top_k(x, k):
    """The k largest values of a row; the others below every threshold."""
    codes = ops.one_hot(P.top_k(x, k=k)[1], x.shape[-1], dtype=x.dtype)
    chosen = ops.sum(codes, axis=-2)
    return x * chosen + (1.0 - chosen) * NEG_INF


def _hits(positive, negative, y_pred, thresholds):
    """Sums over what lies above each threshold, by comparison: (thresholds, columns) twice."""
    limits = ops.reshape(ops.convert_to_tensor(thresholds, y_pred.dtype), (len(thresholds), 1, 1))
    above = ops.cast(ops.greater(ops.expand_dims(y_pred, 0), limits), y_pred.dtype)
    if y_pred.shape[-1] == 1:
        both = ops.matmul(ops.squeeze(above, -1), ops.concatenate([positive, negative], axis=1))
        return both[:, :1], both[:, 1:]
    return ops.sum(above * positive, axis=1), ops.sum(above * negative, axis=1)


def _hits_even(positive, negative, y_pred, thresholds):
    """The same for equal steps: one pass that sorts values into buckets, then sums from above.

    Bucket j holds the predictions above threshold j - 1 and not above threshold j; with thresholds
    that start below 0, a prediction of 0 is above the first.
    """
    n = len(thresholds)
    bucket = ops.cast(ops.ceil(ops.clip(y_pred, 0.0, 1.0) * (n - 1.0)), "int32")
    bucket = ops.clip(bucket, 1 if thresholds[0] < 0 else 0, n - 1)
    columns = y_pred.shape[-1]
    if columns > 1:
        bucket = bucket + ops.expand_dims(ops.arange(columns, dtype="int32") * n, 0)
    index = ops.reshape(bucket, (bucket.size,))
    values = ops.stack([ops.reshape(x, (x.size,)) for x in (positive, negative)], axis=1)
    sums = P.scatter_rows(values, index, shape=(n * columns, 2), axis=0)
    sums = ops.reshape(sums, (columns, n, 2))
    above = P.cumsum(sums, axis=1, reverse=True, exclusive=True)
    return ops.transpose(above[..., 0]), ops.transpose(above[..., 1])
