"""Run by hand: files written by distkeras are loaded by Keras and predict the same.

    PYTHONPATH=. python -m tests.reference.make.check_ours_in_keras write DIRECTORY   # distkeras
    KERAS_BACKEND=torch python -m tests.reference.make.check_ours_in_keras read DIRECTORY   # Keras

The first needs distkeras, the second Keras; they may be different environments.
"""

from __future__ import annotations

import pathlib
import sys

import numpy as np

from .. import models
from ..load import relative_error


def outputs(model, name: str) -> dict:
    """Return predictions by name."""
    predicted = model.predict(models.dataset(name, 4, "saved").x, verbose=0)
    return predicted if isinstance(predicted, dict) else {"": predicted}


def step(model, name: str, index: int) -> None:
    """Train one step."""
    batch = models.step_batch(name, index)
    model.train_on_batch(batch.x, batch.y, batch.sample_weight)


def joined(model) -> np.ndarray:
    """Return all weights in one array."""
    return np.concatenate([np.ravel(w) for w in model.get_weights()])


def write(folder: pathlib.Path) -> None:
    """Save every model of the table with distkeras, and what comes next."""
    import distkeras as keras

    folder.mkdir(parents=True, exist_ok=True)
    for name in models.SPECS:
        keras.utils.clear_session()
        model = models.build_compiled(keras, name)
        models.reseed(name, model)
        step(model, name, 0)
        step(model, name, 1)
        model.save(folder / f"{name}.keras")
        model.save_weights(folder / f"{name}.weights.h5")
        (folder / f"{name}.json").write_text(model.to_json())
        found = {f"predicted/{k}": v for k, v in outputs(model, name).items()}
        step(model, name, 2)
        np.savez(folder / f"{name}.npz", next=joined(model), **found)
        print("wrote", name)


def read(folder: pathlib.Path) -> None:
    """Load every file with Keras and compare."""
    import keras

    for name in models.SPECS:
        with np.load(folder / f"{name}.npz") as archive:
            expected = dict(archive)
        loaded = {"model": keras.saving.load_model(folder / f"{name}.keras")}
        weighted = models.build_compiled(keras, name)
        weighted.optimizer.build(weighted.trainable_variables)
        weighted.load_weights(folder / f"{name}.weights.h5")
        loaded["weights"] = weighted
        keras.models.model_from_json((folder / f"{name}.json").read_text())
        for kind, model in loaded.items():
            for key, value in outputs(model, name).items():
                error = relative_error(value, expected[f"predicted/{key}"])
                if not error < 1e-5:
                    raise SystemExit(f"{name} ({kind}): predictions differ by {error:.2g}")
            step(model, name, 2)
            error = relative_error(joined(model), expected["next"])
            if not error < 1e-4:
                raise SystemExit(f"{name} ({kind}): the next step differs by {error:.2g}")
        print("same in Keras:", name)


if __name__ == "__main__":
    {"write": write, "read": read}[sys.argv[1]](pathlib.Path(sys.argv[2]))
