"""Ten trainings that are killed (-9) at random moments and resumed; `kills.py` does more."""

import pytest

from training import kills

CASES = [
    (1, "arrays", None),
    (1, "generator", None),
    (1, "dataset", None),
    (3, "arrays", None),
    (1, "arrays", 2),
    (3, "generator", None),
    (1, "arrays", None),
    (3, "arrays", 1),
    (1, "generator", None),
    (3, "arrays", None),
]


@pytest.fixture(scope="module")
def trials(tmp_path_factory):
    return kills.Trials(tmp_path_factory.mktemp("kills"), seed=None)


@pytest.mark.parametrize("number", range(len(CASES)))
def test_a_killed_training_is_resumed_exactly(trials, needs_mpi, number):
    ranks, data, resumed_on = CASES[number]
    outcome = trials.trial(ranks, data, resumed_on)
    if resumed_on is None:
        assert outcome.equal, outcome
    else:
        assert outcome.difference <= 1e-5, outcome
