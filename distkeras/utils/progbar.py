"""The progress bar of `fit`."""

import os
import re
import sys
import time
from collections.abc import Iterable
from typing import Any, TextIO

from distkeras.config import environment
from distkeras.errors import ArgumentError

__all__ = ["Progbar"]

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class Progbar:
    """A bar with the time left and the metrics, redrawn in place on a terminal.

    Into a file or a pipe it writes one line, at the end.

    Args:
        target: the number of steps, or `None` where it is unknown.
        width: of the bar, in characters, default 20.
        verbose: 1 a bar, 2 one line at the end, 0 nothing.
        interval: seconds between two drawings, default 0.05.
        stateful_metrics: names whose last value is shown, while others are averaged over steps.
        stateless_metrics: names that are averaged, while of others the last value is shown.
        unit_name: what is counted.
        file: where to write, default standard output.

    Raises:
        ArgumentError: where both `stateful_metrics` and `stateless_metrics` are given.

    Example:
        >>> import io
        >>> bar = Progbar(2, verbose=2, file=io.StringIO())
        >>> bar.update(2, [("loss", 0.5)])
        >>> "loss: 0.5000" in bar.file.getvalue()
        True
    """

    def __init__(
        self,
        target: int | None,
        width: int = 20,
        verbose: int = 1,
        interval: float = 0.05,
        stateful_metrics: Iterable[str] | None = None,
        stateless_metrics: Iterable[str] | None = None,
        unit_name: str = "step",
        file: TextIO | None = None,
    ):
        if stateful_metrics is not None and stateless_metrics is not None:
            raise ArgumentError(
                "Only one of `stateful_metrics` or `stateless_metrics` can be provided."
            )
        self.target = target
        self.width = width
        self.verbose = verbose
        self.interval = interval
        self.unit_name = unit_name
        self.stateful_metrics = set(stateful_metrics or ())
        self.stateless_metrics = None if stateless_metrics is None else set(stateless_metrics)
        self._file = file
        self._sums: dict[str, tuple[float, int]] = {}
        self._start = time.perf_counter()
        self._last_drawn = 0.0
        self._first_step_at: float | None = None
        self._seen = 0
        self._drawn_width = 0

    @property
    def file(self) -> Any:
        """Where the bar is written; found at each use, since tests and launchers replace standard
        output."""
        return self._file or sys.stdout

    @property
    def in_place(self) -> bool:
        """Whether the bar can be redrawn."""
        return hasattr(self.file, "isatty") and self.file.isatty()

    def is_due(self) -> bool:
        """Whether an update that is not the last would be drawn now."""
        recent = time.perf_counter() - self._last_drawn < self.interval
        return self.verbose == 1 and not recent and self.in_place

    def update(
        self,
        current: int,
        values: Iterable[tuple[str, Any]] | None = None,
        finalize: bool | None = None,
    ) -> None:
        """Show progress.

        Args:
            current: steps done.
            values: pairs of a metric's name and value.
            finalize: whether this is the last call; default: when the target is reached.
        """
        if finalize is None:
            finalize = self.target is not None and current >= self.target
        steps = max(1, current - self._seen)
        for name, value in values or ():
            number = float(value.mean() if hasattr(value, "mean") else value)
            total, count = self._sums.get(name, (0.0, 0))
            averaged = self._is_averaged(name) and not finalize
            self._sums[name] = (total + number * steps, count + steps) if averaged else (number, 1)
        self._seen = current
        now = time.perf_counter()
        if self._first_step_at is None and current > 0:
            self._first_step_at = now
        if self.verbose and (finalize or self.is_due()):
            self._draw(current, now, finalize)

    def _is_averaged(self, name: str) -> bool:
        if self.stateless_metrics is not None:
            return name in self.stateless_metrics
        return name not in self.stateful_metrics

    def add(self, n: int, values: Iterable[tuple[str, Any]] | None = None) -> None:
        """Show `n` more steps; see `update`."""
        self.update(self._seen + n, values)

    def _draw(self, current: int, now: float, finalize: bool) -> None:
        self._last_drawn = now
        text = self._line(current, now) if self.verbose == 2 else self._bar(current, now, finalize)
        visible = len(_COLOURS.sub("", text))
        if self.in_place and self.verbose == 1:
            text = f"\r{text}{' ' * max(0, self._drawn_width - visible)}"
        self._drawn_width = 0 if finalize else visible
        self.file.write(text + ("\n" if finalize else ""))
        self.file.flush()

    def _line(self, current: int, now: float) -> str:
        count = f"{current}/{self.target or current}"
        return f"{count} - {now - self._start:.0f}s - {self._rate(current, now)}{self._metrics()}"

    def _bar(self, current: int, now: float, finalize: bool) -> str:
        if self.target is None:
            head = f"{current:7d}/Unknown"
        else:
            digits = len(str(self.target))
            filled = int(self.width * min(1.0, current / max(1, self.target)))
            bar = self._coloured(32, "━" * filled) + self._coloured(37, "━" * (self.width - filled))
            head = f"{self._coloured(1, f'{current:{digits}d}/{self.target}')} {bar}"
        if finalize or self.target is None:
            clock = f"{now - self._start:.0f}s"
        else:
            clock = _clock(self._per_step(current, now) * (self.target - current))
        return f"{head} {self._coloured(1, clock)} {self._rate(current, now)}{self._metrics()}"

    def _rate(self, current: int, now: float) -> str:
        return f"{_duration(self._per_step(current, now))}/{self.unit_name}"

    def _per_step(self, current: int, now: float) -> float:
        """Seconds a step, without the first one, which builds and compiles."""
        if current <= 1 or self._first_step_at is None:
            return (now - self._start) / max(1, current)
        return (now - self._first_step_at) / (current - 1)

    def _metrics(self) -> str:
        text = ""
        for name, (total, count) in self._sums.items():
            mean = total / max(1, count)
            text += f" - {name}: {mean:.4f}" if abs(mean) > 1e-3 else f" - {name}: {mean:.4e}"
        return text

    def _coloured(self, code: int, text: str) -> str:
        plain = not self.in_place or environment("NO_COLOR") or os.environ.get("TERM") == "dumb"
        return text if plain or not text else f"\x1b[{code}m{text}\x1b[0m"


def _duration(seconds: float) -> str:
    if seconds >= 1 or seconds == 0:
        return f"{seconds:.0f}s"
    return f"{seconds * 1e3:.0f}ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f}us"


def _clock(seconds: float) -> str:
    whole = int(seconds)
    if seconds > 3600:
        return f"{whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d}"
    return f"{whole // 60}:{whole % 60:02d}" if seconds > 60 else f"{whole}s"
