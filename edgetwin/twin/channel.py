"""Twin wing: one channel of one robot: its newest state, its history, and how well it follows.

In: records in any order, with repeats     Out: Fate of each; figures
Pure. Newest is by boot and number, never by a stamp: what was measured in 1970, or came late, or came twice, moves
nothing back. Memory is bounded: numbers of the newest four boots, short notes on the newest records.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import StrEnum

from edgetwin.announcement import Announced
from edgetwin.clock import NS_PER_US
from edgetwin.twin.figures import Jitter, Newest, PerSecond
from edgetwin.twin.numbers import Numbers
from edgetwin.twin.position import Point, PositionError
from edgetwin.twin.seen import Seen, Way

_BOOTS_MAX = 4
_HISTORY_MAX = 256
_NS_PER_MS = 1e6


class Fate(StrEnum):
    """What became of a record."""

    NEWEST = "newest"  # it is the state now
    HISTORY = "history"  # it is new, and older than the state
    REPEATED = "repeated"  # it had come before


@dataclass(frozen=True, slots=True)
class State:
    """What the twin shows of a channel.

    Attributes:
        seen: The record.
        measured_ns: When it was measured, on our monotonic clock [ns].
        arrived_ns: When it came [ns].
        clock_known: `measured_ns` rests on the robot's clock as pings tell; else on the belief that both are right.
    """

    seen: Seen
    measured_ns: int
    arrived_ns: int
    clock_known: bool


@dataclass(frozen=True, slots=True)
class Note:
    """What is kept of a record that is no longer the state."""

    boot: str
    seq: int
    stamp_us: int
    measured_ns: int
    way: Way


class ChannelTwin:
    """One channel.

    Attributes:
        announced: What its robot declares; None before it has.
        state: The newest record, or None.
        history: Notes on the newest records, in order of arrival.
        live: Distinct records that came by the live lane; `backlog` the others.
        reordered: Live records that were older than the state.
        latency_ms: From measurement to arrival, live records, where the robot's clock is known.
        transport_ms: The same from the daemon's reception on.
        position: How far the twin was from the robot; counts where the channel has a position.
    """

    def __init__(self, announced: Announced | None = None) -> None:
        self.announced = announced
        self.state: State | None = None
        self.history: deque[Note] = deque(maxlen=_HISTORY_MAX)
        self.live = 0
        self.backlog = 0
        self.reordered = 0
        self.latency_ms = Newest()
        self.transport_ms = Newest()
        self.jitter_ms = Jitter()
        self.rate_hz = PerSecond()
        self.bytes_per_s = PerSecond()
        self.position = PositionError()
        self._numbers: dict[str, Numbers] = {}
        self._forgotten_lost = 0
        self._forgotten_duplicates = 0

    def take(self, state: State, *, current: bool, point: Point | None = None) -> Fate:
        """Take a record.

        Args:
            state: The record, and when it was measured.
            current: It is of the boot that its robot runs now.
            point: Where the robot was, if the channel says so [m].
        """
        seen = state.seen
        self.bytes_per_s.add(state.arrived_ns, seen.size)
        numbers = self._numbers_of(seen.boot, seen.seq)
        if not numbers.add(seen.seq):
            return Fate.REPEATED
        self._count(state)
        if point is not None:
            self.position.measured(point, state.measured_ns)
        self.history.append(Note(seen.boot, seen.seq, seen.stamp_us, state.measured_ns, seen.way))
        if not self._newer(seen, current=current):
            self.reordered += current and seen.way is Way.LIVE
            return Fate.HISTORY
        self.state = state
        if point is not None:
            self.position.shows(point, state.arrived_ns)
        return Fate.NEWEST

    def explain(self, boot: str, first: int, last: int | None) -> None:
        """Take a gap event of this channel."""
        if boot in self._numbers:
            self._numbers[boot].explain(first, last)

    @property
    def lost(self) -> int:
        """Numbers that neither came nor are explained."""
        return self._forgotten_lost + sum(numbers.missing for numbers in self._numbers.values())

    @property
    def explained(self) -> int:
        """Numbers that gap events cover."""
        return sum(numbers.explained for numbers in self._numbers.values())

    @property
    def duplicates(self) -> int:
        """Records that came again."""
        return self._forgotten_duplicates + sum(numbers.duplicates for numbers in self._numbers.values())

    def _newer(self, seen: Seen, *, current: bool) -> bool:
        if self.state is None:
            return True
        if seen.boot == self.state.seen.boot:
            return seen.seq > self.state.seen.seq
        return current

    def _count(self, state: State) -> None:
        seen = state.seen
        if seen.way is not Way.LIVE:
            self.backlog += 1
            return
        self.live += 1
        self.rate_hz.add(state.arrived_ns)
        if state.clock_known:
            latency_ms = (state.arrived_ns - state.measured_ns) / _NS_PER_MS
            self.latency_ms.add(latency_ms)
            self.jitter_ms.add(latency_ms)
            waited_us = max(0, seen.recv_us - seen.stamp_us) if _of_one_clock(seen) else 0
            self.transport_ms.add(latency_ms - waited_us * NS_PER_US / _NS_PER_MS)

    def _numbers_of(self, boot: str, seq: int) -> Numbers:
        numbers = self._numbers.get(boot)
        if numbers is None:
            while len(self._numbers) >= _BOOTS_MAX:
                oldest = self._numbers.pop(next(iter(self._numbers)))
                self._forgotten_lost += oldest.missing
                self._forgotten_duplicates += oldest.duplicates
            numbers = self._numbers[boot] = Numbers(seq)
        return numbers


_STAMP_OLD_MAX_US = 60_000_000
_STAMP_AHEAD_MAX_US = 100_000


def _of_one_clock(seen: Seen) -> bool:
    return -_STAMP_AHEAD_MAX_US <= seen.recv_us - seen.stamp_us <= _STAMP_OLD_MAX_US


def measured_us(seen: Seen) -> tuple[int, bool]:
    """Return when a record was measured by the robot's wall clock [us], and whether its stamp says so.

    A stamp of another clock (simulated time, a driver that boots in 1970) lies far from the daemon's reception; then
    the reception counts, for it is of the clock that pings measure.
    """
    return (min(seen.stamp_us, seen.recv_us), True) if _of_one_clock(seen) else (seen.recv_us, False)
