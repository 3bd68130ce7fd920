"""Result dtypes of operations, by value and by placeholder, as Keras declares them."""

import pytest

import distkeras as keras

from . import cases_ops
from .load import read_json


def expected(kind: str, name: str) -> dict:
    """Return the result dtype for each input."""
    groups = read_json("ops.json")[kind][name]
    return {key: dtype for dtype, keys in groups.items() for key in keys}


def wrong(found: dict, wanted: dict) -> dict:
    """Return what differs: input -> (found, expected)."""
    return {key: (found[key], dtype) for key, dtype in wanted.items() if found[key] != dtype}


@pytest.mark.parametrize("operand", [cases_ops.operand, cases_ops.symbolic])
@pytest.mark.parametrize("name", [n for n in cases_ops.UNARY if read_json("ops.json")["unary"][n]])
def test_unary(name, operand):
    found = cases_ops.run_unary(keras, name, operand)
    assert wrong(found, expected("unary", name)) == {}


@pytest.mark.parametrize("operand", [cases_ops.operand, cases_ops.symbolic])
@pytest.mark.parametrize("name", cases_ops.BINARY)
def test_binary(name, operand):
    found = cases_ops.run_binary(keras, name, operand)
    assert wrong(found, expected("binary", name)) == {}
