"""`LSTM`: long short-term memory (S. Hochreiter and J. Schmidhuber, 1997, with forget gates)."""

from typing import Any

from distkeras import activations, initializers, ops
from distkeras.engine import primitives as P
from distkeras.layers.arguments import given, set_arguments
from distkeras.layers.recurrent.cell import Cell, dropped
from distkeras.layers.recurrent.layer import CellLayer

__all__ = ["LSTM", "LSTMCell"]


class LSTMCell(Cell):
    """`c' = f c + i activation(z_c)`, `h' = o activation(c')`, with gates i, f, o.

    All four parts of z = `x @ kernel + bias + h @ recurrent_kernel` lie side by side: i, f, c, o.

    Args:
        units: the size of each state and of the output.
        activation: of the candidate and of the output, default tanh.
        recurrent_activation: of the gates, default sigmoid.
        use_bias: whether there is a bias, default `True`.
        unit_forget_bias: whether the forget gate's bias starts with 1, default `True`
            (R. Jozefowicz et al., 2015).
        **kwargs: as in `LSTM`.

    Example:
        >>> from distkeras import ops
        >>> states = [ops.zeros((2, 3)), ops.zeros((2, 3))]
        >>> output, states = LSTMCell(3)(ops.zeros((2, 4)), states)
        >>> output.shape, len(states)
        ((2, 3), 2)
    """

    GATES = 4
    STATES = 2
    ARGUMENTS = f"{Cell.ARGUMENTS} recurrent_activation unit_forget_bias"

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ):
        own = given(locals())
        del own["recurrent_activation"], own["unit_forget_bias"]
        super().__init__(**own, **kwargs)
        set_arguments(self, recurrent_activation=recurrent_activation)
        self.unit_forget_bias = unit_forget_bias

    def make_bias(self, shape, dtype=None):
        """The first value of the bias: 1 for the forget gate, where that was asked for."""
        if not self.unit_forget_bias:
            return super().make_bias(shape, dtype)
        n = self.units
        parts = (
            self.bias_initializer((n,), dtype=dtype),
            initializers.get("ones")((n,), dtype=dtype),
            self.bias_initializer((2 * n,), dtype=dtype),
        )
        return ops.concatenate([ops.convert_to_tensor(p) for p in parts], axis=0)

    def step(self, projected, states, noise):
        h, c = states
        z = ops.add(projected, ops.matmul(dropped(h, noise), self.recurrent_kernel))
        if self.activation is activations.tanh and self.recurrent_activation is activations.sigmoid:
            h, c = P.lstm_step(z, c)
            return h, [h, c]
        n = self.units
        gates = self.recurrent_activation
        i, f, o = gates(z[:, :n]), gates(z[:, n : 2 * n]), gates(z[:, 3 * n :])
        c = ops.add(ops.multiply(f, c), ops.multiply(i, self.activation(z[:, 2 * n : 3 * n])))
        h = ops.multiply(o, self.activation(c))
        return h, [h, c]


class LSTM(CellLayer):
    """Long short-term memory over the steps of sequences.

    Args:
        units: the size of each state and of the output.
        activation: default tanh.
        recurrent_activation: of the gates, default sigmoid.
        use_bias: whether there is a bias, default `True`.
        kernel_initializer, recurrent_initializer, bias_initializer: default Glorot uniform,
            orthogonal, zeros.
        unit_forget_bias: whether the forget gate's bias starts with 1, default `True`.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: added to the loss, default
            none.
        activity_regularizer: a regularizer of the output, default none.
        kernel_constraint, recurrent_constraint, bias_constraint: applied after each update.
        dropout, recurrent_dropout: the probability with which an input, a state is dropped, for all
            steps alike; default 0.
        seed: an integer for the same draws in every run.
        return_sequences, return_state, go_backwards, stateful, unroll, zero_output_for_mask: as in
            `RNN`.
        use_cudnn: accepted for Keras's sake.
        **kwargs: `name`, `dtype`, `trainable`.

    Example:
        >>> from distkeras import ops
        >>> LSTM(3, return_sequences=True)(ops.zeros((2, 5, 4))).shape
        (2, 5, 3)
    """

    CELL = LSTMCell

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
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
        use_cudnn: Any = "auto",
        **kwargs: Any,
    ):
        super().__init__(**given(locals()), **kwargs)

    @property
    def recurrent_activation(self):
        """The cell's `recurrent_activation`."""
        return self.cell.recurrent_activation

    @property
    def unit_forget_bias(self):
        """The cell's `unit_forget_bias`."""
        return self.cell.unit_forget_bias
