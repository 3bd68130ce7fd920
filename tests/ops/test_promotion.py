"""The dtypes in which operands meet, weak Python numbers, and integers that overflow."""

import numpy as np
import pytest

from distkeras import ops
from distkeras.errors import ArgumentError

# First dtype, second dtype or Python number, the dtype of the sum (Keras 3's lattice).
SUMS = [
    ("float32", "float64", "float64"),
    ("float16", "float32", "float32"),
    ("float16", "bfloat16", "float32"),
    ("bfloat16", "int32", "bfloat16"),
    ("float16", "int64", "float16"),
    ("float32", "uint8", "float32"),
    ("float64", "int8", "float64"),
    ("int8", "uint8", "int16"),
    ("int32", "uint32", "int64"),
    ("int64", "uint64", "float32"),
    ("int8", "int32", "int32"),
    ("bool", "uint8", "uint8"),
    ("bool", "float16", "float16"),
    ("float16", 1, "float16"),
    ("float16", 2.5, "float16"),
    ("float64", 2.5, "float64"),
    ("bfloat16", 2.5, "bfloat16"),
    ("int8", 1, "int8"),
    ("uint8", 2.5, "float32"),
    ("int64", 2.5, "float32"),
    ("bool", 1, "int32"),
    ("bool", 2.5, "float32"),
]


def value(kind):
    return kind if isinstance(kind, int | float) else ops.cast([1, 2], kind)


@pytest.mark.parametrize(("a", "b", "dtype"), SUMS)
@pytest.mark.parametrize("name", ["add", "multiply", "maximum"])
def test_common_dtype(name, a, b, dtype):
    function = getattr(ops, name)
    assert function(value(a), value(b)).dtype == dtype
    assert function(value(b), value(a)).dtype == dtype


@pytest.mark.parametrize("name", ["sqrt", "exp", "sin", "sigmoid", "mean", "var", "softmax"])
def test_double_precision_is_kept(name):
    x = np.linspace(0.1, 0.9, 5)
    y = getattr(ops, name)(ops.convert_to_tensor(x))
    assert y.dtype == "float64"
    references = {
        "sigmoid": lambda v: 1 / (1 + np.exp(-v)),
        "softmax": lambda v: np.exp(v) / np.exp(v).sum(),
    }
    expected = references.get(name, getattr(np, name, None))(x)
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-14)


def test_numbers_beside_doubles_keep_their_digits():
    x = ops.convert_to_tensor(np.array([1.0]))
    assert (x + 0.1).numpy()[0] == 1.1
    assert (x / 3).numpy()[0] == 1 / 3
    assert ops.where(True, x, 0.1).dtype == "float64"


@pytest.mark.parametrize(("x", "dtype"), [(1, "int32"), (1.0, "float32"), (True, "bool")])
def test_python_values(x, dtype):
    assert ops.convert_to_tensor(x).dtype == dtype
    assert ops.convert_to_tensor([x, x]).dtype == dtype


def test_wide_python_integers():
    assert ops.convert_to_tensor(2**40).dtype == "int64"
    assert int(ops.convert_to_tensor(2**40)) == 2**40


@pytest.mark.parametrize(
    ("dtype", "values", "function", "expected"),
    [
        ("uint8", [250, 5], lambda x: x + 10, [4, 15]),
        ("uint8", [250, 5], lambda x: 10 + x, [4, 15]),
        ("uint8", [250, 5], lambda x: x - 10, [240, 251]),
        ("uint8", [250, 5], lambda x: 10 - x, [16, 5]),
        ("uint8", [250, 5], lambda x: x * 3, [238, 15]),
        ("uint8", [1, 2], lambda x: x + 300, [45, 46]),
        ("uint8", [1, 2], lambda x: x + (-1), [0, 1]),
        ("int8", [100, -100], lambda x: x + 100, [-56, 0]),
        ("int8", [100, -100], lambda x: x + 1000, [76, -124]),
        ("int8", [100, -100], lambda x: x + x, [-56, 56]),
        ("int8", [-128, 1], lambda x: -x, [-128, -1]),
        ("int32", [2**31 - 1, 0], lambda x: x + 1, [-(2**31), 1]),
        ("int16", [200, 3], lambda x: x * x, [-25536, 9]),
        ("uint8", [1, 2], ops.negative, [255, 254]),
    ],
)
def test_integers_are_counted_modulo_their_size(dtype, values, function, expected):
    y = function(ops.convert_to_tensor(np.array(values, dtype)))
    assert (y.dtype, y.tolist()) == (dtype, expected)


