"""Saving and loading as tutorials of Keras do."""

import json

import numpy as np
import pytest

import distkeras as keras
from distkeras import layers


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    return rng.random((64, 10)), rng.integers(3, size=64)


def new_model(units=16):
    return keras.Sequential(
        [
            layers.Dense(units, activation="relu", input_shape=(10,)),
            layers.BatchNormalization(),
            layers.Dense(3, activation="softmax"),
        ]
    )


@pytest.fixture
def model(data):
    made = new_model()
    made.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    made.fit(*data, epochs=2, verbose=0)
    return made


@pytest.mark.parametrize("path", ["my_model.keras", "my_model.h5"])
def test_whole_model(path, model, data):
    from distkeras.models import load_model

    model.save(path)
    loaded = load_model(path)
    x, y = data
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
    assert loaded.evaluate(x, y, verbose=0) == pytest.approx(model.evaluate(x, y, verbose=0))
    # The optimizer's state came along: both go on alike.
    first, second = (m.fit(x, y, epochs=1, shuffle=False, verbose=0) for m in (model, loaded))
    assert second.history["loss"] == pytest.approx(first.history["loss"], rel=1e-6)
    for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_weights_alone(model, data):
    model.save_weights("model_weights.weights.h5")
    other = new_model()
    other.load_weights("model_weights.weights.h5")
    x = data[0]
    np.testing.assert_array_equal(other.predict(x, verbose=0), model.predict(x, verbose=0))


def test_weights_of_another_architecture_are_refused(model):
    model.save_weights("model_weights.weights.h5")
    other = new_model(units=17)
    before = other.get_weights()
    with pytest.raises(ValueError, match="16"):
        other.load_weights("model_weights.weights.h5")
    for a, b in zip(before, other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_architecture_alone(directory, model):
    (directory / "model_architecture.json").write_text(model.to_json())
    text = (directory / "model_architecture.json").read_text()
    assert json.loads(text)["class_name"] == "Sequential"
    other = keras.models.model_from_json(text)
    shapes = [w.shape for w in model.get_weights()]
    assert [w.shape for w in other.get_weights()] == shapes
    assert not np.array_equal(other.get_weights()[0], model.get_weights()[0])


@pytest.mark.parametrize(
    "save, says",
    [
        (lambda m: m.save("model_path"), r"\.keras"),
        (lambda m: m.save_weights("weights.h5"), r"\.weights\.h5"),
    ],
)
def test_names_of_older_tutorials_are_refused_as_in_keras(save, says, model, directory):
    with pytest.raises(ValueError, match=says):
        save(model)
    assert list(directory.iterdir()) == []
