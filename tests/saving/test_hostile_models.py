"""Whole-model files built to do harm, or damaged: named errors, nothing is run or written."""

import io
import json
import os
import random
import sys
import warnings
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

import distkeras as keras
from distkeras.errors import DistkerasError, SavingError, UnknownObjectError, UnsafeFileError

from .conftest import sequential

# Here the marshalled code of a lambda would stand; what it is does not matter: it is never read.
CODE = {"class_name": "__lambda__", "config": {"value": ["4wEAAAA=", None, None]}}


@pytest.fixture
def saved(tmp_path):
    """The members of a good file."""
    path = tmp_path / "good.keras"
    sequential().save(path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(path, members, compression=zipfile.ZIP_STORED):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of duplicate names
        with zipfile.ZipFile(path, "w", compression) as archive:
            for name, data in members:
                archive.writestr(name, data)
    return path


def layer(class_name="Lambda", module="keras.layers", registered_name=None, **config):
    return {
        "module": module,
        "class_name": class_name,
        "config": {"name": "harm", "trainable": True, **config},
        "registered_name": registered_name,
    }


def with_layer(saved, path, entry):
    """A file whose model has one more layer."""
    config = json.loads(saved["config.json"])
    config["config"]["layers"].append(entry)
    return pack(path, {**saved, "config.json": json.dumps(config)}.items())


HARM = [
    layer(function=CODE),
    layer(function=["4wEAAAA=", None, None], function_type="lambda"),
    layer(function={"class_name": "function", "config": "system", "module": "os"}),
    layer(function={"class_name": "function", "config": "eval", "module": "builtins"}),
    layer("Dense", units=2, kernel_initializer=layer("system", "os")),
    layer(
        "Dense", units=2, activation={"module": "os", "class_name": "function", "config": "system"}
    ),
    layer("system", "os"),
    layer("Popen", "subprocess", args="touch harm"),
    layer("harm", "harm"),
    layer("harm", "harm", registered_name="harm>harm"),
    layer("Dense", registered_name="os>system", units=2),
    layer("load_model", "keras.models", filepath="x"),
    layer("get_file", "keras.utils", origin="http://example.org/harm"),
    layer("TorchModuleWrapper", module={"class_name": "__bytes__", "config": {"value": "x"}}),
    layer("TFSMLayer", filepath="/tmp/harm"),
    layer("CSVLogger", "keras.callbacks", filename="harm"),
    layer("Dense", "keras.layers", units="__import__('os').system('touch harm')"),
]


@pytest.mark.parametrize("safe_mode", [True, False])
@pytest.mark.parametrize("entry", HARM, ids=lambda e: f"{e['module']}.{e['class_name']}")
def test_a_model_that_asks_for_code(saved, tmp_path, monkeypatch, entry, safe_mode):
    (tmp_path / "harm.py").write_text("open('harm', 'w')")  # what an import would run
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    path = with_layer(saved, tmp_path / "bad.keras", entry)
    with pytest.raises((DistkerasError, ValueError, TypeError)):
        keras.saving.load_model(path, safe_mode=safe_mode)
    assert sorted(os.listdir()) == ["bad.keras", "good.keras", "harm.py"]
    assert "harm" not in sys.modules


def test_lambda_names_what_to_do(saved, tmp_path):
    path = with_layer(saved, tmp_path / "bad.keras", layer(function=CODE))
    with pytest.raises(UnsafeFileError, match="named function"):
        keras.saving.load_model(path)
    with pytest.raises(UnsafeFileError, match="safe_mode=False either"):
        keras.saving.load_model(path, safe_mode=False)


@pytest.mark.parametrize(
    "name",
    [
        "../harm",
        "/tmp/harm",
        "assets/../../harm",
        "..\\harm",
        "C:/harm",
        "assets/../../../etc/passwd",
    ],
)
def test_names_that_lead_out_of_the_archive(saved, tmp_path, name):
    path = pack(tmp_path / "bad.keras", [*saved.items(), (name, b"x")])
    with pytest.raises(UnsafeFileError, match="leads out of the archive"):
        keras.saving.load_model(path)
    with pytest.raises(UnsafeFileError):
        sequential().load_weights(path)
    assert sorted(os.listdir(tmp_path)) == ["bad.keras", "good.keras"]


def test_a_member_twice(saved, tmp_path):
    path = pack(tmp_path / "bad.keras", [*saved.items(), ("config.json", b"{}")])
    with pytest.raises(UnsafeFileError, match="twice"):
        keras.saving.load_model(path)


def test_a_link(saved, tmp_path):
    link = zipfile.ZipInfo("assets/link")
    link.external_attr = 0o120777 << 16
    path = pack(tmp_path / "bad.keras", [*saved.items(), (link, "/etc/passwd")])
    with pytest.raises(UnsafeFileError, match="is a link"):
        keras.saving.load_model(path)


def test_a_bomb(saved, tmp_path):
    members = {**saved, "model.weights.h5": bytes(1 << 27)}
    path = pack(tmp_path / "bad.keras", members.items(), zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 1 << 20
    with pytest.raises(UnsafeFileError, match="would unpack"):
        keras.saving.load_model(path)


def test_sizes_that_are_lies(saved, tmp_path):
    data = bytearray(pack(tmp_path / "bad.keras", saved.items()).read_bytes())
    central = data.rfind(b"PK\x01\x02")  # the last member's entry in the directory
    data[central + 24 : central + 28] = (1 << 31).to_bytes(4, "little")
    (tmp_path / "bad.keras").write_bytes(data)
    with pytest.raises(SavingError):
        keras.saving.load_model(tmp_path / "bad.keras")


@pytest.mark.parametrize(
    "config",
    [
        b"",
        b"nonsense",
        b"[1, 2]",
        b"{}",
        b'{"class_name": "Sequential"}',
        b'{"module": "keras", "class_name": "Sequential", "config": {}}',
        b'{"module": "keras", "class_name": "Sequential", "config": {"layers": 3}}',
        b'{"module": "keras", "class_name": "Sequential", "config": {"layers": [3]}}',
        b'{"module": "keras.layers", "class_name": "Flatten", "config": {}}',
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b"\xff\xfe\x00",
    ],
    ids=lambda text: repr(text[:40]),
)
def test_descriptions_that_are_none(saved, tmp_path, config):
    path = pack(tmp_path / "bad.keras", {**saved, "config.json": config}.items())
    with pytest.raises((SavingError, TypeError, ValueError)) as caught:
        keras.saving.load_model(path)
    assert not isinstance(caught.value, RecursionError)


def test_deeply_nested_models(saved, tmp_path):
    entry = layer("Flatten")
    for _ in range(300):
        entry = {"module": "keras", "class_name": "Sequential", "config": {"layers": [entry]}}
    path = pack(tmp_path / "bad.keras", {**saved, "config.json": json.dumps(entry)}.items())
    with pytest.raises((SavingError, ValueError)):
        keras.saving.load_model(path)


@pytest.mark.parametrize("missing", ["config.json", "model.weights.h5"])
def test_members_that_are_missing(saved, tmp_path, missing):
    members = [(name, data) for name, data in saved.items() if name != missing]
    with pytest.raises(SavingError, match=f"no member '{missing}'"):
        keras.saving.load_model(pack(tmp_path / "bad.keras", members))


def weights_with(saved, change):
    file = io.BytesIO(saved["model.weights.h5"])
    with h5py.File(file, "r+") as h5:
        change(h5)
    return file.getvalue()


def external(h5):
    del h5["layers/dense/vars/0"]
    h5["layers/dense/vars/0"] = h5py.ExternalLink("/etc/passwd", "0")


def soft(h5):
    del h5["layers/dense"]
    h5["layers/dense"] = h5py.SoftLink("/layers/dense_1")


def objects(h5):
    del h5["layers/dense/vars/0"]
    h5["layers/dense/vars"].create_dataset("0", data=["x"], dtype=h5py.string_dtype())


@pytest.mark.parametrize("change", [external, soft, objects])
def test_weights_that_reach_out(saved, tmp_path, change):
    members = {**saved, "model.weights.h5": weights_with(saved, change)}
    path = pack(tmp_path / "bad.keras", members.items())
    with pytest.raises(SavingError, match="refused"):
        keras.saving.load_model(path)
    loose = tmp_path / "bad.weights.h5"
    loose.write_bytes(members["model.weights.h5"])
    model = sequential()
    before = model.get_weights()
    with pytest.raises(SavingError, match="refused"):
        model.load_weights(loose)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def legacy(path, **attributes):
    with h5py.File(path, "w") as h5:
        h5.create_group("model_weights")
        for name, value in attributes.items():
            h5.attrs[name] = value if isinstance(value, str) else json.dumps(value)
    return path


def with_one(class_name, config, **more):
    entry = {"class_name": class_name, "config": config, **more}
    return {"class_name": "Sequential", "config": {"layers": [entry]}}


LEGACY_HARM = [
    with_one("Lambda", {"function": ["4wEA", None, None]}),
    with_one("Lambda", {"function": CODE}),
    with_one("system", {}, module="os"),
    {"class_name": "os.system", "config": {}},
    {"class_name": "Sequential", "config": {"layers": ["os"]}},
    {"class_name": "Sequential", "config": 3},
    {"class_name": 3, "config": {}},
    {},
]


@pytest.mark.parametrize("safe_mode", [True, False])
@pytest.mark.parametrize("config", LEGACY_HARM, ids=lambda c: str(c)[-60:])
def test_legacy_files_that_ask_for_code(tmp_path, config, safe_mode):
    path = legacy(tmp_path / "bad.h5", model_config=config)
    with pytest.raises((SavingError, UnknownObjectError, ValueError, TypeError)):
        keras.saving.load_model(path, safe_mode=safe_mode)


def test_legacy_files_that_are_none(tmp_path):
    (tmp_path / "text.h5").write_text("nonsense")
    for path in (
        tmp_path / "text.h5",
        legacy(tmp_path / "a.h5"),
        legacy(tmp_path / "b.h5", model_config="{"),
    ):
        with pytest.raises(SavingError):
            keras.saving.load_model(path)


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".weights.h5"])
def test_truncated_and_scrambled_files(tmp_path, suffix):
    model = sequential()
    path = tmp_path / f"m{suffix}"
    (model.save_weights if suffix == ".weights.h5" else model.save)(path)
    whole = path.read_bytes()
    rng = random.Random(7)
    variants = [whole[: int(len(whole) * part)] for part in (0, 0.01, 0.3, 0.6, 0.9, 0.999)]
    for _ in range(30):
        scrambled = bytearray(whole)
        for _ in range(20):
            scrambled[rng.randrange(len(whole))] = rng.randrange(256)
        variants.append(bytes(scrambled))
    failed = 0
    for data in variants:
        Path(path).write_bytes(data)
        try:
            if suffix == ".weights.h5":
                sequential().load_weights(path)
            else:
                keras.saving.load_model(path)
        except (SavingError, ValueError, TypeError):
            failed += 1
    assert failed >= 6
