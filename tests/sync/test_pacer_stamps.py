"""Pacing by stamps that stand still, leap, run backwards, loop or come from two clocks."""

from __future__ import annotations

from tests.sync.stage import EPOCH, MS, S, Said, restamped, stage_of, steady


def test_frozen_and_zero_stamps_are_paced_by_reception_and_counted() -> None:
    """A clock that stands still, at any value, neither stops the channel nor opens it."""
    for stamp_ns in (0, EPOCH):
        stage = stage_of(50.0)
        left = stage.play(restamped(steady(100, 10), [stamp_ns] * 1000))

        assert 500 <= len(left) <= 502
        assert stage.pacer.time.frozen + stage.pacer.time.unstamped in {999, 1000}


def test_backward_stamps_are_paced_by_reception_and_counted() -> None:
    """A clock that runs backwards."""
    said = steady(100, 10)
    stage = stage_of(50.0)

    left = stage.play(restamped(said, [2 * EPOCH - one.stamp_ns for one in said]))

    assert 400 <= len(left) <= 502
    assert stage.pacer.time.backward == 999


def test_a_clock_set_back_an_hour_costs_no_message() -> None:
    """NTP finds its servers in the middle of the ride."""
    said = steady(50, 10)
    stage = stage_of(50.0)

    left = stage.play(restamped(said, [one.stamp_ns - (3600 * S if i >= 250 else 0) for i, one in enumerate(said)]))

    assert 498 <= len(left) <= 500
    assert stage.pacer.time.backward == 5


def test_a_clock_set_forward_an_hour_costs_no_message() -> None:
    """And is counted as one gap."""
    said = steady(50, 10)
    stage = stage_of(50.0)

    left = stage.play(restamped(said, [one.stamp_ns + (3600 * S if i >= 250 else 0) for i, one in enumerate(said)]))

    assert len(left) == 500
    assert stage.pacer.time.gaps == 1


def test_two_publishers_with_different_clocks_share_the_limit() -> None:
    """25 Hz each, an hour apart: together 50 Hz, and all of it leaves."""
    said = steady(50, 10)
    stage = stage_of(50.0)

    left = stage.play(restamped(said, [one.stamp_ns - (3600 * S if i % 2 else 0) for i, one in enumerate(said)]))

    assert len(left) >= 499
    assert stage.pacer.time.backward >= 249


def test_a_looped_recording_goes_on() -> None:
    """Two seconds, five times over: all but a message or two at each seam leave."""
    said = steady(50, 10)

    left = stage_of(50.0).play(restamped(said, [EPOCH + i % 100 * 20 * MS for i in range(500)]))

    assert len(left) >= 490


def test_a_recording_at_ten_times_its_pace_keeps_every_message_of_its_own_rate() -> None:
    """50 Hz of message time arrive at 500 Hz: nothing is thinned at a limit of 50."""
    said = [Said(S + i * 2 * MS, EPOCH + i * 20 * MS, i) for i in range(500)]

    assert len(stage_of(50.0).play(said)) == 500


def test_a_gap_in_the_source_is_followed_at_once() -> None:
    """Ten seconds of nothing, then it goes on; the first one after it is not held."""
    said = [*steady(50, 1), *steady(50, 1, start_ns=12 * S)]

    left = stage_of(50.0).play(said)

    assert len(left) == 100
    assert (12 * S, 0) in left


def test_a_simulation_at_a_tenth_of_real_time_is_limited_by_its_own_clock() -> None:
    """100 Hz of simulated time arrive at 10 Hz; half of it leaves, and the last."""
    said = [Said(S + i * 99 * MS, i * 10 * MS, i) for i in range(1000)]

    left = stage_of(50.0).play(said)

    assert 500 <= len(left) <= 502
    assert left[-1][1] == 999


def test_samples_released_in_silence_do_not_mute_the_channel_afterwards() -> None:
    """A simulation that crawls (20 Hz of its 1 kHz) for ten seconds, then runs at real time again."""
    slow = [Said(S + i * 150 * MS, i * 10 * MS, i) for i in range(200)]
    fast = [Said(40 * S + i * 10 * MS, (200 + i) * 10 * MS, 200 + i) for i in range(400)]

    left = stage_of(50.0, heartbeat_ns=S).play([*slow, *fast])

    assert len([time for time, _ in left if 40 * S <= time < 41 * S]) >= 45
