import numpy as np
import pytest

from distkeras.datasets import iris
from distkeras.errors import ArgumentError


def test_shapes_types_and_names():
    (x_train, y_train), (x_test, y_test) = iris.load_data()
    assert x_train.shape == (120, 4)
    assert x_test.shape == (30, 4)
    assert y_train.shape == (120,)
    assert y_test.shape == (30,)
    assert x_train.dtype == np.float32
    assert y_test.dtype == np.uint8
    assert len(iris.FEATURE_NAMES) == 4
    assert iris.SPECIES == ("setosa", "versicolor", "virginica")


def test_the_numbers_are_fishers():
    (x, y), _ = iris.load_data(test_split=0)
    assert np.bincount(y).tolist() == [50, 50, 50]
    np.testing.assert_allclose(x.mean(0), [5.843333, 3.057333, 3.758, 1.199333], rtol=1e-5)
    rows = {tuple(row) for row in np.round(x[y == 0].astype(float), 1).tolist()}
    # Two rows in which a widespread copy differs from the paper.
    assert (4.9, 3.1, 1.5, 0.2) in rows
    assert (4.9, 3.6, 1.4, 0.1) in rows


def test_the_seed_decides_the_split():
    (first, _), _ = iris.load_data(seed=1)
    (again, _), _ = iris.load_data(seed=1)
    (other, _), _ = iris.load_data(seed=2)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("split, counts", [(0.0, (150, 0)), (0.5, (75, 75)), (0.99, (2, 148))])
def test_the_split_is_a_fraction(split, counts):
    (x_train, _), (x_test, _) = iris.load_data(test_split=split)
    assert (len(x_train), len(x_test)) == counts


@pytest.mark.parametrize("split", [-0.1, 1.0, 2, float("nan")])
def test_a_split_outside_the_unit_interval_is_refused(split):
    with pytest.raises(ArgumentError, match="test_split"):
        iris.load_data(test_split=split)
