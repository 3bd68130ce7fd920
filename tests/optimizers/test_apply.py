"""What one call of `apply` touches: exactly the written set, and nothing that a user holds."""

import contextlib
import copy
import pickle
import threading
import warnings

import numpy as np
import pytest

import distkeras as keras
from distkeras.devices.base import register_device, use_device
from distkeras.errors import (
    ArgumentError,
    DeviceError,
    NotBuiltError,
    ShapeError,
    UnknownVariableError,
)
from support.strict import Strict

RULES = {
    "SGD": {"momentum": 0.9},
    "Adam": {},
    "AdamW": {},
    "RMSprop": {"momentum": 0.9, "centered": True},
    "Adagrad": {},
    "Ftrl": {},
}
SHAPES = {"kernel": (5, 4), "bias": (4,), "head": (4, 3), "offset": (3,), "scale": ()}


def variables(dtype="float32", seed=0):
    random = np.random.RandomState(seed)
    return [
        keras.Variable(random.standard_normal(s), dtype=dtype, name=n) for n, s in SHAPES.items()
    ]


def gradients(seed=1):
    random = np.random.RandomState(seed)
    made = [random.standard_normal(s).astype("float32") for s in SHAPES.values()]
    return [keras.ops.convert_to_tensor(g) for g in made]


def bits(things):
    return [np.asarray(t).tobytes() for t in things]


def slots(optimizer, variable):
    return [v for v in optimizer.variables if v.name.startswith(f"{variable.name}_")]


