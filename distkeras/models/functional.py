"""`Functional`: a model made of a graph of layers."""

from typing import Any

from distkeras import ops
from distkeras.engine.rows import everywhere
from distkeras.errors import ArgumentError, ShapeError
from distkeras.layers.configuration import default_config
from distkeras.layers.core.input_layer import Input
from distkeras.layers.layer import Layer
from distkeras.models.graph import trace_graph
from distkeras.models.model import Model
from distkeras.ops.symbolic import FunctionOperation, KerasTensor, Node, Operation, infer_spec
from distkeras.training.trainer import Trainer
from distkeras.utils import tree

__all__ = ["Functional", "functional_from_config"]


class Functional(Model):
    """A model that runs a graph of layers; `Model(inputs, outputs)` makes one.

    Args:
        inputs, outputs: `KerasTensor`s, or lists, tuples or dicts of them.
        name: a name.
        trainable: whether optimizers may change the weights.
    """

    _inputs_struct: Any
    _outputs_struct: Any
    _inputs: list[KerasTensor]
    _outputs: list[KerasTensor]
    _operations: list[Operation]
    _nodes: list[Node]
    _steps: list[Node]

    def __new__(cls, *args, **kwargs):
        return Layer.__new__(cls, *args, **kwargs)

    def __init__(self, inputs, outputs, name=None, **kwargs):
        trainable = kwargs.pop("trainable", None)
        Trainer.__init__(self)
        Layer.__init__(self, name=name, **kwargs)
        for what, structure in (("inputs", inputs), ("outputs", outputs)):
            for t in tree.flatten(structure):
                if not isinstance(t, KerasTensor):
                    raise ArgumentError(
                        f"All `{what}` values must be KerasTensors. Received: {what}={structure} "
                        f"including {t!r}."
                    )
        flat = tree.flatten(inputs)
        if len({id(t) for t in flat}) != len(flat):
            raise ArgumentError(
                f"All `inputs` of a model must be different tensors. Received: inputs={inputs}"
            )
        if not all(_node(t).is_input for t in flat):
            inputs, outputs = _from_intermediate(inputs, outputs)
        keep = object.__setattr__
        keep(self, "_inputs_struct", inputs)
        keep(self, "_outputs_struct", outputs)
        keep(self, "_inputs", tree.flatten(inputs))
        keep(self, "_outputs", tree.flatten(outputs))
        graph = trace_graph(inputs, outputs)
        keep(self, "_operations", graph.operations)
        keep(self, "_nodes", graph.nodes)
        keep(self, "_steps", [n for n in graph.nodes if n.input_tensors])
        for operation in graph.operations:
            if isinstance(operation, Layer):
                self._layers.append(operation)
        _check_names(self._operations)
        self.input_names  # noqa: B018 - found once, while the tensors are at hand
        self.built = True
        object.__setattr__(self, "_locked", True)
        if trainable is not None:
            self.trainable = trainable

    # --- shape of the graph ---

    @property
    def layers(self):
        return [op for op in self._operations if isinstance(op, Layer)]

    @property
    def operations(self) -> list:
        """Layers and operations, in order."""
        return list(self._operations)

    @property
    def inputs(self) -> list[KerasTensor]:
        """The input tensors, flat."""
        return list(self._inputs)

    @property
    def outputs(self) -> list[KerasTensor]:
        """The output tensors, flat."""
        return list(self._outputs)

    @property
    def input(self):
        return self._inputs_struct

    @property
    def output(self):
        return self._outputs_struct

    @property
    def input_shape(self):
        """The shape of the input, or the shapes of all of them in a list."""
        return _one_or_all([t.shape for t in self._inputs])

    @property
    def output_shape(self):
        """The shape of the output, or the shapes of all of them in a list."""
        return _one_or_all([t.shape for t in self._outputs])

    @property
    def input_names(self) -> list[str]:
        """The names of the inputs' layers."""
        return [t._keras_history.operation.name for t in self._inputs]

    @property
    def output_names(self) -> list[str]:
        """The names of the layers that made the outputs."""
        return [t._keras_history.operation.name for t in self._outputs]

    @property
    def _output_keys(self) -> list[str]:
        """What losses and metrics call the outputs: keys of a dict, else `output_names`."""
        if isinstance(self._outputs_struct, dict):
            return sorted(self._outputs_struct)
        return self.output_names

    @property
    def input_spec(self):
        """What the inputs must look like."""
        return self.__dict__.get("_own_input_spec")

    @input_spec.setter
    def input_spec(self, value):
        object.__setattr__(self, "_own_input_spec", value)

    # --- computing ---

    def call(self, inputs, training=None, mask=None):
        outputs = self._run_graph(inputs, training=training, mask=mask)
        # As in Keras: a list of one output was asked for, the output itself is given.
        return outputs[0] if isinstance(outputs, list | tuple) and len(outputs) == 1 else outputs

    def _run_graph(self, inputs, training=None, mask=None):
        """The outputs in their own structure."""
        values = self._match(inputs)
        if mask is not None:
            for t, m in zip(values.values(), tree.flatten(mask), strict=True):
                if m is not None and getattr(t, "_keras_mask", None) is None:
                    t._keras_mask = m
        for node in self._steps:
            args, kwargs = node.fill_in(values)
            operation = node.operation
            if training is not None and kwargs.get("training") is not None:
                kwargs = {**kwargs, "training": training}
            outputs = (
                operation(*args, **kwargs)
                if isinstance(operation, Layer)
                else operation.call(*args, **kwargs)
            )
            made = node.output_tensors
            if len(made) == 1 and not tree.is_nested(outputs):
                values[id(made[0])] = outputs
            else:
                for symbol, value in zip(made, tree.flatten(outputs), strict=True):
                    values[id(symbol)] = value
        if isinstance(self._outputs_struct, KerasTensor):
            return values[id(self._outputs_struct)]
        return tree.map_structure(lambda t: values[id(t)], self._outputs_struct)

    def _match(self, inputs) -> dict[int, Any]:
        """Values by the id of the input tensor they are for; dtype and missing axes of size 1 are
        adjusted."""
        if isinstance(inputs, dict) and not isinstance(self._inputs_struct, dict):
            missing = [n for n in self.input_names if n not in inputs]
            if missing:
                raise ArgumentError(
                    f"Missing data for input {missing[0]!r}. You passed a data dictionary with "
                    f"keys {list(inputs)}. Expected the following "
                    f"keys: {self.input_names}"
                )
            given = [inputs[n] for n in self.input_names]
        elif isinstance(inputs, dict) and isinstance(self._inputs_struct, dict):
            missing = [k for k in self._inputs_struct if k not in inputs]
            if missing:
                raise ArgumentError(
                    f"Missing data for input {missing[0]!r}; the keys are {sorted(inputs)}."
                )
            given = tree.flatten({k: inputs[k] for k in self._inputs_struct})
        else:
            given = tree.flatten(inputs)
        if len(given) != len(self._inputs):
            raise ShapeError(
                f"Model '{self.name}' has {len(self._inputs)} inputs "
                f"({', '.join(self.input_names)}), but received {len(given)}."
            )
        return {id(t): self._adjust(x, t) for x, t in zip(given, self._inputs, strict=True)}

    def _adjust(self, x, symbol):
        x = ops.as_tensor(x) if not isinstance(x, KerasTensor) else x
        mask = getattr(x, "_keras_mask", None)
        original = x
        if x.dtype != symbol.dtype:
            x = ops.cast(x, symbol.dtype)
        have, want = tuple(x.shape), symbol.shape
        if len(have) == len(want) - 1 and want[-1] == 1:
            x = ops.expand_dims(x, -1)
        elif len(have) == len(want) + 1 and have[-1] == 1:
            x = ops.squeeze(x, -1)
        have = tuple(everywhere(d) for d in x.shape)  # sizes of batches are those of the whole
        if len(have) != len(want) or any(
            w is not None and h is not None and w != h for h, w in zip(have, want, strict=True)
        ):
            name = symbol._keras_history.operation.name
            raise ShapeError(
                f"Invalid input shape for input '{name}' of model '{self.name}'. Expected shape "
                f"{want}, but input has incompatible shape {have}"
            )
        if mask is not None and x is not original:
            x._keras_mask = mask
        return x

    def compute_output_spec(self, inputs, training=None, mask=None):
        return infer_spec(self._run_graph, inputs, training=training, mask=mask)

    def compute_output_shape(self, input_shape):
        """The shape of the output for an input shape, with `None` for unknown sizes."""
        symbols = self._symbols_of(input_shape)
        return tree.map_structure(lambda t: t.shape, self.compute_output_spec(symbols))

    def build(self, input_shape=None):
        """A functional model is built from the start."""
        self.built = True

    # --- configuration ---

    @default_config
    def get_config(self) -> dict:
        if type(self).__init__ is not Functional.__init__ and not _takes_graph(type(self)):
            return Model.get_config(self)
        from distkeras.models.functional_config import graph_config

        return graph_config(self)

    def get_build_config(self) -> dict:
        """Nothing to build; Keras writes this for every functional model."""
        return {"input_shape": None}


