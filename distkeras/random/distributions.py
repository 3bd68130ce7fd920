"""Draws of a shape. With `batch_axis` they are the same on one rank and on several."""

from collections.abc import Callable, Sequence
from typing import Any

from distkeras import ops
from distkeras.engine import dtypes
from distkeras.engine import primitives as P
from distkeras.engine.abstract import ShapeTensor
from distkeras.engine.batch import WHOLE
from distkeras.engine.context import state
from distkeras.engine.rows import axis_in, everywhere, form_of, mark_of, of_all_rows, pieces
from distkeras.errors import ArgumentError, ShapeError
from distkeras.ops.symbolic import op
from distkeras.random.seed_generator import SeedGenerator, draw_key

__all__ = [
    "beta",
    "binomial",
    "categorical",
    "gamma",
    "normal",
    "randint",
    "truncated_normal",
    "uniform",
]

Seed = int | SeedGenerator | None


def sizes(shape: Sequence[int], batch_axis: int | None) -> tuple[int, ...]:
    """A shape, checked.

    Raises:
        ShapeError: where the shape has no such axis, or is not known.
    """
    if not all(isinstance(d, int) or hasattr(d, "__index__") for d in shape):
        raise ShapeError(f"A random tensor needs a shape of known sizes, got {tuple(shape)}.")
    shape = tuple(d if isinstance(d, int) else int(d) for d in shape)
    if any(d < 0 for d in shape):
        raise ShapeError(f"A random tensor needs sizes that are not negative, got {shape}.")
    if batch_axis is not None and not -len(shape) <= batch_axis < len(shape):
        raise ShapeError(f"`batch_axis` {batch_axis} is out of range for shape {shape}.")
    return shape


def _draw(prim, inputs, shape, dtype, seed, batch_axis, **settings):
    if state().abstract:
        return ShapeTensor(sizes(shape, batch_axis), dtype)
    return _draw_by_key(prim, inputs, shape, dtype, draw_key(seed), batch_axis, **settings)


def _draw_by_key(prim, inputs, shape, dtype, key, batch_axis, **settings):
    shape = sizes(shape, batch_axis)
    seed, counter = key

    def run(shape, axis=None, offset=0):
        return prim(
            *inputs,
            shape=shape,
            batch_axis=axis,
            offset=offset,
            dtype=dtype,
            seed=seed,
            counter=counter,
            **settings,
        )

    return of_global_batch(run, shape, batch_axis, inputs)


def of_global_batch(
    run: Callable, shape: tuple[int, ...], batch_axis: int | None = None, inputs: Sequence = ()
):
    """This rank's rows of a draw for the whole batch.

    Args:
        run: `run(shape, axis, offset)` draws; with `axis` the values of a row follow from its
            number, which is that of the first row plus `offset`.
        shape: of this rank's values.
        batch_axis: the axis of samples; by default the one that the shape tells of.
        inputs: tensors that broadcast to the shape.
    """
    axis = axis_in(shape)
    if batch_axis is None and of_all_rows(shape):
        out = run(everywhere(shape))
        if state().track_batch:
            out.batch = WHOLE
        return out
    if batch_axis is None and axis is not None and state().rows is not None:
        if not any(t.batch is not None for t in inputs):
            return _rows_of_all(run, shape, axis)
        batch_axis = int(axis)
    if batch_axis is None:
        return run(shape)
    batch_axis %= len(shape)
    form = form_of(shape[batch_axis]) if axis == batch_axis else (_each(shape[batch_axis]), 1)
    found = pieces(shape[batch_axis], *form)
    if len(found) == 1:
        out = run(shape, batch_axis, found[0][0])
    else:
        parts = [
            run((*shape[:batch_axis], n, *shape[batch_axis + 1 :]), batch_axis, first)
            for first, n in found
        ]
        out = P.concatenate(*parts, axis=batch_axis)
    if state().track_batch:
        out.batch = mark_of(batch_axis, form)
    return out


def _rows_of_all(run, shape, axis):
    """Rows of a draw that is one sequence of values: of all ranks' rows each takes its own."""
    everywhere = (*shape[:axis], shape[axis].everywhere(), *shape[axis + 1 :])
    whole = run(tuple(int(d) for d in everywhere))
    before = (slice(None),) * axis
    parts = [
        P.slice_(whole, index=(*before, slice(first, first + n)))
        for first, n in pieces(shape[axis], *form_of(axis))
    ]
    out = P.concatenate(*parts, axis=int(axis))
    out.batch = axis
    return out


