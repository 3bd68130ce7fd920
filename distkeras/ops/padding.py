"""More elements around the edges."""

from distkeras.engine import primitives as P
from distkeras.errors import ArgumentError
from distkeras.ops.core import as_tensor, convert_to_tensor
from distkeras.ops.symbolic import op

__all__ = ["pad"]


@op
def pad(x, pad_width, mode="constant", constant_values=None):
    """More elements around the edges.

    Args:
        x: a tensor.
        pad_width: an int, a pair, or a pair for each axis.
        mode: `"constant"`, `"reflect"`, `"symmetric"` or `"edge"`.
        constant_values: the value in `"constant"` mode, default 0.

    Example:
        >>> pad([1], 1).tolist()
        [0, 1, 0]
    """
    x = as_tensor(x)
    widths = _pairs(pad_width, x.ndim)
    if mode == "constant":
        return P.pad(x, widths=widths, value=0 if constant_values is None else constant_values)
    if constant_values is not None:
        raise ArgumentError(f"`constant_values` is for mode 'constant' only, got mode {mode!r}.")
    for axis, (a, b) in enumerate(widths):
        n = x.shape[axis]
        places = {
            "reflect": lambda i, n=n: _bounce(i, 2 * n - 2, n) if n > 1 else 0,
            "symmetric": lambda i, n=n: _mirror(i, n),
            "edge": lambda i, n=n: 0 if i < 0 else n - 1 if i >= n else i,
        }
        if mode not in places:
            raise ArgumentError(
                f"Unknown `mode`: {mode!r}. Expected 'constant', 'reflect', 'symmetric' or 'edge'."
            )
        # Only the edges are picked: the axis may be long, or of unknown size in a graph.
        parts = [x]
        if a:
            parts.insert(0, _picked(x, [places[mode](i) for i in range(-a, 0)], axis))
        if b:
            parts.append(_picked(x, [places[mode](i) for i in range(n, n + b)], axis))
        x = P.concatenate(*parts, axis=axis) if a or b else x
    return x


def _picked(x, index: list[int], axis: int):
    return P.gather(x, convert_to_tensor(index, "int32"), axis=axis)


def _pairs(pad_width, rank):
    if isinstance(pad_width, int):
        return ((pad_width, pad_width),) * rank
    pad_width = tuple(pad_width)
    if len(pad_width) == 2 and isinstance(pad_width[0], int):
        return (pad_width,) * rank
    if len(pad_width) == 1 and rank > 1:
        return (tuple(pad_width[0]),) * rank
    return tuple(tuple(p) for p in pad_width)


def _bounce(i, period, n):
    i %= period
    return i if i < n else period - i


def _mirror(i, n):
    i %= 2 * n
    return i if i < n else 2 * n - 1 - i
