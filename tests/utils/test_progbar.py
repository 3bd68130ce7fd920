"""The progress bar's text, on a terminal and in a file."""

import io
import re

import pytest

from distkeras.errors import ArgumentError
from distkeras.utils import progbar
from distkeras.utils.progbar import Progbar


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass when the test says so."""
    now = [100.0]
    monkeypatch.setattr(progbar.time, "perf_counter", lambda: now[0])
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    return now


def plain(text):
    return re.sub(r"\x1b\[\d+m", "", text)


def test_on_a_terminal_it_is_drawn_again_and_again(clock):
    bar = Progbar(4, file=Terminal())
    for step in range(1, 5):
        clock[0] += 2
        bar.update(step, [("loss", 1 / step)])
    drawn = plain(bar.file.getvalue()).split("\r")[1:]
    assert drawn[0] == "1/4 ━━━━━━━━━━━━━━━━━━━━ 6s 2s/step - loss: 1.0000"
    assert drawn[1] == "2/4 ━━━━━━━━━━━━━━━━━━━━ 4s 2s/step - loss: 0.7500"
    assert drawn[3] == "4/4 ━━━━━━━━━━━━━━━━━━━━ 8s 2s/step - loss: 0.2500\n"
    # Half of the bar is green, the rest grey; numbers and times are bold.
    second = bar.file.getvalue().split("\r")[2]
    assert f"\x1b[32m{'━' * 10}\x1b[0m\x1b[37m{'━' * 10}\x1b[0m" in second
    assert "\x1b[1m2/4\x1b[0m" in second


def test_a_shorter_text_covers_the_longer_one(clock):
    bar = Progbar(3, file=Terminal(), stateful_metrics=["loss"])
    clock[0] += 1
    bar.update(1, [("loss", 1000000.0)])
    clock[0] += 1
    bar.update(2, [("loss", 1.0)])
    first, second = plain(bar.file.getvalue()).split("\r")[1:]
    assert len(second) == len(first)
    assert second.endswith("loss: 1.0000      ")


def test_it_is_not_drawn_more_often_than_asked(clock):
    bar = Progbar(1000, file=Terminal(), interval=1.0)
    for step in range(1, 100):
        clock[0] += 0.125
        bar.update(step)
    assert bar.file.getvalue().count("\r") == 13  # at steps 1, 9, 17, ...


def test_a_file_gets_one_line(clock):
    bar = Progbar(10, file=io.StringIO())
    for step in range(1, 11):
        clock[0] += 0.5
        bar.update(step, [("loss", 2.0)])
    assert bar.file.getvalue() == "10/10 ━━━━━━━━━━━━━━━━━━━━ 5s 500ms/step - loss: 2.0000\n"


def test_one_line_an_epoch(clock):
    bar = Progbar(10, verbose=2, file=Terminal())
    for step in range(1, 11):
        clock[0] += 0.002
        bar.update(step, [("loss", 2.0)])
    assert bar.file.getvalue() == "10/10 - 0s - 2ms/step - loss: 2.0000\n"


def test_unknown_length(clock):
    bar = Progbar(None, file=Terminal())
    clock[0] += 3
    bar.update(1, [("loss", 2.0)])
    assert plain(bar.file.getvalue()) == "\r      1/Unknown 3s 3s/step - loss: 2.0000"
    bar.target = 1
    bar.update(1, finalize=True)
    assert plain(bar.file.getvalue()).endswith(
        "\r1/1 ━━━━━━━━━━━━━━━━━━━━ 3s 3s/step - loss: 2.0000\n"
    )


def test_silence():
    bar = Progbar(1, verbose=0, file=io.StringIO())
    bar.update(1, [("loss", 1.0)])
    assert bar.file.getvalue() == ""


@pytest.mark.parametrize(
    "settings, shown",
    [
        ({}, "0.2000"),  # the last call replaces means by what it is given
        ({"stateful_metrics": ["loss"]}, "0.2000"),
        ({"stateless_metrics": []}, "0.2000"),
    ],
)
def test_the_last_value_is_final(settings, shown):
    bar = Progbar(2, verbose=2, file=io.StringIO(), **settings)
    bar.update(1, [("loss", 1.0)])
    bar.update(2, [("loss", 0.2)])
    assert bar.file.getvalue().endswith(f"loss: {shown}\n")


def test_means_over_steps(clock):
    bar = Progbar(10, file=Terminal(), interval=0)
    clock[0] += 1
    bar.update(1, [("loss", 4.0)])
    bar.update(4, [("loss", 0.0)])  # three steps at once
    assert "loss: 1.0000" in bar.file.getvalue().split("\r")[-1]
    with pytest.raises(ArgumentError, match="Only one of"):
        Progbar(1, stateful_metrics=[], stateless_metrics=[])


@pytest.mark.parametrize(
    "value, text",
    [(0.5, "0.5000"), (12345.678, "12345.6780"), (0.0, "0.0000e+00"), (1e-3, "1.0000e-03")],
)
def test_numbers(value, text):
    bar = Progbar(1, verbose=2, file=io.StringIO())
    bar.add(1, [("loss", value)])
    assert bar.file.getvalue().endswith(f" - loss: {text}\n")


@pytest.mark.parametrize(
    "seconds, left",
    [(0.5, "48s"), (1, "1:37"), (70, "1:53:10"), (0.0004, "0s")],
)
def test_time_left(clock, seconds, left):
    bar = Progbar(100, file=Terminal())
    clock[0] += 3
    for step in (1, 2):
        bar.update(step)
        clock[0] += seconds
    bar.interval = 0
    bar.update(3)
    assert f" {left} " in plain(bar.file.getvalue().split("\r")[-1])


def test_no_colours_where_none_are_wanted(clock, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    bar = Progbar(2, file=Terminal())
    bar.update(1)
    assert "\x1b" not in bar.file.getvalue()
