"""Where a functional model begins."""

from collections.abc import Sequence
from typing import Any

from distkeras import config
from distkeras.engine.dtypes import standardize_dtype
from distkeras.errors import ArgumentError
from distkeras.layers.layer import Layer
from distkeras.ops.symbolic import KerasTensor, Node

__all__ = ["Input", "InputLayer"]


class InputLayer(Layer):
    """A layer without inputs, whose output is a symbolic tensor; use `Input`.

    Args:
        shape: the shape of one sample, `None` for sizes that vary.
        batch_size: the number of samples, default any.
        dtype: a dtype name, default `floatx()`.
        sparse, ragged: must be false.
        batch_shape: the whole shape, in place of `shape` and `batch_size`.
        input_tensor: a `KerasTensor` to use in place of a new one.
        optional: whether a model may be called with `None` for it.
        name: a name, default `input_layer`, `input_layer_1`, ...

    Raises:
        ArgumentError: where shape, batch size and tensor contradict each other, or none is given.

    Example:
        >>> InputLayer(shape=(3,)).output.shape
        (None, 3)
    """

    def __init__(
        self,
        shape: Sequence[int | None] | None = None,
        batch_size: int | None = None,
        dtype: str | None = None,
        sparse: bool | None = None,
        ragged: bool | None = None,
        batch_shape: Sequence[int | None] | None = None,
        input_tensor: Any = None,
        optional: bool = False,
        name: str | None = None,
        **kwargs: Any,
    ):
        shape = kwargs.pop("input_shape", shape)
        batch_shape = kwargs.pop("batch_input_shape", batch_shape)
        super().__init__(name=name, **kwargs)
        if sparse or ragged:
            raise ArgumentError(
                "Sparse and ragged tensors do not exist here: `sparse` and `ragged` must be false."
            )
        if input_tensor is not None:
            _check_tensor(input_tensor, shape, batch_size, batch_shape, dtype)
            batch_shape, dtype = input_tensor.shape, input_tensor.dtype
        elif shape is not None and batch_shape is not None:
            raise ArgumentError("You cannot pass both `shape` and `batch_shape` at the same time.")
        elif batch_size is not None and batch_shape is not None:
            raise ArgumentError(
                "You cannot pass both `batch_size` and `batch_shape` at the same time."
            )
        elif shape is None and batch_shape is None:
            raise ArgumentError("You must pass a `shape` argument.")
        elif shape is not None:
            batch_shape = (batch_size, *_sizes("shape", shape))
        self._batch_shape = _sizes("batch_shape", batch_shape)
        self._dtype = standardize_dtype(dtype or config.floatx())
        self.sparse = False
        self.ragged = False
        self.optional = optional
        if input_tensor is None:
            input_tensor = KerasTensor(self._batch_shape, self._dtype, name=name)
        Node(self, (), {}, input_tensor)
        self.built = True

    def call(self):
        """Nothing: a model puts its data in the place of the output."""

    @property
    def batch_shape(self) -> tuple[int | None, ...]:
        """The shape, samples included."""
        return self._batch_shape

    @property
    def dtype(self) -> str:
        """The dtype of the output."""
        return self._dtype

    def get_config(self) -> dict:
        """The arguments from which the layer can be made again."""
        return {
            "batch_shape": self._batch_shape,
            "dtype": self._dtype,
            "sparse": self.sparse,
            "ragged": self.ragged,
            "name": self.name,
            "optional": self.optional,
        }


def _sizes(name: str, shape: Any) -> tuple[int | None, ...]:
    sizes = tuple(shape) if isinstance(shape, list | tuple) else (shape,)
    for d in sizes:
        if d is not None and (isinstance(d, bool) or not hasattr(d, "__index__") or int(d) < 0):
            raise ArgumentError(
                f"`{name}` must be a tuple of sizes and None (any size), without negative numbers. "
                f"Received: {name}={shape!r}"
            )
    return tuple(None if d is None else int(d) for d in sizes)


def _check_tensor(tensor, shape, batch_size, batch_shape, dtype) -> None:
    if not isinstance(tensor, KerasTensor):
        raise ArgumentError(
            f"Argument `input_tensor` must be a KerasTensor. Received: {tensor!r} of type "
            f"{type(tensor).__name__}"
        )
    expected = {
        "shape": (shape, tuple(tensor.shape[1:])),
        "batch_size": (batch_size, tensor.shape[0] if tensor.shape else None),
        "batch_shape": (batch_shape, tuple(tensor.shape)),
        "dtype": (dtype, tensor.dtype),
    }
    for name, (given, own) in expected.items():
        if given is not None and (tuple(given) if isinstance(given, list) else given) != own:
            raise ArgumentError(
                f"The `input_tensor` has {name} {own}, but `{name}={given!r}` was passed beside "
                "it. "
                f"Leave `{name}` out."
            )


def Input(
    shape: Sequence[int | None] | None = None,
    batch_size: int | None = None,
    dtype: str | None = None,
    sparse: bool | None = None,
    ragged: bool | None = None,
    batch_shape: Sequence[int | None] | None = None,
    name: str | None = None,
    tensor: Any = None,
    optional: bool = False,
) -> KerasTensor:
    """A symbolic tensor that stands for a model's input.

    Args:
        shape: the shape of one sample, `None` for sizes that vary.
        batch_size: the number of samples, default any.
        dtype: a dtype name, default `floatx()`.
        sparse, ragged: must be false.
        batch_shape: the whole shape, in place of `shape` and `batch_size`.
        name: a name, by which a model's inputs can be given in a dict.
        tensor: a `KerasTensor` to use in place of a new one.
        optional: whether the model may be called with `None` for it.

    Returns:
        A `KerasTensor`.

    Raises:
        ArgumentError: where shape, batch size and tensor contradict each other, or none is given.

    Example:
        >>> Input((28, 28)).shape
        (None, 28, 28)
    """
    layer = InputLayer(
        shape=shape,
        batch_size=batch_size,
        dtype=dtype,
        sparse=sparse,
        ragged=ragged,
        batch_shape=batch_shape,
        input_tensor=tensor,
        optional=optional,
        name=name,
    )
    return layer.output
