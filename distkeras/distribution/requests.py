"""What a signal asks of the whole job: a bit that the ranks see together at the end of a step.

A signal reaches one rank or all of them, each at a moment of its own. A rank that acted on it alone
would leave the others waiting. So:

(a) The handlers only set a bit, and the ranks unite their bits in the message that ends each step
    of `fit`, `evaluate` and `predict` (see `training/boundary.py`). All see the same bits there.
(b) SIGINT outside of these calls, and everywhere in a single process, is Python's own. A second
    one, a second SIGTERM and a second SIGUSR1 end the job at once.
(c) SIGTERM and SIGUSR1 wait for the end of a step no longer than the grace time: a program may be
    in code of its own for hours, or waiting for a rank that does not come.
(d) Python runs handlers between two of its instructions, so not while the main thread is in a long
    call, nor in one that began just when the signal came. What must not wait for that (the grace
    time, a second signal) a thread does, which hears of signals from Python's wakeup descriptor.
    Where the program has taken that for itself, as asyncio does, the handlers do it.

Only the launcher installs the handlers. In a program started without it no bit is ever set.
"""

import contextlib
import functools
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from types import FrameType, TracebackType
from typing import Any, NoReturn

from distkeras.distribution import ends

__all__ = [
    "CHECKPOINT",
    "INTERRUPT",
    "PREEMPT",
    "STOP_TRAINING",
    "TERMINATE",
    "WIDTH",
    "AgreedExit",
    "ask",
    "done",
    "during",
    "exit_signal",
    "install",
    "pending",
]

# The loop that ends its step should end (`stop_training` and its kin).
STOP_TRAINING = 1
# SIGINT: raise KeyboardInterrupt.
INTERRUPT = 2
# SIGTERM and SIGUSR1: write a checkpoint and end with 128 + the signal's number.
TERMINATE = 4
PREEMPT = 8
# Write a checkpoint and go on.
CHECKPOINT = 16
# How many bits there are.
WIDTH = 5

# Signals closer together than this, in seconds, are one: a terminal and an MPI launcher may each
# deliver the same Ctrl-C, and one that acted on another rank's request may get its own late.
_TOGETHER = 0.5
# Ranks that end on request are not told again to: Open MPI sends SIGTERM to those that are not the
# first.
_LEAVING = 5.0

_ENDING: dict[int, int] = {signal.SIGTERM: TERMINATE, signal.SIGUSR1: PREEMPT}

_asked: set[int] = set()  # bits; each is added and taken away at one stroke, by any thread
_depth = 0  # calls of fit, evaluate and predict that are running
_first: dict[int, float] = {}  # signal -> when it came
_acted: dict[int, float] = {}  # bit -> when the ranks acted on it
_grace = 30.0
_timer: threading.Timer | None = None
_speaks = True
_wakeup = -1  # the descriptor by which the thread hears of signals
_raised = -math.inf  # when SIGINT last became a KeyboardInterrupt outside of those calls


class AgreedExit(SystemExit):
    """The end that all ranks agreed on; its code is the status that all of them end with."""


def install(rank: int, size: int, grace: float) -> None:
    """Let signals set bits in this process; its children have the default handlers again.

    A signal that is ignored stays ignored. Must be called on the main thread.

    Args:
        rank: this process's number; rank 0 tells that a signal has come.
        size: how many processes the job has. In a single one SIGINT stays Python's own.
        grace: seconds from SIGTERM or SIGUSR1 to the end of a step; after them the job is ended.
    """
    global _grace, _speaks, _wakeup
    _grace, _speaks = grace, rank == 0
    handlers: dict[int, Callable] = dict.fromkeys(_ENDING, _on_ending)
    if size > 1:
        handlers[signal.SIGINT] = _on_interrupt
    for number, handler in list(handlers.items()):
        if signal.getsignal(number) is signal.SIG_IGN:
            del handlers[number]
        else:
            signal.signal(number, handler)
    if handlers and _wakeup < 0:
        heard, _wakeup = os.pipe()
        os.set_blocking(_wakeup, False)
        thread = threading.Thread(target=_listen, args=(heard,), name="distkeras-signals")
        thread.daemon = True
        thread.start()
        _thread_listens()
    _leave_children_alone(handlers)


def _leave_children_alone(handlers: Mapping[int, Callable]) -> None:
    """Give forked children the default handlers: `Pool.terminate` ends its workers by SIGTERM.

    A signal that comes in between is held back. Python drops one whose handler changed meanwhile.
    """
    masks = threading.local()  # a mask is a thread's own, and any thread may fork

    def before() -> None:
        masks.old = signal.pthread_sigmask(signal.SIG_BLOCK, handlers)

    def unblock() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, masks.old)

    def in_child() -> None:
        global _depth, _timer, _wakeup
        _asked.clear()
        _depth, _timer = 0, None
        with contextlib.suppress(ValueError):  # its signals are not its parent's
            other = signal.set_wakeup_fd(-1)
            if other not in (-1, _wakeup):
                signal.set_wakeup_fd(other)
        _wakeup = -1
        for number, handler in handlers.items():
            if signal.getsignal(number) is handler:
                own = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
                with contextlib.suppress(ValueError):  # forked by another thread than the main one
                    signal.signal(number, own)
        unblock()

    os.register_at_fork(before=before, after_in_parent=unblock, after_in_child=in_child)