def _each(size: int) -> int:
    """How many rows a sample has where there are `size` rows."""
    rows = state().rows
    return 1 if rows is None or not rows[0] else max(size // rows[0], 1)


def _float_dtype(name: str, dtype) -> str:
    dtype = dtypes.standardize_dtype(dtype)
    if not dtypes.is_float(dtype):
        raise ArgumentError(
            f"`keras.random.{name}` requires a floating point `dtype`. Received: dtype={dtype}"
        )
    return dtype


def _affine(prim, shape, dtype, seed, batch_axis, offset, factor, names):
    """`factor * draw + offset`, in the draw itself where both are numbers."""
    if isinstance(offset, int | float) and isinstance(factor, int | float):
        return _draw(
            prim,
            (),
            shape,
            dtype,
            seed,
            batch_axis,
            **{names[0]: float(offset), names[1]: float(factor)},
        )
    return ops.cast(_draw(prim, (), shape, dtype, seed, batch_axis) * factor + offset, dtype)


def normal(
    shape: Sequence[int],
    mean: float = 0.0,
    stddev: float = 1.0,
    dtype: str | None = None,
    seed: Seed = None,
    *,
    batch_axis: int | None = None,
):
    """Normally distributed values.

    Args:
        shape: the shape.
        mean: the mean, default 0.
        stddev: the standard deviation, default 1.
        dtype: a float dtype, default `floatx()`.
        seed: an integer (the same values at every call), a `SeedGenerator`, or `None` for the
            global one.
        batch_axis: the axis of samples, whose place in the global batch then decides their values;
            default `None`: the axis whose size was read from the shape of a tensor of the batch;
            where there is none every rank draws the same values.

    Returns:
        A tensor.

    Example:
        >>> normal((2, 3), seed=1).shape
        (2, 3)
    """
    dtype = _float_dtype("normal", dtype)
    return _affine(
        P.random_normal, shape, dtype, seed, batch_axis, mean, stddev, ("mean", "stddev")
    )


def truncated_normal(
    shape: Sequence[int],
    mean: float = 0.0,
    stddev: float = 1.0,
    dtype: str | None = None,
    seed: Seed = None,
    *,
    batch_axis: int | None = None,
):
    """Normally distributed values that lie within two standard deviations of the mean; see
    `normal`.

    Example:
        >>> float(abs(truncated_normal((100,), seed=1)).numpy().max()) <= 2
        True
    """
    dtype = _float_dtype("truncated_normal", dtype)
    return _affine(
        P.random_truncated_normal, shape, dtype, seed, batch_axis, mean, stddev, ("mean", "stddev")
    )


def uniform(
    shape: Sequence[int],
    minval: float = 0.0,
    maxval: float = 1.0,
    dtype: str | None = None,
    seed: Seed = None,
    *,
    batch_axis: int | None = None,
):
    """Values that are equally likely in [minval, maxval); see `normal`.

    Args:
        shape: the shape.
        minval: the lower end, which may occur, default 0.
        maxval: the upper end, which does not, default 1.
        dtype: a float dtype, default `floatx()`.
        seed, batch_axis: see `normal`.

    Example:
        >>> 2 <= float(uniform((), 2.0, 3.0, seed=1)) < 3
        True
    """
    dtype = _float_dtype("uniform", dtype)
    if isinstance(minval, int | float) and isinstance(maxval, int | float):
        return _draw(
            P.random_uniform,
            (),
            shape,
            dtype,
            seed,
            batch_axis,
            low=float(minval),
            high=float(maxval),
        )
    unit = _draw(P.random_uniform, (), shape, dtype, seed, batch_axis)
    return ops.cast(unit * (maxval - minval) + minval, dtype)


def randint(
    shape: Sequence[int],
    minval: int,
    maxval: int,
    dtype: str = "int32",
    seed: Seed = None,
    *,
    batch_axis: int | None = None,
):
    """Integers that are equally likely in [minval, maxval).

    Args:
        shape: the shape.
        minval: the least value.
        maxval: one more than the greatest.
        dtype: an integer dtype, default `"int32"`.
        seed, batch_axis: see `normal`.

    Raises:
        ArgumentError: where there is no such integer, or the dtype is not one of integers.

    Example:
        >>> randint((3,), 5, 6, seed=1).tolist()
        [5, 5, 5]
    """
    dtype = dtypes.standardize_dtype(dtype or "int32")
    if not dtypes.is_integer(dtype):
        raise ArgumentError(
            f"`keras.random.randint` requires an integer `dtype`. Received: dtype={dtype}"
        )
    low, high = int(minval), int(maxval)
    bits = int(dtype.lstrip("uint"))
    least, most = (0, 2**bits) if dtype[0] == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1))
    if not low < high:
        raise ArgumentError(
            f"`randint` needs `minval` below `maxval`, got minval={minval} and maxval={maxval}."
        )
    if low < least or high > most:
        raise ArgumentError(
            f"`randint` from {minval} up to {maxval} does not fit into {dtype}; use a wider dtype."
        )
    return _draw(P.random_integers, (), shape, dtype, seed, batch_axis, low=low, high=high)


