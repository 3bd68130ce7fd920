"""Losses: gradients, names, weights, masks and errors. Values are compared in tests/reference."""

import inspect
import json
import warnings

import numpy as np
import pytest

from distkeras import losses, ops
from distkeras.engine.tape import GradientTape
from distkeras.engine.variable import Variable
from distkeras.errors import ArgumentError, DTypeError, ShapeError, UnknownNameError
from distkeras.losses.table import CLASSES, ROWS
from support.numeric import numeric_gradient

RNG = np.random.default_rng(3)
REAL = RNG.normal(size=(4, 3)), RNG.normal(size=(4, 3))
POSITIVE = RNG.uniform(0.2, 2, (4, 3)), RNG.uniform(0.2, 2, (4, 3))
LABELS = RNG.integers(0, 3, 4)
HOT = np.eye(3)[LABELS]
PROBABILITIES = RNG.uniform(0.05, 1, (4, 3))
PROBABILITIES /= PROBABILITIES.sum(axis=1, keepdims=True)
BINARY = RNG.integers(0, 2, (4, 3)).astype("float64"), RNG.uniform(0.05, 0.95, (4, 3))
UNIT = REAL[1] / np.linalg.norm(REAL[1], axis=1, keepdims=True)

# class: (settings, targets, predictions)
GRADIENTS = {
    "MeanSquaredError": ({}, *REAL),
    "MeanAbsoluteError": ({}, *REAL),
    "MeanAbsolutePercentageError": ({}, *REAL),
    "MeanSquaredLogarithmicError": ({}, *POSITIVE),
    "CosineSimilarity": ({}, *REAL),
    "Huber": ({"delta": 0.7}, *REAL),
    "LogCosh": ({}, *REAL),
    "Hinge": ({}, np.sign(REAL[0]), REAL[1]),
    "SquaredHinge": ({}, np.sign(REAL[0]), REAL[1]),
    "CategoricalHinge": ({}, HOT, REAL[1]),
    "KLDivergence": ({}, PROBABILITIES, PROBABILITIES[::-1].copy()),
    "Poisson": ({}, *POSITIVE),
    "BinaryCrossentropy": ({"label_smoothing": 0.1}, *BINARY),
    "BinaryFocalCrossentropy": ({"apply_class_balancing": True}, *BINARY),
    "CategoricalCrossentropy": ({"from_logits": True, "label_smoothing": 0.1}, HOT, REAL[1]),
    "CategoricalFocalCrossentropy": ({"from_logits": True}, HOT, REAL[1]),
    "SparseCategoricalCrossentropy": ({"ignore_class": 1}, LABELS, PROBABILITIES),
    "CategoricalGeneralizedCrossEntropy": ({"q": 0.3}, LABELS, PROBABILITIES),
    "Dice": ({}, *BINARY),
    "Tversky": ({"alpha": 0.3, "beta": 0.6}, *BINARY),
    "Circle": ({"gamma": 2.0}, LABELS, UNIT),
}


def test_every_class_is_in_the_table():
    assert set(GRADIENTS) == set(CLASSES)


@pytest.mark.parametrize("cls", GRADIENTS)
def test_gradient(cls):
    settings, y_true, y_pred = GRADIENTS[cls]
    loss = CLASSES[cls](dtype="float64", **settings)
    weight = np.array([0.5, 2.0, 1.0, 0.0])
    weight = None if cls in ("Dice", "Tversky") else weight
    source = ops.convert_to_tensor(y_pred)
    with GradientTape() as tape:
        tape.watch(source)
        value = loss(y_true, source, sample_weight=weight)
    assert value.dtype == "float64"
    expected = numeric_gradient(lambda p: float(loss(y_true, p, sample_weight=weight)), y_pred)
    np.testing.assert_allclose(tape.gradient(value, source), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.cls)
def test_configuration_makes_the_same_loss_again(row):
    changed = {"reduction": "sum", "name": "mine"}
    for name, default in row.settings.items():
        changed[name] = {float: 0.3, bool: not default, int: 2}.get(type(default), 1)
    loss = CLASSES[row.cls](**changed)
    config = json.loads(json.dumps(loss.get_config()))
    assert config == changed
    assert CLASSES[row.cls].from_config(config).get_config() == changed
    written = losses.serialize(loss)
    assert written["module"] == "keras.losses"
    assert losses.deserialize(json.loads(json.dumps(written))).get_config() == changed


