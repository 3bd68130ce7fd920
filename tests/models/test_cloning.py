"""`clone_model`: copies of graphs, with other layers or calls in place of the model's own."""

import numpy as np
import pytest

import distkeras as keras
from distkeras import layers

X = np.random.default_rng(3).standard_normal((4, 3)).astype("float32")


def branches():
    inputs = keras.Input((3,), name="x")
    shared = layers.Dense(3, activation="tanh", name="shared")
    h = shared(shared(inputs))
    inner = keras.Sequential([keras.Input((3,)), layers.Dense(2, name="deep")], name="inner")
    return keras.Model(inputs, {"sum": layers.Add(name="add")([h, inputs]), "in": inner(h)})


def renamed(layer):
    return type(layer).from_config({**layer.get_config(), "name": layer.name + "_x"})


def test_a_clone_by_function_computes_the_same_with_weights_of_its_own():
    model = branches()
    clone = keras.models.clone_model(model, clone_function=renamed)
    assert sorted(la.name for la in clone.layers) == ["add_x", "inner_x", "shared_x", "x"]
    assert len(clone.weights) == len(model.weights)
    assert not {id(w) for w in clone.weights} & {id(w) for w in model.weights}
    clone.set_weights(model.get_weights())
    for key, value in model.predict(X, verbose=0).items():
        np.testing.assert_array_equal(clone.predict(X, verbose=0)[key], value)


def test_recursion_takes_inner_models_apart():
    clone = keras.models.clone_model(branches(), clone_function=renamed, recursive=True)
    inner = next(la for la in clone.layers if la.name == "inner")
    assert [la.name for la in inner.layers] == ["deep_x"]


def test_a_call_function_may_insert_layers():
    def call(layer, *args, **kwargs):
        y = layer(*args, **kwargs)
        return layers.Rescaling(2.0)(y) if isinstance(layer, layers.Add) else y

    model = branches()
    clone = keras.models.clone_model(model, call_function=call)
    clone.set_weights(model.get_weights())
    np.testing.assert_allclose(
        clone.predict(X, verbose=0)["sum"], 2 * model.predict(X, verbose=0)["sum"], rtol=1e-6
    )


def test_other_inputs():
    clone = keras.models.clone_model(branches(), input_tensors=keras.Input((3,), batch_size=4))
    assert clone.input_shape == (4, 3)
    chain = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    assert keras.models.clone_model(chain, keras.Input((5,))).count_params() == 12
    with pytest.raises(ValueError, match="one for each input"):
        keras.models.clone_model(branches(), input_tensors=[keras.Input((3,)), keras.Input((3,))])
    with pytest.raises(ValueError, match="call_function"):
        keras.models.clone_model(chain, call_function=lambda layer, x: layer(x))


@keras.saving.register_keras_serializable("clones")
class Pair(layers.Layer):
    """Two inputs, and no `build` of its own."""

    def call(self, a, b):
        return a - b


def test_a_layer_of_two_inputs_without_build_is_made_again():
    x = keras.Input((3,))
    model = keras.Model(x, Pair(name="pair")(x, layers.Dense(3)(x)))
    model(X)
    config = keras.layers.serialize(model.get_layer("pair"))
    assert "a_shape" in config["build_config"]["shapes_dict"]
    again = keras.layers.deserialize(config)
    assert again.built
    assert keras.layers.serialize(again) == config
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    np.testing.assert_array_equal(clone(X).numpy(), model(X).numpy())
