"""`Conv1DTranspose`, `Conv2DTranspose`, `Conv3DTranspose`: convolutions turned around."""

from typing import Any

from distkeras import ops
from distkeras.engine.windows import transposed_size
from distkeras.layers.arguments import given, positive_int
from distkeras.layers.convolution.base import Convolution
from distkeras.ops.nn_conv import check_output_padding
from distkeras.utils.arguments import int_tuple

__all__ = ["Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"]


class TransposedConvolution(Convolution):
    """A transposed convolution, a bias and an activation.

    Args:
        filters: the number of output channels.
        kernel_size: the window, an int or one for each spatial axis.
        strides: how far apart the windows of neighbouring inputs lie in the output, default 1.
        padding: `"valid"` keeps all windows whole, `"same"` makes `size * strides` positions.
        output_padding: positions beyond the least size, less than `strides`; default by `padding`.
        data_format: `"channels_last"` or `"channels_first"`, default
            `keras.config.image_data_format()`.
        dilation_rate: the distance between a window's elements, default 1; not together with
            strides above 1.
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

    settings = "filters output_padding"

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        output_padding: Any = None,
        data_format: str | None = None,
        dilation_rate: Any = 1,
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
        self.output_padding = None
        if output_padding is not None:
            self.output_padding = int_tuple(output_padding, self.rank, "output_padding", least=0)
            check_output_padding(self.output_padding, self.strides)

    def build(self, input_shape):
        """Create the kernel `(*kernel_size, filters, channels)` and the bias."""
        channels = self._fix_channels(input_shape)
        self.kernel = self._add("kernel", (*self.kernel_size, self.filters, channels), "kernel")
        self._add_bias(self.filters)

    def call(self, inputs):
        """The transposed convolution, the bias and the activation."""
        outputs = ops.conv_transpose(
            inputs,
            self.kernel,
            strides=self.strides,
            padding=self.padding,
            output_padding=self.output_padding,
            data_format=self.data_format,
            dilation_rate=self.dilation_rate,
        )
        return self._finish(outputs)

    def _output_size(self, size):
        known = tuple(1 if n is None else n for n in size)
        out, _ = transposed_size(
            known,
            self.kernel_size,
            self.strides,
            self.dilation_rate,
            self.padding,
            self.output_padding,
        )
        return tuple(None if n is None else m for n, m in zip(size, out, strict=True))

    def compute_output_shape(self, input_shape):
        """The shape of the outputs, `None` where it is unknown."""
        return self._shape_with(input_shape, self.filters)


class Conv1DTranspose(TransposedConvolution):
    """Transposed convolution over one spatial or temporal axis; see `TransposedConvolution`.

    Example:
        >>> from distkeras import ops
        >>> Conv1DTranspose(8, 3, strides=2, padding="same")(ops.zeros((2, 10, 4))).shape
        (2, 20, 8)
    """

    rank = 1


class Conv2DTranspose(TransposedConvolution):
    """Transposed convolution over images; see `TransposedConvolution` for the arguments.

    Example:
        >>> from distkeras import ops
        >>> Conv2DTranspose(8, 3, strides=2)(ops.zeros((2, 4, 5, 3))).shape
        (2, 9, 11, 8)
    """

    rank = 2


class Conv3DTranspose(TransposedConvolution):
    """Transposed convolution over volumes; see `TransposedConvolution` for the arguments.

    By position `data_format` comes before `output_padding` here, as in Keras.

    Example:
        >>> from distkeras import ops
        >>> Conv3DTranspose(8, 2, strides=2)(ops.zeros((2, 2, 2, 2, 3))).shape
        (2, 4, 4, 4, 8)
    """

    rank = 3

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        output_padding: Any = None,
        dilation_rate: Any = 1,
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
        super().__init__(**given(locals()), **kwargs)
