"""Picking elements: slices, indices, sorting."""

import numpy as np

from distkeras.engine import batch
from distkeras.engine.dtypes import numpy_dtype
from distkeras.engine.primitive import primitive
from distkeras.engine.rows import Axis, Rows, form_of, is_derived
from distkeras.engine.shapes import broadcast, normalize_axis, same
from distkeras.errors import AbstractValueError, ShapeError


def _slice_shape(x, *, index):
    probe = np.broadcast_to(np.empty((), bool), x.shape)
    try:
        return probe[index].shape, x._np_dtype
    except IndexError as error:
        raise ShapeError(f"Index {index} into shape {x.shape}: {error}") from error


def _axis_of_slice(axis, item):
    """Kept where all is taken, or some of several batches that lie one after another."""
    if is_derived(item):
        return batch.MIXED
    if item in (slice(None), slice(0, None)):
        return axis
    each, parts = form_of(axis)
    start = 0 if item.start is None else item.start
    counted = [e for e in (start, item.stop) if e is not None and not (type(e) is int and e == 0)]
    if item.step not in (None, 1) or any(type(e) is not Rows or e.each != each for e in counted):
        return batch.MIXED
    first = start.parts if type(start) is Rows else 0
    last = item.stop.parts if type(item.stop) is Rows else parts
    return Axis.of(axis, each, last - first) if first < last <= parts else batch.MIXED


def _slice_batch(axes, shapes, params, out_shape):
    """Kept where everything up to the batch axis is taken whole."""
    position = 0
    for item in params["index"]:
        if item is None:
            position += 1
        elif item is Ellipsis or not isinstance(item, slice):
            return batch.MIXED
        elif position == axes[0]:
            return _axis_of_slice(axes[0], item)
        else:
            position += 1
    return axes[0] + params["index"].count(None)


@primitive(
    "slice",
    shape=_slice_shape,
    batch=_slice_batch,
    vjp=lambda e, g: put_slice(g, shape=e.shapes[0], index=e.params["index"]),
    view=True,
)
def slice_(xp, x, *, index):
    return x[index]


@primitive(
    "put_slice",
    shape=lambda g, *, shape, index: (tuple(shape), g._np_dtype),
    vjp=lambda e, g: slice_(g, index=e.params["index"]),
)
def put_slice(xp, g, *, shape, index):
    out = xp.zeros(shape, dtype=g.dtype)
    out[index] = g
    return out


# --- rows by number -------------------------------------------------------------------------------


def _gather_shape(x, i, *, axis, wraps=True):
    axis = normalize_axis(axis, len(x.shape))
    return x.shape[:axis] + i.shape + x.shape[axis + 1 :], x._np_dtype


def _gather_batch(axes, shapes, params, out_shape):
    axis = normalize_axis(params["axis"], len(shapes[0]))
    if axes[0] is None:
        return axes[1] + axis
    if axes[1] is None and axes[0] != axis:
        return axes[0] if axes[0] < axis else axes[0] + len(shapes[1]) - 1
    return batch.MIXED


@primitive(
    "gather",
    shape=_gather_shape,
    batch=_gather_batch,
    vjp=lambda e, g: (scatter_rows(g, e.x[1], shape=e.shapes[0], axis=e.params["axis"]), None),
    saves="x1",
)
def gather(xp, x, i, *, axis, wraps=True):
    """Rows by number; with `wraps` negative numbers count from the end, else they are an error,
    where looking costs no wait for a device."""
    if not wraps and xp is np and i.size and i.min() < 0:
        raise IndexError(f"index {i.min()} is out of bounds for axis {axis} with size {len(x)}")
    return xp.take(x, i, axis=axis)


@primitive(
    "scatter_rows",
    shape=lambda g, i, *, shape, axis: (tuple(shape), g._np_dtype),
    vjp=lambda e, g: (gather(g, e.x[1], axis=e.params["axis"]), None),
    saves="x1",
)
def scatter_rows(xp, g, i, *, shape, axis):
    """The sum of the rows of `g` that have the same number: the gradient of `gather`."""
    axis = axis % len(shape)
    rank = i.ndim
    g = xp.moveaxis(g, tuple(range(axis, axis + rank)), tuple(range(rank)))
    rest = g.shape[rank:]
    g = g.reshape((i.size, *rest))
    out = xp.zeros((shape[axis], *rest), dtype=g.dtype)
    add_rows(xp, out, i.reshape(-1), g)
    return xp.moveaxis(out, 0, axis)


