"""Roof: tells the cloud of the robot's wall clock: whether the kernel holds it right, and when it steps.

In: both clocks and the kernel's word, once a second     Out: one `clock` event and one log line per change
Sets nothing, and nothing on the robot depends on it: order is by numbers, waiting by the monotonic clock.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from edgetwin import kernel_clock, wire
from edgetwin.clock import NS_PER_S, NS_PER_US, Clock

_EVERY_S = 1.0
_STEP_NS = 100_000_000  # a clock that is slewed moves 0.5 ms/s; this much at once is a step

_log = logging.getLogger("edgetwin")


class ClockWatch:
    """The wall clock of one robot."""

    def __init__(
        self,
        clock: Clock,
        tell: Callable[[bytes], object],
        ask: Callable[[], kernel_clock.KernelClock] = kernel_clock.look,
    ) -> None:
        """Begin with what it says now.

        Args:
            clock: The robot's.
            tell: Takes the data of a `clock` event.
            ask: For the kernel's word.
        """
        self._clock = clock
        self._tell = tell
        self._ask = ask
        self._offset_ns = self._offset()
        self._synced: bool | None = None

    async def run(self) -> None:
        """Look once a second until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(_EVERY_S)

    def look(self) -> None:
        """Tell what has changed since the last look; the first one tells the kernel's word."""
        offset_ns = self._offset()
        step_ns, self._offset_ns = offset_ns - self._offset_ns, offset_ns
        seen = self._ask()
        if abs(step_ns) > _STEP_NS:
            _log.warning(
                "The wall clock has stepped by %.3f s; nothing is lost or reordered by it.", step_ns / NS_PER_S,
                extra={"EVENT": "clock.step", "STEP_S": step_ns / NS_PER_S},
            )  # fmt: skip
            after_us = self._clock.stamp_ns() // NS_PER_US
            self._say("step", seen, step_us=step_ns // NS_PER_US, after_us=after_us)
        elif seen.synchronised is not self._synced:
            word = {True: "synchronised", False: "unsynchronised", None: "unknown"}[seen.synchronised]
            _log.info("The wall clock is %s, says the kernel.", word, extra={"EVENT": "clock.sync", "STATE": word})
            self._say(word, seen)
        self._synced = seen.synchronised

    def _say(self, state: str, seen: kernel_clock.KernelClock, **more: int) -> None:
        error_us = seen.error_max_ns // NS_PER_US if seen.synchronised else None
        said = {"state": state, "synchronised": seen.synchronised, "error_max_us": error_us}
        self._tell(wire.encode(said | more))

    def _offset(self) -> int:
        return self._clock.stamp_ns() - self._clock.now_ns()
