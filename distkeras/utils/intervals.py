"""How often something happens in a training: after so many steps, epochs, or seconds."""

import re
from dataclasses import dataclass

from distkeras.errors import ArgumentError

__all__ = ["Interval", "parse_interval"]

_SECONDS = {"s": 1.0, "sec": 1.0, "min": 60.0, "h": 3600.0}
_PATTERN = re.compile(r"(\d+(?:\.\d+)?)?\s*([a-z]*)")


@dataclass(frozen=True)
class Interval:
    """So many steps, epochs, or seconds.

    Attributes:
        number: how many, more than 0; an int for steps and epochs.
        unit: `"steps"`, `"epochs"` or `"seconds"`.
    """

    number: int | float
    unit: str

    def __str__(self) -> str:
        return f"{self.number}{'s' if self.unit == 'seconds' else self.unit}"


def parse_interval(text: str) -> Interval:
    """The interval that a text names.

    Args:
        text: `500` or `500steps`; `epoch` or `2epochs`; `30s`, `10min` or `1.5h`.

    Raises:
        ArgumentError: for any other text.

    Example:
        >>> parse_interval("500"), parse_interval("10min")
        (Interval(number=500, unit='steps'), Interval(number=600.0, unit='seconds'))
    """
    found = _PATTERN.fullmatch(text.strip())
    if found:
        digits, unit = found[1], found[2] or "steps"
        number = float(digits) if digits else 1.0
        kind = {"step": "steps", "epoch": "epochs"}.get(unit.removesuffix("s") or unit)
        named = digits or found[2]  # "epoch" means each of them; "" and "min" say nothing
        if number > 0 and kind and number.is_integer() and named:
            return Interval(int(number), kind)
        if number > 0 and unit in _SECONDS and digits:
            return Interval(number * _SECONDS[unit], "seconds")
    raise ArgumentError(
        f"{text!r} is no interval: expected a number of steps (500), of epochs (epoch, 2epochs) or "
        "a time (30s, 10min, 1.5h)."
    )
