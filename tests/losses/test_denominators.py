"""A batch spread over ranks: parts of losses and gradients add up to those of the whole batch."""

import itertools

import numpy as np
import pytest

from distkeras import losses, ops
from distkeras.distribution import denominators
from distkeras.engine.tape import GradientTape
from distkeras.metrics import MeanMetricWrapper
from support.numeric import on_ranks

RNG = np.random.default_rng(5)
ROWS = 7
SPLITS = {"even": [4, 3], "lonely": [7, 0], "three": [1, 4, 2]}
SEQUENCE = RNG.uniform(0.05, 1, (ROWS, 3, 4))
SEQUENCE /= SEQUENCE.sum(axis=-1, keepdims=True)
REGION = RNG.uniform(0.05, 0.95, (ROWS, 4))
WEIGHT = RNG.uniform(0, 2, (ROWS, 3))
MASK = RNG.uniform(size=(ROWS, 3)) > 0.4
LABELS = RNG.integers(-1, 4, (ROWS, 3))
LABELS[0] = -1


class OwnMean(losses.Loss):
    """A user's loss that returns the mean over its batch as one number."""

    def call(self, y_true, y_pred):
        return ops.mean(ops.square(y_pred))


SPARSE = losses.SparseCategoricalCrossentropy
# name: (loss, targets, predictions, weights, mask)
CASES = {
    "mean": (losses.MeanSquaredError(), SEQUENCE * 0, SEQUENCE, None, None),
    "weighted": (losses.MeanSquaredError(), SEQUENCE * 0, SEQUENCE, WEIGHT, None),
    "masked": (losses.MeanSquaredError(), SEQUENCE * 0, SEQUENCE, None, MASK),
    "masked and weighted": (losses.MeanSquaredError("mean"), SEQUENCE * 0, SEQUENCE, WEIGHT, MASK),
    "mask of rows": (losses.MeanSquaredError(), SEQUENCE * 0, SEQUENCE, None, MASK[:, :1]),
    "by weights": (
        losses.MeanSquaredError("mean_with_sample_weight"), SEQUENCE * 0, SEQUENCE, WEIGHT, MASK
    ),
    "sum": (losses.MeanSquaredError("sum"), SEQUENCE * 0, SEQUENCE, WEIGHT, MASK),
    "ignored class": (SPARSE(ignore_class=-1), LABELS, SEQUENCE, None, None),
    "ignored and masked": (SPARSE(ignore_class=-1), LABELS, SEQUENCE, WEIGHT, MASK),
    "dice": (losses.Dice(), REGION > 0.5, REGION, None, None),
    "dice of rows": (losses.Dice(axis=1), REGION > 0.5, REGION, None, None),
    "tversky": (losses.Tversky(0.3, 0.7), REGION > 0.4, REGION, None, None),
    "own mean": (OwnMean(), REGION, REGION, None, None),
}  # fmt: skip


def step(loss, y_true, y_pred, weight, mask):
    """The loss and its gradient by the predictions."""
    source = ops.convert_to_tensor(y_pred, "float64")
    if mask is not None:
        source._keras_mask = ops.convert_to_tensor(mask)
    loss._dtype = "float64"
    with GradientTape() as tape:
        tape.watch(source)
        value = loss(y_true, source, sample_weight=weight)
    return float(value), np.asarray(tape.gradient(value, source))


def cut(arrays, sizes):
    """Each rank's rows of the arrays."""
    bounds = np.cumsum([0, *sizes])
    return [
        [None if a is None else a[start:stop] for a in arrays]
        for start, stop in itertools.pairwise(bounds)
    ]


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("name", CASES)
def test_parts_add_up_to_the_whole(name, split):
    loss, *arrays = CASES[name]
    value, gradient = step(loss, *arrays)
    parts = on_ranks(lambda part: step(loss, *part), cut(arrays, SPLITS[split]))
    assert sum(v for v, _ in parts) == pytest.approx(value, rel=1e-9)
    np.testing.assert_allclose(np.concatenate([g for _, g in parts]), gradient, rtol=1e-9)


def test_without_a_step_nothing_is_asked():
    assert not denominators.active()
    assert denominators.global_size((4, 2)) == 8
    x = ops.convert_to_tensor(2.0)
    assert denominators.share(x) is x
    assert denominators.joined_sum(x) is x


def test_denominators_have_no_gradient():
    x = ops.convert_to_tensor(2.0)
    with denominators.using(lambda n: n * 3.0), GradientTape() as tape:
        tape.watch(x)
        y = x / denominators.global_sum(x)
    assert float(tape.gradient(y, x)) == pytest.approx(1 / 6)


def test_shares_of_what_all_ranks_know():
    def penalty(_):
        weight = ops.convert_to_tensor(3.0)
        with GradientTape() as tape:
            tape.watch(weight)
            value = denominators.share(weight * weight)
        return float(value), float(tape.gradient(value, weight))

    parts = on_ranks(penalty, [0, 1, 2])
    assert sum(v for v, _ in parts) == pytest.approx(9.0)
    assert sum(g for _, g in parts) == pytest.approx(6.0)


def test_metrics_are_those_of_the_rank():
    asked = []

    def reducer(n):
        asked.append(n)
        return n * 2

    metric = MeanMetricWrapper(losses.dice)
    with denominators.using(reducer):
        metric.update_state(REGION > 0.5, REGION)
        assert denominators.active()
    assert asked == []
    assert float(metric.result()) == pytest.approx(float(losses.dice(REGION > 0.5, REGION)))


@pytest.mark.mpi(sizes=(2, 3))
def test_real_ranks():
    """The same sums over MPI, for the case with most denominators."""
    from distkeras.distribution import collectives, initialize, messages, rank, size

    assert initialize().size > 1
    sizes = [ROWS - size() + 1, *[1] * (size() - 1)]
    loss, *arrays = CASES["ignored and masked"]
    value, _ = step(loss, *arrays)
    with denominators.using(messages.sum_of):
        part, _ = step(loss, *cut(arrays, sizes)[rank()])
    total = collectives.all_reduce(np.array([part]))[0]
    assert total == pytest.approx(value, rel=1e-9)
