"""The loss classes: one table row each, since they differ by a formula and its settings only."""

from collections.abc import Callable
from typing import Any, NamedTuple

from distkeras.errors import ArgumentError
from distkeras.losses import functions as f
from distkeras.losses.loss import Loss, squeeze_or_expand_to_same_rank
from distkeras.utils import tree
from distkeras.utils.formula_class import formula_class
from distkeras.utils.serialization import deserialize_keras_object, serialize_keras_object

__all__ = ["CLASSES", "ROWS", "LossFunctionWrapper"]


class LossFunctionWrapper(Loss):
    """A loss made from a function of targets and predictions.

    Args:
        fn: `fn(y_true, y_pred, **kwargs)`, one value for each sample.
        reduction, name, dtype: as for `Loss`.
        **kwargs: passed to the function.

    Example:
        >>> from distkeras import ops
        >>> loss = LossFunctionWrapper(lambda t, p: ops.mean(ops.square(t - p), axis=-1))
        >>> float(loss([[1.0], [2.0]], [[0.0], [0.0]]))
        2.5
    """

    def __init__(
        self,
        fn: Callable,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.fn = fn
        self._fn_kwargs = kwargs
        known = _BY_FUNCTION.get(fn)
        if known is not None:
            self.integer_targets, self.joins_ranks = known.integer_targets, known.joins_ranks

    def call(self, y_true, y_pred):
        if tree.is_nested(y_pred) or tree.is_nested(y_true):
            pairs = tree.map_structure(
                lambda t, p: _Pair(squeeze_or_expand_to_same_rank(t, p)), y_true, y_pred
            )
            y_true = tree.map_structure(lambda pair: pair.both[0], pairs)
            y_pred = tree.map_structure(lambda pair: pair.both[1], pairs)
        else:
            y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
        return self.fn(y_true, y_pred, **self._fn_kwargs)

    def get_config(self):
        config = super().get_config()
        config["fn"] = serialize_keras_object(self.fn)
        return config | serialize_keras_object(self._fn_kwargs)

    @classmethod
    def from_config(cls, config):
        """A loss made from `get_config()`'s result."""
        return cls(**(deserialize_keras_object(config) if "fn" in config else config))

    def __repr__(self):
        return f"<{type(self).__name__}({self.fn}, kwargs={self._fn_kwargs})>"


class _Pair:
    """Two tensors as one leaf of a structure."""

    def __init__(self, both):
        self.both = both


class Row(NamedTuple):
    """What distinguishes one loss class.

    Attributes:
        cls: the class's name.
        function: its formula.
        name: the default name of instances.
        settings: the function's settings with their defaults.
        order: the constructor's arguments, where the settings do not come first.
        unsaved: settings that stand in a configuration only where they differ from the default:
            Keras leaves them out, and reads them.
        integer_targets: whether labels keep their integer dtype.
        joins_ranks: whether the function itself joins the ranks of a data-parallel step.
        check: called with the settings; raises where they make no sense.
    """

    cls: str
    function: Callable
    name: str
    settings: dict[str, Any] = {}
    order: str = ""
    unsaved: tuple[str, ...] = ()
    integer_targets: bool = False
    joins_ranks: bool = False
    check: Callable | None = None


def _check_q(q):
    if not 0 < q < 1:
        raise ArgumentError(f"`q` must be in the interval (0, 1), got {q}.")


_ENTROPY = {"from_logits": False, "label_smoothing": 0.0, "axis": -1}

ROWS = (
    Row("MeanSquaredError", f.mean_squared_error, "mean_squared_error"),
    Row("MeanAbsoluteError", f.mean_absolute_error, "mean_absolute_error"),
    Row(
        "MeanAbsolutePercentageError",
        f.mean_absolute_percentage_error,
        "mean_absolute_percentage_error",
    ),
    Row(
        "MeanSquaredLogarithmicError",
        f.mean_squared_logarithmic_error,
        "mean_squared_logarithmic_error",
    ),
    Row(
        "CosineSimilarity",
        f.cosine_similarity,
        "cosine_similarity",
        {"axis": -1},
        unsaved=("axis",),
    ),
    Row("Huber", f.huber, "huber_loss", {"delta": 1.0}, unsaved=("delta",)),
    Row("LogCosh", f.log_cosh, "log_cosh"),
    Row("Hinge", f.hinge, "hinge"),
    Row("SquaredHinge", f.squared_hinge, "squared_hinge"),
    Row("CategoricalHinge", f.categorical_hinge, "categorical_hinge"),
    Row("KLDivergence", f.kl_divergence, "kl_divergence"),
    Row("Poisson", f.poisson, "poisson"),
    Row("BinaryCrossentropy", f.binary_crossentropy, "binary_crossentropy", _ENTROPY),
    Row(
        "BinaryFocalCrossentropy",
        f.binary_focal_crossentropy,
        "binary_focal_crossentropy",
        {"apply_class_balancing": False, "alpha": 0.25, "gamma": 2.0, **_ENTROPY},
    ),
    Row(
        "CategoricalCrossentropy", f.categorical_crossentropy, "categorical_crossentropy", _ENTROPY
    ),
    Row(
        "CategoricalFocalCrossentropy",
        f.categorical_focal_crossentropy,
        "categorical_focal_crossentropy",
        {"alpha": 0.25, "gamma": 2.0, **_ENTROPY},
    ),
    Row(
        "SparseCategoricalCrossentropy",
        f.sparse_categorical_crossentropy,
        "sparse_categorical_crossentropy",
        {"from_logits": False, "ignore_class": None, "axis": -1},
        order="from_logits ignore_class reduction axis name dtype",
        unsaved=("axis",),
        integer_targets=True,
    ),
    Row(
        "CategoricalGeneralizedCrossEntropy",
        f.categorical_generalized_cross_entropy,
        "categorical_generalized_cross_entropy",
        {"q": 0.5},
        integer_targets=True,
        check=_check_q,
    ),
    Row(
        "Dice", f.dice, "dice", {"axis": None}, order="reduction name axis dtype", joins_ranks=True
    ),
    Row(
        "Tversky",
        f.tversky,
        "tversky",
        {"alpha": 0.5, "beta": 0.5, "axis": None},
        order="alpha beta reduction name axis dtype",
        joins_ranks=True,
    ),
    Row(
        "Circle",
        f.circle,
        "circle",
        {"gamma": 80.0, "margin": 0.4, "remove_diagonal": True},
        integer_targets=True,
    ),
)


def _make(row: Row) -> type:
    """The class of a row."""
    return formula_class(
        row.cls,
        LossFunctionWrapper,
        row.function,
        module="distkeras.losses",
        settings=row.settings,
        common={"reduction": "sum_over_batch_size", "name": row.name, "dtype": None},
        order=row.order or " ".join([*row.settings, "reduction", "name", "dtype"]),
        base_config=Loss.get_config,
        unsaved=row.unsaved,
        check=row.check,
    )


_BY_FUNCTION: dict[Callable, Row] = {row.function: row for row in ROWS}
CLASSES: dict[str, type] = {row.cls: _make(row) for row in ROWS}
# The package publishes them from here.
globals().update(CLASSES)
