"""What a layer expects of its inputs, checked at every call."""

from typing import Any

from distkeras.errors import ArgumentError, ShapeError
from distkeras.utils import tree

__all__ = ["InputSpec", "assert_input_compatibility"]


class InputSpec:
    """The rank, shape and dtype of one input.

    Args:
        dtype: a dtype name, or `None` for any.
        shape: a tuple with `None` for any size, or `None` for any shape.
        ndim, max_ndim, min_ndim: the number of axes.
        axes: axis -> size.
        allow_last_axis_squeeze: whether a last axis of size 1 may be missing or extra.
        name: the input's name, for models with named inputs.
        optional: whether the input may be `None`.

    Example:
        >>> InputSpec(min_ndim=2, axes={-1: 4}).axes
        {-1: 4}
    """

    def __init__(
        self,
        dtype=None,
        shape=None,
        ndim=None,
        max_ndim=None,
        min_ndim=None,
        axes=None,
        allow_last_axis_squeeze=False,
        name=None,
        optional=False,
    ):
        self.dtype = dtype
        self.shape = None if shape is None else tuple(shape)
        self.ndim = len(self.shape) if self.shape is not None else ndim
        self.max_ndim = max_ndim
        self.min_ndim = min_ndim
        self.axes = {int(k): v for k, v in (axes or {}).items()}
        self.allow_last_axis_squeeze = allow_last_axis_squeeze
        self.name = name
        self.optional = optional
        limit = ndim if ndim is not None else max_ndim
        if self.axes and limit is not None and max(self.axes) > limit - 1:
            raise ArgumentError(
                f"Axis {max(self.axes)} is greater than the maximum allowed value: {limit - 1}."
            )

    def get_config(self) -> dict:
        """The arguments from which the spec can be made again."""
        return {
            "dtype": self.dtype,
            "shape": self.shape,
            "ndim": self.ndim,
            "max_ndim": self.max_ndim,
            "min_ndim": self.min_ndim,
            "axes": self.axes,
            "optional": self.optional,
        }

    @classmethod
    def from_config(cls, config: dict) -> "InputSpec":
        """A spec made from `get_config()`'s result."""
        return cls(**config)

    def __repr__(self):
        parts = (
            ("dtype", self.dtype),
            ("shape", self.shape),
            ("ndim", self.ndim),
            ("max_ndim", self.max_ndim),
            ("min_ndim", self.min_ndim),
            ("axes", self.axes or None),
        )
        return f"InputSpec({', '.join(f'{k}={v}' for k, v in parts if v is not None)})"


def assert_input_compatibility(input_spec: Any, inputs: Any, layer_name: str) -> None:
    """Check a layer's inputs against its `InputSpec`s.

    Raises:
        ShapeError: where a rank, size or dtype differs, naming the layer, the input and both sides.
    """
    if not input_spec:
        return
    specs = tree.flatten(input_spec)
    if isinstance(inputs, dict) and specs and all(s.name in inputs for s in specs):
        tensors = [inputs[s.name] for s in specs]
    else:
        tensors = tree.flatten(inputs)
    if len(tensors) != len(specs):
        raise ShapeError(
            f'Layer "{layer_name}" expects {len(specs)} input(s), but it received {len(tensors)} '
            f"input tensors. "
            f"Inputs received: {[getattr(t, 'shape', t) for t in tensors]}"
        )
    for i, (spec, x) in enumerate(zip(specs, tensors, strict=True)):
        if spec is not None and not (x is None and spec.optional):
            _check(spec, x, i, layer_name)


def _check(spec: InputSpec, x, i: int, layer_name: str) -> None:
    if not hasattr(x, "shape"):
        raise ShapeError(
            f"Inputs to a layer should be tensors. Got '{x}' (of type {type(x)}) as input for "
            f"layer '{layer_name}'."
        )
    shape = tuple(x.shape)
    rank = len(shape)
    where = f'Input {i} of layer "{layer_name}" is incompatible with the layer: '
    if spec.ndim is not None and rank != spec.ndim:
        if spec.allow_last_axis_squeeze and spec.shape is not None and abs(rank - spec.ndim) == 1:
            longer = spec.shape if spec.ndim > rank else shape
            if longer[-1] in (1, None):
                return
        raise ShapeError(
            f"{where}expected ndim={spec.ndim}, found ndim={rank}. Full shape received: {shape}"
        )
    if spec.max_ndim is not None and rank > spec.max_ndim:
        raise ShapeError(f"{where}expected max_ndim={spec.max_ndim}, found ndim={rank}")
    if spec.min_ndim is not None and rank < spec.min_ndim:
        raise ShapeError(
            f"{where}expected min_ndim={spec.min_ndim}, found ndim={rank}. Full shape received: "
            f"{shape}"
        )
    if spec.dtype is not None and x.dtype != spec.dtype:
        raise ShapeError(f"{where}expected dtype={spec.dtype}, found dtype={x.dtype}")
    for axis, size in spec.axes.items():
        if size is not None and shape[axis] not in (size, None):
            raise ShapeError(
                f"{where}expected axis {axis} of input shape to have value {size}, but received "
                f"input with shape {shape}"
            )
    if spec.shape is not None:
        for want, got in zip(spec.shape, shape, strict=True):
            if want is not None and got is not None and want != got:
                raise ShapeError(f"{where}expected shape={spec.shape}, found shape={shape}")
