"""`GradientTape`: what it watches, how often it answers, and what it says when it cannot."""

import numpy as np
import pytest

import distkeras as keras
from distkeras import GradientTape, Variable, ops
from distkeras.errors import GradientError


def tensor(value):
    return ops.convert_to_tensor(value, "float64")


def test_gradients_follow_the_form_of_the_sources():
    a, b = Variable(2.0), Variable(3.0)
    with GradientTape() as tape:
        y = a * b * b
    found = tape.gradient(y, {"a": a, "rest": [b]})
    assert float(found["a"]) == 9.0
    assert float(found["rest"][0]) == 12.0


def test_several_targets_are_added():
    x = Variable(2.0)
    with GradientTape() as tape:
        y, z = x * 3.0, [x * x]
    assert float(tape.gradient([y, z], x)) == 7.0


def test_a_target_of_several_elements_is_summed():
    x = Variable([1.0, 2.0])
    with GradientTape() as tape:
        y = x * x
    assert tape.gradient(y, x).tolist() == [2.0, 4.0]


def test_weight_tying_sums_over_the_uses():
    kernel = Variable(np.arange(6.0).reshape(2, 3))
    x = tensor([[1.0, -1.0]])
    with GradientTape() as tape:
        y = ops.sum(ops.matmul(ops.matmul(x, kernel), ops.transpose(kernel)))
    found = tape.gradient(y, kernel).numpy()
    k, one = kernel.numpy(), np.ones((1, 2))
    row = np.array([[1.0, -1.0]])
    np.testing.assert_allclose(found, row.T @ (one @ k) + one.T @ (row @ k))


def test_one_answer_unless_persistent():
    x = Variable(3.0)
    with GradientTape() as tape:
        y = x * x
    tape.gradient(y, x)
    with pytest.raises(GradientError, match="persistent=True"):
        tape.gradient(y, x)
    with GradientTape(persistent=True) as tape:
        y, z = x * x, x * x * x
    assert float(tape.gradient(y, x)) == 6.0
    assert float(tape.gradient(z, x)) == 27.0
    assert float(tape.gradient(y, x)) == 6.0


def test_a_tape_that_is_used_up_records_again():
    x = Variable(3.0)
    with GradientTape() as tape:
        y = x * x
    tape.gradient(y, x)
    with tape:
        y = x * 5.0
    assert float(tape.gradient(y, x)) == 5.0


def test_a_tape_is_not_entered_twice():
    with GradientTape() as tape, pytest.raises(GradientError, match="recording already"), tape:
        pass


def test_tensors_are_watched_on_request():
    x = tensor([1.0, 2.0])
    with GradientTape(persistent=True) as tape:
        before = x * 3.0
        tape.watch(x)
        after = x * 3.0
    assert tape.gradient(before, x) is None
    assert tape.gradient(after, x).tolist() == [3.0, 3.0]


def test_variables_are_watched_unless_told_otherwise():
    x, frozen = Variable(2.0), Variable(2.0, trainable=False)
    with GradientTape() as tape:
        y = x * frozen
    assert tape.watched_variables() == (x,)
    assert tape.gradient(y, [x, frozen])[1] is None
    with GradientTape(watch_accessed_variables=False) as tape:
        y = x * frozen
    assert tape.gradient(y, x) is None
    with GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(frozen)
        y = x * frozen
    assert float(tape.gradient(y, frozen)) == 2.0


def test_only_tensors_are_watched_and_derived():
    with GradientTape() as tape, pytest.raises(GradientError, match="can be watched, got int"):
        tape.watch(3)
    x = Variable(1.0)
    with GradientTape(persistent=True) as tape:
        y = x * 1.0
    with pytest.raises(GradientError, match="source must be a tensor or a variable, got float"):
        tape.gradient(y, 1.0)
    with pytest.raises(GradientError, match="target must be a tensor, got str"):
        tape.gradient("loss", x)
    with pytest.raises(GradientError, match="'none' or 'zero', got 'nil'"):
        tape.gradient(y, x, unconnected_gradients="nil")


