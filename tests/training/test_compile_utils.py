"""What `compile` was given, beside outputs of every form. Logs are compared in tests/reference."""

import numpy as np
import pytest

from distkeras import losses, metrics, ops
from distkeras.engine.context import changed
from distkeras.engine.tape import GradientTape
from distkeras.errors import ArgumentError, NotBuiltError
from distkeras.training.compile_utils import CompileLoss, CompileMetrics
from distkeras.training.structures import align, describe
from distkeras.utils import tree
from support.numeric import on_ranks

RNG = np.random.default_rng(11)
ROWS = 6
Y1, P1 = (RNG.normal(size=(ROWS, 2)).astype("float32") for _ in range(2))
Y2, P2 = np.eye(3, dtype="float32")[[0, 1, 2, 2, 1, 0]], RNG.dirichlet(np.ones(3), ROWS)
P2 = P2.astype("float32")
WEIGHT, OTHER = (RNG.uniform(0, 2, ROWS).astype("float32") for _ in range(2))
MSE1 = ((Y1 - P1) ** 2).mean()
MAE2 = np.abs(Y2 - P2).mean()
MSE2 = ((Y2 - P2) ** 2).mean()


def tensors(structure):
    if structure is None:
        return None
    return tree.map_structure(lambda x: None if x is None else ops.convert_to_tensor(x), structure)


LISTS = ([Y1, Y2], [P1, P2])
DICTS = ({"u": Y1, "v": Y2}, {"u": P1, "v": P2})
NESTED = ({"u": [Y1, Y1], "v": Y2}, {"u": (P1, P1), "v": P2})
EACH = {"a_loss": MSE1, "b_loss": MAE2}
SQUARES = {"a_loss": MSE1, "b_loss": MSE2}
# name: (y_true, y_pred, loss, weights, names, the total, the outputs' losses)
LOSSES = {
    "one": (Y1, P1, "mse", None, None, MSE1, {}),
    "one, in lists": ([Y1], [P1], ["mse"], [2.0], ["a"], 2 * MSE1, {}),
    "one, by name": (Y1, P1, {"a": "mse"}, {"a": 0.5}, ["a"], MSE1 / 2, {}),
    "one, as a class": (Y1, P1, losses.MeanSquaredError, 3, ["a"], 3 * MSE1, {}),
    "one loss for all": (*LISTS, "mse", None, ["a", "b"], MSE1 + MSE2, SQUARES),
    "one weight for all": (*LISTS, "mse", 0.5, ["a", "b"], (MSE1 + MSE2) / 2, SQUARES),
    "lists": (*LISTS, ["mse", "mae"], [2.0, 0.5], ["a", "b"], 2 * MSE1 + MAE2 / 2, EACH),
    "tuples": ((Y1, Y2), (P1, P2), ("mse", "mae"), None, ["a", "b"], MSE1 + MAE2, EACH),
    "by names of layers": (
        *LISTS, {"b": "mae", "a": "mse"}, {"a": 2.0, "b": 0.5}, ["a", "b"],
        2 * MSE1 + MAE2 / 2, EACH,
    ),
    "targets by names": (
        {"b": Y2, "a": Y1}, [P1, P2], ["mse", "mae"], None, ["a", "b"], MSE1 + MAE2, EACH,
    ),
    "dicts": (
        *DICTS, {"v": "mae", "u": "mse"}, {"u": 1.0, "v": 3.0}, ["a", "b"], MSE1 + 3 * MAE2,
        {"v_loss": MAE2, "u_loss": MSE1},
    ),
    "dicts, a list of losses": (
        *DICTS, ["mse", "mae"], None, None, MSE1 + MAE2, {"u_loss": MSE1, "v_loss": MAE2},
    ),
    "dicts, one without": (*DICTS, {"v": "mae"}, None, None, MAE2, {}),
    "lists, one without": (*LISTS, [None, "mae"], None, ["a", "b"], MAE2, {}),
    "one target for the one loss": (Y2, [P1, P2], [None, "mae"], None, ["a", "b"], MAE2, {}),
    "nested": (
        *NESTED, {"u": ["mse", None], "v": "mae"}, None, ["a", "b", "c"], MSE1 + MAE2,
        {"u/a_loss": MSE1, "v_loss": MAE2},
    ),
    "without names": (
        *LISTS, ["mse", "mae"], None, None, MSE1 + MAE2, {"mse_loss": MSE1, "mae_loss": MAE2},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name):
    y_true, y_pred, loss, weights, names, total, each = LOSSES[name]
    compiled = CompileLoss(loss, weights, output_names=names)
    assert compiled.metrics == []
    for _ in range(2):
        found = compiled(tensors(y_true), tensors(y_pred))
        assert float(found) == pytest.approx(total, rel=1e-5)
    assert [m.name for m in compiled.metrics] == list(each)
    assert [float(m.result()) for m in compiled.metrics] == pytest.approx(
        list(each.values()), rel=1e-5
    )
    assert len(compiled.variables) == 2 * len(each)


@pytest.mark.parametrize(
    "weight, w1, w2",
    [
        (WEIGHT, WEIGHT, WEIGHT),
        ([WEIGHT, OTHER], WEIGHT, OTHER),
        ({"b": OTHER}, np.ones(ROWS), OTHER),
    ],
    ids=["one for all", "each its own", "by name"],
)
def test_sample_weights(weight, w1, w2):
    compiled = CompileLoss(["mse", "mae"], output_names=["a", "b"])
    expected = (((Y1 - P1) ** 2).mean(1) * w1).mean() + (np.abs(Y2 - P2).mean(1) * w2).mean()
    found = compiled(*(tensors(s) for s in LISTS), tensors(weight))
    assert float(found) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "y, p, cls",
    [
        (np.ones((4, 1)), np.full((4, 1), 0.5), "binary_crossentropy"),
        (np.ones(4, "int32"), np.full((4, 3), 0.3), "sparse_categorical_crossentropy"),
        (np.ones((4, 1), "int32"), np.full((4, 3), 0.3), "sparse_categorical_crossentropy"),
        (np.eye(4)[:, :3], np.full((4, 3), 0.3), "categorical_crossentropy"),
    ],
)
def test_crossentropy_and_accuracy_by_shape(y, p, cls):
    y, p = tensors(y), tensors(p)
    expected = ops.mean(getattr(losses, cls)(y, p))
    assert float(CompileLoss("crossentropy")(y, p)) == pytest.approx(float(expected), rel=1e-5)
    compiled = CompileMetrics(["accuracy", "acc"], None)
    compiled.update_state(y, p)
    kind = cls.removesuffix("crossentropy").title().replace("_", "") + "Accuracy"
    assert [type(m).__name__ for m in compiled.metrics] == [kind, kind]
    assert list(compiled.result()) == ["accuracy", "acc"]


