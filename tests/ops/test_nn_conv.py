"""What `ops` adds to the primitives: names of paddings, layouts, groups, argument forms, errors."""

import itertools

import numpy as np
import pytest

from distkeras import ops
from distkeras.errors import ArgumentError, ShapeError
from distkeras.ops.symbolic import KerasTensor


def draw(*shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype("float32")


def first(x):
    return np.moveaxis(x, -1, 1)


# (function, inputs, other arguments, shape of the result)
CALLS = [
    (ops.conv, draw(2, 7, 4), (draw(3, 4, 6), 2, "same"), (2, 4, 6)),
    (ops.conv, draw(2, 7, 4), (draw(3, 2, 6), 1, "causal", None, 2), (2, 7, 6)),
    (ops.conv, draw(2, 7, 6, 4), (draw(3, 2, 4, 5), (2, 1), "VALID"), (2, 3, 5, 5)),
    (ops.conv, draw(2, 3, 4, 5, 2), (draw(2, 2, 2, 2, 3),), (2, 2, 3, 4, 3)),
    (ops.depthwise_conv, draw(2, 7, 6, 3), (draw(3, 3, 3, 2), 1, "same"), (2, 7, 6, 6)),
    (
        ops.separable_conv,
        draw(2, 7, 3),
        (draw(3, 3, 2), draw(1, 6, 4), 2, "same"),
        (2, 4, 4),
    ),
    (ops.conv_transpose, draw(2, 4, 3), (draw(3, 5, 3), 2, "same"), (2, 8, 5)),
    (ops.conv_transpose, draw(2, 4, 5, 3), (draw(3, 2, 5, 3), 3, "valid"), (2, 12, 15, 5)),
    (ops.conv_transpose, draw(2, 4, 3), (draw(3, 5, 3), 2, "same", 1), (2, 8, 5)),
    (ops.max_pool, draw(2, 7, 6, 3), (2, None, "same"), (2, 4, 3, 3)),
    (ops.average_pool, draw(2, 7, 6, 3), ((3, 2), 1, "same"), (2, 7, 6, 3)),
]


@pytest.mark.parametrize("function,x,rest,shape", CALLS, ids=lambda v: getattr(v, "__name__", None))
def test_layouts_and_graphs(function, x, rest, shape):
    """Both layouts hold the same numbers, and a graph knows their shapes, also for open sizes."""
    y = function(x, *rest)
    assert y.shape == shape
    turned = function(first(x), *rest, data_format="channels_first") if len(rest) < 4 else None
    if turned is not None:
        np.testing.assert_allclose(first(y.numpy()), turned.numpy(), rtol=1e-5, atol=1e-5)
    assert function(KerasTensor((None, *x.shape[1:])), *rest).shape == (None, *shape[1:])
    spatial = (None,) * (x.ndim - 2)
    assert function(KerasTensor((2, *spatial, x.shape[-1])), *rest).shape == (
        2,
        *spatial,
        shape[-1],
    )


def test_a_transposed_convolution_is_the_transpose():
    """Where the sizes fit, <conv(x), y> = <x, conv_transpose(y)>, for every padding and stride."""
    for n, k, s, padding in itertools.product((6, 12), (1, 2, 3, 4), (1, 2, 3), ("valid", "same")):
        x, w = draw(2, n, 3), draw(k, 3, 5)
        y = ops.conv(x, w, s, padding)
        v = draw(*y.shape)
        back = ops.conv_transpose(v, w, s, padding).numpy()
        # With "valid" the last inputs that no window reaches are missing in the transpose.
        m = min(n, back.shape[1])
        np.testing.assert_allclose(
            (y.numpy() * v).sum(), (x[:, :m] * back[:, :m]).sum(), rtol=1e-3, atol=1e-3
        )


def test_dtypes():
    """Inputs and kernel meet at their common dtype; means of integers are floats."""
    x, w = draw(1, 5, 2), draw(2, 2, 3)
    assert ops.conv(x.astype("float16"), w).dtype == "float32"
    assert ops.conv(x.astype("float16"), w.astype("float16")).dtype == "float16"
    assert ops.conv(x.astype("float64"), w).dtype == "float64"
    whole = np.arange(6).reshape(1, 6, 1)
    assert ops.average_pool(whole, 4).numpy().item() == 1.5
    assert ops.max_pool(whole.astype("uint8"), 4).dtype == "uint8"


@pytest.mark.parametrize(
    "call,kind,match",
    [
        (lambda: ops.conv(draw(2, 5, 3), draw(2, 2, 4)), ShapeError, "multiple"),
        (lambda: ops.conv(draw(2, 5, 3), draw(2, 2, 3, 4)), ShapeError, "4 axes|3 axes"),
        (lambda: ops.conv(draw(5, 3), draw(2, 3, 4)), ShapeError, "batch axis"),
        (lambda: ops.conv(draw(2, 5, 3), draw(2, 3, 4), 0), ArgumentError, "strides"),
        (lambda: ops.conv(draw(2, 5, 3), draw(2, 3, 4), (1, 1)), ArgumentError, "strides"),
        (lambda: ops.conv(draw(2, 5, 3), draw(2, 3, 4), 1, "full"), ArgumentError, "full"),
        (
            lambda: ops.conv(draw(2, 5, 5, 3), draw(2, 2, 3, 4), 1, "causal"),
            ArgumentError,
            "causal",
        ),
        (lambda: ops.conv(draw(2, 5, 4), draw(2, 2, 3)), ShapeError, "groups"),
        (lambda: ops.depthwise_conv(draw(2, 5, 3), draw(2, 4, 1)), ShapeError, "4 channels"),
        (lambda: ops.conv_transpose(draw(2, 5, 3), draw(2, 4, 2)), ShapeError, "2 channels"),
        (
            lambda: ops.conv_transpose(draw(2, 5, 3), draw(2, 4, 3), 2, "same", 2),
            ArgumentError,
            "output_padding",
        ),
        (lambda: ops.max_pool(draw(2, 5, 3), 6), ShapeError, "does not fit"),
        (lambda: ops.max_pool(draw(2, 5, 3), 2, padding="causal"), ArgumentError, "causal"),
    ],
)
def test_errors(call, kind, match):
    with pytest.raises(kind, match=match):
        call()
