"""Floor: two times, two names.

`now_ns` is monotonic and is what decisions are made with. `stamp_ns` is the robot's wall
clock, UTC; it may jump by years, and is only ever data. Nothing else in edgetwin reads a clock.
"""

from __future__ import annotations

import time
from typing import Protocol

NS_PER_S = 1_000_000_000
NS_PER_US = 1_000


class Clock(Protocol):
    """What a room may know about time."""

    def now_ns(self) -> int:
        """Monotonic time [ns]; never goes back, its zero means nothing."""
        ...

    def stamp_ns(self) -> int:
        """Wall time [ns since 1970, UTC]; may step in both directions."""
        ...


class SystemClock:
    """The robot's own clocks."""

    now_ns = staticmethod(time.monotonic_ns)
    stamp_ns = staticmethod(time.time_ns)


def seconds_to_ns(seconds: float) -> int:
    """Return `seconds` as whole nanoseconds."""
    return round(seconds * NS_PER_S)
