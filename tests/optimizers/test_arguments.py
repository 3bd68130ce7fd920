"""Arguments, names, configurations, learning rates and schedules."""

import inspect

import numpy as np
import pytest

import distkeras as keras
from distkeras.errors import ArgumentError, NotSettableError, UnknownNameError

NAMES = "SGD Adam AdamW Adamax Nadam RMSprop Adagrad Adadelta Ftrl Lion".split()
COMMON = (
    "weight_decay clipnorm clipvalue global_clipnorm use_ema ema_momentum ema_overwrite_frequency "
    "loss_scale_factor gradient_accumulation_steps name kwargs"
).split()


@pytest.mark.parametrize("name", NAMES)
def test_names_and_configurations(name):
    cls = getattr(keras.optimizers, name)
    for known_as in (name, name.lower(), name.upper()):
        assert type(keras.optimizers.get(known_as)) is cls
    optimizer = cls(learning_rate=0.25, weight_decay=0.5, use_ema=True, clipvalue=2.0)
    config = keras.optimizers.serialize(optimizer)
    assert (config["module"], config["class_name"]) == ("keras.optimizers", name)
    for again in (keras.optimizers.deserialize(config), keras.optimizers.get(config)):
        assert type(again) is cls
        assert again.get_config() == optimizer.get_config()
    legacy = {"class_name": name, "config": {"learning_rate": 0.5}}
    assert float(keras.optimizers.deserialize(legacy).learning_rate) == 0.5


@pytest.mark.parametrize("name", NAMES)
def test_signatures(name):
    parameters = list(inspect.signature(getattr(keras.optimizers, name)).parameters)
    assert parameters[0] == "learning_rate"
    common = [c for c in COMMON if not (name == "AdamW" and c == "weight_decay")]
    assert parameters[-len(common) :] == common


def test_arguments_by_position():
    adam = keras.optimizers.Adam(0.5, 0.8, 0.9, 1e-3, True, 0.25)
    assert (adam.beta_1, adam.beta_2, adam.epsilon) == (0.8, 0.9, 1e-3)
    assert (adam.amsgrad, adam.weight_decay) == (True, 0.25)
    assert keras.optimizers.AdamW(0.5, 0.25).weight_decay == 0.25


def test_objects_as_they_are():
    sgd = keras.optimizers.SGD()
    assert keras.optimizers.get(sgd) is sgd
    assert keras.optimizers.get(None) is None
    with pytest.raises(UnknownNameError, match="No optimizer is named 'admam'"):
        keras.optimizers.get("admam")
    with pytest.raises(ArgumentError, match="Could not interpret optimizer identifier: 3"):
        keras.optimizers.get(3)


WRONG = {
    "learning_rate=1": "`learning_rate` should be float",
    "learning_rate='fast'": "`learning_rate` should be float",
    "clipnorm=1.0, clipvalue=1.0": "Only one of `clipnorm`, `clipvalue` and `global_clipnorm`",
    "gradient_accumulation_steps=1": "must be an integer >= 2",
    "use_ema=True, ema_momentum=1.5": r"range \[0, 1\]",
    "use_ema=True, ema_overwrite_frequency=0.5": "must be an integer >= 1 or None",
    "momentum=2.0": "`momentum` must be a float between",
    "rate=0.1": r"not recognized: \{'rate': 0.1\}",
}


@pytest.mark.parametrize("arguments", WRONG)
def test_wrong_arguments(arguments):
    with pytest.raises(ValueError, match=WRONG[arguments]):
        keras.optimizers.SGD(**eval(f"dict({arguments})"))


@pytest.mark.parametrize(
    "name,arguments",
    [
        ("AdamW", {"weight_decay": None}),
        ("Lion", {"beta_1": 0.0}),
        ("Ftrl", {"initial_accumulator_value": -1.0}),
        ("Ftrl", {"l1_regularization_strength": -1.0}),
        ("Ftrl", {"learning_rate_power": 1.0}),
    ],
)
def test_wrong_arguments_of_one_rule(name, arguments):
    with pytest.raises(ArgumentError, match=next(iter(arguments))):
        getattr(keras.optimizers, name)(**arguments)


def test_decay_is_ignored_with_a_warning():
    with pytest.warns(UserWarning, match="`decay` is no longer supported"):
        keras.optimizers.SGD(decay=0.1)


def test_a_subclass_that_forgets_the_base():
    class Forgetful(keras.optimizers.Optimizer):
        def __init__(self):
            self.momentum = 0.9

    with pytest.raises(RuntimeError, match=r"forgot to call `super\(\).__init__\(\)`"):
        Forgetful()


# --- learning rates ---


def step(optimizer):
    w = keras.Variable([0.0])
    optimizer.build([w])
    found = []
    for _ in range(4):
        before = float(w.value[0])
        optimizer.apply([np.ones(1, "float32")])
        found.append(round(before - float(w.value[0]), 6))
    return found


