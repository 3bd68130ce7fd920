"""Descriptions of objects, as `distkeras.utils.serialization` makes them, and of tensors in "
"them."""

from typing import Any

import numpy as np

from distkeras.engine.tensor import Tensor
from distkeras.engine.variable import Variable
from distkeras.ops import convert_to_tensor
from distkeras.ops.symbolic import KerasTensor
from distkeras.utils.serialization import (
    deserialize_keras_object,
    enable_unsafe_deserialization,
    object_sharing,
    register_codec,
    safe_mode_scope,
    serialize_keras_object,
)

__all__ = [
    "deserialize_keras_object",
    "enable_unsafe_deserialization",
    "object_sharing",
    "safe_mode_scope",
    "serialize_keras_object",
]


def _encode_symbol(tensor: KerasTensor) -> dict[str, Any]:
    history = getattr(tensor, "_keras_history", None)
    if history is not None:
        history = [history.operation.name, history.node_index, history.tensor_index]
    return {"shape": list(tensor.shape), "dtype": tensor.dtype, "keras_history": history}


def _decode_symbol(config: dict[str, Any]) -> KerasTensor:
    tensor = KerasTensor(tuple(config["shape"]), dtype=str(config["dtype"]))
    # Keras's name for it; who rebuilds a graph reads it.
    setattr(tensor, "_pre_serialization_keras_history", config["keras_history"])  # noqa: B010
    return tensor


def _encode_tensor(tensor: Tensor | Variable) -> dict[str, Any]:
    return {"value": np.asarray(tensor.numpy()).tolist(), "dtype": tensor.dtype}


register_codec(KerasTensor, _encode_symbol, "__keras_tensor__", _decode_symbol)
register_codec(
    Tensor,
    _encode_tensor,
    "__tensor__",
    lambda config: convert_to_tensor(config["value"], dtype=str(config["dtype"])),
)
register_codec(
    Variable, lambda variable: {"class_name": "__tensor__", "config": _encode_tensor(variable)}
)
