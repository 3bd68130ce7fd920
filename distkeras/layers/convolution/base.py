"""What all convolutional layers share: the window, the layout, the bias and the activation."""

from typing import Any, ClassVar

from distkeras import config, ops
from distkeras.engine.windows import open_output_size
from distkeras.errors import ArgumentError, ShapeError
from distkeras.layers.arguments import arguments_of, known_size, refuse, set_arguments
from distkeras.layers.input_spec import InputSpec
from distkeras.layers.layer import Layer
from distkeras.utils.arguments import int_tuple, padding_name

__all__ = ["Convolution"]

_SHARED = "kernel_size strides padding data_format dilation_rate activation use_bias"


class Convolution(Layer):
    """The base of the families.

    Attributes:
        rank: the number of spatial axes, set by the public layers.
        settings: names of a family's own arguments, for the configuration.
        parts: for each weight the prefix of its arguments `*_initializer`, `*_regularizer` and
            `*_constraint`.
        causal: whether `padding="causal"` is possible.
    """

    rank: ClassVar[int]
    settings: ClassVar[str] = ""
    parts: ClassVar[tuple[str, ...]] = ("kernel", "bias")
    causal: ClassVar[bool] = False

    def __init__(
        self,
        *,
        kernel_size: Any,
        strides: Any,
        padding: str,
        data_format: str | None,
        dilation_rate: Any,
        activation: Any,
        use_bias: bool,
        tools: dict[str, Any],
        lora_rank: Any = None,
        lora_alpha: Any = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        refuse(
            self,
            lora_rank=lora_rank,
            lora_alpha=lora_alpha,
            quantization_config=quantization_config,
        )
        self.kernel_size = int_tuple(kernel_size, self.rank, "kernel_size")
        self.strides = int_tuple(strides, self.rank, "strides")
        self.dilation_rate = int_tuple(dilation_rate, self.rank, "dilation_rate")
        self.padding = padding_name(padding, causal=self.causal)
        self.data_format = config.standardize_data_format(data_format)
        self.use_bias = use_bias
        set_arguments(self, activation=activation, **tools)
        self.input_spec = InputSpec(min_ndim=self.rank + 2)
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ArgumentError(
                "`strides > 1` is not supported together with `dilation_rate > 1`. Received: "
                f"strides={self.strides} and dilation_rate={self.dilation_rate}"
            )

    @property
    def _channel_axis(self) -> int:
        return -1 if self.data_format == "channels_last" else 1

    def _channels(self, input_shape) -> int:
        """The number of input channels."""
        if len(input_shape) != self.rank + 2:
            raise ShapeError(
                f"{type(self).__name__} expects inputs with {self.rank + 2} axes: the batch, "
                f"{self.rank} spatial axes and the channels. Received: input_shape={input_shape}"
            )
        return known_size(self, input_shape, self._channel_axis)

    def _fix_channels(self, input_shape) -> int:
        """The number of input channels, which from now on is demanded of every input."""
        channels = self._channels(input_shape)
        self.input_spec = InputSpec(min_ndim=self.rank + 2, axes={self._channel_axis: channels})
        self.compute_output_shape(input_shape)  # complains about windows that do not fit
        return channels

    def _add(self, name: str, shape: tuple[int, ...], part: str):
        return self.add_weight(
            name=name,
            shape=shape,
            initializer=getattr(self, f"{part}_initializer"),
            regularizer=getattr(self, f"{part}_regularizer"),
            constraint=getattr(self, f"{part}_constraint"),
        )

    def _add_bias(self, filters: int) -> None:
        self.bias = self._add("bias", (filters,), "bias") if self.use_bias else None

    def _finish(self, outputs):
        """The bias added and the activation applied."""
        if self.use_bias:
            bias = self.bias
            if self.data_format == "channels_first":
                bias = ops.reshape(bias, (1, bias.shape[0], *(1,) * self.rank))
            outputs = ops.add(outputs, bias)
        return outputs if self.activation is None else self.activation(outputs)

    def _shape_with(self, input_shape, filters: int):
        """The output's shape for a number of output channels."""
        if len(input_shape) != self.rank + 2:
            self._channels(input_shape)  # which explains
        if self.data_format == "channels_last":
            return (input_shape[0], *self._output_size(tuple(input_shape[1:-1])), filters)
        return (input_shape[0], filters, *self._output_size(tuple(input_shape[2:])))

    def _output_size(self, size):
        return open_output_size(
            size, self.kernel_size, self.strides, self.padding, self.dilation_rate
        )

    def get_config(self) -> dict:
        """The arguments from which the layer can be made again."""
        tools = [
            f"{p}_{k}" for p in self.parts for k in ("initializer", "regularizer", "constraint")
        ]
        names = " ".join((self.settings, _SHARED, *tools, "activity_regularizer"))
        return {**super().get_config(), **arguments_of(self, names)}
