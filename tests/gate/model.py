"""The gate once more, as small and as plain as the specification says it: what `gate.step` is held against.

It knows nothing of ramps, curves and fences: it says in which state the gate must be, what the answer must say, and
whether what leaves may be motion, must be zero, or must be nothing. Slow and simple on purpose; it shares with the
gate only the words (events, states, reasons, limits).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from edgetwin.gate.events import Asked, Event, Fail, LocalReset, ResetConfirm, ResetRequest, Shutdown, Stop, Tick
from edgetwin.gate.limits import GateLimits, StopZone
from edgetwin.motion import ZERO, Pose, Reason, RobotState, State, Twist, Verdict

AT_ONCE = {
    Reason.ESTOP, Reason.ESTOP_STALE, Reason.NO_SUBSCRIBER, Reason.TYPE_MISMATCH, Reason.FOREIGN_PUBLISHER,
    Reason.OBSTACLE, Reason.SCAN_STALE,
}  # fmt: skip
"""Rows 17, 21 and 28: no ramp."""

UNREADY = {Reason.ESTOP, Reason.ESTOP_STALE, Reason.NO_SUBSCRIBER, Reason.TYPE_MISMATCH}
LATCHED = {State.HELD, State.ESTOP, State.FAULT}
DRIVING = {State.ACTIVE, State.BRAKE}
RIGHT = "right"  # stands for the stop_id of the latch, which the model does not name


class Out(Enum):
    """What may leave."""

    NOTHING = "nothing"
    ZERO = "zero"
    ZERO_OR_NOTHING = "zero or nothing"
    BOUNDED = "anything within the limits"


def fresh(heard_ns: int | None, age_max_ns: int, now_ns: int, tick_ns: int) -> bool:
    """Whether a fact counts: heard, not too old, not from the future (a tick of that is the order of reading)."""
    return heard_ns is not None and -tick_ns <= now_ns - heard_ns <= age_max_ns


def why_not(robot: RobotState, limits: GateLimits, now_ns: int) -> set[Reason]:
    """Return what the robot's own facts say against motion straight ahead in the open; rows 17 to 23 and 28."""

    def heard(heard_ns: int | None, age_max_ns: int) -> bool:
        return fresh(heard_ns, age_max_ns, now_ns, limits.tick_ns)

    estop_ns, quiet_ns, zone = limits.estop_age_max_ns, limits.override_quiet_ns, limits.scan
    known = estop_ns is None or (robot.estop is not None and heard(robot.estop_ns, estop_ns))
    located = sound(robot.pose, limits.pose_sigma_max_m) and heard(robot.pose_ns, limits.pose_age_max_ns)
    seen = zone is None or (robot.scan is not None and heard(robot.scan_ns, zone.age_max_ns))
    table = {
        Reason.ESTOP_STALE: not known,
        Reason.ESTOP: estop_ns is not None and known and robot.estop,
        Reason.LOCAL_OVERRIDE: quiet_ns is not None
        and robot.override_ns is not None
        and now_ns - robot.override_ns <= quiet_ns,
        Reason.NO_LEASE: robot.lease is Reason.NO_LEASE,
        Reason.LEASE_STALE: robot.lease is Reason.LEASE_STALE,
        Reason.NO_SUBSCRIBER: limits.subscriber_required and robot.subscribers < 1,
        Reason.TYPE_MISMATCH: robot.type_mismatch,
        Reason.FOREIGN_PUBLISHER: robot.foreign_publisher,
        Reason.BATTERY: limits.battery_required and not limits.battery_min <= (robot.battery or 0.0) < math.inf,
        Reason.LOCALISATION: limits.pose_required and not located,
        Reason.SCAN_STALE: not seen,
        Reason.OBSTACLE: zone is not None and seen and ahead(robot, zone) >= zone.points_min,
    }
    return {reason for reason, tripped in table.items() if tripped}


def sound(pose: Pose | None, sigma_max_m: float) -> bool:
    """Whether a pose is made of numbers and sharp enough."""
    if pose is None:
        return False
    return all(map(math.isfinite, (pose.x_m, pose.y_m, pose.yaw_rad))) and 0.0 <= pose.sigma_m <= sigma_max_m


