"""Files that Keras 3.15 wrote (see make_data.py), beside those of tests/reference."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

import distkeras as keras
from distkeras import ops

DATA = Path(__file__).parent / "data"
X = np.linspace(-1, 1, 8, dtype="float32").reshape(2, 4)


def assert_predicts(model, name):
    found = model([X, X + 1])
    found = found if isinstance(found, dict) else {"": found}
    with np.load(DATA / "predicted.npz") as expected:
        for key, value in found.items():
            wanted = expected[f"{name}/{key}"]
            np.testing.assert_allclose(np.asarray(value), wanted, rtol=1e-5, atol=1e-6)


def test_operations_in_a_graph(tmp_path):
    model = keras.saving.load_model(DATA / "operations.keras")
    assert_predicts(model, "operations.keras")
    model.save(tmp_path / "m.keras")
    assert_predicts(keras.saving.load_model(tmp_path / "m.keras"), "operations.keras")
    entries = []
    for path in (DATA / "operations.keras", tmp_path / "m.keras"):
        with zipfile.ZipFile(path) as archive:
            layers = json.loads(archive.read("config.json"))["config"]["layers"]
        entries.append({e["name"]: e for e in layers if e["module"].startswith("keras.src.ops")})
    theirs, ours = entries
    assert ours.keys() == theirs.keys()
    for name, entry in theirs.items():
        assert ours[name]["class_name"] == entry["class_name"]
        assert ours[name]["module"] == entry["module"]
        assert ours[name]["config"].keys() == entry["config"].keys()
        assert len(ours[name]["inbound_nodes"][0]["args"]) == len(entry["inbound_nodes"][0]["args"])


def test_operations_with_operators_and_slices(tmp_path):
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    z = ops.mean(a * 2 - b / 3, axis=-1, keepdims=True) + ops.maximum(a, b)[:, 1:3] ** 2
    model = keras.Model([a, b], ops.where(z > 0.5, z, 1 - z))
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(np.asarray(again([X, X + 1])), np.asarray(model([X, X + 1])))


def test_a_legacy_file(tmp_path):
    model = keras.saving.load_model(DATA / "legacy.h5")
    assert_predicts(model, "legacy.h5")
    targets = {"one": X[:, :2], "two": X[:, :1]}
    assert float(model.optimizer.learning_rate) == pytest.approx(0.1)
    assert np.isfinite(model.train_on_batch([X, X + 1], targets)[0])
    loaded = keras.saving.load_model(DATA / "legacy.h5", compile=False)
    loaded.save(tmp_path / "m.h5")
    assert_predicts(keras.saving.load_model(tmp_path / "m.h5", compile=False), "legacy.h5")
