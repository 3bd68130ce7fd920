"""`DepthwiseConv1D`, `DepthwiseConv2D`: convolutions of each channel by itself."""

from typing import Any

from distkeras import ops
from distkeras.layers.arguments import positive_int
from distkeras.layers.convolution.base import Convolution

__all__ = ["DepthwiseConv1D", "DepthwiseConv2D"]


class DepthwiseConvolution(Convolution):
    """A convolution of each channel by itself, a bias and an activation.

    Args:
        kernel_size: the window, an int or one for each spatial axis.
        strides: a step between windows, default 1.
        padding: `"valid"` or `"same"`, default `"valid"`.
        depth_multiplier: how many output channels each input channel becomes, default 1.
        data_format: `"channels_last"` or `"channels_first"`, default
            `keras.config.image_data_format()`.
        dilation_rate: the distance between a window's elements, default 1; not together with
            strides above 1.
        activation: a name or a function, default none.
        use_bias: whether there is a bias, default `True`.
        depthwise_initializer: default Glorot uniform.
        bias_initializer: default zeros.
        depthwise_regularizer, bias_regularizer: added to the loss, default none.
        activity_regularizer: a regularizer of the output, default none.
        depthwise_constraint, bias_constraint: applied after each update, default none.
        **kwargs: `name`, `dtype`, `trainable`.

    Raises:
        ArgumentError: where an argument lies outside its domain.
        ShapeError: where the inputs do not fit.
    """

    settings = "depth_multiplier"
    parts = ("depthwise", "bias")

    def __init__(
        self,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
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
                "depthwise_initializer": depthwise_initializer,
                "bias_initializer": bias_initializer,
                "depthwise_regularizer": depthwise_regularizer,
                "bias_regularizer": bias_regularizer,
                "depthwise_constraint": depthwise_constraint,
                "bias_constraint": bias_constraint,
            },
            activity_regularizer=activity_regularizer,
            **kwargs,
        )
        self.depth_multiplier = positive_int(self, "depth_multiplier", depth_multiplier)

    def build(self, input_shape):
        """Create the kernel `(*kernel_size, channels, depth_multiplier)` and the bias."""
        channels = self._fix_channels(input_shape)
        shape = (*self.kernel_size, channels, self.depth_multiplier)
        self.kernel = self._add("kernel", shape, "depthwise")
        self._add_bias(channels * self.depth_multiplier)

    def call(self, inputs):
        """The convolution, the bias and the activation."""
        outputs = ops.depthwise_conv(
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
        return self._shape_with(input_shape, self._channels(input_shape) * self.depth_multiplier)


class DepthwiseConv1D(DepthwiseConvolution):
    """Depthwise convolution over one spatial or temporal axis; see `DepthwiseConvolution`.

    Example:
        >>> from distkeras import ops
        >>> DepthwiseConv1D(3, depth_multiplier=2)(ops.zeros((2, 10, 4))).shape
        (2, 8, 8)
    """

    rank = 1


class DepthwiseConv2D(DepthwiseConvolution):
    """Depthwise convolution over images; see `DepthwiseConvolution` for the arguments.

    Example:
        >>> from distkeras import ops
        >>> DepthwiseConv2D(3, padding="same")(ops.zeros((2, 5, 6, 4))).shape
        (2, 5, 6, 4)
    """

    rank = 2
