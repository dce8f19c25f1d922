"""When moves leave: as timelines, no sleep."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetwin.drive.pacing import Pacing

S = 1_000_000_000


@pytest.mark.parametrize(("rate_hz", "period_s"), [(10, 0.1), (20, 0.05), (5, 0.2), (50, 0.05), (1, 0.2)])
def test_moves_leave_at_the_rate_cut_to_what_a_robot_takes(rate_hz: float, period_s: float) -> None:
    """Ten of them, sent without delay."""
    pacing, now_ns = Pacing(rate_hz, 0), 0
    waits = []
    for _ in range(10):
        waits.append(pacing.wait_s(now_ns))
        now_ns += round(waits[-1] * S)

    assert waits[0] == 0.0
    assert waits[1:] == pytest.approx([period_s] * 9)


def test_what_sending_takes_is_not_added() -> None:
    """30 ms of work in each turn: the schedule is absolute."""
    pacing, now_ns = Pacing(10.0, 0), 0
    for _ in range(101):
        now_ns += round(pacing.wait_s(now_ns) * S) + 30_000_000

    assert now_ns == pytest.approx(10 * S, abs=0.1 * S)


@given(st.lists(st.floats(0.0, 3.0), min_size=1, max_size=50))
def test_never_more_than_two_moves_within_a_period(works: list[float]) -> None:
    """However long some turns take: lost time is not made up for in a burst."""
    pacing, now_ns = Pacing(10.0, 0), 0
    sent = []
    for work_s in works:
        now_ns += round(pacing.wait_s(now_ns) * S)
        sent.append(now_ns)
        now_ns += round(work_s * S)

    assert all(later - earlier >= 0.099 * S for earlier, later in zip(sent, sent[2:], strict=False))
