"""Moving elements without computing on them."""

import math

from distkeras.engine import batch
from distkeras.engine.primitive import primitive
from distkeras.engine.rows import Axis, axis_in, form_of
from distkeras.engine.shapes import broadcast, normalize_axis, same
from distkeras.errors import ShapeError


def _reshape_shape(x, *, shape):
    size, shape = math.prod(x.shape), tuple(shape)
    if shape.count(-1) > 1:
        raise ShapeError(f"Only one dimension can be inferred, got the target shape {shape}.")
    if -1 in shape:
        known = math.prod(d for d in shape if d != -1)
        if known == 0 or size % known:
            raise ShapeError(f"Cannot reshape {size} elements of shape {x.shape} to {shape}.")
        shape = tuple(size // known if d == -1 else d for d in shape)
    if math.prod(shape) != size:
        raise ShapeError(f"Cannot reshape {size} elements of shape {x.shape} to {shape}.")
    return shape, x._np_dtype


def _reshape_batch(axes, shapes, params, out_shape):
    """The batch axis is found again where the elements before it are grouped as before.

    It may be merged with axes behind it, and such an axis be taken apart again. How many rows of a
    sample lie along the axis follows from the elements behind it, so that ranks without samples
    find the same as the others.
    """
    axis, shape = axes[0], shapes[0]
    each, parts = form_of(axis)
    before, behind = math.prod(shape[:axis]), each * math.prod(shape[axis + 1 :])
    told = axis_in(params["shape"])
    running = 1
    for i in range(len(out_shape)):
        if told is not None and i != told:
            running *= out_shape[i]
            continue
        after = math.prod(out_shape[i + 1 :])
        if running == before and after and behind % after == 0:
            found = behind // after  # rows of a sample, if the batch axis is this one
            if out_shape[i] * each == shape[axis] * found:
                return Axis.of(i, found, parts)
        running *= out_shape[i]
    return batch.MIXED


@primitive(
    "reshape",
    shape=_reshape_shape,
    batch=_reshape_batch,
    vjp=lambda e, g: reshape(g, shape=e.shapes[0]),
    view=True,
)
def reshape(xp, x, *, shape):
    if -1 in shape and x.size == 0:
        # An empty batch leaves -1 undetermined; the other dimensions decide as they would for one
        # row.
        shape = tuple(0 if d == -1 else d for d in shape)
    return x.reshape(shape)


def _transpose_shape(x, *, axes):
    if sorted(axes) != list(range(len(x.shape))):
        raise ShapeError(f"`axes` must be a permutation of {len(x.shape)} axes, got {axes}.")
    return tuple(x.shape[a] for a in axes), x._np_dtype


def _inverse(axes):
    return tuple(sorted(range(len(axes)), key=axes.__getitem__))


@primitive(
    "transpose",
    shape=_transpose_shape,
    batch=lambda axes, shapes, params, out_shape: params["axes"].index(axes[0]),
    vjp=lambda e, g: transpose(g, axes=_inverse(e.params["axes"])),
    view=True,
)
def transpose(xp, x, *, axes):
    return x.transpose(axes)


def _broadcast_to_shape(x, *, shape):
    if broadcast(x.shape, tuple(shape)) != tuple(shape):
        raise ShapeError(f"Shape {x.shape} does not broadcast to {tuple(shape)}.")
    return tuple(shape), x._np_dtype


def _broadcast_to_vjp(e, g):
    from distkeras.engine.primitives.reduce import sum_to

    return sum_to(g, e.shapes[0])


@primitive(
    "broadcast_to",
    shape=_broadcast_to_shape,
    batch=batch.elementwise,
    vjp=_broadcast_to_vjp,
    view=True,
)
def broadcast_to(xp, x, *, shape):
    return xp.broadcast_to(x, shape)


@primitive("identity", shape=same, batch=batch.kept, vjp=lambda e, g: g, view=True)
def identity(xp, x):
    return x


@primitive("stop_gradient", shape=same, batch=batch.kept, view=True)
def stop_gradient(xp, x):
    return x


def _concatenate_shape(*xs, axis):
    rank = len(xs[0].shape)
    axis = normalize_axis(axis, rank)
    for x in xs[1:]:
        if len(x.shape) != rank or any(
            a != b for i, (a, b) in enumerate(zip(x.shape, xs[0].shape, strict=True)) if i != axis
        ):
            raise ShapeError(
                f"Shapes {', '.join(str(x.shape) for x in xs)} cannot be concatenated along axis "
                f"{axis}: "
                "all other axes must agree."
            )
    shape = list(xs[0].shape)
    shape[axis] = sum(x.shape[axis] for x in xs)
    return tuple(shape), xs[0]._np_dtype


def _concatenate_vjp(e, g):
    from distkeras.engine.primitives.index import slice_

    axis = normalize_axis(e.params["axis"], len(e.shapes[0]))
    out, start = [], 0
    for shape, need in zip(e.shapes, e.needs, strict=True):
        stop = start + shape[axis]
        out.append(slice_(g, index=(slice(None),) * axis + (slice(start, stop),)) if need else None)
        start = stop
    return tuple(out)


def _concatenate_batch(axes, shapes, params, out_shape):
    axis = normalize_axis(params["axis"], len(shapes[0]))
    if len(set(axes)) != 1 or len({form_of(a)[0] for a in axes}) != 1:
        return batch.MIXED
    if axes[0] != axis:
        return axes[0]
    return Axis.of(axis, form_of(axes[0])[0], sum(form_of(a)[1] for a in axes))


@primitive("concatenate", shape=_concatenate_shape, batch=_concatenate_batch, vjp=_concatenate_vjp)
def concatenate(xp, *xs, axis):
    return xp.concatenate(xs, axis=axis)


def _stack_shape(*xs, axis):
    shape = list(xs[0].shape)
    for x in xs[1:]:
        if x.shape != xs[0].shape:
            raise ShapeError(
                f"Only tensors of one shape can be stacked, got {xs[0].shape} and {x.shape}."
            )
    shape.insert(normalize_axis(axis, len(shape) + 1), len(xs))
    return tuple(shape), xs[0]._np_dtype


def _stack_batch(axes, shapes, params, out_shape):
    axis = normalize_axis(params["axis"], len(out_shape))
    return axes[0] + (axes[0] >= axis) if len(set(axes)) == 1 else batch.MIXED


@primitive(
    "stack",
    shape=_stack_shape,
    batch=_stack_batch,
    vjp=lambda e, g: unstack(g, axis=e.params["axis"]),
)
def stack(xp, *xs, axis):
    return xp.stack(xs, axis=axis)


def _unstack_shape(x, *, axis):
    axis = normalize_axis(axis, len(x.shape))
    return [(x.shape[:axis] + x.shape[axis + 1 :], x._np_dtype)] * x.shape[axis]


def _unstack_batch(axes, shapes, params, out_shape):
    axis = normalize_axis(params["axis"], len(shapes[0]))
    return batch.MIXED if axes[0] == axis else axes[0] - (axes[0] > axis)


@primitive(
    "unstack",
    shape=_unstack_shape,
    batch=_unstack_batch,
    vjp=lambda e, *gs: stack(*gs, axis=e.params["axis"]),
    view=True,
    outputs=0,
)
def unstack(xp, x, *, axis):
    moved = xp.moveaxis(x, axis, 0)
    return [moved[i, ...] for i in range(moved.shape[0])]


def _pad_shape(x, *, widths, value=0):
    if len(widths) != len(x.shape):
        raise ShapeError(
            f"`pad_width` needs a pair for each of {len(x.shape)} axes, got {len(widths)}."
        )
    return tuple(d + a + b for d, (a, b) in zip(x.shape, widths, strict=True)), x._np_dtype


def _pad_vjp(e, g):
    from distkeras.engine.primitives.index import slice_

    return slice_(
        g,
        index=tuple(
            slice(a, a + d) for d, (a, _) in zip(e.shapes[0], e.params["widths"], strict=True)
        ),
    )


def _pad_batch(axes, shapes, params, out_shape):
    return axes[0] if tuple(params["widths"][axes[0]]) == (0, 0) else batch.MIXED


@primitive("pad", shape=_pad_shape, batch=_pad_batch, vjp=_pad_vjp)
def pad(xp, x, *, widths, value=0):
    out = xp.full(
        [d + a + b for d, (a, b) in zip(x.shape, widths, strict=True)], value, dtype=x.dtype
    )
    out[tuple(slice(a, a + d) for d, (a, _) in zip(x.shape, widths, strict=True))] = x
    return out
