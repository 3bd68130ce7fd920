"""Sums of gradients through shared memory and by messages, and the updates made of them."""

import textwrap
from contextlib import contextmanager

import numpy as np
import pytest

import distkeras as keras
from distkeras import GradientTape, distribution, layers, ops, optimizers
from distkeras.distribution.windows import heap_of
from distkeras.engine.deferred import DeferredSum
from distkeras.errors import ConfigurationError
from distkeras.optimizers.memory import Slice
from distkeras.strategies import DataParallel


@pytest.fixture(autouse=True)
def ranks():
    """Every test here runs on the world that its process was started in."""
    distribution.initialize()
    yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


@pytest.fixture
def shared(monkeypatch):
    """Also small arenas lie in shared memory."""
    monkeypatch.setenv("DISTKERAS_SHARED_FROM", "0")


@contextmanager
def way(monkeypatch, name):
    limit = {"shared": "0", "messages": str(1 << 60)}[name]
    with monkeypatch.context() as patch:
        patch.setenv("DISTKERAS_SHARED_FROM", limit)
        yield


# --- the bits do not depend on the way ---

OPTIMIZERS = {
    "sgd": lambda: optimizers.SGD(0.1),
    "momentum": lambda: optimizers.SGD(0.1, momentum=0.9),
    "nesterov": lambda: optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "adam": lambda: optimizers.Adam(0.01),
    "amsgrad": lambda: optimizers.Adam(0.01, amsgrad=True),
    "adamw": lambda: optimizers.AdamW(0.01, weight_decay=0.1),
    "adamax": lambda: optimizers.Adamax(0.01),
    "nadam": lambda: optimizers.Nadam(0.01),
    "rmsprop": lambda: optimizers.RMSprop(0.01, momentum=0.5, centered=True),
    "adagrad": lambda: optimizers.Adagrad(0.01),
    "adadelta": lambda: optimizers.Adadelta(0.1),
    "ftrl": lambda: optimizers.Ftrl(0.01, l1_regularization_strength=0.01),
    "lion": lambda: optimizers.Lion(0.01),
    "clipvalue": lambda: optimizers.Adam(0.01, clipvalue=0.01),
    "clipnorm": lambda: optimizers.Adam(0.01, clipnorm=0.01),
    "global_clipnorm": lambda: optimizers.Adam(0.01, global_clipnorm=0.01),
    "accumulation": lambda: optimizers.Adam(0.01, gradient_accumulation_steps=2),
    "average": lambda: optimizers.Adam(0.01, use_ema=True, ema_overwrite_frequency=2),
    "loss scale": lambda: optimizers.LossScaleOptimizer(optimizers.Adam(0.01)),
}
BY_SLICES = set(OPTIMIZERS) - {"clipnorm", "global_clipnorm", "accumulation", "average"}
SIZES = (2, 3)


def train(make, steps=3, **settings):
    keras.utils.clear_session()
    keras.utils.set_random_seed(5)
    x = np.random.default_rng(1).standard_normal((13, 9)).astype("float32")
    y = np.sin(x[:, :2])
    model = keras.Sequential(
        [
            keras.Input((9,)),
            layers.Dense(37, activation="tanh", **settings),
            layers.Dense(11, trainable=False),
            layers.Dense(2),
        ]
    )
    model.compile(make(), "mse")
    model.fit(x, y, batch_size=5, epochs=steps, verbose=0)
    return model


def bits(model):
    variables = [*model.variables, *model.optimizer.variables]
    return [(v.path, v.dtype, v.numpy().tobytes()) for v in variables]


@pytest.mark.mpi(sizes=SIZES)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_update_rules(name, comm, monkeypatch):
    updates = []
    run = Slice.run
    monkeypatch.setattr(Slice, "run", lambda self, *args: updates.append(run(self, *args)))
    with way(monkeypatch, "messages"):
        wanted = bits(train(OPTIMIZERS[name]))
    assert not updates
    with way(monkeypatch, "shared"):
        found = bits(train(OPTIMIZERS[name]))
    assert bool(updates) == (name in BY_SLICES)
    assert found == wanted
    assert comm.allgather(found) == [found] * comm.size


