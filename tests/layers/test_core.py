"""Inputs, Dense, Embedding, shapes, functions, dropout and noise: behaviour beyond shapes."""

import numpy as np
import pytest

import distkeras as keras
from distkeras.errors import ArgumentError, SavingError, ShapeError, UnsafeFileError

layers, ops = keras.layers, keras.ops
X = np.random.default_rng(1).standard_normal((4, 3)).astype("float32")


def array(x):
    return np.asarray(ops.convert_to_numpy(x))


@pytest.mark.parametrize(
    "arguments, shape, dtype",
    [
        ({"shape": (3, None)}, (None, 3, None), "float32"),
        ({"shape": 3}, (None, 3), "float32"),
        ({"shape": (3,), "batch_size": 2}, (2, 3), "float32"),
        ({"batch_shape": (2, None), "dtype": "int32"}, (2, None), "int32"),
        ({"shape": ()}, (None,), "float32"),
        ({"tensor": keras.KerasTensor((None, 5), "float16")}, (None, 5), "float16"),
    ],
)
def test_input(arguments, shape, dtype):
    x = keras.Input(**arguments, name="given")
    assert (x.shape, x.dtype) == (shape, dtype)
    layer = x._keras_history.operation
    assert isinstance(layer, layers.InputLayer)
    assert (layer.name, layer.batch_shape, layer.dtype) == ("given", shape, dtype)
    assert layer.output is x
    again = layers.InputLayer.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()


def test_dense():
    layer = layers.Dense(2, activation="relu", bias_initializer="ones")
    y = array(layer(X))
    kernel, bias = layer.get_weights()
    np.testing.assert_allclose(y, np.maximum(X @ kernel + bias, 0), rtol=1e-5)
    assert [w.path for w in layer.weights] == [f"{layer.name}/kernel", f"{layer.name}/bias"]
    assert layer.count_params() == 8


def test_activation_is_an_attribute():
    layer = layers.Dense(2)
    y = array(layer(X))
    layer.activation = keras.activations.tanh
    np.testing.assert_allclose(array(layer(X)), np.tanh(y), rtol=1e-5)


def test_embedding():
    layer = layers.Embedding(5, 2, mask_zero=True, weights=np.arange(10.0).reshape(5, 2))
    y = layer(np.array([[1, 0], [4, 1]]))
    np.testing.assert_array_equal(array(y), [[[2, 3], [0, 1]], [[8, 9], [2, 3]]])
    np.testing.assert_array_equal(array(y._keras_mask), [[True, False], [True, True]])
    assert layers.Embedding(5, 2, dtype="mixed_float16")(np.array([[1]])).dtype == "float16"
    with keras.GradientTape() as tape:
        loss = ops.sum(layer(np.array([1, 1, 3])))
    gradient = array(tape.gradient(loss, layer.embeddings))
    np.testing.assert_array_equal(gradient[:, 0], [0, 2, 0, 1, 0])


def test_masking_leaves_out_whole_steps_only():
    x = np.array([[[1.0, 0.0], [0.0, 0.0]], [[0.0, np.nan], [3.0, 4.0]]], "float32")
    y = layers.Masking()(x)
    np.testing.assert_array_equal(array(y), x)
    np.testing.assert_array_equal(array(y._keras_mask), [[True, False], [True, True]])
    sevens = layers.Masking(7.0)(np.full((1, 2, 3), 7.0, "float32"))
    assert not array(sevens).any()


def test_masks_pass_through():
    t = ops.convert_to_tensor(np.ones((2, 3, 4), "float32"))
    t._keras_mask = ops.convert_to_tensor(np.array([[1, 1, 0], [1, 0, 0]], bool))
    for layer in (layers.Dense(2), layers.Activation("relu"), layers.Dropout(0.5)):
        np.testing.assert_array_equal(array(layer(t)._keras_mask), array(t._keras_mask))


def test_lambda():
    layer = layers.Lambda(lambda x, factor: x * factor, arguments={"factor": 3.0})
    np.testing.assert_allclose(array(layer(X)), 3 * X)
    with pytest.raises(SavingError, match="lambda"):
        layer.get_config()
    code = {"class_name": "__lambda__", "config": {"code": "4wEAAA==", "defaults": None}}
    with pytest.raises(UnsafeFileError):
        layers.Lambda.from_config({"function": code, "arguments": {}})
    told = layers.Lambda(lambda x: x[:, :2], output_shape=(2,))
    assert told(keras.Input((3,))).shape == (None, 2)
    seen = layers.Lambda(lambda x, training: x if training else x * 0)
    np.testing.assert_array_equal(array(seen(X, training=True)), X)


def test_dropout_keeps_the_mean():
    x = np.ones((200, 300), "float32")
    y = array(layers.Dropout(0.3, seed=1)(x, training=True))
    kept = y != 0
    np.testing.assert_allclose(y[kept], 1 / 0.7, rtol=1e-6)
    assert kept.mean() == pytest.approx(0.7, abs=0.01)
    np.testing.assert_array_equal(array(layers.Dropout(0.3)(x)), x)


@pytest.mark.parametrize(
    "make",
    [lambda s: layers.GaussianNoise(0.5, seed=s), lambda s: layers.AlphaDropout(0.2, seed=s)],
)
def test_noise_keeps_mean_and_variance(make):
    x = np.random.default_rng(2).standard_normal((300, 200)).astype("float32")
    y = array(make(1)(x, training=True))
    assert y.mean() == pytest.approx(0, abs=0.02)
    added = 0.25 if "noise" in make(1).name else 0.0
    assert y.var() == pytest.approx(1 + added, abs=0.03)
    assert not np.array_equal(y, array(make(2)(x, training=True)))
    np.testing.assert_array_equal(y, array(make(1)(x, training=True)))


