"""Every primitive against NumPy: value, shape rule, batch rule, gradient, second gradient, dtypes,
and a strict device."""

import numpy as np
import pytest

from distkeras.devices.base import _BY_ARRAY_TYPE, get_device, register_device, use_device
from distkeras.devices.null import NullArray
from distkeras.engine import batch, context
from distkeras.engine.abstract import ShapeTensor
from distkeras.engine.dtypes import numpy_dtype
from distkeras.engine.primitive import PRIMITIVES
from distkeras.engine.tape import GradientTape
from distkeras.engine.tensor import Tensor, from_host
from distkeras.errors import DeviceError
from support.strict import Strict, StrictArray
from tests.engine.op_table import Row, declared, table

ROWS = table()
IDS = [r.id for r in ROWS]
# Their values are compared elsewhere: with direct loops, Keras's reference files, known answers.
ELSEWHERE = {
    "conv": "test_convolution",
    "pool": "test_pooling",
    "resample": "test_pooling",
    "cross_entropy": "losses",
    "random": "random",
    "dropout": "random",
    "masked_scale": "random",
    "softmax": "activations",
    "elu": "activations",
    "leaky_relu": "activations",
    "library": "linalg",
    "cross_rank": "distribution",
    "norm": "layers",
    "cell": "layers",
    "moments": "layers",
    "standardize": "layers",
    "nonzero": "ops",
}
LIBRARY = {"inv", "det", "solve", "cholesky", "eigh", "qr", "svd"}


def outputs(prim, arrays, params) -> list[Tensor]:
    result = prim(*(from_host(a) for a in arrays), **params)
    return list(result) if isinstance(result, tuple) else [result]


def test_every_primitive_has_a_row_or_a_test_of_its_own():
    have = {r.name for r in ROWS}
    missing = [
        n
        for n in declared()
        if n not in have and n not in LIBRARY and not any(k in n for k in ELSEWHERE)
    ]
    assert not missing, f"add a line to tests/engine/op_table.py for {sorted(missing)}"
    assert have <= declared()


