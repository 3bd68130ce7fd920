"""`auto_shard_dataset=False`: each rank is given its own part of the data."""

import numpy as np
import pytest

import distkeras as keras
from distkeras import distribution
from distkeras.distribution.settings import DataParallel, set_distribution
from distkeras.errors import ArgumentError, DataError
from exactness.common import dense, differences, numbers, outcome, run, single_process, target

LENGTHS = {2: (5, 8), 3: (3, 8, 2)}  # rows of each rank's part
TAKEN = {2: (2, 2), 3: (1, 1, 2)}  # of which so many in a step, of a global batch of 4


@pytest.fixture(autouse=True)
def own_parts():
    """Every test here runs on the world that its process was started in."""
    distribution.initialize()
    set_distribution(DataParallel(auto_shard_dataset=False))
    yield
    set_distribution(None)


def parts(size):
    return [(x, target(x)) for x in (numbers(n, 6, seed=i) for i, n in enumerate(LENGTHS[size]))]


def pieces(part, taken):
    x, y = part
    return [(x[i : i + taken], y[i : i + taken]) for i in range(0, len(x), taken)]


def whole(size):
    """The global batches: what the ranks give in each step, one after another."""
    each = [pieces(p, taken) for p, taken in zip(parts(size), TAKEN[size], strict=True)]
    for step in range(max(map(len, each))):
        given = [batches[step] for batches in each if step < len(batches)]
        yield tuple(np.concatenate(arrays) for arrays in zip(*given, strict=True))


class Batches:
    """An iterable of this rank's batches."""

    def __init__(self, size):
        self.batches = pieces(parts(size)[distribution.rank()], TAKEN[size][distribution.rank()])

    def __iter__(self):
        return iter(self.batches)


def trained(x, y=None, **settings):
    model = dense("adam", metrics=["mae"])
    history = model.fit(x, y, epochs=2, verbose=0, **settings)
    evaluated = model.evaluate(
        x, y, verbose=0, **{k: settings[k] for k in ("batch_size",) if k in settings}
    )
    return outcome(model, history, evaluated=evaluated)


def assert_same(found, wanted):
    far = {k: d for k, d in differences(found, wanted).items() if not d <= 1e-5}
    assert not far, far


@pytest.mark.mpi(sizes=(2, 3))
@pytest.mark.parametrize("kind", ["arrays", "iterable"])
def test_as_one_process_with_all_parts(comm, kind):
    size = comm.size

    def alone():
        with single_process():
            return trained(_Again(size))

    if kind == "arrays":
        x, y = parts(size)[comm.rank]
        found = run(lambda: trained(x, y, batch_size=4, shuffle=False))
    else:
        found = run(lambda: trained(Batches(size)))
    assert_same(found, run(alone))


class _Again:
    def __init__(self, size):
        self.size = size

    def __iter__(self):
        return whole(self.size)


@pytest.mark.mpi(sizes=(2, 3))
def test_single_batches_and_predictions(comm):
    size = comm.size
    x, y = parts(size)[comm.rank]
    all_x, all_y = (np.concatenate(a) for a in zip(*parts(size), strict=True))

    def together():
        model = dense("adam")
        return {"loss": np.array([model.train_on_batch(x, y), model.test_on_batch(x, y)])} | {
            "rows": model.predict_on_batch(x)
        }

    def alone():
        model = dense("adam")
        with single_process():
            logs = [model.train_on_batch(all_x, all_y), model.test_on_batch(all_x, all_y)]
            return {"loss": np.array(logs), "rows": model.predict_on_batch(all_x)}

    assert_same(run(together), run(alone))


@pytest.mark.mpi(sizes=(3,))
def test_a_rank_without_data_is_an_error_on_all(comm):
    model = dense()
    batches = [] if comm.rank == 1 else [(numbers(2, 6), numbers(2, 2))]
    with pytest.raises(DataError, match="Rank 1 has no batch in its part"):
        model.fit(iter(batches), verbose=0)
    x = numbers(4, 6)
    with pytest.raises(DataError, match="at least 3, the number of ranks"):
        model.fit(x, target(x), batch_size=2, verbose=0)


def test_names_of_keras():
    assert keras.distribution.distribution().auto_shard_dataset is False
    with pytest.raises(ArgumentError, match="no other way"):
        set_distribution("data parallel")
    with pytest.raises(ArgumentError, match="must be None"):
        DataParallel(devices=["cpu:0"])
