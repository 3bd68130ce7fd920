"""`Loss`, and how a loss's values become a number: weights, masks, reductions."""

from typing import Any

from distkeras import config, ops
from distkeras.distribution import denominators
from distkeras.engine import context
from distkeras.engine.batch import JOINED, REDUCED, WHOLE
from distkeras.engine.dtypes import standardize_dtype
from distkeras.engine.rows import everywhere
from distkeras.engine.tensor import Tensor
from distkeras.errors import ArgumentError, NotInitializedError, ShapeError
from distkeras.utils import tree
from distkeras.utils.naming import auto_name, to_snake_case

__all__ = [
    "REDUCTIONS",
    "Loss",
    "apply_mask",
    "keras_mask",
    "reduce_weighted_values",
    "squeeze_or_expand_to_same_rank",
]

REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None)
_OVER_COUNT = ("sum_over_batch_size", "mean")


def standardize_reduction(reduction: str | None) -> str | None:
    """`reduction`, checked.

    Raises:
        ArgumentError: where it is none of `REDUCTIONS`.
    """
    if reduction not in REDUCTIONS:
        raise ArgumentError(
            "Invalid value for argument `reduction`. Expected one of "
            f"{', '.join(map(repr, REDUCTIONS))}. Received: reduction={reduction!r}"
        )
    return reduction


def compute_dtype(dtype: Any) -> str:
    """The dtype name of a dtype, a dtype policy or its configuration; `floatx()` for `None`."""
    if dtype is None:
        return config.floatx()
    if isinstance(dtype, dict):
        dtype = dtype.get("config", {}).get("name", dtype)
    found = getattr(dtype, "compute_dtype", None)
    if found is None and isinstance(dtype, str) and dtype.startswith("mixed_"):
        found = dtype.removeprefix("mixed_")
    return standardize_dtype(dtype if found is None else found)


def keras_mask(x: Any) -> Any:
    """The mask that a layer left on a tensor, or `None`."""
    return getattr(x, "_keras_mask", None)


class Loss:
    """The base of losses: subclasses define `call(y_true, y_pred)`, one value for each sample.

    Args:
        name: default the class's name in snake case, with a number from the second on.
        reduction: `"sum_over_batch_size"` (default) or `"mean"`: the sum over the number of values;
            `"sum"`; `"mean_with_sample_weight"`: the sum over the sum of the weights; `"none"` or
            `None`: the values themselves.
        dtype: of the computation, a name or dtype policy, default `floatx()`.

    Example:
        >>> from distkeras import ops
        >>> class Absolute(Loss):
        ...     def call(self, y_true, y_pred):
        ...         return ops.mean(ops.absolute(y_true - y_pred), axis=-1)
        >>> float(Absolute()([[1.0], [2.0]], [[0.0], [0.0]]))
        1.5
    """

    # Whether the values are joined over ranks by the loss itself, not by their denominator.
    joins_ranks = False
    # Whether targets keep their own dtype (class numbers): others are cast to the loss's.
    integer_targets = False

    def __init__(
        self,
        name: str | None = None,
        reduction: str | None = "sum_over_batch_size",
        dtype: Any = None,
    ):
        self.name = name or auto_name(to_snake_case(type(self).__name__))
        self.reduction = standardize_reduction(reduction)
        self._dtype = compute_dtype(dtype)

    @property
    def dtype(self) -> str:
        """The dtype in which the loss is computed."""
        return self._dtype

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The loss.

        Args:
            y_true: targets, `(batch, ...)`, or a structure of such.
            y_pred: predictions in the same structure.
            sample_weight: weights of the samples, or of the values: `(batch,)` or broadcasting to
                the values' shape.

        Returns:
            A tensor without axes; without reduction, of the shape of the values.

        Raises:
            ShapeError: where the shapes do not fit.
        """
        if "_dtype" not in self.__dict__:
            raise NotInitializedError(
                f"In loss '{type(self).__name__}', you forgot to call `super().__init__()` as the "
                "first statement in the `__init__()` method. Go add it!"
            )
        in_mask = keras_mask(y_pred)
        dtype = self._dtype
        y_pred = _tensors(y_pred, dtype)
        y_true = _tensors(y_true, None if self.integer_targets else dtype)
        try:
            values = self.call(y_true, y_pred)
        except ShapeError as error:
            raise ShapeError(
                f"In the loss '{self.name}', with y_true of shape {_shapes(y_true)} and y_pred of "
                f"shape {_shapes(y_pred)}: {error}"
            ) from error
        mask = keras_mask(values)
        if in_mask is not None:
            mask = in_mask if mask is None else ops.logical_and(in_mask, mask)
        rows = None if self.joins_ranks else _rows(y_pred)
        value = reduce_weighted_values(values, sample_weight, mask, self.reduction, dtype, rows)
        if denominators.active() and not value.shape and isinstance(value, Tensor):
            value.batch = REDUCED  # this rank's sum over a global denominator
        return value

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The values, one for each sample: usually `y_pred`'s shape without the last axis."""
        raise NotImplementedError(f"{type(self).__name__} does not define `call(y_true, y_pred)`.")

    def get_config(self) -> dict:
        """The arguments from which the loss can be made again."""
        return {"name": self.name, "reduction": self.reduction}

    @classmethod
    def from_config(cls, config: dict):
        """A loss made from `get_config()`'s result."""
        return cls(**config)

    def __repr__(self):
        return f"<{type(self).__name__} name={self.name}>"


