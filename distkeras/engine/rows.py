"""Sizes that count samples, and batch axes that do not hold each sample once.

In a step on several ranks a rank's tensors show its own rows. What a program makes in the size of
such a tensor (noise, labels) has a place in the global batch too:

a) `Axis` is the position of a batch axis along which a sample has several rows (it was merged with
   another axis), or several whole batches lie one after another (they were concatenated).
b) The shape of a tensor with a batch axis holds a `Rows` in its place: an int that remembers this.
c) A tensor made from a shape with a `Rows` in it has its batch axis there.
d) `pieces` says which rows of the global tensor a rank's rows are.
"""

from typing import Any

from distkeras.engine.context import state

__all__ = ["Axis", "Rows", "axis_in", "form_of", "mark_of", "marked", "pieces"]


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


class Rows(_Counting):
    """The number of this rank's rows along a batch axis.

    It is an ordinary int, except that sums with other `Rows` and multiples remember what they
    count.

    Example:
        >>> rows = Rows(4)
        >>> (rows * 3).each, (rows + rows).parts, type(rows + 1).__name__
        (3, 2, 'int')
    """

    def __add__(self, other):
        total = int.__add__(self, other)
        if type(other) is Rows and other.each == self.each:
            return Rows.of(total, self.each, self.parts + other.parts)
        return total

    def __mul__(self, other):
        product = int.__mul__(self, other)
        if product is NotImplemented or type(other) is Rows or self.parts > 1 or other < 1:
            return product
        return Rows.of(product, self.each * int(other), 1)

    __rmul__ = __mul__

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
