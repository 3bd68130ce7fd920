"""Recurrent layers: states between batches, masks, dropout, cells of a user's own, wrappers."""

import numpy as np
import pytest

import distkeras as keras
from distkeras.errors import ArgumentError, ShapeError

layers, ops = keras.layers, keras.ops
X = np.random.default_rng(1).standard_normal((3, 6, 4)).astype("float32")
MASK = np.array([[1, 1, 1, 1, 0, 0], [0, 1, 1, 0, 1, 1], [1] * 6], bool)
BUILT_IN = ("SimpleRNN", "LSTM", "GRU")
each = pytest.mark.parametrize("name", BUILT_IN)


def array(x):
    return np.asarray(ops.convert_to_numpy(x))


def make(name, **arguments):
    return getattr(layers, name)(5, **{"seed": 1, **arguments})


@each
def test_hoisted_projection_is_the_cell_step_by_step(name):
    layer = make(name, return_sequences=True, return_state=True)
    outputs, *last = layer(X)
    states = layer.get_initial_state(3)
    for t in range(X.shape[1]):
        y, states = layer.cell(X[:, t], states)
        np.testing.assert_allclose(array(outputs)[:, t], array(y), rtol=1e-5, atol=1e-6)
    for a, b in zip(last, states, strict=True):
        np.testing.assert_allclose(array(a), array(b), rtol=1e-5, atol=1e-6)


@each
def test_stateful_is_one_long_sequence(name):
    whole, parts = make(name), make(name, stateful=True)
    expected = array(whole(X))
    parts.build((3, None, 4))
    parts.set_weights(whole.get_weights())
    parts(X[:, :2])
    np.testing.assert_allclose(array(parts(X[:, 2:])), expected, rtol=1e-5, atol=1e-6)
    parts.reset_state()
    np.testing.assert_allclose(array(parts(X)), expected, rtol=1e-5, atol=1e-6)
    assert len(parts.weights) == len(whole.weights)
    with pytest.raises(ShapeError, match="3 samples, got 2"):
        parts(X[:2])
    with pytest.raises(ShapeError, match="batch_size"):
        make(name, stateful=True)(keras.Input((6, 4)))


@each
def test_masked_steps_carry_the_state(name):
    layer = make(name, return_state=True)
    found = layer(X, mask=ops.convert_to_tensor(MASK))
    for i, kept in enumerate(MASK):
        for a, b in zip(found, layer(X[i : i + 1, kept]), strict=True):
            np.testing.assert_allclose(array(a)[i], array(b)[0], rtol=1e-5, atol=1e-6)


@each
@pytest.mark.parametrize("zeros", [False, True])
def test_outputs_of_masked_steps(name, zeros):
    layer = make(name, return_sequences=True, zero_output_for_mask=zeros)
    y = array(layer(X, mask=ops.convert_to_tensor(MASK)))
    for i, kept in enumerate(MASK):
        before = np.zeros(5)
        for t in range(6):
            if not kept[t]:
                np.testing.assert_array_equal(y[i, t], 0 * before if zeros else before)
            before = y[i, t]


@each
def test_padding_is_masked_through_layers(name):
    tokens = np.array([[3, 1, 0, 0], [2, 2, 2, 0]])
    embed = layers.Embedding(5, 4, mask_zero=True)
    inner, last = make(name, return_sequences=True), make(name)
    y = array(last(inner(embed(tokens))))
    short = array(last(inner(embed(tokens[:1, :2]))))
    np.testing.assert_allclose(y[0], short[0], rtol=1e-5, atol=1e-6)


@each
def test_dropout_masks_are_those_of_all_steps(name):
    """With the same input at each step, what is dropped is dropped in all of them."""
    layer = make(name, dropout=0.5)
    layer.build(X.shape)
    noise = layer.cell.noise(ops.convert_to_tensor(X[:, 0]), True)
    z = array(layer.cell.project(ops.convert_to_tensor(X), noise))
    for t in range(6):
        one = array(layer.cell.project(ops.convert_to_tensor(X[:, t]), noise))
        np.testing.assert_allclose(z[:, t], one, rtol=1e-4, atol=1e-5)
    assert set(np.unique(array(noise[0]))) <= {0.0, 2.0}
    assert noise[1] is None


@each
@pytest.mark.parametrize("rates", [{"dropout": 0.5}, {"recurrent_dropout": 0.5}])
def test_dropout_acts_in_training_only(name, rates):
    layer, plain = make(name, **rates), make(name)
    plain.build(X.shape)
    layer.build(X.shape)
    plain.set_weights(layer.get_weights())
    np.testing.assert_array_equal(array(layer(X)), array(plain(X)))
    assert not np.allclose(array(layer(X, training=True)), array(plain(X)))


