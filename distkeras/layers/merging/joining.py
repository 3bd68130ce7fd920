"""`Concatenate` and `Dot`: tensors side by side, and products over an axis of two."""

import math
from collections.abc import Sequence
from typing import Any

from distkeras import ops
from distkeras.engine.shapes import normalize_axis
from distkeras.errors import ArgumentError, ShapeError
from distkeras.layers.merging.elementwise import Merge

__all__ = ["Concatenate", "Dot", "concatenate", "dot"]


class Concatenate(Merge):
    """Tensors side by side along an axis.

    Args:
        axis: the axis, default -1.
        **kwargs: `name`, `dtype`, `trainable`.

    Raises:
        ShapeError: where another axis differs.

    Example:
        >>> from distkeras import ops
        >>> Concatenate()([ops.ones((1, 2)), ops.ones((1, 3))]).shape
        (1, 5)
    """

    def __init__(self, axis: int = -1, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = axis

    def build(self, input_shape=()):
        self.compute_output_shape(input_shape)

    def call(self, inputs):
        self.check_list(inputs)
        return ops.concatenate(inputs, axis=self.axis)

    def compute_output_shape(self, input_shape):
        self.check_list(input_shape)
        if not all(isinstance(s, list | tuple) for s in input_shape):
            raise ShapeError(
                "A `Concatenate` layer should be called on a list of at least 1 input. Received: "
                f"input_shape={input_shape}"
            )
        rank = len(input_shape[0])
        axis = normalize_axis(self.axis, rank)
        same_rank = {len(s) for s in input_shape} == {rank}
        columns = list(zip(*input_shape, strict=True)) if same_rank else []
        known = [set(c) - {None} for c in columns]
        if not columns or any(len(k) > 1 for i, k in enumerate(known) if i != axis):
            raise ShapeError(
                "A `Concatenate` layer requires inputs with matching shapes except for the "
                f"concatenation axis. Received: input_shape={list(input_shape)}"
            )
        out = [k.pop() if k else None for k in known]
        out[axis] = None if None in columns[axis] else sum(columns[axis])
        return tuple(out)

    def compute_mask(self, inputs, mask=None):
        """The masks side by side; an input without one counts as unmasked."""
        if mask is None:
            return None
        self.check_masks(inputs, mask)
        if all(m is None for m in mask):
            return None
        masks = []
        for x, m in zip(inputs, mask, strict=True):
            if m is None:
                masks.append(ops.ones_like(x, dtype="bool"))
            elif len(m.shape) < len(x.shape):
                spread = ops.zeros_like(x, dtype="bool")
                masks.append(ops.logical_or(ops.expand_dims(m, -1), spread))
            else:
                masks.append(m)
        return ops.any(ops.concatenate(masks, axis=self.axis), axis=-1)

    def get_config(self) -> dict:
        """The arguments from which the layer can be made again."""
        return {**super().get_config(), "axis": self.axis}


class Dot(Merge):
    """The product of two tensors over one axis of each, sample by sample.

    Args:
        axes: the axis of both, or a pair.
        normalize: whether the axis is scaled to Euclidean length 1 before, which gives the cosine.
        **kwargs: `name`, `dtype`, `trainable`.

    Raises:
        ArgumentError: where `axes` is neither, or names the batch axis.
        ShapeError: where the sizes of the two axes differ.

    Example:
        >>> from distkeras import ops
        >>> Dot(axes=1)([ops.ones((1, 2)), ops.ones((1, 2))]).tolist()
        [[2.0]]
    """

    def __init__(self, axes: int | Sequence[int], normalize: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        if isinstance(axes, bool) or not isinstance(axes, int | list | tuple):
            raise TypeError(
                "Invalid type for argument `axes`: it should be a list or an int. Received: "
                f"axes={axes!r}"
            )
        if not isinstance(axes, int) and (
            len(axes) != 2 or not all(isinstance(a, int) for a in axes)
        ):
            raise ArgumentError(
                "Invalid format for argument `axes`: it should contain two integers. Received: "
                f"axes={axes}"
            )
        self.axes = axes
        self.normalize = normalize

    def _axes_for(self, shapes: Sequence[Sequence]) -> list[int]:
        if not isinstance(shapes, list | tuple) or len(shapes) != 2:
            raise ShapeError(
                "A `Dot` layer should be called on a list of 2 inputs. Received: "
                f"input_shape={shapes}"
            )
        axes = self.axes if isinstance(self.axes, list | tuple) else (self.axes, self.axes)
        found = [normalize_axis(a, len(s)) for a, s in zip(axes, shapes, strict=True)]
        if 0 in found:
            raise ArgumentError(
                f"A `Dot` layer's `axes` cannot name the batch axis. Received: axes={self.axes}"
            )
        return found

    def build(self, input_shape=()):
        axes = self._axes_for(input_shape)
        sizes = [s[a] for s, a in zip(input_shape, axes, strict=True)]
        if None not in sizes and sizes[0] != sizes[1]:
            raise ShapeError(
                f"Incompatible input shapes: axis values {sizes[0]} (at axis {axes[0]}) != "
                f"{sizes[1]} (at axis {axes[1]}). Full input shapes: {input_shape[0]}, "
                f"{input_shape[1]}"
            )

    def call(self, inputs):
        self.check_list(inputs)
        axes = self._axes_for([x.shape for x in inputs])
        if self.normalize:
            inputs = [_unit(x, a) for x, a in zip(inputs, axes, strict=True)]
        return _batch_dot(*inputs, *axes)

    def compute_output_shape(self, input_shape):
        axes = self._axes_for(input_shape)
        left, right = (
            tuple(d for i, d in enumerate(s) if i != a)
            for s, a in zip(input_shape, axes, strict=True)
        )
        shape = left + right[1:]
        return shape if len(shape) > 1 else (*shape, 1)

    def compute_mask(self, inputs, mask=None):
        """None: a product has no steps to leave out."""
        return None

    def get_config(self) -> dict:
        """The arguments from which the layer can be made again."""
        return {**super().get_config(), "axes": self.axes, "normalize": self.normalize}


def _unit(x, axis: int):
    length = ops.sum(ops.square(x), axis=axis, keepdims=True)
    return ops.multiply(x, ops.rsqrt(ops.maximum(length, 1e-14)))


def _batch_dot(x, y, a: int, b: int):
    """The product over axis `a` of `x` and axis `b` of `y`, as one product of matrices a sample."""
    rows = [i for i in range(1, x.ndim) if i != a]
    columns = [i for i in range(1, y.ndim) if i != b]
    kept_x, kept_y = (tuple(t.shape[i] for i in ax) for t, ax in ((x, rows), (y, columns)))
    n, inner = x.shape[0], x.shape[a]
    left = ops.reshape(ops.transpose(x, (0, *rows, a)), (n, math.prod(kept_x), inner))
    right = ops.reshape(ops.transpose(y, (0, b, *columns)), (n, inner, math.prod(kept_y)))
    return ops.reshape(ops.matmul(left, right), (n, *(kept_x + kept_y or (1,))))


def concatenate(inputs: Sequence[Any], axis: int = -1, **kwargs: Any):
    """A new `Concatenate` layer called on a list of tensors.

    Args:
        inputs: the tensors.
        axis: the axis, default -1.
        **kwargs: arguments of the layer.

    Example:
        >>> from distkeras import ops
        >>> concatenate([ops.ones((1, 2)), ops.ones((1, 3))]).shape
        (1, 5)
    """
    return Concatenate(axis=axis, **kwargs)(inputs)


def dot(inputs: Sequence[Any], axes: int | Sequence[int] = -1, **kwargs: Any):
    """A new `Dot` layer called on a list of two tensors.

    Args:
        inputs: the tensors.
        axes: the axis of both, or a pair, default -1.
        **kwargs: arguments of the layer.

    Example:
        >>> from distkeras import ops
        >>> dot([ops.ones((1, 2)), ops.ones((1, 2))]).shape
        (1, 1)
    """
    return Dot(axes=axes, **kwargs)(inputs)
