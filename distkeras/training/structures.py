"""Targets, weights and settings put beside a model's outputs, whatever form they came in."""

from collections.abc import Sequence
from typing import Any

from distkeras.errors import ArgumentError
from distkeras.utils import tree

__all__ = ["align", "describe", "names_of_outputs", "same_form"]


def describe(structure: Any) -> str:
    """The form of a structure, for messages.

    Example:
        >>> describe({"a": [1, 2]})
        "{'a': [*, *]}"
    """
    if isinstance(structure, dict):
        inner = ", ".join(f"{k!r}: {describe(v)}" for k, v in structure.items())
        return "{" + inner + "}"
    if isinstance(structure, list | tuple):
        return "[" + ", ".join(map(describe, structure)) + "]"
    return "None" if structure is None else "*"


def same_form(a: Any, b: Any) -> bool:
    """Whether two structures have the same form; lists and tuples count as the same.

    Example:
        >>> same_form([1, {"a": 2}], (1, {"a": 3})), same_form([1], {"a": 1})
        (True, False)
    """
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same_form(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(same_form, a, b))
    return not tree.is_nested(a) and not tree.is_nested(b)


def align(given: Any, outputs: Any, names: Sequence[str] | None, what: str) -> list:
    """What was given for each output, in the order of the flat outputs.

    Args:
        given: one value for a single output; or a structure of the outputs' form, in which dicts
            may lack keys; a dict by the outputs' names; or a flat list with one for each output.
        outputs: the model's outputs.
        names: their names, where known.
        what: what is given, for the message.

    Returns:
        A list; `None` where nothing was given.

    Raises:
        ArgumentError: where the forms do not fit.

    Example:
        >>> align({"b": 2, "a": 1}, [0, 0], ["a", "b"], "y")
        [1, 2]
    """
    if not tree.is_nested(outputs):
        if not tree.is_nested(given):
            return [given]
        flat = tree.flatten(given)
        known = not isinstance(given, dict) or not names or set(given) <= set(names)
        if len(flat) == 1 and known:
            return flat
    elif same_form(given, outputs):
        return tree.flatten(given)
    else:
        found = _by_key(given, outputs, names)
        if found is not None:
            return found
        flat, count = tree.flatten(given), len(tree.flatten(outputs))
        if len(flat) == count and not isinstance(given, dict):
            return flat
    raise ArgumentError(
        f"{what} and the model's outputs have different structures.\n{what}: {describe(given)}\n"
        f"outputs: {describe(outputs)}{f', named {list(names)}' if names else ''}"
    )


def _by_key(given, outputs, names) -> list | None:
    if not isinstance(given, dict):
        return None
    if isinstance(outputs, dict) and given.keys() <= outputs.keys():
        flat = []
        for key, inner in sorted(outputs.items()):
            if key in given:
                flat.extend(align(given[key], inner, None, repr(key)))
            else:
                flat.extend([None] * len(tree.flatten(inner)))
        return flat
    if names and len(names) == len(tree.flatten(outputs)) and given.keys() <= set(names):
        return [given.get(name) for name in names]
    return None


def names_of_outputs(outputs: Any, names: Sequence[str] | None) -> list[tuple]:
    """A path for each flat output, whose last part is a name where one is known.

    Args:
        outputs: the model's outputs.
        names: their names, where known.

    Returns:
        A list of tuples of keys, indices and names; an unknown name is `None`.

    Example:
        >>> names_of_outputs([0, 0], ["a", "b"])
        [('a',), ('b',)]
    """
    paths = [path for path, _ in tree.flatten_with_path(outputs)]
    known = list(names) if names and len(names) == len(paths) else [None] * len(paths)
    found = []
    for path, name in zip(paths, known, strict=True):
        if not path:
            found.append((name,))
        elif isinstance(path[-1], int):
            found.append((*path[:-1], name))
        else:
            found.append(path)
    return found