@pytest.mark.mpi(sizes=SIZES)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64", "mixed_bfloat16"])
def test_dtypes(dtype, comm, monkeypatch):
    found = {}
    for name in ("messages", "shared"):
        with way(monkeypatch, name):
            if dtype.startswith("mixed"):
                keras.config.set_dtype_policy(dtype)
            else:
                keras.config.set_floatx(dtype)
            found[name] = bits(train(OPTIMIZERS["adam"]))
    assert found["shared"] == found["messages"]
    assert comm.allgather(found["shared"]) == [found["shared"]] * comm.size


@pytest.mark.mpi(sizes=SIZES)
def test_constraints_and_penalties(monkeypatch):
    settings = {
        "kernel_constraint": keras.constraints.MaxNorm(0.5),
        "kernel_regularizer": keras.regularizers.L2(0.01),
    }
    found = []
    for name in ("messages", "shared"):
        with way(monkeypatch, name):
            found.append(bits(train(OPTIMIZERS["adam"], **settings)))
    assert found[0] == found[1]


PROGRAM = textwrap.dedent(
    """
    import zlib

    import numpy as np

    import distkeras as keras

    keras.utils.set_random_seed(3)
    x = np.random.default_rng(0).standard_normal((40, 64)).astype("float32")
    for optimizer in ("adam", keras.optimizers.SGD(0.01, global_clipnorm=0.1)):
        model = keras.Sequential(
            [keras.Input((64,)), keras.layers.Dense(500, activation="tanh"), keras.layers.Dense(3)]
        )
        model.compile(optimizer, "mse")
        model.fit(x, np.sin(x[:, :3]), batch_size=10, epochs=2, verbose=0)
        variables = model.variables + model.optimizer.variables
        print(zlib.crc32(b"".join(v.numpy().tobytes() for v in variables)))
    """
)


@pytest.mark.parametrize("n", [4, 5])
def test_several_nodes(run_program, needs_mpi, tmp_path, n):
    """Also of unequal size: five ranks are nodes of 2, 2 and 1."""
    (tmp_path / "several.py").write_text(PROGRAM)
    printed = {}
    for node in ("0", "2"):
        for memory in ("auto", "0"):
            env = {"DISTKERAS_RANKS_PER_NODE": node, "DISTKERAS_SHARED_MEMORY": memory}
            done = run_program(["-m", "distkeras.launch", "several.py"], n=n, env=env, timeout=120)
            assert done.returncode == 0, done.stderr
            printed[node, memory] = done.stdout
    assert printed["0", "auto"] == printed["0", "0"]
    assert printed["2", "auto"] == printed["2", "0"]
    assert printed["0", "0"] != printed["2", "0"], "these numbers do not tell orders apart"


# --- what a user sees ---


def step_of(strategy, variables, factor=1.0):
    """Gradients of which rank r's part is `(r + 1) * factor`."""
    with GradientTape() as tape:
        loss = sum(ops.sum(v) for v in variables) * factor * (distribution.rank() + 1.0)
        loss = loss * distribution.size()  # each rank's share of what all ranks have whole
    return tape.gradient(loss, variables)


def total(size):
    return size * (size + 1) / 2


@pytest.mark.mpi(sizes=SIZES)
def test_one_rank_may_look_alone(shared, comm):
    """Before and after the update, while others are in the next step already."""
    strategy = DataParallel(distribution.initialize())
    v = keras.Variable(np.zeros((50, 3), "float32"))
    optimizer = optimizers.SGD(1.0)
    wanted = total(comm.size)
    for step in range(1, 21):
        looker = step % comm.size
        with strategy.step(comm.rank, 1, comm.size):
            (g,) = step_of(strategy, [v], float(step))
            assert isinstance(g, DeferredSum)
            if comm.rank == looker:
                assert np.unique(g.numpy()).tolist() == [wanted * step]
            (again,) = step_of(strategy, [v], float(step))
            optimizer.apply([again], [v])
            if comm.rank == (looker + 1) % comm.size:
                assert np.unique(again.numpy()).tolist() == [wanted * step]
                assert g.tolist() == again.tolist()
    assert np.unique(v.numpy()).tolist() == [-wanted * 210]


