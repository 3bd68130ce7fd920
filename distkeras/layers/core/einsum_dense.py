"""`EinsumDense`: a trainable tensor product, written as an equation."""

import re
from collections.abc import Sequence
from typing import Any

from distkeras import activations, ops
from distkeras.errors import ArgumentError, ShapeError
from distkeras.layers.arguments import arguments_of, refuse, set_arguments
from distkeras.layers.layer import Layer

__all__ = ["EinsumDense"]

_EQUATION = re.compile(r"(\.\.\.)?([a-zA-Z]+)(\.\.\.)?,([a-zA-Z]+)->(\.\.\.)?([a-zA-Z]+)(\.\.\.)?")


class EinsumDense(Layer):
    """`activation(einsum(equation, inputs, kernel) + bias)`.

    Args:
        equation: such as `"abc,cd->abd"`; `...` on one side of the inputs and of the output stands
            for any axes.
        output_shape: the shape of one sample of the output without the axes that `...` stands for;
            `None` for sizes that follow from the inputs.
        activation: a name or a function, default none.
        bias_axes: the letters of the output along which the bias varies, default no bias.
        kernel_initializer, bias_initializer: default Glorot uniform and zeros.
        kernel_regularizer, bias_regularizer: added to the loss, default none.
        kernel_constraint, bias_constraint: applied after each update, default none.
        lora_rank, lora_alpha, gptq_unpacked_column_size, quantization_config: must be `None`.
        **kwargs: `name`, `dtype`, `trainable`, `activity_regularizer`.

    Raises:
        ArgumentError: where the equation cannot be read.
        ShapeError: where it does not fit the inputs.

    Example:
        >>> from distkeras import ops
        >>> EinsumDense("abc,cd->abd", output_shape=(None, 5))(ops.zeros((2, 3, 4))).shape
        (2, 3, 5)
    """

    def __init__(
        self,
        equation: str,
        output_shape: int | Sequence[int | None],
        activation: Any = None,
        bias_axes: str | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        lora_rank: Any = None,
        lora_alpha: Any = None,
        gptq_unpacked_column_size: Any = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        refuse(
            self,
            lora_rank=lora_rank,
            lora_alpha=lora_alpha,
            gptq_unpacked_column_size=gptq_unpacked_column_size,
            quantization_config=quantization_config,
        )
        self.equation = equation
        self.partial_output_shape = (
            (output_shape,) if isinstance(output_shape, int) else tuple(output_shape)
        )
        self.bias_axes = bias_axes
        self.quantization_config = None
        set_arguments(
            self,
            activation=activation,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
        )
        self._terms = _parse(equation, bias_axes)

    def _sizes(self, input_shape) -> tuple[dict[str, Any], tuple]:
        """The size of each letter, and the shape of the output."""
        inputs, _, output, left, right = self._terms
        extra = len(input_shape) - len(inputs)
        if extra < 0 or (extra and not (left or right)):
            raise ShapeError(
                f"The equation '{self.equation}' of the layer '{self.name}' does not fit inputs of "
                f"shape {tuple(input_shape)}."
            )
        before, after = (extra, 0) if left else (0, extra)
        named = input_shape[before : len(input_shape) - after]
        sizes = dict(zip(inputs, named, strict=True))
        # The sample axis is the first of all: a letter of the output, unless `...` begins with it.
        given = (
            self.partial_output_shape if before else (input_shape[0], *self.partial_output_shape)
        )
        if len(given) != len(output):
            raise ShapeError(
                f"`output_shape` {self.partial_output_shape} does not have the axes of the output "
                f"'{output}' of the equation '{self.equation}'."
            )
        for letter, size in zip(output, given, strict=True):
            known = sizes.get(letter)
            if known is not None and size is not None and known != size:
                raise ShapeError(
                    f"The axis '{letter}' of the equation '{self.equation}' has size {known} in "
                    "the "
                    f"inputs and {size} in `output_shape`."
                )
            sizes[letter] = size if known is None else known
        shape = tuple(sizes[c] for c in output)
        return sizes, (*input_shape[:before], *shape, *input_shape[len(input_shape) - after :])

    def build(self, input_shape):
        _, kernel, output, _, right = self._terms
        sizes, _ = self._sizes(input_shape)
        if any(sizes[c] is None for c in kernel):
            raise ShapeError(
                f"The kernel axes {kernel!r} of the layer {self.name!r} must have known sizes. "
                f"Received: input_shape={tuple(input_shape)}, "
                f"output_shape={self.partial_output_shape}"
            )
        self.kernel = self.add_weight(
            name="kernel",
            shape=tuple(sizes[c] for c in kernel),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.bias = None
        if self.bias_axes is not None:
            first = min(output.index(c) for c in self.bias_axes)
            shape = [sizes[c] if c in self.bias_axes else 1 for c in output[first:]]
            if right:
                shape += [1] * (len(input_shape) - len(self._terms[0]))
            self.bias = self.add_weight(
                name="bias",
                shape=shape,
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def call(self, inputs, training=None):
        x = ops.einsum(self.equation, inputs, self.kernel)
        if self.bias is not None:
            x = ops.add(x, self.bias)
        if self.activation is not None and self.activation is not activations.linear:
            x = self.activation(x)
        return x

    def compute_output_shape(self, input_shape):
        return self._sizes(input_shape)[1]

    def get_config(self) -> dict:
        """The arguments from which the layer can be made again."""
        names = (
            "equation activation bias_axes kernel_initializer bias_initializer kernel_regularizer "
            "bias_regularizer activity_regularizer kernel_constraint bias_constraint "
            "quantization_config"
        )
        config = {**super().get_config(), "output_shape": self.partial_output_shape}
        return {**config, **arguments_of(self, names)}


def _parse(equation: str, bias_axes: str | None) -> tuple[str, str, str, bool, bool]:
    """The letters of inputs, kernel and output, and whether `...` stands left or right of them."""
    match = _EQUATION.fullmatch(equation.replace(" ", "")) if isinstance(equation, str) else None
    if match is None:
        raise ArgumentError(
            f"Invalid einsum equation '{equation}'. Equations must be in the form [X],[Y]->[Z], "
            "...[X],[Y]->...[Z], or [X]...,[Y]->[Z]...."
        )
    left, inputs, right, kernel, left_out, output, right_out = match.groups()
    if (left, right) != (left_out, right_out) or (left and right):
        raise ArgumentError(f"Invalid einsum equation '{equation}': `...` must stand on one side.")
    unknown = [c for c in output if c not in inputs and c not in kernel]
    unknown += [c for c in kernel if c not in inputs and c not in output]
    unknown += [c for c in bias_axes or "" if c not in output]
    if unknown or bias_axes == "":
        raise ArgumentError(
            f"The letters {unknown or 'of `bias_axes`'} do not occur where they must in the "
            "equation "
            f"'{equation}' with bias_axes={bias_axes!r}."
        )
    return inputs, kernel, output, bool(left), bool(right)
