"""The truth table of rows 16 to 32: at the limit and beside it, missing, old, from the future; alone and together."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

import pytest

from edgetwin.gate import wheels
from edgetwin.gate.checks import CHECKS, Facts
from edgetwin.gate.events import Asked, Fail, Tick
from edgetwin.gate.limits import MS, GateLimits, StopZone
from edgetwin.gate.memory import Decision, Memory
from edgetwin.motion import ZERO, Move, Pose, Reason, RobotState, State, Twist, Verdict
from tests.gate.stage import BARE, FULL, LATCHED, NOW, SPOILS, TICK, WALL, S, Stage, bring, near, robot

AHEAD = Twist(0.3, 0.0)


def just_above(number: float) -> float:
    """Return the next float up."""
    return math.nextafter(number, math.inf)


def just_below(number: float) -> float:
    """Return the next float down."""
    return math.nextafter(number, -math.inf)


@dataclass(frozen=True, slots=True)
class Case:
    """One line of the truth table: what differs from a good robot, and which reasons that gives.

    Attributes:
        row: Of the specification.
        name: What is the matter.
        why: All reasons, as a set; empty: the move is accepted.
        facts: Fields of the robot; names that end in `_ns` are ages, positive in the past.
        limits: Fields of the limits.
        twist: What is asked.
    """

    row: int
    name: str
    why: frozenset[Reason]
    facts: Mapping[str, Any] = field(default_factory=dict)
    limits: Mapping[str, Any] = field(default_factory=dict)
    twist: Twist = AHEAD

    def robot(self, now_ns: int) -> RobotState:
        """Return the robot of this case."""
        facts = {
            name: now_ns - value if name.endswith("_ns") and value is not None else value
            for name, value in self.facts.items()
        }
        return replace(robot(now_ns), **facts)


def case(row: int, name: str, *why: Reason, limits: Mapping[str, Any] | None = None, **facts: Any) -> Case:
    """Shorter to write, easier to read in a column."""
    return Case(row, name, frozenset(why), facts, limits or {})


def asks(row: int, name: str, twist: Twist, *why: Reason, **limits: Any) -> Case:
    """A case about what is asked, not about the robot."""
    return Case(row, name, frozenset(why), {}, limits, twist)


NO_ESTOP = {"estop_age_max_ns": None}
NO_OVERRIDE = {"override_quiet_ns": None}
NO_BATTERY = {"battery_required": False}
NO_POSE = {"pose_required": False, "fence": BARE.fence}
NO_SCAN = {"scan": None}
DEAF = {"subscriber_required": False}

CASES = [
    case(0, "good in every way"),
    # 9: the master switch
    case(9, "remote motion is off", Reason.FORBIDDEN, limits={"remote_motion": False}),
    # 7: numbers
    asks(7, "linear nan", Twist(math.nan, 0.0), Reason.NOT_FINITE, Reason.OUT_OF_RANGE),
    asks(7, "angular nan", Twist(0.1, math.nan), Reason.NOT_FINITE, Reason.OUT_OF_RANGE),
    asks(7, "linear inf", Twist(math.inf, 0.0), Reason.NOT_FINITE, Reason.OUT_OF_RANGE),
    asks(7, "angular -inf", Twist(0.1, -math.inf), Reason.NOT_FINITE, Reason.OUT_OF_RANGE),
    # 17: e-stop
    case(17, "pressed", Reason.ESTOP, estop=True),
    case(17, "pressed, as old as may be", Reason.ESTOP, estop=True, estop_ns=500 * MS),
    case(17, "pressed, but old", Reason.ESTOP_STALE, estop=True, estop_ns=500 * MS + 1),
    case(17, "released, as old as may be", estop_ns=500 * MS),
    case(17, "released, but old", Reason.ESTOP_STALE, estop_ns=500 * MS + 1),
    case(17, "never heard", Reason.ESTOP_STALE, estop=None, estop_ns=None),
    case(17, "a value without a time", Reason.ESTOP_STALE, estop_ns=None),
    case(17, "a time without a value", Reason.ESTOP_STALE, estop=None),
    case(17, "a tick ahead of us", estop_ns=-TICK),
    case(17, "more than a tick ahead of us", Reason.ESTOP_STALE, estop_ns=-TICK - 1),
    case(17, "from far in the future", Reason.ESTOP_STALE, estop_ns=-3600 * S),
    case(17, "no such input", estop=None, estop_ns=None, limits=NO_ESTOP),
    case(17, "no such input, whatever is said", estop=True, limits=NO_ESTOP),
    # 19: local override
    case(19, "just now", Reason.LOCAL_OVERRIDE, override_ns=0),
    case(19, "as long ago as counts", Reason.LOCAL_OVERRIDE, override_ns=2 * S),
    case(19, "long enough ago", override_ns=2 * S + 1),
    case(19, "never", override_ns=None),
    case(19, "from the future", Reason.LOCAL_OVERRIDE, override_ns=-S),
    case(19, "no such input", override_ns=0, limits=NO_OVERRIDE),
    # 20: lease
    case(20, "none", Reason.NO_LEASE, lease=Reason.NO_LEASE),
    case(20, "not renewed", Reason.LEASE_STALE, lease=Reason.LEASE_STALE),
    case(20, "an unknown word", Reason.NO_LEASE, lease=Reason.ACCEPTED),
    # 21: output
    case(21, "nobody listens", Reason.NO_SUBSCRIBER, subscribers=0),
    case(21, "fewer than nobody", Reason.NO_SUBSCRIBER, subscribers=-1),
    case(21, "two listen", subscribers=2),
    case(21, "for the other type", Reason.TYPE_MISMATCH, Reason.NO_SUBSCRIBER, subscribers=0, type_mismatch=True),
    case(21, "somebody else publishes", Reason.FOREIGN_PUBLISHER, foreign_publisher=True),
    case(21, "nobody needs to listen", subscribers=0, limits=DEAF),
    # 22: battery
    case(22, "at the minimum", battery=0.1),
    case(22, "under it", Reason.BATTERY, battery=just_below(0.1)),
    case(22, "empty", Reason.BATTERY, battery=0.0),
    case(22, "less than empty", Reason.BATTERY, battery=-0.5),
    case(22, "nan", Reason.BATTERY, battery=math.nan),
    case(22, "inf", Reason.BATTERY, battery=math.inf),
    case(22, "never heard", Reason.BATTERY, battery=None, battery_ns=None),
    case(22, "a time without a value", Reason.BATTERY, battery=None),
    case(22, "old and under the minimum", Reason.BATTERY, battery=0.05, battery_ns=3600 * S),
    case(22, "old, and was full", battery_ns=10 * S + 1),
    case(22, "no such input", battery=None, battery_ns=None, limits=NO_BATTERY),
    # 23: localisation
    case(23, "as old as may be", pose_ns=500 * MS),
    case(23, "too old", Reason.LOCALISATION, pose_ns=500 * MS + 1),
    case(23, "a tick ahead of us", pose_ns=-TICK),
    case(23, "more than a tick ahead of us", Reason.LOCALISATION, pose_ns=-TICK - 1),
    case(23, "as vague as may be", pose=Pose(0.0, 0.0, 0.0, 0.5)),
    case(23, "too vague", Reason.LOCALISATION, pose=Pose(0.0, 0.0, 0.0, just_above(0.5))),
    case(23, "perfectly sharp", pose=Pose(0.0, 0.0, 0.0, 0.0)),
    case(23, "sigma below zero", Reason.LOCALISATION, pose=Pose(0.0, 0.0, 0.0, -0.1)),
    case(23, "sigma nan", Reason.LOCALISATION, pose=Pose(0.0, 0.0, 0.0, math.nan)),
    case(23, "x nan", Reason.LOCALISATION, pose=Pose(math.nan, 0.0, 0.0)),
    case(23, "y inf", Reason.LOCALISATION, pose=Pose(0.0, math.inf, 0.0)),
    case(23, "yaw nan", Reason.LOCALISATION, pose=Pose(0.0, 0.0, math.nan)),
    case(23, "beyond every hall", Reason.LOCALISATION, pose=Pose(1.7e308, 1.7e308, 0.0)),
    case(23, "beyond every hall, turned", Reason.LOCALISATION, pose=Pose(1.7e308, 0.0, 1.7e308)),
    case(23, "inf - inf", Reason.LOCALISATION, pose=Pose(math.inf, -math.inf, 0.0)),
    case(23, "never heard", Reason.LOCALISATION, pose=None, pose_ns=None),
    case(23, "a value without a time", Reason.LOCALISATION, pose_ns=None),
    case(23, "a time without a value", Reason.LOCALISATION, pose=None),
    case(23, "nobody needs it", pose=None, pose_ns=None, limits=NO_POSE),
    # 24: rating of the platform
    asks(24, "linear at the rating", Twist(5.0, 0.0)),
    asks(24, "linear beyond", Twist(just_above(5.0), 0.0), Reason.OUT_OF_RANGE),
    asks(24, "backwards beyond", Twist(just_below(-5.0), 0.0), Reason.OUT_OF_RANGE),
    asks(24, "angular at the rating", Twist(0.1, -10.0)),
    asks(24, "angular beyond", Twist(0.1, just_above(10.0)), Reason.OUT_OF_RANGE),
    asks(24, "angular beyond, clockwise", Twist(0.1, just_below(-10.0)), Reason.OUT_OF_RANGE),
    asks(24, "a rating that is no number forbids", AHEAD, Reason.OUT_OF_RANGE, linear_rating_mps=math.nan),
    asks(24, "an angular one too", AHEAD, Reason.OUT_OF_RANGE, angular_rating_radps=math.nan),
    # 28: scan
    case(28, "as old as may be", scan_ns=300 * MS),
    case(28, "too old", Reason.SCAN_STALE, scan_ns=300 * MS + 1),
    case(28, "a tick ahead of us", scan_ns=-TICK),
    case(28, "more than a tick ahead of us", Reason.SCAN_STALE, scan_ns=-TICK - 1),
    case(28, "never heard", Reason.SCAN_STALE, scan=None, scan_ns=None),
    case(28, "a value without a time", Reason.SCAN_STALE, scan_ns=None),
    case(28, "not to be trusted", Reason.SCAN_STALE, scan=None),
    case(28, "a wall ahead", Reason.OBSTACLE, scan=WALL),
    case(28, "too few points for a wall", scan=WALL[:3]),
    case(28, "no such input", scan=None, scan_ns=None, limits=NO_SCAN),
]


def stage_for(limits: Mapping[str, Any]) -> Stage:
    """Return a gate in IDLE under these limits, with a good robot."""
    return bring(State.IDLE, replace(FULL, **limits))


@pytest.mark.parametrize("one", CASES, ids=lambda one: f"{one.row}: {one.name}")
def test_a_move_is_refused_for_exactly_these_reasons(one: Case) -> None:
    """Every reason is reported, the worst is the code, and none is made up."""
    stage = stage_for(one.limits)
    stage.good = one.robot
    answer = stage.answer(Asked(Move("m", "pilot", one.twist)))

    if one.why:
        told = set(answer.reasons) - ({Reason.GEOFENCE} if one.row == 23 else set())  # no pose: no fence either
        assert told == one.why
        assert answer.verdict is Verdict.REJECTED
        assert answer.code is next(reason for reason in Reason if reason in one.why)
        assert answer.applied is None
        assert stage.state is not State.ACTIVE
    else:
        assert answer.verdict in {Verdict.ACCEPTED, Verdict.CLAMPED}
        assert stage.state is State.ACTIVE


RUNNING = [one for one in CASES if one.row >= 17 and one.row != 24]


@pytest.mark.parametrize("one", RUNNING, ids=lambda one: f"{one.row}: {one.name}")
def test_a_move_that_runs_ends_for_the_same_facts(one: Case) -> None:
    """Row by row: what forbids to begin forbids to go on, and rows 17, 21 and 28 do without a ramp."""
    stage = stage_for(one.limits)
    stage.drive(0.3)
    moving = stage.memory.output
    stage.good = one.robot
    stage.move(0.3)
    stage.tick()

    assert moving == Twist(0.3, 0.0)
    if not one.why:
        assert stage.state is State.ACTIVE
        assert stage.last.publish != ZERO
        return
    worst = next(reason for reason in Reason if reason in one.why)
    assert stage.state is not State.ACTIVE
    assert stage.memory.reason is worst
    if one.row in {17, 21, 28}:
        assert stage.last.publish == ZERO
    elif one.row == 19:
        assert stage.last.publish is None
    else:
        assert near(stage.last.publish, 0.25)
        assert stage.state is State.BRAKE
        assert stage.last.reasons == (worst,)


SINGLE = {
    name: (spoil, reason)
    for name, (spoil, reason) in SPOILS.items()
    if name
    in {
        "e-stop pressed",
        "somebody beside it drives",
        "no lease",
        "nobody listens",
        "foreign publisher",
        "battery empty",
        "pose vague",
        "wall ahead",
    }
}


@pytest.mark.parametrize("count", [2, 3, 8])
def test_of_several_reasons_all_are_told_and_the_worst_is_the_code(count: int) -> None:
    """In the order of the table, whatever the combination."""
    for names in combinations(sorted(SINGLE), count):
        stage = bring(State.IDLE)
        for name in names:
            stage.spoil(SINGLE[name][0])
        answer = stage.move()
        wanted = tuple(reason for reason in Reason if reason in {SINGLE[name][1] for name in names})

        assert answer.reasons == wanted, names
        assert answer.code is wanted[0]
        assert answer.verdict is Verdict.REJECTED


def test_the_detail_says_what_does_not_hold() -> None:
    """One line for a person: each reason with the claim that failed."""
    stage = bring(State.IDLE)
    for name in ("battery empty", "no lease"):
        stage.spoil(SPOILS[name][0])
    detail = stage.move().detail

    assert "battery" in detail
    assert "lease" in detail
    assert "\n" not in detail
    assert "e-stop" not in detail


@pytest.mark.parametrize("state", State)
def test_the_state_itself_is_a_reason(state: State) -> None:
    """Rows 16, 18 and 19: where the gate may not move, every move is refused with the state's code."""
    codes = {
        State.INIT: Reason.NOT_READY,
        State.HELD: Reason.HELD,
        State.ESTOP: Reason.ESTOP,
        State.FAULT: Reason.FAULT,
        State.LOCAL: Reason.LOCAL_OVERRIDE,
        State.DOWN: Reason.SHUTTING_DOWN,
    }
    answer = bring(state).move()

    if state in codes:
        assert (answer.verdict, answer.code, answer.reasons) == (Verdict.REJECTED, codes[state], (codes[state],))
    else:
        assert answer.verdict is Verdict.ACCEPTED


