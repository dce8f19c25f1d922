"""The robot's wall clock from here: the truth lies within the stated bound, whatever the way and the clock do."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edgetwin.twin.robot_time import RobotTime

S = 1_000_000_000
MS = 1_000_000
HOUR_US = 3_600_000_000
TODAY_US = 1_795_000_000_000_000


def robot_us(now_ns: int, *, ahead_us: int = 0, drift_ppm: float = 0.0) -> int:
    """What a robot's clock says at our `now_ns`."""
    return TODAY_US + ahead_us + round(now_ns / 1000 * (1 + drift_ppm / 1e6))


@given(
    st.lists(st.tuples(st.integers(0, 2 * S), st.integers(0, 2 * S)), min_size=1, max_size=30),
    st.floats(-400, 400),
    st.integers(-(10**15), 10**15),
)
def test_the_true_offset_is_within_the_bound(ways: list[tuple[int, int]], drift_ppm: float, ahead_us: int) -> None:
    """Any ways there and back, any drift that a kernel may make, clocks years apart: at every moment until the next."""
    time = RobotTime()
    for index, (there_ns, back_ns) in enumerate(ways):
        at_ns = index * 5 * S
        said_us = robot_us(at_ns + there_ns, ahead_us=ahead_us, drift_ppm=drift_ppm)
        time.ping(at_ns, at_ns + there_ns + back_ns, said_us)
        for later_ns in (there_ns + back_ns, 5 * S):
            now_ns = at_ns + later_ns
            estimate = time.at(now_ns)
            assert estimate is not None
            true_ns = robot_us(now_ns, ahead_us=ahead_us, drift_ppm=drift_ppm) * 1000 - now_ns
            assert abs(estimate.offset_ns - true_ns) <= estimate.bound_ns + 1000
            assert estimate.bound_ns <= min(sample.bound_ns(now_ns) for sample in time._epochs[-1].samples) + 1

    assert time.steps == 0


def test_steps_of_hours_both_ways_are_found_and_the_offset_is_right_again() -> None:
    """+3 h, then -5 h: one ping each is enough; stamps of before are taken by the offset of before."""
    time = RobotTime()
    found = []
    for index, hours in enumerate((0, 3, -2)):
        for ping in range(4):
            at_ns = (index * 4 + ping) * 5 * S
            stepped = time.ping(at_ns, at_ns + 2 * MS, robot_us(at_ns + MS, ahead_us=hours * HOUR_US))
            found.append(stepped)
            estimate = time.at(at_ns + 2 * MS)
            assert estimate is not None
            true_ns = robot_us(at_ns + 2 * MS, ahead_us=hours * HOUR_US) * 1000 - (at_ns + 2 * MS)
            assert abs(estimate.offset_ns - true_ns) <= estimate.bound_ns + 1000

    assert [index for index, stepped in enumerate(found) if stepped] == [4, 8]
    assert time.steps == 2
    before_ns = time.local_ns(robot_us(7 * S), 60 * S)  # of the first epoch
    now_ns = time.local_ns(robot_us(59 * S, ahead_us=-2 * HOUR_US), 60 * S)
    assert now_ns is not None
    assert abs(now_ns - 59 * S) < 10 * MS
    assert before_ns is not None
    assert before_ns <= 60 * S + 100 * MS


def test_a_drift_of_200_ppm_is_told_within_its_bound() -> None:
    """Pings every 5 s for 5 minutes over a way of 0 to 4 ms."""
    time = RobotTime()
    for index in range(60):
        at_ns, there_ns, back_ns = index * 5 * S, index % 5 * MS, index % 3 * MS
        time.ping(at_ns, at_ns + there_ns + back_ns, robot_us(at_ns + there_ns, drift_ppm=200))
    drift = time.drift_ppm()

    assert drift is not None
    assert abs(drift[0] - 200) <= drift[1]
    assert drift[1] < 20
    assert time.steps == 0


def test_what_the_robot_tells_of_its_step_counts_once() -> None:
    """Its event and the next ping speak of the same step, in either order."""
    told_first, pinged_first = RobotTime(), RobotTime()
    after_us = robot_us(S, ahead_us=HOUR_US)
    for time in (told_first, pinged_first):
        time.ping(0, 2 * MS, robot_us(MS))
    told_first.told_step(HOUR_US, after_us, S + MS)
    told_first.ping(2 * S, 2 * S + 2 * MS, robot_us(2 * S + MS, ahead_us=HOUR_US))
    pinged_first.ping(2 * S, 2 * S + 2 * MS, robot_us(2 * S + MS, ahead_us=HOUR_US))
    pinged_first.told_step(HOUR_US, after_us, 3 * S)

    assert (told_first.steps, pinged_first.steps) == (1, 1)


def test_nothing_is_known_before_the_first_answer_or_after_forgetting() -> None:
    """None, not zero."""
    time = RobotTime()
    time.told_step(5, 5, 5)
    first = time.at(0), time.local_ns(5, 5), time.drift_ppm()
    time.ping(0, MS, robot_us(0))
    time.forget()

    assert first == (None, None, None)
    assert time.at(S) is None
