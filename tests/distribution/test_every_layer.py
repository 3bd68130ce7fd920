"""Every layer, trained on N ranks: the numbers of one process, without gathering any rows."""

import warnings

import numpy as np
import pytest

import distkeras as keras
from distkeras import distribution
from distkeras.errors import WholeBatchWarning
from exactness.common import differences, outcome, run, single_process
from layers.table import CASES

ROWS = 5  # batches of 3 and 2: some ranks have one row, or none


@pytest.fixture(autouse=True)
def ranks():
    """The test runs on the world that its process was started in."""
    distribution.initialize()
    yield
    keras.config.set_floatx("float32")


def trained(make, sample):
    """A layer between inputs and a loss."""
    shapes = sample if isinstance(sample, list) else [sample]
    draw = np.random.default_rng(1)
    x = [draw.uniform(0.2, 1.0, (ROWS, *s)) for s in shapes]
    inputs = [keras.Input(s) for s in shapes]
    layer = make()
    output = layer(inputs if isinstance(sample, list) else inputs[0])
    outputs = [
        keras.layers.Flatten()(o) for o in (output if isinstance(output, list) else [output])
    ]
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.SGD(1e-2), ["mse"] * len(outputs))
    y = [np.linspace(0, 1, ROWS * o.shape[1]).reshape(ROWS, -1) for o in outputs]
    history = model.fit(x, y, batch_size=3, epochs=2, verbose=0)
    predicted = model.predict(x, batch_size=3, verbose=0)
    predicted = predicted if isinstance(predicted, list) else [predicted]
    return outcome(model, history, **{f"predicted {i}": p for i, p in enumerate(predicted)})


@pytest.mark.mpi(sizes=(3,), timeout=120)
def test_as_in_one_process(comm):
    # In one test: a collective for each layer would cost more than the layers.
    wrong = {}
    for name, make, sample in CASES:
        wanted = found = None
        with single_process():
            wanted = run(lambda: trained(make, sample), "float64")  # noqa: B023
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            try:
                found = run(lambda: trained(make, sample), "float64")  # noqa: B023
            except Exception as error:
                wrong[name] = repr(error)
                continue
        far = {k: d for k, d in differences(found, wanted).items() if not d <= 1e-10}
        if far:
            wrong[name] = far
        if any(issubclass(w.category, WholeBatchWarning) for w in said):
            wrong[name] = f"gathers rows: {said[0].message}"
    assert not wrong, "\n".join(f"{k}: {v}" for k, v in wrong.items())
