"""`Dense`: a matrix product over the last axis."""

from typing import Any

from distkeras import activations, ops
from distkeras.layers.arguments import arguments_of, known_size, positive_int, refuse, set_arguments
from distkeras.layers.input_spec import InputSpec
from distkeras.layers.layer import Layer

__all__ = ["Dense"]


class Dense(Layer):
    """`activation(inputs @ kernel + bias)`.

    Args:
        units: the size of the output's last axis.
        activation: a name or a function, default none.
        use_bias: whether there is a bias, default `True`.
        kernel_initializer: default Glorot uniform.
        bias_initializer: default zeros.
        kernel_regularizer, bias_regularizer: added to the loss, default none.
        activity_regularizer: a regularizer of the output, default none.
        kernel_constraint, bias_constraint: applied after each update, default none.
        lora_rank, lora_alpha, quantization_config: must be `None`.
        **kwargs: `name`, `dtype`, `trainable`.

    Inputs:
        `(..., features)`, at least two axes; outputs `(..., units)`.

    Raises:
        ArgumentError: where an argument lies outside its domain.
        ShapeError: where the inputs do not fit the kernel.

    Example:
        >>> Dense(4, activation="relu")([[1.0, 2.0]]).shape
        (1, 4)
    """

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        lora_rank: Any = None,
        lora_alpha: Any = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        refuse(
            self,
            lora_rank=lora_rank,
            lora_alpha=lora_alpha,
            quantization_config=quantization_config,
        )
        self.units = positive_int(self, "units", units)
        self.use_bias = use_bias
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
        self.input_spec = InputSpec(min_ndim=2)
        self.supports_masking = True

    def build(self, input_shape):
        features = known_size(self, input_shape)
        self.kernel = self.add_weight(
            name="kernel",
            shape=(features, self.units),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(self.units,),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self.input_spec = InputSpec(min_ndim=2, axes={-1: features})

    def call(self, inputs, training=None):
        x = ops.matmul(inputs, self.kernel)
        if self.bias is not None:
            x = ops.add(x, self.bias)
        if self.activation is not None and self.activation is not activations.linear:
            x = self.activation(x)
        return x

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict:
        """The arguments from which the layer can be made again."""
        names = (
            "units activation use_bias kernel_initializer bias_initializer kernel_regularizer "
            "bias_regularizer "
            "kernel_constraint bias_constraint quantization_config"
        )
        return {**super().get_config(), **arguments_of(self, names)}