@pytest.mark.parametrize("shared", [{}, {"clipnorm": 0.1}, {"global_clipnorm": 0.1}])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("missing", [[2, 3], [0], [1, 4], [0, 2, 4]])
def test_what_has_no_gradient_is_not_touched(rule, missing, shared):
    """Also where it was updated before, and momentum and decay would move it."""
    vs, reference = variables(), variables()
    make = getattr(keras.optimizers, rule)
    optimizer = make(0.1, weight_decay=0.1, **RULES[rule], **shared)
    alone = make(0.1, weight_decay=0.1, **RULES[rule], **shared)
    optimizer.apply(gradients(), vs)
    alone.apply(gradients(), reference)
    written = [i for i in range(len(vs)) if i not in missing]
    kept = [x for i in missing for x in [vs[i], *slots(optimizer, vs[i])]]
    before = bits(kept)
    for seed in (2, 3):
        gs = gradients(seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            optimizer.apply([None if i in missing else g for i, g in enumerate(gs)], vs)
        # One update of the written variables alone: in other stretches, but the same bits.
        alone.apply([gs[i] for i in written], [reference[i] for i in written])
    assert bits(kept) == before
    changed = [(vs[i], reference[i]) for i in written]
    assert bits(v for v, _ in changed) == bits(v for _, v in changed)
    assert all(bits(slots(optimizer, a)) == bits(slots(alone, b)) for a, b in changed)
    assert not set(bits(vs[i] for i in written)) & set(bits(variables()[i] for i in written))


@pytest.mark.parametrize("rule", RULES)
def test_a_frozen_variable_is_not_touched(rule):
    vs = variables()
    optimizer = getattr(keras.optimizers, rule)(
        0.1, weight_decay=0.1, use_ema=True, ema_overwrite_frequency=1, **RULES[rule]
    )
    optimizer.apply(gradients(), vs)
    vs[1].trainable = False
    vs[1].assign(vs[1] + 1.0)  # away from its average
    before = bits([vs[1], *slots(optimizer, vs[1])[1:]])
    for seed in (2, 3, 4):
        optimizer.apply(gradients(seed), vs)
    assert bits([vs[1], *slots(optimizer, vs[1])[1:]]) == before
    vs[1].trainable = True
    optimizer.apply(gradients(5), vs)
    assert bits([vs[1]]) != before[:1]


def test_exclusion_from_weight_decay():
    for exclude in ({"var_names": ["bias", "off"]}, {"var_list": "by object"}):
        vs = variables()
        if "var_list" in exclude:
            exclude = {"var_list": [vs[1], vs[3]]}
        optimizer = keras.optimizers.SGD(0.5, weight_decay=0.5)
        optimizer.exclude_from_weight_decay(**exclude)
        before = [v.numpy() for v in vs]
        optimizer.apply([keras.ops.zeros(v.shape) for v in vs], vs)
        for i, v in enumerate(vs):
            factor = 1.0 if i in (1, 3) else 0.75
            assert np.array_equal(v.numpy(), before[i] * np.float32(factor))


def test_a_full_set_is_one_stretch_and_gaps_cut_it():
    optimizer = keras.optimizers.Adam()
    vs = variables()
    optimizer.apply(gradients(), vs)
    count = lambda states: len(optimizer._plans[states].stretches)  # noqa: E731
    (full,) = optimizer._plans
    assert count(full) == 1
    with pytest.warns(UserWarning, match=r"Gradients do not exist for variables \['head'\]"):
        optimizer.apply([None if i == 2 else g for i, g in enumerate(gradients())], vs)
    assert sorted(map(count, optimizer._plans)) == [1, 2]


def test_gradients_that_a_user_keeps_do_not_change():
    vs, optimizer = variables(), keras.optimizers.Adam(0.1, clipnorm=0.01)
    optimizer.build(vs)
    kept = []
    for _ in range(3):
        with keras.GradientTape() as tape:
            loss = sum(keras.ops.sum(v * v * v) for v in vs)
        gs = tape.gradient(loss, vs)
        kept.append((gs, bits(gs)))
        optimizer.apply(gs, vs)
    assert all(bits(gs) == before for gs, before in kept)
    assert kept[0][1] != kept[1][1]


def test_gradients_in_place_are_used_without_a_copy_and_kept_for_who_holds_them():
    vs, optimizer = variables(), keras.optimizers.SGD(0.5, clipnorm=0.01)
    optimizer.build(vs)
    (part,) = optimizer._memory.parts
    part.gradients.store(gradients())
    shown = part.gradients.tensors(range(len(vs)))
    assert all(np.shares_memory(g.array, part.gradients.flat) for g in shown)
    before = bits(shown)
    expected = [v.numpy() for v in vs]
    optimizer.apply(shown, vs)
    assert bits(shown) == before  # clipping happened in the arena
    for v, old, g in zip(vs, expected, gradients(), strict=True):
        step = g.numpy() * (0.01 / max(np.linalg.norm(g.numpy()), 0.01))
        np.testing.assert_allclose(v.numpy(), old - 0.5 * step, rtol=1e-5, atol=1e-7)


def test_values_that_a_user_holds_do_not_change():
    vs, optimizer = variables(), keras.optimizers.Adam(0.1, use_ema=True)
    optimizer.build(vs)
    for step in range(2):
        held = [v.value for v in [*vs, *optimizer.variables]]
        before = bits(held)
        optimizer.apply(gradients(step), vs)
        assert bits(held) == before
        now = bits(v.value for v in [*vs, *optimizer.variables])
        assert [a != b for a, b in zip(before, now, strict=True)].count(False) == 1  # the rate


def test_two_losses_under_one_persistent_tape_with_an_update_in_between():
    v = keras.Variable(np.array([1.0, 2.0], "float32"))
    optimizer = keras.optimizers.SGD(0.5)
    with keras.GradientTape(persistent=True) as tape:
        first = keras.ops.sum(v * v)
        second = keras.ops.sum(v * v * v)
    optimizer.apply([tape.gradient(first, v)], [v])
    assert v.numpy().tolist() == [0.0, 0.0]
    assert tape.gradient(second, v).numpy().tolist() == [3.0, 12.0]


def test_an_encoder_trained_by_two_optimizers():
    def train(shared):
        encoder, one, two = variables(seed=1), variables(seed=2), variables(seed=3)
        first, second = keras.optimizers.Adam(0.1), keras.optimizers.SGD(0.1, momentum=0.9)
        if shared:
            first.build([*encoder, *one])
            second.build([*two, *encoder[::-1]])
        homes = [v.handle.home[1] for v in encoder] if shared else []
        for step in range(3):
            gs = gradients(step)
            first.apply(gs + gs, [*encoder, *one])
            second.apply(gs + gs[::-1], [*two, *encoder[::-1]])
        assert [v.handle.home[1] for v in encoder][: len(homes)] == homes
        return bits([*encoder, *one, *two, *first.variables, *second.variables])

    assert train(True) == train(False)


def test_two_optimizers_in_two_threads():
    def train(rule, result):
        vs, optimizer = variables(), getattr(keras.optimizers, rule)(0.1, **RULES[rule])
        for step in range(60):
            optimizer.apply(gradients(step), vs)
        result[rule] = bits([*vs, *optimizer.variables])

    alone, together = {}, {}
    for rule in RULES:
        train(rule, alone)
    threads = [threading.Thread(target=train, args=(rule, together)) for rule in RULES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == alone


def test_variables_of_several_dtypes():
    optimizer = keras.optimizers.Adam(0.1, global_clipnorm=1.0, use_ema=True)
    vs = [keras.Variable(np.ones(3), dtype=d) for d in ("float32", "float64", "float16", "float32")]
    optimizer.apply([keras.ops.ones((3,), v.dtype) for v in vs], vs)
    assert [v.dtype for v in vs] == ["float32", "float64", "float16", "float32"]
    assert [v.numpy() for v in vs] == [pytest.approx(0.9, abs=1e-3)] * 4


def test_gradients_of_another_dtype_or_kind_are_converted():
    results = []
    for convert in (keras.ops.convert_to_tensor, np.asarray, lambda g: g.numpy().tolist()):
        vs, optimizer = variables(), keras.optimizers.SGD(0.1)
        optimizer.apply([convert(g) for g in gradients()], vs)
        results.append(bits(vs))
    assert results[0] == results[1] == results[2]


def test_constraints_after_the_update():
    v, free = keras.Variable([1.0, 1.0]), keras.Variable([1.0])
    v.constraint = lambda w: keras.ops.maximum(w, 0.0)
    optimizer = keras.optimizers.SGD(1.0)
    with keras.GradientTape() as tape:
        tape.watch(v.value)
        optimizer.apply([np.array([2.0, 0.5], "float32"), np.array([2.0], "float32")], [v, free])
    assert v.numpy().tolist() == [0.0, 0.5]
    assert free.numpy().tolist() == [-1.0]
    assert not tape._entries


def test_overwriting_with_the_gradient():
    history, w = keras.Variable([1.0, 5.0]), keras.Variable([1.0])
    history.overwrite_with_gradient = True
    optimizer = keras.optimizers.Adam(0.5, weight_decay=0.5)
    optimizer.apply([np.array([7.0, 3.0], "float32"), np.ones(1, "float32")], [history, w])
    assert history.numpy().tolist() == [7.0, 3.0]
    assert len(optimizer.variables) == 4


class Momentum(keras.optimizers.Optimizer):
    """An optimizer as Keras's documentation tells users to write one."""

    def __init__(self, learning_rate=0.1, momentum=0.9, **kwargs):
        super().__init__(learning_rate, **kwargs)
        self.momentum = momentum

    def build(self, variables):
        super().build(variables)
        self.momentums = [
            self.add_variable_from_reference(reference_variable=v, name="momentum")
            for v in variables
        ]

    def update_step(self, gradient, variable, learning_rate):
        rate = keras.ops.cast(learning_rate, variable.dtype)
        m = self.momentums[self._get_variable_index(variable)]
        self.assign(m, keras.ops.subtract(m * self.momentum, gradient * rate))
        self.assign_add(variable, m)

    def get_config(self):
        return super().get_config() | {"momentum": self.momentum}


class SignAdam(keras.optimizers.Adam):
    """A built-in rule behind a user's own change of the gradient."""

    def update_step(self, gradient, variable, learning_rate):
        super().update_step(keras.ops.sign(gradient), variable, learning_rate)


SHARED = [
    {},
    {"weight_decay": 0.1, "clipnorm": 0.3},
    {"gradient_accumulation_steps": 2, "clipvalue": 0.2, "use_ema": True},
    {"global_clipnorm": 0.5, "loss_scale_factor": 2.0},
]


@pytest.mark.parametrize("shared", SHARED)
def test_a_users_own_optimizer(shared):
    ours, theirs = variables(), variables()
    built_in = keras.optimizers.SGD(0.1, momentum=0.9, **shared)
    own = Momentum(0.1, **shared)
    for step in range(4):
        built_in.apply(gradients(step), ours)
        own.apply(gradients(step), theirs)
    for a, b in zip([*ours, *built_in.variables], [*theirs, *own.variables], strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=2e-6, atol=1e-6)
    assert [v.name for v in built_in.variables] == [v.name for v in own.variables]


def test_a_built_in_rule_with_an_update_step_of_a_user():
    ours, theirs = variables(), variables()
    adam, own = keras.optimizers.Adam(0.1), SignAdam(0.1)
    for step in range(3):
        adam.apply([keras.ops.sign(g) for g in gradients(step)], ours)
        own.apply(gradients(step), theirs)
    assert bits(ours) == bits(theirs)


def test_loss_scale_optimizer():
    inner = keras.optimizers.SGD(0.5)
    optimizer = keras.optimizers.LossScaleOptimizer(inner, 4.0, dynamic_growth_steps=2)
    w = keras.Variable([1.0])
    assert float(optimizer.scale_loss(keras.ops.ones(()))) == 4.0
    scales = []
    for g in (4.0, 4.0, np.inf, 4.0, np.nan, 2.0):
        optimizer.apply([np.array([g], "float32")], [w])
        scales.append((float(optimizer.dynamic_scale), float(w.value[0])))
    assert scales == [
        (4.0, 0.5), (8.0, 0.0), (4.0, 0.0), (4.0, -0.5), (2.0, -0.5), (2.0, -1.0),
    ]  # fmt: skip
    assert int(optimizer.iterations) == 4
    assert float(optimizer.scale_loss(keras.ops.ones(()))) == 2.0
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert again.get_config() == optimizer.get_config()
    assert len(optimizer.variables) == 4 + 2
    optimizer.learning_rate = 0.25
    assert float(inner.learning_rate) == 0.25
    with pytest.raises(ArgumentError, match="set `clipnorm` on the `inner_optimizer`"):
        keras.optimizers.LossScaleOptimizer(inner, clipnorm=1.0)
    with pytest.raises(NotBuiltError, match="must already be built"):
        keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD()).apply([w.value])


# --- devices ---


@pytest.fixture
def strict():
    """A device whose arrays convert to nothing and mix with nothing by themselves, as CuPy's."""
    with contextlib.suppress(DeviceError):  # another test may have been first
        register_device("strict", Strict)
    with use_device("strict"):
        yield


@pytest.mark.parametrize("rule", [*RULES, "Nadam", "Adamax", "Adadelta", "Lion"])
@pytest.mark.parametrize("shared", [*SHARED, {"clipnorm": 0.2, "use_ema": True}])
def test_the_same_with_nothing_but_what_cupy_has(rule, shared, strict):
    def train():
        vs = variables()
        optimizer = getattr(keras.optimizers, rule)(0.1, **RULES.get(rule, {}) | shared)
        for step in range(3):
            optimizer.apply(gradients(step), vs)
        return [v.numpy() for v in [*vs, *optimizer.variables]]

    found = train()
    with use_device("cpu"):
        expected = train()
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)