def test_every_tracker_counts_samples():
    """The mean over batches of different sizes is the mean over samples."""
    compiled = CompileLoss("mse", output_names=["a", "b"])
    for rows in (slice(0, 4), slice(4, None)):
        compiled(*(tensors([a[rows] for a in s]) for s in LISTS))
    assert float(compiled.metrics[0].result()) == pytest.approx(MSE1, rel=1e-5)


def test_on_ranks_parts_add_up():
    """Losses, their gradients and the trackers' states, on two ranks of which one has one row."""

    def run(rows):
        compiled = CompileLoss(["mse", "mae"], [2.0, 0.5], output_names=["a", "b"])
        y, p, w = ([a[rows] for a in s] for s in (*LISTS, [WEIGHT, OTHER]))
        y, p, w = tensors(y), tensors(p), tensors(w)
        with changed(rows=(rows.stop - rows.start, ROWS)), GradientTape() as tape:
            tape.watch(p)
            value = compiled(y, p, w)
        gradients = [np.asarray(g) for g in tape.gradient(value, p)]
        return float(value), gradients, [v.numpy() for v in compiled.variables]

    value, gradients, state = run(slice(0, ROWS))
    parts = on_ranks(run, [slice(0, 5), slice(5, ROWS)])
    assert sum(part[0] for part in parts) == pytest.approx(value, rel=1e-6)
    for i in range(2):
        joined = np.concatenate([part[1][i] for part in parts])
        np.testing.assert_allclose(joined, gradients[i], rtol=1e-6)
    for i, whole in enumerate(state):
        np.testing.assert_allclose(sum(part[2][i] for part in parts), whole, rtol=1e-6)


# --- metrics ---


def absolute_error(y_true, y_pred):
    return ops.mean(ops.absolute(y_true - y_pred), axis=-1)


# name: (y_true, y_pred, metrics, weighted metrics, names, names of results)
METRICS = {
    "one": (Y1, P1, ["mae", absolute_error], ["mse"], ["a"], "mae absolute_error mse"),
    "twice": (
        Y1, P1, ["mae", "mae"], ["mae", "mae"], None, "mae mae_1 weighted_mae weighted_mae_1",
    ),
    "lists": (*LISTS, [["mae"], "accuracy"], [None, ["mse"]], ["a", "b"], "a_mae b_accuracy b_mse"),
    "by names": (*LISTS, {"b": "mae"}, {"a": ["mse"]}, ["a", "b"], "b_mae a_mse"),
    "twice, with names": (*LISTS, {"b": "mae"}, {"b": "mae"}, ["a", "b"], "b_mae b_weighted_mae"),
    "dicts": (*DICTS, {"v": ["mae", "mse"]}, None, ["a", "b"], "v_mae v_mse"),
    "nested": (
        *NESTED, {"u": ["mae", ["mse"]], "v": "mse"}, None, ["a", "b", "c"], "a_mae b_mse c_mse",
    ),
    "objects": (Y1, P1, [metrics.MeanAbsoluteError(name="far")], None, None, "far"),
}  # fmt: skip


