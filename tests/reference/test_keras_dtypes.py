"""The promotion lattice against Keras: every ordered pair of dtypes and Python types."""

import pytest

from distkeras.engine.dtypes import result_type

from .load import read_json

PYTHON = {"python:int": int, "python:float": float, "python:bool": bool}


@pytest.mark.parametrize("first", sorted({key.split()[0] for key in read_json("dtypes.json")}))
def test_result_type_is_that_of_keras(first):
    """64-bit results are kept, as Keras keeps them where its backend has them."""
    wrong = {}
    for key, (_, expected) in read_json("dtypes.json").items():
        if key.split()[0] == first:
            found = result_type(*[PYTHON.get(name, name) for name in key.split()])
            if found != expected:
                wrong[key] = (found, expected)
    assert wrong == {}
