"""What programs do beside training, on real ranks: the numbers of one process."""

import gc

import numpy as np
import pytest

import distkeras as keras
from distkeras import distribution
from exactness.common import (
    N,
    dense,
    differences,
    fit,
    numbers,
    outcome,
    run,
    single_process,
    target,
)


@pytest.fixture(autouse=True)
def ranks():
    """Every test here runs on the world that its process was started in."""
    distribution.initialize()


def assert_as_alone(case, comm=None):
    """On all ranks what one process computes; with `comm`, what rank 0 computes alone."""
    with single_process():
        wanted = run(case)
    wanted = wanted if comm is None else comm.bcast(wanted)
    far = {k: d for k, d in differences(run(case), wanted).items() if not d <= 1e-5}
    assert not far, far


class LooksAtAll(keras.callbacks.Callback):
    """On one rank, of all data: what it calls is local there."""

    runs_on = 0

    def __init__(self, x, y):
        super().__init__()
        self.x, self.y = x, y
        self.seen = []

    def on_epoch_end(self, epoch, logs=None):
        rows = self.model.predict(self.x, batch_size=4, verbose=0)
        loss = self.model.evaluate(self.x, self.y, verbose=0)
        self.seen.append([loss, np.square(rows - self.y).mean(), self.model(self.x)[0, 0].item()])


@pytest.mark.mpi(sizes=(3,))
def test_a_callback_on_one_rank(comm):
    seen = []

    def case():
        x = numbers(N, 6)
        model, looks = dense("adam"), LooksAtAll(x, target(x))
        history = fit(model, x, target(x), callbacks=[looks], validation_split=0.3)
        seen.append(looks.seen)
        return outcome(model, history)

    assert_as_alone(case)
    alone, together = seen
    if comm.rank == 0:
        np.testing.assert_allclose(together, alone, rtol=1e-5)
    else:
        assert together == []


@pytest.mark.mpi(sizes=(3,))
def test_code_on_rank_0_only(comm):
    class Prints(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if distribution.rank() == 0:
                self.model(numbers(2, 6)), self.model.get_weights(), logs["loss"]
                self.model.optimizer.variables[0].numpy(), self.model.count_params()

    def case():
        x = numbers(N, 6)
        model = dense("adam")
        return outcome(model, fit(model, x, target(x), callbacks=[Prints()]))

    assert_as_alone(case)


@pytest.mark.mpi(sizes=(3,))
def test_models_made_and_dropped_in_another_order_on_each_rank(comm):
    def case():
        x = numbers(N, 6)
        models = {}
        names = ["a", "b", "c"]
        order = names[distribution.rank() :] + names[: distribution.rank()]
        for name in order:
            keras.utils.set_random_seed(ord(name))
            models[name] = dense("adam")
        keras.utils.set_random_seed(1)
        found = {}
        for _ in range(2):
            for name in names:
                found[name] = fit(models[name], x, target(x), epochs=2).history["loss"]
            keras.utils.set_random_seed(2)
            for _ in range(distribution.rank()):  # made and dropped, at another moment on each rank
                dense("sgd")(x)
            if distribution.rank() != 1:
                gc.collect()
        del models[order[0]]
        keras.utils.set_random_seed(9)
        models["d"] = dense("sgd")
        found["d"] = fit(models["d"], x, target(x), epochs=2).history["loss"]
        return {name: np.array(v) for name, v in sorted(found.items())}

    assert_as_alone(case, comm)


@pytest.mark.mpi(sizes=(4,))
def test_batches_below_the_number_of_ranks_are_named_once(comm):
    import warnings

    x = numbers(N, 6)
    model = dense()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for _ in range(2):
            fit(model, x, target(x), batch_size=3, epochs=1)
    told = [str(w.message) for w in said if "batch_size=3" in str(w.message)]
    assert len(told) == (comm.rank == 0)


@pytest.mark.mpi(sizes=(2,))
def test_rows_among_each_other_are_named_once(comm):
    import warnings

    from distkeras import ops
    from distkeras.errors import WholeBatchWarning

    x = numbers(N, 6)
    model = dense("sgd", lambda y, p: ops.mean(ops.matmul(p, ops.transpose(p)), axis=-1))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        fit(model, x, target(x), epochs=2)
    told = [str(w.message) for w in said if w.category is WholeBatchWarning]
    assert len(told) == (comm.rank == 0)
    if told:
        assert "'matmul' relates rows of the batch" in told[0]
        assert said[-1].filename == __file__ or any(w.filename == __file__ for w in said)
