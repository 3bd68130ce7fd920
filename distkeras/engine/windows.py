"""Windows that slide over the spatial axes: what convolution and pooling share.

Everything is plain integer arithmetic on tuples, one element for each spatial axis. A window's
element `j` along an axis reads the input at `o * stride + j * dilation - low` for the output
position `o`, where `low` zeros were put before the input.
"""

import functools
import itertools
import math
from collections.abc import Iterator

from distkeras.errors import ArgumentError, ShapeError

__all__ = [
    "explicit_padding",
    "open_output_size",
    "output_size",
    "span",
    "taps",
    "tiles",
    "transposed_size",
    "window_view",
]

Pairs = tuple[tuple[int, int], ...]


def span(kernel: int, dilation: int) -> int:
    """How many input positions a window reaches over.

    Example:
        >>> span(3, 2)
        5
    """
    return (kernel - 1) * dilation + 1


def explicit_padding(
    padding: str,
    size: tuple[int, ...],
    kernel: tuple[int, ...],
    strides: tuple[int, ...],
    dilation: tuple[int, ...],
) -> Pairs:
    """The number of zeros before and after each spatial axis.

    `"valid"` puts none. `"same"` makes `ceil(size / stride)` windows and puts an odd zero at the
    end (TensorFlow's rule, "SAME" in `tf.nn.convolution`). `"causal"` puts all zeros first, so that
    no output sees a later input.

    Args:
        padding: `"valid"`, `"same"` or `"causal"`.
        size, kernel, strides, dilation: tuples of one length.

    Returns:
        A pair for each axis.

    Raises:
        ArgumentError: for another name.

    Example:
        >>> explicit_padding("same", (5, 6), (2, 3), (1, 2), (1, 1))
        ((0, 1), (0, 1))
    """
    if padding == "valid":
        return ((0, 0),) * len(size)
    if padding == "causal":
        return tuple((span(k, d) - 1, 0) for k, d in zip(kernel, dilation, strict=True))
    if padding != "same":
        raise ArgumentError(
            f"`padding` must be 'valid', 'same' or 'causal' (1D convolution only), got {padding!r}."
        )
    pairs = []
    for n, k, s, d in zip(size, kernel, strides, dilation, strict=True):
        total = max(0, (-(-n // s) - 1) * s + span(k, d) - n)
        pairs.append((total // 2, total - total // 2))
    return tuple(pairs)


@functools.lru_cache(maxsize=4096)
def output_size(
    size: tuple[int, ...],
    kernel: tuple[int, ...],
    strides: tuple[int, ...],
    padding: Pairs,
    dilation: tuple[int, ...],
) -> tuple[int, ...]:
    """The number of windows along each axis.

    Raises:
        ShapeError: where not even one window fits.

    Example:
        >>> output_size((7, 7), (3, 3), (2, 1), ((0, 0), (1, 1)), (1, 1))
        (3, 7)
    """
    out = []
    for n, k, s, (low, high), d in zip(size, kernel, strides, padding, dilation, strict=True):
        count = (n + low + high - span(k, d)) // s + 1
        if count <= 0:
            raise ShapeError(
                "Computed output size would be zero or negative: a window of "
                f"{kernel} (dilation {dilation}) does not fit into a spatial shape of {size} "
                f"padded by {padding}. Use a smaller window, or padding='same'."
            )
        out.append(count)
    return tuple(out)


def open_output_size(
    size: tuple[int | None, ...],
    kernel: tuple[int, ...],
    strides: tuple[int, ...],
    padding: str,
    dilation: tuple[int, ...],
) -> tuple[int | None, ...]:
    """The number of windows along each axis by the padding's name; unknown for an unknown size.

    Raises:
        ShapeError: where not even one window fits.

    Example:
        >>> open_output_size((None, 7), (3, 3), (1, 2), "same", (1, 1))
        (None, 4)
    """
    # Where a size is unknown, that of one window stands in for it, so that the others are checked.
    known = tuple(
        span(k, d) if n is None else n for n, k, d in zip(size, kernel, dilation, strict=True)
    )
    pairs = explicit_padding(padding, known, kernel, strides, dilation)
    counts = output_size(known, kernel, strides, pairs, dilation)
    return tuple(None if n is None else count for n, count in zip(size, counts, strict=True))


def transposed_size(
    size: tuple[int, ...],
    kernel: tuple[int, ...],
    strides: tuple[int, ...],
    dilation: tuple[int, ...],
    padding: str,
    output_padding: tuple[int, ...] | None,
) -> tuple[tuple[int, ...], Pairs]:
    """The result of a transposed convolution: its spatial shape, and the padding of the convolution
    that it transposes.

    With `"same"` the result has `size * stride` positions, with `"valid"` every input position
    contributes its whole window; `output_padding` sets the positions beyond the least size instead
    (Keras's rule, the one of its TensorFlow and JAX backends).

    Example:
        >>> transposed_size((4,), (3,), (2,), (1,), "same", None)
        ((8,), ((0, 1),))
    """
    if padding not in ("valid", "same"):
        raise ArgumentError(f"`padding` must be 'valid' or 'same', got {padding!r}.")
    sizes, pairs = [], []
    extra = output_padding or (None,) * len(size)
    for n, k, s, d, more in zip(size, kernel, strides, dilation, extra, strict=True):
        reach = span(k, d)
        if padding == "valid":
            low, result = 0, (n - 1) * s + reach + (max(s - reach, 0) if more is None else more)
        else:
            # `total` zeros are put around the input spread by the stride, the odd one first.
            total = s + reach - 2 if more is None else reach + reach % 2 - 2 + more
            before = min(total - total // 2, reach - 1)
            low, result = reach - 1 - before, (n - 1) * s + 2 - reach + total
        if result <= 0:
            raise ShapeError(
                f"The transposed convolution of a spatial shape {size} by a kernel of {kernel}, "
                f"strides {strides}, "
                f"dilation {dilation} and padding '{padding}' would be empty."
            )
        sizes.append(result)
        pairs.append((low, (n - 1) * s + reach - result - low))
    return tuple(sizes), tuple(pairs)


@functools.lru_cache(maxsize=1024)
def taps(
    size: tuple[int, ...],
    out: tuple[int, ...],
    kernel: tuple[int, ...],
    strides: tuple[int, ...],
    padding: Pairs,
    dilation: tuple[int, ...],
) -> tuple[tuple[int, tuple, tuple], ...]:
    """For each element of the window: its number, the inputs it reads, and the outputs it
    contributes to.

    Both are index tuples behind the batch axis; what padding covers is left out. The order is that
    of the window's elements, row by row; elements that only ever see padding are missing.

    Example:
        >>> taps((3,), (3,), (2,), (1,), ((0, 1),), (1,))[1]
        (1, (slice(None, None, None), slice(1, 3, 1)), (slice(None, None, None), slice(0, 2, None)))
    """
    per_axis = []
    for n, o, k, s, (low, _), d in zip(size, out, kernel, strides, padding, dilation, strict=True):
        found: list[tuple[slice, slice] | None] = []
        for j in range(k):
            shift = j * d - low
            first, last = max(0, -(shift // s)), min(o, (n - 1 - shift) // s + 1)
            if first >= last:
                found.append(None)
                continue
            start = first * s + shift
            found.append((slice(start, start + (last - first - 1) * s + 1, s), slice(first, last)))
        per_axis.append(found)
    everything = []
    for number, choice in enumerate(itertools.product(*per_axis)):
        if None not in choice:
            reads, writes = zip(*choice, strict=True)
            everything.append((number, (slice(None), *reads), (slice(None), *writes)))
    return tuple(everything)


def window_view(xp, x, out, kernel, strides, dilation, groups: int):
    """A view `(n, *out, *kernel, groups, channels of a group)` of the padded input, not a copy."""
    n, *_, channels = x.shape
    first, *steps, last = x.strides
    inner = channels // groups
    return xp.lib.stride_tricks.as_strided(
        x,
        (n, *out, *kernel, groups, inner),
        (
            first,
            *(step * s for step, s in zip(steps, strides, strict=True)),
            *(step * d for step, d in zip(steps, dilation, strict=True)),
            inner * last,
            last,
        ),
    )


def tiles(n: int, rows: int, bytes_per_sample: int, limit: int) -> Iterator[tuple[slice, slice]]:
    """Cut `n` samples of `rows` rows into pieces of about `limit` bytes: several samples, or some
    rows of one.

    Example:
        >>> [t[0] for t in tiles(5, 8, 100, 200)]
        [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    if bytes_per_sample <= 2 * limit or rows <= 1:
        step = max(1, limit // max(1, bytes_per_sample))
        for start in range(0, n, step):
            yield slice(start, min(start + step, n)), slice(0, rows)
        return
    step = math.ceil(rows / math.ceil(bytes_per_sample / limit))
    for sample in range(n):
        for start in range(0, rows, step):
            yield slice(sample, sample + 1), slice(start, min(start + step, rows))
