"""A table of operations: values like NumPy's, and graphs that know the shape and dtype that come.

Every operation runs on values, then on placeholders of the same shapes, with each axis in turn
unknown: the graph must say what the values did.
"""

import numpy as np
import pytest

from distkeras import ops
from distkeras.ops.symbolic import KerasTensor

RNG = np.random.default_rng(2)
A = RNG.uniform(0.2, 2.0, (4, 6)).astype("float32")
B = RNG.uniform(0.2, 2.0, (4, 6)).astype("float32")
C = RNG.uniform(-2.0, 2.0, (4, 6, 2)).astype("float32")
K = RNG.integers(0, 4, (4, 6)).astype("int32")
M = A > 1.0


# (operation, arguments, the same by NumPy); arrays among the arguments become placeholders.
TABLE = [
    # reductions
    ("sum", (C,), {"axis": 1}, lambda: C.sum(1)),
    ("sum", (C,), {"axis": (0, -1), "keepdims": True}, lambda: C.sum((0, 2), keepdims=True)),
    ("sum", (M,), {}, lambda: M.sum().astype("int32")),
    ("mean", (C,), {"axis": -1}, lambda: C.mean(-1)),
    ("mean", (K,), {"axis": 0}, lambda: K.mean(0).astype("float32")),
    ("var", (C,), {"axis": 1}, lambda: C.var(1)),
    ("std", (C,), {"axis": 1, "keepdims": True}, lambda: C.std(1, keepdims=True)),
    ("max", (C,), {"axis": 1}, lambda: C.max(1)),
    ("min", (C,), {"axis": (0, 1), "initial": -5.0}, lambda: np.minimum(C.min((0, 1)), -5)),
    ("prod", (A,), {"axis": 1}, lambda: A.prod(1)),
    ("all", (M,), {"axis": 0}, lambda: M.all(0)),
    ("any", (M,), {"axis": 1, "keepdims": True}, lambda: M.any(1, keepdims=True)),
    ("argmax", (C,), {"axis": 1}, lambda: C.argmax(1).astype("int32")),
    ("argmin", (C,), {}, lambda: C.argmin().astype("int32")),
    ("count_nonzero", (K,), {"axis": 1}, lambda: np.count_nonzero(K, 1).astype("int32")),
    ("cumsum", (C,), {"axis": 1}, lambda: C.cumsum(1)),
    ("cumprod", (A,), {}, lambda: A.cumprod()),
    ("logsumexp", (C,), {"axis": 1}, lambda: np.log(np.exp(C).sum(1))),
    ("median", (C,), {"axis": 1}, lambda: np.median(C, 1).astype("float32")),
    (
        "median",
        (C,),
        {"axis": (0, 2), "keepdims": True},
        lambda: np.median(C, (0, 2), keepdims=True),
    ),
    ("average", (A,), {"axis": 1, "weights": B}, lambda: np.average(A, 1, B)),
    # shapes
    ("reshape", (C, (-1, 12)), {}, lambda: C.reshape(-1, 12)),
    ("transpose", (C,), {"axes": (1, 2, 0)}, lambda: C.transpose(1, 2, 0)),
    ("expand_dims", (C, (0, 2)), {}, lambda: np.expand_dims(C, (0, 2))),
    ("squeeze", (C[:, :1],), {"axis": 1}, lambda: C[:, 0]),
    ("moveaxis", (C, (0, 1), (-1, 0)), {}, lambda: np.moveaxis(C, (0, 1), (-1, 0))),
    ("swapaxes", (C, 0, -1), {}, lambda: C.swapaxes(0, -1)),
    ("ravel", (C,), {}, lambda: C.ravel()),
    ("concatenate", ([A, B],), {"axis": 1}, lambda: np.concatenate([A, B], 1)),
    ("stack", ([A, B],), {"axis": 1}, lambda: np.stack([A, B], 1)),
    ("split", (C, 3), {"axis": 1}, lambda: np.split(C, 3, 1)),
    ("split", (C, [1, 4]), {"axis": 1}, lambda: np.split(C, [1, 4], 1)),
    ("unstack", (C,), {"axis": 2}, lambda: [C[..., 0], C[..., 1]]),
    ("tile", (A, (2, 3)), {}, lambda: np.tile(A, (2, 3))),
    ("tile", (A, (2, 1, 3)), {}, lambda: np.tile(A, (2, 1, 3))),
    ("repeat", (A, 2), {"axis": 1}, lambda: A.repeat(2, 1)),
    ("flip", (C,), {"axis": (0, 2)}, lambda: np.flip(C, (0, 2))),
    ("roll", (C, 2), {"axis": 1}, lambda: np.roll(C, 2, 1)),
    ("roll", (A, -3), {}, lambda: np.roll(A, -3)),
    (
        "pad",
        (A, ((1, 2), (0, 3))),
        {"constant_values": 7},
        lambda: np.pad(A, ((1, 2), (0, 3)), constant_values=7),
    ),
    (
        "pad",
        (A, ((0, 0), (2, 1))),
        {"mode": "reflect"},
        lambda: np.pad(A, ((0, 0), (2, 1)), "reflect"),
    ),
    ("broadcast_to", (A[:1], (4, 6)), {}, lambda: np.broadcast_to(A[:1], (4, 6))),
    # picking
    ("take", (C, [0, 2, 2]), {"axis": 1}, lambda: C.take([0, 2, 2], 1)),
    ("take", (A, K), {}, lambda: A.take(K)),
    ("take_along_axis", (A, K), {"axis": 1}, lambda: np.take_along_axis(A, K, 1)),
    ("sort", (C,), {"axis": 1}, lambda: np.sort(C, 1)),
    ("argsort", (C,), {"axis": -1}, lambda: np.argsort(C, -1).astype("int32")),
    (
        "top_k",
        (A, 2),
        {},
        lambda: (-np.sort(-A, 1)[:, :2], np.argsort(-A, 1)[:, :2].astype("int32")),
    ),
    ("slice", (C, (0, 1, 0), (4, 3, 1)), {}, lambda: C[0:4, 1:4, :1]),
    ("where", (M, A, B), {}, lambda: np.where(M, A, B)),
    ("where", (M, A, 0.0), {}, lambda: np.where(M, A, np.float32(0))),
    # products
    ("matmul", (A, B.T), {}, lambda: A @ B.T),
    ("matmul", (C, A[:2]), {}, lambda: C @ A[:2]),
    ("matmul", (C, A[0, :2]), {}, lambda: C @ A[0, :2]),
    ("dot", (A, B.T), {}, lambda: A.dot(B.T)),
    ("tensordot", (C, A), {"axes": ((0, 1), (0, 1))}, lambda: np.tensordot(C, A, ((0, 1), (0, 1)))),
    ("einsum", ("bij,bi->bj", C, A), {}, lambda: np.einsum("bij,bi->bj", C, A)),
    ("outer", (A, B), {}, lambda: np.outer(A, B)),
    ("norm", (C,), {"axis": -1}, lambda: np.linalg.norm(C, axis=-1)),
    ("norm", (C,), {"ord": 1, "axis": 1}, lambda: np.abs(C).sum(1)),
    ("norm", (C,), {"ord": 3, "axis": 1}, lambda: (np.abs(C) ** 3).sum(1) ** (1 / 3)),
    # diagonals
    ("tril", (C[..., 0],), {"k": 1}, lambda: np.tril(C[..., 0], 1)),
    ("triu", (C.transpose(2, 0, 1),), {"k": -1}, lambda: np.triu(C.transpose(2, 0, 1), -1)),
    ("diagonal", (C,), {"offset": 1}, lambda: np.diagonal(C, 1, 0, 1)),
    ("diagonal", (C,), {"offset": -2, "axis1": 1, "axis2": 0}, lambda: np.diagonal(C, -2, 1, 0)),
    ("trace", (C,), {}, lambda: np.trace(C)),
    ("diff", (C,), {"n": 2, "axis": 1}, lambda: np.diff(C, 2, 1)),
    # elementwise
    ("add", (C, C[:1]), {}, lambda: C + C[:1]),
    ("subtract", (1.0, C), {}, lambda: 1 - C),
    ("multiply", (C, 2), {}, lambda: C * 2),
    ("divide", (K, K + 1), {}, lambda: (K / (K + 1)).astype("float32")),
    ("divide", (2, A), {}, lambda: 2 / A),
    ("floor_divide", (K, 2), {}, lambda: K // 2),
    ("mod", (C, 0.7), {}, lambda: np.mod(C, np.float32(0.7))),
    ("power", (A, 3), {}, lambda: A**3),
    ("power", (A, B), {}, lambda: A**B),
    ("maximum", (C, 0.5), {}, lambda: np.maximum(C, np.float32(0.5))),
    ("arctan2", (A, B), {}, lambda: np.arctan2(A, B)),
    ("logaddexp", (A, B), {}, lambda: np.logaddexp(A, B)),
    ("equal", (K, 2), {}, lambda: K == 2),
    ("less", (A, B), {}, lambda: A < B),
    ("logical_and", (M, ~M), {}, lambda: M & ~M),
    ("logical_not", (M,), {}, lambda: ~M),
    ("bitwise_xor", (K, 5), {}, lambda: K ^ 5),
    ("bitwise_left_shift", (K, 2), {}, lambda: K << 2),
    ("bitwise_not", (K,), {}, lambda: ~K),
    ("sqrt", (A,), {}, lambda: np.sqrt(A)),
    ("exp", (K,), {}, lambda: np.exp(K).astype("float32")),
    ("clip", (C, -0.5, 0.5), {}, lambda: C.clip(-0.5, 0.5)),
    ("round", (C,), {"decimals": 1}, lambda: C.round(1)),
    ("isclose", (A, B), {}, lambda: np.isclose(A, B)),
    ("nan_to_num", (C,), {}, lambda: C),
    ("cast", (C, "int32"), {}, lambda: C.astype("int32")),
    ("zeros_like", (C,), {}, lambda: np.zeros_like(C)),
    ("full_like", (C, 3), {}, lambda: np.full_like(C, 3)),
    ("linspace", (A[0], B[0], 5), {}, lambda: np.linspace(A[0], B[0], 5).astype("float32")),
    ("meshgrid", (A[0], B[:, 0]), {}, lambda: np.meshgrid(A[0], B[:, 0])),
    ("one_hot", (K, 4), {}, lambda: np.eye(4, dtype="float32")[K]),
    ("softmax", (C,), {"axis": 1}, lambda: np.exp(C) / np.exp(C).sum(1, keepdims=True)),
]
IDS = [f"{i}-{row[0]}" for i, row in enumerate(TABLE)]


def listed(result):
    return list(result) if isinstance(result, tuple | list) else [result]


def call(name, args, kwargs, change):
    """The operation, with every array among its arguments changed."""

    def each(value):
        if isinstance(value, np.ndarray):
            return change(value)
        if isinstance(value, list) and any(isinstance(v, np.ndarray) for v in value):
            return [each(v) for v in value]
        return value

    return getattr(ops, name)(*map(each, args), **{k: each(v) for k, v in kwargs.items()})


@pytest.mark.parametrize(("name", "args", "kwargs", "reference"), TABLE, ids=IDS)
def test_values_and_dtypes(name, args, kwargs, reference):
    found = listed(call(name, args, kwargs, ops.convert_to_tensor))
    wanted = listed(reference())
    assert len(found) == len(wanted)
    for f, w in zip(found, wanted, strict=True):
        assert f.shape == np.shape(w)
        if not isinstance(w, float):
            assert f.dtype == w.dtype
        np.testing.assert_allclose(f.numpy(), w, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize(("name", "args", "kwargs", "reference"), TABLE, ids=IDS)
def test_graphs_know_shape_and_dtype(name, args, kwargs, reference):
    found = listed(call(name, args, kwargs, ops.convert_to_tensor))
    symbolic = listed(call(name, args, kwargs, lambda a: KerasTensor(a.shape, str(a.dtype))))
    assert [(s.shape, s.dtype) for s in symbolic] == [(f.shape, f.dtype) for f in found]


# Their count of outputs, or their parameters, depend on the first axis.
NEEDS_THE_BATCH = {
    "slice", "broadcast_to", "take_along_axis", "diagonal", "trace", "meshgrid", "linspace",
}  # fmt: skip


def free(row) -> bool:
    name, args, _, _ = row
    arrays = [a for a in args if isinstance(a, np.ndarray)]
    arrays += [a for v in args if isinstance(v, list) for a in v if isinstance(a, np.ndarray)]
    first = {a.shape[0] for a in arrays}
    return name not in NEEDS_THE_BATCH and first == {4} and name != "average"


@pytest.mark.parametrize(
    ("name", "args", "kwargs", "reference"),
    [r for r in TABLE if free(r)],
    ids=[i for i, r in zip(IDS, TABLE, strict=True) if free(r)],
)
def test_graphs_of_unknown_batches(name, args, kwargs, reference):
    """Known sizes are right, and unknown is exactly what changes with the batch."""
    symbolic = listed(
        call(name, args, kwargs, lambda a: KerasTensor((None, *a.shape[1:]), str(a.dtype)))
    )
    shapes = []
    for rows in (4, 2):
        found = listed(call(name, args, kwargs, lambda a, n=rows: ops.convert_to_tensor(a[:n])))
        shapes.append([f.shape for f in found])
        assert [s.dtype for s in symbolic] == [f.dtype for f in found]
    for s, a, b in zip(symbolic, *shapes, strict=True):
        assert s.shape == tuple(m if m == n else None for m, n in zip(a, b, strict=True))


@pytest.mark.parametrize("mode", ["reflect", "symmetric", "edge"])
@pytest.mark.parametrize("widths", [(0, 3), (2, 0), (5, 7)], ids=str)
def test_padding_that_mirrors_more_than_once(mode, widths):
    x = A[:, :3]
    found = ops.pad(x, ((0, 0), widths), mode=mode)
    np.testing.assert_array_equal(found.numpy(), np.pad(x, ((0, 0), widths), mode))
    assert ops.pad(KerasTensor((4, None)), ((0, 0), widths), mode=mode).shape == (4, None)
