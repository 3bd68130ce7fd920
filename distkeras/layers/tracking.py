"""What a layer notices when attributes are set: variables, layers, metrics and seed generators,
also within containers."""

from collections.abc import Callable
from typing import Any

__all__ = ["TrackedDict", "TrackedList", "tracked"]


class TrackedList(list):
    """A list that reports what is added to it."""

    def __init__(
        self,
        values=(),
        report: Callable[[Any], Any] = lambda v: v,
        change: Callable[[], None] = lambda: None,
    ):
        self._report, self._change = report, change
        super().__init__(report(v) for v in values)

    def append(self, value):
        super().append(self._report(value))
        self._change()

    def insert(self, index, value):
        super().insert(index, self._report(value))
        self._change()

    def extend(self, values):
        super().extend(self._report(v) for v in values)
        self._change()

    def __iadd__(self, values):  # type: ignore[misc]  # `+` gives a plain list
        self.extend(values)
        return self

    def __setitem__(self, index, value):
        super().__setitem__(
            index,
            [self._report(v) for v in value] if isinstance(index, slice) else self._report(value),
        )
        self._change()

    def __delitem__(self, index):
        super().__delitem__(index)
        self._change()

    def pop(self, index=-1):
        value = super().pop(index)
        self._change()
        return value

    def remove(self, value):
        super().remove(value)
        self._change()

    def clear(self):
        super().clear()
        self._change()

    def __reduce__(self):
        return list, (list(self),)


class TrackedDict(dict):
    """A dict that reports what is added to it."""

    def __init__(
        self,
        values=(),
        report: Callable[[Any], Any] = lambda v: v,
        change: Callable[[], None] = lambda: None,
    ):
        self._report, self._change = report, change
        super().__init__({k: report(v) for k, v in dict(values).items()})

    def __setitem__(self, key, value):
        super().__setitem__(key, self._report(value))
        self._change()

    def __delitem__(self, key):
        super().__delitem__(key)
        self._change()

    def update(self, *args, **kwargs):
        for key, value in dict(*args, **kwargs).items():
            self[key] = value

    def setdefault(self, key, default=None):
        if key not in self:
            self[key] = default
        return self[key]

    def pop(self, key, *default):
        value = super().pop(key, *default)
        self._change()
        return value

    def __reduce__(self):
        return dict, (dict(self),)


def tracked(value: Any, report: Callable[[Any], Any], change: Callable[[], None]) -> Any:
    """`value`, with lists and dicts (also within tuples) that hold something of interest replaced
    by tracked ones.

    Args:
        value: what was assigned to an attribute.
        report: called with each element; returns what is to be stored.
        change: called after a later change of a container.
    """
    kind = type(value)
    if kind is list or kind is TrackedList:
        return TrackedList(value, report, change)
    if kind is dict or kind is TrackedDict:
        return TrackedDict(value, report, change)
    if kind is tuple:
        return tuple(report(v) for v in value)
    return value
