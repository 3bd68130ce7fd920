"""Structures of numbers, texts and arrays as JSON beside a list of arrays, and back; no pickle.

JSON holds `None`, booleans, numbers, strings, lists and dicts with string keys as they are. The
rest becomes a dict with one of the reserved keys:
  a. an array, `{"$array": i}`, the i-th of the list; a NumPy number, `{"$number": i}`, likewise;
  b. a tuple, `{"$tuple": [...]}`;
  c. a dict with other keys, or with a reserved one, `{"$items": [[key, value], ...]}`.
"""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from distkeras.engine.dtypes import numpy_dtype
from distkeras.errors import ArgumentError

__all__ = ["describe_array", "from_bytes", "pack", "to_bytes", "unpack"]

_ARRAY, _NUMBER, _TUPLE, _ITEMS = "$array", "$number", "$tuple", "$items"
_RESERVED = {_ARRAY, _NUMBER, _TUPLE, _ITEMS}
# Kinds of NumPy dtypes that are plain numbers; "V" are bfloat16 and its kin.
_KINDS = "biufcV"


def pack(
    structure: Any, where: str = "the state", copy: bool = False
) -> tuple[Any, list[np.ndarray]]:
    """What `json.dumps` takes, and the arrays.

    Args:
        structure: `None`, booleans, numbers, strings, arrays, and lists, tuples and dicts of them.
        where: what to call it in messages.
        copy: whether to copy the arrays.

    Returns:
        The same structure without arrays, and the arrays that it refers to.

    Raises:
        ArgumentError: for an object of another type; the message says where it is.

    Example:
        >>> pack({"best": (1, np.zeros(2))})
        ({'best': {'$tuple': [1, {'$array': 0}]}}, [array([0., 0.])])
    """
    arrays: list[np.ndarray] = []
    tree = _packed(structure, arrays, where)
    return tree, [a.copy() for a in arrays] if copy else arrays


def _packed(value: Any, arrays: list[np.ndarray], where: str) -> Any:
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in _KINDS:
        arrays.append(np.asarray(value))
        return {_NUMBER if isinstance(value, np.generic) else _ARRAY: len(arrays) - 1}
    if type(value) in (list, tuple):
        found = [_packed(item, arrays, f"{where}[{i}]") for i, item in enumerate(value)]
        return found if type(value) is list else {_TUPLE: found}
    if isinstance(value, dict):
        if all(type(key) is str for key in value) and not _RESERVED & value.keys():
            return {k: _packed(v, arrays, f"{where}[{k!r}]") for k, v in value.items()}
        items = [
            [_packed(k, arrays, where), _packed(v, arrays, f"{where}[{k!r}]")]
            for k, v in value.items()
        ]
        return {_ITEMS: items}
    raise ArgumentError(
        f"{where} is of type {type(value).__module__}.{type(value).__qualname__}, which a "
        "checkpoint cannot hold. It holds None, booleans, numbers, strings, NumPy arrays of "
        "numbers, and lists, tuples and dicts of them."
    )


def unpack(structure: Any, arrays: Sequence[np.ndarray]) -> Any:
    """The reverse of `pack`.

    Args:
        structure, arrays: what `pack` answered.

    Example:
        >>> unpack(*pack({1: (2.5, "x")}))
        {1: (2.5, 'x')}
    """
    if isinstance(structure, list):
        return [unpack(item, arrays) for item in structure]
    if not isinstance(structure, dict):
        return structure
    if len(structure) == 1:
        ((key, value),) = structure.items()
        if key == _ARRAY:
            return arrays[value]
        if key == _NUMBER:
            return arrays[value][()]
        if key == _TUPLE:
            return tuple(unpack(item, arrays) for item in value)
        if key == _ITEMS:
            return {unpack(k, arrays): unpack(v, arrays) for k, v in value}
    return {key: unpack(value, arrays) for key, value in structure.items()}


def describe_array(array: np.ndarray) -> dict[str, Any]:
    """Dtype and shape of an array, for JSON."""
    # By name, since bfloat16 has no code of its own.
    return {"dtype": array.dtype.name, "shape": list(array.shape)}


def to_bytes(structure: Any, where: str = "the state") -> bytes:
    """A small structure with its arrays as one string of bytes, to send it.

    Example:
        >>> from_bytes(to_bytes((1, "a")))
        (1, 'a')
    """
    tree, arrays = pack(structure, where)
    head = json.dumps([tree, [describe_array(a) for a in arrays]]).encode()
    parts = [len(head).to_bytes(8, "little"), head]
    return b"".join([*parts, *(np.ascontiguousarray(a).tobytes() for a in arrays)])


def from_bytes(data: bytes) -> Any:
    """The reverse of `to_bytes`."""
    end = 8 + int.from_bytes(data[:8], "little")
    tree, descriptions = json.loads(data[8:end])
    arrays = []
    for described in descriptions:
        dtype, shape = numpy_dtype(described["dtype"]), described["shape"]
        stop = end + dtype.itemsize * int(np.prod(shape))
        arrays.append(np.frombuffer(data[end:stop], dtype).reshape(shape).copy())
        end = stop
    return unpack(tree, arrays)
