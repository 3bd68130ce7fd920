"""Convolution over one to three spatial axes, channels last, and its two gradients.

The layouts are `x: (n, *size, channels)`, `w: (*kernel, channels // groups, filters)` and
`y: (n, *out, filters)`. All three are linear in each input and each other's derivatives:

- `conv(x, w)`; its derivatives are `conv_input_grad(g, w)`, which is also the transposed
  convolution, and `conv_weight_grad(x, g)`;
- so any derivative of any of them is one of the three again, and second derivatives need nothing
  more.

How they compute: windows are copied into a matrix of columns in pieces that stay in the cache, and
multiplied (im2col; Chellapilla et al. 2006, "High Performance Convolutional Neural Networks for
Document Processing"). The input gradient multiplies once for each element of the window and adds
the product where it was read; from 3 channels up this measured 20 to 40 % faster on a CPU than a
matrix of columns that is added up. A convolution of each channel by itself has no matrix product;
it is a sum over the window's elements.

Half precision is computed in float32.
"""

import functools
import math

import numpy as np

from distkeras.engine import batch
from distkeras.engine.primitive import primitive
from distkeras.engine.windows import output_size, taps, tiles, window_view
from distkeras.errors import ShapeError

# Bytes of columns and products that are worked on at once: half of a usual L2 cache; on a GPU what
# fills it with work.
_CPU_TILE = 1 << 19
_GPU_TILE = 1 << 28
# Columns whose contiguous runs are shorter than this are laid out with the windows' elements first.
_SHORT_RUN = 12


@functools.lru_cache(maxsize=4096)
def _check(size, channels, w_shape, strides, padding, dilation, groups) -> tuple[int, ...]:
    """The spatial shape of the output."""
    rank = len(size)
    if len(w_shape) != rank + 2 or not 1 <= rank <= 3:
        raise ShapeError(
            f"A convolution over {rank} spatial axes (1 to 3 are possible) needs a kernel of "
            f"{rank + 2} axes, got "
            f"{w_shape}."
        )
    for name, value in (("strides", strides), ("padding", padding), ("dilation", dilation)):
        if len(value) != rank:
            raise ShapeError(
                f"`{name}` needs a value for each of {rank} spatial axes, got {value}."
            )
    inner, filters = w_shape[-2:]
    if groups < 1 or inner * groups != channels or filters % groups:
        raise ShapeError(
            f"A kernel of shape {w_shape} in {groups} group(s) takes {inner * groups} channels "
            f"and a number of filters "
            f"that the groups divide; the input has {channels} channels."
        )
    return output_size(size, w_shape[:-2], strides, padding, dilation)


def _half(x) -> bool:
    return x.dtype.itemsize == 2 and x.dtype.kind not in "iu"


def _limit(xp) -> int:
    return _CPU_TILE if xp is np else _GPU_TILE


def _is_pointwise(kernel, strides, padding, groups) -> bool:
    """Whether the convolution is a matrix product as it stands."""
    ones = (1,) * len(kernel)
    return kernel == ones and strides == ones and groups == 1 and not any(map(any, padding))


def _is_depthwise(w_shape, groups) -> bool:
    return groups > 1 and w_shape[-2] == 1


