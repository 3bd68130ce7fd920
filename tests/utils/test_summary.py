"""The table of a model's layers; `tests/reference` compares whole tables with Keras's."""

import pytest

import distkeras as keras


def text_of(model, **settings) -> str:
    lines: list[str] = []
    model.summary(print_fn=lines.append, **settings)
    return "".join(lines)


def test_operations_are_named_as_keras_names_them():
    x = keras.Input((4,))
    y = keras.ops.relu(keras.layers.Dense(3, name="wide")(x)[:, 1:]) * 2
    text = text_of(keras.Model(x, y))
    for shown in ("wide (Dense)", "(GetItem)", "(Relu)", "(Multiply)"):
        assert shown in text


def test_a_model_without_shapes_says_so():
    text = text_of(keras.Sequential([keras.layers.Dense(3, name="later")]))
    assert "later (Dense)" in text
    assert "?" in text
    assert "0 (unbuilt)" in text


def test_refusals():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    with pytest.raises(ValueError, match="Insufficient console width"):
        model.summary(line_length=6)
    with pytest.raises(ValueError, match="do not match any layer names"):
        model.summary(layer_range=("nothing", "like_it"))


def test_layers_that_do_not_say_their_shape():
    class Block(keras.layers.Layer):
        def build(self, shape):
            self.w = self.add_weight(shape=(shape[-1],))

        def call(self, x):
            return x * self.w

    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.block, self.flat = Block(name="block"), keras.layers.Flatten(name="flat")

        def call(self, x):
            return self.flat(self.block(x))

    net = Net()
    net(keras.ops.ones((2, 3, 4)))
    lines = text_of(net).splitlines()
    assert "?" in next(line for line in lines if "block (Block)" in line)
    assert "(2, 12)" in next(line for line in lines if "flat (Flatten)" in line)
