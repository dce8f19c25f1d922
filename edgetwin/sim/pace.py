"""Replay: when each message is due.

In: log times, the monotonic time now     Out: how long to wait.
Pure: no clock, no sleep.
"""

from __future__ import annotations


class Pace:
    """Keeps the distances between log times, divided by `rate`; rate 0 never waits.

    The first message is due at once. A message that is late, or whose log time steps back, is due
    at once too, and the plan does not shift: delays never add up.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._plan: tuple[int, int] | None = None

    def wait_ns(self, stamp_ns: int, *, now_ns: int) -> int:
        """Return the time until a message with this log time is due [ns], 0 when it is due.

        Args:
            stamp_ns: Its log time [ns].
            now_ns: Monotonic time [ns].
        """
        if self._rate == 0:
            return 0
        if self._plan is None:
            self._plan = (stamp_ns, now_ns)
        first_stamp_ns, first_ns = self._plan
        due_ns = first_ns + round((stamp_ns - first_stamp_ns) / self._rate)
        return max(0, due_ns - now_ns)
