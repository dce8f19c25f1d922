"""The robot's word on its own clock: one event per change, none without."""

from __future__ import annotations

from typing import Any

import orjson

from edgetwin.clock_watch import ClockWatch
from edgetwin.kernel_clock import KernelClock, look

S = 1_000_000_000


class Hands:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now, self.ahead = 0, 0

    def now_ns(self) -> int:
        """Monotonic."""
        return self.now

    def stamp_ns(self) -> int:
        """Wall."""
        return self.now + self.ahead


def test_a_step_is_told_once_with_its_size_and_a_slew_is_not() -> None:
    """From 1970 to today, an hour back; in between 500 ppm."""
    clock, told = Hands(), list[dict[str, Any]]()
    watch = ClockWatch(clock, lambda data: told.append(orjson.loads(data)), lambda: KernelClock(synchronised=False))
    for second in range(60):
        clock.now = second * S
        clock.ahead += {20: 1_795_000_000 * S, 40: -3_600 * S}.get(second, 500_000)
        watch.look()

    assert [event["state"] for event in told] == ["unsynchronised", "step", "step"]
    assert [event["step_us"] for event in told[1:]] == [1_795_000_000_000_000, -3_600_000_000]
    assert told[1]["after_us"] == 1_795_000_020_000_000 + 20 * 500


def test_the_kernels_word_is_told_when_it_changes() -> None:
    """Synchronised with its bound, lost again, not to be asked."""
    clock, told = Hands(), list[dict[str, Any]]()
    words = iter([KernelClock(synchronised=True, error_max_ns=5_000), KernelClock(synchronised=True),
                  KernelClock(synchronised=False), KernelClock(None)])  # fmt: skip
    watch = ClockWatch(clock, lambda data: told.append(orjson.loads(data)), lambda: next(words))
    for _ in range(4):
        watch.look()

    assert [(event["state"], event["error_max_us"]) for event in told] == [
        ("synchronised", 5), ("unsynchronised", None), ("unknown", None),
    ]  # fmt: skip


def test_the_real_kernel_can_be_asked() -> None:
    """Whatever it says, it is one of three words."""
    assert look().synchronised in {True, False, None}