# --- 22: the levels of a battery that is not empty


@pytest.mark.parametrize(
    ("battery", "age_ns", "linear_mps", "why"),
    [
        (0.8, 0, 0.5, ()),
        (0.2, 0, 0.5, ()),
        (just_below(0.2), 0, 0.25, (Reason.BATTERY,)),
        (0.1, 0, 0.25, (Reason.BATTERY,)),
        (0.8, 10 * S, 0.5, ()),
        (0.8, 10 * S + 1, 0.3, (Reason.BATTERY,)),
        (0.15, 10 * S + 1, 0.25, (Reason.BATTERY,)),
        (0.8, -TICK - 1, 0.3, (Reason.BATTERY,)),
    ],
)
def test_a_low_battery_halves_the_speed_and_an_old_one_makes_it_creep(
    battery: float, age_ns: int, linear_mps: float, why: tuple[Reason, ...]
) -> None:
    """Low: both maxima by half; not heard for 10 s: 0.3 m/s; the slower of both."""
    stage = bring(State.IDLE)
    stage.good = lambda now_ns: replace(robot(now_ns), battery=battery, battery_ns=now_ns - age_ns)
    answer = stage.move(0.5)
    stage.drive(0.5, ticks=60)

    assert near(answer.applied, linear_mps)
    assert answer.reasons == (why or (Reason.ACCEPTED,))
    assert answer.verdict is (Verdict.CLAMPED if why else Verdict.ACCEPTED)
    assert near(stage.memory.output, linear_mps)