def test_constructor_arguments_in_keras_order():
    order = {
        "MeanSquaredError": "reduction name dtype",
        "Huber": "delta reduction name dtype",
        "SparseCategoricalCrossentropy": "from_logits ignore_class reduction axis name dtype",
        "Dice": "reduction name axis dtype",
        "Tversky": "alpha beta reduction name axis dtype",
    }
    for cls, names in order.items():
        assert list(inspect.signature(getattr(losses, cls)).parameters) == names.split()
    loss = losses.SparseCategoricalCrossentropy(True, 7, "none")
    assert (loss.from_logits, loss.ignore_class, loss.reduction) == (True, 7, "none")
    with pytest.raises(TypeError, match=r"Huber\(.*unexpected.*'dleta'"):
        losses.Huber(dleta=1.0)


@pytest.mark.parametrize(
    "name, found",
    [
        ("mse", losses.mean_squared_error),
        ("MAPE", losses.mean_absolute_percentage_error),
        ("kld", losses.kl_divergence),
        ("bce", losses.binary_crossentropy),
        ("dice", losses.dice),
        (losses.hinge, losses.hinge),
        (None, None),
    ],
)
def test_get_a_function(name, found):
    assert losses.get(name) is found


def test_get_a_class_or_configuration():
    assert isinstance(losses.get("Huber"), losses.Huber)
    assert isinstance(losses.get(losses.Huber), losses.Huber)
    mine = losses.Huber(delta=3.0)
    assert losses.get(mine) is mine
    assert losses.get(losses.serialize(mine)).delta == 3.0
    with pytest.raises(UnknownNameError, match="No loss is named 'mean_sqared_error'"):
        losses.get("mean_sqared_error")
    with pytest.raises(UnknownNameError, match="Could not interpret loss identifier: 3"):
        losses.get(3)


def test_a_wrapped_function_is_saved_by_name():
    wrapped = losses.LossFunctionWrapper(losses.huber, name="h", delta=0.5)
    again = losses.LossFunctionWrapper.from_config(json.loads(json.dumps(wrapped.get_config())))
    assert again.fn is losses.huber
    assert float(again([[0.0]], [[3.0]])) == float(wrapped([[0.0]], [[3.0]])) == 1.375


def test_names_count_up_for_subclasses():
    class OddLoss(losses.Loss):
        def call(self, y_true, y_pred):
            return y_pred

    assert [OddLoss().name, OddLoss().name] == ["odd_loss", "odd_loss_1"]
    with pytest.raises(NotImplementedError, match="call"):
        losses.Loss()([1.0], [1.0])


# --- reductions, weights and masks ---

VALUES = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
MASK = np.array([[True, False, True], [True, True, False]])
WEIGHT = np.array([[1.0, 1.0, 0.5], [2.0, 0.0, 1.0]])


class Given(losses.Loss):
    """A loss whose values are the predictions."""

    def call(self, y_true, y_pred):
        return y_pred


def reduced(reduction, weight=None, mask=None):
    y_pred = ops.convert_to_tensor(VALUES)
    if mask is not None:
        y_pred._keras_mask = ops.convert_to_tensor(mask)
    return np.asarray(Given(reduction=reduction, dtype="float64")(VALUES, y_pred, weight))


@pytest.mark.parametrize("weight", [None, WEIGHT, np.array([[2.0], [3.0]])], ids=str)
@pytest.mark.parametrize("mask", [None, MASK], ids=str)
@pytest.mark.parametrize("reduction", ["sum", "mean", "sum_over_batch_size", "none", None])
def test_reductions(reduction, weight, mask):
    weighted = VALUES * (1 if weight is None else weight) * (1 if mask is None else mask)
    expected = {
        "sum": weighted.sum(),
        "mean": weighted.sum() / (6 if mask is None else mask.sum()),
        "none": weighted,
    }
    wanted = {"sum_over_batch_size": "mean", None: "none"}.get(reduction, reduction)
    np.testing.assert_allclose(reduced(reduction, weight, mask), expected[wanted])


def test_mean_with_sample_weight_divides_by_the_given_weights():
    found = reduced("mean_with_sample_weight", WEIGHT, MASK)
    assert found == pytest.approx((VALUES * WEIGHT * MASK).sum() / (WEIGHT * MASK).sum())
    assert reduced("mean_with_sample_weight") == pytest.approx(VALUES.mean())


@pytest.mark.parametrize("reduction", ["mean", "mean_with_sample_weight"])
def test_nothing_that_counts_gives_zero(reduction):
    assert reduced(reduction, WEIGHT, np.zeros_like(MASK)) == 0
    empty = losses.MeanSquaredError(reduction=reduction)(np.zeros((0, 2)), np.zeros((0, 2)))
    assert (empty.shape, float(empty)) == ((), 0.0)


