"""Random numbers: distributions, seeds, and rows that do not depend on how the batch is divided."""

import math
import random as python_random

import numpy as np
import pytest

import distkeras as keras
from distkeras import ops, random
from distkeras.engine import context
from distkeras.engine.tape import GradientTape
from distkeras.errors import ArgumentError, ShapeError
from distkeras.ops.symbolic import KerasTensor
from distkeras.utils.seeding import set_random_seed

SHAPE = (400, 501)
N = math.prod(SHAPE)

# name: (draw, mean, variance, least, greatest)
PHI2 = math.erf(math.sqrt(2))
TRUNCATED = 1 - 4 * math.exp(-2) / math.sqrt(2 * math.pi) / PHI2
DISTRIBUTIONS = {
    "uniform": (lambda **k: random.uniform(SHAPE, **k), 0.5, 1 / 12, 0, 1 - 2**-24),
    "uniform ends": (lambda **k: random.uniform(SHAPE, -1.5, 2.5, **k), 0.5, 16 / 12, -1.5, 2.5),
    "uniform double": (
        lambda **k: random.uniform(SHAPE, dtype="float64", **k), 0.5, 1 / 12, 0, 1 - 2**-53
    ),
    "normal": (lambda **k: random.normal(SHAPE, **k), 0, 1, -7, 7),
    "normal moments": (lambda **k: random.normal(SHAPE, 2.0, 3.0, **k), 2, 9, -19, 23),
    "normal double": (lambda **k: random.normal(SHAPE, dtype="float64", **k), 0, 1, -7, 7),
    "truncated_normal": (lambda **k: random.truncated_normal(SHAPE, **k), 0, TRUNCATED, -2, 2),
    "truncated moments": (
        lambda **k: random.truncated_normal(SHAPE, 1.0, 0.5, **k), 1, TRUNCATED / 4, 0, 2
    ),
    "randint": (lambda **k: random.randint(SHAPE, -3, 7, **k), 1.5, 99 / 12, -3, 6),
    "gamma": (lambda **k: random.gamma(SHAPE, 2.5, **k), 2.5, 2.5, 0, 40),
    "gamma below 1": (lambda **k: random.gamma(SHAPE, 0.3, **k), 0.3, 0.3, 0, 40),
    "beta": (lambda **k: random.beta(SHAPE, 2.0, 3.0, **k), 0.4, 0.04, 0, 1),
    "binomial few": (lambda **k: random.binomial(SHAPE, 9, 0.8, **k), 7.2, 1.44, 0, 9),
    "binomial many": (lambda **k: random.binomial(SHAPE, 90, 0.4, **k), 36, 21.6, 0, 90),
}  # fmt: skip


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_moments(name):
    draw, mean, variance, least, greatest = DISTRIBUTIONS[name]
    x = draw(seed=11).numpy().astype("float64")
    assert least <= x.min()
    assert x.max() <= greatest
    assert abs(x.mean() - mean) < 4.5 * math.sqrt(variance / N)
    fourth = ((x - mean) ** 4).mean()
    assert abs(x.var() - variance) < 4.5 * math.sqrt((fourth - variance**2) / N)
    # Neighbours along both axes are not correlated.
    z = (x - x.mean()) / x.std()
    for product in (z[1:] * z[:-1], z[:, 1:] * z[:, :-1], z[:, 2:] * z[:, :-2]):
        assert abs(product.mean()) < 4.5 / math.sqrt(product.size)
    again, other = draw(seed=11).numpy(), draw(seed=12).numpy()
    np.testing.assert_array_equal(again, draw(seed=11).numpy())
    assert (again != other).any()