@pytest.mark.mpi(sizes=SIZES)
def test_gradients_that_are_kept_keep_their_values(shared, comm):
    strategy = DataParallel(distribution.initialize())
    v = keras.Variable(np.zeros(40, "float32"))
    kept = []
    for step in range(1, 6):
        with strategy.step(comm.rank, 1, comm.size):
            kept += step_of(strategy, [v], float(step))
    wanted = [[total(comm.size) * step] * 40 for step in range(1, 6)]
    assert [g.tolist() for g in kept] == wanted


@pytest.mark.mpi(sizes=SIZES)
def test_gradients_are_tensors(shared, comm):
    strategy = DataParallel(distribution.initialize())
    v = keras.Variable(np.zeros((4, 3), "float32"))
    with strategy.step(comm.rank, 1, comm.size):
        (g,) = step_of(strategy, [v])
        assert (g.shape, g.ndim, g.size, g.dtype) == ((4, 3), 2, 12, "float32")
        assert not g.read
        assert ops.sum(g * 2).item() == 24 * total(comm.size)
        assert g.read
        assert "Tensor" in repr(g)


@pytest.mark.mpi(sizes=SIZES)
def test_gradients_that_were_changed(shared, comm):
    strategy = DataParallel(distribution.initialize())
    v = keras.Variable(np.zeros(30, "float32"))
    optimizer = optimizers.SGD(1.0, momentum=0.5)
    for changed in (False, True, False):
        with strategy.step(comm.rank, 1, comm.size):
            (g,) = step_of(strategy, [v])
            optimizer.apply([g * 2 if changed else g], [v])
    n = total(comm.size)
    moments = [-n]
    for factor in (2, 1):
        moments.append(moments[-1] * 0.5 - factor * n)
    assert np.unique(v.numpy()).tolist() == [sum(moments)]
    assert np.unique(optimizer.variables[2].numpy()).tolist() == [moments[-1]]


@pytest.mark.mpi(sizes=SIZES)
def test_sets_that_overlap(shared, comm):
    strategy = DataParallel(distribution.initialize())
    a, b, c, d = (keras.Variable(np.zeros(n, "float32")) for n in (5, 70, 1, 33))
    optimizer = optimizers.SGD(1.0)
    optimizer.build([a, b, c, d])
    sets = [[a], [b, c], [d, a], [c], [a, b, c, d], [d, b], [c, a]]
    for chosen in sets * 2:
        with strategy.step(comm.rank, 1, comm.size):
            optimizer.apply(step_of(strategy, chosen), chosen)
    for v in (a, b, c, d):
        times = 2 * sum(any(v is x for x in chosen) for chosen in sets)
        assert np.unique(v.numpy()).tolist() == [-total(comm.size) * times]


@pytest.mark.mpi(sizes=SIZES)
def test_two_optimizers_share_a_layer(shared, comm):
    strategy = DataParallel(distribution.initialize())
    a, b, c = (keras.Variable(np.zeros(n, "float32")) for n in (20, 30, 40))
    first, second = optimizers.SGD(1.0), optimizers.SGD(0.5)
    first.build([a, b])
    second.build([c, b])
    for _ in range(3):
        with strategy.step(comm.rank, 1, comm.size):
            first.apply(step_of(strategy, [a, b]), [a, b])
            second.apply(step_of(strategy, [c, b]), [c, b])
    n = total(comm.size)
    found = [np.unique(v.numpy()).tolist() for v in (a, b, c)]
    assert found == [[-3.0 * n], [-4.5 * n], [-1.5 * n]]


# --- slots ---


def slots_of(model):
    return [v for v in model.optimizer.variables if "momentum" in v.path]


