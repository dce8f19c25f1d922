"""One claim, over any timeline: what is called live is not older than it may be, as far as the clock is known."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edgetwin.twin.age import Age, channel_limits
from edgetwin.twin.channel import Fate
from edgetwin.twin.seen import Way
from tests.twin.stage import MS, ODOM, S, Stage, moment

LIMITS = channel_limits(ODOM)


@given(
    st.integers(-(10**15), 10**14),
    st.lists(
        st.tuples(
            st.integers(0, 3 * S), st.integers(0, 30 * S), st.sampled_from([Way.LIVE, Way.BACKLOG]), st.booleans()
        ),
        min_size=1,
        max_size=40,
    ),
    st.integers(0, 500 * MS),
    st.integers(0, 500 * MS),
)
def test_live_is_never_a_lie(
    ahead_us: int, events: list[tuple[int, int, Way, bool]], there_ns: int, back_ns: int
) -> None:
    """Records of any delay by either lane, a robot's clock decades off, pings of any way: asked at every arrival."""
    assert LIMITS is not None
    stage = Stage(ahead_us=ahead_us)
    stage.announce()
    stage.ping(0, there_ns=there_ns, back_ns=back_ns)
    now_ns, measured_ns = S, 0
    for seq, (step_ns, delay_ns, way, beat) in enumerate(events):
        now_ns += step_ns
        at_ns = max(0, now_ns - delay_ns)
        if beat:
            stage.status(now_ns)
        if stage.record(seq, at_ns, after_ns=now_ns - at_ns, way=way) is Fate.NEWEST:
            measured_ns = at_ns
        word, age_s = stage.twin.channel_age("odom", moment(now_ns), linked=True)
        estimate = stage.twin.time.at(now_ns)
        assert estimate is not None
        true_ns, error_ns = now_ns - measured_ns, estimate.bound_ns + 2 * MS
        assert age_s is not None
        assert abs(age_s * S - true_ns) <= error_ns
        assert word is not Age.LIVE or true_ns <= LIMITS.live_ns + error_ns
        assert word is not Age.LATE or true_ns <= LIMITS.late_ns + error_ns
