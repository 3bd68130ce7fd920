"""Operations of functional models (`x * 2`, `ops.mean(x, axis=1)`) in files, as Keras writes them.

Keras has a class for each operation, whose constructor takes the settings (`axis`) and whose call
takes the operands; here an operation is a function. So a call is split for writing: operands stay
in the graph's node, the rest becomes the configuration. Reading puts them together again.
"""

import inspect
from typing import Any

from distkeras.ops.symbolic import OPS, FunctionOperation
from distkeras.utils.naming import to_snake_case
from distkeras.utils.serialization import (
    deserialize_keras_object,
    register_finder,
    serialize_keras_object,
)

__all__ = ["LoadedOperation", "described_call"]

# Modules of Keras that define operations, with those that are not in `numpy`.
_HOMES = {
    "core": "cast stop_gradient unstack slice_update",
    "image": "resize",
    "linalg": "norm",
    "math": "rsqrt erf erfinv logsumexp top_k",
    "nn": (
        "relu relu6 leaky_relu elu selu celu gelu silu sigmoid log_sigmoid hard_sigmoid "
        "sparse_sigmoid hard_silu hard_tanh tanh_shrink soft_shrink hard_shrink threshold softplus "
        "softsign squareplus sparse_plus glu softmax log_softmax sparsemax conv depthwise_conv "
        "separable_conv conv_transpose max_pool average_pool categorical_crossentropy "
        "sparse_categorical_crossentropy binary_crossentropy one_hot multi_hot"
    ),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names.split()}
# What an operation computes on; everything else is a setting.
_OPERANDS = frozenset(
    "x x1 x2 xs inputs images kernel depthwise_kernel pointwise_kernel target output condition key "
    "indices start_indices updates operands variable fill_value rtol atol".split()
)
_PREFIX = "keras.src.ops."


def described_call(operation: Any, args: tuple, kwargs: dict) -> tuple[dict, tuple, dict] | None:
    """How a file describes a call of an operation.

    Args:
        operation: a node's operation.
        args, kwargs: the node's arguments.

    Returns:
        The description of the operation, and the arguments that stay with the node; None for
        layers, which describe themselves.
    """
    if not isinstance(operation, FunctionOperation):
        return None
    name = operation.function_name
    signature = inspect.signature(OPS[name])
    variadic = any(p.kind is p.VAR_POSITIONAL for p in signature.parameters.values())
    settings: dict[str, Any] = {}
    if not variadic:
        given = signature.bind(*args, **kwargs).arguments
        settings = {key: value for key, value in given.items() if key not in _OPERANDS}
        # JSON has no tuples, and Keras's file neither: an index comes back as a list.
        operands = {k: _as_list(v) for k, v in given.items() if k in _OPERANDS}
        leading = list(signature.parameters)[: len(operands)]
        positional = list(operands) == leading
        args = tuple(operands.values()) if positional else ()
        kwargs = {} if positional else operands
    class_name = "".join(part.capitalize() for part in name.split("_"))
    description = {
        "module": f"{_PREFIX}{_HOME.get(name, 'numpy')}",
        "class_name": class_name,
        "config": {"name": operation.name, **serialize_keras_object(settings)},
        "registered_name": class_name,
    }
    return description, args, kwargs


def _as_list(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


class LoadedOperation(FunctionOperation):
    """An operation from a file, with its settings.

    Args:
        function_name: the function's name in `distkeras.ops`.
        settings: arguments that the file gives with the operation.
        name: the operation's name.
    """

    def __init__(self, function_name: str, settings: dict[str, Any], name: str | None = None):
        super().__init__(function_name, name=name)
        known = inspect.signature(OPS[function_name]).parameters
        # Newer versions of Keras may know settings that have their default in the file.
        self.settings = {k: v for k, v in settings.items() if k in known}

    def symbolic_call(self, *args, **kwargs):
        """The call with the settings."""
        if self.function_name == "get_item" and len(args) == 2 and isinstance(args[1], list):
            args = (args[0], tuple(args[1]))
        return super().symbolic_call(*args, **{**self.settings, **kwargs})


class _Maker:
    """Stands for one of Keras's operation classes."""

    def __init__(self, function_name: str) -> None:
        self.function_name = function_name

    def from_config(self, config: dict) -> LoadedOperation:
        """The operation with its settings."""
        settings = {key: deserialize_keras_object(value) for key, value in config.items()}
        return LoadedOperation(self.function_name, settings, name=settings.pop("name", None))


def _find(module: str, class_name: str) -> _Maker | None:
    if not module.startswith(_PREFIX):
        return None
    name = to_snake_case(class_name)
    home = module.removeprefix(_PREFIX)
    return _Maker(name) if name in OPS and _HOME.get(name, "numpy") == home else None


register_finder(_find)
