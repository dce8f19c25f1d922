"""Pacing as timelines: (time, sample) in, (time, sample) out; no clock, no sleep."""

from __future__ import annotations

import math
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetwin.errors import MalformedMessageError
from edgetwin.sync.deadband import PoseDeadband, Reading, ValueDeadband
from edgetwin.sync.pacer import Pacer, PaceRule
from tests.sync.stage import MS, NEVER_NS, S, Said, Stage, messages, stage_of, steady, timeline


@given(messages, st.sampled_from([None, 0.5, 5.0, 50.0]), st.sampled_from([None, 0.5]))
def test_what_leaves_is_in_order_once_and_counted(
    steps: list[tuple[int, int, float]], rate_hz_max: float | None, value: float | None
) -> None:
    """Any stamps, values and pauses: a subsequence of what came, and the figures add up."""
    said = [Said(one.now_ns, one.stamp_ns, index) for index, one in enumerate(timeline(steps))]
    stage = stage_of(rate_hz_max, value=value)

    left = [index for _, index in stage.play(said)]

    assert left == sorted(set(left))
    assert (stage.pacer.received, stage.pacer.passed) == (len(said), len(left))
    assert stage.pacer.held_back == len(said) - len(left)


@given(messages, st.sampled_from([0.5, 5.0, 50.0]))
def test_without_a_deadband_the_last_value_always_leaves(
    steps: list[tuple[int, int, float]], rate_hz_max: float
) -> None:
    """Whatever came before, and however the stamps lie: a twin at rest shows the last state."""
    said = [Said(one.now_ns, one.stamp_ns, index) for index, one in enumerate(timeline(steps))]

    assert stage_of(rate_hz_max).play(said)[-1][1] == len(said) - 1


@given(messages, st.sampled_from([5.0, 50.0]))
def test_with_a_deadband_the_last_that_left_is_within_the_band_of_the_last_that_came(
    steps: list[tuple[int, int, float]], rate_hz_max: float
) -> None:
    """What is held for good is no news."""
    said = timeline(steps)

    left = stage_of(rate_hz_max, value=0.5).play(said)

    assert not ValueDeadband(0.5).moved([left[-1][1]], [said[-1].value])


@given(messages)
def test_an_event_channel_holds_nothing_and_reads_nothing(steps: list[tuple[int, int, float]]) -> None:
    """Every message leaves at once, on time."""
    said = timeline(steps)
    stage = stage_of(None)

    assert [time for time, _ in stage.play(said)] == [one.now_ns for one in said]
    assert stage.pacer.held_back == 0
    assert stage.pacer.due_ns is None


@given(messages, st.data())
def test_flush_gives_the_held_one_whenever_the_process_ends(
    steps: list[tuple[int, int, float]], data: st.DataObject
) -> None:
    """Stopped after any message: what left last is the last state."""
    said = [Said(one.now_ns, one.stamp_ns, index) for index, one in enumerate(timeline(steps))]
    cut = data.draw(st.integers(1, len(said)))
    stage = stage_of(5.0)
    left = stage.play(said[:cut], then_ns=0)

    flushed = stage.pacer.flush()

    assert (flushed.value if flushed is not None else left[-1][1]) == cut - 1
    assert stage.pacer.flush() is None


@given(st.integers(0, 2**32))
def test_fifty_hertz_at_a_limit_of_fifty_stays_fifty_under_jitter(seed: int) -> None:
    """Stamps 2 ms off either way, reception up to 15 ms late: none is held back."""
    random = Random(seed)
    said = [
        Said(one.now_ns + random.randrange(15 * MS), one.stamp_ns + random.randrange(-2 * MS, 2 * MS), one.value)
        for one in steady(50, 10)
    ]

    assert len(stage_of(50.0).play(said)) == 500


