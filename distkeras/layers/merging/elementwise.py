"""Sums, products and extrema of several tensors that broadcast."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

from distkeras import ops
from distkeras.errors import ShapeError
from distkeras.layers.layer import Layer

__all__ = [
    "Add",
    "Average",
    "Maximum",
    "Merge",
    "Minimum",
    "Multiply",
    "Subtract",
    "add",
    "average",
    "maximum",
    "minimum",
    "multiply",
    "subtract",
]


class Merge(Layer):
    """The base of layers that are called on a list of tensors."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True

    def check_list(self, inputs: Any) -> None:
        """Raise `ShapeError` unless `inputs` is a list with something in it."""
        if not isinstance(inputs, list | tuple) or not inputs:
            raise ShapeError(
                f"A `{type(self).__name__}` layer should be called on a list of at least 1 input. "
                f"Received: {inputs!r}"
            )

    def check_masks(self, inputs: Any, mask: Any) -> None:
        """Raise `ShapeError` unless there is a mask, or `None`, for each input."""
        for name, value in (("mask", mask), ("inputs", inputs)):
            if not isinstance(value, list | tuple):
                raise ShapeError(f"`{name}` should be a list. Received: {name}={value}")
        if len(mask) != len(inputs):
            raise ShapeError(
                "The lists `inputs` and `mask` should have the same length. Received: "
                f"{len(inputs)} inputs and {len(mask)} masks."
            )


class _Elementwise(Merge):
    """Inputs whose shapes broadcast; shorter ones get axes of size 1 behind the batch axis."""

    COUNT: int | None = None

    def build(self, input_shape=()):
        if not isinstance(input_shape, list | tuple) or not all(
            isinstance(s, list | tuple) for s in input_shape
        ):
            raise ShapeError(
                f"A `{type(self).__name__}` layer should be called on a list of inputs. "
                f"Received: input_shape={input_shape} (not a list of shapes)"
            )
        self.compute_output_shape(input_shape)

    def call(self, inputs):
        self.check_list(inputs)
        rank = max(x.ndim for x in inputs)
        return self.merge([_with_rank(x, rank) for x in inputs])

    def merge(self, inputs: Sequence[Any]):
        """The result for tensors of one rank."""
        raise NotImplementedError(f"{type(self).__name__} does not define `merge`.")

    def compute_output_shape(self, input_shape):
        self.check_list(input_shape)
        if self.COUNT is not None and len(input_shape) != self.COUNT:
            raise ShapeError(
                f"A `{type(self).__name__}` layer should be called on exactly {self.COUNT} inputs. "
                f"Received: input_shape={input_shape}"
            )
        batches = {s[0] for s in input_shape if s} - {None}
        if len(batches) > 1:
            raise ShapeError(
                "Cannot merge tensors with different batch sizes. Received tensors with shapes "
                f"{list(input_shape)}"
            )
        sample = functools.reduce(_broadcast, (tuple(s[1:]) for s in input_shape))
        return (batches.pop() if batches else None, *sample)

    def compute_mask(self, inputs, mask=None):
        """True where any of the masks is; none unless every input has one."""
        if mask is None:
            return None
        self.check_masks(inputs, mask)
        if any(m is None for m in mask):
            return None
        return functools.reduce(ops.logical_or, mask)


def _with_rank(x, rank: int):
    missing = rank - x.ndim
    return ops.expand_dims(x, tuple(range(1, missing + 1))) if missing else x


def _broadcast(a: tuple, b: tuple) -> tuple:
    """The shape of a sample that two broadcast to; `None` with a known size is unknown."""
    a, b = (1,) * (len(b) - len(a)) + a, (1,) * (len(a) - len(b)) + b
    out: list[int | None] = []
    for i, j in zip(a, b, strict=True):
        if i is None or j is None:
            out.append(None)
        elif 1 in (i, j):
            out.append(i * j)
        elif i == j:
            out.append(i)
        else:
            raise ShapeError(f"Inputs have incompatible shapes. Received shapes {a} and {b}")
    return tuple(out)