@pytest.mark.parametrize("name", METRICS)
def test_metrics(name):
    y_true, y_pred, plain, weighted, names, results = METRICS[name]
    compiled = CompileMetrics(plain, weighted, output_names=names)
    assert (compiled.name, compiled.metrics, compiled.variables) == ("compile_metrics", [], [])
    with pytest.raises(NotBuiltError, match="not yet been built"):
        compiled.result()
    compiled.reset_state()
    compiled.update_state(tensors(y_true), tensors(y_pred), tensors(WEIGHT))
    found = compiled.result()
    assert list(found) == results.split()
    assert len(compiled.variables) == 2 * len(compiled.metrics) == 2 * len(found)
    compiled.reset_state()
    assert not any(float(v) for v in compiled.result().values())


def test_only_weighted_metrics_heed_weights():
    compiled = CompileMetrics([["mae"], ["mae"]], [["mae"], ["mae"]], output_names=["a", "b"])
    compiled.update_state(*(tensors(s) for s in LISTS), tensors([WEIGHT, OTHER]))
    found = {k: float(v) for k, v in compiled.result().items()}
    plain = [np.abs(y - p).mean(1) for y, p in zip(*LISTS, strict=True)]
    assert found == pytest.approx(
        {
            "a_mae": plain[0].mean(),
            "b_mae": plain[1].mean(),
            "a_weighted_mae": (plain[0] * WEIGHT).sum() / WEIGHT.sum(),
            "b_weighted_mae": (plain[1] * OTHER).sum() / OTHER.sum(),
        },
        rel=1e-5,
    )


# --- errors and structures ---


@pytest.mark.parametrize(
    "loss, weights, names, said",
    [
        ({"a": "mse", "q": "mse"}, None, ["a", "b"], r"Expected keys \['a', 'b'\].*\['a', 'q'\]"),
        (["mse", "mse"], [1.0], ["a", "b"], "got 2 losses and 1 weights"),
        (["mse", "mse"], 1.0, ["a", "b"], "number of losses"),
        (["mse", "mse", "mse"], None, ["a", "b"], r"`loss`: \[\*, \*, \*\]"),
        ({"x": "mse"}, None, None, "different structures"),
    ],
)
def test_losses_that_do_not_fit(loss, weights, names, said):
    with pytest.raises(ArgumentError, match=said):
        CompileLoss(loss, weights, output_names=names)(*(tensors(s) for s in LISTS))


def test_targets_that_do_not_fit():
    with pytest.raises(ArgumentError, match=r"y_true: \[\*\]\noutputs: \[\*, \*\], named"):
        CompileLoss("mse", output_names=["a", "b"])(tensors([Y1]), tensors([P1, P2]))
    with pytest.raises(ArgumentError, match="The output 'v' has a loss, but no target"):
        CompileLoss("mse")(tensors({"u": Y1}), tensors({"u": P1, "v": P2}))
    with pytest.raises(ArgumentError, match="The output v has metrics, but no target"):
        CompileMetrics({"v": "mse"}, None).update_state(
            tensors({"u": Y1}), tensors({"u": P1, "v": P2})
        )


@pytest.mark.parametrize("given", [["mae"], {"q": "mae"}, [["mae"], ["mae"], ["mae"]]])
def test_metrics_that_do_not_fit(given):
    compiled = CompileMetrics(given, None, output_names=["a", "b"])
    with pytest.raises(ArgumentError, match=r"Invalid `metrics`.*\['a', 'b'\]"):
        compiled.update_state(*(tensors(s) for s in LISTS))


def test_arguments_of_the_wrong_kind():
    with pytest.raises(ArgumentError, match="Expected `metrics` argument"):
        CompileMetrics("mae", None)
    with pytest.raises(ArgumentError, match="Expected `weighted_metrics` argument"):
        CompileMetrics(None, "mae")
    with pytest.raises(ArgumentError, match="`loss_weights` argument"):
        CompileLoss("mse", "1")
    with pytest.raises(ArgumentError, match="Expected metric, received `None`"):
        CompileMetrics([None], None).update_state(tensors(Y1), tensors(P1))


def test_align_and_describe():
    outputs = {"b": [0, 0], "a": 0}
    assert align({"a": 1, "b": (2, 3)}, outputs, None, "y") == [1, 2, 3]
    assert align({"b": [2, 3]}, outputs, None, "y") == [None, 2, 3]
    assert align([1, 2, 3], outputs, None, "y") == [1, 2, 3]
    assert align({"m": 1, "o": 3}, outputs, ["m", "n", "o"], "y") == [1, None, 3]
    assert align([5], 0, None, "y") == [5]
    with pytest.raises(ArgumentError, match="different structures"):
        align([1, 2], outputs, None, "y")
    assert describe({"a": (1, None)}) == "{'a': [*, None]}"
