"""The graph between symbolic inputs and outputs, in the order in which Keras runs and lists it."""

from typing import Any

from distkeras.errors import ArgumentError
from distkeras.ops.symbolic import KerasTensor, Node, Operation
from distkeras.utils import tree

__all__ = ["Graph", "trace_graph"]


class Graph:
    """What lies between inputs and outputs.

    Attributes:
        nodes: the calls, each after those that it needs.
        operations: what was called, each once, in Keras's order: by depth, then by first visit.
    """

    def __init__(self, nodes: list[Node], operations: list[Operation]):
        self.nodes = nodes
        self.operations = operations


def _node_of(tensor: KerasTensor) -> Node:
    history = getattr(tensor, "_keras_history", None)
    if history is None:
        raise ArgumentError(
            f"The tensor {tensor!r} comes from no layer and no `Input`; outputs of a model must "
            "follow from its inputs."
        )
    return history.operation._inbound_nodes[history.node_index]


def trace_graph(inputs: Any, outputs: Any) -> Graph:
    """Find the calls that lead from inputs to outputs.

    Args:
        inputs, outputs: structures of `KerasTensor`s.

    Returns:
        A `Graph`.

    Raises:
        ArgumentError: where an output needs a tensor that follows from no input, or the graph has a
            cycle.
    """
    starts = {id(t) for t in tree.flatten(inputs)}
    finished: list[Node] = []
    state: dict[int, str] = {}
    first_visit: dict[int, int] = {}
    by_id: dict[int, Operation] = {}

    def visit(tensor):
        # An explicit stack: models of a thousand layers are deeper than Python's own.
        stack = [(_node_of(tensor), None)]
        while stack:
            node, pending = stack.pop()
            if pending is None:
                if state.get(id(node)) == "done":
                    continue
                if state.get(id(node)) == "open":
                    raise ArgumentError("The model's graph has a cycle.")
                state[id(node)] = "open"
                by_id[id(node.operation)] = node.operation
                first_visit.setdefault(id(node.operation), len(first_visit))
                is_start = any(id(t) in starts for t in node.output_tensors)
                if not is_start and not node.input_tensors:
                    raise ArgumentError(
                        "`inputs` not connected to `outputs`: the output needs the tensor of "
                        f"'{node.operation.name}', which is none of the "
                        "model's inputs."
                    )
                pending = iter([] if is_start else [_node_of(t) for t in node.input_tensors])
            following = next(pending, None)
            if following is None:
                state[id(node)] = "done"
                finished.append(node)
                continue
            stack.append((node, pending))
            if state.get(id(following)) == "open":
                raise ArgumentError("The model's graph has a cycle.")
            if state.get(id(following)) != "done":
                stack.append((following, None))

    for tensor in tree.flatten(outputs):
        visit(tensor)
    depth_of_node: dict[int, int] = {}
    depth_of_operation: dict[int, int] = {}
    for node in reversed(finished):
        depth = max(depth_of_node.get(id(node), 0), depth_of_operation.get(id(node.operation), 0))
        depth_of_node[id(node)] = depth_of_operation[id(node.operation)] = depth
        if not any(id(t) in starts for t in node.output_tensors):
            for parent in node.parent_nodes:
                depth_of_node[id(parent)] = max(depth + 1, depth_of_node.get(id(parent), 0))
    for tensor in tree.flatten(inputs):
        operation = _node_of(tensor).operation
        if id(operation) not in depth_of_operation:  # an input that no output needs
            by_id[id(operation)] = operation
            depth_of_operation[id(operation)] = 0
            first_visit.setdefault(id(operation), -1)
            finished.append(_node_of(tensor))
    order = sorted(by_id, key=lambda i: (-depth_of_operation[i], first_visit[i]))
    nodes = sorted(finished, key=lambda n: -depth_of_node.get(id(n), 0))
    return Graph(nodes, [by_id[i] for i in order])
