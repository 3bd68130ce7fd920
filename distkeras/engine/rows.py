"""Sizes that count samples, and batch axes that do not hold each sample once.

In a step on several ranks a rank's tensors show its own rows. What a program makes in the size of
such a tensor (noise, labels) has a place in the global batch too:

a) `Axis` is the position of a batch axis along which a sample has several rows (it was merged with
   another axis), or several whole batches lie one after another (they were concatenated).
b) The shape of a tensor with a batch axis holds a `Rows` in its place: an int that remembers this.
c) A tensor made from a shape with a `Rows` in it has its batch axis there.
d) `pieces` says which rows of the global tensor a rank's rows are.
e) Python arithmetic with a `Rows` gives a number that remembers what it would be with all rows:
   `1 / x.shape[0]` times a tensor divides by the rows of the global batch.
"""

import operator
from collections.abc import Callable
from typing import Any

from distkeras.engine.context import state

__all__ = [
    "Axis",
    "Rows",
    "axis_in",
    "everywhere",
    "form_of",
    "is_count",
    "is_derived",
    "mark_of",
    "marked",
    "of_all_rows",
    "pieces",
]


class _Counting(int):
    """An int that belongs to a batch axis, and knows how samples lie along it.

    Attributes:
        each: rows of a sample, which lie together.
        parts: whole batches, which lie one after another.
    """

    each = 1
    parts = 1

    @classmethod
    def of(cls, value: int, each: int, parts: int):
        """One of a form; the plain constructor makes those of the form `(1, 1)`."""
        self = cls(value)
        if each != 1 or parts != 1:
            self.each, self.parts = each, parts
        return self


class Axis(_Counting):
    """The position of a batch axis that does not hold each sample once."""


def _with_all_rows(name: str) -> Callable:
    """A method of arithmetic that keeps, beside its result, the one with the rows of all ranks."""
    reflected = name.startswith("r")
    function = getattr(operator, name.removeprefix("r") if reflected else name)

    def method(self, other):
        if not isinstance(other, int | float):
            return NotImplemented
        a, b = (other, self) if reflected else (self, other)
        whole = function(_of_all(a), _of_all(b))
        try:
            here = function(_plain(a), _plain(b))
        except ZeroDivisionError:  # this rank has no rows
            here = type(whole)(0)
        return _counted(here, whole)

    method.__name__ = f"__{name}__"
    return method


class _Derived:
    """A number made from numbers of rows; `whole` is what it is with the rows of all ranks."""

    whole: Any = 0
    for _name in "add sub mul truediv floordiv mod pow".split():
        locals()[f"__{_name}__"] = _with_all_rows(_name)
        locals()[f"__r{_name}__"] = _with_all_rows(f"r{_name}")
    del _name

    def everywhere(self):
        """The number that counts the rows of all ranks."""
        return self.whole


class _DerivedInt(_Derived, int):
    pass


class _DerivedFloat(_Derived, float):
    pass


def _plain(x):
    return float(x) if isinstance(x, float) else int(x)


def _of_all(x):
    return x.everywhere() if is_count(x) else x


def _counted(value, whole):
    current = state()
    if current.rows is None or not current.track_batch:
        return value
    # Also where both are equal: on another rank they may not be, and all must go one way.
    made = (_DerivedFloat if isinstance(value, float) else _DerivedInt)(value)
    made.whole = whole
    return made


def is_count(x: Any) -> bool:
    """Whether a number counts rows, or was computed from one that does.

    Example:
        >>> is_count(Rows(4)), is_count(4)
        (True, False)
    """
    return type(x) in (Rows, _DerivedInt, _DerivedFloat)


def is_derived(value: Any) -> bool:
    """Whether sizes hold one that was computed from a number of rows, as in `(rows // 2, 2)`.

    Example:
        >>> is_derived((Rows(4), 2))
        False
    """
    if type(value) in (tuple, list):
        return any(map(is_derived, value))
    if type(value) is slice:
        return any(map(is_derived, (value.start, value.stop, value.step)))
    return type(value) in (_DerivedInt, _DerivedFloat)


