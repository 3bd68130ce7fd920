"""Every rule against the formula in float64, with the arguments that all optimizers share."""

import numpy as np
import pytest

import distkeras as keras
from distkeras.optimizers.rules import RULES
from optimizers.formulas import run

MOMENTS = {"beta_1": 0.9, "beta_2": 0.99, "epsilon": 1e-5}
CASES = {
    "sgd": ("SGD", {"momentum": 0.0}),
    "sgd_momentum": ("SGD", {"momentum": 0.9, "nesterov": False}),
    "sgd_nesterov": ("SGD", {"momentum": 0.9, "nesterov": True}),
    "adam": ("Adam", MOMENTS | {"amsgrad": False}),
    "adam_amsgrad": ("Adam", MOMENTS | {"amsgrad": True, "beta_2": 0.7}),
    "adamw": ("AdamW", MOMENTS | {"amsgrad": False, "weight_decay": 0.1}),
    "adamax": ("Adamax", MOMENTS),
    "nadam": ("Nadam", MOMENTS),
    "rmsprop": ("RMSprop", {"rho": 0.8, "epsilon": 1e-4, "momentum": 0.0, "centered": False}),
    "rmsprop_momentum": (
        "RMSprop",
        {"rho": 0.8, "epsilon": 1e-4, "momentum": 0.5, "centered": False},
    ),
    "rmsprop_centered": (
        "RMSprop",
        {"rho": 0.8, "epsilon": 1e-4, "momentum": 0.0, "centered": True},
    ),
    "rmsprop_centered_momentum": (
        "RMSprop",
        {"rho": 0.8, "epsilon": 1e-4, "momentum": 0.5, "centered": True},
    ),
    "adagrad": ("Adagrad", {"initial_accumulator_value": 0.2, "epsilon": 1e-4}),
    "adadelta": ("Adadelta", {"rho": 0.9, "epsilon": 1e-3}),
    "ftrl": (
        "Ftrl",
        {
            "learning_rate_power": -0.6,
            "initial_accumulator_value": 0.1,
            "l1_regularization_strength": 0.02,
            "l2_regularization_strength": 0.1,
            "l2_shrinkage_regularization_strength": 0.05,
            "beta": 0.3,
        },
    ),
    "lion": ("Lion", {"beta_1": 0.9, "beta_2": 0.95}),
}
SHAPES = [(4, 3), (3,), (), (3, 2)]
STEPS = 7


def started(dtype="float32"):
    """Variables and one list of gradients for each step."""
    random = np.random.RandomState(5)
    values = [random.standard_normal(s) for s in SHAPES]
    gradients = [[random.standard_normal(s) for s in SHAPES] for _ in range(STEPS)]
    return [keras.Variable(v, dtype=dtype) for v in values], gradients


def trained(optimizer, variables, gradients):
    """Apply all gradients; answers the initial values."""
    initial = [v.numpy() for v in variables]
    for step in gradients:
        pairs = zip(step, variables, strict=True)
        optimizer.apply([keras.ops.convert_to_tensor(g, v.dtype) for g, v in pairs])
    return initial


def assert_follows(case, change, dtype="float32", tolerance=2e-6, rate=0.05, **shared):
    """Train with `shared` arguments; the formula gets the gradients that `change` makes."""
    cls, arguments = CASES[case]
    decay = shared.get("weight_decay", arguments.get("weight_decay"))
    optimizer = getattr(keras.optimizers, cls)(learning_rate=rate, **{**arguments, **shared})
    variables, gradients = started(dtype)
    optimizer.build(variables)
    initial = trained(optimizer, variables, gradients)
    rates = [float(rate(t)) if callable(rate) else np.float64(np.float32(rate)) for t in range(99)]
    changed, steps = change(gradients)
    for i, v in enumerate(variables):
        expected = run(
            cls, arguments, initial[i], [g[i] for g in changed], [rates[t] for t in steps], decay
        )
        error = np.linalg.norm(v.numpy() - expected) / max(np.linalg.norm(expected), 0.1)
        assert error < tolerance, (i, error)


def unchanged(gradients):
    return gradients, range(STEPS)


def test_every_rule_has_a_case():
    assert set(RULES) == set(CASES) - {"adamw"}


@pytest.mark.parametrize("case", CASES)
def test_plain(case):
    assert_follows(case, unchanged)


@pytest.mark.parametrize("case", CASES)
def test_float64(case):
    # The learning rate is a float32 variable; nothing else is rounded to that. Nadam keeps its
    # momentum schedule in the first variable's dtype.
    assert_follows(case, unchanged, dtype="float64", tolerance=1e-12)


@pytest.mark.parametrize("dtype,tolerance", [("float16", 0.02), ("bfloat16", 0.15)])
@pytest.mark.parametrize("case", CASES)
def test_half_precision(case, dtype, tolerance):
    assert_follows(case, unchanged, dtype=dtype, tolerance=tolerance)


@pytest.mark.parametrize("case", CASES)
def test_weight_decay(case):
    assert_follows(case, unchanged, weight_decay=0.3)


@pytest.mark.parametrize("case", CASES)
def test_schedule(case):
    rate = keras.optimizers.schedules.CosineDecay(0.05, 20)
    assert_follows(case, unchanged, rate=rate, tolerance=5e-6)


def clipped_value(gradients):
    return [[np.clip(g, -0.4, 0.4) for g in step] for step in gradients], range(STEPS)


