"""P1 to P15 of the specification, each under its number, over any order of events.

`Stage.step` holds every step against `always` (tests/gate/stage.py), and `Shadowed` against the model as well.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetwin.gate.events import (
    Asked,
    Event,
    Fail,
    LocalReset,
    ResetConfirm,
    ResetRequest,
    Shutdown,
    Source,
    Stop,
    Tick,
)
from edgetwin.gate.gate import begin, step
from edgetwin.gate.limits import MS, Fence, GateLimits, StopZone
from edgetwin.gate.memory import Challenge, Memory
from edgetwin.motion import ZERO, Move, Pose, Reason, RobotState, State, Twist, Verdict
from tests.gate.stage import (
    BARE,
    COMMANDS,
    DRIVING,
    FULL,
    NOW,
    SPOILS,
    TICK,
    S,
    Stage,
    always,
    bring,
    reset,
    robot,
)

ACCEPTED = {Verdict.ACCEPTED, Verdict.CLAMPED}
any_float = st.floats(allow_nan=True, allow_infinity=True)
some_float = st.floats(-2.0, 2.0)
any_ns = st.one_of(st.none(), st.integers(NOW - 20 * S, NOW + 20 * S), st.integers())
words = st.sampled_from(["", "pilot", "n0", "boot-1", "boot-2", "another"])
any_twist = st.builds(Twist, any_float, any_float)
moves = st.builds(Move, words, words, any_twist, st.one_of(st.none(), st.integers()))
any_event = st.one_of(
    st.just(Tick()),
    st.builds(Stop, st.sampled_from(Source)),
    st.builds(Asked, moves),
    st.builds(ResetRequest, words, words, words, st.booleans()),
    st.builds(ResetConfirm, words, words, words),
    st.just(LocalReset()),
    st.builds(Fail, st.sampled_from(Reason)),
    st.just(Shutdown()),
)
any_pose = st.builds(Pose, any_float, any_float, any_float, any_float)
any_robot = st.builds(
    RobotState,
    pose=st.one_of(st.none(), any_pose),
    pose_ns=any_ns,
    speed=st.one_of(st.none(), any_twist),
    speed_ns=any_ns,
    battery=st.one_of(st.none(), any_float),
    battery_ns=any_ns,
    estop=st.one_of(st.none(), st.booleans()),
    estop_ns=any_ns,
    scan=st.one_of(st.none(), st.lists(st.tuples(any_float, any_float), max_size=8).map(tuple)),
    scan_ns=any_ns,
    override_ns=any_ns,
    subscribers=st.integers(-2, 3),
    type_mismatch=st.booleans(),
    foreign_publisher=st.booleans(),
    lease=st.one_of(st.none(), st.sampled_from(Reason)),
)
any_memory = st.builds(
    Memory,
    state=st.sampled_from(State),
    reason=st.sampled_from(Reason),
    since_ns=st.integers(),
    stop_id=words,
    stops=st.integers(0, 5),
    target=any_twist,
    accepted_ns=st.integers(),
    ends_ns=st.integers(),
    output=any_twist,
    slope=st.tuples(any_float, any_float),
    output_ns=any_ns,
    burst_ends_ns=st.none() | st.integers(),
    asked_ns=any_ns,
    still_ns=any_ns,
    challenge=st.one_of(st.none(), st.builds(Challenge, words, words, words, st.integers())),
    tick_ns=any_ns,
    boot_held=st.booleans(),
    seed=words,
    latches=st.integers(0, 5),
)
often = {"drive": 30, "tick": 20, "fast": 8, "back": 4, "zero": 3, "nan": 3, "stop": 4, "reset": 12, "answer": 2}
often |= {"local": 2, "fail": 2, "mend": 16} | dict.fromkeys(SPOILS, 1)
lines = st.tuples(st.sampled_from([word for word, times in often.items() for _ in range(times)]), st.integers(1, 20))


def spelt_out(line: tuple[str, int]) -> list[str]:
    """Return one line of a script, word by word."""
    word, count = line
    if word == "drive":
        return ["move", "tick"] * count
    if word == "reset":
        return ["mend", *["tick"] * 22, "ask", "answer"]
    return [word] * (count if word == "tick" else 1)


scripts = st.lists(lines, min_size=8, max_size=40).map(lambda said: [word for line in said for word in spelt_out(line)])


SPEEDS = {"move": 0.3, "fast": 2.0, "back": -0.4, "zero": 0.0, "nan": math.nan}


def event_of(word: str, stop_id: str) -> Event:
    """Return what a word of a script means."""
    if word in SPEEDS:
        return Asked(Move("m", "pilot", Twist(SPEEDS[word], SPEEDS[word] / 2.0)))
    events: dict[str, Event] = {
        "stop": Stop(),
        "ask": ResetRequest("pilot", stop_id, "n0"),
        "answer": ResetConfirm("pilot", stop_id, "n0"),
        "local": LocalReset(),
        "fail": Fail(),
    }
    return events[word]


def play(stage: Stage, script: list[str], *, without: frozenset[str] = frozenset()) -> None:
    """Act out a script; words in `without` are left out, names of spoils spoil the robot."""
    good = stage.good
    for word in script:
        if word in without:
            continue
        if word == "tick":
            stage.tick()
        elif word == "mend":
            stage.good = good
        elif word in SPOILS:
            stage.spoil(SPOILS[word][0])
        else:
            stage.step(event_of(word, stage.memory.stop_id))


@given(scripts, st.booleans())
def test_p1_p2_what_leaves_is_finite_and_within_the_envelope(script: list[str], bare: bool) -> None:
    """Whatever is asked and whatever fails: held in `always`; and the script is no dead letter."""
    stage = Stage(BARE if bare else FULL)
    stage.tick()
    play(stage, script)

    for _, twist in stage.out:
        assert math.isfinite(twist.linear_mps)
        assert math.isfinite(twist.angular_radps)
        assert abs(twist.linear_mps) <= 0.5
        assert abs(twist.angular_radps) <= 1.0


@given(any_twist, any_robot, st.integers(0, 30))
def test_p1_p2_hold_for_any_number_in_any_message(asked: Twist, known: RobotState, ticks: int) -> None:
    """A move and a robot of arbitrary numbers, in the middle of a drive."""
    stage = bring(State.ACTIVE, BARE)
    stage.good = lambda now_ns: known
    stage.answer(Asked(Move("m", "pilot", asked)))

    stage.tick(ticks)


@given(scripts)
def test_p3_consecutive_outputs_keep_the_slew_limits(script: list[str]) -> None:
    """Away from zero by acceleration, towards it by deceleration; at once only where a latch or a person says so."""
    stage = Stage(BARE)
    stage.tick()
    play(stage, script, without=frozenset({"nobody listens", "other type", "foreign publisher"}))  # these may, too
    sudden = {
        time for time, _, to, _ in stage.log if to in {State.HELD, State.ESTOP, State.FAULT, State.LOCAL, State.IDLE}
    }

    for (before_ns, before), (now_ns, now) in pairwise(stage.out):
        dt_s = max(0, min(now_ns - before_ns, 2 * TICK)) / S
        if any(before_ns <= time <= now_ns for time in sudden):
            continue
        for was, is_, accel, decel in (
            (before.linear_mps, now.linear_mps, 0.5, 1.0),
            (before.angular_radps, now.angular_radps, 1.0, 2.0),
        ):
            bound = accel if abs(is_) > abs(was) else decel
            assert abs(is_ - was) <= bound * dt_s + 1e-9
            assert is_ * was >= 0.0


@given(scripts, scripts)
def test_p4_after_a_stop_nothing_moves_before_a_reset(before: list[str], after: list[str]) -> None:
    """Any past, then a stop, then anything but a reset: only zeros."""
    stage = Stage(FULL)
    stage.tick()
    play(stage, before)
    stage.step(Stop())
    since = stage.now_ns
    play(stage, after, without=frozenset({"answer", "local"}))

    assert set(stage.published(since)) <= {ZERO}
    assert stage.state in {State.HELD, State.ESTOP, State.FAULT, State.DOWN}


@given(scripts)
def test_p5_a_latch_leads_to_motion_only_through_held_idle_and_a_new_move(script: list[str]) -> None:
    """ESTOP and FAULT -> HELD -> IDLE -> ACTIVE; each is its own step in the log."""
    stage = Stage(FULL)
    stage.tick()
    play(stage, script)
    allowed = {
        State.ESTOP: {State.HELD, State.FAULT},
        State.FAULT: {State.HELD},
        State.HELD: {State.IDLE, State.ESTOP, State.FAULT},
        State.IDLE: {State.ACTIVE, State.HELD, State.ESTOP, State.FAULT, State.LOCAL},
    }

    for _, came, to, _ in stage.log:
        assert to in allowed.get(came, set(State)), f"{came} -> {to}"
    for (_, _, to, reason), (_, came, then, _) in pairwise(stage.log):
        if came is State.IDLE and then is State.ACTIVE and reason is Reason.RESET_OK:
            assert to is State.IDLE


@pytest.mark.parametrize(
    ("field", "limit_ns", "at_once"),
    [
        ("estop_ns", 500 * MS, True),
        ("scan_ns", 300 * MS, True),
        ("pose_ns", 500 * MS, False),
    ],
)
@pytest.mark.parametrize("phase_ns", [0, 1, 17 * MS, 49 * MS])
def test_p6_a_required_input_that_falls_silent_ends_motion(
    field: str, limit_ns: int, at_once: bool, phase_ns: int
) -> None:
    """Zero within the limit and two ticks; where a ramp is allowed, it has begun by then and takes what it takes."""
    stage = bring(State.IDLE)
    stage.drive(0.5, ticks=40)
    last_ns = stage.now_ns + phase_ns

    def known(now_ns: int) -> RobotState:
        silent: dict[str, Any] = {field: min(now_ns, last_ns)}
        return replace(robot(now_ns), **silent)

    stage.good = known
    while stage.now_ns < last_ns + limit_ns + 2 * TICK:
        stage.drive(0.5, ticks=1)
    by_then = stage.memory.output.linear_mps
    stage.tick(11)

    assert by_then == 0.0 if at_once else by_then < 0.5
    assert stage.memory.output == ZERO
    assert stage.state is not State.ACTIVE


def test_p6_a_battery_that_falls_silent_makes_it_creep() -> None:
    """The one input whose silence is not the end: 0.3 m/s."""
    stage = bring(State.IDLE)
    last_ns = stage.now_ns
    stage.good = lambda now_ns: replace(robot(now_ns), battery_ns=last_ns)
    stage.drive(0.5, ticks=198)
    before = stage.memory.output.linear_mps
    stage.drive(0.5, ticks=10)

    assert before == 0.5
    assert stage.memory.output.linear_mps == pytest.approx(0.3)


@given(scripts)
def test_p7_an_old_reset_opens_nothing_again(script: list[str]) -> None:
    """The whole dialogue of the last reset, played once more to a later stop: refused."""
    stage = bring(State.HELD)
    old = stage.memory.stop_id
    assert reset(stage).verdict is Verdict.OK
    play(stage, script, without=frozenset({"ask", "answer", "local"}))
    stage.step(Stop())
    stage.good = robot
    stage.tick(30)
    answers = [
        stage.answer(event)
        for event in (
            ResetRequest("pilot", old, "n0"),
            ResetConfirm("pilot", old, "n0"),
            ResetConfirm("pilot", old, ""),
        )
    ]

    assert {answer.verdict for answer in answers} == {Verdict.REJECTED}
    assert stage.state is not State.IDLE


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(["move", "fast", "nan", "zero"])), max_size=40), st.data())
def test_p8_dropping_and_repeating_moves_never_adds_an_acceptance(
    sent: list[tuple[bool, str]], data: st.DataObject
) -> None:
    """What was refused stays refused, whichever of the other moves get lost or come twice."""

    def accepted(wires: list[tuple[int, bool, str]]) -> set[int]:
        stage = bring(State.IDLE, replace(FULL, fence=BARE.fence))
        got = set()
        for number, bad, word in wires:
            stage.good = robot if not bad else lambda now_ns: replace(robot(now_ns), lease=Reason.NO_LEASE)
            speed = {"move": 0.3, "fast": 9.0, "nan": math.nan, "zero": 0.0}[word]
            if stage.move(speed).verdict in ACCEPTED:
                got.add(number)
            stage.tick()
        return got

    wires = [(number, bad, word) for number, (bad, word) in enumerate(sent)]
    changed = [wire for wire in wires for _ in range(data.draw(st.sampled_from([0, 1, 1, 2])))]

    assert accepted(changed) <= accepted(wires)


@given(scripts, st.sampled_from([-315_576_000 * S, 315_576_000 * S, 1, -1]))
def test_p9_only_differences_of_time_matter(script: list[str], shift_ns: int) -> None:
    """Ten years earlier or later: the same decisions to the bit. There is no wall clock in here to jump."""
    here = Stage(FULL)
    there = Stage(FULL, memory=begin(boot_held=False, seed="boot", now_ns=NOW + shift_ns), now_ns=NOW + shift_ns)
    for stage in (here, there):
        stage.tick()
        play(stage, script)

    assert [(time + shift_ns, twist) for time, twist in here.out] == there.out
    assert [(time + shift_ns, *rest) for time, *rest in here.log] == [tuple(entry) for entry in there.log]


@given(st.sets(st.sampled_from(sorted(SPOILS)), max_size=4), st.sampled_from(sorted(SPOILS)))
def test_p10_one_more_bad_fact_never_takes_a_reason_away(bad: set[str], worse: str) -> None:
    """Every reason that stood alone still stands; about the same fact, one reason may take the place of another."""
    told = []
    for names in (bad, bad | {worse}):
        stage = bring(State.IDLE)
        for name in sorted(names):
            stage.spoil(SPOILS[name][0])
        answer = stage.move()
        told.append(set(answer.reasons) if answer.verdict is Verdict.REJECTED else set())

    def fact(name: str) -> str:
        first = name.split(maxsplit=1)[0]
        return {"no": "lease", "wall": "scan", "other": "nobody"}.get(first, first)

    same = {SPOILS[name][1] for name in bad if fact(name) == fact(worse)}
    same |= {Reason.GEOFENCE}  # which needs a pose to be judged at all
    assert told[1]
    assert told[0] - same <= told[1]


WORSE = {  # field: the good end, the bad end
    "battery": (1.0, 0.0),
    "battery_ns": (0.0, 15.0),
    "pose_ns": (0.0, 0.8),
    "sigma": (0.0, 0.8),
    "estop_ns": (0.0, 0.8),
    "scan_ns": (0.0, 0.5),
    "points": (0.0, 6.0),
    "gap": (3.0, 0.0),
}
levels = st.fixed_dictionaries({name: st.floats(0.0, 1.0) for name in WORSE})


@settings(max_examples=200)
@given(levels, st.sampled_from(sorted(WORSE)), st.floats(0.0, 1.0), st.floats(-1.0, 1.0))
def test_p10_a_fact_that_grows_worse_never_speeds_up(
    level: dict[str, float], name: str, further: float, speed: float
) -> None:
    """By degrees: less charge, older, vaguer, nearer. Refused stays refused; what is applied only shrinks."""

    def applied(at: dict[str, float]) -> float:
        fact = {key: good + (bad - good) * at[key] for key, (good, bad) in WORSE.items()}
        ages = {key: round(value * S) for key, value in fact.items() if key.endswith("_ns")}
        wall = tuple((math.copysign(0.5 + fact["gap"], speed), 0.01 * n) for n in range(int(fact["points"])))

        def known(now_ns: int) -> RobotState:
            times: dict[str, Any] = {key: now_ns - age for key, age in ages.items()}
            vague = Pose(0.0, 0.0, 0.0, fact["sigma"])
            return replace(robot(now_ns, ZERO, vague), battery=fact["battery"], scan=wall, **times)

        stage = bring(State.IDLE)
        stage.good = known
        return abs((stage.move(speed).applied or ZERO).linear_mps)

    worse = level | {name: max(level[name], further)}

    assert applied(worse) <= applied(level) + 1e-12


@dataclass(slots=True)
class World:
    """A base that does what it is told, and says where it is."""

    pose: Pose
    twist: Twist = ZERO

    def go(self, dt_s: float) -> None:
        """Drive the arc of the last twist for so long."""
        self.pose = along(self.pose, self.twist, dt_s)

    def facts(self, now_ns: int) -> RobotState:
        """What the robot knows."""
        return robot(now_ns, self.twist, self.pose)


def along(pose: Pose, twist: Twist, dt_s: float) -> Pose:
    """Return the pose after the exact arc."""
    turn = twist.angular_radps * dt_s
    chord = twist.linear_mps * dt_s * (math.sin(turn / 2.0) / (turn / 2.0) if turn else 1.0)
    heading = pose.yaw_rad + turn / 2.0
    return Pose(
        pose.x_m + chord * math.cos(heading), pose.y_m + chord * math.sin(heading), pose.yaw_rad + turn, pose.sigma_m
    )


def stopping_points(pose: Pose, twist: Twist, limits: GateLimits) -> list[tuple[float, float]]:
    """Return points of the way that the robot still goes if it is stopped now: reaction, then braking along the arc."""
    speed = abs(twist.linear_mps)
    way_m = speed * limits.reaction_ns / S + speed * speed / (2.0 * limits.brake_margin * limits.linear_decel_max_mps2)
    seconds = way_m / speed if speed else 0.0
    ends = [along(pose, twist, seconds * n / 20.0) for n in range(21)]
    return [(end.x_m, end.y_m) for end in ends]


SMALL = ((-2.0, -2.0), (2.0, -2.0), (2.0, 2.0), (-2.0, 2.0))
PILLAR = ((0.5, 0.5), (0.9, 0.5), (0.9, 0.9), (0.5, 0.9))
FENCED = replace(FULL, fence=Fence(inside=(SMALL,), outside=(PILLAR,)), scan=None, linear_max_mps=1.0)


@settings(max_examples=60)
@given(
    st.floats(-1.2, 0.0),
    st.floats(-1.2, 0.0),
    st.floats(-math.pi, math.pi),
    st.lists(st.tuples(st.floats(-1.0, 1.0), st.floats(-1.0, 1.0), st.integers(1, 30)), min_size=1, max_size=6),
    st.sampled_from([1, 1, 9, 15]),
)
def test_p11_at_every_tick_the_robot_could_still_stop_inside_the_fence(
    x_m: float, y_m: float, yaw_rad: float, drives: list[tuple[float, float, int]], every: int
) -> None:
    """Its whole disc, along the whole stopping arc: within the square, and clear of the pillar in it; on ramps, too."""
    world = World(Pose(x_m, y_m, yaw_rad, 0.01))
    stage = Stage(FENCED, good=world.facts)
    stage.tick()
    radius = FENCED.fence.robot_radius_m
    for linear, angular, ticks in drives:
        for tick in range(ticks):
            if tick % every == 0:
                stage.move(linear, angular)
            stage.tick()
            world.twist = stage.last.publish or ZERO
            for x, y in stopping_points(world.pose, world.twist, FENCED):
                assert max(abs(x), abs(y)) <= 2.0 - radius
                beside = math.hypot(max(0.5 - x, 0.0, x - 0.9), max(0.5 - y, 0.0, y - 0.9))
                assert beside >= radius
            world.go(TICK / S)


@settings(max_examples=60)
@given(st.floats(2.0, 4.0), st.floats(-math.pi, math.pi), st.floats(-0.5, 0.5), st.floats(-1.0, 1.0))
def test_p11_already_outside_it_only_comes_back_and_slowly(
    x_m: float, yaw_rad: float, linear: float, angular: float
) -> None:
    """Never deeper out, never faster than 0.2 m/s."""
    world = World(Pose(x_m, 0.0, yaw_rad, 0.01))
    stage = Stage(FENCED, good=world.facts)
    stage.tick()
    for _ in range(10):
        stage.move(linear, angular)
        before = world.pose
        stage.tick()
        world.twist = stage.last.publish or ZERO
        world.go(TICK / S)

        assert abs(world.twist.linear_mps) <= 0.2
        assert abs(world.pose.x_m) <= max(abs(before.x_m), 1.7) + 1e-9


@settings(max_examples=500)
@given(any_memory, any_event, any_robot, st.booleans(), st.one_of(st.integers(NOW - S, NOW + S), st.integers()))
def test_p12_there_is_no_input_for_which_it_raises(
    memory: Memory, event: Event, known: RobotState, bare: bool, now_ns: int
) -> None:
    """Any state, any memory, also impossible ones; what leaves is still finite and within the limits."""
    limits = BARE if bare else FULL

    after, decision = step(memory, event, known, limits, now_ns=now_ns)

    out = decision.publish
    assert isinstance(after, Memory)
    assert out is None or (abs(out.linear_mps) <= 0.5 and abs(out.angular_radps) <= 1.0)
    assert out in {None, ZERO} or after.state in DRIVING
    assert (decision.answer is not None) == isinstance(event, COMMANDS)


@settings(max_examples=300)
@given(
    st.builds(
        GateLimits,
        remote_motion=st.just(True),  # noqa: FBT003
        linear_max_mps=any_float,
        angular_max_radps=any_float,
        linear_accel_max_mps2=any_float,
        linear_decel_max_mps2=any_float,
        linear_jerk_max_mps3=any_float,
        deadman_ns=st.integers(),
        tick_ns=st.integers(),
        burst_ns=st.integers(),
        battery_required=st.booleans(),
        fence=st.sampled_from([Fence(), Fence(inside=(SMALL,)), Fence(inside=(((math.nan, 0.0),),))]),
        scan=st.one_of(st.none(), st.builds(StopZone, any_float, any_float, st.integers(), st.integers())),
    ),
    st.lists(any_event, max_size=8),
    any_robot,
)
def test_p12_neither_do_limits_that_nobody_should_have_set(
    limits: GateLimits, events: list[Event], known: RobotState
) -> None:
    """NaN, negative, zero: it may refuse everything, but it answers; and a limit that is none lets nothing out."""
    memory, now_ns = begin(boot_held=False, seed="boot", now_ns=NOW), NOW
    for event in [Tick(), *events, Tick()]:
        now_ns += TICK
        before = memory
        memory, decision = step(before, event, known, limits, now_ns=now_ns)
        always(before, event, limits, memory, decision)


@given(scripts)
def test_p13_every_command_gets_exactly_one_answer(script: list[str]) -> None:
    """One for each, with a code that is among its reasons, and none for time."""
    stage = Stage(FULL)
    stage.tick()
    for word in script:
        play(stage, [word])
        answer = stage.last.answer
        if answer is not None:
            assert answer.code in (*answer.reasons, Reason.CHALLENGE)
            assert (answer.applied is not None) == (answer.verdict in {*ACCEPTED, Verdict.STOPPED})


@given(scripts)
def test_p14_after_the_release_there_is_silence_until_the_next_acceptance(script: list[str]) -> None:
    """In IDLE nothing leaves: neither zeros nor a late twist."""
    stage = bring(State.IDLE)
    play(stage, script)
    idle_since: int | None = None
    spans = []
    for time, _, to, _ in stage.log:
        if idle_since is not None:
            spans.append((idle_since, time))
        idle_since = time if to in {State.IDLE, State.LOCAL} else None

    for began, ended in spans:
        assert not [time for time, _ in stage.out if began < time < ended]


@pytest.mark.parametrize("name", ["nan", "too fast", "not allowed", "no lease"])
@pytest.mark.parametrize("every_ns", [1 * MS, 20 * MS])
def test_p15_rejected_traffic_never_keeps_the_robot_moving(name: str, every_ns: int) -> None:
    """One good move, then refused ones at 50 Hz or at 1 kHz: it brakes just when it would have in silence."""

    def outputs(noise: bool) -> list[tuple[int, Twist]]:
        stage = bring(State.IDLE, BARE)
        stage.drive(0.5, ticks=40)
        stage.move(0.5, duration_ns=1 * S)
        began = stage.now_ns
        bad = Twist(math.nan, 0.0) if name == "nan" else Twist(6.0, 0.0)
        for n in range(1, 1500):
            stage.now_ns = began + n * MS
            if noise and stage.now_ns % every_ns == 0:
                good = stage.good
                if name == "no lease":
                    stage.good = lambda now_ns: replace(robot(now_ns), lease=Reason.NO_LEASE)
                limits = stage.limits
                if name == "not allowed":
                    stage.limits = replace(limits, remote_motion=False)
                answer = stage.answer(Asked(Move("m", "pilot", bad)))
                assert answer.verdict is Verdict.REJECTED
                stage.good, stage.limits = good, limits
            if n % 50 == 0:
                stage.step(Tick())
        return [(time - began, twist) for time, twist in stage.out if time > began]

    silent, noisy = outputs(noise=False), outputs(noise=True)

    assert noisy == silent
    assert next(twist for time, twist in silent if time == 500 * MS).linear_mps < 0.5
    assert dict(silent)[1000 * MS] == ZERO


@given(any_memory, any_event, any_robot)
def test_step_is_a_function(memory: Memory, event: Event, known: RobotState) -> None:
    """Same inputs, same outputs, and nothing of the inputs is touched."""
    first = step(memory, event, known, FULL, now_ns=NOW)
    copy = repr((memory, event, known))
    second = step(memory, event, known, FULL, now_ns=NOW)

    assert repr(first) == repr(second)
    assert repr((memory, event, known)) == copy