def _by_group(rows, groups):
    """`(..., groups * c)`, contiguous, as a view `(groups, rows, c)`."""
    return rows.reshape(-1, groups, rows.shape[-1] // groups).transpose(1, 0, 2)


def _product(xp, a, b, out=None):
    """The groups' matrix products; a single one is plain, for which CuPy copies less."""
    if a.shape[0] > 1:
        return xp.matmul(a, b, out=out)
    return xp.matmul(a[0], b[0], out=None if out is None else out[0])[None]


def _padded(xp, x, padding, buffer):
    """`x` in the middle of a buffer of zeros, which is made where it does not fit."""
    if not any(low or high > 0 for low, high in padding):
        return x, buffer
    n, *size, channels = x.shape
    if buffer is None or buffer.shape[0] < n:
        outer = [d + low + max(high, 0) for d, (low, high) in zip(size, padding, strict=True)]
        buffer = xp.zeros((n, *outer, channels), x.dtype)
    inner = (slice(low, low + d) for d, (low, _) in zip(size, padding, strict=True))
    buffer[(slice(0, n), *inner)] = x
    return buffer[:n], buffer


def _columns(xp, x, out, kernel, filters, strides, padding, dilation, groups):
    """Pieces of the matrix of windows: `(index into the output, (groups, rows, elements of a
    window))`.

    A piece lives until the next one is asked for.
    """
    n, channels = x.shape[0], x.shape[-1]
    inner = channels // groups
    per_sample = math.prod(out) * (math.prod(kernel) * channels + filters) * x.dtype.itemsize
    run = inner * (kernel[-1] if dilation[-1] == 1 and groups == 1 else 1)
    rank = len(kernel)
    positions, elements = range(1 + rank), range(1 + rank, 1 + 2 * rank)
    group_axis, channel_axis = 1 + 2 * rank, 2 + 2 * rank
    first_elements = xp is np and run < _SHORT_RUN
    if first_elements:
        order = (group_axis, *elements, channel_axis, *positions)
    else:
        order = (group_axis, *positions, *elements, channel_axis)
    buffer, filled, padded = None, None, None
    for samples, rows in tiles(n, out[0], per_sample, _limit(xp)):
        if filled != samples:
            source, padded = _padded(xp, x[samples], padding, padded)
            filled = samples
        begin = rows.start * strides[0]
        view = window_view(
            xp,
            source[:, begin:],
            (rows.stop - rows.start, *out[1:]),
            kernel,
            strides,
            dilation,
            groups,
        ).transpose(order)
        if buffer is None:
            buffer = xp.empty(view.size, x.dtype)
        columns = buffer[: view.size].reshape(view.shape)
        columns[...] = view
        width = math.prod(kernel) * inner
        if first_elements:
            columns = columns.reshape(groups, width, -1).transpose(0, 2, 1)
        else:
            columns = columns.reshape(groups, -1, width)
        yield (samples, rows), columns


# --- the convolution ------------------------------------------------------------------------------


def _conv_shape(x, w, *, strides, padding, dilation, groups):
    out = _check(x.shape[1:-1], x.shape[-1], w.shape, strides, padding, dilation, groups)
    return (x.shape[0], *out, w.shape[-1]), x._np_dtype


def _conv_vjp(e, g):
    x, w = e.x
    return (
        conv_input_grad(g, w, size=e.shapes[0][1:-1], **e.params) if e.needs[0] else None,
        conv_weight_grad(x, g, kernel=e.shapes[1][:-2], **e.params) if e.needs[1] else None,
    )


@primitive("conv", shape=_conv_shape, batch=batch.first, vjp=_conv_vjp, saves="x")
def conv(xp, x, w, *, strides, padding, dilation, groups):
    if _half(x):
        x32, w32 = x.astype("float32"), w.astype("float32")
        y = conv.run(
            xp, x32, w32, strides=strides, padding=padding, dilation=dilation, groups=groups
        )
        return y.astype(x.dtype)
    out = _check(x.shape[1:-1], x.shape[-1], w.shape, strides, padding, dilation, groups)
    n, channels, kernel, filters = x.shape[0], x.shape[-1], w.shape[:-2], w.shape[-1]
    if _is_pointwise(kernel, strides, padding, groups):
        product = xp.matmul(x.reshape(-1, channels), w.reshape(channels, filters))
        return product.reshape(n, *out, filters)
    if _is_depthwise(w.shape, groups):
        return _depthwise(xp, x, w, out, strides, padding, dilation)
    y = xp.empty((n, *out, filters), x.dtype)
    weights = xp.ascontiguousarray(_by_group(w.reshape(-1, filters), groups))
    for place, columns in _columns(xp, x, out, kernel, filters, strides, padding, dilation, groups):
        _product(xp, columns, weights, out=_by_group(y[place], groups))
    return y


def _depthwise(xp, x, w, out, strides, padding, dilation):
    filters, multiplier = w.shape[-1], w.shape[-1] // x.shape[-1]
    y = xp.zeros((x.shape[0], *out, filters), x.dtype)
    weights = w.reshape(-1, filters)
    reads = taps(x.shape[1:-1], out, w.shape[:-2], strides, padding, dilation)
    product = None
    for samples, _ in tiles(
        x.shape[0], 1, 3 * math.prod(y.shape[1:]) * x.dtype.itemsize, _limit(xp)
    ):
        source = x[samples] if multiplier == 1 else xp.repeat(x[samples], multiplier, axis=-1)
        target = y[samples]
        if product is None:
            product = xp.empty_like(target)
        for number, take, put in reads:
            part = product[: target.shape[0]][put]
            xp.multiply(source[take], weights[number], out=part)
            target[put] += part
    return y


# --- the gradient of the input --------------------------------------------------------------------


def _input_grad_check(g, w, size, strides, padding, dilation, groups):
    out = _check(size, w.shape[-2] * groups, w.shape, strides, padding, dilation, groups)
    if g.shape[1:] != (*out, w.shape[-1]):
        raise ShapeError(
            f"The input gradient of a convolution to {(*out, w.shape[-1])} needs a cotangent of "
            f"that shape, got "
            f"{g.shape[1:]}."
        )
    return out


def _input_grad_shape(g, w, *, size, strides, padding, dilation, groups):
    _input_grad_check(g, w, size, strides, padding, dilation, groups)
    return (g.shape[0], *size, w.shape[-2] * groups), g._np_dtype


def _input_grad_vjp(e, h):
    g, w = e.x
    params = {k: v for k, v in e.params.items() if k != "size"}
    return (
        conv(h, w, **params) if e.needs[0] else None,
        conv_weight_grad(h, g, kernel=e.shapes[1][:-2], **params) if e.needs[1] else None,
    )


@primitive(
    "conv_input_grad", shape=_input_grad_shape, batch=batch.first, vjp=_input_grad_vjp, saves="x"
)
def conv_input_grad(xp, g, w, *, size, strides, padding, dilation, groups):
    if _half(g):
        x = conv_input_grad.run(
            xp, g.astype("float32"), w.astype("float32"), size=size, strides=strides,
            padding=padding, dilation=dilation, groups=groups,
        )  # fmt: skip
        return x.astype(g.dtype)
    out = _input_grad_check(g, w, size, strides, padding, dilation, groups)
    n, kernel, inner, filters = g.shape[0], w.shape[:-2], w.shape[-2], w.shape[-1]
    channels = inner * groups
    if _is_pointwise(kernel, strides, padding, groups):
        product = xp.matmul(g.reshape(-1, filters), w.reshape(channels, filters).T)
        return product.reshape(n, *size, channels)
    writes = taps(size, out, kernel, strides, padding, dilation)
    if _is_depthwise(w.shape, groups):
        return _depthwise_input_grad(xp, g, w, size, groups, writes)
    x = xp.zeros((n, *size, channels), g.dtype)
    # (elements, groups, filters of a group, channels of a group)
    weights = w.reshape(-1, inner, groups, filters // groups).transpose(0, 2, 3, 1)
    weights = xp.ascontiguousarray(weights)
    per_sample = (math.prod(out) * (filters + channels) + math.prod(x.shape[1:])) * g.dtype.itemsize
    product = None
    for samples, _ in tiles(n, 1, per_sample, _limit(xp)):
        cotangent, target = g[samples], x[samples]
        rows = _by_group(cotangent, groups)
        if product is None:
            product = xp.empty((*cotangent.shape[:-1], channels), g.dtype)
        part = product[: cotangent.shape[0]]
        by_group = _by_group(part, groups)
        for number, put, take in writes:
            _product(xp, rows, weights[number], out=by_group)
            target[put] += part[take]
    return x


def _depthwise_input_grad(xp, g, w, size, groups, writes):
    x = xp.zeros((g.shape[0], *size, groups), g.dtype)
    filters, multiplier = w.shape[-1], w.shape[-1] // groups
    weights = w.reshape(-1, filters)
    product = None
    for samples, _ in tiles(
        g.shape[0], 1, 3 * math.prod(g.shape[1:]) * g.dtype.itemsize, _limit(xp)
    ):
        cotangent, target = g[samples], x[samples]
        if product is None:
            product = xp.empty_like(cotangent)
        for number, put, take in writes:
            part = product[: cotangent.shape[0]][take]
            xp.multiply(cotangent[take], weights[number], out=part)
            if multiplier > 1:
                part = part.reshape(*part.shape[:-1], groups, multiplier).sum(axis=-1)
            target[put] += part
    return x


# --- the gradient of the kernel -------------------------------------------------------------------


def _weight_grad_shape(x, g, *, kernel, strides, padding, dilation, groups):
    w_shape = (*kernel, x.shape[-1] // max(groups, 1), g.shape[-1])
    out = _check(x.shape[1:-1], x.shape[-1], w_shape, strides, padding, dilation, groups)
    if g.shape != (x.shape[0], *out, g.shape[-1]):
        raise ShapeError(
            f"The kernel gradient of a convolution of {x.shape} needs a cotangent of shape "
            f"{(x.shape[0], *out, g.shape[-1])}, got {g.shape}."
        )
    return w_shape, x._np_dtype


def _weight_grad_batch(axes, shapes, params, out_shape):
    return batch.REDUCED if tuple(axes) == (0, 0) else batch.MIXED


def _weight_grad_vjp(e, v):
    x, g = e.x
    params = {k: p for k, p in e.params.items() if k != "kernel"}
    return (
        conv_input_grad(g, v, size=e.shapes[0][1:-1], **params) if e.needs[0] else None,
        conv(x, v, **params) if e.needs[1] else None,
    )


@primitive(
    "conv_weight_grad",
    shape=_weight_grad_shape,
    batch=_weight_grad_batch,
    vjp=_weight_grad_vjp,
    saves="x",
)
def conv_weight_grad(xp, x, g, *, kernel, strides, padding, dilation, groups):
    if _half(x):
        w = conv_weight_grad.run(
            xp, x.astype("float32"), g.astype("float32"), kernel=kernel, strides=strides,
            padding=padding, dilation=dilation, groups=groups,
        )  # fmt: skip
        return w.astype(x.dtype)
    channels, filters = x.shape[-1], g.shape[-1]
    w_shape = (*kernel, channels // groups, filters)
    out = _check(x.shape[1:-1], channels, w_shape, strides, padding, dilation, groups)
    if g.shape[:-1] != (x.shape[0], *out):
        raise ShapeError(f"A cotangent of shape {g.shape} is not of {(x.shape[0], *out, filters)}.")
    if _is_pointwise(kernel, strides, padding, groups):
        return xp.matmul(x.reshape(-1, channels).T, g.reshape(-1, filters)).reshape(w_shape)
    if _is_depthwise(w_shape, groups):
        return _depthwise_weight_grad(xp, x, g, w_shape, out, strides, padding, dilation)
    width = math.prod(w_shape[:-1])
    total = xp.zeros((groups, width, filters // groups), x.dtype)
    for place, columns in _columns(xp, x, out, kernel, filters, strides, padding, dilation, groups):
        total += _product(xp, columns.transpose(0, 2, 1), _by_group(g[place], groups))
    return xp.ascontiguousarray(total.transpose(1, 0, 2)).reshape(w_shape)


def _depthwise_weight_grad(xp, x, g, w_shape, out, strides, padding, dilation):
    filters, multiplier = w_shape[-1], w_shape[-1] // x.shape[-1]
    w = xp.zeros((math.prod(w_shape[:-2]), filters), x.dtype)
    reads = taps(x.shape[1:-1], out, w_shape[:-2], strides, padding, dilation)
    over = tuple(range(g.ndim - 1))
    for samples, _ in tiles(
        x.shape[0], 1, 3 * math.prod(g.shape[1:]) * x.dtype.itemsize, _limit(xp)
    ):
        source = x[samples] if multiplier == 1 else xp.repeat(x[samples], multiplier, axis=-1)
        cotangent = g[samples]
        for number, take, put in reads:
            w[number] += (source[take] * cotangent[put]).sum(axis=over)
    return w.reshape(w_shape)