@pytest.mark.parametrize(
    "row", [r for r in ROWS if r.reference], ids=[r.id for r in ROWS if r.reference]
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_value(row: Row, dtype):
    arrays = row.arrays(dtype)
    expected = row.reference(*(a.astype("float64") if a.dtype.kind == "f" else a for a in arrays))
    expected = expected if isinstance(expected, list) else [expected]
    got = outputs(PRIMITIVES[row.name], arrays, row.params)
    assert len(got) == len(expected)
    tolerance = 1e-12 if dtype == "float64" else row.tolerance
    for g, e in zip(got, expected, strict=True):
        assert g.shape == np.shape(e)
        np.testing.assert_allclose(g.numpy().astype("float64"), e, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_shape_rule_tells_what_happens(row: Row):
    arrays = row.arrays("float32")
    prim = PRIMITIVES[row.name]
    got = outputs(prim, arrays, row.params)
    answer = prim.shape(*(ShapeTensor(a.shape, a.dtype) for a in arrays), **row.params)
    answers = [answer] if prim.outputs == 1 else answer
    assert [(tuple(s), np.dtype(d)) for s, d in answers] == [(t.shape, t.array.dtype) for t in got]


def differentiable(row: Row):
    return row.gradient and PRIMITIVES[row.name].vjp is not None


def scalar(prim, arrays, params, weights):
    with context.changed(tapes=()):
        outs = outputs(prim, arrays, params)
    return sum(
        float((o.numpy() * w).sum())
        for o, w in zip(outs, weights, strict=True)
        if o.dtype == "float64"
    )


def gradients(row: Row, arrays, weights):
    prim = PRIMITIVES[row.name]
    inputs = [from_host(a) for a in arrays]
    floats = [i for i, a in enumerate(arrays) if a.dtype.kind == "f"]
    with GradientTape() as tape:
        tape.watch([inputs[i] for i in floats])
        outs = prim(*inputs, **row.params)
        outs = list(outs) if isinstance(outs, tuple) else [outs]
        kept = [
            (o, from_host(w)) for o, w in zip(outs, weights, strict=True) if o.dtype == "float64"
        ]
    found = tape.gradient(
        [o for o, _ in kept],
        [inputs[i] for i in floats],
        [w for _, w in kept],
        unconnected_gradients="zero",
    )
    return floats, found


@pytest.mark.parametrize(
    "row", [r for r in ROWS if differentiable(r)], ids=[r.id for r in ROWS if differentiable(r)]
)
def test_gradient_by_finite_differences(row: Row):
    arrays = row.arrays()
    prim = PRIMITIVES[row.name]
    rng = np.random.default_rng(7)
    weights = [rng.standard_normal(o.shape) for o in outputs(prim, arrays, row.params)]
    floats, found = gradients(row, arrays, weights)
    assert floats, "a differentiable row needs a float input"
    step = 1e-6
    for i, g in zip(floats, found, strict=True):
        assert g.shape == arrays[i].shape
        numeric = np.empty_like(arrays[i])
        for k in np.ndindex(arrays[i].shape):
            ends = []
            for sign in (1, -1):
                moved = [a.copy() for a in arrays]
                moved[i][k] += sign * step
                ends.append(scalar(prim, moved, row.params, weights))
            numeric[k] = (ends[0] - ends[1]) / (2 * step)
        np.testing.assert_allclose(g.numpy(), numeric, rtol=2e-6, atol=2e-7)


@pytest.mark.parametrize(
    "row", [r for r in ROWS if differentiable(r)], ids=[r.id for r in ROWS if differentiable(r)]
)
def test_second_gradient_by_finite_differences(row: Row):
    """d/dx of a random projection of the gradient, along one random direction."""
    arrays = row.arrays()
    prim = PRIMITIVES[row.name]
    rng = np.random.default_rng(8)
    weights = [rng.standard_normal(o.shape) for o in outputs(prim, arrays, row.params)]
    floats = [i for i, a in enumerate(arrays) if a.dtype.kind == "f"]
    projections = [rng.standard_normal(arrays[i].shape) for i in floats]
    direction = [rng.standard_normal(arrays[i].shape) for i in floats]
    inputs = [from_host(a) for a in arrays]
    with GradientTape() as outer:
        outer.watch([inputs[i] for i in floats])
        with GradientTape() as inner:
            inner.watch([inputs[i] for i in floats])
            outs = prim(*inputs, **row.params)
            outs = list(outs) if isinstance(outs, tuple) else [outs]
            kept = [
                (o, from_host(w))
                for o, w in zip(outs, weights, strict=True)
                if o.dtype == "float64"
            ]
        first = inner.gradient(
            [o for o, _ in kept],
            [inputs[i] for i in floats],
            [w for _, w in kept],
            unconnected_gradients="zero",
        )
    second = outer.gradient(
        first,
        [inputs[i] for i in floats],
        [from_host(p) for p in projections],
        unconnected_gradients="zero",
    )
    along = sum(float((s.numpy() * d).sum()) for s, d in zip(second, direction, strict=True))
    step = 1e-6
    ends = []
    for sign in (1, -1):
        moved = [a.copy() for a in arrays]
        for i, d in zip(floats, direction, strict=True):
            moved[i] += sign * step * d
        _, g = gradients(row, moved, weights)
        ends.append(sum(float((x.numpy() * p).sum()) for x, p in zip(g, projections, strict=True)))
    np.testing.assert_allclose(along, (ends[0] - ends[1]) / (2 * step), rtol=1e-5, atol=1e-6)


HALF = [r for r in ROWS if any(not isinstance(s, np.ndarray) for s in r.inputs) and r.reference]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("row", HALF, ids=[r.id for r in HALF])
def test_half_precision_stays_half(row: Row, dtype):
    arrays = row.arrays("float64")
    half = [a.astype(numpy_dtype(dtype)) if a.dtype.kind == "f" else a for a in arrays]
    single = [
        a.astype("float32") if a.dtype != b.dtype else b for a, b in zip(half, arrays, strict=True)
    ]
    got = outputs(PRIMITIVES[row.name], half, row.params)
    want = outputs(PRIMITIVES[row.name], single, row.params)
    loose = 0.03 if dtype == "bfloat16" else 0.004
    for g, w in zip(got, want, strict=True):
        if w.dtype == "float32" and "dtype" not in row.params:
            assert g.dtype == dtype
        a, b = g.numpy().astype("float64"), w.numpy().astype("float64")
        np.testing.assert_allclose(
            a, b, rtol=loose, atol=loose * max(1.0, np.abs(b).max(initial=0))
        )


def of_rows(rows):
    return pytest.mark.parametrize("row", rows, ids=[r.id for r in rows])


def halvable(row: Row) -> bool:
    """Whether the rows of the first input can be cut into two halves."""
    shape = np.shape(row.arrays()[0]) if row.inputs else ()
    return bool(shape) and shape[0] % 2 == 0


@of_rows([r for r in ROWS if halvable(r)])
def test_batch_rule(row: Row):
    """Where a rule says that rows are kept, computing two halves apart and joining them gives the
    whole."""
    prim = PRIMITIVES[row.name]
    arrays = row.arrays("float64")
    n = arrays[0].shape[0]
    tensors = [from_host(a) for a in arrays]
    rows = [a.ndim == arrays[0].ndim and a.shape[0] == n for a in arrays]
    for t, is_batch in zip(tensors, rows, strict=True):
        t.batch = 0 if is_batch else None
    with context.changed(track_batch=True):
        result = prim(*tensors, **row.params)
    for out_index, whole in enumerate(result if isinstance(result, tuple) else [result]):
        axis = whole.batch
        if axis == batch.MIXED or (
            row.params.get("shape") is not None
            and row.name in ("reshape", "broadcast_to", "put_slice")
        ):
            continue
        parts = []
        for half in (slice(0, n // 2), slice(n // 2, n)):
            some = [a[half] if is_batch else a for a, is_batch in zip(arrays, rows, strict=True)]
            parts.append(outputs(prim, some, row.params)[out_index].numpy())
        if axis == batch.REDUCED:
            joined = parts[0] + parts[1]
        elif axis is None:
            joined = parts[0]
        else:
            joined = np.concatenate(parts, axis=axis)
        np.testing.assert_allclose(joined, whole.numpy(), rtol=1e-12, atol=1e-12)


def emptiable(row: Row) -> bool:
    """Whether the row stands for an operation on one batch that may be empty."""
    extremes = ("reduce_max", "reduce_min", "argmax", "argmin")  # of nothing: an error
    if row.name in extremes and row.params.get("axis") in (None, (0, 2)):
        return False
    return len(row.inputs) == 1 and "shape" not in row.params


@of_rows([r for r in ROWS if emptiable(r)])
def test_empty_batch(row: Row):
    """A rank without samples computes with an empty batch axis."""
    arrays = row.arrays("float32")
    out = outputs(PRIMITIVES[row.name], [arrays[0][:0]], row.params)
    assert all(np.isfinite(o.numpy().astype("float64")).all() for o in out)


@pytest.fixture(scope="module")
def strict():
    try:
        return get_device("strict")
    except DeviceError:
        register_device("strict", Strict)
        return get_device("strict")


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_strict_device_computes_the_same(row: Row, strict):
    prim = PRIMITIVES[row.name]
    arrays = row.arrays("float32")
    host = outputs(prim, arrays, row.params)
    with use_device("strict"):
        device = outputs(prim, arrays, row.params)
        for h, d in zip(host, device, strict=True):
            assert type(d.array) is StrictArray
            np.testing.assert_allclose(d.numpy(), h.numpy(), rtol=1e-6, atol=1e-6)
        if differentiable(row):
            inputs = [from_host(a) for a in arrays]
            floats = [t for t, a in zip(inputs, arrays, strict=True) if a.dtype.kind == "f"]
            with GradientTape() as tape:
                tape.watch(floats)
                y = prim(*inputs, **row.params)
            targets = [t for t in (y if isinstance(y, tuple) else (y,)) if "float" in t.dtype]
            for g in tape.gradient(targets, floats, unconnected_gradients="zero"):
                assert type(g.array) is StrictArray


def test_mixed_devices_are_named(strict):
    here = from_host(np.ones(2, "float32"))
    with use_device("strict"):
        there = from_host(np.ones(2, "float32"))
    with pytest.raises(DeviceError, match="input 0: cpu, input 1: strict"):
        PRIMITIVES["add"](here, there)
    assert _BY_ARRAY_TYPE[StrictArray] is strict


@of_rows([r for r in ROWS if r.inputs])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_only_views_share_memory(row: Row, dtype):
    """A result that shares an input's memory must be declared, or it changes with a variable."""
    prim = PRIMITIVES[row.name]
    inputs = [from_host(a) for a in row.arrays(dtype)]
    result = prim(*inputs, **row.params)
    for out in result if isinstance(result, tuple) else (result,):
        for i, t in enumerate(inputs):
            if np.may_share_memory(out.array, t.array):
                assert prim.view, f"{row.id} shows input {i}"
                assert i == 0


@pytest.mark.parametrize(
    "subscripts", ["ij->ji", "ij->ij", "ii->i", "i...->...i", "ijk->kji", "...->..."]
)
def test_einsum_of_one_operand_shows_nothing(subscripts):
    shape = (2,) * max(2, len(subscripts.split("->")[0].replace("...", "")))
    x = from_host(np.ones(shape, "float32"))
    y = PRIMITIVES["einsum"](x, subscripts=subscripts)
    assert PRIMITIVES["einsum"].view or not np.may_share_memory(y.array, x.array)


@of_rows(ROWS)
def test_null_device_runs_the_shape_rule(row: Row):
    prim = PRIMITIVES[row.name]
    arrays = row.arrays("float32")
    host = outputs(prim, arrays, row.params)
    with use_device("null"):
        found = outputs(prim, arrays, row.params)
        assert all(isinstance(t.array, NullArray) for t in found)
        assert [(t.shape, t.dtype) for t in found] == [(t.shape, t.dtype) for t in host]