# --- errors: what Keras's users would catch, and nothing is changed ---


def test_unknown_variables():
    vs, optimizer = variables(), keras.optimizers.Adam()
    optimizer.apply(gradients(), vs)
    before = bits([*vs, *optimizer.variables])
    stranger = keras.Variable([1.0])
    with pytest.raises(UnknownVariableError, match="Unknown variable: <Variable path=variable"):
        optimizer.apply([*gradients(), np.ones(1)], [*vs, stranger])
    assert issubclass(UnknownVariableError, ValueError)
    assert bits([*vs, *optimizer.variables]) == before


BAD_CALLS = {
    "all gradients missing": (
        lambda gs, vs: ([None] * 5, vs),
        ArgumentError,
        "No gradients provided for any variable.*keras.ops",
    ),
    "too few": (lambda gs, vs: (gs[:2], vs), ArgumentError, "2 gradients were given for 5"),
    "too few for those known": (lambda gs, vs: (gs[:2], None), ArgumentError, "one-to-one"),
    "twice": (lambda gs, vs: (gs, [*vs[:4], vs[0]]), ArgumentError, "'kernel' was given twice"),
    "wrong shape": (lambda gs, vs: (gs[::-1], vs), ShapeError, "variable 'kernel' of shape"),
    "a shape that would broadcast": (lambda gs, vs: ([gs[4], *gs[1:]], vs), ShapeError, "shape"),
}


