"""Intersection over union of classes, from a confusion matrix."""

import warnings
from collections.abc import Sequence
from typing import Any

from distkeras import config, ops
from distkeras.engine import primitives as P
from distkeras.errors import ArgumentError, ShapeError
from distkeras.metrics.metric import Metric

__all__ = ["BinaryIoU", "IoU", "MeanIoU", "OneHotIoU", "OneHotMeanIoU"]


class IoU(Metric):
    """The mean of `both / (true + predicted - both)` over some classes.

    Args:
        num_classes: the number of classes.
        target_class_ids: the classes whose mean is taken.
        name: default the class's name in snake case.
        dtype: of the confusion matrix, default `"int32"`.
        ignore_class: a label whose places do not count.
        sparse_y_true, sparse_y_pred: whether targets and predictions are class numbers (default),
            not scores along `axis`.
        axis: the class axis of scores, default -1.

    Example:
        >>> m = IoU(num_classes=2, target_class_ids=[0])
        >>> m.update_state([0, 0, 1, 1], [0, 1, 0, 1])
        >>> round(float(m.result()), 4)
        0.3333
    """

    _direction = "up"
    # What stands in a configuration, in the order of Keras's constructors.
    _saved: tuple[str, ...] = (
        "num_classes",
        "target_class_ids",
        "ignore_class",
        "sparse_y_true",
        "sparse_y_pred",
        "axis",
    )

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ):
        super().__init__(name=name, dtype="int32" if dtype in (None, "int") else dtype)
        if max(target_class_ids) >= num_classes:
            raise ArgumentError(
                f"Target class id {max(target_class_ids)} is out of range, which is "
                f"[0, {num_classes})."
            )
        self.num_classes = num_classes
        self.target_class_ids = list(target_class_ids)
        self.ignore_class = ignore_class
        self.sparse_y_true = sparse_y_true
        self.sparse_y_pred = sparse_y_pred
        self.axis = axis
        self.total_cm = self.add_variable(
            (num_classes, num_classes), dtype=self.dtype, name="total_confusion_matrix"
        )

    def _labels(self, y, sparse):
        y = ops.convert_to_tensor(y)
        if not sparse:
            y = ops.argmax(y, axis=self.axis)
        return ops.reshape(ops.cast(y, "int64"), (-1,) if y.size else (0,))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch of targets and predictions of one shape, with weights."""
        y_true = self._labels(y_true, self.sparse_y_true)
        y_pred = self._labels(y_pred, self.sparse_y_pred)
        if sample_weight is None:
            weight = ops.ones_like(y_true, dtype=self.dtype)
        else:
            weight = self._weights(sample_weight, y_true.shape)
        n = self.num_classes
        valid = ops.logical_and(_within(y_true, n), _within(y_pred, n))
        if self.ignore_class is not None:
            valid = ops.logical_and(valid, ops.not_equal(y_true, self.ignore_class))
        weight = ops.where(valid, weight, ops.zeros_like(weight))
        place = ops.where(valid, y_true * n + y_pred, 0)
        matrix = P.scatter_rows(weight, place, shape=(n * n,), axis=0)
        self.total_cm.assign_add(ops.reshape(matrix, (n, n)))

    def _weights(self, sample_weight, shape):
        sample_weight = ops.convert_to_tensor(sample_weight)
        if "float" in sample_weight.dtype and "int" in self.dtype:
            warnings.warn(
                f"Float sample weights are cut to {self.dtype}, the metric's dtype; use integer "
                "weights, or give the metric a float dtype.",
                stacklevel=3,
            )
        weight = ops.cast(sample_weight, self.dtype)
        if len(weight.shape) > 1:
            weight = ops.reshape(weight, (weight.size,))
        try:
            return ops.broadcast_to(weight, shape)
        except ShapeError as error:
            raise ShapeError(
                f"`sample_weight` of {weight.size} elements does not fit {shape[0]} labels: give "
                "one weight for each label."
            ) from error

    def result(self):
        matrix = ops.cast(self.total_cm.value, "float32")
        both = ops.sum(matrix * ops.eye(self.num_classes, dtype="float32"), axis=0)
        either = ops.sum(matrix, axis=0) + ops.sum(matrix, axis=1) - both
        chosen = ops.convert_to_tensor(self.target_class_ids, "int32")
        both, either = ops.take(both, chosen, axis=0), ops.take(either, chosen, axis=0)
        present = ops.greater(either, 1e-9)
        shares = ops.where(present, both / (either + config.epsilon()), 0.0)
        number = ops.sum(ops.cast(present, "float32"))
        return ops.sum(shares) / (number + config.epsilon())

    def get_config(self):
        return {**super().get_config(), **{name: getattr(self, name) for name in self._saved}}


def _within(y, n):
    return ops.logical_and(ops.greater_equal(y, 0), ops.less(y, n))


class BinaryIoU(IoU):
    """`IoU` of two classes, from probabilities of class 1.

    Args:
        target_class_ids: the classes whose mean is taken, default both.
        threshold: from which on a prediction means 1, default 0.5.
        name, dtype: as for `IoU`.

    Example:
        >>> m = BinaryIoU(target_class_ids=[0, 1], threshold=0.3)
        >>> m.update_state([0, 1, 0, 1], [0.1, 0.2, 0.4, 0.7])
        >>> round(float(m.result()), 4)
        0.3333
    """

    _saved: tuple[str, ...] = ("target_class_ids", "threshold")

    def __init__(
        self,
        target_class_ids: Sequence[int] = (0, 1),
        threshold: float = 0.5,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(2, target_class_ids, name=name, dtype=dtype)
        self.threshold = threshold

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch of labels 0 and 1 and probabilities, with weights."""
        y_pred = ops.convert_to_tensor(y_pred, "float32")
        super().update_state(y_true, ops.greater_equal(y_pred, self.threshold), sample_weight)


