"""`SeparableConv1D`, `SeparableConv2D`: depthwise convolutions followed by pointwise ones."""

from typing import Any

from distkeras import ops
from distkeras.layers.arguments import positive_int
from distkeras.layers.convolution.base import Convolution

__all__ = ["SeparableConv1D", "SeparableConv2D"]


class SeparableConvolution(Convolution):
    """A convolution of each channel by itself, one that mixes channels, a bias and an activation.

    Args:
        filters: the number of output channels.
        kernel_size: the window of the first convolution, an int or one for each spatial axis.
        strides, padding, dilation_rate: of the first convolution, as for `Conv2D`.
        data_format: `"channels_last"` or `"channels_first"`, default
            `keras.config.image_data_format()`.
        depth_multiplier: how many channels the first convolution makes of each, default 1.
        activation: a name or a function, default none.
        use_bias: whether there is a bias, default `True`.
        depthwise_initializer, pointwise_initializer: default Glorot uniform.
        bias_initializer: default zeros.
        depthwise_regularizer, pointwise_regularizer, bias_regularizer: added to the loss.
        activity_regularizer: a regularizer of the output, default none.
        depthwise_constraint, pointwise_constraint, bias_constraint: applied after each update.
        **kwargs: `name`, `dtype`, `trainable`.

    Raises:
        ArgumentError: where an argument lies outside its domain.
        ShapeError: where the inputs do not fit.
    """

    settings = "depth_multiplier filters"
    parts = ("depthwise", "pointwise", "bias")

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
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
                "pointwise_initializer": pointwise_initializer,
                "bias_initializer": bias_initializer,
                "depthwise_regularizer": depthwise_regularizer,
                "pointwise_regularizer": pointwise_regularizer,
                "bias_regularizer": bias_regularizer,
                "depthwise_constraint": depthwise_constraint,
                "pointwise_constraint": pointwise_constraint,
                "bias_constraint": bias_constraint,
            },
            activity_regularizer=activity_regularizer,
            **kwargs,
        )
        self.filters = positive_int(self, "filters", filters)
        self.depth_multiplier = positive_int(self, "depth_multiplier", depth_multiplier)

    def build(self, input_shape):
        """Create the depthwise kernel, the pointwise kernel and the bias."""
        channels = self._fix_channels(input_shape)
        between = channels * self.depth_multiplier
        self.depthwise_kernel = self._add(
            "depthwise_kernel", (*self.kernel_size, channels, self.depth_multiplier), "depthwise"
        )
        self.pointwise_kernel = self._add(
            "pointwise_kernel", (*(1,) * self.rank, between, self.filters), "pointwise"
        )
        self._add_bias(self.filters)

    def call(self, inputs):
        """Both convolutions, the bias and the activation."""
        outputs = ops.separable_conv(
            inputs,
            self.depthwise_kernel,
            self.pointwise_kernel,
            strides=self.strides,
            padding=self.padding,
            data_format=self.data_format,
            dilation_rate=self.dilation_rate,
        )
        return self._finish(outputs)

    def compute_output_shape(self, input_shape):
        """The shape of the outputs, `None` where it is unknown."""
        return self._shape_with(input_shape, self.filters)


class SeparableConv1D(SeparableConvolution):
    """Separable convolution over one spatial or temporal axis; see `SeparableConvolution`.

    Example:
        >>> from distkeras import ops
        >>> SeparableConv1D(8, 3)(ops.zeros((2, 10, 4))).shape
        (2, 8, 8)
    """

    rank = 1


class SeparableConv2D(SeparableConvolution):
    """Separable convolution over images; see `SeparableConvolution` for the arguments.

    Example:
        >>> from distkeras import ops
        >>> SeparableConv2D(8, 3, depth_multiplier=2)(ops.zeros((2, 5, 6, 4))).shape
        (2, 3, 4, 8)
    """

    rank = 2
