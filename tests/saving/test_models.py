"""Whole models and weights come back from every format; what does not fit changes nothing."""

import json
import os
import pathlib
import zipfile

import h5py
import numpy as np
import pytest

import distkeras as keras
from distkeras.errors import NotBuiltError, SavingError, UnknownObjectError, UnreadableFileError

from .conftest import MODELS, Branch, Custom, outputs, sequential

OBJECTS = {"Custom": Custom, "Branch": Branch}


def assert_same(first, second, name):
    ours, theirs = outputs(first, name), outputs(second, name)
    assert ours.keys() == theirs.keys()
    for key, value in ours.items():
        np.testing.assert_array_equal(value, theirs[key])


def test_keras_format(named_model, tmp_path):
    name, model = named_model
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras", custom_objects=OBJECTS)
    assert type(again).__name__ == type(model).__name__
    if name == "custom":  # built by its first data
        again(np.ones((1, 4), "float32"))
        again.load_weights(tmp_path / "m.keras")
    assert_same(model, again, name)
    assert [w.shape for w in model.weights] == [w.shape for w in again.weights]


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
def test_weights(named_model, tmp_path, suffix):
    name, model = named_model
    path = str(tmp_path / f"m{suffix}")
    (model.save_weights if suffix == ".weights.h5" else model.save)(path)
    other = MODELS[name]()
    other.load_weights(path)
    assert_same(model, other, name)


@pytest.mark.parametrize("name", ["sequential", "functional", "nested"])
def test_legacy_format(name, tmp_path):
    model = MODELS[name]()
    model.save(tmp_path / "m.h5")
    again = keras.saving.load_model(tmp_path / "m.h5", compile=False)
    assert_same(model, again, name)
    other = MODELS[name]()
    other.load_weights(tmp_path / "m.h5")
    assert_same(model, other, name)


def test_legacy_weights_by_name(tmp_path):
    model = sequential()
    model.save(tmp_path / "m.h5")
    first = model.layers[0]
    other = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3, name=first.name), keras.layers.Dense(7)]
    )
    before = other.layers[1].get_weights()
    with pytest.raises(SavingError, match="shapes"):
        other.load_weights(tmp_path / "m.h5")
    other.load_weights(tmp_path / "m.h5", by_name=True)
    np.testing.assert_array_equal(other.layers[0].get_weights()[0], first.get_weights()[0])
    np.testing.assert_array_equal(other.layers[1].get_weights()[0], before[0])


def test_paths_within_the_weights_file(tmp_path):
    model = MODELS["custom"]()
    model.save_weights(tmp_path / "m.weights.h5")
    found = []
    with h5py.File(tmp_path / "m.weights.h5") as file:
        file.visititems(lambda n, o: found.append(n) if isinstance(o, h5py.Dataset) else None)
    groups = sorted({name.rpartition("/vars/")[0] for name in found})
    # As Keras 3.15 lays out the same classes.
    assert groups == [
        "",
        "branch/_hidden",
        "branch/stages/container/dense",
        "branch/stages/dense",
        "branch/stages/dense_1",
        "branch/table/dense",
        "branch/table/dense_1",
        "inner/layers/dense",
        "inner/layers/dense_1",
    ]


def test_json_architecture():
    model = sequential()
    again = keras.models.model_from_json(model.to_json())
    assert [w.shape for w in again.weights] == [w.shape for w in model.weights]
    assert json.loads(model.to_json(indent=1))["module"] == "keras"


def test_saving_twice_gives_the_same_description(tmp_path):
    model = sequential()
    texts = []
    for name in ("a.keras", "b.keras"):
        model.save(tmp_path / name)
        with zipfile.ZipFile(tmp_path / name) as archive:
            texts.append(archive.read("config.json"))
    assert texts[0] == texts[1]


def test_weights_of_another_architecture_change_nothing(tmp_path):
    model = sequential()
    model.save_weights(tmp_path / "m.weights.h5")
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(5)])
    before = other.get_weights()
    with pytest.raises(SavingError, match="nothing was loaded"):
        other.load_weights(tmp_path / "m.weights.h5")
    for old, new in zip(before, other.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    with pytest.warns(UserWarning, match=r"1 object\(s\) could not be loaded"):
        other.load_weights(tmp_path / "m.weights.h5", skip_mismatch=True)
    np.testing.assert_array_equal(other.get_weights()[0], model.get_weights()[0])
    np.testing.assert_array_equal(other.get_weights()[2], before[2])


def test_unbuilt_models(tmp_path):
    model = keras.Sequential([keras.layers.Dense(2)])
    with pytest.raises(NotBuiltError):
        model.save_weights(tmp_path / "m.weights.h5")
    with pytest.warns(UserWarning, match="before it is built"):
        model.save(tmp_path / "m.keras")
    assert not keras.saving.load_model(tmp_path / "m.keras").built
    sequential().save_weights(tmp_path / "n.weights.h5")
    with pytest.raises(NotBuiltError):
        model.load_weights(tmp_path / "n.weights.h5")


def test_wrong_names(tmp_path):
    model = sequential()
    for name in ("m", "m.txt", "m.weights.keras2"):
        with pytest.raises(SavingError, match=r"\.keras"):
            model.save(tmp_path / name)
        with pytest.raises(SavingError):
            keras.saving.load_model(tmp_path / name)
        with pytest.raises(SavingError, match=r"\.weights\.h5"):
            model.save_weights(tmp_path / name)
        with pytest.raises(SavingError):
            model.load_weights(tmp_path / name)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
def test_a_missing_file(tmp_path, name):
    with pytest.raises(UnreadableFileError, match="Check the path") as caught:
        keras.saving.load_model(tmp_path / name)
    assert isinstance(caught.value, OSError)
    with pytest.raises(UnreadableFileError):
        sequential().load_weights(tmp_path / name)


def test_overwrite(tmp_path):
    model = sequential()
    model.save(tmp_path / "m.keras")
    with pytest.raises(SavingError, match="exists"):
        model.save(tmp_path / "m.keras", overwrite=False)
    model.save(pathlib.Path(tmp_path / "m.keras"))
    assert os.listdir(tmp_path) == ["m.keras"]


def test_a_class_that_is_not_known(tmp_path):
    model = MODELS["custom"]()
    model.save(tmp_path / "m.keras")
    with pytest.raises(UnknownObjectError, match=r"custom_objects=\{'Custom': Custom\}"):
        keras.saving.load_model(tmp_path / "m.keras")


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_training_goes_on_with_the_optimizers_state(tmp_path, suffix):
    x = np.linspace(-1, 1, 32, dtype="float32").reshape(8, 4)
    y = x[:, :2] * 2
    model = sequential()
    model.compile(keras.optimizers.Adam(0.05), "mse", metrics=["mae"])
    for _ in range(3):
        model.train_on_batch(x, y)
    model.save(tmp_path / f"m{suffix}")
    again = keras.saving.load_model(tmp_path / f"m{suffix}")
    for one in (model, again):
        one.train_on_batch(x, y)
    for ours, theirs in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert not keras.saving.load_model(tmp_path / f"m{suffix}", compile=False).compiled
