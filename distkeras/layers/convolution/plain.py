"""`Conv1D`, `Conv2D`, `Conv3D`: convolutions of all channels, or of groups of them."""

from typing import Any

from distkeras import ops
from distkeras.errors import ArgumentError, ShapeError
from distkeras.layers.arguments import positive_int
from distkeras.layers.convolution.base import Convolution

__all__ = ["Conv1D", "Conv2D", "Conv3D"]


class PlainConvolution(Convolution):
    """A convolution, a bias and an activation.

    Args:
        filters: the number of output channels.
        kernel_size: the window, an int or one for each spatial axis.
        strides: a step between windows, an int or one for each spatial axis, default 1.
        padding: `"valid"`, `"same"` or, for one spatial axis, `"causal"`; default `"valid"`.
        data_format: `"channels_last"` or `"channels_first"`, default
            `keras.config.image_data_format()`.
        dilation_rate: the distance between a window's elements, default 1; not together with
            strides above 1.
        groups: in how many groups the channels are convolved separately, default 1.
        activation: a name or a function, default none.
        use_bias: whether there is a bias, default `True`.
        kernel_initializer: default Glorot uniform.
        bias_initializer: default zeros.
        kernel_regularizer, bias_regularizer: added to the loss, default none.
        activity_regularizer: a regularizer of the output, default none.
        kernel_constraint, bias_constraint: applied after each update, default none.
        **kwargs: `name`, `dtype`, `trainable`.

    Raises:
        ArgumentError: where an argument lies outside its domain.
        ShapeError: where the inputs do not fit.
    """

    settings = "filters groups"

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        groups: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ):
        super().__init__(
            kernel_size=kernel_size,
            strides=strides,
            padding=padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
            activation=activation,
            use_bias=use_bias,
            tools={
                "kernel_initializer": kernel_initializer,
                "bias_initializer": bias_initializer,
                "kernel_regularizer": kernel_regularizer,
                "bias_regularizer": bias_regularizer,
                "kernel_constraint": kernel_constraint,
                "bias_constraint": bias_constraint,
            },
            activity_regularizer=activity_regularizer,
            **kwargs,
        )
        self.filters = positive_int(self, "filters", filters)
        self.groups = positive_int(self, "groups", groups)
        if self.filters % self.groups:
            raise ArgumentError(
                "The number of filters must be evenly divisible by the number of groups. "
                f"Received: groups={groups}, filters={filters}."
            )

    def build(self, input_shape):
        """Create the kernel `(*kernel_size, channels // groups, filters)` and the bias."""
        channels = self._fix_channels(input_shape)
        if channels % self.groups:
            raise ShapeError(
                "The number of input channels must be evenly divisible by the number of groups. "
                f"Received groups={self.groups}, but the input has {channels} channels (full "
                f"input shape is {input_shape})."
            )
        shape = (*self.kernel_size, channels // self.groups, self.filters)
        self.kernel = self._add("kernel", shape, "kernel")
        self._add_bias(self.filters)

    def call(self, inputs):
        """The convolution, the bias and the activation."""
        outputs = ops.conv(
            inputs,
            self.kernel,
            strides=self.strides,
            padding=self.padding,
            data_format=self.data_format,
            dilation_rate=self.dilation_rate,
        )
        return self._finish(outputs)

    def compute_output_shape(self, input_shape):
        """The shape of the outputs, `None` where it is unknown."""
        return self._shape_with(input_shape, self.filters)


class Conv1D(PlainConvolution):
    """Convolution over one spatial or temporal axis: `(samples, steps, channels)`.

    The arguments are those of `PlainConvolution`; `padding="causal"` lets no output see a later
    input.

    Example:
        >>> from distkeras import ops
        >>> Conv1D(8, 3, padding="causal")(ops.zeros((2, 10, 4))).shape
        (2, 10, 8)
    """

    rank = 1
    causal = True


class Conv2D(PlainConvolution):
    """Convolution over images: `(samples, rows, columns, channels)`.

    Args:
        filters: the number of output channels.
        kernel_size: the window, an int or a pair.
        strides, padding, data_format, dilation_rate, groups: how the window moves.
        activation, use_bias, ...: see `PlainConvolution`, which documents all arguments.

    Example:
        >>> from distkeras import ops
        >>> Conv2D(8, 3, activation="relu")(ops.zeros((2, 10, 12, 3))).shape
        (2, 8, 10, 8)
    """

    rank = 2


class Conv3D(PlainConvolution):
    """Convolution over volumes: `(samples, depth, rows, columns, channels)`.

    The arguments are those of `PlainConvolution`.

    Example:
        >>> from distkeras import ops
        >>> Conv3D(8, 2, strides=2)(ops.zeros((2, 4, 4, 4, 3))).shape
        (2, 2, 2, 2, 8)
    """

    rank = 3
