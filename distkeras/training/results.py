"""Results that are computed when somebody reads them, and not before."""

from collections.abc import Callable, Iterable
from typing import Any

__all__ = ["LazyDict", "results_of"]


class LazyDict(dict):
    """A dict whose items are found when it is first read.

    Steps return one with the results of metrics; most are never looked at.

    Args:
        make: returns the items.

    Example:
        >>> d = LazyDict(lambda: {"loss": 1.0})
        >>> d["loss"], {**d}
        (1.0, {'loss': 1.0})
    """

    __slots__ = ("_make",)

    def __init__(self, make: Callable[[], dict]):
        super().__init__()
        self._make: Callable[[], dict] | None = make

    def _fill(self) -> None:
        make, self._make = self._make, None
        if make is not None:
            super().update(make())

    def copy(self) -> dict:
        """A plain dict of the items."""
        return dict(self)

    def __or__(self, other: Any) -> dict:
        return dict(self) | dict(other)

    def __ror__(self, other: Any) -> dict:
        return dict(other) | dict(self)

    def __reduce__(self):
        return dict, (dict(self),)


def _after_filling(name: str) -> Callable:
    method = getattr(dict, name)

    def read(self, *args, **kwargs):
        if self._make is not None:
            self._fill()
        return method(self, *args, **kwargs)

    read.__name__ = name
    read.__doc__ = method.__doc__
    return read


# `dict(d)` and `{**d}` go through `keys` and `__getitem__`, since `__iter__` is not dict's own.
for _name in (
    "__contains__",
    "__delitem__",
    "__eq__",
    "__getitem__",
    "__ior__",
    "__iter__",
    "__len__",
    "__ne__",
    "__repr__",
    "__reversed__",
    "__setitem__",
    "clear",
    "get",
    "items",
    "keys",
    "pop",
    "popitem",
    "setdefault",
    "update",
    "values",
):
    setattr(LazyDict, _name, _after_filling(_name))
LazyDict.__hash__ = None  # type: ignore[assignment]


def results_of(metrics: Iterable) -> LazyDict:
    """The results of metrics by their names, as they are now, whenever they are read.

    Args:
        metrics: the metrics.

    Example:
        >>> import distkeras as keras
        >>> mean = keras.metrics.Mean(name="loss")
        >>> mean.update_state([2.0])
        >>> results = results_of([mean])
        >>> mean.update_state([4.0])
        >>> float(results["loss"])
        2.0
    """
    # A tensor of a variable keeps its values when the variable is written later.
    kept = [(m, [v.handle.tensor() for v in m.variables]) for m in metrics]
    return LazyDict(lambda: _results(kept))


def _results(kept: list) -> dict:
    found: dict[str, Any] = {}
    for metric, tensors in kept:
        variables = metric.variables
        current = len(tensors) == len(variables) and all(
            v.handle.tensor() is t for v, t in zip(variables, tensors, strict=True)
        )
        value = metric.result() if current else metric.stateless_result(tensors)
        if isinstance(value, dict):
            found.update(value)
        else:
            found[metric.name] = value
    return found
