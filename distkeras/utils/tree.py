"""Nested structures of lists, tuples, named tuples and dicts, walked in one fixed order.

Dicts are walked in the order of their sorted keys, as Keras does, so that two dicts that are equal
flatten alike.
"""

from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["flatten", "flatten_with_path", "is_nested", "map_structure", "pack_sequence_as"]


def is_nested(structure: Any) -> bool:
    """Whether `structure` is a list, tuple or dict.

    Example:
        >>> is_nested([1]), is_nested("ab")
        (True, False)
    """
    return isinstance(structure, list | tuple | dict)


def _items(structure) -> Iterator[tuple[Any, Any]]:
    if isinstance(structure, dict):
        try:
            keys = sorted(structure)
        except TypeError:
            keys = list(structure)
        for key in keys:
            yield key, structure[key]
    else:
        yield from enumerate(structure)


def flatten(structure: Any) -> list:
    """The leaves of a nested structure, in order.

    Example:
        >>> flatten({"b": [1, 2], "a": 0})
        [0, 1, 2]
    """
    kind = type(structure)
    if kind is list or kind is tuple or isinstance(structure, list | tuple | dict):
        out: list = []
        for _, value in _items(structure):
            out.extend(flatten(value))
        return out
    return [structure]


def flatten_with_path(structure: Any, path: tuple = ()) -> list[tuple[tuple, Any]]:
    """The leaves with their paths (tuples of keys and indices), in order.

    Example:
        >>> flatten_with_path({"a": [5, 6]})
        [(('a', 0), 5), (('a', 1), 6)]
    """
    if is_nested(structure):
        return [
            p for key, value in _items(structure) for p in flatten_with_path(value, (*path, key))
        ]
    return [(path, structure)]


def _rebuild(structure, values: dict):
    if isinstance(structure, dict):
        return type(structure)((k, values[k]) for k in structure)
    ordered = [values[i] for i in range(len(structure))]
    if hasattr(structure, "_fields"):
        return type(structure)(*ordered)
    return type(structure)(ordered) if type(structure) in (list, tuple) else list(ordered)


def map_structure(function: Callable, structure: Any, *others: Any) -> Any:
    """`function` applied to the leaves of one or several structures of the same form.

    Raises:
        ValueError: where the structures differ in form.

    Example:
        >>> map_structure(lambda a, b: a + b, [1, (2,)], [10, (20,)])
        [11, (22,)]
    """
    if not is_nested(structure):
        return function(structure, *others)
    for other in others:
        same = is_nested(other) and isinstance(other, dict) == isinstance(structure, dict)
        if not same or len(other) != len(structure):
            raise ValueError(f"Structures differ in form: {structure!r} and {other!r}.")
    return _rebuild(
        structure,
        {
            k: map_structure(function, v, *(other[k] for other in others))
            for k, v in _items(structure)
        },
    )


def pack_sequence_as(structure: Any, leaves: list) -> Any:
    """A structure of the form of `structure` that holds `leaves`.

    Raises:
        ValueError: where the number of leaves differs.

    Example:
        >>> pack_sequence_as({"b": 0, "a": (0, 0)}, [1, 2, 3])
        {'b': 3, 'a': (1, 2)}
    """
    rest = iter(leaves)
    missing = object()

    def take(_):
        value = next(rest, missing)
        if value is missing:
            raise ValueError(f"Too few leaves ({len(leaves)}) for the structure {structure!r}.")
        return value

    packed = map_structure(take, structure)
    if next(rest, missing) is not missing:
        raise ValueError(f"Too many leaves ({len(leaves)}) for the structure {structure!r}.")
    return packed