@pytest.mark.parametrize("case", BAD_CALLS)
def test_wrong_calls(case):
    make, error, message = BAD_CALLS[case]
    vs, optimizer = variables(), keras.optimizers.Adam()
    optimizer.build(vs)
    before = bits([*vs, *optimizer.variables])
    with pytest.raises(error, match=message) as caught:
        optimizer.apply(*make(gradients(), vs))
    assert isinstance(caught.value, ValueError)
    assert bits([*vs, *optimizer.variables]) == before


def test_calls_before_build():
    with pytest.raises(NotBuiltError, match="must already be built"):
        keras.optimizers.SGD().apply(gradients())
    with pytest.raises(NotBuiltError, match="set_weights"):
        keras.optimizers.SGD().set_weights([])
    v = keras.Variable([1.0])
    with pytest.raises(ArgumentError, match="given twice"):
        keras.optimizers.SGD().build([v, v])
    keras.optimizers.SGD().apply([], [])  # as in Keras, nothing happens
    keras.optimizers.SGD().build([])


def test_all_frozen_counts_but_changes_nothing():
    v, optimizer = keras.Variable([1.0], trainable=False), keras.optimizers.SGD()
    optimizer.apply([np.ones(1)], [v])
    assert (v.numpy().tolist(), int(optimizer.iterations)) == ([1.0], 1)


