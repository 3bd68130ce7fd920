"""Activations as layers."""

from typing import Any

from distkeras import activations, ops
from distkeras.errors import ArgumentError
from distkeras.layers.arguments import arguments_of, known_size, set_arguments
from distkeras.layers.input_spec import InputSpec
from distkeras.layers.layer import Layer

__all__ = ["ELU", "Activation", "LeakyReLU", "PReLU", "ReLU", "Softmax"]


class _Elementwise(Layer):
    """Keeps the inputs' shape; `ARGUMENTS` names what its configuration holds."""

    ARGUMENTS = ""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True
        if type(self).build is Layer.build:
            self.built = True

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self) -> dict:
        """The arguments from which the layer can be made again."""
        return {**super().get_config(), **arguments_of(self, self.ARGUMENTS)}


def _number(layer: Layer, name: str, value: Any, least: float = float("-inf")) -> Any:
    """`value`, if it is a number that is not below `least`."""
    if isinstance(value, dict):  # as older files have it
        value = value.get("value")
    if (
        value is None
        or isinstance(value, bool)
        or not isinstance(value, int | float)
        or value < least
    ):
        limit = "" if least == float("-inf") else f" not below {least:g}"
        raise ArgumentError(
            f"Argument `{name}` of {type(layer).__name__} must be a number{limit}. Received: "
            f"{name}={value!r}"
        )
    return value


class Activation(_Elementwise):
    """An activation function.

    Args:
        activation: a name or a function.
        **kwargs: `name`, `dtype`, `trainable`.

    Example:
        >>> Activation("relu")([[-1.0, 2.0]]).tolist()
        [[0.0, 2.0]]
    """

    ARGUMENTS = "activation"

    def __init__(self, activation: Any, **kwargs: Any):
        super().__init__(**kwargs)
        set_arguments(self, activation=activation)

    def call(self, inputs):
        return self.activation(inputs)


class ReLU(_Elementwise):
    """`max(x, 0)`, with a slope below `threshold` and an upper limit.

    `f(x) = max_value` where `x >= max_value`, `x` where `threshold <= x < max_value`, else
    `negative_slope * (x - threshold)`.

    Args:
        max_value: the upper limit, default none.
        negative_slope: the slope below the threshold, default 0.
        threshold: default 0.
        **kwargs: `name`, `dtype`, `trainable`.

    Example:
        >>> ReLU(max_value=1.0)([[-1.0, 0.5, 3.0]]).tolist()
        [[0.0, 0.5, 1.0]]
    """

    ARGUMENTS = "max_value negative_slope threshold"

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.max_value = None if max_value is None else _number(self, "max_value", max_value, 0.0)
        self.negative_slope = _number(self, "negative_slope", negative_slope, 0.0)
        self.threshold = _number(self, "threshold", threshold, 0.0)

    def call(self, inputs):
        return activations.relu(
            inputs,
            negative_slope=self.negative_slope,
            max_value=self.max_value,
            threshold=self.threshold,
        )


class LeakyReLU(_Elementwise):
    """`x` where it is positive, else `negative_slope * x`.

    Args:
        negative_slope: default 0.3.
        **kwargs: `name`, `dtype`, `trainable`.

    Example:
        >>> LeakyReLU(0.5)([[-1.0, 2.0]]).tolist()
        [[-0.5, 2.0]]
    """

    ARGUMENTS = "negative_slope"

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any):
        negative_slope = kwargs.pop("alpha", negative_slope)  # its name in older Keras
        super().__init__(**kwargs)
        self.negative_slope = _number(self, "negative_slope", negative_slope)

    def call(self, inputs):
        return activations.leaky_relu(inputs, negative_slope=self.negative_slope)


class PReLU(_Elementwise):
    """`x` where it is positive, else `alpha * x` with trainable `alpha` (arXiv:1502.01852).

    Args:
        alpha_initializer: default zeros.
        alpha_regularizer, alpha_constraint: default none.
        shared_axes: axes, from 1, along which `alpha` is the same; default none.
        **kwargs: `name`, `dtype`, `trainable`.

    Example:
        >>> PReLU(alpha_initializer="ones")([[-1.0, 2.0]]).tolist()
        [[-1.0, 2.0]]
    """

    ARGUMENTS = "alpha_initializer alpha_regularizer alpha_constraint shared_axes"

    def __init__(
        self,
        alpha_initializer: Any = "Zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        set_arguments(
            self,
            alpha_initializer=alpha_initializer,
            alpha_regularizer=alpha_regularizer,
            alpha_constraint=alpha_constraint,
        )
        if shared_axes is not None and not isinstance(shared_axes, list | tuple):
            shared_axes = [shared_axes]
        self.shared_axes = None if shared_axes is None else list(shared_axes)

    def build(self, input_shape):
        shared = {a % len(input_shape) for a in self.shared_axes or ()}
        sizes = {
            i: 1 if i in shared else known_size(self, input_shape, i)
            for i in range(1, len(input_shape))
        }
        self.alpha = self.add_weight(
            name="alpha",
            shape=tuple(sizes.values()),
            initializer=self.alpha_initializer,
            regularizer=self.alpha_regularizer,
            constraint=self.alpha_constraint,
        )
        self.input_spec = InputSpec(
            ndim=len(input_shape), axes={i: d for i, d in sizes.items() if i not in shared}
        )

    def call(self, inputs):
        return ops.subtract(
            ops.relu(inputs), ops.multiply(self.alpha, ops.relu(ops.negative(inputs)))
        )


class ELU(_Elementwise):
    """`x` where it is positive, else `alpha * (exp(x) - 1)` (Clevert et al., arXiv:1511.07289).

    Args:
        alpha: default 1.
        **kwargs: `name`, `dtype`, `trainable`.

    Example:
        >>> round(float(ELU()([[-1.0]])[0, 0]), 4)
        -0.6321
    """

    ARGUMENTS = "alpha"

    def __init__(self, alpha: float = 1.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.alpha = _number(self, "alpha", alpha)

    def call(self, inputs):
        return activations.elu(inputs, alpha=self.alpha)


class Softmax(_Elementwise):
    """`exp(x) / sum(exp(x))` along one axis or several.

    Args:
        axis: an axis or a tuple of them, default -1.
        **kwargs: `name`, `dtype`, `trainable`.

    Inputs:
        a tensor, and optionally `mask`, truth values of its shape: where it is false the result is
        0.

    Example:
        >>> Softmax()([[0.0, 0.0]]).tolist()
        [[0.5, 0.5]]
    """

    ARGUMENTS = "axis"

    def __init__(self, axis: int | tuple[int, ...] = -1, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs, mask=None):
        if mask is not None:
            kept = ops.cast(mask, inputs.dtype)
            far = -3e4 if inputs.dtype == "float16" else -1e9
            inputs = ops.add(inputs, ops.multiply(ops.subtract(1.0, kept), far))
        axis = tuple(self.axis) if isinstance(self.axis, list) else self.axis
        outputs = ops.softmax(
            inputs, axis=axis[0] if isinstance(axis, tuple) and len(axis) == 1 else axis
        )
        return outputs if mask is None else ops.multiply(outputs, kept)