def test_a_low_battery_halves_the_turn_too() -> None:
    """On the spot, and along a curve, which stays the same curve."""
    stage = bring(State.IDLE)
    stage.good = lambda now_ns: replace(robot(now_ns), battery=0.15)

    assert near(stage.move(0.0, 1.0).applied, 0.0, 0.5)
    assert near(stage.move(0.25, 1.0).applied, 0.125, 0.5)
    assert stage.move(0.2, 0.1).applied == Twist(0.2, 0.1)


def test_a_low_battery_halves_whatever_the_maxima_are() -> None:
    """Half of two is one; not one half."""
    stage = bring(State.IDLE, replace(FULL, linear_max_mps=1.0, angular_max_radps=2.0, fence=BARE.fence))
    stage.good = lambda now_ns: replace(robot(now_ns), battery=0.15)

    assert near(stage.move(0.0, 2.0).applied, 0.0, 1.0)
    assert near(stage.move(1.0, 0.0).applied, 0.5)


def test_a_battery_that_creeps_may_still_turn() -> None:
    """The cap of 0.3 m/s is about the way, not about the turn."""
    stage = bring(State.IDLE)
    stage.good = lambda now_ns: replace(robot(now_ns), battery_ns=now_ns - 20 * S)

    assert stage.move(0.0, 1.0).applied == Twist(0.0, 1.0)
    assert stage.move(0.2, 1.0).applied == Twist(0.2, 1.0)


