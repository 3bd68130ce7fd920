"""Pooling and resampling against direct loops, finite differences and each other."""

import itertools

import numpy as np
import pytest

from distkeras.engine import primitives as p
from distkeras.engine.abstract import Spec, infer
from distkeras.engine.primitives import pooling as module
from distkeras.engine.tape import GradientTape
from distkeras.engine.tensor import from_host
from distkeras.errors import ArgumentError, ShapeError
from support.strict import Strict

# (spatial size, window, strides, padding)
CASES = [
    ((6,), (2,), (2,), ((0, 0),)),
    ((7,), (2,), (2,), ((0, 0),)),
    ((7,), (3,), (2,), ((1, 1),)),
    ((7,), (2,), (3,), ((0, 1),)),
    ((6, 6), (2, 2), (2, 2), ((0, 0), (0, 0))),
    ((7, 5), (2, 2), (2, 2), ((0, 0), (0, 0))),
    ((7, 5), (3, 2), (1, 1), ((1, 1), (0, 1))),
    ((5, 6), (3, 3), (2, 2), ((1, 1), (0, 1))),
    ((5, 4), (1, 1), (2, 3), ((0, 0), (0, 0))),
    ((2, 3), (4, 4), (2, 1), ((2, 2), (1, 2))),
    ((4, 5, 3), (2, 2, 2), (2, 1, 2), ((0, 0), (1, 0), (0, 1))),
]


def windows(case):
    """`(output position, input positions)` of each window, in order."""
    size, window, strides, padding = case
    out = [
        (n + a + b - k) // s + 1
        for n, k, s, (a, b) in zip(size, window, strides, padding, strict=True)
    ]
    for o in itertools.product(*map(range, out)):
        start = [i * s - a for i, s, (a, _) in zip(o, strides, padding, strict=True)]
        places = (
            tuple(i + j for i, j in zip(start, k, strict=True))
            for k in itertools.product(*map(range, window))
        )
        yield o, [at for at in places if all(0 <= i < n for i, n in zip(at, size, strict=True))]


def direct(case, x, g=None):
    """Maxima and means, or with `g` the gradients of both, by the definition."""
    found = dict(windows(case))
    out = tuple(d + 1 for d in max(found))
    n, c = x.shape[0], x.shape[-1]
    if g is None:
        top, mean = np.zeros((n, *out, c)), np.zeros((n, *out, c))
        for o, places in found.items():
            values = np.stack([x[(slice(None), *at)] for at in places])
            top[(slice(None), *o)], mean[(slice(None), *o)] = values.max(0), values.mean(0)
        return top, mean
    of_top, of_mean = np.zeros(x.shape), np.zeros(x.shape)
    for o, places in found.items():
        values = np.stack([x[(slice(None), *at)] for at in places])
        first = values.argmax(0)
        for j, at in enumerate(places):
            of_top[(slice(None), *at)] += g[(slice(None), *o)] * (first == j)
            of_mean[(slice(None), *at)] += g[(slice(None), *o)] / len(places)
    return of_top, of_mean


def settings(case):
    return {"window": case[1], "strides": case[2], "padding": case[3]}


def data(case, n=3, ties=False):
    rng = np.random.default_rng(3)
    shape = (n, *case[0], 2)
    return rng.integers(0, 3, shape).astype("float64") if ties else rng.standard_normal(shape)


@pytest.fixture(params=[module._TILE, 1], ids=["whole", "pieces"])
def tile(request, monkeypatch):
    """The same numbers, however the work is cut."""
    monkeypatch.setattr(module, "_TILE", request.param)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_values_and_gradients(case, ties, tile):
    """Among equal maxima the first takes the whole gradient."""
    x = data(case, ties=ties)
    tops, means = direct(case, x)
    g = np.random.default_rng(4).standard_normal(tops.shape)
    for function, wanted, gradient in zip(
        (p.max_pool, p.avg_pool), (tops, means), direct(case, x, g), strict=True
    ):
        source = from_host(x)
        with GradientTape() as tape:
            tape.watch(source)
            y = function(source, **settings(case))
        np.testing.assert_allclose(y.numpy(), wanted, rtol=1e-12, atol=1e-14)
        found = tape.gradient(y, source, output_gradients=from_host(g))
        np.testing.assert_allclose(found.numpy(), gradient, rtol=1e-12, atol=1e-13)
        spec = Spec((None, *case[0], 2), "float64")
        inferred = infer(lambda a, f=function: f(a, **settings(case)), spec)
        assert inferred == Spec((None, *wanted.shape[1:]), "float64")


