"""State that belongs to a thread or context."""

import contextvars
import threading

import numpy as np

import distkeras as keras
from distkeras import GradientTape, Variable
from distkeras.engine import context


def in_thread(function):
    found = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


def test_a_thread_does_not_see_anothers_tape():
    x = Variable(3.0)
    with GradientTape() as tape:
        y = x * x
        assert in_thread(lambda: context.state().tapes) == ()
        other = in_thread(lambda: x * 7.0)
    assert float(tape.gradient(y, x)) == 6.0
    with GradientTape() as tape:
        other = in_thread(lambda: x * 7.0)
    assert tape.gradient(other, x) is None


def test_two_tapes_in_two_threads_record_apart():
    start = threading.Barrier(2)

    def derive(power):
        x = Variable(2.0)
        with GradientTape() as tape:
            start.wait()
            y = x**power
            start.wait()
        return float(tape.gradient(y, x))

    found = {}
    threads = [threading.Thread(target=lambda p=p: found.update({p: derive(p)})) for p in (2, 3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert found == {2: 4.0, 3: 12.0}


def test_a_copied_context_keeps_its_own_state():
    with context.changed(autocast="float16"):
        copied = contextvars.copy_context()
        assert copied.run(lambda: context.state().autocast) == "float16"
        copied.run(lambda: context._STATE.set(context.EngineState(autocast="bfloat16")))
        assert context.state().autocast == "float16"
    assert copied.run(lambda: context.state().autocast) == "bfloat16"
    assert context.state().autocast is None


def test_a_device_is_chosen_for_a_context_only():
    from distkeras.devices import current_device, use_device

    with use_device("null"):
        assert current_device().name == "null"
        assert in_thread(lambda: current_device().name) == "cpu"
    assert current_device().name == "cpu"


def trained(seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((64, 6)).astype("float32"), rng.integers(0, 3, 64)
    init = keras.initializers.GlorotUniform(seed=seed)
    model = keras.Sequential(
        [
            keras.layers.Dense(8, activation="relu", kernel_initializer=init),
            keras.layers.Dropout(0.25, seed=seed),
            keras.layers.Dense(3, kernel_initializer=init),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss)
    model.fit(x, y, batch_size=16, epochs=3, shuffle=False, verbose=0)
    return model.get_weights()


def test_two_models_trained_in_two_threads_get_the_same_bits_as_one_after_the_other():
    one_by_one = [trained(1), trained(2)]
    together: dict[int, list] = {}
    start = threading.Barrier(2)

    def run(seed):
        start.wait()
        together[seed] = trained(seed)

    threads = [threading.Thread(target=run, args=(seed,)) for seed in (1, 2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for seed, expected in zip((1, 2), one_by_one, strict=True):
        for a, b in zip(together[seed], expected, strict=True):
            np.testing.assert_array_equal(a, b)
