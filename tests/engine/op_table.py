"""One line for each primitive: example inputs, parameters and an independent NumPy reference."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from distkeras.engine.primitive import PRIMITIVES


@dataclass
class Row:
    """An example of one primitive.

    Attributes:
        name: the primitive.
        inputs: for each input a shape, or an array.
        params: its parameters.
        reference: NumPy function of the float64 inputs, or `None` where another test compares the
            values.
        low, high: range of the random inputs.
        gradient: whether finite differences apply.
        tolerance: of float32 values, relative.
        batch: whether the rows of input 0 can be computed apart (checks the batch rule by doing
            so).
    """

    name: str
    inputs: list
    params: dict = field(default_factory=dict)
    reference: Callable | None = None
    low: float = -2.0
    high: float = 2.0
    gradient: bool = True
    tolerance: float = 2e-6
    only: str | None = None
    tag: str = ""

    @property
    def id(self) -> str:
        return self.name + (f"-{self.tag}" if self.tag else "")

    def arrays(self, dtype="float64") -> list[np.ndarray]:
        rng = np.random.default_rng(sum(map(ord, self.id)))
        out = []
        for spec in self.inputs:
            if isinstance(spec, np.ndarray):
                out.append(spec.astype(dtype) if spec.dtype.kind == "f" else spec)
            else:
                out.append(rng.uniform(self.low, self.high, spec).astype(dtype))
        return out


_BOOLS = np.array([[True, False, True], [False, False, True]])
_INTS = np.array([[1, 5, -3], [4, 0, 2]], "int32")
_ROWS: list[Row] = []


def row(
    name: str, inputs: list, params: dict | None = None, reference=None, **settings: Any
) -> None:
    _ROWS.append(Row(name, inputs, params or {}, reference, **settings))


def table() -> list[Row]:
    return _ROWS


def declared() -> set[str]:
    import distkeras.losses
    import distkeras.ops
    import distkeras.random  # noqa: F401 - all declare primitives

    return set(PRIMITIVES)


# --- elementwise ----------------------------------------------------------------------------------
_V = [(2, 3)]
_P = {"low": 0.2, "high": 3.0}
for _name, _f, _settings in (
    ("negative", np.negative, {}),
    ("square", np.square, {}),
    ("sqrt", np.sqrt, _P),
    ("rsqrt", lambda x: x**-0.5, _P),
    ("reciprocal", lambda x: 1 / x, _P),
    ("exp", np.exp, {}),
    ("expm1", np.expm1, {}),
    ("log", np.log, _P),
    ("log1p", np.log1p, _P),
    ("log2", np.log2, _P),
    ("log10", np.log10, _P),
    ("sin", np.sin, {}),
    ("cos", np.cos, {}),
    ("tan", np.tan, {"low": -1, "high": 1}),
    ("sinh", np.sinh, {}),
    ("cosh", np.cosh, {}),
    ("tanh", np.tanh, {}),
    ("arcsin", np.arcsin, {"low": -0.9, "high": 0.9}),
    ("arccos", np.arccos, {"low": -0.9, "high": 0.9}),
    ("arctan", np.arctan, {}),
    ("arcsinh", np.arcsinh, {}),
    ("arccosh", np.arccosh, {"low": 1.2, "high": 3}),
    ("arctanh", np.arctanh, {"low": -0.9, "high": 0.9}),
    ("erf", np.vectorize(math.erf), {}),
    ("sigmoid", lambda x: 1 / (1 + np.exp(-x)), {}),
    ("softplus", lambda x: np.log(1 + np.exp(x)), {}),
    ("relu", lambda x: np.maximum(x, 0), {}),
    ("abs", np.abs, {}),
    ("sign", np.sign, {}),
    ("floor", np.floor, {}),
    ("ceil", np.ceil, {}),
    ("round", np.rint, {}),
    ("trunc", np.trunc, {}),
):
    row(_name, _V, None, _f, **_settings)
row(
    "erf",
    [np.array([-7.0, -3.9, -0.4, 0.0, 0.3, 1.0, 4.1, 9.0])],
    None,
    np.vectorize(math.erf),
    tag="ranges",
)
row("erfinv", [np.array([-0.99, -0.5, 0.1, 0.9])], None, None, gradient=True)
row("scale", _V, {"a": 2.5}, lambda x: x * 2.5)
row("shift", _V, {"a": 2.5}, lambda x: x + 2.5)
row("divide_by", _V, {"a": 3.0}, lambda x: x / 3)
row("divide_into", _V, {"a": 3.0}, lambda x: 3 / x, **_P)
row("power_scalar", _V, {"a": 3}, lambda x: x**3)
row("power_scalar", _V, {"a": -1.5}, lambda x: x**-1.5, tag="fraction", **_P)
row("clip", _V, {"low": -0.5, "high": 1.0}, lambda x: np.clip(x, -0.5, 1))
for _name, _f in (
    ("add", np.add),
    ("subtract", np.subtract),
    ("multiply", np.multiply),
    ("maximum", np.maximum),
    ("minimum", np.minimum),
    ("logaddexp", np.logaddexp),
    ("arctan2", np.arctan2),
    ("divide", np.divide),
    ("mod", np.mod),
):
    row(_name, [(2, 3), (2, 3)], None, _f, **(_P if _name in ("divide", "mod") else {}))
    row(
        _name,
        [(2, 1, 3), (4, 1)],
        None,
        _f,
        tag="broadcast",
        **(_P if _name in ("divide", "mod") else {}),
    )
row("divide_no_nan", [(2, 3), np.array([[1.0, 0.0, 2.0], [0.5, 4.0, 0.0]])], None,
    lambda x, y: np.where(y == 0, 0, x / np.where(y == 0, 1, y)), gradient=False)  # fmt: skip
row("divide_no_nan", [(2, 3), (2, 3)], None, np.divide, tag="smooth", **_P)
row("floor_divide", [(2, 3), (2, 3)], None, np.floor_divide, gradient=False, **_P)
row("power", [(2, 3), (2, 3)], None, np.power, **_P)
row("tanh_grad", [(2, 3), (2, 3)], None, lambda g, y: g * (1 - y * y))
row("sigmoid_grad", [(2, 3), (2, 3)], None, lambda g, y: g * y * (1 - y))
row(
    "relu_grad",
    [(2, 3), np.array([[1.0, -1, 2], [0, 3, -2]])],
    None,
    lambda g, y: g * (y > 0),
    gradient=False,
)
row("where", [_BOOLS, (2, 3), (3,)], None, np.where)
for _name, _f in (
    ("equal", np.equal),
    ("not_equal", np.not_equal),
    ("less", np.less),
    ("less_equal", np.less_equal),
    ("greater", np.greater),
    ("greater_equal", np.greater_equal),
):
    row(_name, [np.array([1.0, 2, 3]), np.array([[1.0], [3.0]])], None, _f, gradient=False)
for _name, _f in (
    ("logical_and", np.logical_and),
    ("logical_or", np.logical_or),
    ("logical_xor", np.logical_xor),
):
    row(_name, [_BOOLS, ~_BOOLS[:1]], None, _f, gradient=False)
row("logical_not", [_BOOLS], None, np.logical_not, gradient=False)
_ODD = np.array([1.0, np.nan, np.inf, -np.inf])
for _name, _f in (("isnan", np.isnan), ("isinf", np.isinf), ("isfinite", np.isfinite)):
    row(_name, [_ODD], None, _f, gradient=False)
for _name, _f in (
    ("bitwise_and", np.bitwise_and),
    ("bitwise_or", np.bitwise_or),
    ("bitwise_xor", np.bitwise_xor),
):
    row(_name, [_INTS, _INTS[:1]], None, _f, gradient=False)
row("bitwise_not", [_INTS], None, np.invert, gradient=False)
row("left_shift", [_INTS, np.array([1, 2, 3], "int32")], None, np.left_shift, gradient=False)
row("right_shift", [_INTS, np.array([1, 2, 3], "int32")], None, np.right_shift, gradient=False)
row("cast", _V, {"dtype": "float64"}, lambda x: x)
row("cast", _V, {"dtype": "int32"}, lambda x: x.astype("int32"), gradient=False, tag="int")

# --- from nothing ---------------------------------------------------------------------------------
row(
    "full",
    [],
    {"shape": (2, 3), "value": 1.5, "dtype": "float32"},
    lambda: np.full((2, 3), 1.5),
    gradient=False,
)
row("zeros", [], {"shape": (2,), "dtype": "float32"}, lambda: np.zeros(2), gradient=False)
row("full_like", _V, {"value": 3}, lambda x: np.full_like(x, 3), gradient=False)
row(
    "arange",
    [],
    {"start": 1, "stop": 6, "step": 2, "dtype": "int32"},
    lambda: np.arange(1, 6, 2),
    gradient=False,
)
row(
    "eye",
    [],
    {"rows": 2, "columns": 3, "k": 1, "dtype": "float32"},
    lambda: np.eye(2, 3, 1),
    gradient=False,
)

# --- shapes ---------------------------------------------------------------------------------------
row("reshape", [(4, 3, 2)], {"shape": (4, -1)}, lambda x: x.reshape(4, -1))
row("reshape", [(4, 3, 2)], {"shape": (12, 2)}, lambda x: x.reshape(12, 2), tag="merged")
row("transpose", [(4, 3, 2)], {"axes": (2, 0, 1)}, lambda x: x.transpose(2, 0, 1))
row("broadcast_to", [(2, 1, 3)], {"shape": (2, 4, 3)}, lambda x: np.broadcast_to(x, (2, 4, 3)))
row("identity", _V, None, lambda x: x)
row("stop_gradient", _V, None, lambda x: x, gradient=False)
row("concatenate", [(2, 3), (2, 1), (2, 2)], {"axis": 1}, lambda *x: np.concatenate(x, 1))
row("concatenate", [(2, 3), (1, 3)], {"axis": 0}, lambda *x: np.concatenate(x, 0), tag="rows")
row("stack", [(2, 3), (2, 3)], {"axis": 1}, lambda *x: np.stack(x, 1))
row("unstack", [(2, 3)], {"axis": 1}, lambda x: [x[:, 0], x[:, 1], x[:, 2]])
row(
    "pad",
    [(2, 3)],
    {"widths": ((0, 0), (1, 2)), "value": 7},
    lambda x: np.pad(x, ((0, 0), (1, 2)), constant_values=7),
)
row("slice", [(4, 5, 3)], {"index": (slice(None), slice(1, None, 2), 0)}, lambda x: x[:, 1::2, 0])
row(
    "slice",
    [(4, 5)],
    {"index": (None, Ellipsis, slice(None, None, -1))},
    lambda x: x[None, ..., ::-1],
    tag="reversed",
)


def _put(g):
    out = np.zeros((4, 5))
    out[:, 1:3] = g
    return out


row("put_slice", [(4, 2)], {"shape": (4, 5), "index": (slice(None), slice(1, 3))}, _put)

# --- reductions -----------------------------------------------------------------------------------
for _name, _f in (
    ("reduce_sum", np.sum),
    ("reduce_max", np.max),
    ("reduce_min", np.min),
    ("reduce_prod", np.prod),
):
    row(_name, [(4, 3, 2)], {"axis": (1,), "keepdims": False}, lambda x, f=_f: f(x, axis=1))
    row(
        _name,
        [(4, 3, 2)],
        {"axis": (0, 2), "keepdims": True},
        lambda x, f=_f: f(x, axis=(0, 2), keepdims=True),
        tag="keepdims",
    )
    row(_name, [(4, 3)], {"axis": None}, lambda x, f=_f: f(x), tag="all", tolerance=1e-5)
row(
    "reduce_prod",
    [np.array([[2.0, 0.0, 3.0], [0.0, 0.0, 1.0]])],
    {"axis": (1,)},
    lambda x: np.prod(x, 1),
    tag="zeros",
)
row("reduce_any", [_BOOLS], {"axis": (1,)}, lambda x: x.any(1), gradient=False)
row("reduce_all", [_BOOLS], {"axis": (1,)}, lambda x: x.all(1), gradient=False)
row("cumsum", [(2, 4)], {"axis": 1}, lambda x: np.cumsum(x, 1))
row(
    "cumsum",
    [(2, 4)],
    {"axis": 1, "reverse": True, "exclusive": True},
    lambda x: np.cumsum(x[:, ::-1], 1)[:, ::-1] - x,
    tag="reverse-exclusive",
    tolerance=1e-5,
)
row("cumprod", [(2, 4)], {"axis": 1}, lambda x: np.cumprod(x, 1))
row(
    "cumprod",
    [np.array([[2.0, 0.0, 3.0, 0.0, 5.0]])],
    {"axis": 1},
    lambda x: np.cumprod(x, 1),
    tag="zeros",
)
row("cumprod", [(3, 2)], {"axis": 0, "reverse": True, "exclusive": True},
    lambda x: np.stack([x[1] * x[2], x[2], np.ones(2)]), tag="reverse-exclusive")  # fmt: skip

# --- products -------------------------------------------------------------------------------------
row("matmul", [(4, 3), (3, 5)], None, np.matmul)
row("matmul", [(2, 4, 3), (2, 3, 5)], None, np.matmul, tag="stacked")
row("matmul", [(2, 1, 4, 3), (5, 3, 2)], None, np.matmul, tag="broadcast")
row(
    "einsum",
    [(2, 3, 4), (2, 4, 5)],
    {"subscripts": "bij,bjk->bik"},
    lambda x, y: np.einsum("bij,bjk->bik", x, y),
)
row(
    "einsum",
    [(2, 3, 4), (3, 5)],
    {"subscripts": "...ij,ik->...jk"},
    lambda x, y: np.einsum("...ij,ik->...jk", x, y),
    tag="ellipsis",
)
row(
    "einsum",
    [(2, 3), (4,)],
    {"subscripts": "ij,k->k"},
    lambda x, y: np.einsum("ij,k->k", x, y),
    tag="summed",
    tolerance=1e-5,
)

# --- indices --------------------------------------------------------------------------------------
_PICK = np.array([[0, 2], [2, 2]], "int32")
row("gather", [(3, 4), _PICK], {"axis": 0}, lambda x, i: np.take(x, i, 0))
row("gather", [(4, 3), _PICK], {"axis": 1}, lambda x, i: np.take(x, i, 1), tag="axis1")


def _scatter(g, i):
    out = np.zeros((3, 4))
    np.add.at(out, i.reshape(-1), g.reshape(-1, 4))
    return out


row("scatter_rows", [(2, 2, 4), _PICK], {"shape": (3, 4), "axis": 0}, _scatter)
row(
    "index",
    [(3, 4), np.array([0, 2, 2], "int32"), np.array([1, 1, 3], "int32")],
    {"layout": ("t", "t")},
    lambda x, i, j: x[i, j],
)
row(
    "index",
    [(3, 4, 2), np.array([0, 2, 2], "int32")],
    {"layout": (slice(None), "t")},
    lambda x, i: x[:, i],
    tag="mixed",
)


def _index_add(g, i, j):
    out = np.zeros((3, 4))
    np.add.at(out, (i, j), g)
    return out


row(
    "index_add",
    [(3,), np.array([0, 2, 2], "int32"), np.array([1, 3, 3], "int32")],
    {"shape": (3, 4), "layout": ("t", "t")},
    _index_add,
)
_ALONG = np.array([[1, 0], [2, 2]], "int32")
row("take_along_axis", [(2, 3), _ALONG], {"axis": 1}, lambda x, i: np.take_along_axis(x, i, 1))


def _put_along(g, i):
    out = np.zeros((2, 3))
    for r in range(2):
        for c in range(2):
            out[r, i[r, c]] += g[r, c]
    return out


row("put_along_axis", [(2, 2), _ALONG], {"shape": (2, 3), "axis": 1}, _put_along)
row("argmax", [(4, 3)], {"axis": 1}, lambda x: np.argmax(x, 1), gradient=False)
row("argmin", [(4, 3)], {"axis": None}, lambda x: np.argmin(x), gradient=False)
row("argsort", [(4, 3)], {"axis": 1}, lambda x: np.argsort(x, 1), gradient=False)
row("sort", [(4, 3)], {"axis": 1}, lambda x: np.sort(x, 1))
row("top_k", [(4, 5)], {"k": 2}, lambda x: [-np.sort(-x, -1)[:, :2], np.argsort(-x, -1)[:, :2]])

# --- steps and normalizations in one --------------------------------------------------------------


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _deviation(x, center):
    moved = x - x.mean(1, keepdims=True) if center else x
    return moved, np.sqrt((moved * moved).mean(1, keepdims=True) + 0.1)


def _standardize_grad(g, x, y, center):
    inner = g - y * (g * y).mean(1, keepdims=True)
    if center:
        inner = inner - g.mean(1, keepdims=True)
    return inner / _deviation(x, center)[1]


for _center in (True, False):
    _settings = {"axis": (1,), "epsilon": 0.1, "center": _center}
    row(
        "standardize",
        [(3, 4)],
        _settings,
        lambda x, c=_center: np.divide(*_deviation(x, c)),
        tag=str(_center),
    )
    row(
        "standardize_grad",
        [(3, 4)] * 3,
        _settings,
        lambda g, x, y, c=_center: _standardize_grad(g, x, y, c),
        tag=str(_center),
    )


def _lstm(z, c):
    i, f, g, o = np.split(z, 4, 1)
    c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
    return [_sigmoid(o) * np.tanh(c), c]


def _gru(x, inner, h):
    (xz, xr, xh), (iz, ir, ih) = np.split(x, 3, 1), np.split(inner, 3, 1)
    z, r = _sigmoid(xz + iz), _sigmoid(xr + ir)
    return z * h + (1 - z) * np.tanh(xh + r * ih)


row("lstm_step", [(3, 8), (3, 2)], None, _lstm)
row("lstm_step_grad", [(3, 2), (3, 2), (3, 8), (3, 2)])
row("gru_step", [(3, 6), (3, 6), (3, 2)], None, _gru)
row("gru_step_grad", [(3, 2), (3, 6), (3, 6), (3, 2)])
