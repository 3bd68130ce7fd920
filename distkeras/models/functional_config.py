"""The graph of a functional model as a configuration, and back: Keras 3's layout.

A layer is listed with its calls (`inbound_nodes`), each with its arguments; a symbolic argument is
written as `[operation name, number of the call, number of the output]`, counting only calls that
belong to the model.
"""

from typing import Any

from distkeras.errors import SavingError
from distkeras.ops.symbolic import KerasTensor
from distkeras.saving.operations import described_call
from distkeras.saving.serialization import deserialize_keras_object, serialize_keras_object

__all__ = ["graph_config", "model_from_graph_config"]


def graph_config(model) -> dict:
    """The configuration of a functional model."""
    number: dict[int, int] = {}
    for operation in model._operations:
        own = [n for n in operation._inbound_nodes if any(n is m for m in model._nodes)]
        number.update({id(n): i for i, n in enumerate(own)})

    def place(t: KerasTensor) -> list:
        history = t._keras_history
        node = history.operation._inbound_nodes[history.node_index]
        return [history.operation.name, number[id(node)], history.tensor_index]

    def argument(leaf):
        if isinstance(leaf, KerasTensor):
            config = {"shape": list(leaf.shape), "dtype": leaf.dtype, "keras_history": place(leaf)}
            return {"class_name": "__keras_tensor__", "config": config}
        return serialize_keras_object(leaf)

    def arguments(structure):
        if isinstance(structure, tuple):
            return {"class_name": "__tuple__", "items": [arguments(v) for v in structure]}
        if isinstance(structure, list):
            return [arguments(v) for v in structure]
        if isinstance(structure, dict):
            return {k: arguments(v) for k, v in structure.items()}
        return argument(structure)

    layers = []
    for operation in model._operations:
        calls, entry = [], None
        for n in operation._inbound_nodes:
            if id(n) in number and n.input_tensors:
                described = described_call(operation, n.args, n.kwargs)
                entry, args, kwargs = described or (None, n.args, n.kwargs)
                calls.append(
                    {
                        "args": [arguments(a) for a in args],
                        "kwargs": {k: arguments(v) for k, v in kwargs.items()},
                    }
                )
        entry = entry or serialize_keras_object(operation)
        entry["name"] = operation.name
        entry["inbound_nodes"] = calls
        layers.append(entry)

    def places(structure):
        if isinstance(structure, KerasTensor):
            return place(structure)
        if isinstance(structure, dict):
            return {k: places(v) for k, v in structure.items()}
        return [places(v) for v in structure]

    return {
        "name": model.name,
        "trainable": model.trainable,
        "layers": layers,
        "input_layers": places(model._inputs_struct),
        "output_layers": places(model._outputs_struct),
    }


class _Waiting(Exception):
    """A call needs a tensor that is not there yet."""


def model_from_graph_config(cls, config: dict, custom_objects=None):
    """A functional model from its configuration.

    Raises:
        SavingError: where a call refers to a layer or tensor that the configuration does not
            define.
    """
    made: dict[str, Any] = {}
    pending: list[tuple[str, dict]] = []
    for entry in config["layers"]:
        name = entry.get("name") or entry["config"]["name"]
        operation = deserialize_keras_object(entry, custom_objects=custom_objects)
        if operation.name != name:
            operation.name = name
        made[name] = operation
        pending.extend((name, call) for call in _calls(entry))
    while pending:
        waiting = []
        blocked: set[str] = set()
        for name, call in pending:
            try:
                if name in blocked:
                    raise _Waiting
                args, kwargs = _arguments(call, made, custom_objects)
            except _Waiting:
                blocked.add(name)  # the calls of one layer keep their order
                waiting.append((name, call))
                continue
            made[name](*args, **kwargs)
        if len(waiting) == len(pending):
            names = ", ".join(sorted({n for n, _ in waiting}))
            raise SavingError(
                f"The configuration's graph cannot be rebuilt: the inputs of {names} are defined "
                "nowhere in it."
            )
        pending = waiting

    def tensor(place):
        return _tensor(place, made)

    def structure(places):
        if isinstance(places, dict):
            return {k: structure(v) for k, v in places.items()}
        if isinstance(places, list | tuple) and len(places) == 3 and isinstance(places[0], str):
            return tensor(places)
        return [structure(p) for p in places]

    def ends(places):
        found = structure(places)
        return (
            found[0] if isinstance(found, list) and len(found) == 1 and _was_flat(places) else found
        )

    inputs, outputs = ends(config["input_layers"]), ends(config["output_layers"])
    model = cls(inputs, outputs, name=config.get("name"))
    if config.get("trainable") is False:
        model.trainable = False
    return model


def _was_flat(places) -> bool:
    return isinstance(places, list) and len(places) == 3 and isinstance(places[0], str)


def _calls(entry) -> list[dict]:
    calls = []
    for call in entry.get("inbound_nodes", []):
        if isinstance(call, dict):
            calls.append(call)
        else:  # Keras 2: a list of [layer, node, tensor, kwargs]
            tensors = [
                {"class_name": "__keras_tensor__", "config": {"keras_history": item[:3]}}
                for item in call
            ]
            kwargs = call[0][3] if call and len(call[0]) > 3 else {}
            calls.append({"args": [tensors[0] if len(tensors) == 1 else tensors], "kwargs": kwargs})
    return calls


def _arguments(call: dict, made: dict, custom_objects) -> tuple[tuple, dict]:
    def revive(value):
        if isinstance(value, dict):
            if value.get("class_name") == "__keras_tensor__":
                return _tensor(value["config"]["keras_history"], made)
            if value.get("class_name") == "__tuple__":
                return tuple(revive(v) for v in value["items"])
            if "class_name" in value:
                return deserialize_keras_object(value, custom_objects=custom_objects)
            return {k: revive(v) for k, v in value.items()}
        return [revive(v) for v in value] if isinstance(value, list) else value

    return tuple(revive(a) for a in call["args"]), {k: revive(v) for k, v in call["kwargs"].items()}


def _tensor(place, made: dict):
    name, node, index = place[:3]
    if name not in made:
        raise SavingError(f"The configuration refers to a layer '{name}' that it does not define.")
    nodes = made[name]._inbound_nodes
    if node >= len(nodes):
        raise _Waiting
    return nodes[node].output_tensors[index]