def _element_masks(inputs):
    """The mask of each input, `None` or truth values of the input's shape."""
    masks = [getattr(x, "_keras_mask", None) for x in inputs]
    return [
        None if m is None else ops.broadcast_to(ops.expand_dims(ops.cast(m, "bool"), -1), x.shape)
        for x, m in zip(inputs, masks, strict=True)
    ]


class Add(_Elementwise):
    """The sum of tensors.

    Example:
        >>> from distkeras import ops
        >>> Add()([ops.ones((1, 2)), ops.ones((1, 2))]).tolist()
        [[2.0, 2.0]]
    """

    def merge(self, inputs):
        return functools.reduce(ops.add, inputs)


class Subtract(_Elementwise):
    """The difference of two tensors.

    Example:
        >>> from distkeras import ops
        >>> Subtract()([ops.ones((1, 2)), ops.ones((1, 2))]).tolist()
        [[0.0, 0.0]]
    """

    COUNT = 2

    def merge(self, inputs):
        return ops.subtract(*inputs)


class Multiply(_Elementwise):
    """The product of tensors; masked elements count as 1, and as 0 where all are masked.

    Example:
        >>> from distkeras import ops
        >>> Multiply()([ops.ones((1, 2)), ops.ones((1, 2))]).tolist()
        [[1.0, 1.0]]
    """

    def merge(self, inputs):
        masks = _element_masks(inputs)
        kept = [
            x if m is None else ops.where(m, x, ops.ones_like(x))
            for x, m in zip(inputs, masks, strict=True)
        ]
        output = functools.reduce(ops.multiply, kept)
        if any(m is None for m in masks):
            return output
        together = functools.reduce(ops.logical_or, masks)
        output = ops.where(together, output, ops.zeros_like(output))
        output._keras_mask = ops.any(together, axis=-1)
        return output


class Average(_Elementwise):
    """The mean of tensors.

    Example:
        >>> from distkeras import ops
        >>> Average()([ops.ones((1, 2)), ops.zeros((1, 2))]).tolist()
        [[0.5, 0.5]]
    """

    def merge(self, inputs):
        return ops.divide(functools.reduce(ops.add, inputs), len(inputs))


class _Extremum(_Elementwise):
    """The winner among the elements that are not masked."""

    CHOOSE: Callable

    def merge(self, inputs):
        masks = _element_masks(inputs)
        output, together = inputs[0], masks[0]
        for x, mask in zip(inputs[1:], masks[1:], strict=True):
            if mask is not None:
                x = ops.where(mask, x, output)
            if together is not None:
                output = ops.where(together, output, x)
            both = mask is not None and together is not None
            together = ops.logical_or(together, mask) if both else None
            output = type(self).CHOOSE(output, x)
        if together is not None:
            if output is inputs[0]:
                return output  # alone, it has its mask already
            output._keras_mask = ops.any(together, axis=-1)
        return output


class Maximum(_Extremum):
    """The largest elements of tensors; masked ones do not count.

    Example:
        >>> from distkeras import ops
        >>> Maximum()([ops.ones((1, 2)), ops.zeros((1, 2))]).tolist()
        [[1.0, 1.0]]
    """

    CHOOSE = staticmethod(ops.maximum)


class Minimum(_Extremum):
    """The smallest elements of tensors; masked ones do not count.

    Example:
        >>> from distkeras import ops
        >>> Minimum()([ops.ones((1, 2)), ops.zeros((1, 2))]).tolist()
        [[0.0, 0.0]]
    """

    CHOOSE = staticmethod(ops.minimum)


def _function_of(cls: type[_Elementwise]) -> Callable[..., Any]:
    """The function that calls a new layer of a class on its argument."""

    def function(inputs, **kwargs):
        return cls(**kwargs)(inputs)

    name = cls.__name__.lower()
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""A new `{cls.__name__}` layer called on a list of tensors.

    Args:
        inputs: the tensors.
        **kwargs: arguments of the layer.

    Example:
        >>> from distkeras import ops
        >>> {name}([ops.ones((1, 2)), ops.ones((1, 2))]).shape
        (1, 2)
    """
    return function


add = _function_of(Add)
subtract = _function_of(Subtract)
multiply = _function_of(Multiply)
average = _function_of(Average)
maximum = _function_of(Maximum)
minimum = _function_of(Minimum)
