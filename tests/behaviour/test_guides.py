"""What the usual guides to Keras do, where distkeras did something else."""

import numpy as np
import pytest

import distkeras as keras
from distkeras.errors import NotBuiltError

layers, ops = keras.layers, keras.ops
X = np.random.default_rng(0).random((8, 4), "float32")


class Chain(keras.Model):
    """A subclassed model whose layers build themselves."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.chain = [layers.Dense(u) for u in units]

    def call(self, x):
        for layer in self.chain:
            x = layer(x)
        return x


class Pair(keras.Model):
    """A subclassed model of two arguments."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first, self.second = layers.Dense(2), layers.Dense(2)

    def call(self, a, b=None):
        return self.first(a) + self.second(b)


def test_a_called_subclassed_model_is_saved_with_its_weights(tmp_path):
    model = Chain([3, 2])
    expected = model(X)
    assert model.get_build_config() == {"input_shape": (8, 4)}
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras", custom_objects={"Chain": Chain})
    np.testing.assert_array_equal(np.asarray(again(X)), np.asarray(expected))


def test_a_model_of_several_arguments_is_saved_with_its_weights(tmp_path):
    model = Pair()
    expected = model(X, b=X[:, :3])
    assert model.get_build_config() == {"shapes_dict": {"a_shape": (8, 4), "b_shape": (8, 3)}}
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras", custom_objects={"Pair": Pair})
    np.testing.assert_array_equal(np.asarray(again(X, b=X[:, :3])), np.asarray(expected))


class WithoutShapes(Chain):
    def get_build_config(self):
        return None


class LooksAtValues(Chain):
    def call(self, x):
        return super().call(x if float(ops.sum(x)) > 0 else -x)


@pytest.mark.parametrize("kind", [WithoutShapes, LooksAtValues])
def test_weights_that_find_no_variables_are_an_error(tmp_path, kind):
    model = kind([2])
    model(X)
    model.save(tmp_path / "m.keras")
    with pytest.raises(NotBuiltError, match="load_weights"):
        keras.models.load_model(tmp_path / "m.keras", custom_objects={kind.__name__: kind})


def test_build_is_told_what_is_unknown():
    told = []

    class Noting(layers.Layer):
        def build(self, input_shape):
            told.append(input_shape)

        def call(self, x):
            return x

    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.noting, self.dense = Noting(), layers.Dense(1)

        def call(self, x):
            return self.dense(self.noting(x))

    model = Model()
    model.compile("sgd", "mse")
    model.fit(X, X[:, :1], verbose=0)
    assert told == [(None, 4)]
    assert model.dense.get_build_config() == {"input_shape": (None, 4)}


def test_losses_of_a_layer_are_those_of_its_last_call():
    class Penalty(layers.Layer):
        def call(self, x):
            self.add_loss(ops.mean(x))
            return x

    class Outer(layers.Layer):
        def __init__(self):
            super().__init__()
            self.penalty = Penalty()

        def call(self, x):
            return self.penalty(x)

    layer = Outer()
    for value in (1.0, 2.0):
        layer(np.full((1, 1), value))
        assert [float(loss) for loss in layer.losses] == [value]
    Penalty()(keras.Input((3,)))  # a graph has no values


@pytest.mark.parametrize("first", [layers.Dense(3), layers.Embedding(10, 3)])
def test_a_model_in_front_tells_a_sequential_its_input(first):
    base = keras.Sequential([keras.Input((4,), dtype="int32"), first, layers.Flatten()])
    model = keras.Sequential([base, layers.Dense(2)])
    assert model.built
    assert model.output_shape == (None, 2)
    assert model.inputs[0].dtype == "int32"
    assert model.count_params() == base.count_params() + base.output_shape[1] * 2 + 2


def test_logs_of_a_custom_step_are_flat():
    class Model(keras.Model):
        def train_step(self, data):
            super().train_step(data)
            return {m.name: m.result() for m in self.metrics}

    seen = []

    class Noting(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            seen.append(dict(logs))

        def on_train_batch_end(self, batch, logs=None):
            seen.append(sorted(logs))

    x = keras.Input((4,))
    model = Model(x, layers.Dense(1)(x))
    model.compile("sgd", "mse", metrics=["mae"])
    history = model.fit(X, X[:, :1], verbose=0, callbacks=[Noting()])
    assert sorted(history.history) == ["loss", "mae"]
    assert seen == [{}, ["loss", "mae"]]


def test_a_stateful_model_of_fixed_batches():
    model = keras.Sequential(
        [
            keras.Input(batch_shape=(2, 3, 4)),
            layers.LSTM(3, stateful=True, kernel_initializer="ones"),
            layers.Dense(1),
        ]
    )
    model.compile("sgd", "mse")
    x = np.ones((6, 3, 4), "float32")
    model.fit(x, x[:, 0, :1], batch_size=2, shuffle=False, verbose=0)
    model.layers[0].reset_state()
    first, second, _ = np.split(model.predict(x, batch_size=2, verbose=0), 3)
    assert not np.allclose(first, second)
    model.layers[0].reset_state()
    np.testing.assert_array_equal(model.predict(x[:2], batch_size=2, verbose=0), first)
    np.testing.assert_array_equal(model.predict(x[:2], batch_size=2, verbose=0), second)
