"""Cross-entropies and one-hot codes, with Keras's signatures."""

from typing import Any

from distkeras import config
from distkeras.engine import dtypes
from distkeras.engine import primitives as P
from distkeras.engine.batch import own_rows_of
from distkeras.engine.rows import everywhere
from distkeras.engine.shapes import normalize_axis
from distkeras.errors import ArgumentError, ShapeError
from distkeras.ops.core import as_tensor, cast
from distkeras.ops.symbolic import op

__all__ = [
    "binary_crossentropy",
    "categorical_crossentropy",
    "multi_hot",
    "one_hot",
    "sparse_categorical_crossentropy",
]


def _float(x: Any):
    x = as_tensor(x)
    return x if dtypes.is_float(x.dtype) else cast(x, config.floatx())


def _limits() -> dict[str, float]:
    """Between what probabilities are clipped, so that their logarithms are finite."""
    return {"low": config.epsilon(), "high": 1.0 - config.epsilon()}


def _in_single(x):
    """Half precision cannot tell 1 - 1e-7 from 1: such probabilities are worked on in float32."""
    return cast(x, "float32") if x.dtype in ("float16", "bfloat16") else x


def _class_axis(axis: Any, output) -> int:
    if isinstance(axis, bool) or not isinstance(axis, int):
        raise ArgumentError(f"`axis` must be of type `int`. Received: axis={axis!r}")
    if not output.shape:
        raise ShapeError("`output` must have a class axis; its shape is ().")
    return normalize_axis(axis, len(output.shape))


@op
def categorical_crossentropy(target, output, from_logits=False, axis=-1):
    """The cross-entropy of predictions and a target distribution over classes.

    Args:
        target: probabilities or one-hot labels, `(..., classes)`.
        output: predictions of the same shape: probabilities, which are divided by their sum and
            clipped to `[epsilon, 1 - epsilon]`, or logits.
        from_logits: whether `output` holds logits, default `False`.
        axis: the class axis, default -1.

    Returns:
        A tensor of the shape of `output` without the class axis.

    Raises:
        ShapeError: where the shapes differ.

    Example:
        >>> x = categorical_crossentropy([[0.0, 1.0]], [[0.5, 0.5]])
        >>> f"{float(x[0]):.4f}"
        '0.6931'
    """
    target, output = own_rows_of(as_tensor(target), _float(output))
    axis = _class_axis(axis, output)
    target = cast(target, output.dtype)
    if target.shape != output.shape:
        raise ShapeError(
            "Arguments `target` and `output` must have the same shape. Received: "
            f"target.shape={target.shape}, output.shape={output.shape}. For integer labels use the "
            "sparse categorical cross-entropy; one-hot labels come from `ops.one_hot`."
        )
    if from_logits:
        return P.softmax_cross_entropy(target, output, axis=axis)[0]
    wide = _in_single(output)
    loss = P.probability_cross_entropy(cast(target, wide.dtype), wide, axis=axis, **_limits())[0]
    return cast(loss, output.dtype)


@op
def sparse_categorical_crossentropy(target, output, from_logits=False, axis=-1):
    """The cross-entropy of predictions and integer labels.

    Args:
        target: labels from 0 to `classes - 1`, `(...)` or with an axis of size 1 for the classes.
        output: predictions, `(..., classes)`: probabilities or logits, as for
            `categorical_crossentropy`.
        from_logits: whether `output` holds logits, default `False`.
        axis: the class axis, default -1.

    Returns:
        A tensor of the shape of `output` without the class axis.

    Raises:
        ShapeError: where the shapes do not fit.
        ArgumentError: a label out of range (on a GPU the loss is NaN there).

    Example:
        >>> f"{float(sparse_categorical_crossentropy([1], [[0.5, 0.5]])[0]):.4f}"
        '0.6931'
    """
    target, output = own_rows_of(as_tensor(target), _float(output))
    axis = _class_axis(axis, output)
    if len(target.shape) == len(output.shape) and target.shape[axis] == 1:
        target = P.reshape(target, shape=target.shape[:axis] + target.shape[axis + 1 :])
    rows = output.shape[:axis] + output.shape[axis + 1 :]
    if target.shape != rows:
        raise ShapeError(
            "Arguments `target` and `output` must have the same shape up until the class axis: "
            f"target.shape={target.shape}, output.shape={output.shape}. Labels are integers of "
            f"shape {rows}; for one-hot labels use the categorical cross-entropy."
        )
    if not dtypes.is_integer(target.dtype):
        target = P.cast(target, dtype="int64" if target.dtype == "float64" else "int32")
    if from_logits:
        return P.sparse_softmax_cross_entropy(target, output, axis=axis)[0]
    wide = _in_single(output)
    loss = P.sparse_probability_cross_entropy(target, wide, axis=axis, **_limits())[0]
    return cast(loss, output.dtype)


