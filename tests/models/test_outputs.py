"""What a functional model gives and says of its outputs, by the structure it was made with."""

import numpy as np
import pytest

import distkeras as keras

ONES = np.ones((2, 3), "float32")


def model(wrap):
    inputs = keras.Input((3,), name="x")
    return keras.Model(inputs, wrap(keras.layers.Dense(4, name="d")(inputs)))


@pytest.mark.parametrize("wrap", [lambda y: [y], lambda y: (y,)], ids=["list", "tuple"])
def test_one_output_in_a_list_is_given_by_itself(wrap):
    made = model(wrap)
    assert made(ONES).shape == (2, 4)
    assert made.predict(ONES, verbose=0).shape == (2, 4)
    assert made.predict_on_batch(ONES).shape == (2, 4)
    assert (made.input_shape, made.output_shape) == ((None, 3), (None, 4))
    # Symbolically it stays in its list.
    assert [t.shape for t in made(keras.Input((3,)))] == [(None, 4)]
    assert list(made.compute_output_shape((None, 3))) == [(None, 4)]
    outer = keras.Model(made.inputs, keras.layers.Dense(1)(made(made.inputs[0])[0]))
    assert outer(ONES).shape == (2, 1)
    for target in (np.ones((2, 4)), [np.ones((2, 4))]):
        made.compile("sgd", loss=["mse"], metrics=[["mae"]])
        assert list(made.fit(ONES, target, verbose=0).history) == ["loss", "mae"]


def test_weights_of_a_dtype_given_as_a_class():
    class Counted(keras.layers.Layer):
        def build(self, shape):
            self.n = self.add_weight(shape=(), dtype=np.int32, trainable=False, name="n")
            self.w = self.add_weight(shape=(shape[-1],), dtype=np.float32, name="w")

        def call(self, x):
            return x * self.w

    layer = Counted()
    assert layer(ONES).shape == (2, 3)
    assert (layer.n.dtype, layer.w.dtype) == ("int32", "float32")


def test_an_unbuilt_sequential_passes_on_training_and_mask():
    seen = []

    class Spy(keras.layers.Layer):
        def call(self, x, training=None, mask=None):
            seen.append((training, mask))
            return x["a"] if isinstance(x, dict) else x

    chain = keras.Sequential([Spy(), Spy()])
    chain.call({"a": keras.ops.ones((2, 3))}, training=True, mask={"a": None})
    assert [training for training, _ in seen] == [True, True]
    assert seen[0][1] == {"a": None}


def test_a_dict_keeps_its_form_and_names_its_layers():
    made = model(lambda y: {"key": y})
    assert list(made(ONES)) == ["key"]
    assert made.output_names == ["d"]
    assert made.output_shape == (None, 4)
    made.compile("sgd", loss={"key": "mse"}, metrics={"key": ["mae"]})
    assert list(made.fit(ONES, {"key": np.ones((2, 4))}, verbose=0).history) == ["loss", "mae"]


def test_shapes_of_several_are_a_list():
    x, z = keras.Input((3,)), keras.Input((2,))
    made = keras.Model({"p": x, "q": z}, (keras.layers.Dense(4)(x), keras.layers.Dense(5)(z)))
    assert made.input_shape == [(None, 3), (None, 2)]
    assert made.output_shape == [(None, 4), (None, 5)]
