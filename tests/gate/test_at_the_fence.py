"""The fence as the gate uses it: with a pose that has grown old, at every tick, and without any pose at all."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgetwin.gate.limits import MS, Fence, GateLimits
from edgetwin.motion import ZERO, Pose, Reason, State, Twist, Verdict
from tests.gate.stage import BARE, TICK, S, Stage, bring, near, robot

HALL = Fence(inside=(((-5.0, -5.0), (5.0, -5.0), (5.0, 5.0), (-5.0, 5.0)),))
FENCED = replace(BARE, fence=HALL, pose_required=True)


def at(x_m: float, age_ns: int = 0, limits: GateLimits = FENCED, sigma_m: float = 0.01) -> Stage:
    """Return a stage whose robot stands at x, looking at the wall at x = 5, as heard `age_ns` ago."""
    stage = bring(State.IDLE, limits)
    move_to(stage, x_m, age_ns, sigma_m)
    return stage


def move_to(stage: Stage, x_m: float, age_ns: int = 0, sigma_m: float = 0.01) -> None:
    """From now on the pose channel says so."""
    pose = Pose(x_m, 0.0, 0.0, sigma_m)
    stage.good = lambda now_ns: replace(robot(now_ns, ZERO, pose), pose_ns=now_ns - age_ns)


def applied(stage: Stage, linear: float = 0.5) -> float:
    """Return the speed that the ack of a move tells; 0 if it is refused."""
    return (stage.move(linear).applied or ZERO).linear_mps


def test_near_the_wall_a_move_is_slowed_down_and_at_the_wall_refused() -> None:
    """Radius and margin are 0.4 m, two sigma 2 cm; 0.23 m more are needed at full speed."""
    clear, slow, none = at(4.3), at(4.4), at(4.59)

    assert applied(clear) == 0.5
    assert 0.0 < applied(slow) < 0.5
    assert slow.last.answer is not None
    assert slow.last.answer.reasons == (Reason.GEOFENCE,)
    assert none.move(0.5).reasons == (Reason.GEOFENCE,)
    assert none.state is State.IDLE


@pytest.mark.parametrize(("age_ns", "metres"), [(100 * MS, 0.05), (400 * MS, 0.2), (500 * MS, 0.25)])
def test_an_old_pose_is_as_good_as_one_nearer_to_the_wall(age_ns: int, metres: float) -> None:
    """By what the robot may have gone since, at the speed that is asked."""
    assert applied(at(4.2, age_ns)) == pytest.approx(applied(at(4.2 + metres)), abs=2e-3)
    assert applied(at(4.2 + 0.1, age_ns)) == pytest.approx(applied(at(4.3 + metres)), abs=2e-3)
    assert applied(at(4.4)) < 0.5


def test_an_old_pose_grows_by_the_speed_that_is_driven_where_that_is_higher() -> None:
    """A crawl is asked, but the robot has been driving at half a metre per second since."""
    fast, rest = bring(State.IDLE, FENCED), at(4.2, 400 * MS)
    fast.drive(0.5, ticks=40)
    move_to(fast, 4.2, 400 * MS)
    for stage in (fast, rest):
        stage.move(0.1)

    assert rest.last.answer is not None
    assert near(rest.last.answer.applied, 0.1)
    assert applied(fast, 0.1) < applied(at(4.38), 0.1) + 0.05
    assert applied(fast, 0.45) == pytest.approx(applied(at(4.4), 0.45), abs=2e-3)


def test_a_pose_a_moment_ahead_of_us_is_not_better_than_now() -> None:
    """The order of reading must not make the robot's disc smaller."""
    assert applied(at(4.45, -TICK)) == applied(at(4.45))


def test_backwards_counts_the_same() -> None:
    """Speed is a length."""
    stage, there = bring(State.IDLE, FENCED), bring(State.IDLE, FENCED)
    for one, x_m, age_ns in ((stage, -4.2, 400 * MS), (there, -4.4, 0)):
        move_to(one, x_m, age_ns)

    assert applied(stage, -0.5) == pytest.approx(applied(there, -0.5), abs=2e-3)
    assert -0.5 < applied(stage, -0.5) < 0.0