# --- state ---


@pytest.mark.parametrize("rule", [*RULES, "Nadam"])
def test_saved_state_continues_to_the_bit(rule):
    arguments = RULES.get(rule, {})
    vs, optimizer = variables(), getattr(keras.optimizers, rule)(0.1, **arguments)
    for step in range(3):
        optimizer.apply(gradients(step), vs)
    store = {}
    optimizer.save_own_variables(store)
    assert list(store) == [str(i) for i in range(len(optimizer.variables))]
    values = [v.numpy() for v in vs]
    new = [keras.Variable(v) for v in values]
    again = type(optimizer).from_config(optimizer.get_config())
    again.build(new)
    again.load_own_variables(store)
    copies = [copy.deepcopy((optimizer, vs)), pickle.loads(pickle.dumps((optimizer, vs)))]
    for o, variables_of in [(optimizer, vs), (again, new), *copies]:
        for step in range(3, 6):
            o.apply(gradients(step), variables_of)
    for o, variables_of in [(again, new), *copies]:
        assert bits([*variables_of, *o.variables]) == bits([*vs, *optimizer.variables])


def test_state_of_another_optimizer_is_refused_whole():
    vs, optimizer = variables(), keras.optimizers.Adam()
    optimizer.build(vs)
    before = bits(optimizer.variables)
    store = {}
    optimizer.save_own_variables(store)
    with pytest.warns(UserWarning, match="Skipping variable loading"):
        optimizer.load_own_variables(dict(list(store.items())[:-1]))
    store["0"], store["3"] = np.int32(7), np.ones((9, 9))
    with pytest.raises(ShapeError, match="shape"):
        optimizer.load_own_variables(store)
    with pytest.raises(ShapeError, match="shape"):
        optimizer.set_weights([np.zeros(1)] * len(before))
    assert bits(optimizer.variables) == before


def test_assigned_state_counts():
    vs, optimizer = variables(), keras.optimizers.Adam(0.1)
    optimizer.build(vs)
    optimizer.iterations.assign(1000)
    optimizer.learning_rate = 0.0
    before = bits(vs)
    optimizer.apply(gradients(), vs)
    assert bits(vs) == before
    assert int(optimizer.iterations) == 1001
    optimizer.learning_rate.assign(0.5)
    optimizer.apply(gradients(), vs)
    assert bits(vs) != before


def test_stateless_apply():
    vs, optimizer = variables(), keras.optimizers.Adam(0.1)
    optimizer.build(vs)
    own, model = [v.value for v in optimizer.variables], [v.value for v in vs]
    before = bits([*own, *model])
    for step in range(2):
        model, own = optimizer.stateless_apply(own, gradients(step), model)
    assert bits(v.value for v in [*optimizer.variables, *vs]) == before
    for step in range(2):
        optimizer.apply(gradients(step), vs)
    assert bits(v.value for v in [*optimizer.variables, *vs]) == bits([*own, *model])


def test_very_many_written_sets_do_not_pile_up():
    vs = [keras.Variable([float(i)]) for i in range(8)]
    optimizer = keras.optimizers.SGD(0.5)
    optimizer.build(vs)
    for mask in range(1, 256):
        chosen = [v for i, v in enumerate(vs) if mask >> i & 1]
        optimizer.apply([np.ones(1, "float32")] * len(chosen), chosen)
    assert [float(v.value[0]) for v in vs] == [i - 64.0 for i in range(8)]
    (part,) = optimizer._memory.parts
    assert max(len(optimizer._plans), len(part.layout._runs)) <= 64
