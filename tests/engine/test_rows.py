"""Batch axes that were merged or concatenated, and what is made in their size."""

from contextlib import contextmanager

import numpy as np
import pytest

import distkeras as keras
from distkeras import ops
from distkeras.engine import context
from distkeras.engine.batch import MIXED
from distkeras.engine.rows import Rows, axis_in, form_of, pieces


@contextmanager
def step(offset, rows, everywhere):
    """A step in which this rank has some rows of the batch."""
    with context.changed(sample_offset=offset, rows=(rows, everywhere), track_batch=True):
        yield


def batch(*shape):
    t = ops.ones(shape)
    t.batch = 0
    return t


def mark(t):
    return (
        t.batch
        if t.batch is None or isinstance(t.batch, str)
        else (int(t.batch), *form_of(t.batch))
    )


# what is done to a tensor (rows, 3, 4) -> (batch axis, rows of a sample, whole batches)
FORMS = [
    ("as it is", lambda x: x, (0, 1, 1)),
    ("merged", lambda x: ops.reshape(x, (-1, 4)), (0, 3, 1)),
    ("merged by its size", lambda x: ops.reshape(x, (x.shape[0] * 3, 4)), (0, 3, 1)),
    ("taken apart", lambda x: ops.reshape(ops.reshape(x, (-1, 4)), (-1, 3, 4)), (0, 1, 1)),
    ("flat", lambda x: ops.reshape(x, (-1, 12)), (0, 1, 1)),
    ("an axis before", lambda x: ops.reshape(x, (1, x.shape[0], 12)), (1, 1, 1)),
    ("twice", lambda x: ops.concatenate([x, x * 2], axis=0), (0, 1, 2)),
    ("thrice", lambda x: ops.concatenate([x, ops.concatenate([x, x], axis=0)], axis=0), (0, 1, 3)),
    ("twice, merged", lambda x: ops.reshape(ops.concatenate([x, x], 0), (-1, 4)), (0, 3, 2)),
    ("twice, summed", lambda x: ops.sum(ops.concatenate([x, x], 0) + 1, axis=2), (0, 1, 2)),
    ("joined behind", lambda x: ops.concatenate([x, x], axis=2), (0, 1, 1)),
    ("ones of its size", lambda x: ops.ones((ops.shape(x)[0], 2)), (0, 1, 1)),
    ("zeros of its shape", lambda x: ops.zeros(x.shape), (0, 1, 1)),
    ("noise of its size", lambda x: keras.random.normal((2, x.shape[0]), seed=1), (1, 1, 1)),
    ("broadcast", lambda x: ops.broadcast_to(ops.ones((1, 2)), (x.shape[0], 2)), (0, 1, 1)),
    ("a size of its own", lambda x: ops.ones((5, 2)), None),
    ("rows with rows", lambda x: ops.concatenate([x, ops.reshape(x, (-1, 3, 4))[:2]], 0), MIXED),
]


@pytest.mark.parametrize("rows", [4, 1, 0])
@pytest.mark.parametrize("name, change, expected", FORMS, ids=[f[0] for f in FORMS])
def test_batch_axes_are_known_whatever_a_rank_has(name, change, expected, rows):
    with step(3, rows, 9):
        assert mark(change(batch(rows, 3, 4))) == expected


DRAWS = [
    ("normal", lambda x: keras.random.normal((x.shape[0], 3), seed=1)),
    ("uniform", lambda x: keras.random.uniform(ops.shape(x), seed=2)),
    ("integers", lambda x: keras.random.randint((x.shape[0],), 0, 99, seed=3)),
    ("second axis", lambda x: keras.random.normal((2, x.shape[0]), seed=4)),
    ("gamma", lambda x: keras.random.gamma((x.shape[0], 2), 2.0, seed=5)),
    ("beta", lambda x: keras.random.beta((x.shape[0],), 2.0, 3.0, seed=6)),
    ("merged", lambda x: keras.random.normal((x.shape[0] * 2,), seed=7)),
    ("dropout", lambda x: keras.random.dropout(x, 0.5, seed=8)),
    ("dropout, merged", lambda x: keras.random.dropout(ops.reshape(x, (-1, 2)), 0.5, seed=9)),
    ("categorical", lambda x: keras.random.categorical(ops.reshape(x, (-1, 4)), 2, seed=10)),
]


@pytest.mark.parametrize("name, draw", DRAWS, ids=[d[0] for d in DRAWS])
def test_draws_of_ranks_are_rows_of_the_whole_draw(name, draw):
    whole = draw(ops.ones((7, 4))).numpy()
    axis = 1 if name == "second axis" else 0
    parts = []
    for offset, rows in ((0, 2), (2, 0), (2, 5)):
        with step(offset, rows, 7):
            parts.append(draw(batch(rows, 4)).numpy())
    np.testing.assert_array_equal(np.concatenate(parts, axis), whole)


@pytest.mark.parametrize(
    "draw",
    [
        lambda x: keras.random.uniform(ops.shape(x), seed=1),
        lambda x: keras.random.normal(x.shape, seed=1, batch_axis=0),
        lambda x: keras.random.dropout(x, 0.5, seed=1),
        lambda x: keras.random.categorical(x, 3, seed=1),
    ],
)
def test_draws_for_batches_one_after_another(draw):
    def both(x):
        return draw(ops.concatenate([x, x], axis=0)).numpy()

    whole = both(ops.ones((7, 4))).reshape(2, 7, -1)
    parts = []
    for offset, rows in ((0, 3), (3, 4)):
        with step(offset, rows, 7):
            parts.append(both(batch(rows, 4)).reshape(2, rows, -1))
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)


def test_numbers_of_rows():
    with step(2, 4, 9):
        rows = ops.shape(batch(4, 3))[0]
        assert (rows, type(rows)) == (4, Rows)
        assert float(ops.ones(()) * rows) == 9.0  # among tensors it counts the rows of all ranks
        assert float(ops.cast(rows, "float32")) == 9.0
        assert float(ops.ones(()) * (rows + rows)) == 18.0
        assert ops.arange(rows).tolist() == [2, 3, 4, 5]  # places in the global batch
        assert ops.arange(rows + 1).tolist() == list(range(10))  # of all rows, on every rank
        assert ops.eye(rows).shape == ops.zeros((rows, rows)).shape == (9, 9)
        assert float(ops.ones(()) * (1 / rows)) == pytest.approx(1 / 9)
        assert float(ops.ones(()) * (rows * (rows - 1) // 2)) == 36.0
        assert 1 / rows == 0.25  # as a plain number it is this rank's
        assert list(range(rows)) == [0, 1, 2, 3]
        assert pieces(8, parts=2) == [(2, 4), (11, 4)]
        assert pieces(12, each=3) == [(6, 12)]
    assert float(ops.ones(()) * rows) == 4.0
    assert type(rows - 1) is int
    assert axis_in((rows, rows)) is None
    assert type(ops.ones((4, 3)).shape[0]) is int
