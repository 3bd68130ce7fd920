"""Training from identical weights on identical batches: losses, metrics and weights as Keras's."""

import numpy as np
import pytest

import distkeras as keras

from . import cases_optimizers, models
from .load import numbered, read_json, read_npz, relative_error

LOSS_TOLERANCE = 1e-4  # relative
WEIGHT_TOLERANCE = 5e-5  # of the norm; the project promises 1e-3

NAMES = list(models.SPECS)


@pytest.fixture(autouse=True)
def _fresh_names():
    keras.utils.clear_session(free_memory=False)


def started(name: str):
    """Return a compiled model with the weights that Keras started from."""
    model = models.build_compiled(keras, name)
    model.set_weights(numbered(read_npz(f"training_{name}.npz"), "initial"))
    return model


def assert_logs(found: dict, expected: dict, where: str) -> None:
    """Compare names and values of logs."""
    assert set(found) == set(expected), where
    for key, value in expected.items():
        assert float(found[key]) == pytest.approx(value, rel=LOSS_TOLERANCE, abs=1e-6), (where, key)


def assert_weights(found, expected) -> None:
    """Compare lists of weights by norm, each of them and together."""
    assert [np.shape(w) for w in found] == [w.shape for w in expected]
    for i, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
        distance = np.linalg.norm(np.asarray(ours, "float64") - theirs)
        assert distance <= WEIGHT_TOLERANCE * max(np.linalg.norm(theirs), 0.1), i
    joined = [np.concatenate([np.ravel(w) for w in ws]) for ws in (found, expected)]
    assert relative_error(*joined) < WEIGHT_TOLERANCE


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_those_of_keras_in_order_and_name(name):
    model = models.build_compiled(keras, name)
    facts = read_json("training.json")[name]
    assert [[w.path, list(w.shape)] for w in model.weights] == facts["weights"]
    assert [w.path for w in model.trainable_weights] == facts["trainable_weights"]
    assert model.count_params() == facts["parameters"]


@pytest.mark.parametrize("name", NAMES)
def test_twenty_steps(name):
    model = started(name)
    arrays, facts = read_npz(f"training_{name}.npz"), read_json("training.json")[name]
    for step, expected in enumerate(facts["steps"]):
        batch = models.step_batch(name, step)
        model.reset_metrics()
        logs = model.train_on_batch(batch.x, batch.y, batch.sample_weight, return_dict=True)
        assert_logs(logs, expected, f"step {step}")
    assert_weights(model.get_weights(), numbered(arrays, "final"))
    variables = model.optimizer.variables
    assert [list(v.shape) for v in variables] == [s for _, s in facts["optimizer_variables"]]
    assert_weights([v.numpy() for v in variables], numbered(arrays, "optimizer"))
    assert list(model.metrics_names) == facts["metrics_names"]
    test = models.dataset(name, 13, "test")
    found = model.evaluate(
        test.x, test.y, 5, verbose=0, sample_weight=test.sample_weight, return_dict=True
    )
    assert_logs(found, facts["evaluate"], "evaluate")
    predicted = model.predict(test.x, batch_size=4, verbose=0)
    predicted = predicted if isinstance(predicted, dict) else {"": predicted}
    for key, value in predicted.items():
        assert relative_error(value, arrays[f"predicted/{key}"]) < WEIGHT_TOLERANCE


@pytest.mark.parametrize("name", NAMES)
def test_fit_with_a_partial_batch_and_validation(name):
    model = started(name)
    size = models.SPECS[name].batch_size
    train = models.dataset(name, 4 * size - 3, "train")
    validation = tuple(part for part in models.dataset(name, 11, "validation") if part is not None)
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
    expected = read_json("training.json")[name]["history"]
    assert list(history) == sorted(expected), "Keras sorts the names of an epoch's logs"
    for key, values in expected.items():
        assert history[key] == pytest.approx(values, rel=LOSS_TOLERANCE, abs=1e-6), key
    assert_weights(model.get_weights(), numbered(read_npz(f"training_{name}.npz"), "fitted"))


def test_class_weight_and_validation_split():
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
    expected = read_json("training.json")["class_weight"]["history"]
    assert set(history) == set(expected)
    for key, values in expected.items():
        assert history[key] == pytest.approx(values, rel=LOSS_TOLERANCE, abs=1e-6), key


@pytest.mark.parametrize("base,variant", cases_optimizers.names())
def test_optimizer(base, variant):
    arrays, key = read_npz("optimizers.npz"), f"{base}/{variant}"
    optimizer = cases_optimizers.build(keras, base, variant)
    model = models.build_small(keras)
    models.reseed("small", model)
    model.compile(optimizer=optimizer, loss="mse")
    losses = []
    for step in range(models.STEPS):
        batch = models.batch_small(step)
        model.reset_metrics()
        losses.append(float(model.train_on_batch(batch.x, batch.y)))
    assert losses == pytest.approx(arrays[key + "/losses"].tolist(), rel=LOSS_TOLERANCE)

    def joined():
        return np.concatenate([np.ravel(w) for w in model.get_weights()])

    assert relative_error(joined(), arrays[key + "/final"]) < WEIGHT_TOLERANCE
    variables = np.concatenate([np.ravel(v.numpy()) for v in optimizer.variables])
    assert relative_error(variables, arrays[key + "/variables"]) < WEIGHT_TOLERANCE
    named = read_json("optimizers.json")["variables"].get(key)
    if named is not None:
        assert [[v.path, list(v.shape)] for v in optimizer.variables] == named
    if key + "/finalized" in arrays:
        optimizer.finalize_variable_values(model.trainable_variables)
        assert relative_error(joined(), arrays[key + "/finalized"]) < WEIGHT_TOLERANCE


@pytest.mark.parametrize("name", cases_optimizers.SCHEDULES)
def test_schedule(name):
    schedule = cases_optimizers.build_schedule(keras, name)
    found = [float(schedule(step)) for step in range(30)]
    assert found == pytest.approx(
        read_json("optimizers.json")["schedules"][name], rel=1e-5, abs=1e-7
    )
