"""Public classes, functions and methods take Keras's arguments: names, order and defaults."""

import pytest

import distkeras as keras

from .load import read_json
from .signatures import BASES, NAMESPACES, public, signature_of

EXPECTED = read_json("signatures.json")

_ADDERS = ("variable", "weight")

# What differs on purpose, and why.
_BASE = "Keras writes *args, **kwargs, where its constructor takes what ours names"
_ROWS = "`batch_axis` says which axis of the shape counts samples"
_MORE = "ours takes `aggregation` and `overwrite_with_gradient` everywhere, by position as well"
DELIBERATE = {
    "KerasTensor": "Keras's **kwargs are for ragged tensors",
    "Layer": _BASE,
    "layers.Layer": _BASE,
    "Operation": _BASE,
    "Optimizer": _BASE,
    "optimizers.Optimizer": _BASE,
    "Variable": "`layout` belongs to Keras's own distribution",
    "ops.amax": "the same function as `max`",
    "ops.amin": "the same function as `min`",
    "ops.multi_hot": "Keras's **kwargs is an older name of `inputs`",
    "utils.Progbar": "`file` is where the bar is written",
    **{f"random.{n}": _ROWS for n in "beta binomial gamma normal randint".split()},
    **{f"random.{n}": _ROWS for n in "truncated_normal uniform".split()},
    **{f"{c}.add_{n}": _MORE for c in ("Layer", "Model", "Sequential") for n in _ADDERS},
    "Layer.build": "the base accepts the shapes of several inputs",
    "Model.build": "without shapes a model says that it cannot be built",
    "Metric.add_variable": "`initializer` may be left out",
    "Optimizer.apply_gradients": "arguments of Keras 2 are refused by name",
}


def differing(found: dict, expected: dict, space: str) -> dict:
    """Name -> (ours, Keras's), where a name of both has other arguments without a reason."""
    return {
        name: (found[name], expected[name])
        for name in found.keys() & expected.keys()
        if found[name] != expected[name] and f"{space}.{name}".lstrip(".") not in DELIBERATE
    }


@pytest.mark.parametrize("space", NAMESPACES)
def test_functions_and_classes(space):
    found = {name: signature_of(value) for name, value in public(keras, space)}
    assert found.keys() & EXPECTED[space or "keras"].keys()
    assert not differing(found, EXPECTED[space or "keras"], space)


@pytest.mark.parametrize("base", BASES)
def test_methods(base):
    expected = EXPECTED[f"keras.{base}"]
    found = {n: signature_of(getattr(getattr(keras, base), n, None)) for n in expected}
    found = {n: s for n, s in found.items() if s is not None}
    assert found
    assert not differing(found, expected, base)


def test_positional_arguments_reach_the_cell():
    layer = keras.layers.GRU(3, "relu", "tanh", False, "ones", "zeros", "zeros", "l2")
    cell = layer.cell
    assert (cell.activation, cell.recurrent_activation) == (
        keras.activations.relu,
        keras.activations.tanh,
    )
    assert type(cell.kernel_regularizer) is keras.regularizers.L2
    assert not cell.use_bias


def test_cell_names_do_not_count_up():
    layers = [keras.layers.LSTM(2, name=n) for n in ("a", "b")]
    for layer in layers:
        layer.build((1, 3, 2))
    assert layers[1].weights[0].path == "b/lstm_cell/kernel"