def test_spatial_dropout_drops_whole_maps():
    x = np.ones((20, 5, 6, 8), "float32")
    y = array(layers.SpatialDropout2D(0.5, seed=1)(x, training=True))
    assert set(np.unique(y)) == {0.0, 2.0}
    assert (y == y[:, :1, :1]).all()
    assert len(np.unique(y[:, 0, 0], axis=0)) > 1


def test_activity_regularization():
    layer = layers.ActivityRegularization(l1=0.5, l2=0.25)
    layer(X)
    expected = (0.5 * np.abs(X).sum() + 0.25 * np.square(X).sum()) / len(X)  # per sample
    assert float(layer.losses[0]) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.Dense(3),
        lambda: layers.Flatten(),
        lambda: layers.Reshape((4, 3)),
        lambda: layers.LayerNormalization(),
        lambda: layers.LSTM(4),
        lambda: layers.LSTM(4, return_sequences=True, go_backwards=True),
        lambda: layers.GRU(4, reset_after=False),
        lambda: layers.Bidirectional(layers.SimpleRNN(4, dropout=0.5)),
        lambda: layers.TimeDistributed(layers.Dense(2)),
        lambda: layers.Permute((2, 1)),
    ],
)
@pytest.mark.parametrize("rows", [0, 1, 3])
def test_the_samples_are_found_again(make, rows):
    """Random layers behind draw by sample: on ranks they must know which axis that is."""
    from distkeras.engine import context

    layer = make()
    layer.build((None, 3, 4))
    x = ops.convert_to_tensor(np.ones((rows, 3, 4), "float32"))
    x.batch = 0
    with context.changed(sample_offset=2, rows=(rows, 6), track_batch=True):
        assert layer(x, training=True).batch == 0


def test_draws_follow_the_place_in_the_global_batch():
    from distkeras.engine import context

    x = np.ones((6, 4), "float32")
    for layer in (
        lambda: layers.Dropout(0.5, seed=3),
        lambda: layers.GaussianNoise(1.0, seed=3),
        lambda: layers.SimpleRNN(4, dropout=0.5, recurrent_dropout=0.5, seed=3),
    ):
        given = np.repeat(x[:, None], 3, axis=1) if "RNN" in layer().__class__.__name__ else x
        keras.utils.set_random_seed(1)
        whole = array(layer()(given, training=True))
        keras.utils.set_random_seed(1)
        with context.changed(sample_offset=2):
            part = array(layer()(given[2:5], training=True))
        np.testing.assert_allclose(part, whole[2:5], rtol=1e-5)


@pytest.mark.parametrize(
    "action, error",
    [
        (lambda: keras.Input(), ArgumentError),
        (lambda: keras.Input((2,), batch_shape=(1, 2)), ArgumentError),
        (lambda: keras.Input(batch_size=1, batch_shape=(1, 2)), ArgumentError),
        (lambda: keras.Input((-2,)), ArgumentError),
        (lambda: keras.Input(("3",)), ArgumentError),
        (lambda: keras.Input((2,), sparse=True), ArgumentError),
        (lambda: keras.Input(tensor=X), ArgumentError),
        (lambda: keras.Input((3,), tensor=keras.KerasTensor((None, 2))), ArgumentError),
        (lambda: layers.Dense(0), ArgumentError),
        (lambda: layers.Dense(2.5), ArgumentError),
        (lambda: layers.Dense(2, lora_rank=4), ArgumentError),
        (lambda: layers.Dense(2, unknown=1), ArgumentError),
        (lambda: layers.Dense(2)(X[:, 0]), ShapeError),
        (lambda: layers.Dense(2)(keras.Input((None,))), ShapeError),
        (lambda: layers.Embedding(0, 2), ArgumentError),
        (lambda: layers.Embedding(3, 2)(np.array([[3]])), ShapeError),
        (lambda: layers.Reshape((2, 2))(X), ShapeError),
        (lambda: layers.Reshape((-1, -1)), ArgumentError),
        (lambda: layers.Permute((0, 1)), ArgumentError),
        (lambda: layers.Permute((2, 1))(X), ShapeError),
        (lambda: layers.RepeatVector(1.5), TypeError),
        (lambda: layers.RepeatVector(-1), ArgumentError),
        (lambda: layers.Dropout(1.5), ArgumentError),
        (lambda: layers.Dropout("half"), ArgumentError),
        (lambda: layers.Dropout(0.5, noise_shape=(0, 1)), ArgumentError),
        (lambda: layers.GaussianNoise(-1), ArgumentError),
        (lambda: layers.GaussianDropout(1.0), ArgumentError),
        (lambda: layers.SpatialDropout1D(0.5)(X), ShapeError),
        (lambda: layers.ReLU(max_value=-1), ArgumentError),
        (lambda: layers.LeakyReLU(None), ArgumentError),
        (lambda: layers.EinsumDense("ab,bc", 3), ArgumentError),
        (lambda: layers.EinsumDense("ab,bc->ad", 3), ArgumentError),
        (lambda: layers.EinsumDense("ab,bc->ac", 3, bias_axes="b"), ArgumentError),
        (lambda: layers.EinsumDense("abd,bc->ac", 3)(X), ShapeError),
        (lambda: layers.EinsumDense("ab,bc->ac", (3, 4))(X), ShapeError),
    ],
)
def test_errors(action, error):
    with pytest.raises(error):
        action()
