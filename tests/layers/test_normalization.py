"""Normalization: moments, moving statistics, masks, second derivatives, batches over ranks."""

import numpy as np
import pytest

import distkeras as keras
from distkeras.engine import primitives as P
from distkeras.errors import ArgumentError, DataError, ShapeError

layers, ops = keras.layers, keras.ops
X = np.random.default_rng(1).normal(3.0, 2.0, (6, 4, 3)).astype("float32")
MASK = np.array([[1, 1, 0, 1], [1, 0, 0, 0], [0, 0, 0, 0], [1] * 4, [1] * 4, [0, 1, 1, 0]], bool)


def array(x):
    return np.asarray(ops.convert_to_numpy(x))


def test_training_normalizes_by_the_batch():
    y = array(layers.BatchNormalization(epsilon=1e-6)(X, training=True))
    np.testing.assert_allclose(y.mean((0, 1)), 0, atol=1e-5)
    np.testing.assert_allclose(y.std((0, 1)), 1, atol=1e-4)


def test_moving_statistics():
    layer = layers.BatchNormalization(momentum=0.9)
    mean, variance = np.zeros(3), np.ones(3)
    for scale in (1.0, 2.0):
        layer(X * scale, training=True)
        mean = 0.9 * mean + 0.1 * (X * scale).mean((0, 1))
        variance = 0.9 * variance + 0.1 * (X * scale).var((0, 1))
    np.testing.assert_allclose(array(layer.moving_mean), mean, rtol=1e-5)
    np.testing.assert_allclose(array(layer.moving_variance), variance, rtol=1e-5)
    y = array(layer(X))
    np.testing.assert_allclose(y, (X - mean) / np.sqrt(variance + 1e-3), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("frozen, training", [(True, True), (False, False), (False, None)])
def test_no_training_moves_nothing(frozen, training):
    layer = layers.BatchNormalization(trainable=not frozen)
    y = array(layer(X, training=training))
    np.testing.assert_allclose(y, X / np.sqrt(1.001), rtol=1e-5)
    np.testing.assert_array_equal(array(layer.moving_mean), np.zeros(3))


def test_building_a_graph_moves_nothing():
    layer = layers.BatchNormalization()
    layer(keras.Input((4, 3)), training=True)
    np.testing.assert_array_equal(array(layer.moving_mean), np.zeros(3))


def test_masked_rows_do_not_count():
    masked, plain = layers.BatchNormalization(), layers.BatchNormalization()
    dirty = np.where(MASK[..., None], X, np.inf).astype("float32")
    y = array(masked(dirty, training=True, mask=ops.convert_to_tensor(MASK)))
    expected = array(plain(X[MASK], training=True))
    np.testing.assert_allclose(y[MASK], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        array(masked.moving_variance), array(plain.moving_variance), rtol=1e-5
    )


def test_a_large_mean_does_not_cancel():
    x = (X.astype("float64") + 1e4).astype("float32")
    y = array(layers.BatchNormalization(epsilon=0.0)(x, training=True))
    exact = x.astype("float64")
    exact = (exact - exact.mean((0, 1))) / exact.std((0, 1))
    np.testing.assert_allclose(y, exact, atol=2e-3)


def test_half_precision_does_not_overflow():
    layer = layers.BatchNormalization(dtype="mixed_float16")
    y = layer((X * 1000).astype("float16"), training=True)
    assert y.dtype == "float16"
    assert np.isfinite(array(y)).all()
    assert layer.moving_variance.numpy().max() > 65504 * 0.01


@pytest.mark.parametrize("center", [True, False])
def test_second_derivative_of_standardize(center):
    """The derivative of a gradient against differences of gradients, by all three inputs."""
    generator = np.random.default_rng(2)
    x = generator.standard_normal((3, 5))
    weights, direction = generator.standard_normal((2, 3, 5))
    settings = {"axis": (1,), "epsilon": 1e-3, "center": center}

    def slope(values, watch=False):
        t = ops.convert_to_tensor(values)
        with keras.GradientTape() as outer:
            outer.watch(t)
            with keras.GradientTape() as inner:
                inner.watch(t)
                y = P.standardize(t, **settings)
                loss = ops.sum(ops.power(y, 3) * weights)
            along = ops.sum(inner.gradient(loss, t) * direction)
        return along, outer.gradient(along, t) if watch else None

    step = 1e-5
    _, found = slope(x, watch=True)
    for place in np.ndindex(3, 5):
        nudge = np.zeros_like(x)
        nudge[place] = step
        expected = (float(slope(x + nudge)[0]) - float(slope(x - nudge)[0])) / (2 * step)
        assert float(array(found)[place]) == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_adapt():
    layer, parts = layers.Normalization(), layers.Normalization()
    layer.adapt(X)
    parts.adapt([X[:1], X[1:4], X[4:]])
    for statistic in ("adapt_mean", "adapt_variance"):
        whole, joined = array(getattr(layer, statistic)), array(getattr(parts, statistic))
        np.testing.assert_allclose(joined, whole, rtol=1e-6)
    y = array(layer(X))
    np.testing.assert_allclose(y.mean((0, 1)), 0, atol=1e-5)
    np.testing.assert_allclose(y.var((0, 1)), 1, atol=1e-5)


@pytest.mark.parametrize(
    "action, error",
    [
        (lambda: layers.BatchNormalization(axis=3)(X), ShapeError),
        (lambda: layers.BatchNormalization(axis=0)(X), ShapeError),
        (lambda: layers.BatchNormalization()(X, mask=X), ShapeError),
        (lambda: layers.BatchNormalization()(keras.Input((None,))), ShapeError),
        (
            lambda: layers.BatchNormalization(
                renorm=True, renorm_clipping={"rmin": 2.0, "rmax": 1.0}
            ),
            ArgumentError,
        ),
        (lambda: layers.BatchNormalization(renorm=True, renorm_clipping={"r": 1}), ArgumentError),
        (lambda: layers.LayerNormalization(axis=4)(X), ShapeError),
        (lambda: layers.LayerNormalization(axis="last"), TypeError),
        (lambda: layers.GroupNormalization(2)(X), ArgumentError),
        (lambda: layers.GroupNormalization(6)(X), ArgumentError),
        (lambda: layers.Normalization(mean=1.0), ArgumentError),
        (lambda: layers.Normalization(mean=[1.0], variance=[1.0, 2.0]), ArgumentError),
        (lambda: layers.Normalization(mean=1.0, variance=1.0).adapt(X), ArgumentError),
        (lambda: layers.Normalization().adapt([]), DataError),
        (lambda: layers.Normalization().adapt(X[:0]), DataError),
    ],
)
def test_errors(action, error):
    with pytest.raises(error):
        action()


def step(layer, x, mask, training_weights):
    """Outputs, loss gradient by the inputs and by the weights."""
    t = ops.convert_to_tensor(x)
    t.batch = 0
    extra = {} if mask is None else {"mask": ops.convert_to_tensor(mask)}
    with keras.GradientTape() as tape:
        tape.watch(t)
        y = layer(t, training=True, **extra)
        loss = ops.sum(ops.power(y, 3) * training_weights)
    gradients = tape.gradient(loss, [t, *layer.trainable_weights])
    return y, gradients[0], gradients[1:]


@pytest.mark.mpi(sizes=(1, 2, 3))
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("cuts", [(2, 4), (1, 1), (0, 5)])
def test_the_batch_of_all_ranks_counts(masked, cuts):
    """Uneven shares, also none: the numbers of one process."""
    from distkeras import distribution
    from distkeras.strategies import DataParallel

    world = distribution.initialize()
    weights = np.random.default_rng(4).standard_normal(X.shape).astype("float32")
    alone = layers.BatchNormalization(momentum=0.5)
    alone.build(X.shape)
    alone.set_weights([np.linspace(0.5, 2, 3) + i for i in range(4)])
    mine = layers.BatchNormalization(momentum=0.5)
    mine.build(X.shape)
    mine.set_weights(alone.get_weights())
    expected = step(alone, X, MASK if masked else None, weights)

    ends = [0, *cuts[: world.size - 1], len(X)]
    rows = slice(ends[world.rank], ends[world.rank + 1])
    count = rows.stop - rows.start
    with DataParallel(world).step(rows.start, count, len(X)):
        found = step(mine, X[rows], MASK[rows] if masked else None, weights[rows])
    assert found[0].batch == 0
    for a, b in ((found[0], expected[0]), (found[1], expected[1])):
        np.testing.assert_allclose(array(a), array(b)[rows], rtol=1e-4, atol=1e-4)
    for a, b in zip(found[2], expected[2], strict=True):
        np.testing.assert_allclose(array(a), array(b), rtol=1e-4, atol=1e-4)
    for a, b in zip(mine.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)
