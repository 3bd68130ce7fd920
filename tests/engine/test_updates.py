"""The compiler of update rules, against Python's own evaluation of the same text."""

import numpy as np
import pytest

from distkeras.engine.updates import compile_numbers, compile_update, square_sum
from distkeras.errors import ArgumentError

FUNCTIONS = {
    name: getattr(np, name) for name in ("sqrt", "square", "abs", "sign", "maximum", "minimum")
}

PROGRAMS = {
    "one pass": "a = a + (b - a) * (1 - k)",
    "a register that is still needed": "x = a * b; c = (x + (x * 2)) * (x - a * x)",
    "a name that keeps an old value": "old = a; a = a * 2; b = old + a; y = b; c = y * y + old",
    "names for one register": "x = -a * k; z = x; x = x + z; b = x * z - (x / (z * z + 1))",
    "assigned again": "x = a; x = x * x; x = x + 1; b = sqrt(x); a = x",
    "numbers": "r = k / (1 - k) ** 2; r = sqrt(r) * -2; a = r * b; c = r",
    "functions": "x = sign(a) * maximum(abs(a) - k, 0); b = x; a = minimum(b, x) + x",
    "an unused name": "x = a * b; y = x + 1; a = b * k",
    "a choice": "c = a if b > k else b * k; a = a - c",
}


@pytest.mark.parametrize("source", PROGRAMS.values(), ids=PROGRAMS)
@pytest.mark.parametrize("block", [7, 1000])
def test_against_python(source, block):
    names, numbers = ("a", "b", "c"), {"k": 0.3}
    given = {n: np.random.RandomState(i).randn(50) for i, n in enumerate(names)}
    scope = {n: v.copy() for n, v in given.items()} | numbers | FUNCTIONS
    for statement in source.split(";"):
        name, expression = (part.strip() for part in statement.split("=", 1))
        if " if " in expression:
            scope[name] = np.where(scope["b"] > 0.3, scope["a"], scope["b"] * 0.3)
        else:
            scope[name] = eval(expression, {}, scope)
    update = compile_update(source, names, tuple(numbers))
    update(np, [given[n] for n in names], tuple(numbers.values()), block)
    for n in names:
        np.testing.assert_allclose(given[n], np.broadcast_to(scope[n], (50,)), rtol=1e-12)
    assert set(update.written) == {n for n in names if f"{n} =" in source}


def test_blocks_give_the_same_bits():
    update = compile_update("a = a * k - b / 3; b = sqrt(abs(a))", ("a", "b"), ("k",))
    results = []
    for block in (1, 16, 17, 100, 101, 100_000):
        a, b = (np.random.RandomState(i).randn(101).astype("float32") for i in (0, 1))
        update(np, (a, b), (0.7,), block)
        results.append(np.concatenate([a, b]))
    assert all(np.array_equal(r, results[0]) for r in results)


def test_half_precision_is_rounded_once():
    # In float16 the square would be 0 and the quotient infinite.
    a, b = np.full(5, 1e-5, "float16"), np.zeros(5, "float16")
    compile_update("b = a / sqrt(square(a) + 1e-12)", ("a", "b"))(np, (a, b), ())
    assert b == pytest.approx(1.0, abs=0.01)
    assert b.dtype == "float16"


def test_numbers_are_ieee():
    assert compile_numbers("1 / k", ("k",))(0.0) == np.inf
    assert np.isnan(compile_numbers("sqrt(k)", ("k",))(-1.0))
    assert compile_numbers("1 - k ** t", ("k", "t"))(0.999, 10**9) == 1.0


@pytest.mark.parametrize(
    "source", ["a + 1", "a = unknown", "a = nope(a)", "k = 1", "a = b = 1", "a = [1]", "a[0] = 1"]
)
def test_what_may_not_stand_in_a_rule(source):
    with pytest.raises(ArgumentError, match=r"rule|number"):
        compile_update(source, ("a", "b"), ("k",))


def test_nothing_happens_on_empty_arrays():
    compile_update("a = a / 0", ("a",))(np, (np.zeros(0, "float32"),), ())


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_square_sum(dtype):
    assert square_sum(np, np.full(1000, 20, dtype)) == 400_000.0
