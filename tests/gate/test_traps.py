"""The traps of a naive gate (section 5 of the specification) that belong to the pure core, each under its number.

Those of the message (schema, retain, signature, replay) are beside the command room, those of the lane, the store and
the daemon beside theirs: `test_traps_index.py` knows where.
"""

from __future__ import annotations

import inspect
import math
import typing
from dataclasses import replace
from itertools import pairwise

import pytest

from edgetwin.gate import gate as gate_module
from edgetwin.gate.events import Asked, Event, Fail, ResetConfirm, ResetRequest, Shutdown, Source, Stop, Tick
from edgetwin.gate.limits import MS, Fence
from edgetwin.motion import ZERO, Move, Pose, Reason, State, Twist, Verdict
from tests.gate.stage import BARE, FULL, SPOILS, TICK, WALL, S, Stage, bring, reset, robot

NASTY = (math.nan, math.inf, -math.inf, 1e308, -1e308, 5e-324, -0.0)


@pytest.mark.parametrize("linear", NASTY)
@pytest.mark.parametrize("angular", [*NASTY, 0.2])
def test_trap_01_nan_and_inf_never_become_speed(linear: float, angular: float) -> None:
    """`abs(nan) > limit` is False, and `max(-lim, min(lim, nan))` is full speed ahead."""
    stage = bring(State.IDLE, BARE)
    answer = stage.answer(Asked(Move("m", "pilot", Twist(linear, angular))))
    stage.tick(3)

    finite = math.isfinite(linear) and math.isfinite(angular)
    assert (Reason.NOT_FINITE in answer.reasons) is not finite
    if not finite or abs(linear) > 5.0 or abs(angular) > 10.0:
        assert answer.verdict is Verdict.REJECTED
        assert not stage.out


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("which", ["x", "y", "yaw", "sigma", "battery", "speed"])
def test_trap_01_nor_do_they_through_the_robots_own_facts(bad: float, which: str) -> None:
    """A poisoned odometry or battery forbids; it does not let through."""
    poses = {
        "x": Pose(bad, 0.0, 0.0, 0.01),
        "y": Pose(0.0, bad, 0.0, 0.01),
        "yaw": Pose(0.0, 0.0, bad, 0.01),
        "sigma": Pose(0.0, 0.0, 0.0, bad),
    }
    stage = bring(State.IDLE)
    stage.good = lambda now_ns: replace(
        robot(now_ns, Twist(bad, bad) if which == "speed" else ZERO, poses.get(which)),
        battery=bad if which == "battery" else 0.8,
    )
    stage.drive(0.3, ticks=5)

    moved = any(twist != ZERO for _, twist in stage.out)
    assert moved is (which == "speed")


def test_trap_05_a_stop_twice_is_one_stop() -> None:
    """QoS 1 may deliver twice: same latch, same name, still one reset away."""
    stage = bring(State.ACTIVE)
    first = stage.answer(Stop())
    second = stage.answer(Stop())
    stage.tick(40)

    assert first.stop_id == second.stop_id
    assert (stage.memory.stops, stage.memory.latches) == (2, 1)
    assert reset(stage).verdict is Verdict.OK


def test_trap_08_there_is_no_wall_clock_in_the_gate() -> None:
    """Its only time is an argument of its own, in nanoseconds, and it has no default."""
    signature = inspect.signature(gate_module.step)

    assert list(signature.parameters) == ["memory", "event", "robot", "limits", "now_ns"]
    assert signature.parameters["now_ns"].default is inspect.Parameter.empty
    assert signature.parameters["now_ns"].kind is inspect.Parameter.KEYWORD_ONLY
    assert not {"time", "datetime"} & set(vars(gate_module))


def test_trap_08_ages_are_exact_to_the_nanosecond() -> None:
    """A second-wide rounding would let a 0.99 s old pose pass a "0 s" check."""
    stage = bring(State.IDLE, replace(FULL, pose_age_max_ns=0))
    stage.good = lambda now_ns: replace(robot(now_ns), pose_ns=now_ns - 1)
    late = stage.move()
    stage.good = robot

    assert late.code is Reason.LOCALISATION
    assert stage.move().verdict is Verdict.ACCEPTED


@pytest.mark.parametrize(
    "refused",
    [Twist(math.nan, 0.0), Twist(0.0, math.inf), Twist(5.5, 0.0), Twist(0.0, -11.0)],
    ids=["nan", "inf", "too fast", "too tight"],
)
def test_trap_09_the_deadman_hears_only_what_was_accepted(refused: Twist) -> None:
    """A stream of refused moves at every tick: braking begins 500 ms after the last good one."""
    stage = bring(State.IDLE, BARE)
    stage.drive(0.3)
    stage.move(0.3, duration_ns=1 * S)
    began = stage.now_ns
    while stage.state is State.ACTIVE:
        assert stage.answer(Asked(Move("m", "pilot", refused))).verdict is Verdict.REJECTED
        stage.tick()

    assert stage.now_ns - began == 500 * MS
    assert stage.memory.reason is Reason.DEADMAN