@each
def test_no_steps(name):
    y, *states = make(name, return_sequences=True, return_state=True)(X[:, :0])
    assert tuple(y.shape) == (3, 0, 5)
    assert all(not array(s).any() for s in states)
    assert not array(make(name)(X[:, :0])).any()


@each
def test_steps_known_only_at_run_time(name):
    inputs = keras.Input((None, 4))
    layer = make(name, return_sequences=True)
    assert tuple(layer(inputs).shape) == (None, None, 5)
    for steps in (2, 6):
        assert tuple(layer(X[:, :steps]).shape) == (3, steps, 5)


def test_forget_bias():
    layer = layers.LSTM(2)
    layer.build((None, 3, 4))
    np.testing.assert_array_equal(array(layer.cell.bias), [0, 0, 1, 1, 0, 0, 0, 0])


@keras.saving.register_keras_serializable("tests")
class Sum(layers.Layer):
    """A cell whose state is the running sum of its inputs."""

    def __init__(self, size, **kwargs):
        super().__init__(**kwargs)
        self.state_size = size

    def call(self, inputs, states):
        total = states[0] + inputs
        return total, [total]

    def get_config(self):
        return {**super().get_config(), "size": self.state_size}


def test_a_cell_of_ones_own():
    layer = layers.RNN(Sum(4), return_sequences=True)
    np.testing.assert_allclose(array(layer(X)), np.cumsum(X, axis=1), rtol=1e-5, atol=1e-5)
    again = layers.RNN.from_config(layer.get_config())
    np.testing.assert_allclose(array(again(X)), array(layer(X)))
    stacked = layers.RNN([Sum(4), Sum(4)], return_sequences=True)
    expected = np.cumsum(np.cumsum(X, axis=1), axis=1)
    np.testing.assert_allclose(array(stacked(X)), expected, rtol=1e-4, atol=1e-4)


def test_backwards_is_the_reversed_sequence():
    layer = layers.GRU(5, return_sequences=True, return_state=True)
    back = layers.GRU(5, return_sequences=True, return_state=True, go_backwards=True)
    expected = layer(X[:, ::-1].copy())
    back.build(X.shape)
    back.set_weights(layer.get_weights())
    for a, b in zip(back(X), expected, strict=True):
        np.testing.assert_allclose(array(a), array(b), rtol=1e-5, atol=1e-6)


def test_bidirectional_joins_both_ways():
    layer = layers.Bidirectional(layers.LSTM(5, return_sequences=True))
    y = array(layer(X, mask=ops.convert_to_tensor(MASK)))
    forward, backward = layer.forward_layer, layer.backward_layer
    assert (forward.go_backwards, backward.go_backwards) == (False, True)
    ahead = array(forward(X, mask=ops.convert_to_tensor(MASK)))
    behind = array(backward(X, mask=ops.convert_to_tensor(MASK)))
    np.testing.assert_allclose(y, np.concatenate([ahead, behind[:, ::-1]], axis=-1), rtol=1e-6)
    assert not y[~MASK].any()


def test_state_of_an_encoder_starts_a_decoder():
    inputs, targets = keras.Input((None, 4)), keras.Input((None, 4))
    _, *states = layers.LSTM(5, return_state=True)(inputs)
    decoder = layers.LSTM(5, return_sequences=True)
    assert tuple(decoder(targets, initial_state=states).shape) == (None, None, 5)


def test_time_distributed_takes_each_step_alone():
    conv = layers.TimeDistributed(layers.Flatten())
    assert tuple(conv(np.zeros((2, 3, 4, 5), "float32")).shape) == (2, 3, 20)
    layer = layers.TimeDistributed(layers.Dense(2))
    y = array(layer(X))
    np.testing.assert_allclose(y[:, 3], array(layer.layer(X[:, 3])), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "action, error",
    [
        (lambda: layers.LSTM(0), ArgumentError),
        (lambda: layers.GRU(2.5), ArgumentError),
        (lambda: layers.LSTM(2, dropout="much"), ArgumentError),
        (lambda: layers.LSTM(2, unknown=1), ArgumentError),
        (lambda: layers.LSTM(2)(X[0]), ShapeError),
        (lambda: layers.LSTM(2)(keras.Input((5, None))), ShapeError),
        (lambda: layers.RNN(layers.Dense(2)), ArgumentError),
        (lambda: layers.RNN([layers.LSTMCell(2), 3]), ArgumentError),
        (lambda: layers.Bidirectional(3), ArgumentError),
        (lambda: layers.Bidirectional(layers.LSTM(2), merge_mode="max"), ArgumentError),
        (
            lambda: layers.Bidirectional(layers.LSTM(2), backward_layer=layers.LSTM(2)),
            ArgumentError,
        ),
        (lambda: layers.TimeDistributed(3), ArgumentError),
        (lambda: layers.TimeDistributed(layers.Dense(2))(X[0]), ShapeError),
    ],
)
def test_errors(action, error):
    with pytest.raises(error):
        action()
