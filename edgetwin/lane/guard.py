"""Command lane: the guard: zeros, when the lane itself no longer says anything.

In: the lane's pulse     Out: zeros at 20 Hz on a handle of its own, as long as the pulse is missing
A plain thread: no loop, no queue, no lock that the lane takes. It knows nothing but when the lane last ticked and
whether it is silent on purpose. It cannot help where one thread keeps the interpreter to itself without end;
systemd's watchdog and the base's own time-out stand behind it.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass

from edgetwin.clock import Clock
from edgetwin.ros.cmd_vel import MotionPublisher

LATE_NS = 250_000_000
_PERIOD_S = 0.05
_SILENT_PERIOD_S = 0.2  # spares wake-ups; a drive that begins and stalls in between is seen 0.2 s later
_JOIN_S = 1.0


@dataclass(slots=True)
class Pulse:
    """What the lane tells the guard. Plain values, each written by one thread.

    Attributes:
        tick_ns: When the lane last ticked.
        silent: The gate publishes nothing, on purpose.
        dead: The lane's thread is gone, or its loop broke: it will not tick again.
    """

    tick_ns: int
    silent: bool = True
    dead: bool = False


class Guard:
    """Watches one pulse.

    Attributes:
        trips: How often the pulse was missing.
        zeros: Zeros that it has sent.
    """

    def __init__(self, publisher: MotionPublisher, pulse: Pulse, clock: Clock) -> None:
        """Start watching.

        Args:
            publisher: The guard's own handle.
            pulse: The lane's.
            clock: The robot's.
        """
        self._publisher = publisher
        self._pulse = pulse
        self._clock = clock
        self._closing = threading.Event()
        self.trips = 0
        self.zeros = 0
        self._thread = threading.Thread(target=self._watch, name="edgetwin-guard", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it; the caller has seen to it that the robot stands, or that the process ends."""
        self._closing.set()
        self._thread.join(_JOIN_S)

    def _watch(self) -> None:
        tripped = False
        while not self._closing.wait(_SILENT_PERIOD_S if self._pulse.silent else _PERIOD_S):
            missing = self._missing()
            if missing:
                self.trips += not tripped
                with suppress(Exception):  # ROS may be ending under us; the next turn tries again
                    self._publisher.zero()
                    self.zeros += 1
            tripped = missing

    def _missing(self) -> bool:
        pulse = self._pulse
        if pulse.dead:
            return True
        return not pulse.silent and self._clock.now_ns() - pulse.tick_ns > LATE_NS
