"""Shapes without values."""

import pytest

from distkeras import ops
from distkeras.engine.abstract import ShapeTensor, Spec, infer


@pytest.mark.parametrize(
    "make",
    [
        lambda x: ops.zeros((x.shape[0], 4096)),
        lambda x: ops.ones((x.shape[0], x.shape[1])) @ ops.ones((x.shape[1], 512)),
        lambda x: ops.broadcast_to(ops.ones((1, 4096)), (x.shape[0], 4096)) * 2.0,
        lambda x: ops.arange(x.shape[0]),
    ],
)
def test_values_of_an_unknown_size_are_never_made(make):
    made = []

    def function(x):
        made.append(make(x))
        return made[-1]

    assert infer(function, Spec((None, 8), "float32")).shape[0] is None
    assert all(isinstance(t, ShapeTensor) for t in made)