def test_trap_09_a_refused_move_leaves_the_target_alone() -> None:
    """Neither its speed nor its end is taken over."""
    stage = bring(State.IDLE, BARE)
    stage.drive(0.3)
    before = stage.memory
    stage.answer(Asked(Move("m", "pilot", Twist(9.0, 0.0), 1 * S)))

    assert stage.memory == replace(before, asked_ns=stage.now_ns)


def test_trap_10_one_envelope_for_the_ack_and_for_the_wheels() -> None:
    """What the ack calls applied is what the wheels get in the end, for any curve."""
    for linear, angular in ((2.0, 1.0), (-3.0, 0.4), (0.1, 7.0), (0.4, -0.9)):
        stage = bring(State.IDLE, BARE)
        applied = stage.move(linear, angular).applied
        stage.drive(linear, angular, ticks=60)

        assert stage.memory.output == applied


def test_trap_10_a_limit_that_is_missing_is_no_permission() -> None:
    """NaN as `unlimited` is diff_drive_controller's way; here nothing leaves."""
    for field in ("linear_max_mps", "angular_max_radps", "linear_rating_mps", "angular_rating_radps"):
        stage = bring(State.IDLE, replace(BARE, **{field: math.nan}))  # type: ignore[arg-type]
        stage.move(0.2, 0.2)
        stage.tick(5)

        assert all(twist == ZERO for _, twist in stage.out), field


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("source", Source)
def test_trap_11_a_stop_passes_no_check_at_all(state: State, source: Source) -> None:
    """From every state, with the worst of robots and with remote motion off: zero in the same step."""
    stage = bring(state)
    stage.limits = replace(FULL, remote_motion=False)
    for name in SPOILS:
        stage.spoil(SPOILS[name][0])
    answer = stage.answer(Stop(source))

    assert stage.last.publish == ZERO
    assert answer.verdict is Verdict.STOPPED


def test_trap_11_the_stop_carries_nothing_that_could_be_wrong() -> None:
    """Only who asked: no id, no time, no payload, no sequence, no signature."""
    assert {field.name for field in Stop.__dataclass_fields__.values()} == {"source"}


def test_trap_12_a_move_after_a_stop_is_no_reset() -> None:
    """Not the first, not the thousandth."""
    stage = bring(State.HELD)
    for _ in range(1000):
        assert stage.move(0.2).code is Reason.HELD
        stage.tick()

    assert stage.state is State.HELD
    assert all(twist == ZERO for time, twist in stage.out[-500:])


def test_trap_12_a_reset_for_an_older_stop_leaves_the_newer() -> None:
    """The stop's name is part of both steps."""
    stage = bring(State.HELD)
    old = stage.memory.stop_id
    reset(stage)
    stage.step(Stop())
    stage.tick(30)
    answers = [stage.answer(ResetRequest("pilot", old, "n0")), stage.answer(ResetConfirm("pilot", old, "n0"))]

    assert {answer.verdict for answer in answers} == {Verdict.REJECTED}
    assert {answer.stop_id for answer in answers} == {stage.memory.stop_id} != {old}
    assert stage.state is State.HELD


@pytest.mark.parametrize("way", ["stop", "shutdown", "fault", "deadman"])
def test_trap_13_never_one_zero_alone_and_never_zeros_for_ever(way: str) -> None:
    """A lost sample is a runaway, and endless zeros lock the local stack out."""
    stage = bring(State.ACTIVE, BARE)
    since = stage.now_ns
    events: dict[str, Event] = {"stop": Stop(), "shutdown": Shutdown(), "fault": Fail()}
    if way in events:
        stage.step(events[way])
    stage.tick(400)

    zeros = [time - since for time, twist in stage.out if time >= since and twist == ZERO]
    assert len(zeros) >= 6
    assert all(later - earlier == TICK for earlier, later in pairwise(zeros[:6]))
    if way in {"deadman", "shutdown"}:
        assert zeros[-1] < 3 * S
    else:
        assert zeros[-1] > 19 * S


def test_trap_14_a_base_that_listens_for_the_other_type_is_nobody() -> None:
    """Names match, types differ, nothing arrives, not even the stop: so nothing starts, and it is said why."""
    stage = bring(State.IDLE)
    stage.spoil(SPOILS["other type"][0])
    answer = stage.move()

    assert answer.verdict is Verdict.REJECTED
    assert answer.code is Reason.TYPE_MISMATCH
    assert Reason.NO_SUBSCRIBER in answer.reasons