def test_a_stale_battery_never_makes_it_faster() -> None:
    """A creep limit above the envelope is no permission."""
    stage = bring(State.IDLE, replace(FULL, battery_stale_max_mps=2.0))
    stage.good = lambda now_ns: replace(robot(now_ns), battery_ns=now_ns - 20 * S)

    assert stage.move(2.0).applied == Twist(0.5, 0.0)


# --- 25: soft envelope; 29: duration


@pytest.mark.parametrize(
    ("asked", "applied"),
    [
        (Twist(0.5, 0.0), None),
        (Twist(-0.5, 1.0), None),
        (Twist(just_above(0.5), 0.0), Twist(0.5, 0.0)),
        (Twist(1.0, 1.0), Twist(0.5, 0.5)),
        (Twist(0.1, -4.0), Twist(0.025, -1.0)),
    ],
)
def test_beyond_the_soft_envelope_a_move_is_clamped_and_says_so(asked: Twist, applied: Twist | None) -> None:
    """Both axes by one ratio; the ack carries what will be driven."""
    answer = bring(State.IDLE, BARE).move(asked.linear_mps, asked.angular_radps)

    if applied is None:
        assert (answer.verdict, answer.reasons, answer.applied) == (Verdict.ACCEPTED, (Reason.ACCEPTED,), asked)
    else:
        assert (answer.verdict, answer.code) == (Verdict.CLAMPED, Reason.CLAMPED_SPEED)
        assert near(answer.applied, applied.linear_mps, applied.angular_radps)


