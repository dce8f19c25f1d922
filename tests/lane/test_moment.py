"""Two clocks: the monotonic one decides, the wall clock is believed as far as the kernel vouches for it."""

from __future__ import annotations

from edgetwin.clock import SystemClock
from edgetwin.lane.moment import Moments, kernel_error_ns

S = 1_000_000_000


class Hands:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100 * S
        self.stamp = 1_700_000_000 * S

    def now_ns(self) -> int:
        """Monotonic."""
        return self.now

    def stamp_ns(self) -> int:
        """Wall."""
        return self.stamp

    def pass_(self, seconds: float, *, step_s: float = 0.0) -> None:
        """Let time pass; the wall clock may jump meanwhile."""
        self.now += round(seconds * S)
        self.stamp += round((seconds + step_s) * S)


def test_the_kernel_is_asked_once_a_second() -> None:
    """Its answer holds until the next one."""
    clock, answers = Hands(), [1, 2, 3]
    moments = Moments(clock, lambda: answers.pop(0))
    found = []
    for _ in range(5):
        found.append(moments.now().clock_error_ns)
        clock.pass_(0.5)

    assert found == [1, 1, 2, 2, 3]


def test_a_step_either_way_is_noticed_and_mistrusted_for_a_while() -> None:
    """Ten years forward, two seconds back: no bound for five seconds; the monotonic time goes on."""
    for step_s in (315e6, -2.0):
        clock = Hands()
        moments = Moments(clock, lambda: 1000)
        clock.pass_(0.1, step_s=step_s)
        stepped = moments.now()
        clock.pass_(4.0)
        still = moments.now()
        clock.pass_(1.5)
        after = moments.now()

        assert (stepped.clock_error_ns, still.clock_error_ns, after.clock_error_ns) == (None, None, 1000)
        assert moments.steps == 1
        assert stepped.now_ns == 100 * S + S // 10


def test_a_slewed_clock_has_not_stepped() -> None:
    """0.5 ms/s for an hour is more than the size of a step, but no step."""
    clock = Hands()
    moments = Moments(clock, lambda: 1000)
    for _ in range(3600):
        clock.pass_(1.0, step_s=0.0005)
        assert moments.now().clock_error_ns == 1000


def test_the_kernel_answers_or_does_not() -> None:
    """On this machine: a bound, or None where nothing synchronises it or nobody may ask."""
    error_ns = kernel_error_ns()

    assert error_ns is None or 0 <= error_ns < 3600 * S
    assert Moments(SystemClock()).now().stamp_us > 1_600_000_000_000_000