def _takes_graph(cls) -> bool:
    import inspect

    names = list(inspect.signature(cls.__init__).parameters)[1:]
    return names[:2] == ["inputs", "outputs"]


def functional_from_config(cls, config: dict, custom_objects=None):
    """A functional model from its configuration; see `models/functional_config.py`."""
    from distkeras.models.functional_config import model_from_graph_config

    return model_from_graph_config(cls, config, custom_objects=custom_objects)


def _one_or_all(shapes: list) -> Any:
    return shapes[0] if len(shapes) == 1 else shapes


def _node(tensor) -> Node:
    history = tensor._keras_history
    return history.operation._inbound_nodes[history.node_index]


def _check_names(operations) -> None:
    seen: dict[str, Any] = {}
    for operation in operations:
        if operation.name in seen and isinstance(operation, Layer):
            times = sum(o.name == operation.name for o in operations)
            raise ArgumentError(
                f'The name "{operation.name}" is used {times} times in the model. All operation '
                "names should be unique."
            )
        seen[operation.name] = operation


def _from_intermediate(inputs, outputs):
    """The graph between inner tensors of another model, copied onto new inputs."""
    graph = trace_graph(inputs, outputs)
    starts: dict[int, Any] = {}
    for t in tree.flatten(inputs):
        starts[id(t)] = (
            t
            if _node(t).is_input
            else Input(batch_shape=t.shape, dtype=t.dtype, name=f"{t.name}_clone")
        )
    values = dict(starts)
    for node in graph.nodes:
        if any(id(t) in starts for t in node.output_tensors):
            continue
        args, kwargs = node.fill_in(values)
        copies = (
            node.operation(*args, **kwargs)
            if not isinstance(node.operation, FunctionOperation)
            else node.operation.symbolic_call(*args, **kwargs)
        )
        for symbol, copy in zip(node.output_tensors, tree.flatten(copies), strict=True):
            values[id(symbol)] = copy
    return tree.map_structure(lambda t: values[id(t)], inputs), tree.map_structure(
        lambda t: values[id(t)], outputs
    )
