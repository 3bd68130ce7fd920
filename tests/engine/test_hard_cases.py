"""Where state is shared, held or missing: models, optimizers and user code around one engine."""

import numpy as np
import pytest

import distkeras as keras
from distkeras import GradientTape, layers, ops

RNG = np.random.default_rng(11)
X = RNG.standard_normal((12, 4)).astype("float32")
Y = RNG.standard_normal((12, 2)).astype("float32")


def dense(units, seed, **settings):
    init = keras.initializers.GlorotUniform(seed=seed)
    return layers.Dense(units, kernel_initializer=init, **settings)


def gradients(model, x=X, y=Y):
    with GradientTape() as tape:
        loss = ops.mean(ops.square(model(x) - y))
    return tape.gradient(loss, model.trainable_variables)


def small():
    return keras.Sequential([keras.Input((4,)), dense(5, 1, activation="tanh"), dense(2, 2)])


OPTIMIZERS = {
    "SGD": lambda: keras.optimizers.SGD(0.1, momentum=0.9),
    "Adam": lambda: keras.optimizers.Adam(0.01),
    "clipped": lambda: keras.optimizers.Adam(0.01, global_clipnorm=0.01),
    "accumulating": lambda: keras.optimizers.Adam(0.01, gradient_accumulation_steps=2),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_gradients_that_the_user_keeps_and_adds(optimizer):
    model, opt = small(), OPTIMIZERS[optimizer]()
    kept, copies, total = [], [], None
    for _ in range(4):
        found = gradients(model)
        copies.append([g.numpy() for g in found])
        kept.append(found)
        total = found if total is None else [a + b for a, b in zip(total, found, strict=True)]
        opt.apply_gradients(zip(found, model.trainable_variables, strict=True))
    for found, before in zip(kept, copies, strict=True):
        for g, b in zip(found, before, strict=True):
            np.testing.assert_array_equal(g.numpy(), b)
    for i, t in enumerate(total):
        np.testing.assert_allclose(t.numpy(), sum(c[i] for c in copies), rtol=1e-6)


def test_what_is_held_before_and_after_fit():
    model = small()
    model.compile(keras.optimizers.Adam(0.05), "mse")
    v = model.layers[0].kernel
    held = {
        "value": v.value,
        "row": v.value[0],
        "flat": ops.reshape(v, (-1,)),
        "turned": ops.transpose(v),
        "array": np.asarray(v),
        "weights": model.get_weights()[0],
    }
    before = {k: np.array(t) for k, t in held.items()}
    model.fit(X, Y, epochs=2, batch_size=4, verbose=0)
    middle = v.value
    frozen = middle.numpy()
    model.fit(X, Y, epochs=1, batch_size=4, verbose=0)
    for k, t in held.items():
        np.testing.assert_array_equal(np.asarray(t), before[k], err_msg=k)
    np.testing.assert_array_equal(middle.numpy(), frozen)
    assert not np.array_equal(v.numpy(), frozen)


def test_an_unused_head_and_a_frozen_layer_under_adamw():
    """No gradient is not a zero gradient: no decay, no momentum, slots untouched bit for bit."""
    inputs = keras.Input((4,))
    frozen, body = dense(5, 1, name="frozen"), dense(5, 2, name="body")
    used, unused = dense(2, 3, name="used"), dense(3, 4, name="unused")
    h = body(frozen(inputs))
    model = keras.Model(inputs, [used(h), unused(h)])
    opt = keras.optimizers.AdamW(0.01, weight_decay=0.1)

    def step(heads, variables):
        with GradientTape() as tape:
            outs = model(X)
            loss = sum(ops.mean(ops.square(outs[i])) for i in heads)
        opt.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))

    everything = model.trainable_variables
    step([0, 1], everything)  # all slots hold something
    names = ("frozen", "unused")

    def state():
        slots = [s for s in opt.variables if any(n in s.path for n in names)]
        assert len(slots) >= 8, "two slots for each of four variables"
        return [v.numpy() for layer in (frozen, unused) for v in layer.weights] + [
            s.numpy() for s in slots
        ]

    before, body_before = state(), body.kernel.numpy()
    frozen.trainable = False
    with pytest.warns(UserWarning, match="unused"):
        step([0], everything)
    step([0], everything)
    for a, b in zip(state(), before, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(body.kernel.numpy(), body_before)


def test_a_frozen_layer_in_fit():
    model = small()
    model.layers[0].trainable = False
    model.compile(keras.optimizers.AdamW(0.01, weight_decay=0.1), "mse")
    before = [v.numpy() for v in model.layers[0].weights]
    last = model.layers[1].kernel.numpy()
    model.fit(X, Y, epochs=2, verbose=0)
    for v, b in zip(model.layers[0].weights, before, strict=True):
        np.testing.assert_array_equal(v.numpy(), b)
    assert not np.array_equal(model.layers[1].kernel.numpy(), last)


def test_weight_tying_in_a_model():
    inputs = keras.Input((4,))
    shared = dense(4, 1, activation="tanh")
    model = keras.Model(inputs, shared(shared(inputs)))
    assert len(model.trainable_variables) == 2
    y = RNG.standard_normal((12, 4)).astype("float32")
    (dk, db) = gradients(model, y=y)
    # The same layer twice as two: the gradient of the shared weights is the sum.
    a, b = dense(4, 1, activation="tanh"), dense(4, 1, activation="tanh")
    apart = keras.Sequential([keras.Input((4,)), a, b])
    b.set_weights(a.get_weights())
    shared.set_weights(a.get_weights())
    (dk, db) = gradients(model, y=y)
    ak, ab, bk, bb = gradients(apart, y=y)
    np.testing.assert_allclose(dk.numpy(), ak.numpy() + bk.numpy(), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(db.numpy(), ab.numpy() + bb.numpy(), rtol=1e-5, atol=1e-7)
    model.compile(keras.optimizers.Adam(0.01), "mse")
    first = model.evaluate(X, y, verbose=0)
    model.fit(X, y, epochs=20, verbose=0)
    assert model.evaluate(X, y, verbose=0) < first


def test_a_layer_added_after_compile():
    model = keras.Sequential([keras.Input((4,)), dense(5, 1, activation="tanh")])
    model.add(dense(2, 2))
    model.compile(keras.optimizers.SGD(0.1), "mse")
    extra = dense(2, 3)
    model.add(extra)
    before = [v.numpy() for v in model.trainable_variables]
    assert len(before) == 6
    model.fit(X, Y, epochs=1, verbose=0)
    for v, b in zip(model.trainable_variables, before, strict=True):
        assert not np.array_equal(v.numpy(), b), v.path


def test_a_layer_added_after_training_says_what_to_do():
    model = small()
    model.compile(keras.optimizers.Adam(0.1), "mse")
    model.fit(X, Y, epochs=1, verbose=0)
    model.add(dense(2, 3))
    with pytest.raises(ValueError, match=r"[Oo]ptimizer"):
        model.fit(X, Y, epochs=1, verbose=0)
    model.compile(keras.optimizers.Adam(0.1), "mse")
    model.fit(X, Y, epochs=1, verbose=0)


def test_an_encoder_trained_by_two_optimizers():
    """Each optimizer has gradients and slots of its own; the encoder has one home."""

    def build():
        encoder = keras.Sequential([keras.Input((4,)), dense(5, 1, activation="tanh")])
        heads = [keras.Sequential([keras.Input((5,)), dense(2, s)]) for s in (2, 3)]
        return encoder, heads

    def run(make):
        encoder, heads = build()
        opts = [make() for _ in heads]
        for i in (0, 1, 1, 0, 0, 1):
            variables = heads[i].trainable_variables + encoder.trainable_variables
            with GradientTape() as tape:
                loss = ops.mean(ops.square(heads[i](encoder(X)) - Y))
            found = tape.gradient(loss, variables)
            opts[i].apply_gradients(zip(found, variables, strict=True))
        return [v.numpy() for m in (encoder, *heads) for v in m.weights]

    class ByHand:
        """Adam's formula (D. Kingma, J. Ba, 2014) on host arrays, variable by variable."""

        def __init__(self):
            self.slots, self.t = {}, 0

        def apply_gradients(self, pairs):
            self.t += 1
            for g, v in pairs:
                g = g.numpy().astype("float64")
                m, s = self.slots.get(id(v), (0.0, 0.0))
                m, s = 0.9 * m + 0.1 * g, 0.999 * s + 0.001 * g * g
                self.slots[id(v)] = m, s
                rate = 0.05 * np.sqrt(1 - 0.999**self.t) / (1 - 0.9**self.t)
                v.assign(v.numpy() - rate * m / (np.sqrt(s) + 1e-7))

    for a, b in zip(run(lambda: keras.optimizers.Adam(0.05)), run(ByHand), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_sub_models_shared_by_two_models():
    def build():
        trunk = keras.Sequential([keras.Input((4,)), dense(5, 1, activation="tanh")])
        made = []
        for seed in (2, 3):
            inputs = keras.Input((4,))
            made.append(keras.Model(inputs, dense(2, seed)(trunk(inputs))))
            made[-1].compile(keras.optimizers.Adam(0.05), "mse")
        return trunk, made

    trunk, (a, b) = build()
    a.fit(X, Y, batch_size=6, shuffle=False, verbose=0)
    after_a = trunk.get_weights()
    other = b.predict(X, verbose=0)
    b.fit(X, -Y, batch_size=6, shuffle=False, verbose=0)
    a.fit(X, Y, batch_size=6, shuffle=False, verbose=0)
    assert not np.array_equal(trunk.get_weights()[0], after_a[0])
    assert a.layers[1] is b.layers[1] is trunk
    assert a.layers[1].weights[0] is b.layers[1].weights[0]
    # Both see each other's steps.
    assert not np.array_equal(b.predict(X, verbose=0), other)
    # And the order of construction and of building optimizers does not matter.
    _, (a2, b2) = build()
    b2.optimizer.build(b2.trainable_variables)
    a2.optimizer.build(a2.trainable_variables)
    a2.fit(X, Y, batch_size=6, shuffle=False, verbose=0)
    b2.fit(X, -Y, batch_size=6, shuffle=False, verbose=0)
    a2.fit(X, Y, batch_size=6, shuffle=False, verbose=0)
    for one, two in zip(
        a.get_weights() + b.get_weights(), a2.get_weights() + b2.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(one, two)


def test_an_update_between_two_losses_in_a_train_step():
    """A GAN's step: the second network's loss is taken after the first one's update."""
    first, second = small(), small()
    second.set_weights([w * 0.5 for w in first.get_weights()])
    opts = [keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1)]
    with GradientTape(persistent=True) as tape:
        a, b = first(X), second(X)
        loss_a = ops.mean(ops.square(a - b))
        loss_b = ops.mean(ops.square(b - Y)) + ops.mean(ops.square(a))
    expected = [
        [g.numpy() for g in tape.gradient(loss_b, m.trainable_variables)] for m in (first, second)
    ]
    ga = tape.gradient(loss_a, first.trainable_variables)
    opts[0].apply_gradients(zip(ga, first.trainable_variables, strict=True))
    for m, want in zip((first, second), expected, strict=True):
        found = tape.gradient(loss_b, m.trainable_variables)
        for g, w in zip(found, want, strict=True):
            np.testing.assert_array_equal(g.numpy(), w)
        opts[1 if m is second else 0].apply_gradients(
            zip(found, m.trainable_variables, strict=True)
        )