def clipped_norm(gradients):
    return [[g * min(1, 0.9 / np.linalg.norm(g)) for g in step] for step in gradients], range(STEPS)


def clipped_global(gradients):
    norms = [np.sqrt(sum(np.sum(g * g) for g in step)) for step in gradients]
    return [
        [g * min(1, 4.5 / n) for g in step] for step, n in zip(gradients, norms, strict=True)
    ], range(STEPS)


def averaged(gradients):
    firsts = range(0, STEPS - 2, 3)
    windows = [zip(*gradients[i : i + 3], strict=True) for i in firsts]
    return [[np.mean(gs, 0) for gs in window] for window in windows], [2, 5]


def averaged_and_clipped(gradients):
    means, steps = averaged(gradients)
    return [[g * min(1, 0.9 / np.linalg.norm(g)) for g in step] for step in means], steps


def scaled(gradients):
    return [[g / 4 for g in step] for step in gradients], range(STEPS)


SHARED = {
    "clipvalue": (clipped_value, {"clipvalue": 0.4}),
    "clipnorm": (clipped_norm, {"clipnorm": 0.9}),
    "global_clipnorm": (clipped_global, {"global_clipnorm": 4.5}),
    "accumulation": (averaged, {"gradient_accumulation_steps": 3}),
    "accumulation_clipped": (
        averaged_and_clipped,
        {"gradient_accumulation_steps": 3, "clipnorm": 0.9, "weight_decay": 0.1},
    ),
    "loss_scale": (scaled, {"loss_scale_factor": 4.0}),
}


@pytest.mark.parametrize("shared", SHARED)
@pytest.mark.parametrize("case", ["sgd_momentum", "adam", "rmsprop", "nadam", "ftrl"])
def test_shared_arguments(case, shared):
    change, arguments = SHARED[shared]
    assert_follows(case, change, **arguments)


def test_the_clips_clip_some_gradients_only():
    _, gradients = started()
    flat = np.concatenate([g.ravel() for step in gradients for g in step])
    norms = [np.linalg.norm(g) for step in gradients for g in step]
    whole = [np.linalg.norm(np.concatenate([g.ravel() for g in step])) for step in gradients]
    for values, limit in ((np.abs(flat), 0.4), (norms, 0.9), (whole, 4.5)):
        assert min(values) < limit < max(values)


def test_accumulation_counts_calls_and_updates():
    optimizer = keras.optimizers.SGD(0.5, gradient_accumulation_steps=3)
    w = keras.Variable([1.0])
    seen = []
    for _ in range(7):
        optimizer.apply([keras.ops.ones((1,))], [w])
        seen.append((int(optimizer.iterations), float(w.value[0])))
    assert seen == [(0, 1.0), (0, 1.0), (1, 0.5), (1, 0.5), (1, 0.5), (2, 0.0), (2, 0.0)]
    assert int(optimizer.variables[0]) == 7
    assert optimizer.variables[2].numpy().tolist() == [1.0]


@pytest.mark.parametrize("frequency", [None, 2])
def test_moving_average(frequency):
    optimizer = keras.optimizers.SGD(
        0.5, use_ema=True, ema_momentum=0.75, ema_overwrite_frequency=frequency
    )
    w, value, average = keras.Variable([8.0]), 8.0, 0.0
    for step in range(5):
        optimizer.apply([keras.ops.ones((1,))], [w])
        value -= 0.5
        average = value if step == 0 else 0.75 * average + 0.25 * value
        if frequency and (step + 1) % frequency == 0:
            value = average
        assert float(w.value[0]) == pytest.approx(value)
        assert float(optimizer.variables[2].value[0]) == pytest.approx(average)
    optimizer.finalize_variable_values([w])
    assert float(w.value[0]) == pytest.approx(average)


def test_finalize_before_the_first_update_changes_nothing():
    optimizer, w = keras.optimizers.SGD(0.5, use_ema=True), keras.Variable([8.0])
    optimizer.build([w])
    optimizer.finalize_variable_values([w])
    assert float(w.value[0]) == 8.0
    with pytest.raises(ValueError, match="length of model variables"):
        optimizer.finalize_variable_values([w, w])


def test_not_a_number_reaches_every_variable_through_the_global_norm_only():
    for argument, spoiled in (("global_clipnorm", [True, True]), ("clipnorm", [False, True])):
        optimizer = keras.optimizers.SGD(0.1, **{argument: 1.0})
        variables = [keras.Variable(np.ones(3, "float32")) for _ in range(2)]
        optimizer.apply([np.ones(3, "float32"), np.array([1, np.nan, 1], "float32")], variables)
        assert [bool(np.isnan(v.numpy()).all()) for v in variables] == spoiled


def test_state_of_the_documented_order():
    kernel = keras.Variable(np.ones((2, 3), "float32"), name="k")
    bias = keras.Variable(np.ones(3, "float32"), name="b")
    optimizer = keras.optimizers.Adam(
        amsgrad=True, use_ema=True, gradient_accumulation_steps=2, name="a"
    )
    optimizer.build([kernel, bias])
    assert [v.path for v in optimizer.variables] == [
        "a/iteration", "a/learning_rate", "a/k_average", "a/b_average",
        "a/k_gradient_accumulator", "a/b_gradient_accumulator", "a/k_momentum", "a/k_velocity",
        "a/b_momentum", "a/b_velocity", "a/k_velocity_hat", "a/b_velocity_hat",
    ]  # fmt: skip