@op
def categorical(logits: Any, num_samples: int, dtype: str = "int32", seed: Seed = None):
    """Class numbers, drawn for each row of unnormalised log-probabilities.

    Args:
        logits: `(samples, classes)`; the rows' places in the global batch decide their values.
        num_samples: how many to draw for each row.
        dtype: an integer dtype, default `"int32"`.
        seed: see `normal`.

    Returns:
        A tensor `(samples, num_samples)`.

    Raises:
        ShapeError: where the logits have not two axes.

    Example:
        >>> categorical([[0.0, -1e9]], 3, seed=1).tolist()
        [[0, 0, 0]]
    """
    logits = ops.as_tensor(logits)
    if logits.ndim != 2:
        raise ShapeError(
            "`logits` should be a 2-D tensor with shape [batch_size, num_classes]. "
            f"Received: shape={logits.shape}"
        )
    dtype = dtypes.standardize_dtype(dtype)
    if state().abstract:
        return ShapeTensor((logits.shape[0], int(num_samples)), dtype)
    key = draw_key(seed)
    starts = row_pieces(logits)
    settings = {"samples": int(num_samples), "dtype": dtype, "seed": key[0], "counter": key[1]}
    if len(starts) == 1:
        return P.random_categorical(logits, offset=starts[0][0], **settings)
    parts, begin = [], 0
    for first, n in starts:
        rows = P.slice_(logits, index=(slice(begin, begin + n),))
        parts.append(P.random_categorical(rows, offset=first, **settings))
        begin += n
    return P.concatenate(*parts, axis=0)


def row_pieces(x) -> list[tuple[int, int]]:
    """Where the rows of `x` stand in the global batch, as `pieces` says it; at 0 where they are
    known to be no samples."""
    if state().track_batch and x.batch != 0:
        return [(0, x.shape[0])]
    return pieces(x.shape[0], *(form_of(x.batch) if x.batch == 0 else (_each(x.shape[0]), 1)))


def _parameters(batch_axis, *values):
    if batch_axis not in (0, None):
        raise ArgumentError(f"`batch_axis` must be 0 or None here, got {batch_axis!r}.")
    return tuple(ops.as_tensor(v) for v in values)


def gamma(
    shape: Sequence[int],
    alpha: Any,
    dtype: str | None = None,
    seed: Seed = None,
    *,
    batch_axis: int | None = None,
):
    """Gamma distributed values with scale 1.

    Args:
        shape: the shape.
        alpha: the shape parameter, positive; a number or a tensor that broadcasts to `shape`.
        dtype: a float dtype, default `floatx()`.
        seed: see `normal`.
        batch_axis: see `normal`; 0 or `None`.

    Example:
        >>> float(gamma((), 2.0, seed=1)) > 0
        True
    """
    return _draw(
        P.random_gamma,
        _parameters(batch_axis, alpha),
        shape,
        _float_dtype("gamma", dtype),
        seed,
        batch_axis,
    )


def binomial(
    shape: Sequence[int],
    counts: Any,
    probabilities: Any,
    dtype: str | None = None,
    seed: Seed = None,
    *,
    batch_axis: int | None = None,
):
    """How many of `counts` independent trials succeed.

    Args:
        shape: the shape.
        counts: the number of trials; a number or a tensor that broadcasts to `shape`.
        probabilities: the probability of success of each, likewise.
        dtype: a float dtype, default `floatx()`.
        seed: see `normal`.
        batch_axis: see `normal`; 0 or `None`.

    Example:
        >>> binomial((2,), 3, 1.0, seed=1).tolist()
        [3.0, 3.0]
    """
    inputs = _parameters(batch_axis, counts, probabilities)
    return _draw(
        P.random_binomial, inputs, shape, _float_dtype("binomial", dtype), seed, batch_axis
    )


def beta(
    shape: Sequence[int],
    alpha: Any,
    beta: Any,
    dtype: str | None = None,
    seed: Seed = None,
    *,
    batch_axis: int | None = None,
):
    """Beta distributed values: a gamma variable divided by the sum of two.

    Args:
        shape: the shape.
        alpha, beta: the parameters, positive; numbers or tensors that broadcast to `shape`.
        dtype: a float dtype, default `floatx()`.
        seed: see `normal`.
        batch_axis: see `normal`; 0 or `None`.

    Example:
        >>> 0 < float(beta((), 2.0, 3.0, seed=1)) < 1
        True
    """
    dtype = _float_dtype("beta", dtype)
    if state().abstract:
        return ShapeTensor(sizes(shape, batch_axis), dtype)
    # Two streams of one draw.
    key = draw_key(seed)
    x, y = (
        _draw_by_key(
            P.random_gamma, _parameters(batch_axis, a), shape, "float64", key, batch_axis, stream=i
        )
        for i, a in enumerate((alpha, beta))
    )
    return ops.cast(P.divide(x, P.add(x, y)), dtype)
