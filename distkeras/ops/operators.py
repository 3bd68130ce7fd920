"""Python's operators on tensors, variables and symbolic tensors are operations of this package."""

from distkeras.engine.tensor import OPERATORS
from distkeras.ops import binary, choosing, picking, products, unary

__all__: list[str] = []

_BINARY = (
    "add subtract multiply true_divide floor_divide mod power logical_and logical_or logical_xor "
    "less less_equal greater greater_equal equal not_equal"
).split()
_UNARY = "negative absolute logical_not".split()

OPERATORS.update({name: getattr(binary, name) for name in _BINARY})
OPERATORS.update({name: getattr(unary, name) for name in _UNARY})
OPERATORS["round"] = choosing.round
OPERATORS["matmul"] = products.matmul
OPERATORS["get_item"] = picking.get_item
