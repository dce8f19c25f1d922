"""Another rule while messages flow: numbers go on, nothing held is lost, the next sample is where comparing begins."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetwin.sync.deadband import ValueDeadband
from edgetwin.sync.pacer import PaceRule
from tests.sync.stage import NEVER_NS, S, Stage, messages, stage_of, steady, timeline

_RULES = st.tuples(st.sampled_from([0.5, 5.0, 50.0]), st.sampled_from([None, 0.5]))


def rule(rate_hz_max: float | None, value: float | None = None, heartbeat_ns: int = NEVER_NS) -> PaceRule:
    """Return a rule; `value` is the threshold of a deadband."""
    return PaceRule(rate_hz_max, heartbeat_ns, S, None if value is None else ValueDeadband(value))


def repaced(stage: Stage, other: PaceRule) -> None:
    """Give the pacer of a stage another rule."""
    stage.pacer.repace(other, lambda said: (said.value,))


@given(messages, st.integers(0, 150), _RULES, _RULES)
def test_the_count_holds_and_the_last_word_is_the_newest_that_leaves(
    steps: list[tuple[int, int, float]], at: int, first: tuple[float, float | None], then: tuple[float, float | None]
) -> None:
    """Whatever comes, whenever the rule changes: received = left + held back, and the order is that of the source."""
    stage = stage_of(first[0], value=first[1])
    said = timeline(steps)
    stage.play(said[:at], then_ns=0)
    passed = stage.pacer.passed
    repaced(stage, rule(*then))
    assert stage.pacer.passed == passed
    stage.play(said[at:])

    assert stage.pacer.received == len(said)
    assert stage.pacer.passed == len(stage.left)
    times = [time_ns for time_ns, _ in stage.left]
    assert times == sorted(times)


@pytest.mark.parametrize(("before_hz", "after_hz"), [(50.0, 5.0), (5.0, 50.0), (0.1, 50.0), (50.0, 0.1)])
def test_the_new_rate_holds_from_the_next_sample_on(before_hz: float, after_hz: float) -> None:
    """A channel that was slow does not wait out its old period; one that was fast is slow at once."""
    stage = stage_of(before_hz)
    said = steady(100, 20)
    stage.play(said[:1000], then_ns=0)
    before = len(stage.left)
    repaced(stage, rule(after_hz))
    stage.play(said[1000:], then_ns=0)
    left = stage.left[before:]

    assert left[0][0] == said[1000].now_ns
    assert len(left) == pytest.approx(10 * after_hz, abs=2)


def test_what_is_held_leaves_all_the_same() -> None:
    """The final state of a burst, offered under the old rule, is sent in the silence after the change."""
    stage = stage_of(1.0)
    stage.play(steady(100, 0.5), then_ns=0)
    before = len(stage.left)
    repaced(stage, rule(50.0))
    stage.play([])

    assert stage.pacer.held_back > 0
    assert [value for _, value in stage.left[before:]] == [49.0]


@pytest.mark.parametrize("first", [None, 10.0])
def test_a_deadband_compares_with_what_left_after_it_came(first: float | None) -> None:
    """What left before may be of long ago: the first sample leaves, the next is compared with it."""
    stage = stage_of(50.0, value=first)
    said = timeline([(S // 10, S // 10, value) for value in (0.0, 5.0, 5.0, 5.3, 6.2, 6.2)])
    stage.play(said[:2], then_ns=0)
    before = len(stage.left)
    repaced(stage, rule(50.0, 1.0))
    stage.play(said[2:], then_ns=0)

    assert [value for _, value in stage.left[before:]] == [5.0, 6.2]


def test_a_deadband_that_goes_lets_everything_pass_that_the_rate_permits() -> None:
    """A robot at rest is heard again."""
    stage = stage_of(50.0, value=1.0)
    said = steady(10, 4, value=3.0)
    stage.play(said[:20], then_ns=0)
    assert len(stage.left) == 1
    repaced(stage, rule(50.0))
    stage.play(said[20:], then_ns=0)

    assert len(stage.left) == 21


def test_message_time_goes_on() -> None:
    """A step back of the stamps is seen as one, not as a new beginning."""
    stage = stage_of(50.0)
    said = timeline([(S // 10, S // 10, 0.0)] * 3 + [(S // 10, -5 * S, 0.0)])
    stage.play(said[:3], then_ns=0)
    now_ns = stage.pacer.time.now_ns
    repaced(stage, rule(5.0))
    stage.play(said[3:], then_ns=0)

    assert stage.pacer.time.backward == 1
    assert stage.pacer.time.now_ns > now_ns
