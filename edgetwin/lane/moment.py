"""Command lane: what time it is, and how far the wall clock can be believed.

In: the robot's clocks, the kernel's own bound     Out: Moment
The monotonic clock decides. The wall clock is believed only while the kernel says that something disciplines it,
and not for a while after it has stepped.
"""

from __future__ import annotations

from collections.abc import Callable

from edgetwin import kernel_clock
from edgetwin.clock import NS_PER_S, NS_PER_US, Clock
from edgetwin.command.incoming import Moment

_ASK_EVERY_NS = NS_PER_S
_STEP_NS = 100_000_000  # a clock that is slewed moves 0.5 ms/s; this much at once is a step
_MISTRUST_NS = 5 * NS_PER_S


def kernel_error_ns() -> int | None:
    """Return the kernel's bound of the wall clock's error [ns]; None: not synchronised, or it may not be asked."""
    seen = kernel_clock.look()
    return seen.error_max_ns if seen.synchronised else None


class Moments:
    """Makes moments; asks the kernel once a second.

    Attributes:
        steps: How often the wall clock has stepped.
    """

    def __init__(self, clock: Clock, ask: Callable[[], int | None] = kernel_error_ns) -> None:
        """Begin with what the kernel says now.

        Args:
            clock: The robot's.
            ask: For the bound.
        """
        self.clock = clock
        self._ask = ask
        self._offset_ns = clock.stamp_ns() - clock.now_ns()
        self._asked_ns = clock.now_ns()
        self._error_ns = ask()
        self._mistrusted_until_ns = 0
        self.steps = 0

    def now(self) -> Moment:
        """Return this moment."""
        now_ns, stamp_ns = self.clock.now_ns(), self.clock.stamp_ns()
        offset_ns = stamp_ns - now_ns
        if abs(offset_ns - self._offset_ns) > _STEP_NS:
            self.steps += 1
            self._mistrusted_until_ns = now_ns + _MISTRUST_NS
            self._asked_ns = now_ns - _ASK_EVERY_NS
            self._offset_ns = offset_ns
        if now_ns - self._asked_ns >= _ASK_EVERY_NS:
            self._asked_ns = now_ns
            self._offset_ns = offset_ns  # follow a slew, however long it lasts
            self._error_ns = self._ask()
        error_ns = None if now_ns < self._mistrusted_until_ns else self._error_ns
        return Moment(now_ns, stamp_ns // NS_PER_US, error_ns)