def _tensors(value, dtype):
    """Tensors of a dtype; nested lists of numbers are one array, lists of tensors a structure."""
    if not tree.is_nested(value):
        return ops.convert_to_tensor(value, dtype)
    leaves = tree.flatten(value)
    if isinstance(value, list | tuple) and all(isinstance(x, int | float) for x in leaves):
        return ops.convert_to_tensor(value, dtype)
    return tree.map_structure(lambda x: ops.convert_to_tensor(x, dtype), value)


def _shapes(structure) -> str:
    shapes = [str(tuple(x.shape)) for x in tree.flatten(structure)]
    return ", ".join(shapes)


def _rows(y_pred) -> int:
    shape = tree.flatten(y_pred)[0].shape
    return shape[0] if shape else 1


def squeeze_or_expand_to_same_rank(x1, x2, expand_rank_1: bool = True):
    """Two tensors whose ranks differ by one, made equal by a last axis of size 1.

    Args:
        x1, x2: tensors.
        expand_rank_1: whether a vector beside a column becomes a column; else the column becomes a
            vector.

    Returns:
        The two tensors, unchanged where no last axis of size 1 explains the difference.

    Example:
        >>> from distkeras import ops
        >>> squeeze_or_expand_to_same_rank(ops.ones((2, 1)), ops.ones(2))[1].shape
        (2, 1)
    """
    rank1, rank2 = len(x1.shape), len(x2.shape)
    if rank1 == rank2 + 1 and everywhere(x1.shape[-1]) == 1:
        if rank2 == 1 and expand_rank_1:
            return x1, ops.expand_dims(x2, -1)
        return ops.squeeze(x1, -1), x2
    if rank2 == rank1 + 1 and everywhere(x2.shape[-1]) == 1:
        if rank1 == 1 and expand_rank_1:
            return ops.expand_dims(x1, -1), x2
        return x1, ops.squeeze(x2, -1)
    return x1, x2


def apply_mask(sample_weight, mask, dtype: str):
    """Sample weights, zero where a mask is false.

    Args:
        sample_weight: a tensor or `None`.
        mask: a tensor of truth values or `None`.
        dtype: of the result.

    Returns:
        The product as a tensor, or `None` where neither is there.
    """
    if mask is None:
        return sample_weight
    mask = ops.cast(mask, dtype)
    if sample_weight is None:
        return mask
    mask, sample_weight = squeeze_or_expand_to_same_rank(mask, ops.cast(sample_weight, dtype))
    return sample_weight * mask


def reduce_weighted_values(
    values: Any,
    sample_weight: Any = None,
    mask: Any = None,
    reduction: str | None = "sum_over_batch_size",
    dtype: str | None = None,
    rows: int | None = None,
) -> Any:
    """The values of a loss, weighted and reduced.

    A mask takes part as Keras defines it: the weighted sum over the true values, divided by their
    number. Denominators are those of all ranks within a data-parallel step.

    Args:
        values: one for each sample, or for each step of each sample.
        sample_weight: weights that broadcast to the values, or `None`.
        mask: truth values that broadcast to the values, or `None`.
        reduction: one of `REDUCTIONS`.
        dtype: of the computation, default the values' own.
        rows: the number of samples behind the values; it decides how much a rank's value counts
            where the loss itself reduced it to one number.

    Returns:
        A tensor without axes, or the weighted values for the reduction `"none"`.

    Raises:
        ShapeError: where weights or mask do not broadcast to the values.
    """
    values = ops.convert_to_tensor(values, dtype)
    if denominators.active() and getattr(values, "batch", None) == WHOLE and values.shape:
        step = context.state()
        if step.rows is None or values.shape[0] != step.rows[1]:  # pairs of rows, for instance
            with denominators.local():
                value = reduce_weighted_values(values, sample_weight, mask, reduction, dtype)
            return value if reduction in (None, "none") else denominators.share(value)
        values = step.own(values, 0)
    dtype = values.dtype
    weight = None if sample_weight is None else ops.convert_to_tensor(sample_weight, dtype)
    weight = apply_mask(weight, mask, dtype)
    mask_shape = () if mask is None else tuple(mask.shape)
    if weight is not None:
        given = tuple(values.shape)
        values, weight = squeeze_or_expand_to_same_rank(values, weight)
        try:
            values = values * weight
        except ShapeError as error:
            raise ShapeError(
                f"`sample_weight` or mask of shape {tuple(weight.shape)} does not fit the loss's "
                f"values of shape {given}: give one weight for each sample, or one for each value. "
                f"{error}"
            ) from error
    if reduction is None or reduction == "none":
        return values
    if not values.shape:
        return _part_of_a_scalar(values, reduction, rows)
    total = ops.sum(values)
    if reduction == "sum":
        return total
    if reduction == "mean_with_sample_weight" and weight is not None:
        return ops.divide_no_nan(total, denominators.global_sum(ops.sum(weight)))
    if mask is not None and reduction in _OVER_COUNT:
        valid = denominators.global_sum(ops.sum(ops.cast(mask, dtype)))
        total = ops.divide_no_nan(total, valid)
        if mask_shape == tuple(values.shape):
            return total
        factor = denominators.global_size(mask_shape)
    else:
        factor = 1
    size = denominators.global_size(values)
    return total * (factor / size if size else 0.0)


def _part_of_a_scalar(value, reduction, rows):
    """One number from a rank's rows: it counts by their share in all rows."""
    if not denominators.active() or rows is None or reduction == "sum":
        return value
    if getattr(value, "batch", None) in (
        JOINED,
        WHOLE,
    ):  # the mean over a batch axis was taken over ranks
        return denominators.share(value)
    here, everywhere = context.state().rows or (rows, denominators.global_sum(rows))
    if not here:  # a mean over no rows is NaN; the tape keeps it, so that all ranks have gradients
        return ops.where(False, value, ops.zeros_like(value))
    return value * (here / everywhere)
