"""Drive wing: what the robot's monotonic clock says now, as seen from here.

In: pings and their answers     Out: the robot's time [ms], and how wrong that may be
Pure. The answer was given somewhere between question and answer: half the round trip is the bound, whatever the way
there and the way back took. Bounds grow with age, for two clocks do not run alike.
Source: Spot's time-sync service, Cristian's algorithm.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

_MS = 1e6  # ns
_DRIFT = 100e-6  # 50 ppm on either side
_KEPT = 8
_TRUNCATION_MS = 0.5  # the robot tells whole milliseconds, cut off: on average half of one more


@dataclass(frozen=True, slots=True)
class Sample:
    """One answered ping: our clock between question and answer [ns], and robot minus us at that moment [ms]."""

    middle_ns: int
    offset_ms: float
    error_ms: float

    def error_at(self, now_ns: int) -> float:
        """Return the bound of its error by `now_ns` [ms]."""
        return self.error_ms + abs(now_ns - self.middle_ns) / _MS * _DRIFT


class RobotClock:
    """The robot's clock, estimated.

    Attributes:
        round_trip_ms: Of the newest ping; None before the first.
    """

    def __init__(self) -> None:
        self.round_trip_ms: float | None = None
        self._samples: deque[Sample] = deque(maxlen=_KEPT)

    def note(self, sent_ns: int, received_ns: int, robot_ms: float) -> None:
        """Take one answer.

        Args:
            sent_ns: Our monotonic clock when the ping left.
            received_ns: The same when its answer came; not earlier.
            robot_ms: What the robot's clock said in between.
        """
        round_trip_ms = max(0, received_ns - sent_ns) / _MS
        middle_ns = (sent_ns + received_ns) // 2
        offset_ms = robot_ms + _TRUNCATION_MS - middle_ns / _MS
        self.round_trip_ms = round_trip_ms
        self._samples.append(Sample(middle_ns, offset_ms, round_trip_ms / 2 + _TRUNCATION_MS))

    def at(self, now_ns: int) -> tuple[float, float] | None:
        """Return (the robot's time [ms], bound of the error [ms]) at our `now_ns`; None before the first answer.

        The sample with the smallest bound by now decides: mostly the one with the shortest round trip.
        """
        if not self._samples:
            return None
        best = min(self._samples, key=lambda sample: sample.error_at(now_ns))
        return now_ns / _MS + best.offset_ms, best.error_at(now_ns)

    def forget(self) -> None:
        """Take nothing of before as true: the robot has another clock now."""
        self._samples.clear()
