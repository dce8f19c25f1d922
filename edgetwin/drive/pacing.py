"""Drive wing: when the next move leaves. Pure: an absolute schedule that never makes up for lost time in a burst."""

from __future__ import annotations

from edgetwin.clock import NS_PER_S

RATE_MIN_HZ = 5.0
RATE_MAX_HZ = 20.0  # the robot's own limit


class Pacing:
    """One stream of moves."""

    def __init__(self, rate_hz: float, now_ns: int) -> None:
        """Begin now; the first move is due at once.

        Args:
            rate_hz: Cut to what a robot takes, 5 to 20 Hz: below, its deadman trips.
            now_ns: Monotonic time.
        """
        self._period_ns = round(NS_PER_S / max(RATE_MIN_HZ, min(RATE_MAX_HZ, rate_hz)))
        self._due_ns = now_ns

    def wait_s(self, now_ns: int) -> float:
        """Return how long to wait before the next move, and count it as sent then."""
        if now_ns - self._due_ns > self._period_ns:  # stalled: the moves of that time are of no use to anybody
            self._due_ns = now_ns
        wait_ns = self._due_ns - now_ns
        self._due_ns += self._period_ns
        return max(0, wait_ns) / NS_PER_S
