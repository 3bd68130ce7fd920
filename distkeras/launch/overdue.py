"""A collective that a rank does not come to ends the job, with a report of who waits for whom.

MPI waits for ever for a rank that is stopped, loops, or waits for something else. The watcher of
every rank (see `watch.py`) therefore looks at the beacons of its node from time to time:

(a) Its own rank waits in a collective. The ranks whose beacons are not in the same one are
    late; so is one that is there and stopped.
(b) Time counts from the moment at which a late rank was last seen to do something, and only while
    this rank itself runs: a suspended machine or job makes nobody late. The limit is that for a
    step, or for the program's own code, by the place of the late rank. A rank whose program has
    ended may wait for ever, except for a stopped one.
(c) Past the limit the watcher claims the right to speak (see `distribution/ends.py`), asks the
    ranks by a signal for the stacks of all their threads, and writes the report. The signal is
    served by `faulthandler` in C, so also in a rank whose Python does not come to run.
(d) It asks its rank to end the job, and kills it where it does not.

Ranks of other nodes have no beacon here. Where all of this node wait the limit is that for the
program's own code, and the report names the ranks of which nothing is known.
"""

import contextlib
import faulthandler
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from distkeras.distribution import beacon, ends
from distkeras.distribution.beacon import Reading

__all__ = ["EXIT_CODE", "Overseer", "serve"]

# What the job ends with; `timeout` of the shell uses the same.
EXIT_CODE = 124

# Real-time signals are used by hardly anybody.
_STACKS = getattr(signal, "SIGRTMIN", 0) + 5
_ABORT = _STACKS + 1
_ANSWER = 2.0  # seconds for ranks to write their stacks
_PATIENCE = 3.0  # seconds for a rank to end the job
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_ELSEWHERE = (_PACKAGE + os.sep, "<frozen ", os.sep + "contextlib.py")
_STATES = {"R": "running", "S": "asleep", "D": "waiting for a disk", "T": "stopped", "t": "traced"}
_PLACES = ("in the program's own code", "inside a step", "at the end of its program")


def serve() -> int | None:
    """In a rank: let it answer a watcher that asks for its stacks, or to end the job.

    Returns:
        A descriptor of the file that the stacks go to, or None where the system has none without
        a name.
    """
    if not hasattr(os, "memfd_create"):
        return None
    try:
        descriptor = os.memfd_create("distkeras-stacks")
        faulthandler.register(_STACKS, file=descriptor, all_threads=True, chain=False)
        signal.signal(_ABORT, lambda number, frame: ends.leave(EXIT_CODE))
    except (OSError, ValueError):
        return None
    return descriptor


