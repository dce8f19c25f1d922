"""A stage for the gate: a robot in numbers, a clock that is only an integer, and everything that was ever published.

`Stage.step` is the one place where the tests call the gate, and it holds every decision against what must always be
true (`always`). So a test that only drives along checks those as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from edgetwin.gate.events import (
    Asked,
    Event,
    Fail,
    LocalReset,
    ResetConfirm,
    ResetRequest,
    Shutdown,
    Stop,
    Tick,
)
from edgetwin.gate.gate import begin, step
from edgetwin.gate.limits import MS, Fence, GateLimits, StopZone
from edgetwin.gate.memory import Decision, Memory
from edgetwin.motion import ZERO, Answer, Move, Pose, Reason, RobotState, State, Twist, Verdict

S = 1_000 * MS
TICK = 50 * MS
NOW = 1_000 * S  # any boot time; far from zero, so that a forgotten `now_ns` shows
LATCHED = frozenset({State.HELD, State.ESTOP, State.FAULT})
DRIVING = frozenset({State.ACTIVE, State.BRAKE})
COMMANDS = (Stop, Asked, ResetRequest, ResetConfirm, LocalReset)

SQUARE = ((-10.0, -10.0), (10.0, -10.0), (10.0, 10.0), (-10.0, 10.0))
BARE = GateLimits(remote_motion=True)
"""What a robot has that has neither e-stop input, nor override, battery, fence or scan."""

FULL = replace(
    BARE,
    estop_age_max_ns=500 * MS,
    override_quiet_ns=2 * S,
    battery_required=True,
    pose_required=True,
    still_required=True,
    fence=Fence(inside=(SQUARE,)),
    scan=StopZone(),
)
"""Every input there is, and a fence of 20 m by 20 m around the origin."""


def robot(now_ns: int = NOW, speed: Twist = ZERO, pose: Pose | None = None) -> RobotState:
    """Return a robot of which everything is known, fresh and good: `FULL` lets it drive."""
    return RobotState(
        pose=pose or Pose(0.0, 0.0, 0.0, 0.01),
        pose_ns=now_ns,
        speed=speed,
        speed_ns=now_ns,
        battery=0.8,
        battery_ns=now_ns,
        estop=False,
        estop_ns=now_ns,
        scan=(),
        scan_ns=now_ns,
        subscribers=1,
    )


def near(twist: Twist | None, linear_mps: float, angular_radps: float = 0.0) -> bool:
    """Whether a twist is this one, but for rounding."""
    return (
        twist is not None
        and math.isclose(twist.linear_mps, linear_mps, abs_tol=2e-9)
        and math.isclose(twist.angular_radps, angular_radps, abs_tol=2e-9)
    )


Spoil = Callable[[RobotState, int], RobotState]
"""Makes a good robot bad, at a time."""

WALL = tuple((0.4, -0.1 + 0.05 * i) for i in range(5))
"""Five points of a wall right ahead, inside the stop zone."""

SPOILS: dict[str, tuple[Spoil, Reason]] = {
    "e-stop pressed": (lambda r, n: replace(r, estop=True), Reason.ESTOP),
    "e-stop old": (lambda r, n: replace(r, estop_ns=n - 500 * MS - 1), Reason.ESTOP_STALE),
    "e-stop never heard": (lambda r, n: replace(r, estop=None, estop_ns=None), Reason.ESTOP_STALE),
    "e-stop from the future": (lambda r, n: replace(r, estop_ns=n + TICK + 1), Reason.ESTOP_STALE),
    "somebody beside it drives": (lambda r, n: replace(r, override_ns=n), Reason.LOCAL_OVERRIDE),
    "no lease": (lambda r, n: replace(r, lease=Reason.NO_LEASE), Reason.NO_LEASE),
    "lease old": (lambda r, n: replace(r, lease=Reason.LEASE_STALE), Reason.LEASE_STALE),
    "nobody listens": (lambda r, n: replace(r, subscribers=0), Reason.NO_SUBSCRIBER),
    "other type": (lambda r, n: replace(r, subscribers=0, type_mismatch=True), Reason.TYPE_MISMATCH),
    "foreign publisher": (lambda r, n: replace(r, foreign_publisher=True), Reason.FOREIGN_PUBLISHER),
    "battery empty": (lambda r, n: replace(r, battery=math.nextafter(0.1, 0.0)), Reason.BATTERY),
    "battery never heard": (lambda r, n: replace(r, battery=None, battery_ns=None), Reason.BATTERY),
    "battery not a number": (lambda r, n: replace(r, battery=math.nan), Reason.BATTERY),
    "pose old": (lambda r, n: replace(r, pose_ns=n - 500 * MS - 1), Reason.LOCALISATION),
    "pose never heard": (lambda r, n: replace(r, pose=None, pose_ns=None), Reason.LOCALISATION),
    "pose from the future": (lambda r, n: replace(r, pose_ns=n + TICK + 1), Reason.LOCALISATION),
    "pose vague": (lambda r, n: replace(r, pose=Pose(0.0, 0.0, 0.0, math.nextafter(0.5, 1.0))), Reason.LOCALISATION),
    "pose not a number": (lambda r, n: replace(r, pose=Pose(math.nan, 0.0, 0.0, 0.01)), Reason.LOCALISATION),
    "scan old": (lambda r, n: replace(r, scan_ns=n - 300 * MS - 1), Reason.SCAN_STALE),
    "scan never heard": (lambda r, n: replace(r, scan=None, scan_ns=None), Reason.SCAN_STALE),
    "scan from the future": (lambda r, n: replace(r, scan_ns=n + TICK + 1), Reason.SCAN_STALE),
    "scan untrusted": (lambda r, n: replace(r, scan=None), Reason.SCAN_STALE),
    "wall ahead": (lambda r, n: replace(r, scan=WALL), Reason.OBSTACLE),
}
"""Every way in which one fact about the robot forbids motion (straight ahead), and the code that says so."""


def always(before: Memory, event: Event, limits: GateLimits, after: Memory, decision: Decision) -> None:
    """Hold one step against what is true of every step, whatever came before it."""
    out = decision.publish
    if out is not None:
        assert math.isfinite(out.linear_mps), f"P1: {out}"
        assert math.isfinite(out.angular_radps), f"P1: {out}"
        if out != ZERO:
            assert abs(out.linear_mps) <= min(limits.linear_max_mps, limits.linear_rating_mps), f"P2: {out}"
            assert abs(out.angular_radps) <= min(limits.angular_max_radps, limits.angular_rating_radps), f"P2: {out}"
            assert isinstance(event, Tick), f"motion left at {event}"
            assert after.state in DRIVING, f"motion in {after.state}"
            assert limits.remote_motion, "motion although remote_motion is off"
    if isinstance(event, Stop):
        assert out == ZERO, "a stop publishes zero at once"
    assert (decision.answer is not None) == isinstance(event, COMMANDS), f"P13: {event} -> {decision.answer}"
    if before.state is State.DOWN:
        assert after.state is State.DOWN, "nothing comes back from DOWN"
    if after.state in LATCHED:
        assert after.stop_id, f"a latch without a name in {after.state}"
    elif after.state is not State.DOWN and not after.boot_held:
        assert not after.stop_id, f"{after.state} is not latched"
    if after.state is State.ACTIVE and before.state is not State.ACTIVE:
        assert before.state in {State.IDLE, State.BRAKE}, f"ACTIVE out of {before.state}"
        assert isinstance(event, Asked), f"ACTIVE by {event}"
    if before.state in LATCHED:
        assert after.state in {*LATCHED, State.IDLE, State.DOWN}, f"{before.state} -> {after.state}"
        if after.state is State.IDLE:
            assert isinstance(event, ResetConfirm | LocalReset), f"a latch left by {event}"


@dataclass(slots=True)
class Stage:
    """A gate, its robot and its time.

    Attributes:
        good: What the robot knows at a time; a test replaces it to spoil the robot.
        out: Every twist that left, with its time.
        log: Every state change, as (time, from, to, reason).
    """

    limits: GateLimits = FULL
    memory: Memory = field(default_factory=lambda: begin(boot_held=False, seed="boot", now_ns=NOW))
    now_ns: int = NOW
    good: Callable[[int], RobotState] = robot
    out: list[tuple[int, Twist]] = field(default_factory=list)
    log: list[tuple[int, State, State, Reason]] = field(default_factory=list)
    last: Decision = field(default_factory=Decision)

    @property
    def state(self) -> State:
        """Where the gate is."""
        return self.memory.state

    def step(self, event: Event) -> Decision:
        """One event, now."""
        before = self.memory
        self.memory, self.last = step(before, event, self.good(self.now_ns), self.limits, now_ns=self.now_ns)
        always(before, event, self.limits, self.memory, self.last)
        if self.last.publish is not None:
            self.out.append((self.now_ns, self.last.publish))
        if before.state is not self.memory.state:
            self.log.append((self.now_ns, before.state, self.memory.state, self.memory.reason))
        return self.last

    def answer(self, event: Event) -> Answer:
        """One command, now; return what its ack says."""
        answer = self.step(event).answer
        assert answer is not None
        return answer

    def tick(self, count: int = 1, after_ns: int = TICK) -> Decision:
        """Let time pass, tick by tick."""
        for _ in range(count):
            self.now_ns += after_ns
            self.step(Tick())
        return self.last

    def tick_until(self, state: State, limit: int = 200) -> None:
        """Let time pass until the gate is in `state`."""
        for _ in range(limit):
            if self.state is state:
                return
            self.tick()
        assert self.state is state, f"still {self.state}, not {state}, after {limit} ticks"

    def move(self, linear: float = 0.2, angular: float = 0.0, duration_ns: int | None = None) -> Answer:
        """Ask for a move."""
        return self.answer(Asked(Move("m", "pilot", Twist(linear, angular), duration_ns)))

    def drive(self, linear: float = 0.2, angular: float = 0.0, *, ticks: int = 20) -> None:
        """Ask again before every tick, as an operator does."""
        for _ in range(ticks):
            self.move(linear, angular)
            self.tick()

    def spoil(self, spoil: Spoil) -> None:
        """From now on one fact of the robot is bad."""
        good = self.good
        self.good = lambda now_ns: spoil(good(now_ns), now_ns)

    def published(self, since_ns: int) -> list[Twist | None]:
        """Return what left after `since_ns`."""
        return [twist for time, twist in self.out if time > since_ns]


def bring(state: State, limits: GateLimits = FULL, stage: Stage | None = None) -> Stage:
    """Return a stage that has come to `state` by legal steps, with a good robot."""
    stage = stage or Stage(limits=limits)
    if state is State.INIT:
        return stage
    stage.tick_until(State.IDLE, 3)
    if state in DRIVING:
        stage.drive(0.2, 0.0)
    if state is State.BRAKE:
        stage.move(0.0, 0.0)
        stage.tick()
    elif state is State.HELD:
        stage.step(Stop())
        stage.tick(30)
    elif state is State.ESTOP:
        stage.spoil(SPOILS["e-stop pressed"][0])
        stage.tick()
        stage.good = robot
    elif state is State.LOCAL:
        stage.spoil(SPOILS["somebody beside it drives"][0])
        stage.tick()
        stage.good = robot
    elif state is State.FAULT:
        stage.step(Fail())
    elif state is State.DOWN:
        stage.step(Shutdown())
    assert stage.state is state, f"meant {state}, is {stage.state}"
    return stage


def reset(stage: Stage) -> Answer:
    """Reset remotely, both steps; return the last ack."""
    first = stage.answer(ResetRequest("pilot", stage.memory.stop_id, "n0"))
    if first.verdict is not Verdict.CHALLENGE:
        return first
    return stage.answer(ResetConfirm("pilot", stage.memory.stop_id, first.nonce))