@pytest.mark.mpi(sizes=SIZES)
def test_slots_can_be_written_and_read_on_any_rank(comm, monkeypatch):
    found = {}
    for name in ("messages", "shared"):
        with way(monkeypatch, name):
            model = train(OPTIMIZERS["momentum"])
            held = [v.value for v in slots_of(model)]
            before = [h.tolist() for h in held]
            for v in slots_of(model):
                v.assign(v.value * 0.5)  # on every rank, but not several times over
            halved = [v.numpy().tolist() for v in slots_of(model)]
            assert halved == [(np.array(x, "float32") * 0.5).tolist() for x in before]
            if comm.rank == comm.size - 1:
                assert [v.numpy().tolist() for v in slots_of(model)] == halved
            x = np.ones((7, 9), "float32")
            model.fit(x, np.ones((7, 2), "float32"), batch_size=4, epochs=2, verbose=0)
            assert [h.tolist() for h in held] == before, "what a user holds does not change"
            found[name] = bits(model)
    assert found["shared"] == found["messages"]


@pytest.mark.mpi(sizes=(2,))
def test_ranks_of_a_node_have_one_copy_of_slots(shared):
    model = train(OPTIMIZERS["adam"])
    memory = model.optimizer._memory
    assert memory.parts[0].shared
    assert all(b.flat.base is not None for b in memory.parts[0].buffers.values())
    taken = heap_of(distribution.initialize()).taken
    slots_of(model)[0].assign(slots_of(model)[0].value)
    assert not memory.parts[0].shared
    assert taken > 0


@pytest.mark.mpi(sizes=SIZES)
def test_saved_on_every_rank_as_on_one(shared, comm, shared_tmp_path):
    model = train(OPTIMIZERS["adam"])
    model.save(shared_tmp_path / "model.keras")
    loaded = keras.saving.load_model(shared_tmp_path / "model.keras")
    wanted = [v.numpy().tobytes() for v in model.optimizer.variables]
    assert [v.numpy().tobytes() for v in loaded.optimizer.variables] == wanted
    assert comm.allgather(wanted) == [wanted] * comm.size


# --- ranks that part ---

PARTING = textwrap.dedent(
    """
    import numpy as np

    import distkeras as keras
    from distkeras import distribution


    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(300)

        def call(self, x):
            return self.dense(x)

        def train_step(self, data):
            x, y = data
            with keras.GradientTape() as tape:
                loss = keras.ops.mean(keras.ops.square(y - self(x)))
            weights = self.trainable_variables
            gradients = tape.gradient(loss, weights)
            if {condition}:
                self.optimizer.apply(gradients, weights)
            return {{"loss": loss}}


    model = Model()
    model.compile("adam")
    model.fit(np.ones((20, 200)), np.ones((20, 300)), batch_size=4, epochs=3, verbose=0)
    """
)


@pytest.mark.parametrize("condition", ["distribution.rank() == 0", "distribution.rank() != 0"])
def test_an_update_on_some_ranks_only_is_an_error(run_program, needs_mpi, tmp_path, condition):
    (tmp_path / "parting.py").write_text(PARTING.format(condition=condition))
    done = run_program(["-m", "distkeras.launch", "parting.py"], n=3, timeout=60)
    assert done.returncode not in (0, None)
    assert not done.timed_out
    assert "CollectiveMismatchError" in done.stderr


# --- the setting ---


def test_the_launcher_sets_determinism(run_program, needs_mpi, tmp_path):
    text = "from distkeras import config\nprint(config.determinism())\n"
    (tmp_path / "say.py").write_text(text)
    launch = ["-m", "distkeras.launch"]
    assert run_program([*launch, "say.py"]).stdout == "reproducible\n"
    assert run_program([*launch, "--determinism", "fast", "say.py"]).stdout == "fast\n"
    done = run_program([*launch, "-n", "2", "--output", "all", "--determinism=fast", "say.py"])
    assert sorted(done.stdout.splitlines()) == ["[0] fast", "[1] fast"], done.stderr
    refused = run_program([*launch, "--determinism", "some", "say.py"])
    assert refused.returncode == 2
    assert "--determinism" in refused.stderr


def test_determinism_is_checked(monkeypatch):
    with pytest.raises(ConfigurationError, match="Unknown `determinism`: 'some'"):
        keras.config.set_determinism("some")
    monkeypatch.setattr(keras.config, "_DETERMINISM", None)  # what the program sets wins
    monkeypatch.setenv("DISTKERAS_DETERMINISM", "other")
    with pytest.raises(ConfigurationError, match="'other'"):
        keras.config.determinism()
