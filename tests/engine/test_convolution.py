"""Convolution and its gradients against direct loops, finite differences and each other."""

import itertools

import numpy as np
import pytest

from distkeras.engine import primitives as p
from distkeras.engine.abstract import Spec, infer
from distkeras.engine.primitives import convolution as module
from distkeras.engine.tape import GradientTape
from distkeras.engine.tensor import from_host
from distkeras.engine.windows import explicit_padding, transposed_size
from distkeras.errors import ArgumentError, ShapeError
from support.strict import Strict

# (spatial size, kernel, strides, padding, dilation, channels, filters, groups)
CASES = [
    ((7,), (3,), (1,), ((0, 0),), (1,), 3, 5, 1),
    ((8,), (3,), (2,), ((1, 1),), (1,), 4, 6, 2),
    ((11,), (3,), (1,), ((4, 0),), (2,), 2, 4, 1),
    ((9,), (1,), (3,), ((0, 0),), (1,), 3, 2, 1),
    ((6,), (2,), (4,), ((2, 1),), (1,), 2, 2, 1),
    ((3,), (5,), (1,), ((4, 4),), (1,), 2, 2, 1),
    ((5, 6), (3, 3), (1, 1), ((0, 0), (0, 0)), (1, 1), 1, 4, 1),
    ((5, 6), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 16, 3, 1),
    ((7, 5), (3, 2), (2, 1), ((1, 0), (0, 1)), (1, 1), 3, 4, 1),
    ((7, 8), (2, 3), (3, 2), ((0, 1), (1, 2)), (1, 1), 4, 4, 2),
    ((9, 7), (3, 2), (1, 1), ((2, 2), (0, 3)), (2, 3), 2, 6, 2),
    ((9, 9), (3, 3), (2, 2), ((0, 0), (0, 0)), (2, 2), 3, 3, 1),
    ((4, 5), (1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1), 3, 4, 1),
    ((4, 5), (1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1), 4, 6, 2),
    ((4, 5), (1, 1), (1, 1), ((1, 0), (0, 2)), (1, 1), 3, 4, 1),
    ((6, 5), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 4, 4, 4),
    ((6, 5), (3, 2), (2, 1), ((1, 0), (0, 1)), (1, 1), 3, 9, 3),
    ((6, 7), (2, 2), (1, 1), ((1, 2), (2, 0)), (3, 2), 3, 3, 3),
    ((7, 6), (2, 2), (1, 1), ((0, -2), (1, -1)), (1, 1), 2, 3, 1),
    ((3, 4, 5), (2, 3, 2), (1, 2, 1), ((0, 0), (1, 1), (0, 1)), (1, 1, 2), 2, 4, 2),
    ((4, 3, 4), (2, 2, 2), (2, 1, 2), ((0, 0), (0, 1), (0, 0)), (1, 1, 1), 3, 3, 3),
    ((3, 3, 3), (3, 3, 3), (1, 1, 1), ((1, 1), (1, 1), (1, 1)), (1, 1, 1), 2, 2, 1),
]


def direct(x, w, strides, padding, dilation, groups):
    """The definition, element by element."""
    n, *size, _ = x.shape
    *kernel, inner, filters = w.shape
    out = [
        (d + a + b - (k - 1) * r - 1) // s + 1
        for d, k, s, (a, b), r in zip(size, kernel, strides, padding, dilation, strict=True)
    ]
    y = np.zeros((n, *out, filters), "float64")
    per_group = filters // groups
    for o in itertools.product(*map(range, out)):
        for k in itertools.product(*map(range, kernel)):
            at = [
                i * s + j * r - a
                for i, j, s, (a, _), r in zip(o, k, strides, padding, dilation, strict=True)
            ]
            if not all(0 <= i < d for i, d in zip(at, size, strict=True)):
                continue
            for group in range(groups):
                ins = slice(group * inner, (group + 1) * inner)
                outs = slice(group * per_group, (group + 1) * per_group)
                y[(slice(None), *o, outs)] += x[(slice(None), *at, ins)] @ w[k][:, outs]
    return y