@pytest.mark.parametrize(
    ("duration_ns", "lasts_ns", "verdict"),
    [
        (None, 300 * MS, Verdict.ACCEPTED),
        (100 * MS, 100 * MS, Verdict.ACCEPTED),
        (1 * S, 1 * S, Verdict.ACCEPTED),
        (1 * S + 1, 1 * S, Verdict.CLAMPED),
        (3600 * S, 1 * S, Verdict.CLAMPED),
        (0, 0, Verdict.ACCEPTED),
        (-5 * S, 0, Verdict.ACCEPTED),
    ],
)
def test_every_move_ends_by_itself(duration_ns: int | None, lasts_ns: int, verdict: Verdict) -> None:
    """After its duration, 300 ms where it says none, 1 s at most; here the deadman is out of the way."""
    stage = bring(State.IDLE, replace(BARE, deadman_ns=10 * S))
    answer = stage.move(0.2, 0.0, duration_ns)
    began = stage.now_ns
    while stage.now_ns < began + lasts_ns - TICK:
        stage.tick()
    if lasts_ns:
        stage.tick(1, began + lasts_ns - 1 - stage.now_ns)
        assert stage.state is State.ACTIVE
    stage.tick(1, began + lasts_ns - stage.now_ns)

    assert answer.verdict is verdict
    assert (Reason.DURATION in answer.reasons) is (verdict is Verdict.CLAMPED)
    assert (stage.state, stage.memory.reason) == (State.BRAKE, Reason.DURATION)


# --- 30: deadman