def test_unconnected_sources():
    x, other = Variable([1.0, 2.0]), Variable([3.0, 4.0])
    with GradientTape(persistent=True) as tape:
        y = x * x
        side = other * 1.0
    assert tape.gradient(y, other) is None
    zero = tape.gradient(y, [x, other, side], unconnected_gradients="zero")
    assert [z.tolist() for z in zero] == [[2.0, 4.0], [0.0, 0.0], [0.0, 0.0]]


def test_output_gradients_weight_the_target():
    x = Variable([1.0, 2.0])
    with GradientTape(persistent=True) as tape:
        y = x * x
    weights = ops.convert_to_tensor([10.0, 100.0])
    assert tape.gradient(y, x, output_gradients=weights).tolist() == [20.0, 400.0]
    with pytest.raises(GradientError, match=r"shape \(1,\) was given for a target of \(2,\)"):
        tape.gradient(y, x, output_gradients=ops.ones(1))
    with pytest.raises(GradientError, match="1 targets need as many"):
        tape.gradient(y, x, output_gradients=[weights, weights])


def test_stop_recording():
    x = Variable(2.0)
    with GradientTape() as outer, GradientTape() as tape:
        y = x * x
        with tape.stop_recording():
            z = y * 3.0
        w = y + z
    assert float(tape.gradient(w, x)) == 4.0
    assert float(outer.gradient(w, x)) == 16.0


def test_stop_gradient():
    x = Variable(3.0)
    with GradientTape() as tape:
        y = x * ops.stop_gradient(x)
    assert float(tape.gradient(y, x)) == 3.0


@pytest.mark.parametrize("persistent", [False, True])
def test_second_derivatives_by_nesting(persistent):
    x = Variable(np.array([0.5, 2.0]))
    with GradientTape() as outer:
        with GradientTape(persistent=persistent) as inner:
            y = ops.sum(ops.exp(x) * x * x)
        first = inner.gradient(y, x)
    second = outer.gradient(first, x)
    v = x.numpy()
    np.testing.assert_allclose(first.numpy(), np.exp(v) * (v * v + 2 * v), rtol=1e-12)
    np.testing.assert_allclose(second.numpy(), np.exp(v) * (v * v + 4 * v + 2), rtol=1e-12)


def test_third_derivative():
    x = tensor(2.0)
    with GradientTape() as a:
        a.watch(x)
        with GradientTape() as b:
            b.watch(x)
            with GradientTape() as c:
                c.watch(x)
                y = x * x * x * x
            first = c.gradient(y, x)
        second = b.gradient(first, x)
    assert float(a.gradient(second, x)) == 48.0


def test_two_losses_under_one_persistent_tape_with_an_update_in_between():
    """The second loss was computed from the old values: so is its gradient."""
    w = Variable([[1.0, 2.0], [3.0, 4.0]])
    x = ops.convert_to_tensor([[1.0, 1.0]])
    optimizer = keras.optimizers.SGD(0.5)
    with GradientTape(persistent=True) as tape:
        first = ops.sum(ops.square(ops.matmul(x, w)))
        second = ops.sum(ops.square(w))
    g1 = tape.gradient(first, w)
    optimizer.apply_gradients([(g1, w)])
    g2 = tape.gradient(second, w)
    old = np.array([[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_array_equal(g1.numpy(), [[8.0, 12.0], [8.0, 12.0]])
    np.testing.assert_array_equal(g2.numpy(), 2 * old)
    np.testing.assert_array_equal(w.numpy(), old - 0.5 * g1.numpy())
    optimizer.apply_gradients([(g2, w)])
    np.testing.assert_array_equal(tape.gradient(second, w).numpy(), 2 * old)


def test_an_update_while_the_tape_records():
    w = Variable(3.0)
    with GradientTape() as tape:
        first = w * w
        w.assign(5.0)
        both = first + w * w
    # Each use counts with the value that it had.
    assert float(tape.gradient(both, w)) == 2 * 3.0 + 2 * 5.0


def test_integers_carry_no_gradient():
    x = Variable([1.5, 2.5])
    with GradientTape() as tape:
        y = ops.cast(ops.cast(x, "int32"), "float32") * 2.0
    assert tape.gradient(y, x) is None


def test_an_exception_leaves_no_tape_behind():
    from distkeras.engine import context

    with pytest.raises(ZeroDivisionError), GradientTape():
        1 / 0  # noqa: B018
    assert context.state().tapes == ()
