"""Graphs of Keras: `KerasTensor`, the `Operation`s that made it, and `@op`, through which a
function takes part.

An operation called on a `KerasTensor` computes nothing: a `Node` remembers the call, and the
result's shape and dtype come from running the operation's own Python on shapes
(`engine.abstract.infer`).
"""

import functools
from collections import namedtuple
from collections.abc import Callable
from typing import Any, TypeVar, cast

from distkeras.engine.abstract import Spec, infer
from distkeras.engine.dtypes import standardize_dtype
from distkeras.engine.tensor import Operators, Tensor
from distkeras.errors import AbstractValueError, ArgumentError, UnknownObjectError
from distkeras.utils import tree
from distkeras.utils.naming import auto_name, to_snake_case

__all__ = [
    "FunctionOperation",
    "KerasHistory",
    "KerasTensor",
    "Node",
    "Operation",
    "any_symbolic",
    "is_keras_tensor",
    "op",
]

Function = TypeVar("Function", bound=Callable)
KerasHistory = namedtuple("KerasHistory", ["operation", "node_index", "tensor_index"])


class KerasTensor(Operators):
    """A tensor of a graph: a shape, in which `None` is unknown, a dtype and where it comes from.

    Args:
        shape: a tuple of ints and `None`.
        dtype: a dtype name, default `floatx()`.
        sparse: accepted for Keras's sake; must be false.
        name: a name, default `keras_tensor`, `keras_tensor_1`, ...

    Example:
        >>> KerasTensor((None, 3)).shape
        (None, 3)
    """

    _keras_history: KerasHistory  # where it comes from; a tensor that nothing made has none

    def __init__(
        self, shape, dtype="float32", sparse=False, ragged=False, record_history=True, name=None
    ):
        self.shape = tuple(None if d is None else int(d) for d in shape)
        self.dtype = standardize_dtype(dtype)
        self.sparse = bool(sparse)
        self.name = name or auto_name("keras_tensor")
        self.record_history = record_history

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    def _no_value(self, *_, **__):
        raise AbstractValueError(
            f"The symbolic tensor {self.name!r} of shape {self.shape} stands for data that come "
            "later: it has no value to read. "
            "Use operations from `keras.ops` or layers on it, and build a `Model` from the inputs "
            "to the result."
        )

    numpy = item = tolist = _no_value
    __array__ = __float__ = __int__ = __bool__ = __index__ = _no_value

    def __iter__(self):
        if not self.shape or self.shape[0] is None:
            self._no_value()
        return (self[i] for i in range(self.shape[0]))

    def reshape(self, newshape):
        """The tensor with another shape; see `ops.reshape`."""
        from distkeras import ops

        return ops.reshape(self, newshape)

    def squeeze(self, axis=None):
        """The tensor without axes of size 1; see `ops.squeeze`."""
        from distkeras import ops

        return ops.squeeze(self, axis)

    def __repr__(self):
        return (
            f"<KerasTensor shape={self.shape}, dtype={self.dtype}, sparse={self.sparse}, "
            f"ragged=False, name={self.name}>"
        )


def is_keras_tensor(x: Any) -> bool:
    """Whether `x` is a `KerasTensor`.

    Example:
        >>> is_keras_tensor(KerasTensor((2,)))
        True
    """
    return isinstance(x, KerasTensor)


def any_symbolic(*structures: Any) -> bool:
    """Whether a `KerasTensor` occurs anywhere in nested structures.

    Example:
        >>> any_symbolic([1, (KerasTensor((2,)),)])
        True
    """
    for s in structures:
        if isinstance(s, KerasTensor):
            return True
        if isinstance(s, list | tuple):
            if any_symbolic(*s):
                return True
        elif isinstance(s, dict) and any_symbolic(*s.values()):
            return True
    return False


class Node:
    """One call of an operation in a graph.

    Attributes:
        operation: what was called.
        args, kwargs: with which arguments, `KerasTensor`s among them.
        input_tensors, output_tensors: the `KerasTensor`s in and out, flat.
        outputs: the result in its own structure.
    """

    def __init__(self, operation, args: tuple, kwargs: dict, outputs: Any):
        self.operation = operation
        self.args = args
        self.kwargs = kwargs
        self.input_tensors = [t for t in tree.flatten((args, kwargs)) if isinstance(t, KerasTensor)]
        self.outputs = outputs
        self.output_tensors = [t for t in tree.flatten(outputs) if isinstance(t, KerasTensor)]
        for i, t in enumerate(self.output_tensors):
            t._keras_history = KerasHistory(operation, len(operation._inbound_nodes), i)
        operation._inbound_nodes.append(self)
        for parent in self.parent_nodes:
            parent.operation._outbound_nodes.append(self)

    @property
    def parent_nodes(self) -> list["Node"]:
        """The calls that made this call's inputs."""
        out = []
        for t in self.input_tensors:
            history = getattr(t, "_keras_history", None)
            if history is not None:
                out.append(history.operation._inbound_nodes[history.node_index])
        return out

    @property
    def is_input(self) -> bool:
        """Whether the node has no inputs."""
        return not self.input_tensors

    def fill_in(self, values: dict[int, Any]) -> tuple[tuple, dict]:
        """The call's arguments with each `KerasTensor` replaced by `values[id(tensor)]`."""

        def pick(leaf):
            return values[id(leaf)] if isinstance(leaf, KerasTensor) else leaf

        if len(self.args) == 1 and not self.kwargs and isinstance(self.args[0], KerasTensor):
            return (values[id(self.args[0])],), self.kwargs
        return tree.map_structure(pick, self.args), tree.map_structure(pick, self.kwargs)

    def __repr__(self):
        return f"<Node operation={self.operation.name}>"