def test_a_column_of_weights_fits_a_vector_of_values():
    loss = losses.MeanSquaredError(reduction="none")
    y, weight = np.ones((3, 2), "float32"), np.array([[1.0], [2.0], [3.0]])
    found = np.asarray(loss(y * 0, y, weight))
    np.testing.assert_allclose(found, [[1.0], [2.0], [3.0]])


def test_targets_and_predictions_in_structures():
    class Both(losses.Loss):
        def call(self, y_true, y_pred):
            return ops.mean(ops.square(y_true["a"] - y_pred["a"]) + y_pred["b"][0], axis=-1)

    y = {"a": np.zeros((2, 3)), "b": [np.ones((2, 3))]}
    assert float(Both()(y, y)) == 1.0


def test_integer_labels_keep_their_dtype():
    """float32 cannot tell 2 ** 24 and 2 ** 24 + 1 apart; a label is never rounded to another."""
    seen = []

    def spy(y_true, y_pred):
        seen.append(y_true.dtype)
        return ops.mean(y_pred, axis=-1)

    losses.LossFunctionWrapper(spy)(np.array([1], "int64"), np.ones((1, 2)))
    losses.SparseCategoricalCrossentropy()(np.array([1], "int64"), np.ones((1, 2)))
    assert seen == ["float32"]
    labels = ops.convert_to_tensor(np.array([1], "int64"))
    assert losses.SparseCategoricalCrossentropy.integer_targets is False
    assert losses.SparseCategoricalCrossentropy().integer_targets is True
    assert float(losses.SparseCategoricalCrossentropy()(labels, np.ones((1, 2)))) > 0


def test_the_ignored_class_leaves_no_trace():
    y_pred = np.array([[np.nan, 0.0, 1.0], [0.2, 0.3, 0.5]], "float32")
    variable = Variable(y_pred)
    loss = losses.SparseCategoricalCrossentropy(ignore_class=-1)
    with GradientTape() as tape:
        value = loss([-1, 2], variable)
    assert float(value) == pytest.approx(np.log(2.0))
    gradient = np.asarray(tape.gradient(value, variable))
    assert not gradient[0].any()
    assert np.isfinite(gradient).all()


# --- errors ---


def test_wrong_arguments():
    with pytest.raises(ArgumentError, match="Expected one of 'sum_over_batch_size'"):
        losses.MeanSquaredError(reduction="average")
    with pytest.raises(ArgumentError, match="interval"):
        losses.CategoricalGeneralizedCrossEntropy(q=1.0)
    with pytest.raises(ArgumentError, match="axis"):
        losses.categorical_crossentropy([[1.0, 0.0]], [[0.5, 0.5]], axis=True)


@pytest.mark.parametrize(
    "loss, true, pred, said",
    [
        ("MeanSquaredError", (4, 3), (4, 2), "y_true of shape (4, 3) and y_pred of shape (4, 2)"),
        ("CategoricalCrossentropy", (4, 1), (4, 3), "sparse"),
        ("SparseCategoricalCrossentropy", (4, 3), (4, 3), "one-hot"),
        ("BinaryCrossentropy", (4, 1), (4, 3), "same shape"),
    ],
)
def test_shapes_that_do_not_fit(loss, true, pred, said):
    with pytest.raises(ShapeError) as caught:
        getattr(losses, loss)()(np.ones(true, "float32"), np.full(pred, 0.3, "float32"))
    assert said in str(caught.value)


def test_weights_that_do_not_fit():
    with pytest.raises(ShapeError, match=r"`sample_weight` or mask of shape \(3,\).*\(4,\)"):
        losses.MeanSquaredError()(np.ones((4, 2)), np.zeros((4, 2)), sample_weight=np.ones(3))


@pytest.mark.parametrize("from_logits", [True, False])
def test_labels_out_of_range(from_logits):
    loss = losses.SparseCategoricalCrossentropy(from_logits=from_logits)
    for wrong in (3, -1):
        with pytest.raises(ArgumentError, match=f"label {wrong}.*3 classes"):
            loss([0, wrong], np.full((2, 3), 0.3, "float32"))


def test_labels_that_are_nan():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        with pytest.raises(ArgumentError, match="was NaN"):
            losses.SparseCategoricalCrossentropy()([0, np.nan], np.full((2, 3), 0.3, "float32"))
    assert np.isnan(float(losses.MeanSquaredError()([[np.nan]], [[0.0]])))


def test_text_is_no_target():
    with pytest.raises(DTypeError):
        losses.MeanSquaredError()(np.array(["a"]), np.ones((1, 1)))


def test_one_class_is_warned_about():
    with pytest.warns(SyntaxWarning, match="binary_crossentropy"):
        losses.categorical_crossentropy(np.ones((2, 1)), np.ones((2, 1)))