@pytest.mark.parametrize(("silence_ns", "state"), [(500 * MS - 1, State.ACTIVE), (500 * MS, State.BRAKE)])
def test_the_deadman_is_exact(silence_ns: int, state: State) -> None:
    """Half a second after the last accepted move: not a nanosecond before, and not a tick after."""
    stage = bring(State.IDLE, BARE)
    stage.move(0.2, duration_ns=1 * S)
    stage.now_ns += silence_ns
    stage.step(Tick())

    assert stage.state is state
    assert stage.memory.reason is (Reason.DEADMAN if state is State.BRAKE else Reason.ACCEPTED)


def test_a_move_replaces_the_target_and_starts_the_deadman_again() -> None:
    """As long as moves are accepted it goes on, towards the newest of them."""
    stage = bring(State.IDLE, BARE)
    for _ in range(40):
        stage.move(0.2, duration_ns=1 * S)
        stage.tick(2)
    stage.move(0.4, duration_ns=1 * S)
    stage.tick(9)

    assert stage.state is State.ACTIVE
    assert stage.memory.output.linear_mps == pytest.approx(0.4)


def test_a_clock_that_goes_back_ends_motion() -> None:
    """It cannot, but then nobody knows how old the move is: within two ticks it brakes."""
    stage = bring(State.IDLE, BARE)
    stage.drive(0.2)
    stage.now_ns -= 3600 * S
    stage.tick(2)

    assert stage.state is not State.ACTIVE


# --- 31: last guard; 32: watchdog


@pytest.mark.parametrize("limits", [{"linear_max_mps": math.nan}, {"angular_max_radps": math.nan}])
def test_the_last_guard_latches_a_fault_where_no_limit_is_a_limit(limits: Mapping[str, Any]) -> None:
    """A missing limit is no permission: zero, and a person has to look."""
    stage = bring(State.IDLE, BARE)
    stage.limits = replace(BARE, **limits)
    stage.move(0.2, 0.2)
    stage.tick(2)

    assert all(twist == ZERO for _, twist in stage.out)
    assert stage.state in {State.FAULT, State.BRAKE, State.IDLE}


@pytest.mark.parametrize(
    "state", [State.IDLE, State.HELD, State.INIT, State.LOCAL, State.DOWN, State.ESTOP, State.FAULT]
)
def test_a_memory_that_says_otherwise_moves_nothing_outside_active_and_brake(state: State) -> None:
    """Even with a target and an output in memory that should not be there."""
    stage = Stage(limits=BARE)
    memory = replace(stage.memory, state=state, target=AHEAD, output=AHEAD, output_ns=NOW, ends_ns=NOW + S, stop_id="x")
    stage.memory = replace(memory, stop_id="x" if state in LATCHED else "", accepted_ns=NOW, tick_ns=NOW)
    stage.tick(3)

    assert all(twist == ZERO for _, twist in stage.out)


