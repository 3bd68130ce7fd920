"""`GRU`: gated recurrent units (K. Cho et al., arXiv:1406.1078, first and third version)."""

from typing import Any

from distkeras import activations, ops
from distkeras.engine import primitives as P
from distkeras.layers.arguments import given, set_arguments
from distkeras.layers.recurrent.cell import Cell, dropped
from distkeras.layers.recurrent.layer import CellLayer

__all__ = ["GRU", "GRUCell"]


class GRUCell(Cell):
    """`h' = z h + (1 - z) activation(candidate)`, with gates z (update) and r (reset).

    The candidate is `x_h + r * (h @ U_h + b)` with `reset_after`, else `x_h + (r * h) @ U_h`.

    Args:
        units: the size of the state and of the output.
        activation: of the candidate, default tanh.
        recurrent_activation: of the gates, default sigmoid.
        use_bias: whether there is a bias, default `True`.
        reset_after: whether the reset gate acts after the matrix product, default `True`.
        **kwargs: as in `GRU`.

    Example:
        >>> from distkeras import ops
        >>> output, states = GRUCell(3)(ops.zeros((2, 4)), [ops.zeros((2, 3))])
        >>> output.shape
        (2, 3)
    """

    GATES = 3
    ARGUMENTS = f"{Cell.ARGUMENTS} recurrent_activation reset_after"

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        reset_after: bool = True,
        seed: int | None = None,
        **kwargs: Any,
    ):
        own = given(locals())
        del own["recurrent_activation"], own["reset_after"]
        super().__init__(**own, **kwargs)
        set_arguments(self, recurrent_activation=recurrent_activation)
        self.reset_after = reset_after

    def bias_shape(self):
        """One row, or with `reset_after` two: for the inputs and for the state."""
        width = 3 * self.units
        return (2, width) if self.reset_after else (width,)

    def input_bias(self):
        """The bias that belongs to the inputs, or `None`."""
        return self.bias[0] if self.bias is not None and self.reset_after else self.bias

    def step(self, projected, states, noise):
        h, n = states[0], self.units
        state, u, x = dropped(h, noise), self.recurrent_kernel, projected
        gates = self.recurrent_activation
        if self.reset_after:
            inner = ops.matmul(state, u)
            if self.bias is not None:
                inner = ops.add(inner, self.bias[1])
            if (self.activation, gates) == (activations.tanh, activations.sigmoid):
                h = P.gru_step(x, inner, h)
                return h, [h]
        else:
            inner = ops.matmul(state, u[:, : 2 * n])
        z = gates(ops.add(x[:, :n], inner[:, :n]))
        r = gates(ops.add(x[:, n : 2 * n], inner[:, n : 2 * n]))
        if self.reset_after:
            back = ops.multiply(r, inner[:, 2 * n :])
        else:
            back = ops.matmul(ops.multiply(r, state), u[:, 2 * n :])
        candidate = self.activation(ops.add(x[:, 2 * n :], back))
        # z h + (1 - z) candidate, with one product less
        h = ops.add(candidate, ops.multiply(z, ops.subtract(h, candidate)))
        return h, [h]


class GRU(CellLayer):
    """Gated recurrent units over the steps of sequences.

    Args:
        units: the size of the state and of the output.
        activation: default tanh.
        recurrent_activation: of the gates, default sigmoid.
        use_bias: whether there is a bias, default `True`.
        kernel_initializer, recurrent_initializer, bias_initializer: default Glorot uniform,
            orthogonal, zeros.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: added to the loss, default
            none.
        activity_regularizer: a regularizer of the output, default none.
        kernel_constraint, recurrent_constraint, bias_constraint: applied after each update.
        dropout, recurrent_dropout: the probability with which an input, a state is dropped, for all
            steps alike; default 0.
        seed: an integer for the same draws in every run.
        return_sequences, return_state, go_backwards, stateful, unroll, zero_output_for_mask: as in
            `RNN`.
        reset_after: whether the reset gate acts after the matrix product, default `True`.
        use_cudnn: accepted for Keras's sake.
        **kwargs: `name`, `dtype`, `trainable`.

    Example:
        >>> from distkeras import ops
        >>> GRU(3)(ops.zeros((2, 5, 4))).shape
        (2, 3)
    """

    CELL = GRUCell

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
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
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        reset_after: bool = True,
        use_cudnn: Any = "auto",
        **kwargs: Any,
    ):
        super().__init__(**given(locals()), **kwargs)

    @property
    def recurrent_activation(self):
        """The cell's `recurrent_activation`."""
        return self.cell.recurrent_activation

    @property
    def reset_after(self):
        """The cell's `reset_after`."""
        return self.cell.reset_after