@pytest.mark.parametrize(
    ("source_hz", "limit_hz", "expected"),
    [(50, 50, 500), (100, 50, 500), (200, 50, 500), (1000, 50, 500), (49, 50, 490), (75, 50, 500), (10, 1, 10)],
)
def test_the_rate_that_leaves_is_the_lesser_of_source_and_limit(source_hz: int, limit_hz: int, expected: int) -> None:
    """Ten seconds; one more for the start of the bucket, one for the final state."""
    assert expected <= len(stage_of(limit_hz).play(steady(source_hz, 10))) <= expected + 2


def test_messages_drained_together_are_paced_by_their_stamps() -> None:
    """A busy loop takes ten messages of a 50 Hz source each 200 ms: all of them leave."""
    said = [Said(one.now_ns // (200 * MS) * 200 * MS + 200 * MS, one.stamp_ns, one.value) for one in steady(50, 10)]

    assert len(stage_of(50.0).play(said)) == 500


def test_the_last_of_a_burst_leaves_after_the_silence() -> None:
    """Ten messages within 10 ms at a limit of 50 Hz, then nothing: the tenth follows in 100 ms."""
    left = stage_of(50.0).play(steady(1000, 0.01))

    assert (left[0], left[-1]) == ((S, 0), (S + 109 * MS, 9))


def test_a_slow_channel_waits_two_periods_before_the_final_state() -> None:
    """10 Hz at a limit of 1 Hz: it is the last one that leaves, two seconds after it came."""
    left = stage_of(1.0).play(steady(10, 0.5))

    assert (left[0], left[-1]) == ((S, 0), (S + 2400 * MS, 4))
    assert len(left) == 3


def test_at_rest_nothing_but_the_heartbeat_leaves() -> None:
    """A value that trembles within its band for ten seconds at 50 Hz."""
    said = [Said(one.now_ns, one.stamp_ns, 0.1 * (index % 3)) for index, one in enumerate(steady(50, 10))]

    times = [time for time, _ in stage_of(50.0, value=0.5, heartbeat_ns=S).play(said)]

    assert 10 <= len(times) <= 11
    assert all(990 * MS <= later - earlier <= S for earlier, later in pairwise(times))


@given(st.integers(0, 2**32))
def test_a_one_hertz_source_with_a_heartbeat_of_one_second_beats_at_one_hertz(seed: int) -> None:
    """Not at half of it, although every other message is a little early."""
    random = Random(seed)
    said = [
        Said(one.now_ns + random.randrange(-50 * MS, 50 * MS), one.stamp_ns, one.value)
        for one in steady(1, 60, value=7.0)
    ]

    assert len(stage_of(50.0, value=0.5, heartbeat_ns=S).play(said)) == 60


def test_no_heartbeat_without_messages() -> None:
    """A source that is silent is not made up."""
    assert len(stage_of(50.0, value=0.5, heartbeat_ns=S).play(steady(50, 0.1, value=0.0), then_ns=60 * S)) == 1


def test_the_first_message_leaves_whatever_the_rule() -> None:
    """Nothing is known before it."""
    assert stage_of(0.01, value=1e9).play(steady(1, 1)) == [(S, 0)]


def test_every_move_out_of_the_band_leaves_at_once() -> None:
    """A step of each size, at rest in between."""
    values = [0.0] * 10 + [0.6] * 10 + [0.9] * 10 + [-5.0] * 10
    said = [Said(one.now_ns, one.stamp_ns, value) for one, value in zip(steady(50, 0.8), values, strict=True)]

    left = stage_of(50.0, value=0.5, settle_ns=60 * S).play(said, then_ns=0)

    assert left == [(S, 0.0), (S + 200 * MS, 0.6), (S + 600 * MS, -5.0)]


def test_after_motion_the_final_state_inside_the_band_leaves_when_it_has_settled() -> None:
    """The robot rolls out 0.3 past its last record and stands; messages go on at 50 Hz."""
    values = [0.0, 0.6, *[0.9] * 200]
    said = [Said(one.now_ns, one.stamp_ns, value) for one, value in zip(steady(50, 4.04), values, strict=True)]

    left = stage_of(50.0, value=0.5).play(said)

    assert left == [(S, 0.0), (S + 20 * MS, 0.6), (S + 1020 * MS, 0.9)]


def test_after_motion_the_final_state_leaves_when_the_source_falls_silent() -> None:
    """A driver that stops publishing when the robot stops."""
    values = [0.0, 0.6, 0.7, 0.9]
    said = [Said(one.now_ns, one.stamp_ns, value) for one, value in zip(steady(50, 0.08), values, strict=True)]

    assert stage_of(50.0, value=0.5).play(said)[-1] == (S + 160 * MS, 0.9)


def test_attitude_about_any_axis_is_motion() -> None:
    """A robot that tips over on the spot: only x and w of its quaternion change."""
    said = steady(50, 1)
    band = PoseDeadband(0.05, 0.1)

    def read(one: Said) -> Reading:
        half = one.value * 0.005
        return (0.0, 0.0, 0.0), (math.sin(half), 0.0, 0.0, math.cos(half))

    stage = Stage(Pacer(PaceRule(50.0, NEVER_NS, S, band), read))

    assert [value for _, value in stage.play(said, then_ns=0)] in ([0, 10, 20, 30, 40], [0, 11, 22, 33, 44])


def test_a_source_slower_than_ten_hertz_is_not_silent_between_its_messages() -> None:
    """A creep of 0.2 per message at 5 Hz: only what leaves the band of 0.5 should leave while it moves."""
    said = [Said(one.now_ns, one.stamp_ns, 0.2 * one.value) for one in steady(5, 20)]

    left = stage_of(50.0, value=0.5, settle_ns=5 * S).play(said, then_ns=0)

    assert len(left) <= 1 + 100 // 3


def test_without_a_deadband_nothing_is_read() -> None:
    """The rate alone decides: no message is decoded to be held back."""

    def read(_said: Said) -> Reading:
        pytest.fail("read without need")

    stage = Stage(Pacer(PaceRule(50.0, S, S, None), read))

    assert len(stage.play(steady(100, 1))) >= 50


def test_what_the_rate_holds_back_is_not_read() -> None:
    """1 kHz at a limit of 50 Hz, always moving: of 2000 messages the 100 that leave are read, no other."""
    reads: list[float] = []

    def read(one: Said) -> Reading:
        reads.append(one.value)
        return (one.value,)

    stage = Stage(Pacer(PaceRule(50.0, NEVER_NS, S, ValueDeadband(0.5)), read))
    left = stage.play(steady(1000, 2), then_ns=0)

    assert set(reads) <= {value for _, value in left}


def test_no_sample_is_read_twice() -> None:
    """What moved was read to know that; as the new reference it need not be read again."""
    reads: list[float] = []

    def read(one: Said) -> Reading:
        reads.append(one.value)
        return (one.value,)

    stage = Stage(Pacer(PaceRule(50.0, NEVER_NS, S, ValueDeadband(0.5)), read))
    stage.play(steady(50, 2))

    assert len(reads) == len(set(reads))


def test_a_heartbeat_and_a_limit_below_it_read_nothing() -> None:
    """When the rate allows no more than the heartbeat sends anyway, no value is looked at."""
    reads: list[float] = []

    def read(one: Said) -> Reading:
        reads.append(one.value)
        return (one.value,)

    stage = Stage(Pacer(PaceRule(1.0, S, S, ValueDeadband(0.5)), read))
    stage.play(steady(1, 60))

    assert not reads


def test_one_unreadable_sample_does_not_fail_those_after_it() -> None:
    """The first message is malformed; it left unread, as the reference of all that follow."""

    def read(one: Said) -> Reading:
        if one.value == 0:
            raise MalformedMessageError
        return (one.value,)

    pacer = Pacer(PaceRule(50.0, NEVER_NS, S, ValueDeadband(0.5)), read)
    first, second, third = steady(50, 0.06)
    pacer.offer(first, first.stamp_ns, first.received_ns, first.now_ns)

    assert pacer.offer(second, second.stamp_ns, second.received_ns, second.now_ns)
    assert pacer.offer(third, third.stamp_ns, third.received_ns, third.now_ns)