def test_the_guard_turns_a_defect_upstream_into_zero_and_a_fault() -> None:
    """An output in memory beyond every limit: braking from it would still be too fast."""
    stage = bring(State.ACTIVE, BARE)
    stage.memory = replace(stage.memory, output=Twist(4.0, 0.0))
    stage.tick()

    assert stage.last.publish == ZERO
    assert (stage.state, stage.memory.reason) == (State.FAULT, Reason.GUARD)
    assert (stage.last.drop_lease, stage.last.cancel_goals, stage.last.reasons) == (True, True, (Reason.GUARD,))
    assert stage.memory.output == ZERO


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize(
    "out", [Twist(0.1, 0.0), Twist(0.0, -0.1), Twist(0.6, 0.0), Twist(math.nan, 0.0), Twist(0.0, math.inf)]
)
def test_the_last_guard_lets_no_defect_of_the_rest_through(
    state: State, out: Twist, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault injected before it: something publishes `out`. Only ACTIVE and BRAKE may move, within the envelope."""

    def broken(facts: Facts) -> tuple[Memory, Decision]:
        return replace(facts.memory, tick_ns=facts.now_ns), Decision(publish=out)

    stage = bring(state, FULL if state in {State.LOCAL, State.ESTOP} else BARE)
    monkeypatch.setattr(wheels, "tick", broken)
    for allowed in (True, False):
        stage.limits = replace(stage.limits, remote_motion=allowed)
        before = stage.memory
        decision = stage.step(Tick())
        sound = abs(out.linear_mps) <= 0.1 and out.angular_radps <= 0.0
        if allowed and sound and state in {State.ACTIVE, State.BRAKE}:
            assert decision.publish == out
            continue
        assert decision.publish == ZERO
        assert stage.state is (State.DOWN if state is State.DOWN else State.FAULT)
        assert stage.memory.tick_ns == stage.now_ns  # what the step has learnt is kept
        assert stage.memory.reason in {Reason.GUARD, before.reason}


def test_remote_motion_switched_off_while_driving_is_zero_at_once() -> None:
    """The settings were read anew: it stops like for any other check, without a fault."""
    stage = bring(State.ACTIVE, BARE)
    stage.limits = replace(BARE, remote_motion=False)
    stage.tick()

    assert stage.last.publish == ZERO
    assert (stage.state, stage.memory.reason) == (State.BRAKE, Reason.FORBIDDEN)


@pytest.mark.parametrize("state", [State.ACTIVE, State.BRAKE])
@pytest.mark.parametrize(("late_ns", "fault"), [(500 * MS, False), (500 * MS + 1, True)])
def test_a_tick_that_comes_too_late_while_moving_is_a_fault(state: State, late_ns: int, fault: bool) -> None:
    """More than half a second without a tick: nobody knows what was missed."""
    stage = bring(state, replace(BARE, deadman_ns=10 * S, duration_default_ns=10 * S, duration_max_ns=10 * S))
    stage.tick(1, late_ns)

    assert (stage.state is State.FAULT) is fault
    if fault:
        assert stage.memory.reason is Reason.STALLED
        assert stage.last.publish == ZERO
        assert (stage.last.drop_lease, stage.last.cancel_goals) == (True, True)


@pytest.mark.parametrize("state", [State.INIT, State.IDLE, State.HELD, State.LOCAL, State.ESTOP])
def test_a_late_tick_while_nothing_moves_is_no_fault(state: State) -> None:
    """The loop may sleep while there is nothing to do."""
    stage = bring(state)
    stage.tick(1, 60 * S)

    assert stage.state is not State.FAULT


def test_the_watchdog_starts_with_the_motion() -> None:
    """A move after a long silence is no stall."""
    stage = bring(State.IDLE, BARE)
    stage.now_ns += 60 * S
    stage.move(0.2)
    stage.tick()

    assert stage.state is State.ACTIVE


def test_a_move_does_not_hide_a_stall() -> None:
    """While it brakes, ticks stop for 600 ms; a move in between does not make them have come."""
    stage = bring(State.BRAKE, BARE)
    stage.now_ns += 590 * MS
    stage.move(0.2)
    stage.now_ns += 10 * MS
    stage.step(Tick())

    assert stage.state is State.FAULT


@pytest.mark.parametrize("reason", [Reason.FAULT, Reason.STALLED, Reason.GUARD])
def test_a_failure_around_the_gate_is_zero_at_once_and_latched(reason: Reason) -> None:
    """With the reason that the caller gives."""
    stage = bring(State.ACTIVE)
    decision = stage.step(Fail(reason))

    assert decision.publish == ZERO
    assert (decision.drop_lease, decision.cancel_goals, decision.reasons) == (True, True, (reason,))
    assert (stage.state, stage.memory.reason) == (State.FAULT, reason)
    assert stage.memory.output == ZERO


# --- rows as printed


def test_the_table_of_checks_is_complete_and_in_order() -> None:
    """Rows never go back, every claim is a sentence of its own, and each reason stands once."""
    rows = [check.row for check in CHECKS]

    assert rows == sorted(rows)
    assert len({check.reason for check in CHECKS}) == len(CHECKS)
    assert len({check.claim for check in CHECKS}) == len(CHECKS)
    assert {16, 17, 18, 19, 20, 21, 22, 23, 24, 28} <= set(rows)


def test_defaults_of_the_limits_forbid_motion() -> None:
    """A gate that nobody has set up moves nothing."""
    stage = bring(State.IDLE, GateLimits())

    assert stage.move().code is Reason.FORBIDDEN
    assert StopZone().points_min == 4