@pytest.mark.parametrize("name", ["uniform", "normal", "truncated_normal"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_dtypes(name, dtype):
    x = getattr(random, name)((100, 333), dtype=dtype, seed=3)
    assert x.dtype == dtype
    values = x.numpy().astype("float64")
    assert np.isfinite(values).all()
    if name == "uniform":
        assert values.max() < 1
        assert values.min() >= 0


def test_uniform_buckets():
    counts = np.bincount((random.uniform(SHAPE, seed=5).numpy() * 64).astype(int).ravel())
    expected = N / 64
    chi_square = ((counts - expected) ** 2 / expected).sum()
    assert len(counts) == 64
    assert chi_square < 63 + 5 * math.sqrt(2 * 63)


def test_normal_follows_its_distribution_function():
    x = np.sort(random.normal((50_000,), seed=5).numpy().astype("float64"))
    cdf = np.array([0.5 * (1 + math.erf(v / math.sqrt(2))) for v in x[::10]])
    assert np.abs(cdf - np.arange(0, 50_000, 10) / 50_000).max() < 1.95 / math.sqrt(50_000)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64", "uint64"])
def test_randint_covers_the_range_of_its_dtype(dtype):
    info = np.iinfo(dtype)
    x = random.randint((4000,), info.min, int(info.max) + 1, dtype=dtype, seed=1).numpy()
    assert x.dtype == dtype
    middle = (int(info.min) + int(info.max)) / 2
    assert abs((x.astype("float64") - middle).mean()) < 0.05 * (float(info.max) - float(info.min))


def test_categorical_frequencies():
    p = np.array([[0.0, 0.2, 0.3, 0.5, 0.0], [0.9, 0.1, 0.0, 0.0, 0.0]])
    with np.errstate(divide="ignore"):
        logits = np.log(p).astype("float32") + 3
    draws = random.categorical(np.tile(logits, (20, 1)), 2500, seed=2)
    assert draws.shape == (40, 2500)
    assert draws.dtype == "int32"
    for i in range(2):
        found = np.bincount(draws.numpy()[i::2].ravel(), minlength=5) / 50_000
        assert (np.abs(found - p[i]) <= 4.5 * np.sqrt(p[i] * (1 - p[i]) / 50_000)).all()


def test_binomial_at_its_edges():
    counts = np.array([0.0, 5, 5, 5, -1])
    p = np.array([0.5, 0, 1, 1.5, 0.5])
    x = random.binomial((5,), counts, p, seed=1).numpy()
    np.testing.assert_array_equal(x, [0, 0, 5, np.nan, np.nan])


def test_shuffle_keeps_slices_whole():
    x = np.arange(60).reshape(20, 3)
    rows = random.shuffle(x, seed=4).numpy()
    assert (rows != x).any()
    np.testing.assert_array_equal(rows[np.argsort(rows[:, 0])], x)
    columns = random.shuffle(x, axis=1, seed=5).numpy()
    np.testing.assert_array_equal(np.sort(columns, axis=1), x)


# --- dropout ---


def test_dropout_zeroes_and_rescales():
    x = ops.ones(SHAPE)
    for rate in (0.1, 0.5, 0.9, 0.0003):
        y = random.dropout(x, rate, seed=1).numpy()
        kept = y != 0
        np.testing.assert_allclose(y[kept], 1 / (1 - rate), rtol=1e-6)
        assert abs((1 - kept.mean()) - rate) < 4.5 * math.sqrt(rate * (1 - rate) / N)
    np.testing.assert_array_equal(random.dropout(x, 0.0, seed=1).numpy(), x.numpy())
    assert not random.dropout(x, 1.0, seed=1).numpy().any()
    assert random.dropout(ops.ones((4,), dtype="float16"), 0.5, seed=1).dtype == "float16"


def test_dropout_gradient_uses_the_same_mask():
    x = ops.convert_to_tensor(np.random.default_rng(0).standard_normal((6, 7)))
    with GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = random.dropout(x, 0.4, seed=3)
        total = ops.sum(y * y)
    scale = np.where(y.numpy() != 0, 1 / 0.6, 0)
    np.testing.assert_allclose(tape.gradient(y, x).numpy(), scale, rtol=1e-12)
    np.testing.assert_allclose(
        tape.gradient(total, x).numpy(), 2 * scale**2 * x.numpy(), rtol=1e-12
    )


def test_noise_shape():
    x = ops.ones((64, 5, 6))
    y = random.dropout(x, 0.5, noise_shape=(None, 1, None), seed=1).numpy()
    assert (y == y[:, :1]).all()
    assert (y != y[:1]).any()
    y = random.dropout(x, 0.5, noise_shape=(1, 5, 6), seed=1).numpy()
    assert (y == y[:1]).all()
    for wrong in ((64, 2, 6), (64, 5)):
        with pytest.raises(ShapeError, match="noise_shape"):
            random.dropout(x, 0.5, noise_shape=wrong, seed=1)


# --- one batch on several ranks ---

ROWS, WIDTH = 8, 37
LOGITS = np.linspace(0, 1, ROWS * 5).reshape(ROWS, 5)
PER_SAMPLE = {
    "normal": lambda rows: random.normal((len(rows), WIDTH), seed=3, batch_axis=0),
    "uniform": lambda rows: random.uniform((len(rows), WIDTH), seed=3, batch_axis=0),
    "uniform double": lambda rows: random.uniform(
        (len(rows), 3, 5), dtype="float64", seed=3, batch_axis=0
    ),
    "truncated": lambda rows: random.truncated_normal((len(rows), 2), seed=3, batch_axis=0),
    "randint": lambda rows: random.randint((len(rows), WIDTH), 0, 99, seed=3, batch_axis=0),
    "gamma": lambda rows: random.gamma((len(rows), WIDTH), 0.7, seed=3, batch_axis=0),
    "beta": lambda rows: random.beta((len(rows), WIDTH), 0.7, 2.0, seed=3, batch_axis=0),
    "binomial": lambda rows: random.binomial((len(rows), WIDTH), 50, 0.4, seed=3, batch_axis=0),
    "categorical": lambda rows: random.categorical(LOGITS[rows], 20, seed=3),
    "dropout": lambda rows: random.dropout(ops.ones((len(rows), WIDTH)), 0.5, seed=3),
    "dropout rare": lambda rows: random.dropout(ops.ones((len(rows), 4000)), 9e-4, seed=3),
    "dropout of one": lambda rows: random.dropout(ops.ones((len(rows), 9)), 0.5, (None, 1), seed=3),
}


@pytest.mark.parametrize("name", PER_SAMPLE)
@pytest.mark.parametrize("parts", [(4, 4), (1, 0, 5, 2)])
def test_rows_do_not_depend_on_the_division(name, parts):
    draw = PER_SAMPLE[name]
    whole = draw(np.arange(ROWS)).numpy()
    assert len(np.unique(whole, axis=0)) > 1
    found, start = [], 0
    for n in parts:
        with context.changed(sample_offset=start):
            found.append(draw(np.arange(start, start + n)).numpy())
        start += n
    np.testing.assert_array_equal(np.concatenate(found), whole)


def test_a_batch_axis_that_is_not_the_first():
    whole = random.normal((3, ROWS, 5), seed=3, batch_axis=1).numpy()
    with context.changed(sample_offset=6):
        part = random.normal((3, 2, 5), seed=3, batch_axis=1).numpy()
    np.testing.assert_array_equal(part, whole[:, 6:])


def test_rows_of_samples_merged_with_time():
    whole = random.dropout(ops.ones((ROWS * 3, 7)), 0.5, seed=3).numpy()
    with context.changed(sample_offset=6, rows=(2, ROWS)):
        part = random.dropout(ops.ones((2 * 3, 7)), 0.5, seed=3).numpy()
    np.testing.assert_array_equal(part, whole[18:])


def test_draws_without_a_batch_axis_are_alike_on_all_ranks():
    whole = random.normal((4, 5), seed=3).numpy()
    masks = random.dropout(ops.ones((4, 5)), 0.5, (1, 5), seed=3).numpy()
    with context.changed(sample_offset=17):
        np.testing.assert_array_equal(random.normal((4, 5), seed=3).numpy(), whole)
        np.testing.assert_array_equal(
            random.dropout(ops.ones((4, 5)), 0.5, (1, 5), seed=3).numpy(), masks
        )


# --- seeds ---


def test_a_generator_counts_and_its_variable_is_the_truth():
    seeds = random.SeedGenerator(7)
    first, second = (random.uniform((3,), seed=seeds).numpy() for _ in range(2))
    assert (first != second).all()
    np.testing.assert_array_equal(seeds.state.numpy(), [7, 2])
    seeds.state.assign([7, 0])
    np.testing.assert_array_equal(random.uniform((3,), seed=seeds).numpy(), first)
    np.testing.assert_array_equal(random.uniform((3,), seed=seeds).numpy(), second)
    np.testing.assert_array_equal(seeds.next().numpy(), [7, 2])
    seeds.state.assign([7, 2**32 - 1])
    assert seeds.next().numpy().tolist() == [7, 2**32 - 1]
    assert seeds.state.numpy().tolist() == [7, 0]


def test_the_first_draw_of_a_generator_is_that_of_its_integer():
    a = random.normal((3,), seed=random.SeedGenerator(7)).numpy()
    np.testing.assert_array_equal(a, random.normal((3,), seed=7).numpy())


def test_generator_configuration():
    seeds = random.SeedGenerator(5, name="mine")
    assert seeds.get_config() == {"seed": 5, "name": "mine"}
    assert random.SeedGenerator.from_config(seeds.get_config()).get_config() == seeds.get_config()
    assert random.SeedGenerator().get_config()["seed"] is None
    assert random.SeedGenerator(2**40 + 3).state.numpy().tolist() == [3, 0]
    assert random.SeedGenerator(-1).state.numpy().tolist() == [2**32 - 1, 0]
    with pytest.raises(ArgumentError, match="integer"):
        random.SeedGenerator(1.5)
    with pytest.raises(ArgumentError, match="Unrecognized"):
        random.SeedGenerator(1, sed=2)


def test_set_random_seed():
    def draws():
        keras_draw = random.normal((3,)).numpy().tolist(), random.normal((3,)).numpy().tolist()
        return (
            keras_draw,
            python_random.random(),
            np.random.rand(),
            random.SeedGenerator().state.numpy()[0],
        )

    set_random_seed(3)
    first = draws()
    set_random_seed(3)
    assert draws() == first
    assert first[0][0] != first[0][1]
    set_random_seed(4)
    assert draws() != first
    with pytest.raises(ArgumentError, match="integer"):
        set_random_seed("3")


def test_a_graph_draws_nothing_while_it_is_built():
    seeds = random.SeedGenerator(7)
    y = random.dropout(KerasTensor((None, 3)), 0.5, seed=seeds)
    assert (y.shape, y.dtype) == ((None, 3), "float32")
    assert random.categorical(KerasTensor((None, 3)), 2, seed=seeds).shape == (None, 2)
    assert seeds.state.numpy().tolist() == [7, 0]


WRONG = {
    "float seed": (lambda: random.normal((2,), seed=1.5), "either an integer"),
    "integer dtype": (lambda: random.uniform((2,), dtype="int32"), "floating point"),
    "float dtype": (lambda: random.randint((2,), 0, 2, dtype="float32"), "integer `dtype`"),
    "empty range": (lambda: random.randint((2,), 2, 2), "below"),
    "beyond the dtype": (lambda: random.randint((2,), -1, 2, dtype="uint8"), "does not fit"),
    "unknown size": (lambda: random.normal((None, 2)), "known sizes"),
    "negative size": (lambda: random.normal((-1, 2)), "not negative"),
    "axis": (lambda: random.normal((2,), batch_axis=1), "out of range"),
    "gamma axis": (lambda: random.gamma((2, 2), 1.0, batch_axis=1), "0 or None"),
    "logits": (lambda: random.categorical([1.0, 2.0], 2), "2-D"),
    "rate": (lambda: random.dropout([1.0], 1.5), "from 0 to 1"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments(name):
    call, message = WRONG[name]
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert isinstance(caught.value, keras.errors.DistkerasError)
