"""Cross-entropy primitives: values, first and second derivatives, labels out of range."""

import numpy as np
import pytest

from distkeras.engine import primitives as P
from distkeras.engine.abstract import Spec, infer
from distkeras.engine.context import changed
from distkeras.engine.tape import GradientTape
from distkeras.engine.tensor import Tensor
from distkeras.errors import ArgumentError, ShapeError

SHAPE = (4, 5, 3)
LIMITS = {"low": 0.1, "high": 0.6}  # narrow, so that clipping takes part


def log_softmax(x, axis):
    x = x - x.max(axis=axis, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=axis, keepdims=True))


def log_clipped(p, axis):
    return np.log(np.clip(p / p.sum(axis=axis, keepdims=True), LIMITS["low"], LIMITS["high"]))


def one_hot(labels, axis):
    return np.moveaxis(np.eye(SHAPE[axis])[labels], -1, axis)


# primitive: (function of targets as a distribution, whether targets are labels, parameters)
CASES = {
    "softmax_cross_entropy": (log_softmax, False, {}),
    "sparse_softmax_cross_entropy": (log_softmax, True, {}),
    "probability_cross_entropy": (log_clipped, False, LIMITS),
    "sparse_probability_cross_entropy": (log_clipped, True, LIMITS),
}
BINARY = {
    "sigmoid_cross_entropy": lambda t, x: np.log1p(np.exp(x)) - t * x,
    "binary_cross_entropy": lambda t, p: -(t * np.log(p) + (1 - t) * np.log(1 - p)),
}


def first(outputs):
    return outputs[0] if isinstance(outputs, tuple) else outputs


def numeric(function, x, step=1e-6):
    gradient = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[index] += step
        down[index] -= step
        gradient[index] = (function(up) - function(down)) / (2 * step)
    return gradient


def check_derivatives(prim, params, target, x, differentiable):
    """First derivatives, and those of a random combination of them, by finite differences."""
    rng = np.random.default_rng(0)
    weight = rng.normal(size=first(prim(Tensor(target), Tensor(x), **params)).shape)
    direction = rng.normal(size=x.shape)

    def value(t, y):
        return float((first(prim(Tensor(t), Tensor(y), **params)).numpy() * weight).sum())

    def derivatives(t, y):
        sources = [Tensor(t), Tensor(y)]
        with GradientTape() as outer:
            outer.watch(sources)
            with GradientTape() as tape:
                tape.watch(sources)
                loss = P.reduce_sum(P.multiply(first(prim(*sources, **params)), Tensor(weight)))
            gradients = tape.gradient(loss, sources)
            combined = P.reduce_sum(P.multiply(gradients[1], Tensor(direction)))
        return gradients, outer.gradient(combined, sources), float(combined)

    gradients, second, _ = derivatives(target, x)
    close = {"rtol": 1e-5, "atol": 1e-6}
    np.testing.assert_allclose(gradients[1], numeric(lambda y: value(target, y), x), **close)
    np.testing.assert_allclose(second[1], numeric(lambda y: derivatives(target, y)[2], x), **close)
    if differentiable:
        np.testing.assert_allclose(gradients[0], numeric(lambda t: value(t, x), target), **close)
        np.testing.assert_allclose(
            second[0], numeric(lambda t: derivatives(t, x)[2], target), **close
        )
    else:
        assert gradients[0] is None


@pytest.mark.parametrize("axis", [-1, 1, 0])
@pytest.mark.parametrize("name", CASES)
def test_value_and_derivatives(name, axis):
    log_of, sparse, limits = CASES[name]
    rng = np.random.default_rng(1)
    x = rng.normal(size=SHAPE) if log_of is log_softmax else rng.uniform(0.05, 1, SHAPE)
    rows = tuple(d for i, d in enumerate(SHAPE) if i != axis % 3)
    target = rng.integers(0, SHAPE[axis], rows) if sparse else rng.uniform(0, 1, SHAPE)
    params = {"axis": axis, **limits}
    prim = getattr(P, name)
    found = first(prim(Tensor(target), Tensor(x), **params)).numpy()
    distribution = one_hot(target, axis) if sparse else target
    expected = -(distribution * log_of(x, axis)).sum(axis=axis)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    check_derivatives(prim, params, target, x, differentiable=not sparse)