class Overseer:
    """Looks whether the rank beside it waits for too long.

    Args:
        rank: that rank.
        ranks: how many the job has.
        step, user: the limits in seconds for ranks inside a step and in the program's own code;
            0: for ever.
        errors: the directory of error reports.
        descriptors: where the beacons and the stacks of this node's ranks are, this rank's own
            among them: pairs of paths.
    """

    def __init__(
        self,
        rank: int,
        ranks: int,
        step: float,
        user: float,
        errors: Path,
        descriptors: Iterable[tuple[str, str]],
    ):
        self.rank, self.ranks, self.errors = rank, ranks, errors
        self.limits = {beacon.IN_USER_CODE: user, beacon.IN_STEP: step, beacon.ENDED: step}
        self.words: dict[int, Any] = {}
        self.stacks: dict[int, int] = {}
        for beacon_path, stacks_path in descriptors:
            with contextlib.suppress(OSError, ValueError):  # it has ended, or cannot be seen
                descriptor = os.open(beacon_path, os.O_RDONLY)
                words = beacon.read(descriptor)
                os.close(descriptor)
                number = Reading.of(words).rank
                self.words[number] = words
                self.stacks[number] = os.open(stacks_path, os.O_RDONLY)
        used = [limit for limit in (step, user) if limit]
        # How often to look, in seconds; 0: not at all.
        self.period = min(1.0, min(used) / 4) if used and rank in self.words else 0.0
        self._own: Reading | None = None
        self._since: dict[int, float] = {}
        self._seen: dict[int, Reading] = {}
        self._looked = time.monotonic()

    def look(self) -> None:
        """Compare the beacons, and end the job where a rank is overdue."""
        now = time.monotonic()
        passed, self._looked = now - self._looked, now
        own = Reading.of(self.words[self.rank])
        if not own.waits or own != self._own:
            self._own = own
            self._since.clear()
            self._seen.clear()
            return
        if _state(own.process) == "T":
            return
        late = self._late(own)
        for number in set(self._since) - set(late):
            del self._since[number]
        for number, limit in late.items():
            seen = Reading.of(self.words[number]) if number in self.words else own
            if self._seen.get(number) != seen:
                self._seen[number] = seen
                self._since[number] = 0.0
            else:  # a watcher that was itself held up has not seen what happened meanwhile
                self._since[number] = self._since.get(number, 0.0) + min(passed, 2 * self.period)
            if limit and self._since[number] > limit:
                self._end(own, sorted(late), limit)
                return

    def _late(self, own: Reading) -> dict[int, float]:
        """The ranks that this one waits for, with the limit of each."""
        readings = {number: Reading.of(words) for number, words in self.words.items()}
        late = {}
        for number, other in readings.items():
            arrived = (other.ordinal, other.kind, other.waits) == (own.ordinal, own.kind, True)
            if own.kind == beacon.END:
                arrived = True  # the others may go on for as long as they like
            if number != self.rank and (not arrived or _state(other.process) == "T"):
                late[number] = self.limits[beacon.IN_STEP if other.waits else other.place]
        if not late and own.kind != beacon.END:
            unknown = [number for number in range(self.ranks) if number not in readings]
            if unknown:
                return dict.fromkeys(unknown, self.limits[beacon.IN_USER_CODE])
            return {self.rank: self.limits[beacon.IN_STEP]}
        return late

    def _end(self, own: Reading, late: list[int], limit: float) -> None:
        if ends.claim(self.errors):
            lines = self._report(own, late, limit)
            text = "".join(f"[rank {self.rank}] {line}\n" for line in lines)
            ends.keep_report(self.errors, self.rank, text)
            ends.write_all(2, text)
        elif _ends(own.process, ends.PATIENCE):  # by the one who speaks
            return
        for number in (_ABORT, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.kill(own.process, number)
            if _ends(own.process, _PATIENCE):
                return

    def _report(self, own: Reading, late: list[int], limit: float) -> list[str]:
        readings = {number: Reading.of(words) for number, words in self.words.items()}
        states = {number: _state(other.process) for number, other in readings.items()}
        stacks = self._ask_for_stacks(readings, states)
        waiting: dict[str, list[int]] = {}
        for number, other in sorted(readings.items()):
            if number not in late and other.waits:
                what = f"{other.kind}, collective number {other.ordinal}, {_caller(stacks[number])}"
                waiting.setdefault(what, []).append(number)
        head = "A collective is overdue, so the job ends: "
        if late == [self.rank]:
            head += f"all ranks came to it, and for {limit:g} s the messages have not got through."
        else:
            head += f"{_names(late)} held it up for {limit:g} s."
        lines = [head]
        lines += [f"  {_names(who)} in {what}" for what, who in waiting.items()]
        for number in late if late != [self.rank] else ():
            if number in readings:
                lines += self._of_late(readings[number], states[number], stacks[number])
        if unknown := [number for number in range(self.ranks) if number not in readings]:
            lines.append(f"  {_names(unknown)}: on another node, from which nothing is known here")
        lines.append(
            "Longer waiting: --step-timeout (now "
            f"{self.limits[beacon.IN_STEP]:g} s) and --user-timeout (now "
            f"{self.limits[beacon.IN_USER_CODE]:g} s) of the launcher; 0 waits for ever."
        )
        return lines

    def _of_late(self, other: Reading, state: str, stacks: list[str]) -> list[str]:
        if other.waits:
            where = f"waits in {other.kind}, collective number {other.ordinal}"
        else:
            newest = f"{other.kind}, number {other.ordinal}" if other.ordinal else "none"
            where = f"is {_PLACES[other.place]}; its newest collective: {newest}"
        head = f"  rank {other.rank} (process {other.process}) {where}"
        if state == "T":
            return [f"{head}; it was stopped by a signal (kill -STOP, Ctrl-Z, a debugger)"]
        if not stacks:
            return [f"{head}; it is {_STATES.get(state, 'gone')}, and did not tell its stacks"]
        return [f"{head}:", *(f"    {line}" for line in stacks)]

    def _ask_for_stacks(
        self, readings: dict[int, Reading], states: dict[int, str]
    ) -> dict[int, list[str]]:
        """The lines that faulthandler writes in each rank that can; step (c)."""
        begins = {number: os.fstat(self.stacks[number]).st_size for number in readings}
        for number, other in readings.items():
            with contextlib.suppress(OSError):
                if other.process and states[number] != "T":
                    os.kill(other.process, _STACKS)
        deadline, sizes = time.monotonic() + _ANSWER, dict(begins)
        while time.monotonic() < deadline:
            time.sleep(0.1)
            before, sizes = sizes, {n: os.fstat(self.stacks[n]).st_size for n in readings}
            answered = all(sizes[n] > begins[n] or states[n] == "T" for n in readings)
            if answered and sizes == before:
                break
        return {
            number: _frames(os.pread(self.stacks[number], 1 << 20, begins[number]))
            for number in readings
        }


def _frames(dump: bytes) -> list[str]:
    """The lines of a dump, without the launcher's own frames."""
    launcher = os.path.join(_PACKAGE, "launch", "")
    return [
        line
        for line in dump.decode(errors="replace").splitlines()
        if line and f'File "{launcher}' not in line and 'File "<frozen runpy>"' not in line
    ]


def _caller(stacks: list[str]) -> str:
    """Where the program called in: the innermost frame outside distkeras of the main thread."""
    main = stacks
    for at, line in enumerate(stacks):
        if line.startswith("Current thread"):
            main = stacks[at + 1 :]
    for line in main:
        file, _, rest = line.strip().removeprefix('File "').partition('"')
        if rest and not any(part in file for part in _ELSEWHERE):
            number = rest.partition("line ")[2].split()[0]
            return f"called at {file}:{number}"
    return "called at an unknown place"


def _names(ranks: list[int]) -> str:
    return f"rank{'s' * (len(ranks) > 1)} {', '.join(map(str, ranks))}"


def _ends(process: int, seconds: float) -> bool:
    """Whether a process ends within a time."""
    deadline = time.monotonic() + seconds
    while _state(process) not in ("", "Z", "X"):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _state(process: int) -> str:
    """The state of a process as the kernel tells it: "T" also under a debugger, "" unknown."""
    with contextlib.suppress(OSError, IndexError), open(f"/proc/{process}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].split()[0].decode().upper()
    return ""