def everywhere(value: Any) -> Any:
    """A parameter of a primitive, with the rows of all ranks in place of this one's.

    Example:
        >>> everywhere((2, Rows(4)))
        (2, 4)
    """
    if is_count(value):
        return value.everywhere()
    if type(value) in (tuple, list):
        return type(value)(map(everywhere, value))
    if type(value) is slice:
        return slice(*map(everywhere, (value.start, value.stop, value.step)))
    return value


_ADD, _MULTIPLY = _with_all_rows("add"), _with_all_rows("mul")


class Rows(_Counting):
    """The number of this rank's rows along a batch axis.

    It is an ordinary int, except that sums with other `Rows` and multiples remember what they
    count, and other results of arithmetic what they would be with the rows of all ranks.

    Example:
        >>> rows = Rows(4)
        >>> (rows * 3).each, (rows + rows).parts, type(rows + 1).__name__
        (3, 2, 'int')
    """

    def __add__(self, other):
        if type(other) is Rows and other.each == self.each:
            return Rows.of(int(self) + int(other), self.each, self.parts + other.parts)
        return _ADD(self, other)

    def __mul__(self, other):
        if type(other) is not int or self.parts > 1 or other < 1:
            return _MULTIPLY(self, other)
        return Rows.of(int(self) * other, self.each * other, 1)

    __rmul__ = __mul__
    for _name in "radd sub rsub truediv rtruediv floordiv rfloordiv mod rmod pow rpow".split():
        locals()[f"__{_name}__"] = _with_all_rows(_name)
    del _name

    def everywhere(self) -> int:
        """The number over all ranks, where a step on several is running."""
        current = state()
        if current.rows is None or not current.track_batch:
            return int(self)
        return current.rows[1] * self.each * self.parts


def form_of(axis: Any) -> tuple[int, int]:
    """`(each, parts)` of a batch axis.

    Example:
        >>> form_of(0), form_of(Axis.of(0, 3, 1))
        ((1, 1), (3, 1))
    """
    return (axis.each, axis.parts) if isinstance(axis, _Counting) else (1, 1)


def mark_of(position: int, form: tuple[int, int]) -> int:
    """A batch axis of a form, a plain int where it holds each sample once."""
    return int(position) if form == (1, 1) else Axis.of(position, *form)


def marked(shape: tuple, axis: int) -> tuple:
    """A shape with a `Rows` at the batch axis."""
    if type(axis) is Axis:
        size = Rows.of(shape[axis], axis.each, axis.parts)
    else:
        size = Rows(shape[axis])
    return (size, *shape[1:]) if axis == 0 else (*shape[:axis], size, *shape[axis + 1 :])


def axis_in(shape: Any) -> int | None:
    """The batch axis that a shape tells of; `None` where it has none, or several.

    Example:
        >>> axis_in((2, Rows(4), 3)), axis_in((4, 3))
        (1, None)
    """
    if type(shape) not in (tuple, list):
        return None
    found = [i for i, size in enumerate(shape) if type(size) is Rows]
    return mark_of(found[0], form_of(shape[found[0]])) if len(found) == 1 else None


def of_all_rows(shape: Any) -> bool:
    """Whether a shape is that of something made for the whole batch: it counts rows along several
    axes, or in a size that was computed from a number of rows.

    Example:
        >>> of_all_rows((Rows(4), Rows(4))), of_all_rows((Rows(4), 3))
        (True, False)
    """
    if type(shape) not in (tuple, list):
        return is_derived(shape)
    return is_derived(shape) or sum(type(size) is Rows for size in shape) > 1


def pieces(size: int, each: int = 1, parts: int = 1) -> list[tuple[int, int]]:
    """Where a rank's rows stand in the global tensor, as `(first, number)` of each stretch.

    Args:
        size: this rank's rows along the axis.
        each, parts: as in `Axis`.

    Example:
        >>> pieces(6, parts=2)
        [(0, 3), (3, 3)]
    """
    current = state()
    rows = (size // (each * parts), size // (each * parts)) if not current.rows else current.rows
    step = rows[1] * each
    first = current.sample_offset * each
    return [(part * step + first, rows[0] * each) for part in range(parts)]