class Operation:
    """Something that can be called on tensors and take part in a graph: the base of layers.

    Args:
        name: its name, default from the class, `dense`, `dense_1`, ...
    """

    def __init__(self, name: str | None = None):
        if name is None:
            name = auto_name(to_snake_case(type(self).__name__))
        if not isinstance(name, str) or "/" in name:
            raise ArgumentError(
                f"The `name` of {type(self).__name__} must be a string without '/', got {name!r}."
            )
        self.name = name
        self._inbound_nodes: list[Node] = []
        self._outbound_nodes: list[Node] = []

    def __call__(self, *args, **kwargs):
        if any_symbolic(args, kwargs):
            return self.symbolic_call(*args, **kwargs)
        return self.call(*args, **kwargs)

    def call(self, *args, **kwargs):
        """The computation."""
        raise NotImplementedError(f"{type(self).__name__} does not define `call`.")

    def symbolic_call(self, *args, **kwargs):
        """The call on `KerasTensor`s: records a node and answers `KerasTensor`s."""
        outputs = self.compute_output_spec(*args, **kwargs)
        Node(self, args, kwargs, outputs)
        return outputs

    def compute_output_spec(self, *args, **kwargs):
        """The result's shapes and dtypes, as `KerasTensor`s."""
        return infer_spec(self.call, *args, **kwargs)

    @property
    def input(self):
        """The input of the operation's only call: one tensor, or a list of them."""
        tensors = self._node("input").input_tensors
        return tensors[0] if len(tensors) == 1 else tensors

    @property
    def output(self):
        """The output of the operation's only call, in its own structure."""
        return self._node("output").outputs

    def _node(self, what: str) -> Node:
        if len(self._inbound_nodes) != 1:
            raise AttributeError(
                f"{type(self).__name__} '{self.name}' was called {len(self._inbound_nodes)} times "
                "on symbolic tensors; "
                f"`{what}` is defined for exactly one call."
            )
        return self._inbound_nodes[0]

    def get_config(self) -> dict:
        """The arguments from which the operation can be made again."""
        return {"name": self.name}

    @classmethod
    def from_config(cls, config: dict):
        """An operation made from `get_config()`'s result."""
        try:
            return cls(**config)
        except TypeError as error:
            raise TypeError(
                f"Error when deserializing class '{cls.__name__}' using "
                f"config={config}.\n\nException encountered: {error}"
            ) from error

    def __repr__(self):
        return f"<{type(self).__name__} name={self.name}>"


def infer_spec(function: Callable, *args, **kwargs):
    """What `function` would return for arguments with `KerasTensor`s among them, as
    `KerasTensor`s."""

    def spec(leaf):
        return Spec(leaf.shape, leaf.dtype) if isinstance(leaf, KerasTensor) else leaf

    args, kwargs = tree.map_structure(spec, (args, kwargs))
    return tree.map_structure(
        lambda leaf: KerasTensor(leaf.shape, leaf.dtype) if isinstance(leaf, Spec) else leaf,
        infer(function, *args, **kwargs),
    )


class FunctionOperation(Operation):
    """A function of `distkeras.ops` as a node of a graph.

    Args:
        function_name: the function's name, as `distkeras.ops` has it.
        name: the operation's name.
    """

    def __init__(self, function_name: str, name: str | None = None):
        super().__init__(name=name or auto_name(function_name))
        if function_name not in OPS:
            raise UnknownObjectError(
                f"There is no operation {function_name!r} in `distkeras.ops`; the model that names "
                "it may come from a newer version."
            )
        self.function_name = function_name
        self._function = OPS[function_name]

    def call(self, *args, **kwargs):
        return self._function(*args, **kwargs)

    @property
    def class_name(self) -> str:
        """The function's name as Keras names the class of its nodes: `get_item` is `GetItem`."""
        return "".join(part.capitalize() for part in self.function_name.split("_"))

    def get_config(self):
        return {"function_name": self.function_name, "name": self.name}


# Every function of `distkeras.ops` by name, without its symbolic door: a graph runs them, a file
# names them.
OPS: dict[str, Callable] = {}


def op(function: Function) -> Function:
    """Let a function of tensors take `KerasTensor`s too; decorates public operations.

    Raises:
        ValueError: where another operation has the function's name.

    Example:
        >>> from distkeras import ops
        >>> ops.add(KerasTensor((None, 2)), 1.0).shape
        (None, 2)
    """
    name = function.__name__
    if name in OPS:
        raise ValueError(f"An operation named {name!r} exists already; give this one its own name.")
    OPS[name] = function

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        for a in args:
            if type(a) is Tensor:
                continue
            if isinstance(a, KerasTensor) or (
                isinstance(a, list | tuple | dict) and any_symbolic(a)
            ):
                return FunctionOperation(name).symbolic_call(*args, **kwargs)
        if kwargs and any_symbolic(kwargs):
            return FunctionOperation(name).symbolic_call(*args, **kwargs)
        return function(*args, **kwargs)

    return cast(Function, wrapper)
