"""Metrics: state, names, masks, sums over ranks. Values are compared in tests/reference too."""

import json

import numpy as np
import pytest

from distkeras import losses, metrics, ops
from distkeras.engine.variable import Variable
from distkeras.errors import ArgumentError, ShapeError, UnknownNameError

RNG = np.random.default_rng(7)
ROWS = 9
REAL = RNG.normal(size=(ROWS, 3)), RNG.normal(size=(ROWS, 3))
MANY = RNG.integers(0, 2, (ROWS, 3)), RNG.uniform(size=(ROWS, 3))
ONE = MANY[0][:, 0], MANY[1][:, 0]
HOT = np.eye(3)[RNG.integers(0, 3, ROWS)], RNG.dirichlet(np.ones(3), ROWS)
SPARSE = HOT[0].argmax(axis=1), HOT[1]
LABELS = RNG.integers(0, 3, ROWS), RNG.integers(0, 3, ROWS)
ROW_WEIGHT = RNG.uniform(0, 2, ROWS)

# Every metric of targets and predictions: (settings, data).
CASES = {
    "Accuracy": ({}, LABELS),
    "BinaryAccuracy": ({}, MANY),
    "CategoricalAccuracy": ({}, HOT),
    "SparseCategoricalAccuracy": ({}, SPARSE),
    "TopKCategoricalAccuracy": ({"k": 2}, HOT),
    "SparseTopKCategoricalAccuracy": ({"k": 2}, SPARSE),
    "MeanSquaredError": ({}, REAL),
    "MeanAbsoluteError": ({}, REAL),
    "MeanAbsolutePercentageError": ({}, REAL),
    "MeanSquaredLogarithmicError": ({}, MANY),
    "RootMeanSquaredError": ({}, REAL),
    "CosineSimilarity": ({"axis": 1}, REAL),
    "LogCoshError": ({}, REAL),
    "R2Score": ({"class_aggregation": None, "num_regressors": 1}, REAL),
    "Hinge": ({}, MANY),
    "SquaredHinge": ({}, MANY),
    "CategoricalHinge": ({}, HOT),
    "KLDivergence": ({}, HOT),
    "Poisson": ({}, MANY),
    "BinaryCrossentropy": ({"label_smoothing": 0.1}, MANY),
    "CategoricalCrossentropy": ({}, HOT),
    "SparseCategoricalCrossentropy": ({"ignore_class": 1}, SPARSE),
    "PearsonCorrelation": ({"axis": -1}, REAL),
    "ConcordanceCorrelation": ({}, REAL),
    "TruePositives": ({"thresholds": [0.2, 0.6]}, MANY),
    "TrueNegatives": ({}, MANY),
    "FalsePositives": ({}, MANY),
    "FalseNegatives": ({}, MANY),
    "Precision": ({"top_k": 2}, HOT),
    "Recall": ({"thresholds": [0.25], "class_id": 1}, HOT),
    "PrecisionAtRecall": ({"recall": 0.5, "num_thresholds": 30}, ONE),
    "RecallAtPrecision": ({"precision": 0.5, "num_thresholds": 30}, ONE),
    "SensitivityAtSpecificity": ({"specificity": 0.5, "num_thresholds": 30}, ONE),
    "SpecificityAtSensitivity": ({"sensitivity": 0.5, "num_thresholds": 30}, ONE),
    "AUC": ({"multi_label": True, "label_weights": [0.5, 1.0, 2.0], "curve": "PR"}, MANY),
    "F1Score": ({"average": "macro", "threshold": 0.4}, MANY),
    "FBetaScore": ({"average": "weighted", "beta": 2.0}, HOT),
    "IoU": ({"num_classes": 3, "target_class_ids": [0, 2], "ignore_class": 1}, LABELS),
    "BinaryIoU": ({"threshold": 0.3}, ONE),
    "MeanIoU": ({"num_classes": 3, "dtype": "float32"}, LABELS),
    "OneHotIoU": ({"num_classes": 3, "target_class_ids": [1]}, HOT),
    "OneHotMeanIoU": ({"num_classes": 3}, HOT),
}
OTHER = {"Metric", "Mean", "Sum", "MeanMetricWrapper"}
WHOLE_WEIGHTS = {"IoU", "BinaryIoU", "OneHotIoU", "OneHotMeanIoU"}  # their state is of integers