def add_rows(xp, out, i, g):
    """`out[i] += g` with repeated indices, summed in the order of the rows."""
    if xp is not np or g.ndim == 1:
        xp.add.at(out, i, g)
    elif i.size:
        order = np.argsort(i, kind="stable")
        ordered = i[order]
        starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
        out[ordered[starts]] += np.add.reduceat(g[order], starts, axis=0)


# --- several index tensors at once ----------------------------------------------------------------


def _key(arrays, layout):
    """The index tuple that `layout` describes: "t" stands for the next index tensor, anything else
    for itself."""
    rest = iter(arrays)
    return tuple(next(rest) if item == "t" else item for item in layout)


def _index_shape(x, *indices, layout):
    """NumPy's rule: index tensors broadcast, and their axes stand where the first of them did, or
    in front where they are not neighbours."""
    key = list(_key(indices, layout))
    used = sum(_axes_of(item) for item in key)
    if used > len(x.shape):
        raise ShapeError(f"{used} indices are too many for shape {x.shape}.")
    whole = [slice(None)] * (len(x.shape) - used)
    at = next((i for i, item in enumerate(key) if item is Ellipsis), None)
    if at is not None:
        key[at : at + 1] = whole or [Ellipsis]  # it separates index tensors even so
    else:
        key += whole
    out, picked, place, last, axis = [], [], None, None, 0
    for number, item in enumerate(key):
        if item is Ellipsis:
            continue
        if item is None:
            out.append(1)
        elif isinstance(item, slice):
            out.append(len(range(*item.indices(x.shape[axis]))))
        else:
            shape = _picked_shape(item, x.shape, axis)
            place = len(out) if place is None else 0 if last != number - 1 else place
            last = number
            picked.append(shape)
        axis += _axes_of(item)
    out[place:place] = broadcast(*picked)
    return tuple(out), x._np_dtype


def _axes_of(item) -> int:
    """How many axes an item of an index consumes."""
    if item is None or item is Ellipsis:
        return 0
    is_mask = hasattr(item, "shape") and item._np_dtype.kind == "b"
    return len(item.shape) if is_mask else 1


def _picked_shape(item, shape, axis) -> tuple[int, ...]:
    if not hasattr(item, "shape"):
        _check_index(item, shape, axis)
        return ()
    if item._np_dtype.kind == "b":
        if item.shape != shape[axis : axis + len(item.shape)]:
            raise ShapeError(f"A mask of shape {item.shape} does not fit axis {axis} of {shape}.")
        raise AbstractValueError("How many elements a mask picks depends on its values.")
    return item.shape


def _check_index(index: int, shape, axis: int) -> None:
    """Check an integer index.

    Raises:
        ShapeError: where it is out of range.
    """
    if not -shape[axis] <= index < shape[axis]:
        raise ShapeError(f"Index {index} is out of range for axis {axis} of shape {shape}.")


@primitive(
    "index",
    shape=_index_shape,
    vjp=lambda e, g: (
        index_add(g, *e.x[1:], shape=e.shapes[0], layout=e.params["layout"]),
        *(None for _ in e.shapes[1:]),
    ),
    saves="x",
)
def index(xp, x, *indices, layout):
    return x[_key(indices, layout)]


@primitive(
    "index_add",
    shape=lambda g, *indices, shape, layout: (tuple(shape), g._np_dtype),
    vjp=lambda e, g: (index(g, *e.x[1:], layout=e.params["layout"]), *(None for _ in e.shapes[1:])),
    saves="x",
)
def index_add(xp, g, *indices, shape, layout):
    out = xp.zeros(shape, dtype=g.dtype)
    xp.add.at(out, _key(indices, layout), g)
    return out


def _along(xp, i, shape, axis):
    grids = list(xp.indices(i.shape, sparse=True)) if xp is np else list(xp.indices(i.shape))
    grids[axis] = i
    return tuple(grids)


