"""Convolution and pooling with Keras's signatures, over the engine's channels-last primitives.

A layout with the channels first is turned around before and after.
"""

from distkeras import config
from distkeras.engine import dtypes
from distkeras.engine import primitives as P
from distkeras.engine.windows import explicit_padding, transposed_size
from distkeras.errors import ArgumentError, ShapeError
from distkeras.ops.core import as_tensor, cast
from distkeras.ops.promotion import promote
from distkeras.ops.symbolic import op
from distkeras.utils.arguments import int_tuple, padding_name

__all__ = [
    "average_pool",
    "conv",
    "conv_transpose",
    "depthwise_conv",
    "max_pool",
    "separable_conv",
]


def _channels_last(inputs, data_format):
    """The input with its channels last, the number of spatial axes, and the way back."""
    first = config.standardize_data_format(data_format) == "channels_first"
    rank = len(inputs.shape) - 2
    if not 1 <= rank <= 3:
        raise ShapeError(
            "Expected inputs with a batch axis, 1 to 3 spatial axes and a channel axis. "
            f"Received: inputs.shape={inputs.shape}"
        )
    if not first:
        return inputs, rank, lambda y: y
    inwards = (0, *range(2, rank + 2), 1)
    outwards = (0, rank + 1, *range(1, rank + 1))
    return P.transpose(inputs, axes=inwards), rank, lambda y: P.transpose(y, axes=outwards)


def _check_kernel(kernel, rank: int, name: str = "kernel") -> None:
    if len(kernel.shape) != rank + 2:
        raise ShapeError(
            f"For inputs with {rank} spatial axes `{name}` must have {rank + 2} axes. "
            f"Received: {name}.shape={kernel.shape}"
        )


def _convolve(x, kernel, strides, padding, dilation_rate, groups):
    """A convolution, channels last, of tensors of one dtype."""
    size, window = x.shape[1:-1], kernel.shape[:-2]
    strides = int_tuple(strides, len(size), "strides")
    dilation = int_tuple(dilation_rate, len(size), "dilation_rate")
    name = padding_name(padding, causal=len(size) == 1)
    pairs = explicit_padding(name, size, window, strides, dilation)
    return P.conv(x, kernel, strides=strides, padding=pairs, dilation=dilation, groups=groups)


