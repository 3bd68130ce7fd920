"""Statements in one pass give the bits of NumPy, whatever the values."""

import numpy as np
import pytest

from distkeras.engine.updates import Update
from distkeras.kernels.cpu.flat import Operation, flat_kernel
from distkeras.optimizers.memory import composed
from distkeras.optimizers.rules import RULES

SOURCES = {
    "arithmetic": "a = (a + b * c) / (c - k) - k * a",
    "functions": "a = sqrt(abs(b)) * sign(c); b = maximum(a, c) - minimum(b, k); c = square(a)",
    "choices": "c = a if b > k else b * k; a = b if a == c else c; b = -c if b <= a else a",
    "old values": "old = a; a = a * k; b = old + a; y = b; c = y * y + old",
    "comparisons": (
        "x = a if a >= b else b; y = a if a < b else b; a = x if x != y else c; b = y; c = k"
    ),
}
NO_KERNEL = {"ftrl"}  # it takes powers
RULE_SOURCES = {
    name: composed(rule.update, (), True)
    for name, rule in RULES.items()
    if rule.scope == "element" and name not in NO_KERNEL
}


def values(count, dtype, n=1003):
    """Numbers of every kind, among them those that compilers like to take for others."""
    rng = np.random.default_rng(7)
    found = [rng.standard_normal(n).astype(dtype) for _ in range(count)]
    odd = [0.0, -0.0, np.inf, -np.inf, np.nan, np.finfo(dtype).max, np.finfo(dtype).tiny / 8, 1, -1]
    for i, a in enumerate(found):
        for j in range(0, 40 * len(odd), len(odd)):
            a[j : j + len(odd)] = np.roll(odd, i * (j // len(odd)))
    return found


def both_ways(source, arrays, numbers, dtype):
    update = Update(source, arrays, tuple(numbers))
    kernel = update._kernel(dtype)
    one, other = values(len(arrays), dtype), values(len(arrays), dtype)
    with np.errstate(all="ignore"):
        assert kernel.run(one, update._numbers(*numbers.values()))
    update._kernel = lambda name: None
    update(np, other, tuple(numbers.values()), block=100)
    return zip(arrays, one, other, strict=True)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_statements(source, dtype, cache, needs_compiler):
    for name, one, other in both_ways(source, ("a", "b", "c"), {"k": 0.3}, dtype):
        np.testing.assert_array_equal(one, other, err_msg=name)


@pytest.mark.parametrize("name", RULE_SOURCES)
def test_update_rules(name, cache, needs_compiler):
    rule = RULES[name]
    names = dict.fromkeys(("lr", "t", "decay", *rule.parameters, *(s[0] for s in rule.state)), 0.3)
    arrays = ("p", "gradient", *rule.symbols)
    for symbol, one, other in both_ways(RULE_SOURCES[name], arrays, names | {"t": 3}, "float32"):
        np.testing.assert_array_equal(one, other, err_msg=symbol)


def test_an_update_changes_over_to_the_kernel(cache, needs_compiler):
    update = Update("a = a * k + b", ("a", "b"), ("k",))
    a, b = np.ones(5, "float32"), np.arange(5, dtype="float32")
    for _ in range(3):
        update(np, (a, b), (0.5,))
    assert update._kernel("float32")._kernel._function is not None
    assert a.tolist() == [0.125, 1.875, 3.625, 5.375, 7.125]


def test_arrays_that_are_not_apart_go_to_numpy(cache, needs_compiler):
    kernel = flat_kernel([Operation("add", ("a", "b"), "a")], ("a", "b"), (), "float32")
    a = np.ones(8, "float32")
    assert not kernel.run((a, a), ())
    assert not kernel.run((a[::2], np.ones(4, "float32")), ())
    assert a.tolist() == [1.0] * 8


def test_what_libm_decides_has_no_kernel():
    assert flat_kernel([Operation("exp", ("a",), "a")], ("a",), (), "float32") is None
    assert flat_kernel([Operation("add", ("a", "a"), "a")], ("a",), (), "float16") is None
