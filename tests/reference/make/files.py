"""Files saved by Keras, what they predict, their inner paths; summaries of models."""

from __future__ import annotations

import json
import zipfile

import h5py
import keras
import numpy as np

from .. import models
from .common import DATA, save_json, save_npz

SUMMARIES = ("mlp", "cnn", "two_outputs", "nested")


def inner_paths(path) -> list:
    """Return all data sets of an h5 file with their shapes."""
    found = []
    with h5py.File(path, "r") as file:
        file.visititems(
            lambda name, item: (
                found.append([name, list(item.shape), str(item.dtype)])
                if isinstance(item, h5py.Dataset)
                else None
            )
        )
        attributes = {
            name: sorted(item.attrs) for name, item in file.items() if len(item.attrs)
        } | ({"/": sorted(file.attrs)} if len(file.attrs) else {})
    return [found, attributes]


def make(name: str):
    """Return a model trained two steps."""
    keras.utils.clear_session()
    model = models.build_compiled(keras, name)
    models.reseed(name, model)
    for step in range(2):
        batch = models.step_batch(name, step)
        model.train_on_batch(batch.x, batch.y, batch.sample_weight)
    return model


def summary(model, **options) -> str:
    """Return the text of a summary."""
    lines = []
    model.summary(print_fn=lambda line, **_: lines.append(line), **options)
    return "\n".join(lines)


def main() -> None:
    """Write saved_*.keras, saved_*.weights.h5, files.json, files.npz and summaries.json."""
    facts, arrays = {}, {}
    for name in models.SPECS:
        model = make(name)
        model.save(DATA / f"saved_{name}.keras")
        model.save_weights(DATA / f"saved_{name}.weights.h5")
        x = models.dataset(name, 4, "saved").x
        predicted = model.predict(x, verbose=0)
        predicted = predicted if isinstance(predicted, dict) else {"": predicted}
        arrays |= {f"{name}/predicted/{k}": v for k, v in predicted.items()}
        # The files go on training exactly: one more step after loading, optimizer state included.
        batch = models.step_batch(name, 2)
        model.train_on_batch(batch.x, batch.y, batch.sample_weight)
        arrays[f"{name}/next"] = np.concatenate([w.ravel() for w in model.get_weights()])
        with zipfile.ZipFile(DATA / f"saved_{name}.keras") as archive:
            config = json.loads(archive.read("config.json"))
            metadata = json.loads(archive.read("metadata.json"))
            members = archive.namelist()
            (DATA / "inner.h5").write_bytes(archive.read("model.weights.h5"))
        facts[name] = {
            "members": members,
            "metadata": sorted(metadata),
            "keras": inner_paths(DATA / "inner.h5"),
            "weights": inner_paths(DATA / f"saved_{name}.weights.h5"),
            "config": config,
            "json": json.loads(model.to_json()),
        }
        (DATA / "inner.h5").unlink()
        del facts[name]["json"]["compile_config"]
    save_json("files.json", facts)
    save_npz("files.npz", arrays)
    texts = {}
    for name in SUMMARIES:
        keras.utils.clear_session()
        model = models.build_nested(keras) if name == "nested" else models.SPECS[name].build(keras)
        for width in (80, 100):
            texts[f"{name} {width}"] = summary(model, line_length=width)
        texts[f"{name} trainable nested"] = summary(
            model, line_length=100, show_trainable=True, expand_nested=True
        )
    model = make("mlp")
    texts["mlp trained"] = summary(model, line_length=80)
    keras.utils.clear_session()
    texts["unbuilt"] = summary(keras.Sequential([keras.layers.Dense(2)]), line_length=80)
    keras.utils.clear_session()
    frozen = models.build_mlp(keras)
    frozen.layers[0].trainable = False
    texts["frozen"] = summary(frozen, line_length=80)
    save_json("summaries.json", texts)


if __name__ == "__main__":
    main()
