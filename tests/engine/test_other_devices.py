"""A whole training on a strict device equals the CPU; on the null device shapes come out."""

import numpy as np
import pytest

import distkeras as keras
from distkeras import layers, ops
from distkeras.devices import get_device, register_device, use_device
from distkeras.devices.null import NullArray
from distkeras.errors import DeviceError
from support.strict import Strict, StrictArray

RNG = np.random.default_rng(5)
IMAGES = RNG.standard_normal((24, 6, 6, 2)).astype("float32")
LABELS = RNG.integers(0, 3, 24)


@pytest.fixture(scope="module")
def strict():
    try:
        return get_device("strict")
    except DeviceError:
        register_device("strict", Strict)
        return get_device("strict")


def convolutional():
    init = keras.initializers.GlorotUniform(seed=4)
    return keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.Conv2D(4, 3, activation="relu", kernel_initializer=init),
            layers.BatchNormalization(),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dropout(0.2, seed=3),
            layers.Dense(8, activation="relu", kernel_initializer=init),
            layers.Dense(3, activation="softmax", kernel_initializer=init),
        ]
    )


def recurrent():
    init = keras.initializers.GlorotUniform(seed=4)
    return keras.Sequential(
        [
            keras.Input((6, 12)),
            layers.LSTM(5, kernel_initializer=init, recurrent_initializer=init),
            layers.LayerNormalization(),
            layers.Dense(3, activation="softmax", kernel_initializer=init),
        ]
    )


def embedding():
    init = keras.initializers.GlorotUniform(seed=4)
    return keras.Sequential(
        [
            keras.Input((6,), dtype="int32"),
            layers.Embedding(9, 4, mask_zero=True, embeddings_initializer=init),
            layers.GlobalAveragePooling1D(),
            layers.Dense(3, activation="softmax", kernel_initializer=init),
        ]
    )


MODELS = {
    "convolutional": (convolutional, IMAGES),
    "recurrent": (recurrent, IMAGES.reshape(24, 6, 12)),
    "embedding": (embedding, RNG.integers(0, 9, (24, 6))),
}
OPTIMIZERS = {
    "SGD": lambda: keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True, clipnorm=1.0),
    "Adam": lambda: keras.optimizers.Adam(0.01),
    "AdamW": lambda: keras.optimizers.AdamW(0.01, global_clipnorm=1.0, use_ema=True),
    "RMSprop": lambda: keras.optimizers.RMSprop(0.01, centered=True, clipvalue=0.5),
    "Adagrad": lambda: keras.optimizers.Adagrad(0.01, gradient_accumulation_steps=2),
}


def trained(make, x, optimizer):
    model = make()
    model.compile(
        optimizer(), "sparse_categorical_crossentropy", metrics=["accuracy"], weighted_metrics=[]
    )
    history = model.fit(
        x, LABELS, batch_size=8, epochs=2, shuffle=False, verbose=0, validation_split=0.25
    )
    results = model.evaluate(x, LABELS, batch_size=10, verbose=0)
    predicted = model.predict(x, batch_size=10, verbose=0)
    kinds = {type(v.handle.array) for v in model.variables + model.optimizer.variables}
    return history.history, results, predicted, model.get_weights(), kinds


def compare(strict, make, x, optimizer):
    host = trained(make, x, optimizer)
    with use_device("strict"):
        device = trained(make, x, optimizer)
    assert device[-1] == {StrictArray}
    assert host[0].keys() == device[0].keys()
    for name in host[0]:
        np.testing.assert_allclose(device[0][name], host[0][name], rtol=1e-5, err_msg=name)
    np.testing.assert_allclose(device[1], host[1], rtol=1e-5)
    assert isinstance(device[2], np.ndarray)
    np.testing.assert_allclose(device[2], host[2], rtol=1e-4, atol=1e-6)
    for a, b in zip(device[3], host[3], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("model", MODELS)
def test_models_train_the_same_on_a_strict_device(model, strict):
    compare(strict, *MODELS[model], OPTIMIZERS["Adam"])


@pytest.mark.parametrize("optimizer", [o for o in OPTIMIZERS if o != "Adam"])
def test_optimizers_update_the_same_on_a_strict_device(optimizer, strict):
    compare(strict, *MODELS["convolutional"], OPTIMIZERS[optimizer])


def test_variables_on_a_strict_device(strict):
    with use_device("strict"):
        v = keras.Variable([1.0, 2.0])
        held = v.value
        v.assign_add([1.0, 1.0])
        v.assign_sub(ops.ones(2))
        v.assign(v * 2.0)
    assert (v.numpy().tolist(), held.tolist()) == ([2.0, 4.0], [1.0, 2.0])
    # A value of another device is brought over: assigning asks for it.
    v.assign(ops.convert_to_tensor([5.0, 6.0]))
    assert v.numpy().tolist() == [5.0, 6.0]
    assert type(v.handle.array) is StrictArray


def test_a_model_on_the_null_device():
    """Nothing is computed, every shape and dtype is right, and arenas are laid out."""
    with use_device("null"):
        model = convolutional()
        optimizer = keras.optimizers.Adam(0.01)
        x = ops.convert_to_tensor(IMAGES)
        with keras.GradientTape() as tape:
            y = model(x, training=True)
            loss = ops.mean(
                keras.losses.sparse_categorical_crossentropy(ops.convert_to_tensor(LABELS), y)
            )
        variables = model.trainable_variables
        found = tape.gradient(loss, variables)
        assert (y.shape, y.dtype, loss.shape) == ((24, 3), "float32", ())
        assert [(g.shape, g.dtype) for g in found] == [(v.shape, v.dtype) for v in variables]
        optimizer.apply_gradients(zip(found, variables, strict=True))
        arrays = [v.handle.array for v in (*model.variables, *optimizer.variables)]
        assert all(isinstance(a, NullArray) for a in arrays)
