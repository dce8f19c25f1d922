"""The robot's clock as the operator's side estimates it: never outside its own bound."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetwin.drive.robot_clock import RobotClock

MS = 1_000_000
S = 1_000 * MS


def test_without_an_answer_nothing_is_known() -> None:
    """No time is better than a wrong one."""
    clock = RobotClock()

    assert clock.at(5 * S) is None
    assert clock.round_trip_ms is None


def test_one_answer_halves_the_round_trip() -> None:
    """Asked at 1000 ms, answered at 1010 ms; the robot said 73 000, and whole milliseconds are cut off."""
    clock = RobotClock()
    clock.note(1_000 * MS, 1_010 * MS, 73_000)

    assert clock.at(1_005 * MS) == pytest.approx((73_000.5, 5.5))
    assert clock.at(2_005 * MS) == pytest.approx((74_000.5, 5.6))  # a second later, 0.1 ms of drift
    assert clock.round_trip_ms == pytest.approx(10.0)


@given(
    st.lists(st.tuples(st.integers(0, 200 * MS), st.integers(0, 200 * MS)), min_size=1, max_size=12),
    st.integers(-(10**15), 10**15),
    st.floats(-45e-6, 45e-6),
    st.integers(0, 30 * S),
)
def test_the_bound_holds_whatever_the_network_does(
    trips: list[tuple[int, int]], offset_ns: int, drift: float, later_ns: int
) -> None:
    """Any delays there and back, another origin, 45 ppm of drift: the true time is within the bound."""
    clock = RobotClock()
    now_ns = 1_000 * S

    def robot_ns(at_ns: int) -> float:
        return at_ns + offset_ns + drift * (at_ns - 1_000 * S)

    for there_ns, back_ns in trips:
        clock.note(now_ns, now_ns + there_ns + back_ns, robot_ns(now_ns + there_ns) // MS)
        now_ns += there_ns + back_ns + S
    now_ns += later_ns
    estimate = clock.at(now_ns)

    assert estimate is not None
    assert abs(estimate[0] - robot_ns(now_ns) / MS) <= estimate[1] + 0.01


def test_the_shortest_round_trip_decides() -> None:
    """Of four pings the best, not the last."""
    clock = RobotClock()
    for step, trip_ms in enumerate((40, 4, 80, 60)):
        clock.note(step * S, step * S + trip_ms * MS, step * 1_000 + trip_ms // 2)

    estimate = clock.at(4 * S)
    assert estimate is not None
    assert estimate[1] == pytest.approx(2.5 + 0.3, abs=0.01)
    assert clock.round_trip_ms == pytest.approx(60.0)


def test_an_old_sample_gives_way_to_a_worse_but_newer_one() -> None:
    """After an hour its drift is 360 ms: a round trip of 100 ms tells more."""
    clock = RobotClock()
    clock.note(0, 2 * MS, 1)
    clock.note(3_600 * S, 3_600 * S + 100 * MS, 3_600_050)

    estimate = clock.at(3_600 * S + 100 * MS)
    assert estimate is not None
    assert estimate[1] < 51


def test_only_the_last_few_are_kept() -> None:
    """Eight; the ninth pushes the first out, however good it was."""
    clock = RobotClock()
    clock.note(0, 0, 0)
    for step in range(8):
        clock.note(S, S + 20 * MS, 1_010 + step)

    estimate = clock.at(S)
    assert estimate is not None
    assert estimate[1] > 10


def test_a_robot_that_began_anew_is_learned_anew() -> None:
    """Nothing of its other clock remains."""
    clock = RobotClock()
    clock.note(0, MS, 5)
    clock.forget()

    assert clock.at(MS) is None
