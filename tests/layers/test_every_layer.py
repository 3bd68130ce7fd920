"""What holds for each layer: shapes, empty batches, policies, configurations, gradients."""

import json

import numpy as np
import pytest

import distkeras as keras
from layers.table import CASES

NAMES = [name for name, _, _ in CASES]
# In training these draw anew at each call, or hold corrections fixed by definition.
NO_DIFFERENCES = ("Dropout", "Noise", "dropout", "renorm")
DIFFERENTIABLE = [
    (case, training)
    for case in CASES
    for training in (False, True)
    if not (training and any(word in case[0] for word in NO_DIFFERENCES))
]


def inputs_of(sample, rows=2, dtype="float32"):
    """Return numbers of the shape of a sample, or a list of them."""
    generator = np.random.default_rng(7)
    if isinstance(sample, list):
        return [generator.standard_normal((rows, *s)).astype(dtype) for s in sample]
    return generator.standard_normal((rows, *sample)).astype(dtype)


def symbols_of(sample, batch=None):
    """Return inputs of a graph."""
    if isinstance(sample, list):
        return [keras.Input(s, batch_size=batch) for s in sample]
    return keras.Input(sample, batch_size=batch)


def shape(x):
    return tuple(x.shape)


@pytest.mark.parametrize("name, make, sample", CASES, ids=NAMES)
def test_shapes_are_known_before_the_data(name, make, sample):
    layer = make()
    found = layer(inputs_of(sample))
    for batch in (None, 2):
        symbol = layer(symbols_of(sample, batch))
        assert shape(symbol) == (batch, *shape(found)[1:])
        assert symbol.dtype == found.dtype
    shapes = [(None, *s) for s in sample] if isinstance(sample, list) else (None, *sample)
    assert tuple(layer.compute_output_shape(shapes)) == (None, *shape(found)[1:])


@pytest.mark.parametrize("name, make, sample", CASES, ids=NAMES)
def test_a_graph_comes_first(name, make, sample):
    layer = make()
    symbol = layer(symbols_of(sample))
    assert shape(layer(inputs_of(sample))) == (2, *shape(symbol)[1:])


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name, make, sample", CASES, ids=NAMES)
def test_an_empty_batch(name, make, sample, training):
    layer = make()
    full = shape(layer(inputs_of(sample), training=training))
    before = [w.numpy() for w in layer.non_trainable_weights]
    empty = layer(inputs_of(sample, rows=0), training=training)
    assert shape(empty) == (0, *full[1:])
    for w, old in zip(layer.non_trainable_weights, before, strict=True):
        assert np.isfinite(w.numpy()).all(), w.path
        if not getattr(layer, "renorm", False):
            np.testing.assert_allclose(w.numpy(), old, rtol=1e-6, err_msg=w.path)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "bfloat16", "float64"])
@pytest.mark.parametrize("name, make, sample", CASES, ids=NAMES)
def test_policies(name, make, sample, policy):
    keras.config.set_dtype_policy(policy)
    try:
        layer = make()
        given = inputs_of(sample)
        found = layer(given)
    finally:
        keras.config.set_dtype_policy(None)
    assert found.dtype == layer.compute_dtype
    for w in layer.weights:
        assert w.numpy().dtype.name in (layer.variable_dtype, "int32")
    exact = make()
    exact(given)
    exact.set_weights([np.asarray(w).astype("float32") for w in layer.get_weights()])
    expected = np.asarray(exact(given))
    np.testing.assert_allclose(np.asarray(found).astype("float32"), expected, rtol=0.1, atol=0.1)


@pytest.mark.parametrize("name, make, sample", CASES, ids=NAMES)
def test_a_configuration_makes_the_layer_again(name, make, sample):
    layer = make()
    given = inputs_of(sample)
    expected = np.asarray(layer(given))
    config = json.loads(json.dumps(keras.layers.serialize(layer)))
    again = keras.layers.deserialize(config)
    assert type(again) is type(layer)
    assert again.name == layer.name
    again(given)
    again.set_weights(layer.get_weights())
    np.testing.assert_allclose(np.asarray(again(given)), expected, rtol=1e-6)
    assert json.loads(json.dumps(keras.layers.serialize(again))) == config


@pytest.mark.parametrize(
    "case, training", DIFFERENTIABLE, ids=[f"{c[0]}-{t}" for c, t in DIFFERENTIABLE]
)
def test_gradients_against_differences(case, training):
    """Along one direction, in double precision; the inputs lie off the kinks."""
    _, make, sample = case
    layer = keras.layers.deserialize(_in_double(keras.layers.serialize(make())))
    given = inputs_of(sample, dtype="float64")
    many = isinstance(sample, list)
    start = [keras.ops.convert_to_tensor(x) for x in (given if many else [given])]
    layer(start if many else start[0])
    state = layer.get_weights()
    generator = np.random.default_rng(3)

    def loss(tensors):
        layer.set_weights(state)
        y = layer(tensors if many else tensors[0], training=training)
        weights = np.random.default_rng(5).standard_normal(shape(y))
        return keras.ops.sum(keras.ops.square(y) * weights)

    with keras.GradientTape() as tape:
        tape.watch(start)
        value = loss(start)
    slopes = tape.gradient(value, start)
    ways = [generator.standard_normal(shape(x)) for x in start]
    step = 1e-6

    def at(distance):
        moved = [x.numpy() + distance * w for x, w in zip(start, ways, strict=True)]
        return float(loss([keras.ops.convert_to_tensor(x) for x in moved]))

    ends = at(step), at(-step)
    expected = (ends[0] - ends[1]) / (2 * step)
    found = sum(float(np.sum(g.numpy() * w)) for g, w in zip(slopes, ways, strict=True))
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-6)


def _in_double(config):
    """A configuration with every policy float64."""
    if isinstance(config, dict):
        if config.get("class_name") == "DTypePolicy":
            return {**config, "config": {"name": "float64"}}
        changed = {k: _in_double(v) for k, v in config.items()}
        return {**changed, "dtype": "float64"} if config.get("dtype") == "float32" else changed
    return [_in_double(c) for c in config] if isinstance(config, list | tuple) else config
