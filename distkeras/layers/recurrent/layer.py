"""What `SimpleRNN`, `LSTM` and `GRU` share: an `RNN` that makes its own cell."""

import inspect
from typing import Any

from distkeras.layers.arguments import arguments_of
from distkeras.layers.input_spec import InputSpec
from distkeras.layers.layer import Layer
from distkeras.layers.recurrent.cell import Cell
from distkeras.layers.recurrent.rnn import RNN
from distkeras.utils.naming import to_snake_case

__all__ = ["CellLayer"]

_RUN = (
    "return_sequences",
    "return_state",
    "go_backwards",
    "stateful",
    "unroll",
    "zero_output_for_mask",
)


class CellLayer(RNN):
    """The base of the built-in recurrent layers; `CELL` is the class of the cell.

    Args:
        units: the size of the state and of the output.
        **kwargs: arguments of the cell, of `RNN` and of `Layer`.
    """

    CELL: type[Cell]

    def __init__(self, units: int, **kwargs: Any):
        kwargs.pop("use_cudnn", None)
        kwargs.pop("implementation", None)
        kwargs.pop("time_major", None)
        own = {n: kwargs.pop(n) for n in _cell_arguments(self.CELL) if n in kwargs}
        shared = {n: kwargs[n] for n in ("dtype", "trainable") if n in kwargs}
        # As in Keras the cell's name, a part of its weights' paths, does not count up.
        cell = self.CELL(units, **own, **shared, name=to_snake_case(self.CELL.__name__))
        super().__init__(cell, **kwargs)
        self.input_spec = InputSpec(ndim=3)

    def get_config(self) -> dict:
        """The arguments from which the layer can be made again."""
        config = {**Layer.get_config(self), **arguments_of(self, " ".join(_RUN))}
        config.update(arguments_of(self.cell, self.CELL.ARGUMENTS))
        return {**config, **arguments_of(self, "activity_regularizer")}

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None):
        """A layer made from `get_config()`'s result."""
        return cls(**config)


def _cell_arguments(cls: type[Cell]) -> list[str]:
    """The names of the arguments that are the cell's own."""
    names: list[str] = []
    for base in cls.__mro__:
        if issubclass(base, Cell):
            names += inspect.signature(base.__init__).parameters
    return [n for n in names if n not in ("self", "kwargs", "units")]


def _of_the_cell(name: str) -> property:
    return property(lambda self: getattr(self.cell, name), doc=f"The cell's `{name}`.")


# Keras's layers answer their cell's arguments.
for _name in (
    "units activation use_bias kernel_initializer recurrent_initializer bias_initializer "
    "kernel_regularizer recurrent_regularizer bias_regularizer kernel_constraint "
    "recurrent_constraint bias_constraint dropout recurrent_dropout"
).split():
    setattr(CellLayer, _name, _of_the_cell(_name))
