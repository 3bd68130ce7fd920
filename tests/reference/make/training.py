"""Training runs: losses and metrics of every step, fitted histories, final weights."""

from __future__ import annotations

import keras
import numpy as np

from .. import cases_optimizers, models
from .common import numpy, save_json, save_npz


def floats(logs: dict) -> dict:
    """Return logs as floats with 9 significant digits."""
    return {k: float(f"{float(v):.9g}") for k, v in logs.items()}


def run_steps(name: str) -> tuple[dict, dict]:
    """Train 20 single steps, then evaluate and predict."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(7)
    model = models.build_compiled(keras, name)
    arrays = {f"initial/{i}": w for i, w in enumerate(model.get_weights())}
    steps = []
    for step in range(models.STEPS):
        batch = models.step_batch(name, step)
        model.reset_metrics()
        logs = model.train_on_batch(batch.x, batch.y, batch.sample_weight, return_dict=True)
        steps.append(floats(logs))
    arrays |= {f"final/{i}": w for i, w in enumerate(model.get_weights())}
    arrays |= {f"optimizer/{i}": numpy(v) for i, v in enumerate(model.optimizer.variables)}
    test = models.dataset(name, 13, "test")
    evaluated = model.evaluate(
        test.x, test.y, 5, verbose=0, sample_weight=test.sample_weight, return_dict=True
    )
    predicted = model.predict(test.x, batch_size=4, verbose=0)
    if not isinstance(predicted, dict):
        predicted = {"": predicted}
    arrays |= {f"predicted/{k}": v for k, v in predicted.items()}
    return arrays, {
        "steps": steps,
        "evaluate": floats(evaluated),
        "weights": [[w.path, list(w.shape)] for w in model.weights],
        "trainable_weights": [w.path for w in model.trainable_weights],
        "optimizer_variables": [[v.path, list(v.shape)] for v in model.optimizer.variables],
        "metrics_names": list(model.metrics_names),
        "parameters": model.count_params(),
    }


def run_fit(name: str, initial: list) -> tuple[dict, dict]:
    """Fit three epochs of four batches (the last is partial) with validation data."""
    model = models.build_compiled(keras, name)
    model.set_weights(initial)
    size = models.SPECS[name].batch_size
    train = models.dataset(name, 4 * size - 3, "train")
    test = models.dataset(name, 11, "validation")
    validation = tuple(part for part in test if part is not None)
    history = model.fit(
        train.x,
        train.y,
        sample_weight=train.sample_weight,
        batch_size=size,
        epochs=3,
        shuffle=False,
        validation_data=validation,
        verbose=0,
    ).history
    arrays = {f"fitted/{i}": w for i, w in enumerate(model.get_weights())}
    return arrays, {"history": {k: [float(f"{v:.9g}") for v in h] for k, h in history.items()}}


def run_class_weight() -> dict:
    """Fit the MLP with class weights and a validation split."""
    model = models.build_compiled(keras, "mlp")
    models.reseed("class_weight", model)
    train = models.dataset("mlp", 60, "weighted")
    history = model.fit(
        train.x,
        train.y,
        batch_size=16,
        epochs=2,
        shuffle=False,
        class_weight={0: 1.0, 1: 2.5, 2: 0.5, 3: 1.0, 4: 3.0},
        validation_split=0.25,
        verbose=0,
    ).history
    return {"history": {k: [float(f"{v:.9g}") for v in h] for k, h in history.items()}}


def run_optimizers() -> tuple[dict, dict]:
    """Train the small model with every optimizer configuration."""
    arrays, facts = {}, {}
    for base, variant in cases_optimizers.names():
        keras.utils.clear_session()
        optimizer = cases_optimizers.build(keras, base, variant)
        model = models.build_small(keras)
        models.reseed("small", model)
        model.compile(optimizer=optimizer, loss="mse")
        losses = []
        for step in range(models.STEPS):
            batch = models.batch_small(step)
            model.reset_metrics()
            losses.append(float(model.train_on_batch(batch.x, batch.y)))
        key = f"{base}/{variant}"
        arrays[key + "/losses"] = np.array(losses, "float32")
        arrays[key + "/final"] = np.concatenate([w.ravel() for w in model.get_weights()])
        arrays[key + "/variables"] = np.concatenate(
            [np.ravel(numpy(v)).astype("float32") for v in optimizer.variables]
        )
        if variant in ("plain", "ema", "accumulate", "exponential"):
            facts[key] = [[v.path, list(v.shape)] for v in optimizer.variables]
        if "ema" in variant:
            optimizer.finalize_variable_values(model.trainable_variables)
            arrays[key + "/finalized"] = np.concatenate([w.ravel() for w in model.get_weights()])
    return arrays, facts


def schedules() -> dict:
    """Return the value of each schedule at steps 0 to 29."""
    return {
        name: [
            float(f"{float(cases_optimizers.build_schedule(keras, name)(step)):.9g}")
            for step in range(30)
        ]
        for name in cases_optimizers.SCHEDULES
    }


def main() -> None:
    """Write training_*.npz, training.json, optimizers.npz and optimizers.json."""
    facts = {}
    for name in models.SPECS:
        arrays, facts[name] = run_steps(name)
        initial = [v for k, v in arrays.items() if k.startswith("initial/")]
        fitted, history = run_fit(name, initial)
        save_npz(f"training_{name}.npz", arrays | fitted)
        facts[name] |= history
        print(name, facts[name]["steps"][0], facts[name]["steps"][-1])
    facts["class_weight"] = run_class_weight()
    save_json("training.json", facts)
    arrays, variables = run_optimizers()
    save_npz("optimizers.npz", arrays)
    save_json("optimizers.json", {"variables": variables, "schedules": schedules()})


if __name__ == "__main__":
    main()
