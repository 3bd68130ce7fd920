"""`StackedRNNCells`: cells one upon the other."""

from collections.abc import Sequence
from typing import Any

from distkeras import ops
from distkeras.errors import ArgumentError
from distkeras.layers.layer import Layer
from distkeras.layers.recurrent.cell import Cell
from distkeras.utils.serialization import deserialize_keras_object, serialize_keras_object

__all__ = ["StackedRNNCells", "state_sizes"]


def state_sizes(cell: Any) -> list:
    """The size of each of a cell's states."""
    size = cell.state_size
    return [size] if isinstance(size, int) else list(size)


def _output_size(cell: Any) -> int:
    size = getattr(cell, "output_size", None)
    return state_sizes(cell)[0] if size is None else size


class StackedRNNCells(Layer):
    """Several cells as one: each takes the output of the one before.

    Args:
        cells: the cells, the lowest first.
        **kwargs: `name`, `dtype`, `trainable`.

    Raises:
        ArgumentError: where a cell has no `call` or no `state_size`.

    Example:
        >>> from distkeras import layers, ops
        >>> cells = [layers.LSTMCell(3), layers.GRUCell(2)]
        >>> layers.RNN(StackedRNNCells(cells))(ops.zeros((2, 5, 4))).shape
        (2, 2)
    """

    def __init__(self, cells: Sequence[Any], **kwargs: Any):
        super().__init__(**kwargs)
        for cell in cells:
            for needed in ("call", "state_size"):
                if not hasattr(cell, needed):
                    raise ArgumentError(
                        f"All cells must have `{needed}`. Received a cell without: {cell!r}"
                    )
        self.cells = list(cells)

    @property
    def state_size(self) -> list:
        """The state sizes of each cell."""
        return [c.state_size for c in self.cells]

    @property
    def output_size(self) -> int:
        """The output size of the last cell."""
        return _output_size(self.cells[-1])

    def get_initial_state(self, batch_size: int | None = None) -> list:
        """The first states of each cell."""
        states = []
        for cell in self.cells:
            make = getattr(cell, "get_initial_state", None)
            if make is not None:
                states.append(make(batch_size=batch_size))
            else:
                zeros = [
                    ops.zeros((batch_size, d), dtype=self.compute_dtype) for d in state_sizes(cell)
                ]
                states.append(zeros[0] if isinstance(cell.state_size, int) else zeros)
        return states

    def build(self, input_shape):
        for cell in self.cells:
            if isinstance(cell, Layer) and not cell.built:
                object.__setattr__(cell, "_path", f"{self.path}/{cell.name}")
                cell.build(input_shape)
            input_shape = (input_shape[0], _output_size(cell))

    def noise(self, inputs: Any, training: bool | None) -> tuple[list, bool | None]:
        """The dropout masks of each built-in cell, and `training` for the others."""
        masks = []
        for cell in self.cells:
            masks.append(cell.noise(inputs, training) if isinstance(cell, Cell) else None)
            row = ops.zeros((_output_size(cell),), dtype=inputs.dtype)
            inputs = ops.add(ops.zeros_like(inputs[:, :1]), row)
        return masks, training

    def project(self, inputs: Any, noise: Any):
        """The lowest cell's projection, where it has one."""
        first = self.cells[0]
        return first.project(inputs, noise[0][0]) if isinstance(first, Cell) else inputs

    def step(self, projected: Any, states: Sequence[Any], noise: Any):
        """The last cell's output and the next states of all."""
        masks, training = noise
        x, after = projected, []
        for i, (cell, own, mask) in enumerate(zip(self.cells, states, masks, strict=True)):
            listed = isinstance(own, list | tuple)
            own = list(own) if listed else [own]
            if isinstance(cell, Cell):
                x, new = cell.step(x if i == 0 else cell.project(x, mask), own, mask)
            else:
                extra = {}
                if isinstance(cell, Layer) and cell._call_signature.takes("training"):
                    extra["training"] = training
                x, new = (cell if callable(cell) else cell.call)(x, own, **extra)
            new = list(new) if isinstance(new, list | tuple) else [new]
            after.append(new if listed else new[0])
        return x, after

    def call(self, inputs, states, training=False):
        noise = self.noise(inputs, training)
        return self.step(self.project(inputs, noise), states, noise)

    def get_config(self) -> dict:
        """The arguments from which the cells can be made again."""
        cells = [serialize_keras_object(cell) for cell in self.cells]
        return {**super().get_config(), "cells": cells}

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None):
        """Cells made from `get_config()`'s result."""
        config = dict(config)
        cells = [
            deserialize_keras_object(c, custom_objects=custom_objects) for c in config.pop("cells")
        ]
        return cls(cells, **config)