class MeanIoU(IoU):
    """The mean of `IoU` over all classes.

    Args:
        num_classes: the number of classes.
        name, dtype, ignore_class, sparse_y_true, sparse_y_pred, axis: as for `IoU`.

    Example:
        >>> m = MeanIoU(num_classes=2)
        >>> m.update_state([0, 0, 1, 1], [0, 1, 0, 1])
        >>> round(float(m.result()), 4)
        0.3333
    """

    _saved: tuple[str, ...] = (
        "num_classes",
        "ignore_class",
        "sparse_y_true",
        "sparse_y_pred",
        "axis",
    )

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ):
        super().__init__(
            num_classes,
            range(num_classes),
            name=name,
            dtype=dtype,
            ignore_class=ignore_class,
            sparse_y_true=sparse_y_true,
            sparse_y_pred=sparse_y_pred,
            axis=axis,
        )


class OneHotIoU(IoU):
    """`IoU` of one-hot labels and scores.

    Args:
        num_classes, target_class_ids, name, dtype, ignore_class, axis: as for `IoU`.
        sparse_y_pred: whether predictions are class numbers, default `False`.

    Example:
        >>> m = OneHotIoU(num_classes=2, target_class_ids=[1])
        >>> m.update_state([[0, 1], [1, 0]], [[0.2, 0.8], [0.3, 0.7]])
        >>> round(float(m.result()), 4)
        0.5
    """

    _saved: tuple[str, ...] = (
        "num_classes",
        "target_class_ids",
        "ignore_class",
        "sparse_y_pred",
        "axis",
    )

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ):
        super().__init__(
            num_classes,
            target_class_ids,
            name=name,
            dtype=dtype,
            ignore_class=ignore_class,
            sparse_y_true=False,
            sparse_y_pred=sparse_y_pred,
            axis=axis,
        )


class OneHotMeanIoU(MeanIoU):
    """`MeanIoU` of one-hot labels and scores.

    Args:
        num_classes, name, dtype, ignore_class, axis: as for `IoU`.
        sparse_y_pred: whether predictions are class numbers, default `False`.

    Example:
        >>> m = OneHotMeanIoU(num_classes=2)
        >>> m.update_state([[0, 1], [1, 0]], [[0.2, 0.8], [0.7, 0.3]])
        >>> round(float(m.result()), 4)
        1.0
    """

    _saved: tuple[str, ...] = ("num_classes", "ignore_class", "sparse_y_pred", "axis")

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ):
        super().__init__(
            num_classes,
            name=name,
            dtype=dtype,
            ignore_class=ignore_class,
            sparse_y_true=False,
            sparse_y_pred=sparse_y_pred,
            axis=axis,
        )