@op
def conv(inputs, kernel, strides=1, padding="valid", data_format=None, dilation_rate=1):
    """Convolution over 1 to 3 spatial axes (as in neural networks: the kernel is not flipped).

    Args:
        inputs: `(batch, *size, channels)`, or `(batch, channels, *size)` for `"channels_first"`.
        kernel: `(*window, channels of a group, filters)`. Where it takes fewer channels than the
            inputs have, these are convolved in as many groups.
        strides: a step between windows, an int or one for each spatial axis, default 1.
        padding: `"valid"`, `"same"` (an odd zero goes to the end), or, for one spatial axis,
            `"causal"`.
        data_format: the layout, default `keras.config.image_data_format()`.
        dilation_rate: the distance between a window's elements, default 1.

    Returns:
        A tensor `(batch, *out, filters)`, or `(batch, filters, *out)`.

    Raises:
        ShapeError: where kernel and inputs do not fit.

    Example:
        >>> import numpy as np
        >>> conv(np.ones((1, 4, 4, 3)), np.ones((3, 3, 3, 8)), padding="same").shape
        (1, 4, 4, 8)
    """
    inputs, kernel = promote(inputs, kernel)
    x, rank, back = _channels_last(inputs, data_format)
    _check_kernel(kernel, rank)
    channels, taken = x.shape[-1], kernel.shape[-2]
    if taken == 0 or channels % taken:
        raise ShapeError(
            "The number of input channels must be a multiple of the channels that the kernel "
            f"takes. Received: inputs.shape={inputs.shape}, kernel.shape={kernel.shape}"
        )
    return back(_convolve(x, kernel, strides, padding, dilation_rate, channels // taken))


@op
def depthwise_conv(inputs, kernel, strides=1, padding="valid", data_format=None, dilation_rate=1):
    """A convolution of each channel by itself.

    Args:
        inputs: as for `conv`.
        kernel: `(*window, channels, multiplier)`: each channel becomes `multiplier` channels.
        strides, padding, data_format, dilation_rate: as for `conv`.

    Returns:
        A tensor with `channels * multiplier` channels.

    Example:
        >>> import numpy as np
        >>> depthwise_conv(np.ones((1, 5, 3)), np.ones((2, 3, 2))).shape
        (1, 4, 6)
    """
    inputs, kernel = promote(inputs, kernel)
    x, _, back = _channels_last(inputs, data_format)
    return back(_depthwise(x, kernel, strides, padding, dilation_rate))


def _depthwise(x, kernel, strides, padding, dilation_rate):
    _check_kernel(kernel, len(x.shape) - 2)
    *window, channels, multiplier = kernel.shape
    if channels != x.shape[-1]:
        raise ShapeError(
            f"A depthwise kernel of shape {kernel.shape} takes {channels} channels; the inputs "
            f"have {x.shape[-1]}."
        )
    kernel = P.reshape(kernel, shape=(*window, 1, channels * multiplier))
    return _convolve(x, kernel, strides, padding, dilation_rate, channels)


@op
def separable_conv(
    inputs,
    depthwise_kernel,
    pointwise_kernel,
    strides=1,
    padding="valid",
    data_format=None,
    dilation_rate=1,
):
    """A depthwise convolution and a pointwise one, which mixes the channels.

    Args:
        inputs: as for `conv`.
        depthwise_kernel: `(*window, channels, multiplier)`.
        pointwise_kernel: `(1, ..., channels * multiplier, filters)`.
        strides, padding, data_format, dilation_rate: as for `conv`, of the depthwise convolution.

    Returns:
        A tensor with `filters` channels.

    Example:
        >>> import numpy as np
        >>> x = np.ones((1, 5, 3))
        >>> separable_conv(x, np.ones((2, 3, 2)), np.ones((1, 6, 4))).shape
        (1, 4, 4)
    """
    inputs, depthwise_kernel = promote(inputs, depthwise_kernel)
    pointwise_kernel = cast(pointwise_kernel, inputs.dtype)
    x, rank, back = _channels_last(inputs, data_format)
    _check_kernel(pointwise_kernel, rank, "pointwise_kernel")
    x = _depthwise(x, depthwise_kernel, strides, padding, dilation_rate)
    return back(_convolve(x, pointwise_kernel, 1, "valid", 1, 1))


def check_output_padding(output_padding: tuple[int, ...], strides: tuple[int, ...]) -> None:
    """Refuse an `output_padding` for which the transposed convolution has no inverse.

    Raises:
        ArgumentError: where it reaches `strides` on an axis.
    """
    if any(extra >= stride for extra, stride in zip(output_padding, strides, strict=True)):
        raise ArgumentError(
            "`output_padding` must be less than `strides` for each spatial axis. "
            f"Received: output_padding={output_padding}, strides={strides}"
        )


@op
def conv_transpose(
    inputs,
    kernel,
    strides=1,
    padding="valid",
    output_padding=None,
    data_format=None,
    dilation_rate=1,
):
    """The transpose of a convolution: each input element adds a whole window to the output.

    Args:
        inputs: as for `conv`.
        kernel: `(*window, filters, channels)`.
        strides: a step between the windows, default 1.
        padding: `"valid"` or `"same"`; with `"same"` the output has `size * strides` positions.
        output_padding: positions added to the least output that the arguments allow, an int or one
            for each spatial axis, default as many as `padding` says.
        data_format: the layout, default `keras.config.image_data_format()`.
        dilation_rate: the distance between a window's elements, default 1.

    Returns:
        A tensor with `filters` channels. Where `padding` cuts an uneven number of positions, they
        are cut as Keras's TensorFlow and JAX backends do.

    Example:
        >>> import numpy as np
        >>> conv_transpose(np.ones((1, 4, 3)), np.ones((3, 8, 3)), 2, "same").shape
        (1, 8, 8)
    """
    inputs, kernel = promote(inputs, kernel)
    x, rank, back = _channels_last(inputs, data_format)
    _check_kernel(kernel, rank)
    if kernel.shape[-1] != x.shape[-1]:
        raise ShapeError(
            f"A transposed convolution's kernel of shape {kernel.shape} takes {kernel.shape[-1]} "
            f"channels; the inputs have {x.shape[-1]}."
        )
    window = kernel.shape[:-2]
    strides = int_tuple(strides, rank, "strides")
    dilation = int_tuple(dilation_rate, rank, "dilation_rate")
    name = padding_name(padding)
    extra = None
    if output_padding is not None:
        extra = int_tuple(output_padding, rank, "output_padding", least=0)
        check_output_padding(extra, strides)
    size, pairs = transposed_size(x.shape[1:-1], window, strides, dilation, name, extra)
    y = P.conv_input_grad(
        x, kernel, size=size, strides=strides, padding=pairs, dilation=dilation, groups=1
    )
    return back(y)


def _pool(primitive, inputs, pool_size, strides, padding, data_format):
    x, rank, back = _channels_last(inputs, data_format)
    window = int_tuple(pool_size, rank, "pool_size")
    strides = window if strides is None else int_tuple(strides, rank, "strides")
    name = padding_name(padding)
    pairs = explicit_padding(name, x.shape[1:-1], window, strides, (1,) * rank)
    return back(primitive(x, window=window, strides=strides, padding=pairs))


@op
def max_pool(inputs, pool_size, strides=None, padding="valid", data_format=None):
    """The largest element of each window.

    Args:
        inputs: `(batch, *size, channels)`, or `(batch, channels, *size)` for `"channels_first"`.
        pool_size: the window, an int or one for each spatial axis.
        strides: a step between windows, default `pool_size`.
        padding: `"valid"` or `"same"`.
        data_format: the layout, default `keras.config.image_data_format()`.

    Returns:
        A tensor of the dtype of the inputs. The gradient goes to the first of equal elements.

    Example:
        >>> max_pool([[[1.0], [3.0], [2.0]]], 2, strides=1).tolist()
        [[[3.0], [3.0]]]
    """
    return _pool(P.max_pool, as_tensor(inputs), pool_size, strides, padding, data_format)


@op
def average_pool(inputs, pool_size, strides=None, padding="valid", data_format=None):
    """The mean of each window, in which padding does not count.

    Args:
        inputs, pool_size, strides, padding, data_format: as for `max_pool`.

    Returns:
        A tensor of a float dtype.

    Example:
        >>> average_pool([[[1.0], [3.0], [2.0]]], 2, padding="same").tolist()
        [[[2.0], [2.0]]]
    """
    inputs = as_tensor(inputs)
    if not dtypes.is_float(inputs.dtype):
        inputs = cast(inputs, config.floatx())
    return _pool(P.avg_pool, inputs, pool_size, strides, padding, data_format)