@pytest.mark.parametrize(
    "fence", [Fence(inside=(((0.0, 0.0), (1.0, 0.0)),)), Fence(inside=((),)), Fence(outside=((),))]
)
def test_trap_15_a_fence_that_is_no_polygon_lets_nothing_through(fence: Fence) -> None:
    """A polygon whose shape is not set is ignored by others; here it refuses."""
    stage = bring(State.IDLE, replace(FULL, fence=fence))
    answer = stage.move()

    assert answer.verdict is Verdict.REJECTED
    assert Reason.GEOFENCE in answer.reasons


@pytest.mark.parametrize("name", ["scan from the future", "scan old", "scan never heard", "scan untrusted"])
def test_trap_15_a_scan_that_cannot_be_is_no_free_way(name: str) -> None:
    """Stamped in the future, silent, or all NaN: zero."""
    stage = bring(State.IDLE)
    stage.drive(0.3)
    stage.spoil(SPOILS[name][0])
    stage.tick()

    assert stage.last.publish == ZERO


def test_trap_15_points_close_to_the_base_are_not_skipped() -> None:
    """Right at the bumper, and inside the robot: as much in the way as half a metre ahead."""
    for x in (0.0, 0.01, 0.25, 0.5):
        stage = bring(State.IDLE)
        stage.good = lambda now_ns, x=x: replace(robot(now_ns), scan=tuple((x, y) for _, y in WALL))  # type: ignore[misc]

        assert stage.move().code is Reason.OBSTACLE, x


def test_trap_15_an_age_limit_of_zero_does_not_switch_the_check_off() -> None:
    """`source_timeout: 0` disables it elsewhere; here zero means: this very moment."""
    stage = bring(State.IDLE, replace(FULL, estop_age_max_ns=0))
    stage.good = lambda now_ns: replace(robot(now_ns), estop_ns=now_ns - 1)

    assert stage.move().code is Reason.ESTOP_STALE


def test_trap_17_both_axes_are_scaled_by_one_ratio() -> None:
    """The asked circle, more slowly: not another circle."""
    applied = bring(State.IDLE, BARE).move(1.0, 1.6).applied

    assert applied is not None
    assert applied.linear_mps / applied.angular_radps == pytest.approx(1.0 / 1.6)


def test_trap_17_slowing_down_uses_the_deceleration_limit() -> None:
    """Half a metre per second stops in half a second, not in the whole one that acceleration would take."""
    stage = bring(State.IDLE, BARE)
    stage.drive(0.5, ticks=40)
    stage.move(0.0, 0.0)
    stage.tick(10)

    assert stage.memory.output == ZERO


@pytest.mark.parametrize("stall_ns", [0, 400 * MS])
def test_trap_17_neither_no_time_nor_a_stall_makes_a_jump(stall_ns: int) -> None:
    """No time changes nothing; a stall counts as two ticks."""
    stage = bring(State.IDLE, replace(BARE, deadman_ns=10 * S, duration_default_ns=10 * S, duration_max_ns=10 * S))
    stage.drive(0.1)
    stage.move(0.5)
    before = stage.memory.output.linear_mps
    stage.tick(1, stall_ns)

    assert stage.memory.output.linear_mps - before <= 0.5 * 0.1 + 1e-12
    if stall_ns == 0:
        assert stage.memory.output.linear_mps == before


@pytest.mark.parametrize("pressed", [None, False])
def test_trap_28_an_e_stop_that_is_not_heard_is_pressed(pressed: bool | None) -> None:
    """Its publisher died with "not pressed" as its last word."""
    stage = bring(State.IDLE)
    stage.drive(0.3)
    last = stage.now_ns
    stage.good = lambda now_ns: replace(robot(now_ns), estop=pressed, estop_ns=None if pressed is None else last)
    while stage.state is State.ACTIVE:
        stage.drive(0.3, ticks=1)

    assert stage.state is State.ESTOP
    assert stage.memory.reason is Reason.ESTOP_STALE
    assert stage.now_ns - last <= 500 * MS + 2 * TICK


@pytest.mark.parametrize("name", ["battery never heard", "pose never heard", "scan never heard", "e-stop never heard"])
def test_trap_29_an_input_that_never_spoke_is_no_good_news(name: str) -> None:
    """Not 100 % battery, not the origin, not a free way: the gate does not even leave INIT."""
    stage = Stage(limits=FULL)
    stage.spoil(SPOILS[name][0])
    stage.tick(100)

    assert stage.state is State.INIT
    assert stage.move().verdict is Verdict.REJECTED
    assert not stage.out


def test_every_event_is_one_that_the_gate_knows() -> None:
    """The closed list of what can happen; a new one must be thought through in every state."""
    assert {kind.__name__ for kind in typing.get_args(Event)} == {
        "Tick",
        "Stop",
        "Asked",
        "ResetRequest",
        "ResetConfirm",
        "LocalReset",
        "Fail",
        "Shutdown",
    }
    assert Tick() == Tick()
