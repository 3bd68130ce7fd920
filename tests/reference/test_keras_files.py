"""Files that Keras wrote are loaded; ours are laid out alike; summaries print as in Keras."""

import json
import shutil
import zipfile

import h5py
import numpy as np
import pytest

import distkeras as keras

from . import models
from .load import DATA, read_json, read_npz, relative_error, rounded, strip

NAMES = list(models.SPECS)


@pytest.fixture(autouse=True)
def _fresh_names():
    keras.utils.clear_session(free_memory=False)


def trained(name: str):
    """Return the model that Keras saved, made here."""
    model = models.build_compiled(keras, name)
    models.reseed(name, model)
    for step in range(2):
        batch = models.step_batch(name, step)
        model.train_on_batch(batch.x, batch.y, batch.sample_weight)
    return model


def assert_predicts(model, name: str) -> None:
    """Compare predictions with those of Keras."""
    predicted = model.predict(models.dataset(name, 4, "saved").x, verbose=0)
    predicted = predicted if isinstance(predicted, dict) else {"": predicted}
    for key, value in predicted.items():
        assert relative_error(value, read_npz("files.npz")[f"{name}/predicted/{key}"]) < 1e-4


def assert_next_step(model, name: str) -> None:
    """Train one more step: the optimizer's state was loaded too."""
    batch = models.step_batch(name, 2)
    model.train_on_batch(batch.x, batch.y, batch.sample_weight)
    weights = np.concatenate([np.ravel(w) for w in model.get_weights()])
    assert relative_error(weights, read_npz("files.npz")[f"{name}/next"]) < 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_load_model_saved_by_keras(name):
    model = keras.saving.load_model(DATA / f"saved_{name}.keras")
    assert_predicts(model, name)
    assert_next_step(model, name)


@pytest.mark.parametrize("name", NAMES)
def test_load_weights_saved_by_keras(name):
    model = models.build_compiled(keras, name)
    model.optimizer.build(model.trainable_variables)
    model.load_weights(DATA / f"saved_{name}.weights.h5")
    assert_predicts(model, name)
    assert_next_step(model, name)


def inner_paths(path) -> list:
    """Return all data sets of an h5 file with their shapes and dtypes."""
    found = []

    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            found.append([name, list(item.shape), str(item.dtype)])

    with h5py.File(path, "r") as file:
        file.visititems(visit)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_saved_model_is_laid_out_as_by_keras(name, tmp_path):
    model = trained(name)
    model.save(tmp_path / "model.keras")
    expected = read_json("files.json")[name]
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        assert sorted(archive.namelist()) == sorted(expected["members"])
        assert set(expected["metadata"]) <= set(json.loads(archive.read("metadata.json")))
        config = json.loads(archive.read("config.json"))
        archive.extract("model.weights.h5", tmp_path)
    assert inner_paths(tmp_path / "model.weights.h5") == expected["keras"][0]
    assert architecture(config) == architecture(expected["config"])
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert_predicts(again, name)
    assert_next_step(again, name)


@pytest.mark.parametrize("name", NAMES)
def test_saved_weights_are_laid_out_as_by_keras(name, tmp_path):
    model = trained(name)
    model.save_weights(tmp_path / "a.weights.h5")
    assert inner_paths(tmp_path / "a.weights.h5") == read_json("files.json")[name]["weights"][0]
    shutil.copy(DATA / f"saved_{name}.weights.h5", tmp_path / "b.weights.h5")
    again = models.build_compiled(keras, name)
    again.load_weights(tmp_path / "b.weights.h5")
    for ours, theirs in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_architecture_as_json(name):
    """What Keras writes as JSON builds the same model here, and back."""
    text = json.dumps(read_json("files.json")[name]["json"])
    model = keras.models.model_from_json(text)
    expected = read_json("training.json")[name]["weights"]
    assert [list(w.shape) for w in model.weights] == [shape for _, shape in expected]
    keras.utils.clear_session(free_memory=False)
    ours = json.loads(models.SPECS[name].build(keras).to_json())
    assert architecture(ours) == architecture(json.loads(text))


def architecture(config: dict) -> dict:
    """Return what a model's configuration says about the model.

    Left out: the shapes by which a layer without weights was built, arguments of a call that are
    `None`, and the dtype policy, which Keras writes for `Sequential` but not for functional models.
    """
    config = rounded({k: v for k, v in config.items() if k not in ("compile_config",)})
    if config["class_name"] == "Functional":
        config.pop("build_config", None)
        config["config"].pop("dtype", None)
    for layer in config["config"]["layers"]:
        if layer["class_name"] in WITHOUT_WEIGHTS:
            layer.pop("build_config", None)
        for call in layer.get("inbound_nodes", ()):
            call["kwargs"] = {k: v for k, v in call["kwargs"].items() if v is not None}
    return config


WITHOUT_WEIGHTS = ("Flatten", "Add", "Average", "Concatenate", "Multiply")


@pytest.mark.parametrize("name", NAMES)
def test_compile_config(name):
    """Loss, metrics and optimizer are written as Keras writes them."""
    found = strip(models.build_compiled(keras, name).get_compile_config())
    expected = strip(read_json("files.json")[name]["config"]["compile_config"])
    for key in ("loss", "loss_weights", "metrics", "weighted_metrics"):
        assert json.loads(json.dumps(found[key])) == expected[key], key
    assert found["optimizer"]["class_name"] == expected["optimizer"]["class_name"]
    assert rounded(found["optimizer"]["config"]) == rounded(expected["optimizer"]["config"])


SUMMARIES = list(read_json("summaries.json"))


@pytest.mark.parametrize("key", SUMMARIES)
def test_summary(key, monkeypatch):
    monkeypatch.setenv("COLUMNS", "140")  # as wide as where Keras printed
    name, _, kind = key.partition(" ")
    options = {"line_length": 80}
    if kind.isdigit():
        options = {"line_length": int(kind)}
    elif kind == "trainable nested":
        options = {"line_length": 100, "show_trainable": True, "expand_nested": True}
    if name == "nested":
        model = models.build_nested(keras)
    elif name == "unbuilt":
        model = keras.Sequential([keras.layers.Dense(2)])
    elif name == "frozen":
        model = models.build_mlp(keras)
        model.layers[0].trainable = False
    elif kind == "trained":
        model = trained(name)
    else:
        model = models.SPECS[name].build(keras)
    lines = []
    model.summary(print_fn=lambda line, **_: lines.append(line), **options)

    def plain(text: str) -> list[str]:
        return [line.rstrip() for line in text.rstrip().splitlines()]

    assert plain("\n".join(lines)) == plain(read_json("summaries.json")[key])