@pytest.mark.parametrize("gone", [{"pose": None}, {"pose_ns": None}])
def test_a_fence_without_a_pose_lets_nothing_through(gone: dict[str, None]) -> None:
    """Also where nobody has said that a pose is required: the fence says so."""
    stage = bring(State.IDLE, replace(FENCED, pose_required=False))
    stage.good = lambda now_ns: replace(robot(now_ns), **gone)  # type: ignore[arg-type]
    answer = stage.move()

    assert (answer.verdict, answer.reasons) == (Verdict.REJECTED, (Reason.GEOFENCE,))


def test_a_move_that_comes_to_the_wall_slows_down_and_ends_there() -> None:
    """Driven tick by tick by a base that does what it is told: it never stops beyond, and it stops with GEOFENCE."""
    stage, x_m = bring(State.IDLE, FENCED), 3.5
    stage.drive(0.5, ticks=30)
    for _ in range(200):
        move_to(stage, x_m)
        stage.move(0.5)
        stage.tick()
        speed = (stage.last.publish or ZERO).linear_mps
        assert x_m + speed * 0.15 + speed * speed / 1.6 <= 5.0 - 0.3
        x_m += speed * TICK / S

    assert 4.5 < x_m <= 4.6
    assert stage.last.publish in {None, ZERO}


def test_a_wall_that_is_nearer_than_the_ramp_is_zero_at_once() -> None:
    """The pose jumps: there is no braking distance left, and what would not stop in time does not leave."""
    stage = bring(State.IDLE, FENCED)
    stage.drive(0.5, ticks=40)
    move_to(stage, 4.5)
    stage.tick()
    zero, why = stage.last.publish, stage.last.reasons
    move_to(stage, 0.0)
    stage.drive(0.5, ticks=1)

    assert zero == ZERO
    assert why[0] is Reason.GEOFENCE
    assert why.count(Reason.GEOFENCE) == 1
    assert stage.memory.output.linear_mps == pytest.approx(0.0125)  # from rest, jerk first: nothing is left of before


def test_a_turn_that_ends_at_the_fence_begins_anew_from_rest() -> None:
    """The same for the turn: its slope is forgotten, too."""
    stage = bring(State.IDLE, FENCED)
    stage.drive(0.5, 0.5, ticks=40)
    move_to(stage, 4.5)
    stage.tick()
    zero = stage.last.publish
    move_to(stage, 0.0)
    stage.drive(0.0, 1.0, ticks=1)

    assert zero == ZERO
    assert near(stage.memory.output, 0.0, 0.025)


def test_while_it_slows_down_for_the_fence_all_reasons_are_told() -> None:
    """GEOFENCE first, and that it cannot be faster at once."""
    stage = bring(State.IDLE, FENCED)
    stage.drive(0.5, ticks=40)
    move_to(stage, 4.36)
    stage.tick()

    assert stage.last.reasons[0] is Reason.GEOFENCE
    assert stage.last.publish is not None
    assert stage.last.publish.linear_mps < 0.5


def test_far_from_every_wall_the_fence_is_not_mentioned() -> None:
    """No reason, no difference."""
    stage = bring(State.IDLE, FENCED)
    stage.drive(0.5, 0.5, ticks=60)

    assert stage.last.reasons == ()
    assert stage.memory.output == Twist(0.5, 0.5)


def test_a_turn_that_is_not_finished_in_time_brakes_by_ramp() -> None:
    """Right turn, left is asked: on the way from one to the other it would be too straight, slower it is not."""
    stage = bring(State.IDLE, FENCED)
    stage.drive(0.5, -1.0, ticks=60)
    full = stage.memory.output
    move_to(stage, 4.356)
    stage.drive(0.5, 1.0, ticks=1)

    assert full == Twist(0.5, -1.0)
    assert near(stage.last.publish, 0.45, -0.9)
    assert stage.last.reasons == (Reason.GEOFENCE, Reason.CLAMPED_ACCEL)
    assert stage.state is State.ACTIVE


@pytest.mark.parametrize("x_m", [4.55, 4.9, 5.2])
def test_a_ramp_that_would_end_beyond_the_fence_is_zero_at_once(x_m: float) -> None:
    """While braking as while driving: the pose jumps, and what is about to be sent would not stop in time."""
    stage = bring(State.IDLE, FENCED)
    stage.drive(0.5, ticks=40)
    stage.move(0.0)
    stage.tick(2)
    before = stage.memory.output.linear_mps
    move_to(stage, x_m)
    stage.tick()

    assert before == pytest.approx(0.4)
    assert stage.state is State.BRAKE
    assert stage.last.publish == ZERO