def ahead(robot: RobotState, zone: StopZone) -> int:
    """Return how many points of the scan are in the stop zone ahead."""
    return sum(0.0 <= x <= zone.front_m and abs(y) <= zone.half_width_m for x, y in robot.scan or ())


def all_heard(robot: RobotState, limits: GateLimits, now_ns: int) -> bool:
    """Whether every input that motion needs speaks, whatever it says."""
    needed = []
    if limits.battery_required:
        needed.append((robot.battery_ns, limits.battery_age_max_ns))
    if limits.pose_required:
        needed.append((robot.pose_ns, limits.pose_age_max_ns))
    if limits.scan is not None:
        needed.append((robot.scan_ns, limits.scan.age_max_ns))
    return all(fresh(heard_ns, age_max_ns, now_ns, limits.tick_ns) for heard_ns, age_max_ns in needed)


@dataclass(slots=True)
class Model:
    """States, latch, deadman, burst, hold and reset: tables 1b and 1d in as few lines as they take."""

    limits: GateLimits
    state: State = State.INIT
    boot_held: bool = False
    accepted_ns: int = 0
    ends_ns: int = 0
    zero_since_ns: int | None = None
    nonce: tuple[str, str, int] | None = None
    asked_ns: int | None = None
    still_since_ns: int | None = None
    ticked_ns: int | None = None
    verdict: Verdict | None = None

    def step(self, event: Event, robot: RobotState, now_ns: int) -> Out:
        """Follow one event; return what may leave."""
        self.verdict, before = None, self.state
        why = why_not(robot, self.limits, now_ns)
        if isinstance(event, Tick):
            self._tick(why, robot, now_ns)
        else:
            self._event(event, why, robot, now_ns)
        if self.state is not before and self.state in LATCHED:
            self.nonce = None
        return self._out(event, why)

    def _tick(self, why: set[Reason], robot: RobotState, now_ns: int) -> None:
        """What the robot and the time do to the state; each line may follow upon the one before."""
        limits = self.limits
        if not self._standing(robot, now_ns):
            self.still_since_ns = None
        elif self.still_since_ns is None:
            self.still_since_ns = now_ns
        late = self.ticked_ns is not None and now_ns - self.ticked_ns > limits.tick_fault_ns
        self.ticked_ns = now_ns
        if self.state in DRIVING and late:
            self.state = State.FAULT
        self._latch(why, unheard=robot.estop_ns is None)
        if self.state is State.INIT and not why & UNREADY and all_heard(robot, limits, now_ns):
            self.state = State.IDLE
        if self.state in {State.IDLE, *DRIVING} and Reason.LOCAL_OVERRIDE in why:
            self.state = State.LOCAL
        elif self.state is State.LOCAL and Reason.LOCAL_OVERRIDE not in why:
            self.state = State.IDLE
        self._end(why, now_ns)

    def _latch(self, why: set[Reason], *, unheard: bool) -> None:
        estop = bool(why & {Reason.ESTOP, Reason.ESTOP_STALE})
        if self.state is State.INIT and unheard:
            estop = False  # not heard yet: not ready yet
        if estop and self.state not in {State.FAULT, State.DOWN}:
            self.state = State.ESTOP
        elif self.state is State.ESTOP and not estop:
            self.state = State.HELD
        if self.state is State.INIT and self.boot_held:
            self.state = State.HELD

    def _end(self, why: set[Reason], now_ns: int) -> None:
        over = not 0 <= now_ns - self.accepted_ns < self.limits.deadman_ns or now_ns >= self.ends_ns
        since = self.zero_since_ns
        if self.state is State.ACTIVE and (why or over):
            self.state, self.zero_since_ns = State.BRAKE, None
        elif self.state is State.BRAKE and since is not None and now_ns - since >= self.limits.burst_ns:
            self.state = State.IDLE

    def _standing(self, robot: RobotState, now_ns: int) -> bool:
        speed, limits = robot.speed, self.limits
        return (
            speed is not None
            and fresh(robot.speed_ns, limits.pose_age_max_ns, now_ns, limits.tick_ns)
            and abs(speed.linear_mps) < limits.still_mps
            and abs(speed.angular_radps) < limits.still_radps
        )

    def _event(self, event: Event, why: set[Reason], robot: RobotState, now_ns: int) -> None:
        if isinstance(event, Stop):
            self.verdict, self.nonce = Verdict.STOPPED, None
            if self.state not in {State.ESTOP, State.FAULT, State.DOWN}:
                self.state = State.HELD
        elif isinstance(event, Asked):
            self._asked(event, why, now_ns)
        elif isinstance(event, ResetRequest | ResetConfirm | LocalReset):
            self._reset(event, why, robot, now_ns)
        elif isinstance(event, Fail) and self.state is not State.DOWN:
            self.state = State.FAULT
        elif isinstance(event, Shutdown):
            self.state = State.DOWN

    def _asked(self, event: Asked, why: set[Reason], now_ns: int) -> None:
        self.asked_ns = now_ns
        twist, limits = event.move.twist, self.limits
        if twist == ZERO:
            why = why - {Reason.OBSTACLE}  # nothing is in the way of standing
        sane = abs(twist.linear_mps) <= limits.linear_rating_mps
        sane = sane and abs(twist.angular_radps) <= limits.angular_rating_radps
        if why or not sane or not limits.remote_motion or self.state not in {State.IDLE, *DRIVING}:
            self.verdict = Verdict.REJECTED
            return
        self.verdict = Verdict.ACCEPTED
        if twist == ZERO:
            if self.state is State.ACTIVE:
                self.state, self.zero_since_ns = State.BRAKE, None
            return
        if self.state is State.IDLE:
            self.ticked_ns = now_ns  # the watchdog is about motion: it starts here
        asked_ns = limits.duration_default_ns if event.move.duration_ns is None else event.move.duration_ns
        self.state, self.accepted_ns = State.ACTIVE, now_ns
        self.ends_ns = now_ns + min(asked_ns, limits.duration_max_ns)

    def _reset(
        self, event: ResetRequest | ResetConfirm | LocalReset, why: set[Reason], robot: RobotState, now_ns: int
    ) -> None:
        limits, since, nonce, self.verdict = self.limits, self.still_since_ns, self.nonce, Verdict.REJECTED
        still = since is not None and now_ns - since >= limits.still_ns and self._standing(robot, now_ns)
        still = still or not limits.still_required
        if isinstance(event, ResetRequest):
            if self.state is State.HELD and event.may_reset and event.stop_id == RIGHT and still:
                self.verdict, self.nonce = (
                    Verdict.CHALLENGE,
                    (event.fresh_nonce, event.client, now_ns + limits.nonce_ns),
                )
            return
        if isinstance(event, ResetConfirm):
            self.nonce = None
            if (event.nonce, event.client) != (nonce or (None, None))[:2] or event.stop_id != RIGHT:
                return
            if nonce is not None and now_ns >= nonce[2]:
                return
        elif self.state is State.FAULT:
            self.state, self.verdict = State.HELD, Verdict.OK
            return
        quiet = self.asked_ns is None or now_ns - self.asked_ns >= limits.quiet_ns
        if self.state is State.HELD and still and quiet and not why & {Reason.ESTOP, Reason.ESTOP_STALE}:
            self.state, self.verdict = State.IDLE, Verdict.OK

    def _out(self, event: Event, why: set[Reason]) -> Out:
        if isinstance(event, Stop):
            return Out.ZERO
        if not isinstance(event, Tick):
            return Out.ZERO_OR_NOTHING
        if self.state in DRIVING:
            return Out.ZERO if why & AT_ONCE else Out.BOUNDED
        if self.state in {State.INIT, State.IDLE, State.LOCAL}:
            return Out.NOTHING
        return Out.ZERO_OR_NOTHING  # the hold lane: not every tick

    def saw(self, published: Twist | None, now_ns: int) -> None:
        """Note what left: the burst counts from the first zero of a brake."""
        if self.state is State.BRAKE and self.zero_since_ns is None and published == ZERO:
            self.zero_since_ns = now_ns