class Custom(keras.optimizers.schedules.LearningRateSchedule):
    """A user's schedule: it is given a tensor."""

    def __call__(self, step):
        assert step.dtype == "int32"
        return 1.0 / (1.0 + keras.ops.cast(step, "float32"))


def test_kinds_of_learning_rates():
    sgd, schedules = keras.optimizers.SGD, keras.optimizers.schedules
    rates = iter([4.0, 3.0, 2.0, 1.0])
    assert step(sgd(0.5)) == [0.5] * 4
    assert step(sgd(schedules.ExponentialDecay(1.0, 1, 0.5))) == [1.0, 0.5, 0.25, 0.125]
    assert step(sgd(Custom())) == [1.0, 0.5, 0.333333, 0.25]
    assert step(sgd(lambda: next(rates))) == [4.0, 3.0, 2.0, 1.0]


def test_schedules_count_calls_where_gradients_are_accumulated():
    rate = keras.optimizers.schedules.ExponentialDecay(1.0, 1, 0.5)
    found = step(keras.optimizers.SGD(rate, gradient_accumulation_steps=2))
    assert found == [0.0, 0.5, 0.0, 0.125]


def test_setting_the_learning_rate():
    sgd = keras.optimizers.SGD(0.5)
    held = sgd.learning_rate
    sgd.learning_rate = 0.25
    assert float(sgd.learning_rate) == 0.25
    assert held is sgd.learning_rate
    assert held in sgd.variables or any(v is held for v in sgd.variables)
    sgd.learning_rate = keras.optimizers.schedules.ExponentialDecay(0.5, 1, 0.5)
    assert not any(v is held for v in sgd.variables)
    assert float(sgd.learning_rate) == 0.5
    sgd.iterations.assign(1)
    assert float(sgd.learning_rate) == 0.25
    with pytest.raises(NotSettableError, match="not settable"):
        sgd.learning_rate = 0.1
    assert issubclass(NotSettableError, TypeError)


# --- schedules ---

SCHEDULES = {
    "ExponentialDecay": {"decay_steps": 3, "decay_rate": 0.5, "staircase": True},
    "InverseTimeDecay": {"decay_steps": 3, "decay_rate": 0.5},
    "PolynomialDecay": {"decay_steps": 4, "power": 2.0, "cycle": True},
    "CosineDecay": {"decay_steps": 6, "alpha": 0.1, "warmup_target": 0.5, "warmup_steps": 3},
    "CosineDecayRestarts": {"first_decay_steps": 3, "t_mul": 1.5, "m_mul": 0.8, "alpha": 0.1},
}


def schedule(name):
    schedules = keras.optimizers.schedules
    if name == "PiecewiseConstantDecay":
        return schedules.PiecewiseConstantDecay([2, 5], [0.3, 0.2, 0.1])
    return getattr(schedules, name)(0.2, **SCHEDULES[name])


@pytest.mark.parametrize("name", [*SCHEDULES, "PiecewiseConstantDecay"])
def test_schedules_on_numbers_and_on_tensors(name):
    rate = schedule(name)
    again = keras.optimizers.schedules.deserialize(keras.optimizers.schedules.serialize(rate))
    assert again.get_config() == rate.get_config()
    for number in range(20):
        value = rate(number)
        assert type(value) is float
        assert again(number) == value
        tensor = rate(keras.ops.convert_to_tensor(number, "int32"))
        assert float(tensor) == pytest.approx(value, abs=1e-6), number
    optimizer = keras.optimizers.SGD(rate)
    copied = keras.optimizers.SGD.from_config(optimizer.get_config())
    assert float(copied.learning_rate) == float(optimizer.learning_rate)


def test_restarts_begin_where_waves_end():
    # Waves of 4, 6, 9 and 13.5 updates; a wave begins at the height 0.5 ** (its number).
    rate = keras.optimizers.schedules.CosineDecayRestarts(1.0, 4, t_mul=1.5, m_mul=0.5)
    assert [rate(s) for s in (0, 4, 10, 19)] == pytest.approx([1.0, 0.5, 0.25, 0.125])
    assert [rate(s) < 0.15 for s in (3, 9, 18)] == [True] * 3


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_need_a_length(name):
    argument = next(a for a in SCHEDULES[name] if a.endswith("decay_steps"))
    with pytest.raises(ArgumentError, match=f"Argument `{argument}` must be > 0"):
        getattr(keras.optimizers.schedules, name)(0.1, **SCHEDULES[name] | {argument: 0})


def test_boundaries_and_values_go_together():
    with pytest.raises(ArgumentError, match="length of boundaries should be 1 less"):
        keras.optimizers.schedules.PiecewiseConstantDecay([1], [0.1])


def test_the_base_of_schedules_is_abstract():
    base = keras.optimizers.schedules.LearningRateSchedule()
    with pytest.raises(NotImplementedError, match="must override `__call__"):
        base(1)
    with pytest.raises(NotImplementedError, match="must override `get_config"):
        base.get_config()
