"""Layers against Keras: outputs, gradients by inputs and weights, states, over one table."""

import numpy as np
import pytest

import distkeras as keras

from . import cases_layers
from .formula import sample, set_formula_weights
from .load import read_npz, read_packed

TOLERANCE = {"rtol": 1e-4, "atol": 2e-5}


def shapes() -> dict:
    """Return the shape of each stored array."""
    raw = read_npz("layers.npz")
    return dict(zip(map(str, raw["names"]), map(str, raw["shapes"]), strict=True))


SHAPES = shapes()
WEIGHTS = dict(str(line).rsplit("|", 1) for line in read_npz("layers.npz")["weights"])


def array(value) -> np.ndarray:
    """Return a tensor as a NumPy array."""
    return np.asarray(keras.ops.convert_to_numpy(value))


def check(found, key: str) -> None:
    """Compare shape and sampled values."""
    found = array(found)
    assert ",".join(map(str, found.shape)) == SHAPES[key], key
    np.testing.assert_allclose(
        sample(found).astype("float32"), read_packed("layers.npz")[key], err_msg=key, **TOLERANCE
    )


@pytest.mark.parametrize("case", cases_layers.CASES, ids=cases_layers.key)
def test_layer(case):
    _, _, kind, options = cases_layers.parts(case)
    name = cases_layers.key(case)
    inputs = cases_layers.INPUTS[kind]()
    many = isinstance(inputs, list)
    tensors = [keras.ops.convert_to_tensor(x) for x in (inputs if many else [inputs])]
    layer = cases_layers.build(keras, case)
    shape = [tuple(x.shape) for x in inputs] if many else inputs.shape
    layer.build(shape)
    found = ";".join(f"{w.name} {tuple(int(d) for d in w.shape)}" for w in layer.weights)
    assert found == WEIGHTS[name]
    set_formula_weights(name, layer)
    states = [keras.ops.convert_to_tensor(s) for s in cases_layers.states(case)]
    call = {k: v for k, v in options.items() if k == "training"}
    if "mask" in options:
        call["mask"] = keras.ops.convert_to_tensor(options["mask"])
    if states:
        call["initial_state"] = states
    sources = [t for t, x in zip(tensors, inputs if many else [inputs], strict=True) if is_real(x)]
    sources += states
    with keras.GradientTape() as tape:
        for source in sources:
            tape.watch(source)
        for _ in range(options.get("calls", 1)):
            outputs = layer(tensors if many else tensors[0], **call)
        outputs = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
        total = 0.0
        for i, output in enumerate(outputs):
            cotangent = cases_layers.cotangent(i, tuple(int(d) for d in output.shape))
            total = total + keras.ops.sum(output * keras.ops.convert_to_tensor(cotangent))
    sources += layer.trainable_weights
    if getattr(layer, "stateful", False):  # what a state of an earlier call gives is not compared
        sources = []
    gradients = tape.gradient(total, sources) if sources else []
    for i, output in enumerate(outputs):
        check(output, f"{name}|output{i}")
    assert f"{name}|output{len(outputs)}" not in SHAPES
    for i, gradient in enumerate(gradients):
        if f"{name}|gradient{i}" in SHAPES:
            check(gradient, f"{name}|gradient{i}")
    assert f"{name}|gradient{len(gradients)}" not in SHAPES
    for i, weight in enumerate(layer.non_trainable_weights):
        check(weight, f"{name}|state{i}")
    symbolic = layer.compute_output_shape(shape)
    symbolic = symbolic[0] if isinstance(symbolic[0], (list, tuple)) else symbolic
    assert tuple(symbolic) == tuple(int(d) for d in outputs[0].shape)


def is_real(value) -> bool:
    """Return whether a gradient exists for this input."""
    return value.dtype == np.float32


def test_layer_normalization_over_an_inner_axis():
    """An axis in the middle is the same as the last one after a transposition."""
    x = cases_layers.INPUTS["sequence"]()
    inner, last = keras.layers.LayerNormalization(axis=1), keras.layers.LayerNormalization()
    inner.build(x.shape)
    last.build((3, 4, 6))
    for layer in (inner, last):
        set_formula_weights("inner", layer)
    expected = np.transpose(array(last(np.transpose(x, (0, 2, 1)))), (0, 2, 1))
    np.testing.assert_allclose(array(inner(x)), expected, rtol=1e-5, atol=1e-6)
