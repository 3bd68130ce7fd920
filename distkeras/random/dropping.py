"""Dropout and shuffling: randomness applied to a tensor."""

from collections.abc import Sequence
from typing import Any

from distkeras import ops
from distkeras.engine import primitives as P
from distkeras.engine.batch import WHOLE
from distkeras.engine.context import changed, state
from distkeras.engine.rows import Axis, everywhere
from distkeras.engine.shapes import normalize_axis
from distkeras.errors import ArgumentError, ShapeError
from distkeras.ops.symbolic import op
from distkeras.random.distributions import Seed, row_pieces
from distkeras.random.seed_generator import draw_key

__all__ = ["dropout", "shuffle"]


@op
def dropout(
    inputs: Any, rate: float, noise_shape: Sequence[int | None] | None = None, seed: Seed = None
):
    """Zeros at random places; what remains is divided by 1 - rate, so that the mean stays.

    Args:
        inputs: a float tensor, samples along the first axis: their places in the global batch
            decide what is dropped.
        rate: the probability with which an element is dropped, from 0 to 1.
        noise_shape: the shape of the mask, which broadcasts to that of `inputs`; `None` in it
            stands for the size in `inputs`. A first entry of 1 gives all samples one mask.
        seed: see `normal`.

    Returns:
        A tensor of the shape and dtype of `inputs`.

    Raises:
        ArgumentError: where the rate is not from 0 to 1.
        ShapeError: where `noise_shape` does not broadcast to the inputs' shape.

    Example:
        >>> sorted(set(dropout(ops.ones((8, 8)), 0.5, seed=1).numpy().ravel().tolist()))
        [0.0, 2.0]
    """
    x = ops.as_tensor(inputs)
    if not isinstance(rate, int | float) or not 0 <= rate <= 1:
        raise ArgumentError(f"`rate` must be a number from 0 to 1, got {rate!r}.")
    shape, per_sample = _mask_shape(x.shape, noise_shape)
    if rate == 0:
        return x
    if rate == 1:
        return P.full_like(x, value=0)
    seed, counter = (0, 0) if state().abstract else draw_key(seed)
    settings = {"rate": float(rate), "seed": seed, "counter": counter}
    if (
        type(getattr(x, "batch", None)) in (int, Axis)
        and x.batch
        and (shape is None or shape[x.batch] != 1)
    ):
        return P.masked_scale(_columns(x, shape, per_sample, settings), x, a=1 / (1 - rate))
    starts = row_pieces(x) if per_sample else [(0, 0)]
    if len(starts) == 1:
        axis = 0 if per_sample else None
        mask = P.dropout_mask(x, shape=shape, batch_axis=axis, offset=starts[0][0], **settings)
    else:  # several batches, one after another
        behind = x.shape[1:] if shape is None else shape[1:]
        parts = [
            P.dropout_mask(x, shape=(n, *behind), batch_axis=0, offset=first, **settings)
            for first, n in starts
        ]
        mask = P.concatenate(*parts, axis=0)
        mask.batch = x.batch
    return P.masked_scale(mask, x, a=1 / (1 - rate))


def _columns(x, shape, per_sample, settings):
    """This rank's part of the mask where samples lie along another axis than the first."""
    axis = x.batch
    shape = tuple(x.shape if shape is None else shape)
    whole = (*shape[:axis], everywhere(x.shape[axis]), *shape[axis + 1 :])
    batch_axis = 0 if per_sample else None
    with changed(track_batch=False):
        mask = P.dropout_mask(x, shape=whole, batch_axis=batch_axis, offset=0, **settings)
    mask.batch = WHOLE
    return state().own(mask, axis) if state().own is not None else mask


def _mask_shape(shape, noise_shape) -> tuple[tuple[int, ...] | None, bool]:
    """The mask's shape, `None` for that of the inputs, and whether each sample has its own."""
    if noise_shape is None:
        return None, bool(shape)
    if len(noise_shape) != len(shape):
        raise ShapeError(
            f"`noise_shape` {tuple(noise_shape)} needs an entry for each axis of the inputs' "
            f"shape {shape}."
        )
    resolved = tuple(d if n is None else int(n) for n, d in zip(noise_shape, shape, strict=True))
    if any(n not in (1, d) for n, d in zip(resolved, shape, strict=True)):
        raise ShapeError(
            f"`noise_shape` {tuple(noise_shape)} does not broadcast to the inputs' shape {shape}."
        )
    return resolved, bool(shape) and (noise_shape[0] is None or resolved[0] != 1)


@op
def shuffle(x: Any, axis: int = 0, seed: Seed = None):
    """The slices along an axis in random order.

    Args:
        x: a tensor.
        axis: the axis, default 0.
        seed: see `normal`.

    Example:
        >>> sorted(shuffle([1, 2, 3], seed=1).tolist())
        [1, 2, 3]
    """
    x = ops.as_tensor(x)
    axis = normalize_axis(axis, x.ndim)
    if state().abstract:
        return P.identity(x)
    seed, counter = draw_key(seed)
    keys = P.random_bits(shape=(everywhere(x.shape[axis]),), seed=seed, counter=counter)
    return P.gather(x, P.argsort(keys, axis=0), axis=axis)