def arrays(case, n=2, dtype="float64"):
    size, kernel, _, _, _, channels, filters, groups = case
    rng = np.random.default_rng(5)
    x = rng.standard_normal((n, *size, channels)).astype(dtype)
    w = rng.standard_normal((*kernel, channels // groups, filters)).astype(dtype)
    return x, w


def settings(case):
    return {"strides": case[2], "padding": case[3], "dilation": case[4], "groups": case[7]}


def dot(a, b):
    return p.reduce_sum(p.multiply(a, b))


def compute(case, x, w, g):
    """The convolution and both gradients, as arrays."""
    s = settings(case)
    y = p.conv(from_host(x), from_host(w), **s)
    dx = p.conv_input_grad(from_host(g), from_host(w), size=case[0], **s)
    dw = p.conv_weight_grad(from_host(x), from_host(g), kernel=case[1], **s)
    return y.numpy(), dx.numpy(), dw.numpy()


@pytest.fixture(params=[module._CPU_TILE, 1500, 1], ids=["whole", "pieces", "rows"])
def tile(request, monkeypatch):
    """The same numbers, however the work is cut."""
    monkeypatch.setattr(module, "_CPU_TILE", request.param)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_values(case, tile):
    x, w = arrays(case, n=3)
    wanted = direct(x, w, *case[2:5], case[7])
    g = np.random.default_rng(6).standard_normal(wanted.shape)
    y, dx, dw = compute(case, x, w, g)
    assert y.shape == wanted.shape
    np.testing.assert_allclose(y, wanted, rtol=1e-11, atol=1e-11)
    # The gradients are the transposes of a linear map: <g, conv(u, v)> = <grad(g), u>, for a basis
    # in the large.
    rng = np.random.default_rng(7)
    for _ in range(3):
        u, v = rng.standard_normal(x.shape), rng.standard_normal(w.shape)
        np.testing.assert_allclose(
            (direct(u, w, *case[2:5], case[7]) * g).sum(), (dx * u).sum(), rtol=1e-9, atol=1e-9
        )
        np.testing.assert_allclose(
            (direct(x, v, *case[2:5], case[7]) * g).sum(), (dw * v).sum(), rtol=1e-9, atol=1e-9
        )


@pytest.mark.parametrize("case", CASES, ids=str)
def test_shape_rules_agree_with_the_kernels(case):
    x, w = arrays(case)
    s = settings(case)
    y = p.conv(from_host(x), from_host(w), **s)
    gx, gw = Spec(x.shape, "float64"), Spec(w.shape, "float64")
    found = infer(lambda a, b: p.conv(a, b, **s), gx, gw)
    assert found == Spec(y.shape, "float64")
    assert infer(lambda a, b: p.conv_input_grad(a, b, size=case[0], **s), found, gw) == gx
    assert infer(lambda a, b: p.conv_weight_grad(a, b, kernel=case[1], **s), gx, found) == gw


@pytest.mark.parametrize("case", CASES[::2], ids=str)
def test_gradients_by_finite_differences(case):
    x, w = (from_host(a) for a in arrays(case, n=1))
    s = settings(case)

    def loss(a, b):
        y = p.conv(a, b, **s)
        return dot(y, p.multiply(y, y))

    with GradientTape() as tape:
        tape.watch([x, w])
        total = loss(x, w)
    gradients = tape.gradient(total, [x, w])
    rng = np.random.default_rng(8)
    step = 1e-6
    for i, gradient in enumerate(gradients):
        direction = rng.standard_normal(gradient.shape)
        ends = []
        for sign in (1, -1):
            moved = [x.numpy(), w.numpy()]
            moved[i] = moved[i] + sign * step * direction
            ends.append(float(loss(from_host(moved[0]), from_host(moved[1]))))
        slope = (ends[0] - ends[1]) / (2 * step)
        assert slope == pytest.approx((gradient.numpy() * direction).sum(), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("case", [CASES[1], CASES[8], CASES[10], CASES[16], CASES[19]], ids=str)
@pytest.mark.parametrize("of", ["conv", "conv_input_grad", "conv_weight_grad"])
def test_second_derivatives(case, of):
    """Hessian-vector products of each of the three, by finite differences of their gradients."""
    x, w = arrays(case, n=2)
    s = settings(case)
    g = np.random.default_rng(9).standard_normal(direct(x, w, *case[2:5], case[7]).shape)
    inputs, more = {
        "conv": ((x, w), {}),
        "conv_input_grad": ((g, w), {"size": case[0]}),
        "conv_weight_grad": ((x, g), {"kernel": case[1]}),
    }[of]
    function = getattr(p, of)

    def gradients(a, b):
        with GradientTape() as tape:
            tape.watch([a, b])
            y = function(a, b, **more, **s)
            total = dot(y, p.multiply(y, y))
        return tape.gradient(total, [a, b])

    a, b = (from_host(v) for v in inputs)
    rng = np.random.default_rng(10)
    u, v = (rng.standard_normal(i.shape) for i in inputs)
    with GradientTape() as outer:
        outer.watch([a, b])
        ga, gb = gradients(a, b)
        product = p.add(dot(ga, from_host(u)), dot(gb, from_host(v)))
    second = outer.gradient(product, [a, b])
    step = 1e-6
    ahead = gradients(from_host(inputs[0] + step * u), from_host(inputs[1] + step * v))
    behind = gradients(from_host(inputs[0] - step * u), from_host(inputs[1] - step * v))
    for hessian, plus, minus in zip(second, ahead, behind, strict=True):
        wanted = (plus.numpy() - minus.numpy()) / (2 * step)
        np.testing.assert_allclose(
            hessian.numpy(), wanted, rtol=2e-5, atol=2e-5 * abs(wanted).max()
        )


@pytest.mark.parametrize("case", CASES, ids=str)
def test_empty_batch(case):
    x, w = arrays(case, n=0)
    out = direct(x, w, *case[2:5], case[7]).shape
    y, dx, dw = compute(case, x, w, np.zeros(out))
    assert (y.shape, dx.shape, dw.shape) == (out, x.shape, w.shape)
    assert not dw.any()


@pytest.mark.parametrize(
    "dtype,tolerance", [("float16", 2e-3), ("bfloat16", 2e-2), ("float32", 1e-5)]
)
@pytest.mark.parametrize("case", [CASES[0], CASES[9], CASES[12], CASES[15]], ids=str)
def test_dtypes(case, dtype, tolerance):
    x, w = (from_host(a, dtype) for a in arrays(case))
    s = settings(case)
    y = p.conv(x, w, **s)
    dx = p.conv_input_grad(y, w, size=case[0], **s)
    dw = p.conv_weight_grad(x, y, kernel=case[1], **s)
    wide = compute(case, *(t.numpy().astype("float64") for t in (x, w, y)))
    for found, wanted in zip((y, dx, dw), wide, strict=True):
        assert found.dtype == dtype
        close = tolerance * max(1, abs(wanted).max())
        np.testing.assert_allclose(
            found.numpy().astype("float64"), wanted, rtol=tolerance, atol=close
        )


def test_half_precision_is_summed_in_float32():
    """4,096 ones sum up to 4,096; in float16 the sum would stop at 2,048."""
    x, w = from_host(np.ones((1, 4096, 1), "float16")), from_host(np.ones((4096, 1, 1), "float16"))
    y = p.conv(x, w, strides=(1,), padding=((0, 0),), dilation=(1,), groups=1)
    assert y.numpy().item() == 4096


def test_inputs_need_not_be_contiguous():
    case = CASES[8]
    x, w = arrays(case)
    turned = p.transpose(
        from_host(np.ascontiguousarray(x.transpose(3, 0, 2, 1))), axes=(1, 3, 2, 0)
    )
    assert not turned.array.flags.c_contiguous
    y = p.conv(turned, from_host(w), **settings(case)).numpy()
    np.testing.assert_allclose(y, direct(x, w, *case[2:5], case[7]), atol=1e-12)


@pytest.mark.parametrize(
    "padding,size,kernel,strides,dilation,wanted",
    [
        ("valid", (5, 6), (3, 3), (1, 1), (1, 1), ((0, 0), (0, 0))),
        ("same", (5, 6), (3, 2), (1, 1), (1, 1), ((1, 1), (0, 1))),
        ("same", (6,), (3,), (2,), (1,), ((0, 1),)),
        ("same", (7,), (3,), (1,), (3,), ((3, 3),)),
        ("same", (6,), (2,), (3,), (1,), ((0, 0),)),
        ("causal", (6,), (3,), (2,), (2,), ((4, 0),)),
    ],
)
def test_paddings_by_name(padding, size, kernel, strides, dilation, wanted):
    assert explicit_padding(padding, size, kernel, strides, dilation) == wanted


@pytest.mark.parametrize(
    "n,k,s,d", list(itertools.product((1, 3, 4), (1, 2, 3, 5), (1, 2, 3), (1, 2)))
)
def test_transposed_sizes(n, k, s, d):
    """Keras: n * s positions with "same", (n - 1) * s + max(window, s) with "valid"."""
    same, _ = transposed_size((n,), (k,), (s,), (d,), "same", None)
    valid, pairs = transposed_size((n,), (k,), (s,), (d,), "valid", None)
    assert same == (n * s,)
    assert valid == ((n - 1) * s + max((k - 1) * d + 1, s),)
    g, w = from_host(np.ones((1, n, 2))), from_host(np.ones((k, 3, 2)))
    x = p.conv_input_grad(g, w, size=valid, strides=(s,), padding=pairs, dilation=(d,), groups=1)
    assert float(p.reduce_sum(x)) == pytest.approx(n * k * 2 * 3)


@pytest.mark.parametrize(
    "x,w,changes,match",
    [
        ((2, 5, 3), (3, 4, 6), {}, "channels"),
        ((2, 5, 3), (3, 3, 3, 6), {}, "axes"),
        ((2, 2, 3), (3, 3, 6), {}, "does not fit"),
        ((2, 5, 4), (3, 2, 5), {"groups": 2}, "groups"),
        ((2, 5, 4), (3, 4, 5), {"strides": (1, 1)}, "strides"),
    ],
)
def test_errors(x, w, changes, match):
    s = {"strides": (1,), "padding": ((0, 0),), "dilation": (1,), "groups": 1} | changes
    with pytest.raises(ShapeError, match=match):
        p.conv(from_host(np.zeros(x)), from_host(np.zeros(w)), **s)
    with pytest.raises(ShapeError, match=match):
        infer(lambda a, b: p.conv(a, b, **s), Spec(x, "float32"), Spec(w, "float32"))


def test_a_cotangent_of_another_shape_is_refused():
    s = {"strides": (1,), "padding": ((0, 0),), "dilation": (1,), "groups": 1}
    w = from_host(np.zeros((3, 2, 4)))
    with pytest.raises(ShapeError, match="cotangent"):
        p.conv_input_grad(from_host(np.zeros((1, 5, 4))), w, size=(9,), **s)
    with pytest.raises(ShapeError, match="cotangent"):
        p.conv_weight_grad(
            from_host(np.zeros((1, 9, 2))), from_host(np.zeros((1, 5, 4))), kernel=(3,), **s
        )


def test_unknown_padding():
    with pytest.raises(ArgumentError, match="full"):
        explicit_padding("full", (3,), (2,), (1,), (1,))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_nothing_but_what_cupy_has(case):
    """The same numbers on an array module that refuses what CuPy refuses."""
    x, w = arrays(case)
    s = settings(case)
    g = np.random.default_rng(6).standard_normal(direct(x, w, *case[2:5], case[7]).shape)
    device = Strict()
    sx, sw, sg = (device.from_host(a) for a in (x, w, g))
    found = (
        p.conv.run(device.xp, sx, sw, **s),
        p.conv_input_grad.run(device.xp, sg, sw, size=case[0], **s),
        p.conv_weight_grad.run(device.xp, sx, sg, kernel=case[1], **s),
    )
    for strict, wanted in zip(found, compute(case, x, w, g), strict=True):
        np.testing.assert_allclose(device.to_host(strict), wanted, rtol=1e-12, atol=1e-12)
