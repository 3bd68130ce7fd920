"""`SimpleRNN`: the output is the state."""

from typing import Any

from distkeras import ops
from distkeras.layers.arguments import given
from distkeras.layers.recurrent.cell import Cell, dropped
from distkeras.layers.recurrent.layer import CellLayer

__all__ = ["SimpleRNN", "SimpleRNNCell"]


class SimpleRNNCell(Cell):
    """`h' = activation(x @ kernel + bias + h @ recurrent_kernel)`.

    Args:
        units: the size of the state and of the output.
        activation: default tanh.
        **kwargs: as in `SimpleRNN`.

    Example:
        >>> from distkeras import ops
        >>> output, states = SimpleRNNCell(3)(ops.zeros((2, 4)), [ops.zeros((2, 3))])
        >>> output.shape, len(states)
        ((2, 3), 1)
    """

    def step(self, projected, states, noise):
        h = ops.add(projected, ops.matmul(dropped(states[0], noise), self.recurrent_kernel))
        if self.activation is not None:
            h = self.activation(h)
        return h, [h]


class SimpleRNN(CellLayer):
    """A fully connected recurrent layer: the output goes back in as state.

    Args:
        units: the size of the state and of the output.
        activation: default tanh.
        use_bias: whether there is a bias, default `True`.
        kernel_initializer, recurrent_initializer, bias_initializer: default Glorot uniform,
            orthogonal, zeros.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: added to the loss, default
            none.
        activity_regularizer: a regularizer of the output, default none.
        kernel_constraint, recurrent_constraint, bias_constraint: applied after each update.
        dropout, recurrent_dropout: the probability with which an input, a state is dropped, for all
            steps alike; default 0.
        return_sequences, return_state, go_backwards, stateful, unroll, zero_output_for_mask: as in
            `RNN`.
        seed: an integer for the same draws in every run.
        **kwargs: `name`, `dtype`, `trainable`.

    Example:
        >>> from distkeras import ops
        >>> SimpleRNN(3)(ops.zeros((2, 5, 4))).shape
        (2, 3)
    """

    CELL = SimpleRNNCell

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**given(locals()), **kwargs)

    def get_config(self) -> dict:
        """The arguments from which the layer can be made again."""
        config = super().get_config()
        del config["seed"]  # Keras leaves it out of this layer's configuration
        return config
