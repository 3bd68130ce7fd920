"""Initializers: statistics against Keras's, fans, seeds, configurations, names."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

import distkeras as keras
from distkeras import initializers, ops, random
from distkeras.errors import ArgumentError, ShapeError, UnknownNameError
from distkeras.initializers.scaling import compute_fans
from distkeras.utils.seeding import set_random_seed
from reference import cases_configs as cases

DATA = Path(cases.__file__).parent / "data" / "configs.json"
REFERENCE = json.loads(DATA.read_text())["initializers"]
DETERMINISTIC = ("Zeros", "Ones", "Constant", "Identity")


def make(case, **more):
    return getattr(initializers, case[0])(**case[1], **more)


@pytest.mark.parametrize("case", cases.INITIALIZERS, ids=cases.key)
def test_configuration(case):
    expected = REFERENCE[cases.key(case)]["config"]
    if case[0] == "Identity":
        # Keras forgets the gain when it saves; it reads it where it stands.
        expected = {"gain": 2.0}
    made = make(case)
    assert made.get_config() == expected
    assert type(made).from_config(made.get_config()).get_config() == expected
    assert initializers.deserialize(initializers.serialize(made)).get_config() == expected
    assert initializers.serialize(made)["module"] == "keras.initializers"
    assert type(initializers.get(case[0])) is type(made)


@pytest.mark.parametrize("shape", cases.FANS, ids=str)
@pytest.mark.parametrize(
    "case", [c for c in cases.INITIALIZERS if c[0] not in ("Identity", "Orthogonal")], ids=cases.key
)
def test_values_spread_as_in_keras(case, shape):
    least, most, mean, deviation, size = REFERENCE[cases.key(case)][",".join(map(str, shape))]
    draws = int(size) // math.prod(shape)
    seeds = [{}] if case[0] in DETERMINISTIC else [{"seed": i} for i in range(draws)]
    values = np.concatenate([make(case, **s)(shape).numpy().ravel() for s in seeds])
    assert values.size == size
    assert values.dtype == np.float32
    if case[0] in DETERMINISTIC:
        assert {least, most, mean} == {values.min(), values.max(), values.mean()}
        return
    # Both samples are random: their means differ by sqrt(2 / n) deviations, give or take.
    assert abs(values.mean() - mean) < 5 * deviation * math.sqrt(2 / size)
    assert abs(values.std() / deviation - 1) < 5 / math.sqrt(size)
    bounded = "untruncated" not in cases.key(case) and case[0] != "RandomNormal"
    if bounded and size > 1000:  # the ends of the support show within a hundredth
        width = most - least
        assert abs(values.min() - least) < 0.02 * width
        assert abs(values.max() - most) < 0.02 * width


def test_fans():
    assert compute_fans(()) == (1, 1)
    assert compute_fans((7,)) == (7, 7)
    assert compute_fans((3, 5)) == (3, 5)
    assert compute_fans((3, 3, 16, 32)) == (144, 288)
    assert compute_fans((4, 5, 6), input_axes=(0, 2), output_axes=(1,)) == (24, 5)


def test_axes_of_fans_reach_the_variance():
    shape = (50, 4, 30)
    w = initializers.HeNormal(seed=1, input_axes=(1, 2), output_axes=(0,))(shape).numpy()
    assert abs(w.std() / math.sqrt(2 / 120) - 1) < 0.05


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5), (2, 3, 4), (1, 1)])
def test_orthogonal(shape):
    w = initializers.Orthogonal(gain=2.0, seed=3)(shape, dtype="float64").numpy()
    flat = w.reshape(-1, shape[-1]) / 2
    product = flat.T @ flat if flat.shape[0] >= flat.shape[1] else flat @ flat.T
    np.testing.assert_allclose(product, np.eye(len(product)), atol=1e-12)


def test_orthogonal_matrices_are_uniform():
    """Of both determinants, with entries of mean 0 and variance 1/3."""
    w = np.stack([initializers.Orthogonal(seed=i)((3, 3)).numpy() for i in range(400)])
    assert 0.4 < (np.linalg.det(w) > 0).mean() < 0.6
    assert np.abs(w.mean(axis=0)).max() < 5 / math.sqrt(3 * 400)
    assert np.abs((w**2).mean(axis=0) - 1 / 3).max() < 0.08


def test_deterministic_values():
    np.testing.assert_array_equal(
        initializers.Identity(2.0)((2, 3)).numpy(), 2 * np.eye(2, 3, dtype="float32")
    )
    np.testing.assert_array_equal(initializers.Constant([1.0, 2.0])((3, 2)).numpy(), [[1, 2]] * 3)
    assert initializers.Ones()((2,), dtype="int32").dtype == "int32"
    assert initializers.Constant(0.5)((), dtype="float16").dtype == "float16"


@pytest.mark.parametrize("name", ["RandomNormal", "GlorotUniform", "TruncatedNormal", "Orthogonal"])
def test_seeds(name):
    cls = getattr(initializers, name)

    def draw(made):
        return made((4, 3)).numpy().tolist()

    fixed = cls(seed=5)
    assert draw(fixed) == draw(fixed) == draw(cls(seed=5)) == draw(fixed.clone())
    assert draw(fixed) != draw(cls(seed=6))
    counting = cls(seed=random.SeedGenerator(5, name="mine"))
    first = draw(counting)
    assert first == draw(fixed)
    assert first != draw(counting)
    again = initializers.deserialize(initializers.serialize(counting))
    assert draw(again) == first
    assert draw(cls()) != draw(cls())
    set_random_seed(1)
    a = draw(cls())
    set_random_seed(1)
    assert draw(cls()) == a


def test_variables_begin_with_them():
    v = keras.Variable(initializers.get("he_normal"), shape=(3, 4), dtype="float16")
    assert (v.shape, v.dtype) == ((3, 4), "float16")


def test_get():
    assert initializers.get(None) is None
    for name, cls in (("zeros", "Zeros"), ("one", "Ones"), ("normal", "RandomNormal")):
        assert type(initializers.get(name)).__name__ == cls
    for name in ("OrthogonalInitializer", "orthogonal", "Orthogonal"):
        assert isinstance(initializers.get(name), initializers.Orthogonal)
    assert isinstance(initializers.get(initializers.HeNormal), initializers.HeNormal)
    made = initializers.get({"class_name": "VarianceScaling", "config": {"scale": 3.0}})
    assert made.scale == 3.0

    def own(shape, dtype=None):
        return ops.ones(shape, dtype)

    assert initializers.get(own) is own
    value = initializers.get(np.array([1.0, 2.0]))
    assert value((2,)).tolist() == [1, 2]
    with pytest.raises(ShapeError, match="direct tensor"):
        value((3,))
    with pytest.raises(UnknownNameError, match="he_normal"):
        initializers.get("he_norml")
    with pytest.raises(ArgumentError, match="Could not interpret"):
        initializers.get(7)


WRONG = {
    "scale": lambda: initializers.VarianceScaling(scale=0.0),
    "mode": lambda: initializers.VarianceScaling(mode="fan"),
    "distribution": lambda: initializers.VarianceScaling(distribution="cauchy"),
    "seed": lambda: initializers.HeNormal(seed="1"),
    "identity": lambda: initializers.Identity()((2, 2, 2)),
    "orthogonal": lambda: initializers.Orthogonal()((2,)),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments(name):
    with pytest.raises(keras.errors.DistkerasError) as caught:
        WRONG[name]()
    assert isinstance(caught.value, ValueError)