def _take_along_vjp(e, g):
    return put_along_axis(g, e.x[1], shape=e.shapes[0], axis=e.params["axis"]), None


@primitive(
    "take_along_axis",
    shape=lambda x, i, *, axis: (
        tuple(
            max(a, b) if k != axis % len(i.shape) else b
            for k, (a, b) in enumerate(zip(x.shape, i.shape, strict=True))
        ),
        x._np_dtype,
    ),
    batch=lambda axes, shapes, params, out: (
        axes[0] if axes[0] == axes[1] != params["axis"] % len(shapes[0]) else batch.MIXED
    ),
    vjp=_take_along_vjp,
    saves="x1",
)
def take_along_axis(xp, x, i, *, axis):
    return xp.take_along_axis(x, i, axis=axis)


@primitive(
    "put_along_axis",
    shape=lambda g, i, *, shape, axis: (tuple(shape), g._np_dtype),
    vjp=lambda e, g: (take_along_axis(g, e.x[1], axis=e.params["axis"]), None),
    saves="x1",
)
def put_along_axis(xp, g, i, *, shape, axis):
    out = xp.zeros(shape, dtype=g.dtype)
    i = xp.broadcast_to(i, g.shape)
    xp.add.at(out, _along(xp, i, shape, axis % len(shape)), g)
    return out


def _nonzero_shape(x):
    raise AbstractValueError(
        "How many elements are not 0 depends on the values: give the operation a tensor with "
        "values."
    )


@primitive("nonzero", shape=_nonzero_shape, outputs=0)
def nonzero(xp, x):
    return [i.astype("int32") for i in xp.nonzero(x)]


# --- order ----------------------------------------------------------------------------------------


def _arg_shape(x, *, axis=None, keepdims=False):
    from distkeras.engine.shapes import reduced_shape

    return reduced_shape(x.shape, axis, keepdims), numpy_dtype("int32")


@primitive("argmax", shape=_arg_shape, batch=batch.along)
def argmax(xp, x, *, axis=None, keepdims=False):
    return xp.asarray(xp.argmax(x, axis=axis, keepdims=keepdims)).astype("int32")


@primitive("argmin", shape=_arg_shape, batch=batch.along)
def argmin(xp, x, *, axis=None, keepdims=False):
    return xp.asarray(xp.argmin(x, axis=axis, keepdims=keepdims)).astype("int32")


@primitive("argsort", shape=lambda x, *, axis: (x.shape, numpy_dtype("int32")), batch=batch.along)
def argsort(xp, x, *, axis):
    order = xp.argsort(x, axis=axis, kind="stable") if xp is np else xp.argsort(x, axis=axis)
    return order.astype("int32")


def _sort_vjp(e, g):
    axis = e.params["axis"]
    return put_along_axis(g, argsort(e.x[0], axis=axis), shape=e.shapes[0], axis=axis)


@primitive("sort", shape=lambda x, *, axis: same(x), batch=batch.along, vjp=_sort_vjp, saves="x0")
def sort(xp, x, *, axis):
    return xp.sort(x, axis=axis)


def _top_k_shape(x, *, k):
    if not x.shape or not 0 < k <= x.shape[-1]:
        raise ShapeError(
            f"The largest k={k} of shape {x.shape}: k must lie between 1 and the last axis."
        )
    shape = (*x.shape[:-1], k)
    return [(shape, x._np_dtype), (shape, numpy_dtype("int32"))]


def _top_k_vjp(e, g, _):
    return put_along_axis(g, e.y[1], shape=e.shapes[0], axis=-1)


def _top_k_batch(axes, shapes, params, out_shape):
    return batch.MIXED if axes[0] == len(shapes[0]) - 1 else axes[0]


@primitive("top_k", shape=_top_k_shape, batch=_top_k_batch, vjp=_top_k_vjp, saves="y", outputs=2)
def top_k(xp, x, *, k):
    order = xp.argsort(-x, axis=-1, kind="stable") if xp is np else xp.argsort(-x, axis=-1)
    order = order[..., :k]
    return xp.take_along_axis(x, order, axis=-1), order.astype("int32")
