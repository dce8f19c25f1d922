"""What the wheels get, as timelines: ramp, burst, silence, and the lane that is held while something is latched."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from edgetwin.gate.events import Stop, Tick
from edgetwin.gate.limits import MS
from edgetwin.motion import ZERO, Reason, State, Twist, Verdict
from tests.gate.stage import BARE, FULL, SPOILS, TICK, WALL, S, Stage, bring, near, reset, robot


def linear(stage: Stage, since_ns: int) -> list[float]:
    """Return the linear speeds that left after `since_ns`."""
    return [twist.linear_mps for time, twist in stage.out if time > since_ns]


def test_a_move_is_published_at_every_tick_and_reaches_what_was_asked() -> None:
    """From rest: jerk first, then acceleration, then the target, to the last bit."""
    stage = bring(State.IDLE, BARE)
    since = stage.now_ns
    stage.drive(0.2, ticks=12)

    assert linear(stage, since) == pytest.approx([0.0125, *(0.0375 + 0.025 * n for n in range(7)), 0.2, 0.2, 0.2, 0.2])
    assert [time for time, _ in stage.out] == [since + TICK * n for n in range(1, 13)]
    assert stage.memory.output == Twist(0.2, 0.0)


def test_on_the_way_the_reason_says_that_it_accelerates() -> None:
    """CLAMPED_ACCEL while the slew limits it, nothing once it is there."""
    stage = bring(State.IDLE, BARE)
    stage.drive(0.2, ticks=1)
    early = stage.last.reasons
    stage.drive(0.2, ticks=20)

    assert early == (Reason.CLAMPED_ACCEL,)
    assert stage.last.reasons == ()


def test_silence_ramps_down_then_zeros_for_a_second_then_nothing() -> None:
    """Deadman 500 ms after the last accepted move; half a metre per second takes half a second more; then the burst."""
    stage = bring(State.IDLE, BARE)
    for _ in range(30):
        stage.move(0.5, duration_ns=1 * S)
        stage.tick()
    stage.move(0.5, duration_ns=1 * S)
    since = stage.now_ns
    stage.tick(80)

    out = [(time - since, twist.linear_mps) for time, twist in stage.out if time > since]
    assert out[:9] == [(TICK * n, 0.5) for n in range(1, 10)]
    assert [speed for _, speed in out[9:19]] == pytest.approx([0.45 - 0.05 * n for n in range(10)])
    assert out[18] == (950 * MS, 0.0)
    assert out[18:] == [(950 * MS + TICK * n, 0.0) for n in range(20)]
    assert stage.state is State.IDLE
    assert [(came, to, why) for _, came, to, why in stage.log[-2:]] == [
        (State.ACTIVE, State.BRAKE, Reason.DEADMAN),
        (State.BRAKE, State.IDLE, Reason.RELEASED),
    ]


def test_while_it_brakes_the_reason_is_what_made_it_brake() -> None:
    """In every tick of the ramp and of the zeros."""
    stage = bring(State.IDLE, BARE)
    stage.drive(0.3)
    stage.tick(20)

    assert stage.state is State.BRAKE
    assert stage.last.reasons == (Reason.DURATION,)


def test_a_zero_move_ramps_down_at_once_without_waiting_for_the_deadman() -> None:
    """It is accepted, and applied is zero."""
    stage = bring(State.IDLE, BARE)
    stage.drive(0.5, ticks=40)
    answer = stage.move(0.0, 0.0)
    since = stage.now_ns
    stage.tick(4)

    assert (answer.verdict, answer.applied) == (Verdict.ACCEPTED, ZERO)
    assert linear(stage, since) == pytest.approx([0.45, 0.4, 0.35, 0.3])


def test_a_zero_move_in_idle_publishes_nothing() -> None:
    """There is nothing to stop, and the local stack may be driving."""
    stage = bring(State.IDLE, BARE)
    stage.move(0.0, 0.0)
    stage.tick(5)

    assert not stage.out


def test_a_new_move_ends_braking_from_the_speed_it_has() -> None:
    """No detour through zero, and no jump."""
    stage = bring(State.IDLE, BARE)
    stage.drive(0.5, ticks=40)
    stage.move(0.0, 0.0)
    stage.tick(4)
    since = stage.now_ns
    stage.drive(0.5, ticks=3)

    assert linear(stage, since) == pytest.approx([0.3125, 0.3375, 0.3625])


def test_after_a_brake_the_zeros_of_the_next_one_are_counted_anew() -> None:
    """Braking, driving, braking: each burst is a whole one."""
    stage = bring(State.IDLE, BARE)
    stage.drive(0.1, ticks=10)
    stage.move(0.0, 0.0)
    stage.tick(15)
    stage.drive(0.1, ticks=10)
    stage.move(0.0, 0.0)
    since = stage.now_ns
    stage.tick(40)

    assert linear(stage, since) == pytest.approx([0.05] + [0.0] * 20)
    assert stage.state is State.IDLE


def test_the_next_drive_starts_from_rest() -> None:
    """Nothing of the last one is left in memory: neither speed nor slope nor target."""
    stage = bring(State.IDLE, BARE)
    stage.drive(0.5, ticks=40)
    stage.tick_until(State.IDLE)
    rest = stage.memory
    since = stage.now_ns
    stage.drive(0.5, ticks=1)

    assert (rest.target, rest.output, rest.slope, rest.output_ns) == (ZERO, ZERO, (0.0, 0.0), None)
    assert linear(stage, since) == pytest.approx([0.0125])


def test_a_stop_is_zero_at_once_a_burst_and_then_the_lane_is_held() -> None:
    """20 Hz for a second, then 10 Hz for as long as it lasts."""
    stage = bring(State.IDLE, BARE)
    stage.drive(0.5, ticks=40)
    since = stage.now_ns
    stage.step(Stop())
    stage.tick(60)

    out = [(time - since, twist) for time, twist in stage.out if time >= since and (time, twist) != stage.out[39]]
    times = [time for time, _ in out]
    assert all(twist == ZERO for _, twist in out)
    assert times[:20] == [TICK * n for n in range(20)]
    assert all(later - earlier == 100 * MS for earlier, later in pairwise(times[19:]))
    assert times[-1] >= 2900 * MS


def test_a_held_lane_may_be_set_to_silence() -> None:
    """After the burst; the burst itself is not a matter of settings."""
    stage = bring(State.IDLE, replace(BARE, hold_zeros=False))
    stage.step(Stop())
    since = stage.now_ns
    stage.tick(60)

    assert [time - since for time, _ in stage.out] == [TICK * n for n in range(20)]
    assert stage.state is State.HELD


@pytest.mark.parametrize("tick_ns", [20 * MS, 50 * MS])
def test_a_held_lane_keeps_its_rate_whatever_the_tick(tick_ns: int) -> None:
    """10 Hz at 20 Hz and at 50 Hz ticks, also when these come a little early."""
    stage = bring(State.IDLE, replace(BARE, tick_ns=tick_ns))
    stage.step(Stop())
    stage.tick(200, tick_ns)
    since = stage.now_ns
    stage.tick(100, tick_ns - MS)

    gaps = [later - earlier for (earlier, _), (later, _) in pairwise(stage.out) if earlier > since]
    assert gaps
    assert all(100 * MS - tick_ns // 2 <= gap <= 100 * MS + tick_ns for gap in gaps)


@pytest.mark.parametrize("state", [State.HELD, State.ESTOP, State.FAULT])
def test_every_latch_holds_the_lane(state: State) -> None:
    """Never silent for longer than a fifth of a second."""
    stage = bring(state)
    if state is State.ESTOP:
        stage.spoil(SPOILS["e-stop pressed"][0])
    since = stage.now_ns
    stage.tick(100)

    times = [since, *(time for time, _ in stage.out if time > since)]
    assert stage.state is state
    assert max(later - earlier for earlier, later in pairwise(times)) <= 150 * MS
    assert all(twist == ZERO for time, twist in stage.out if time > since)
    assert stage.last.reasons == (stage.memory.reason,)


def test_a_reset_releases_the_lane_without_a_word() -> None:
    """Nothing moves, nothing is published, the lease is gone."""
    stage = bring(State.HELD)
    answer = reset(stage)
    dropped = stage.last.drop_lease
    since = stage.now_ns
    stage.tick(20)

    assert (answer.verdict, answer.code, answer.stop_id) == (Verdict.OK, Reason.RESET_OK, "")
    assert dropped
    assert not stage.published(since)
    assert (stage.state, stage.memory.stop_id, stage.memory.stops) == (State.IDLE, "", 0)


@pytest.mark.parametrize("name", ["e-stop pressed", "e-stop old", "nobody listens", "other type", "foreign publisher"])
@pytest.mark.parametrize("braking", [False, True])
def test_rows_17_and_21_are_zero_at_once_while_driving_and_while_braking(name: str, braking: bool) -> None:
    """No ramp for an output that nobody can trust."""
    stage = bring(State.IDLE)
    stage.drive(0.5, ticks=40)
    if braking:
        stage.move(0.0, 0.0)
        stage.tick(2)
    before = stage.memory.output.linear_mps
    stage.spoil(SPOILS[name][0])
    since = stage.now_ns
    stage.tick(5)

    assert before > 0.3
    assert set(linear(stage, since)) == {0.0}


@pytest.mark.parametrize("name", ["scan old", "scan never heard", "scan untrusted", "wall ahead"])
@pytest.mark.parametrize("braking", [False, True])
def test_row_28_is_zero_at_once_while_driving_and_while_braking(name: str, braking: bool) -> None:
    """Neither for what stands in the way, nor for a scan that says nothing."""
    stage = bring(State.IDLE)
    stage.drive(0.5, ticks=40)
    if braking:
        stage.move(0.0, 0.0)
        stage.tick(2)
    stage.spoil(SPOILS[name][0])
    since = stage.now_ns
    stage.tick(5)

    assert set(linear(stage, since)) == {0.0}
    assert stage.state is State.BRAKE


@pytest.mark.parametrize("name", ["no lease", "lease old", "battery empty", "pose old", "pose vague"])
def test_other_rows_ramp(name: str) -> None:
    """The robot is sound: it stops as it would for an operator who lets go."""
    stage = bring(State.IDLE, replace(FULL, fence=BARE.fence))
    stage.drive(0.5, ticks=40)
    stage.spoil(SPOILS[name][0])
    since = stage.now_ns
    stage.tick(11)

    assert linear(stage, since) == pytest.approx([*(0.45 - 0.05 * n for n in range(10)), 0.0], abs=1e-9)
    assert stage.memory.reason is SPOILS[name][1]


def test_something_far_ahead_slows_down_and_near_stops() -> None:
    """Time to collision scales; the zone stops; the reason is told."""
    stage = bring(State.IDLE)
    stage.good = lambda now_ns: replace(robot(now_ns), scan=tuple((x + 0.6, y) for x, y in WALL))
    answer = stage.move(0.5)
    stage.drive(0.5, ticks=40)
    slow = stage.memory.output.linear_mps
    stage.spoil(SPOILS["wall ahead"][0])
    stage.tick()

    assert (answer.verdict, answer.code) == (Verdict.CLAMPED, Reason.OBSTACLE)
    assert near(answer.applied, 0.25)
    assert slow == pytest.approx(0.25)
    assert stage.last.publish == ZERO
    assert stage.memory.reason is Reason.OBSTACLE


def test_a_wall_that_comes_into_a_running_move_ends_it_with_its_reason() -> None:
    """OBSTACLE, not DEADMAN; afterwards silence, as after any brake."""
    stage = bring(State.IDLE)
    stage.drive(0.3)
    stage.spoil(SPOILS["wall ahead"][0])
    stage.tick()
    first = (stage.state, stage.memory.reason, stage.last.publish)
    stage.tick(25)

    assert first == (State.BRAKE, Reason.OBSTACLE, ZERO)
    assert stage.state is State.IDLE


def test_latches_and_local_control_tell_the_lane_once() -> None:
    """drop_lease and cancel_goals come with the change, not with every tick."""
    stage = bring(State.IDLE)
    stage.spoil(SPOILS["e-stop pressed"][0])
    told = [(decision.drop_lease, decision.cancel_goals) for decision in (stage.tick() for _ in range(3))]

    assert told == [(True, True), (False, False), (False, False)]


def test_a_tick_in_idle_says_nothing() -> None:
    """No publish, no answer, no flags."""
    stage = bring(State.IDLE)
    stage.step(Tick())

    assert (stage.last.publish, stage.last.answer, stage.last.drop_lease, stage.last.cancel_goals) == (
        None,
        None,
        False,
        False,
    )
    assert stage.last.reasons == ()


def test_late_ticks_slow_down_by_two_ticks_worth_at_most() -> None:
    """A stall of 300 ms is no licence for a jump."""
    stage = bring(State.IDLE, replace(BARE, deadman_ns=10 * S, duration_default_ns=10 * S, duration_max_ns=10 * S))
    stage.move(0.5)
    stage.tick(6)
    before = stage.memory.output.linear_mps
    stage.tick(1, 300 * MS)

    assert stage.memory.output.linear_mps - before == pytest.approx(0.05)


def test_an_early_tick_moves_by_its_share() -> None:
    """Half a tick, half the step; no time, no change."""
    stage = bring(State.IDLE, BARE)
    stage.drive(0.5, ticks=6)
    before = stage.memory.output.linear_mps
    stage.tick(1, TICK // 2)
    half = stage.memory.output.linear_mps
    stage.tick(1, 0)

    assert half - before == pytest.approx(0.0125)
    assert stage.memory.output.linear_mps == half


def test_braking_is_by_the_time_that_has_passed() -> None:
    """Half a tick, half the step; two ticks' worth at most."""
    stage = bring(State.IDLE, BARE)
    stage.drive(0.5, ticks=40)
    stage.move(0.0, 0.0)
    speeds = []
    for after_ns in (TICK // 2, TICK, 3 * TICK):
        stage.tick(1, after_ns)
        speeds.append(stage.memory.output.linear_mps)

    assert speeds == pytest.approx([0.475, 0.425, 0.325])


def held_and_just_said_so(stage: Stage) -> None:
    """Let the burst go by, and wait for a zero of the hold lane."""
    stage.tick(60)
    for _ in range(4):
        if stage.last.publish is not None:
            break
        stage.tick()
    assert stage.last.publish == ZERO


@pytest.mark.parametrize(("after_ns", "out"), [(75 * MS - 1, None), (75 * MS, ZERO)])
@pytest.mark.parametrize("state", [State.HELD, State.FAULT])
def test_the_hold_lane_is_due_half_a_tick_early(after_ns: int, out: Twist | None, state: State) -> None:
    """So that ticks of 50 ms give 100 ms and not 150; exact to the nanosecond."""
    stage = bring(state, BARE)
    held_and_just_said_so(stage)
    stage.tick(1, after_ns)

    assert stage.last.publish == out


@pytest.mark.parametrize("odd_ns", [50 * MS + 1, 50 * MS - 1])
def test_the_hold_lane_is_due_in_time_for_odd_ticks_too(odd_ns: int) -> None:
    """Half of an odd number of nanoseconds is nothing to be late for."""
    stage = bring(State.HELD, replace(BARE, tick_ns=odd_ns))
    held_and_just_said_so(stage)
    stage.tick(1, 75 * MS + 1)

    assert stage.last.publish == ZERO


def test_every_zero_of_a_latch_says_why() -> None:
    """In the burst and in the hold lane."""
    stage = bring(State.IDLE, BARE)
    stage.step(Stop())
    for _ in range(40):
        assert stage.tick().reasons == (Reason.STOPPED,)


def test_what_is_left_of_forward_motion_ends_at_a_wall_although_the_way_back_is_free() -> None:
    """Reverse is asked and allowed; the ramp towards it must not go on into the stop zone ahead."""
    stage = bring(State.IDLE)
    stage.drive(0.5, ticks=40)
    stage.spoil(SPOILS["wall ahead"][0])
    answer = stage.move(-0.2)
    stage.tick()
    first = stage.last.publish
    stage.drive(-0.2, ticks=10)

    assert answer.verdict is Verdict.ACCEPTED
    assert first == ZERO
    assert stage.state is State.ACTIVE
    assert stage.memory.output.linear_mps < 0.0