def make(name):
    settings, _ = CASES[name]
    return getattr(metrics, name)(**settings)


def updated(name, *slices):
    """A metric that has seen some rows, a batch for each slice."""
    metric, data = make(name), CASES[name][1]
    weight = (ROW_WEIGHT * 3).astype("int32") if name in WHOLE_WEIGHTS else ROW_WEIGHT
    for rows in slices:
        metric.update_state(*(a[rows] for a in data), sample_weight=weight[rows])
    return metric


def value(metric):
    return np.asarray(metric.result())


def test_every_metric_is_here():
    public = [name for names in metrics.NAMES.values() for name in names]
    classes = {name for name in public if isinstance(getattr(metrics, name), type)}
    assert classes == set(CASES) | OTHER


@pytest.mark.parametrize("name", CASES)
def test_batches_add_up(name):
    """Three batches, one of them without rows, give what one batch gives."""
    whole = updated(name, slice(None))
    parts = updated(name, slice(0, 4), slice(4, 4), slice(4, None))
    np.testing.assert_allclose(value(parts), value(whole), rtol=1e-5, atol=1e-7)
    assert value(whole).size
    assert np.isfinite(value(whole)).all()


@pytest.mark.parametrize("name", CASES)
def test_the_states_of_ranks_add_up(name):
    """A result is a function of state that is summed over ranks: here over two of them."""
    whole = updated(name, slice(None))
    ranks = [updated(name, slice(0, 6)), updated(name, slice(6, None))]
    assert {v.aggregation for v in whole.variables} == {"sum"}
    for mine, other in zip(ranks[0].variables, ranks[1].variables, strict=True):
        mine.assign(mine.value + other.value)
    np.testing.assert_allclose(value(ranks[0]), value(whole), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", CASES)
def test_reset_and_stateless(name):
    metric = updated(name, slice(None))
    state, result = [v.value for v in metric.variables], value(metric)
    assert all(v.numpy().any() for v in metric.variables if v.name in ("total", "count"))
    start = metric.stateless_reset_state()
    assert not any(np.asarray(s).any() for s in start)
    np.testing.assert_array_equal(value(metric), result)
    half = [a[:4] for a in CASES[name][1]]
    after = metric.stateless_update_state(start, *half)
    np.testing.assert_array_equal(value(metric), result)
    fresh = make(name)
    fresh.update_state(*half)
    np.testing.assert_allclose(np.asarray(metric.stateless_result(after)), value(fresh), rtol=1e-6)
    metric.reset_state()
    assert not any(v.numpy().any() for v in metric.variables)
    metric.stateless_result(state)
    with pytest.raises(ArgumentError, match="1:1"):
        metric.stateless_result(state[1:])


@pytest.mark.parametrize("name", CASES)
def test_configuration_makes_the_same_metric_again(name):
    metric = getattr(metrics, name)(**{**CASES[name][0], "name": "mine"})
    written = json.loads(json.dumps(metrics.serialize(metric)))
    assert written["module"] == "keras.metrics"
    again = metrics.deserialize(written)
    assert type(again) is type(metric)
    assert json.loads(json.dumps(again.get_config())) == written["config"]
    for setting, given in CASES[name][0].items():
        assert again.get_config()[setting] == given


@pytest.mark.parametrize(
    "identifier, cls, name",
    [
        ("mse", "MeanSquaredError", "mean_squared_error"),
        ("auc", "AUC", "auc"),
        ("AUC", "AUC", "auc_1"),
        ("MAPE", "MeanAbsolutePercentageError", "mean_absolute_percentage_error"),
        ("top_k_categorical_accuracy", "TopKCategoricalAccuracy", "top_k_categorical_accuracy"),
        ("mean_io_u", "MeanIoU", None),
    ],
)
def test_get(identifier, cls, name):
    if name is None:
        with pytest.raises(TypeError, match="num_classes"):
            metrics.get(identifier)
        return
    found = metrics.get(identifier)
    assert type(found) is getattr(metrics, cls)
    assert found.name.startswith(name.removesuffix("_1"))


def test_get_something_else():
    assert metrics.get(None) is None
    assert metrics.get(losses.huber) is losses.huber
    assert isinstance(metrics.get(metrics.Recall), metrics.Recall)
    assert metrics.mean_squared_error is losses.mean_squared_error
    with pytest.raises(UnknownNameError, match="No metric is named 'accurracy'"):
        metrics.get("accurracy")
    with pytest.raises(UnknownNameError, match="identifier: 3"):
        metrics.get(3)


def test_a_wrapped_function_is_saved_by_name():
    wrapped = metrics.MeanMetricWrapper(losses.huber, name="h", delta=0.5)
    config = json.loads(json.dumps(wrapped.get_config()))
    again = metrics.MeanMetricWrapper.from_config(config)
    again.update_state([[0.0]], [[3.0]])
    assert float(again.result()) == 1.375


# --- the base class ---


class Counter(metrics.Metric):
    """Variables made in every way, and a metric within."""

    def __init__(self, name="counter"):
        super().__init__(name=name)
        self.a = self.add_weight((2,), "ones", name="a")
        self.b = self.add_variable((), name="b", aggregation="none")
        self.own = Variable(3.0, trainable=False, name="own")
        self.parts = [metrics.Sum(name="inner")]

    def result(self):
        return self.a


def test_variables_are_tracked_once_and_named():
    metric = Counter()
    metric.again = metric.a
    assert [v.name for v in metric.variables] == ["a", "b", "own", "total"]
    assert metric.a.path == "counter/a"
    assert metric.a.numpy().tolist() == [1.0, 1.0]
    assert not any(v.trainable for v in metric.variables)
    assert [v.aggregation for v in metric.variables[:2]] == ["sum", "none"]
    with pytest.raises(NotImplementedError, match="update_state"):
        metric.update_state(1)


def test_super_must_be_called():
    class Forgetful(metrics.Metric):
        def __init__(self):
            self.total = self.add_weight()

    with pytest.raises(RuntimeError, match=r"super\(\).__init__"):
        Forgetful()


# --- means, weights and masks ---


def test_mean_of_scalars_and_batches():
    mean = metrics.Mean()
    assert float(mean.result()) == 0.0
    mean.update_state(4.0)
    mean.update_state(np.array([[1.0, 3.0], [5.0, 7.0]]))  # a sample's values are averaged
    assert (float(mean.total), float(mean.count)) == (12.0, 3.0)
    mean.update_state([10.0], sample_weight=[3.0])
    assert float(mean.result()) == 7.0


def test_weights_of_every_rank():
    x = RNG.normal(size=(2, 3, 4))
    for shape in ((2,), (2, 1), (2, 3), (2, 3, 1), (2, 3, 4)):
        weight = RNG.uniform(1, 2, shape)
        mean, full = (
            metrics.Mean(),
            np.ones(x.shape) * weight.reshape(shape + (1,) * (3 - len(shape))),
        )
        mean.update_state(x, sample_weight=weight)
        assert float(mean.result()) == pytest.approx((x * full).sum() / full.sum(), rel=1e-5)
    with pytest.raises(ShapeError, match="one weight for each sample"):
        metrics.Mean().update_state(x, sample_weight=np.ones(3))


def test_masked_predictions_do_not_count():
    mask = np.array([[True, False], [True, True]])
    y_pred = ops.convert_to_tensor(np.array([[[1.0], [9.0]], [[2.0], [3.0]]]))
    y_pred._keras_mask = ops.convert_to_tensor(mask)
    metric = metrics.MeanAbsoluteError()
    metric.update_state(np.zeros((2, 2, 1)), y_pred)
    assert float(metric.result()) == pytest.approx(2.0)
    metric.reset_state()
    metric.update_state(
        np.zeros((2, 2, 1)), y_pred, sample_weight=np.array([[1.0, 1.0], [0.0, 2.0]])
    )
    assert float(metric.result()) == pytest.approx((1.0 + 2 * 3.0) / 3.0)


def test_updates_leave_earlier_results_alone():
    mean = metrics.Mean()
    first = mean(4.0)
    total = mean.total.value
    mean(8.0)
    assert (float(first), float(total), float(mean.result())) == (4.0, 4.0, 6.0)


# --- thresholds ---


@pytest.mark.parametrize("thresholds", [[0.0, 0.5, 1.0], [0.0, 0.25, 0.5, 0.75, 1.0]])
def test_even_thresholds_count_as_comparisons_do(thresholds):
    y_true = np.array([0, 1, 1, 0, 1, 1, 0, 1])
    y_pred = np.array([0.0, 0.0, 1.0, 1.0, 0.5, 0.25, 0.75, 0.6])
    weight = np.arange(1.0, 9.0)
    for cls, label, above in (
        ("TruePositives", 1, True),
        ("FalsePositives", 0, True),
        ("TrueNegatives", 0, False),
        ("FalseNegatives", 1, False),
    ):
        metric = getattr(metrics, cls)(thresholds=thresholds)
        assert metric._even
        metric.update_state(y_true, y_pred, sample_weight=weight)
        expected = [
            (weight * (y_true == label) * ((y_pred > t) == above)).sum() for t in thresholds
        ]
        np.testing.assert_allclose(value(metric), expected)


def test_predictions_that_are_nan_or_out_of_range_do_no_harm():
    metric = metrics.AUC(num_thresholds=5)
    with np.errstate(invalid="ignore"):
        metric.update_state([0, 1, 1, 0], np.array([np.nan, 7.0, 0.4, -2.0]))
    assert 0 <= float(metric.result()) <= 1
    assert float(ops.sum(metric.true_positives + metric.false_negatives)) == 10.0


def test_top_k_has_no_room_for_nan():
    scores = np.array([[np.nan, 0.5, 0.2], [0.1, 0.5, 0.2]])
    found = metrics.sparse_top_k_categorical_accuracy([0, 2], scores, k=2)
    assert np.asarray(found).tolist() == [0.0, 1.0]


# --- errors ---


@pytest.mark.parametrize(
    "make_one, said",
    [
        (lambda: metrics.Precision(thresholds=[0.5, 1.5]), r"\[0, 1\].*1.5"),
        (lambda: metrics.AUC(curve="ROCK"), "curve.*'ROCK'"),
        (lambda: metrics.AUC(summation_method="trapezoid"), "summation_method"),
        (lambda: metrics.AUC(num_thresholds=1), "num_thresholds"),
        (lambda: metrics.AUC(num_labels=3), "multi_label"),
        (lambda: metrics.RecallAtPrecision(1.2), "precision"),
        (lambda: metrics.FBetaScore(beta=1), "beta"),
        (lambda: metrics.FBetaScore(average="mean"), "average"),
        (lambda: metrics.F1Score(threshold=0.0), "threshold"),
        (lambda: metrics.R2Score(num_regressors=-1), "num_regressors"),
        (lambda: metrics.R2Score(class_aggregation="mean"), "class_aggregation"),
        (lambda: metrics.IoU(num_classes=2, target_class_ids=[2]), "out of range"),
    ],
)
def test_wrong_arguments(make_one, said):
    with pytest.raises(ArgumentError, match=said):
        make_one()


@pytest.mark.parametrize(
    "metric, data, said",
    [
        ("F1Score", (np.ones(3), np.ones(3)), "2D"),
        ("R2Score", (np.ones(3), np.ones((3, 1, 1))), "2D"),
        ("Recall", (np.ones((3, 2)), np.ones((3, 4))), "does not fit"),
        ("AUC", (np.ones((3, 2, 2)), np.ones((3, 2, 2))), "rank 2"),
    ],
)
def test_shapes_that_do_not_fit(metric, data, said):
    with pytest.raises(ShapeError, match=said):
        getattr(metrics, metric)(**({"multi_label": True} if metric == "AUC" else {}))(*data)
    with pytest.raises(ShapeError, match="class_id"):
        metrics.Precision(class_id=1)(np.ones(3), np.ones(3))
    with pytest.raises(ShapeError, match="one weight for each label"):
        metrics.MeanIoU(num_classes=2)([0, 1], [0, 1], sample_weight=[1, 2, 3])


def test_float_weights_for_integer_counts_are_warned_about():
    with pytest.warns(UserWarning, match="cut to int32"):
        metrics.MeanIoU(num_classes=2)([0, 1], [0, 1], sample_weight=np.array([0.5, 1.0]))
