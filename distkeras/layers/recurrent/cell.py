"""What the built-in cells share: weights, dropout, and a step in three parts.

A step is `noise` (dropout masks, one for all steps of a sequence), `project` (what depends on the
inputs alone) and `step` (what needs the state). A layer calls `noise` once, `project` once for all
steps as a single matrix product, and only `step` within its loop.
"""

from collections.abc import Sequence
from typing import Any

from distkeras import ops, random
from distkeras.errors import ArgumentError
from distkeras.layers.arguments import arguments_of, known_size, positive_int, set_arguments
from distkeras.layers.layer import Layer
from distkeras.random.seed_generator import SeedGenerator

__all__ = ["Cell"]


class Cell(Layer):
    """The base of the built-in recurrent cells.

    Args:
        units: the size of the state and of the output.
        activation, use_bias, ...: as in the layers.
        dropout: the probability with which an input is dropped, for all steps alike.
        recurrent_dropout: the same for the state.
        seed: an integer for the same draws in every run.
        **kwargs: `name`, `dtype`, `trainable`.
    """

    # Matrices side by side in `kernel` and `recurrent_kernel`.
    GATES = 1
    STATES = 1
    bias_initializer: Any
    kernel: Any
    recurrent_kernel: Any
    ARGUMENTS = (
        "units activation use_bias kernel_initializer recurrent_initializer bias_initializer "
        "kernel_regularizer recurrent_regularizer bias_regularizer kernel_constraint "
        "recurrent_constraint bias_constraint dropout recurrent_dropout seed"
    )

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
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ):
        kwargs.pop("implementation", None)  # Keras's choice between two ways to the same numbers
        super().__init__(**kwargs)
        self.units = positive_int(self, "units", units)
        set_arguments(
            self,
            activation=activation,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
        )
        self.use_bias = use_bias
        self.dropout = _rate("dropout", dropout)
        self.recurrent_dropout = _rate("recurrent_dropout", recurrent_dropout)
        self.seed = seed
        self.seed_generator = SeedGenerator(seed=seed)
        self.state_size = self.units if self.STATES == 1 else [self.units] * self.STATES
        self.output_size = self.units

    def build(self, input_shape):
        width = self.units * self.GATES
        for name, rows, kind in (
            ("kernel", known_size(self, input_shape), "kernel"),
            ("recurrent_kernel", self.units, "recurrent"),
        ):
            weight = self.add_weight(
                name=name,
                shape=(rows, width),
                initializer=getattr(self, f"{kind}_initializer"),
                regularizer=getattr(self, f"{kind}_regularizer"),
                constraint=getattr(self, f"{kind}_constraint"),
            )
            setattr(self, name, weight)
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=self.bias_shape(),
                initializer=self.make_bias,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def bias_shape(self) -> tuple[int, ...]:
        """The shape of the bias."""
        return (self.units * self.GATES,)

    def make_bias(self, shape: Sequence[int], dtype: str | None = None):
        """The first value of the bias."""
        return self.bias_initializer(shape, dtype=dtype)

    def get_initial_state(self, batch_size: int | None = None) -> list:
        """Zeros, one tensor `(batch_size, units)` for each state."""
        return [
            ops.zeros((batch_size, self.units), dtype=self.compute_dtype)
            for _ in range(self.STATES)
        ]

    def noise(self, inputs: Any, training: bool | None) -> tuple[Any, Any]:
        """Dropout masks of inputs and state, `None` where there is none.

        Args:
            inputs: a tensor `(samples, features)`, whose rows key the draws.
            training: whether dropout is on.
        """
        masks: list[Any] = [None, None]
        if training and self.dropout > 0:
            masks[0] = self._mask(ops.ones_like(inputs), self.dropout)
        if training and self.recurrent_dropout > 0:
            row = ops.ones((self.units,), dtype=inputs.dtype)
            masks[1] = self._mask(
                ops.add(ops.zeros_like(inputs[:, :1]), row), self.recurrent_dropout
            )
        return masks[0], masks[1]

    def _mask(self, ones, rate):
        return random.dropout(ones, rate, seed=self.seed_generator)

    def input_bias(self):
        """The bias that belongs to the inputs, or `None`."""
        return self.bias

    def project(self, inputs: Any, noise: tuple[Any, Any]):
        """`inputs @ kernel + bias` for one step, `(samples, features)`, or all, steps second."""
        mask = noise[0]
        if mask is not None:
            inputs = ops.multiply(inputs, mask if inputs.ndim == 2 else ops.expand_dims(mask, 1))
        z = ops.matmul(inputs, self.kernel)
        bias = self.input_bias()
        return z if bias is None else ops.add(z, bias)

    def step(self, projected: Any, states: Sequence[Any], noise: tuple[Any, Any]):
        """The output and the next states, from what `project` made of the inputs."""
        raise NotImplementedError(f"{type(self).__name__} does not define `step`.")

    def call(self, inputs, states, training=False):
        listed = isinstance(states, list | tuple)
        noise = self.noise(inputs, training)
        output, after = self.step(
            self.project(inputs, noise), states if listed else [states], noise
        )
        return output, after if listed else after[0]

    def get_config(self) -> dict:
        """The arguments from which the cell can be made again."""
        return {**super().get_config(), **arguments_of(self, self.ARGUMENTS)}


def _rate(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ArgumentError(f"`{name}` must be a number from 0 to 1. Received: {name}={value!r}")
    return min(1.0, max(0.0, value))


def dropped(state: Any, noise: tuple[Any, Any]):
    """A state with its dropout mask applied."""
    return state if noise[1] is None else ops.multiply(state, noise[1])