def pending() -> int:
    """The bits that were asked for on this rank and not acted on yet.

    Example:
        >>> pending()
        0
    """
    return sum(_asked)


def ask(bits: int) -> None:
    """Set bits, as a signal would: the ranks act on them at the end of the running step.

    Args:
        bits: some of this module's constants, joined by `|`. One rank that asks is enough.

    Example:
        >>> ask(CHECKPOINT); pending() == CHECKPOINT; done(CHECKPOINT)
        True
    """
    _asked.update(_single(bits))


def _single(bits: int) -> list[int]:
    return [1 << i for i in range(WIDTH) if bits >> i & 1]


def done(bits: int) -> None:
    """Take bits back, since the ranks act on them now; the grace time is over then.

    Args:
        bits: some of this module's constants, joined by `|`.
    """
    global _timer
    _asked.difference_update(_single(bits))
    now = time.monotonic()
    _acted.update({bit: now for bit in (INTERRUPT, TERMINATE, PREEMPT) if bits & bit})
    if not pending() & (TERMINATE | PREEMPT) and _timer is not None:
        _timer.cancel()
        _timer = None


def exit_signal(bits: int) -> signal.Signals:
    """The signal that TERMINATE or PREEMPT stands for; SIGTERM where both are set.

    Example:
        >>> exit_signal(PREEMPT).name
        'SIGUSR1'
    """
    return signal.SIGTERM if bits & TERMINATE else signal.SIGUSR1


def during(method: Callable) -> Callable:
    """A decorator: while the method runs, SIGINT waits for the end of a step.

    One that came too late for the last step raises KeyboardInterrupt when the outermost method has
    returned.
    """

    @functools.wraps(method)
    def running(*args: Any, **kwargs: Any) -> Any:
        global _depth
        _depth += 1
        try:
            result = method(*args, **kwargs)
        finally:
            _depth -= 1
        if INTERRUPT in _asked and not _depth:
            done(INTERRUPT)
            raise KeyboardInterrupt
        return result

    return running


def _thread_listens() -> bool:
    """Whether the thread hears of signals, to be asked on the main thread; from now on it does,
    unless the program listens itself."""
    if _wakeup < 0:
        return False
    before = signal.set_wakeup_fd(_wakeup, warn_on_full_buffer=False)
    if before not in (-1, _wakeup):
        signal.set_wakeup_fd(before)
    return before == _wakeup


def _listen(heard: int) -> None:
    """What the thread does, step (d)."""
    interrupted = -math.inf  # when SIGINT came that nobody has acted on
    while data := os.read(heard, 64):
        for number in data:
            now = time.monotonic()
            if number in _ENDING:
                _end(number)
            elif number == signal.SIGINT and _depth and not _is_late(INTERRUPT):
                open_since = interrupted > max(_acted.get(INTERRUPT, -math.inf), _raised)
                if open_since and now - interrupted > _TOGETHER:
                    _interrupt(sys._current_frames().get(threading.main_thread().ident or 0))
                interrupted = interrupted if open_since else now


def _on_interrupt(number: int, frame: FrameType | None) -> None:
    global _raised
    if _is_late(INTERRUPT):
        return
    if not _depth:
        _raised = time.monotonic()
        raise KeyboardInterrupt
    if not _thread_listens() and _is_second(number, INTERRUPT):
        _interrupt(frame)
    ask(INTERRUPT)


def _interrupt(frame: FrameType | None) -> NoReturn:
    error = KeyboardInterrupt()
    if frame is not None:
        error.__traceback__ = TracebackType(None, frame, frame.f_lasti, frame.f_lineno)
    os._exit(ends.fail(error))


def _on_ending(number: int, frame: FrameType | None) -> None:
    if not _thread_listens():
        _end(number)


def _end(number: int) -> None:
    global _timer
    name = signal.Signals(number).name
    if ends.job_is_failing():  # Open MPI ends the other ranks by SIGTERM
        os._exit(128 + number)
    if _is_second(number, _ENDING[number]):
        ends.stop(f"a second {name} ends the job at once, without a checkpoint", 128 + number)
    if _ENDING[number] in _asked or any(_is_late(bit, _LEAVING) for bit in _ENDING.values()):
        return
    ask(_ENDING[number])
    if _speaks:
        ends.tell(
            f"{name}: the job ends with the running step, at the latest in {_grace:g} s; "
            "a second signal ends it at once"
        )
    if _timer is None:
        _timer = threading.Timer(_grace, _expire, (number,))
        _timer.daemon = True
        try:
            _timer.start()
        except RuntimeError:  # the interpreter is ending: no step will come
            _expire(number)


def _expire(number: int) -> None:
    name = signal.Signals(number).name
    ends.stop(
        f"{name}: no step of fit, evaluate or predict ended within the grace time of {_grace:g} s, "
        "so the job ends without a checkpoint",
        128 + number,
    )


def _is_second(number: int, bit: int) -> bool:
    """Whether the signal came before, and has not been acted on."""
    now = time.monotonic()
    if bit not in _asked:
        _first[number] = now
        return False
    return now - _first[number] > _TOGETHER


def _is_late(bit: int, span: float = _TOGETHER) -> bool:
    """Whether the ranks have acted on the same request just now."""
    return time.monotonic() - _acted.get(bit, -span) < span