@pytest.mark.parametrize("case", [CASES[2], CASES[5], CASES[6], CASES[10]], ids=str)
@pytest.mark.parametrize("kind", ["max_pool", "avg_pool"])
def test_second_derivatives(case, kind):
    """Hessian-vector products against differences of gradients."""
    function = getattr(p, kind)
    x = data(case, n=1)
    u = np.random.default_rng(5).standard_normal(x.shape)

    def gradient(a):
        with GradientTape() as tape:
            tape.watch(a)
            y = function(a, **settings(case))
            total = p.reduce_sum(p.multiply(y, p.multiply(y, y)))
        return tape.gradient(total, a)

    source = from_host(x)
    with GradientTape() as outer:
        outer.watch(source)
        product = p.reduce_sum(p.multiply(gradient(source), from_host(u)))
    found = outer.gradient(product, source).numpy()
    step = 1e-7
    ends = [gradient(from_host(x + sign * step * u)).numpy() for sign in (1, -1)]
    np.testing.assert_allclose(found, (ends[0] - ends[1]) / (2 * step), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", [CASES[2], CASES[6]], ids=str)
def test_third_derivative_of_a_maximum(case):
    """y ** 4 has third derivatives: the chain max_pool, grad, pick, grad is walked."""
    x = from_host(data(case, n=1))
    with GradientTape() as third:
        third.watch(x)
        with GradientTape() as second:
            second.watch(x)
            with GradientTape() as first:
                first.watch(x)
                y = p.max_pool(x, **settings(case))
                total = p.reduce_sum(p.multiply(p.multiply(y, y), p.multiply(y, y)))
            one = first.gradient(total, x)
        two = second.gradient(one, x)
    found = third.gradient(two, x).numpy()
    # The gradient is hits * 4 y^3 summed over windows; along ones the chain gives 24 y per hit.
    y = direct(case, x.numpy())[0]
    counted = direct(case, x.numpy(), 24 * y)[0]
    np.testing.assert_allclose(found, counted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("case", [CASES[5], CASES[7]], ids=str)
def test_empty_batch(case):
    x = from_host(data(case, n=0))
    for function in (p.max_pool, p.avg_pool):
        with GradientTape() as tape:
            tape.watch(x)
            y = function(x, **settings(case))
        assert y.shape[0] == 0
        assert tape.gradient(y, x).shape == x.shape


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_dtypes(dtype):
    case = CASES[7]
    x = from_host(data(case), dtype)
    tops, means = direct(case, x.numpy().astype("float64"))
    top, mean = p.max_pool(x, **settings(case)), p.avg_pool(x, **settings(case))
    assert top.dtype == mean.dtype == dtype
    np.testing.assert_array_equal(top.numpy().astype("float64"), tops)
    np.testing.assert_allclose(mean.numpy().astype("float64"), means, atol=1e-2)


def test_integers_have_maxima():
    x = from_host(np.array([[[-5], [-7], [-9]]], "int32"))
    y = p.max_pool(x, window=(2,), strides=(2,), padding=((1, 0),))
    assert y.tolist() == [[[-5], [-7]]]


def test_a_maximum_that_is_no_number_keeps_one_gradient():
    x = from_host(np.array([[[1.0], [np.nan], [2.0], [3.0]]]))
    with GradientTape() as tape:
        tape.watch(x)
        y = p.max_pool(x, window=(2,), strides=(2,), padding=((0, 0),))
    assert np.isnan(y.numpy()[0, 0, 0])
    assert p.reduce_sum(tape.gradient(y, x)).item() == 2


def test_errors():
    x = from_host(np.zeros((1, 3, 3, 1)))
    with pytest.raises(ShapeError, match="does not fit"):
        p.max_pool(x, window=(4, 2), strides=(1, 1), padding=((0, 0), (0, 0)))
    with pytest.raises(ShapeError, match="for each"):
        p.avg_pool(x, window=(2,), strides=(1,), padding=((0, 0),))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_nothing_but_what_cupy_has(case):
    """The same numbers on an array module that refuses what CuPy refuses."""
    x = data(case)
    device = Strict()
    source = device.from_host(x)
    for function, gradient in ((p.max_pool, 0), (p.avg_pool, 1)):
        y = function.run(device.xp, source, **settings(case))
        np.testing.assert_allclose(
            device.to_host(y), direct(case, x)[gradient], rtol=1e-12, atol=1e-14
        )
        if gradient:
            found = p.avg_pool_grad.run(device.xp, y, size=case[0], **settings(case))
        else:
            found = p.max_pool_grad.run(device.xp, y, source, y, **settings(case))
            picked = p.max_pool_pick.run(device.xp, source, source, y, **settings(case))
            np.testing.assert_array_equal(device.to_host(picked), device.to_host(y))
        wanted = direct(case, x, device.to_host(y))[gradient]
        np.testing.assert_allclose(device.to_host(found), wanted, rtol=1e-12, atol=1e-13)


# --- resampling ---------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["nearest", "bilinear"])
@pytest.mark.parametrize("n,size", [(3, 6), (4, 12), (5, 3), (4, 7), (1, 3), (6, 6)])
@pytest.mark.parametrize("axis", [1, 2])
def test_resampling(method, n, size, axis):
    """Piecewise constant or linear between the centres; the gradient is the transpose."""
    shape = [2, 3, 4]
    shape[axis] = n
    x = np.random.default_rng(1).standard_normal(shape)
    centres = np.clip((np.arange(size) + 0.5) * n / size - 0.5, 0, n - 1)

    def wanted(v):
        if method == "nearest":
            at = np.minimum(np.floor((np.arange(size) + 0.5) * n / size), n - 1)
            return v[at.astype(int)]
        return np.interp(centres, np.arange(n), v)

    source = from_host(x)
    with GradientTape() as outer:
        outer.watch(source)
        with GradientTape() as tape:
            tape.watch(source)
            y = p.resample(source, axis=axis, size=size, method=method)
            total = p.reduce_sum(p.multiply(y, p.multiply(y, y)))
        first = tape.gradient(total, source)
    np.testing.assert_allclose(y.numpy(), np.apply_along_axis(wanted, axis, x), rtol=1e-12)
    u = np.random.default_rng(2).standard_normal(x.shape)
    second = outer.gradient(first, source, output_gradients=from_host(u)).numpy()
    moved = np.apply_along_axis(wanted, axis, u)
    np.testing.assert_allclose((first.numpy() * u).sum(), (3 * y.numpy() ** 2 * moved).sum())
    np.testing.assert_allclose((second * u).sum(), (6 * y.numpy() * moved**2).sum())


def test_resampling_by_an_unknown_method():
    with pytest.raises(ArgumentError, match="lanczos"):
        p.resample(from_host(np.zeros((1, 2))), axis=1, size=4, method="lanczos9")


@pytest.mark.parametrize("method", ["nearest", "bilinear"])
def test_resampling_with_nothing_but_what_cupy_has(method):
    device = Strict()
    x = np.random.default_rng(1).standard_normal((2, 3, 4))
    y = p.resample.run(device.xp, device.from_host(x), axis=1, size=7, method=method)
    wanted = p.resample(from_host(x), axis=1, size=7, method=method)
    np.testing.assert_array_equal(device.to_host(y), wanted.numpy())
    back = p.resample_grad.run(device.xp, y, axis=1, size=3, method=method)
    again = p.resample_grad(wanted, axis=1, size=3, method=method)
    np.testing.assert_allclose(device.to_host(back), again.numpy(), rtol=1e-12)
