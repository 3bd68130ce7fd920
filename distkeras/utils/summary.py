"""`model.summary()`: the table of layers that Keras prints."""

import math
import re
import shutil
from typing import Any

from distkeras.utils import tree

__all__ = ["print_summary", "readable_size"]


def readable_size(size: float) -> str:
    """A number of bytes with its unit.

    Example:
        >>> readable_size(32), readable_size(1556)
        ('32.00 B', '1.52 KB')
    """
    units = ("B", "KB", "MB", "GB", "TB", "PB")
    power = min(len(units) - 1, int(math.log(size, 1024))) if size >= 1 else 0
    return f"{size / 1024**power:.2f} {units[power]}"


def _count(variables) -> tuple[int, int]:
    """Scalars and bytes."""
    scalars = sum(v.size for v in variables)
    return scalars, sum(v.size * v.handle.array.dtype.itemsize for v in variables)


def _graph_nodes(model) -> list:
    return list(getattr(model, "_nodes", []))


def _is_chain(model, layers) -> bool:
    """Whether each layer simply follows the one before: no column for connections is needed."""
    nodes = _graph_nodes(model)
    if any(len(n.input_tensors) > 1 for n in nodes) or sum(not n.input_tensors for n in nodes) > 1:
        return False
    if len(nodes) != len({id(n.operation) for n in nodes}):
        return False
    uses: dict[int, int] = {}
    for n in nodes:
        for t in n.input_tensors:
            uses[id(t)] = uses.get(id(t), 0) + 1
    return all(count == 1 for count in uses.values())


def _class_name(layer) -> str:
    return getattr(layer, "class_name", type(layer).__name__)


def _number(value) -> str:
    return f"[color(45)]{value}[/]" if value is None else f"[color(34)]{value}[/]"


def _shape_text(layer) -> str:
    def text(shape):
        return f"({', '.join(map(_number, shape))})"

    nodes = layer._inbound_nodes
    if nodes:
        shapes = [text(t.shape) for t in nodes[-1].output_tensors]
    elif getattr(layer, "_build_shapes", None) is not None:
        args, kwargs = layer._build_shapes
        inferred = getattr(type(layer).compute_output_shape, "inferred", False)
        if inferred and not layer._summary_infers_shape:
            return "?"
        try:
            answer = layer.compute_output_shape(*args, **kwargs)
        except (
            Exception
        ):  # any layer may refuse to tell shapes without data; the table then says so
            return "?"
        flat = answer if isinstance(answer, tuple) else None
        shapes = (
            [text(flat)]
            if flat is not None and not tree.is_nested(flat[0] if flat else None)
            else ["?"]
        )
    else:
        return "?"
    return shapes[0] if len(shapes) == 1 else f"\\[{', '.join(shapes)}]"


def _connections(layer, nodes) -> str:
    parts = []
    for node in layer._inbound_nodes:
        if any(node is n for n in nodes):
            for t in node.input_tensors:
                operation, node_index, tensor_index = t._keras_history
                parts.append(
                    f"{operation.name}\\[{_number(node_index)}]\\[{_number(tensor_index)}]"
                )
    return ", ".join(parts) or "-"


def _selected(layers, layer_range):
    if not layer_range:
        return layers
    if len(layer_range) != 2:
        raise ValueError(
            "layer_range must be a list or tuple of length 2. "
            f"Received: layer_range = {layer_range}"
        )
    ends = [
        [i for i, layer in enumerate(layers) if re.match(pattern, layer.name)]
        for pattern in layer_range
    ]
    if not ends[0] or not ends[1]:
        raise ValueError(
            f"Passed layer_names do not match any layer names in the model. Received: {layer_range}"
        )
    first, last = sorted((min(ends[0]), max(ends[1])))
    return layers[first : last + 1]


def print_summary(
    model: Any, line_length=None, positions=None, print_fn=None, expand_nested=False,
    show_trainable=False, layer_range=None,
) -> None:  # fmt: skip
    """Print a model's layers, output shapes and numbers of parameters.

    Args:
        model: the model.
        line_length: width in characters, default 88, or 108 with connections, at most the
            terminal's.
        positions: ends of the columns as shares of the width.
        print_fn: called with the text; default: printed, in colour on a terminal.
        expand_nested: whether to list the layers of models within.
        show_trainable: whether to say which layers are trainable.
        layer_range: two patterns of names, of the first and the last layer to show.

    Raises:
        ValueError: where the width is too small, or `layer_range` matches nothing.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Column, Table

    layers = list(getattr(model, "_operations", None) or model.layers)
    chain = _is_chain(model, layers)
    header = ["Layer (type)", "Output Shape", "Param #"]
    sides = ["left", "left", "right"]
    default_length = 88 if chain else 108
    positions = positions or ([0.45, 0.80, 1.0] if chain else [0.3, 0.56, 0.74, 1.0])
    nodes = _graph_nodes(model)
    if not chain:
        header.append("Connected to")
        sides.append("left")
    if show_trainable:
        default_length += 12
        positions = [p * 0.90 for p in positions] + [1.0]
        header.append("Trainable")
        sides.append("center")
    length = line_length or min(default_length, shutil.get_terminal_size().columns - 4)
    ends = [int(p * length) if p <= 1 else int(p) for p in positions]
    widths = [b - a for a, b in zip([0, *ends], ends, strict=False)]
    if min(widths) < 4:
        raise ValueError(
            f"Insufficient console width to print summary: {length} characters for "
            f"{len(widths)} columns."
        )
    columns = [
        Column(h, justify=s, width=w)  # type: ignore[arg-type]
        for h, s, w in zip(header, sides, widths, strict=False)
    ]
    table = Table(*columns, width=length, show_lines=True)

    def rows(layer, level):
        prefix = "   " * level + "└ " if level else ""
        cells = [
            f"{escape(prefix + layer.name)} ([color(33)]{escape(_class_name(layer))}[/])",
            _shape_text(layer),
        ]
        if not hasattr(layer, "built"):
            cells.append(_number(0))
        else:
            cells.append(
                _number(f"{layer.count_params():,}") if layer.built else f"{_number(0)} (unbuilt)"
            )
        if not chain:
            cells.append(_connections(layer, nodes))
        if show_trainable:
            has_weights = bool(getattr(layer, "weights", []))
            cells.append(
                ("[bold color(34)]Y[/]" if layer.trainable else "[bold color(9)]N[/]")
                if has_weights
                else "[bold]-[/]"
            )
        yield cells
        if expand_nested:
            for inner in getattr(layer, "layers", []):
                yield from rows(inner, level + 1)

    for layer in _selected(layers, layer_range):
        for cells in rows(layer, 0):
            table.add_row(*cells)
    console = (
        Console(highlight=False, force_terminal=False, color_system=None)
        if print_fn
        else Console(highlight=False)
    )
    if print_fn:
        console.begin_capture()
    console.print(f'[bold]Model: "{escape(model.name)}"[/]')
    console.print(table)
    optimizer = getattr(model, "optimizer", None)
    counts = [
        ("Trainable", _count(model.trainable_weights)),
        ("Non-trainable", _count(model.non_trainable_weights)),
    ]
    if getattr(model, "compiled", False) and optimizer is not None and optimizer.built:
        counts.append(("Optimizer", _count(optimizer.variables)))
    counts.insert(0, ("Total", tuple(map(sum, zip(*(c for _, c in counts), strict=True)))))  # type: ignore[arg-type]
    for what, (scalars, size) in counts:
        console.print(f"[bold] {what} params: [/]{_number(f'{scalars:,}')} ({readable_size(size)})")
    if print_fn:
        print_fn(console.end_capture())