@op
def binary_crossentropy(target, output, from_logits=False):
    """The cross-entropy of predictions and targets of two classes, elementwise.

    Args:
        target: probabilities or labels, 0 or 1.
        output: predictions of the same shape: probabilities, which are clipped to
            `[epsilon, 1 - epsilon]`, or logits.
        from_logits: whether `output` holds logits, default `False`.

    Returns:
        A tensor of that shape.

    Raises:
        ShapeError: where the shapes differ.

    Example:
        >>> f"{float(binary_crossentropy([1.0], [0.5])[0]):.4f}"
        '0.6931'
    """
    target, output = own_rows_of(as_tensor(target), _float(output))
    target = cast(target, output.dtype)
    if target.shape != output.shape:
        raise ShapeError(
            "Arguments `target` and `output` must have the same shape. Received: "
            f"target.shape={target.shape}, output.shape={output.shape}"
        )
    if from_logits:
        return P.sigmoid_cross_entropy(target, output)
    wide = P.clip(_in_single(output), **_limits())
    return cast(P.binary_cross_entropy(cast(target, wide.dtype), wide), output.dtype)


@op
def one_hot(x, num_classes, axis=-1, dtype=None, sparse=False):
    """Integers as vectors with one 1; those out of range become vectors of zeros.

    Args:
        x: integers of any shape.
        num_classes: the length of the new axis.
        axis: where it goes, default last.
        dtype: a dtype name, default `floatx()`.
        sparse: must be false; there are no sparse tensors.

    Example:
        >>> one_hot([1, 0], 3).tolist()
        [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
    """
    if sparse:
        raise ArgumentError("There are no sparse tensors; call `one_hot` with `sparse=False`.")
    x = as_tensor(x)
    if not dtypes.is_integer(x.dtype):
        x = P.cast(x, dtype="int32")
    axis = normalize_axis(axis, len(x.shape) + 1)
    wide = P.reshape(x, shape=(*x.shape[:axis], 1, *x.shape[axis:]))
    number = int(everywhere(num_classes))  # one for each row of the batch, maybe
    classes = P.arange(start=0, stop=number, step=1, dtype=x.dtype)
    after = len(x.shape) - axis
    classes = P.reshape(classes, shape=(number,) + (1,) * after)
    return P.cast(P.equal(wide, classes), dtype=dtypes.standardize_dtype(dtype))


@op
def multi_hot(inputs, num_classes=None, axis=-1, dtype=None, sparse=False):
    """Sets of integers as vectors of ones and zeros.

    Args:
        inputs: integers, `(batch, length)` or `(length,)`.
        num_classes: the length of the vectors; it must be given.
        axis: where the classes go, default last.
        dtype: a dtype name, default `floatx()`.
        sparse: must be false.

    Example:
        >>> multi_hot([0, 2], 3).tolist()
        [1.0, 0.0, 1.0]
    """
    if num_classes is None:
        raise ArgumentError("Argument `num_classes` must be specified. Received: num_classes=None")
    x = as_tensor(inputs)
    codes = one_hot(x, num_classes, axis=axis, dtype=dtype, sparse=sparse)
    return P.reduce_max(codes, axis=1 if len(x.shape) > 1 else 0)