@pytest.mark.parametrize("name", BINARY)
def test_binary_value_and_derivatives(name):
    rng = np.random.default_rng(2)
    target, x = rng.uniform(size=(4, 3)), rng.uniform(0.1, 0.9, (4, 3))
    found = getattr(P, name)(Tensor(target), Tensor(x)).numpy()
    np.testing.assert_allclose(found, BINARY[name](target, x), rtol=1e-12)
    check_derivatives(getattr(P, name), {}, target, x, differentiable=True)


@pytest.mark.parametrize("name", ["softmax_cross_entropy", "sparse_softmax_cross_entropy"])
def test_huge_logits_stay_finite(name):
    x = np.array([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4]], "float32")
    target = np.array([1, 2]) if "sparse" in name else np.eye(3, dtype="float32")[[1, 2]]
    loss = first(getattr(P, name)(Tensor(target), Tensor(x), axis=-1)).numpy()
    np.testing.assert_allclose(loss, [2e4, np.log(3.0)], rtol=1e-6)


@pytest.mark.parametrize("wrong", [3, -1, np.iinfo("int32").min])
@pytest.mark.parametrize(
    "name", ["sparse_softmax_cross_entropy", "sparse_probability_cross_entropy"]
)
def test_a_label_out_of_range_is_an_error(name, wrong):
    params = {"axis": -1, **(LIMITS if "probability" in name else {})}
    labels = np.array([0, wrong], "int32")
    with pytest.raises(ArgumentError, match=f"label {wrong}.*from 0 to 2"):
        getattr(P, name)(Tensor(labels), Tensor(np.ones((2, 3), "float32")), **params)


@pytest.mark.parametrize("name", CASES)
def test_no_rows(name):
    _, sparse, limits = CASES[name]
    target = np.zeros((0,), "int32") if sparse else np.zeros((0, 3), "float32")
    source = Tensor(np.zeros((0, 3), "float32"))
    with GradientTape() as tape:
        tape.watch(source)
        loss = first(getattr(P, name)(Tensor(target), source, axis=-1, **limits))
    assert loss.shape == (0,)
    assert tape.gradient(loss, source).shape == (0, 3)


def test_half_precision_is_summed_in_single():
    x = np.full((1, 4096), 1.0, "float16")
    loss = P.sparse_softmax_cross_entropy(Tensor(np.array([0])), Tensor(x), axis=-1)[0]
    assert loss.dtype == "float16"
    assert float(loss.numpy()[0]) == pytest.approx(np.log(4096), rel=1e-3)


def test_shapes_and_batch_axis():
    spec = infer(
        lambda t, x: P.sparse_softmax_cross_entropy(t, x, axis=-1)[0],
        Spec((None, 4), "int32"),
        Spec((None, 4, 7), "float32"),
    )
    assert spec == Spec((None, 4), "float32")
    with pytest.raises(ShapeError, match="without the class axis"):
        P.sparse_softmax_cross_entropy(
            Tensor(np.zeros((3, 1), "int32")), Tensor(np.zeros((2, 7))), axis=-1
        )
    labels, x = Tensor(np.zeros(2, "int32")), Tensor(np.zeros((2, 7)))
    labels.batch = x.batch = 0
    with changed(track_batch=True), GradientTape() as tape:
        tape.watch(x)
        loss = P.sparse_softmax_cross_entropy(labels, x, axis=-1)[0]
        assert loss.batch == 0
        assert tape.gradient(loss, x).batch == 0