@pytest.mark.parametrize("name", ["sum", "prod", "cumsum", "matmul"])
def test_small_integers_are_summed_in_wider_ones(name):
    x = ops.convert_to_tensor(np.full((2, 2), 100, "int8"))
    if name == "matmul":
        y = ops.matmul(x, x)
        assert (y.dtype, y.tolist()) == ("int32", [[20000] * 2] * 2)
    elif name == "cumsum":
        assert ops.cumsum(x).dtype == "int8"  # running sums stay, as in Keras
    else:
        y = getattr(ops, name)(x, axis=1)
        expected = {"sum": 200, "prod": 10000}[name]
        assert (y.dtype, y.tolist()) == ("int32", [expected] * 2)


@pytest.mark.parametrize("name", ["maximum", "minimum", "floor_divide", "mod"])
def test_numbers_that_a_dtype_cannot_hold(name):
    with pytest.raises(ArgumentError, match="300 is out of the range of uint8"):
        getattr(ops, name)(ops.convert_to_tensor(np.array([1], "uint8")), 300)


def test_comparisons_with_numbers_that_a_dtype_cannot_hold():
    x = ops.convert_to_tensor(np.array([44, 255], "uint8"))
    assert ops.equal(x, 300).tolist() == [False, False]
    assert (x < 300).tolist() == [True, True]
    assert (x > -1).tolist() == [True, True]
    assert ops.equal(x, 44).tolist() == [True, False]


@pytest.mark.parametrize("dtype", ["int8", "int32", "uint8", "bool", "int64"])
@pytest.mark.parametrize("name", ["divide", "sqrt", "mean", "exp", "log1p"])
def test_integers_become_floats(name, dtype):
    x = ops.cast([1, 1], dtype)
    function = getattr(ops, name)
    assert (function(x, x) if name == "divide" else function(x)).dtype == "float32"


def test_reflected_operators_and_arrays():
    x = ops.convert_to_tensor([1.0, 2.0])
    other = np.array([3.0, 4.0], "float32")
    for y in (other + x, x + other, other * 1.0 + x):
        assert y.tolist() == [4.0, 6.0]
        assert type(y) is type(x)
    assert (2 - x).tolist() == [1.0, 0.0]
    assert (2 / x).tolist() == [2.0, 1.0]
    assert (2**x).tolist() == [2.0, 4.0]
    assert (5 // x).tolist() == [5.0, 2.0]
    assert (5 % x).tolist() == [0.0, 1.0]
    assert (~(x > 1)).tolist() == [True, False]
    assert ((x > 0) & (x > 1)).tolist() == [False, True]
    assert abs(-x).tolist() == round(x).tolist() == (+x).tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda: ops.divide(1.0, 0.0), np.inf),
        (lambda: ops.log(0.0), -np.inf),
        (lambda: ops.sqrt(-1.0), np.nan),
        (lambda: ops.divide_no_nan(1.0, 0.0), 0.0),
        (lambda: ops.exp(1000.0), np.inf),
        (lambda: ops.mean(ops.zeros((0,))), np.nan),
        (lambda: ops.sum(ops.zeros((0, 3))), 0.0),
        (lambda: ops.max(ops.zeros((0,)), initial=-3.0), -3.0),
        (lambda: ops.logsumexp([-np.inf, -np.inf]), -np.inf),
        (lambda: ops.median([1.0, np.nan, 2.0]), np.nan),
    ],
)
@pytest.mark.filterwarnings("error")
def test_ends_of_the_number_line(function, expected):
    np.testing.assert_equal(float(function()), expected)
