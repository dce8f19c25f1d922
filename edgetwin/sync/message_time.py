"""Pace room: a time that only goes forward, made of stamps that cannot be trusted.

In: message stamps, reception times     Out: message time [ns], and counters of what was odd.
Pure.

| a stamp that is         | advances message time by              | counted as |
|-------------------------|---------------------------------------|------------|
| later than the newest   | the difference of the stamps          | gap, when it leaps past the reception clock |
| equal to the newest     | the reception time since the last one | frozen |
| earlier than the newest | the reception time since the last one | backward; five in a row are a new time line |
| never set (0)           | the reception time since the last one | unstamped |

The stamp's own time is used because reception jitters (DDS, Wi-Fi) where the source does not, and because
a recording played at ten times its pace should still be limited by its own clock. Reception time is the
middleware's, per message; it is a wall clock, so a step back counts as no time at all.
"""

from __future__ import annotations

_NEW_TIME_LINE_AFTER = 5
_LEAP_NS = 1_000_000_000


class MessageTime:
    """Time of one channel, over all its publishers.

    Attributes:
        now_ns: Message time, from 0.
        unstamped: Messages without a stamp.
        backward: Stamps earlier than the newest one seen.
        frozen: Stamps equal to it.
        gaps: Leaps of more than a second past the reception clock.
    """

    __slots__ = (
        "_backward_run",
        "_borrowed_ns",
        "_newest_ns",
        "_received_ns",
        "backward",
        "frozen",
        "gaps",
        "now_ns",
        "unstamped",
    )

    def __init__(self) -> None:
        self.now_ns = 0
        self.unstamped = 0
        self.backward = 0
        self.frozen = 0
        self.gaps = 0
        self._newest_ns = 0
        self._received_ns = 0
        self._borrowed_ns = 0
        self._backward_run = 0

    def advance(self, stamp_ns: int, received_ns: int) -> int:
        """Return the message time after a message with this stamp (0: none), received at `received_ns` [UTC]."""
        waited_ns = max(0, received_ns - self._received_ns) if self._received_ns else 0
        self._received_ns = received_ns
        if stamp_ns == 0:
            self.unstamped += 1
            return self._borrow(waited_ns)
        if self._newest_ns == 0:
            self._borrow(waited_ns)
            self._start(stamp_ns)
            return self.now_ns
        ahead_ns = stamp_ns - self._newest_ns
        if ahead_ns > 0:
            if ahead_ns > waited_ns + self._borrowed_ns + _LEAP_NS:
                self.gaps += 1
            # What stamps that stood still borrowed from the reception clock is paid back here.
            self.now_ns += max(0, ahead_ns - self._borrowed_ns)
            self._start(stamp_ns)
            return self.now_ns
        if ahead_ns == 0:
            self.frozen += 1
        else:
            self.backward += 1
            self._backward_run += 1
        self._borrow(waited_ns)
        if self._backward_run >= _NEW_TIME_LINE_AFTER:
            self._start(stamp_ns)
        return self.now_ns

    def _borrow(self, waited_ns: int) -> int:
        self.now_ns += waited_ns
        self._borrowed_ns += waited_ns
        return self.now_ns

    def _start(self, stamp_ns: int) -> None:
        self._newest_ns = stamp_ns
        self._borrowed_ns = self._backward_run = 0


class RateLimit:
    """At most `rate_hz_max` per second of message time, on average; jitter does not thin a source of that rate.

    A token bucket of almost two: a message up to 0.9 of a period early still passes, and the
    long-term rate stays below the limit.

    Source: ITU-T I.371, generic cell rate algorithm (virtual scheduling).
    """

    __slots__ = ("_allowance_ns", "_due_ns", "period_ns")

    def __init__(self, rate_hz_max: float) -> None:
        self.period_ns = round(1e9 / rate_hz_max)
        self._allowance_ns = round(0.9 * self.period_ns)
        self._due_ns = -self.period_ns

    def ready(self, message_time_ns: int) -> bool:
        """Whether a message of this time may leave."""
        return message_time_ns >= self._due_ns - self._allowance_ns

    def admit(self, message_time_ns: int) -> bool:
        """Whether a message of this time may leave; if so, it is accounted for."""
        if message_time_ns < self._due_ns - self._allowance_ns:
            return False
        self._due_ns = max(self._due_ns, message_time_ns) + self.period_ns
        return True

    def take(self, message_time_ns: int) -> None:
        """Account for a message that leaves."""
        # A release in silence comes before its time; its debt is bounded, so that it cannot mute the channel later.
        base_ns = min(max(self._due_ns, message_time_ns), message_time_ns + self._allowance_ns)
        self._due_ns = base_ns + self.period_ns
