"""Gate room: the interlocks, as one table. Rows are those of docs/gate.md; worst first.

In: the gate, the robot, a twist, now     Out: which reasons speak against motion.
Pure and total. Every check asks for the good case and is tripped by its absence: a fact that was never seen, is
too old, is not a number or comes from the future is no fact.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from edgetwin.gate.limits import GateLimits
from edgetwin.gate.memory import Memory
from edgetwin.motion import Reason, RobotState, State, Twist


@dataclass(frozen=True, slots=True)
class Facts:
    """What a check may look at. `twist` is what is asked."""

    memory: Memory
    robot: RobotState
    limits: GateLimits
    twist: Twist
    now_ns: int

    def fresh(self, heard_ns: int | None, age_max_ns: int) -> bool:
        """Whether something was heard at most `age_max_ns` ago; a tick's worth of future is the order of reading."""
        return heard_ns is not None and -self.limits.tick_ns <= self.now_ns - heard_ns <= age_max_ns


@dataclass(frozen=True, slots=True)
class Check:
    """One interlock.

    Attributes:
        row: In the table of checks.
        reason: The code it answers with.
        claim: What holds when it is not tripped.
        tripped: Whether it speaks against motion.
        running: It also ends a move that was accepted before.
        at_once: Then without a ramp.
    """

    row: int
    reason: Reason
    claim: str
    tripped: Callable[[Facts], bool]
    running: bool = True
    at_once: bool = False


def estop_pressed(facts: Facts) -> bool:
    """Whether the e-stop input says so, by a fresh message."""
    age_max_ns = facts.limits.estop_age_max_ns
    return age_max_ns is not None and facts.robot.estop is True and facts.fresh(facts.robot.estop_ns, age_max_ns)


def estop_released(facts: Facts) -> bool:
    """Whether there is no e-stop input, or a fresh message says that it is not pressed."""
    age_max_ns = facts.limits.estop_age_max_ns
    return age_max_ns is None or (facts.robot.estop is False and facts.fresh(facts.robot.estop_ns, age_max_ns))


def local_override(facts: Facts) -> bool:
    """Whether somebody beside the robot drove lately; a time in the future counts as now."""
    quiet_ns, heard_ns = facts.limits.override_quiet_ns, facts.robot.override_ns
    return quiet_ns is not None and heard_ns is not None and facts.now_ns - heard_ns <= quiet_ns


def standing(facts: Facts) -> bool:
    """Whether the robot is measured to stand, now."""
    speed, limits = facts.robot.speed, facts.limits
    return (
        speed is not None
        and facts.fresh(facts.robot.speed_ns, limits.pose_age_max_ns)
        and abs(speed.linear_mps) < limits.still_mps
        and abs(speed.angular_radps) < limits.still_radps
    )


def battery_known(facts: Facts) -> bool:
    """Whether the charge is fresh; stale, the robot may only creep (see gate)."""
    return facts.fresh(facts.robot.battery_ns, facts.limits.battery_age_max_ns)


def _battery_too_low(facts: Facts) -> bool:
    battery = facts.robot.battery
    return facts.limits.battery_required and not (
        battery is not None and facts.limits.battery_min <= battery < math.inf
    )


def located(facts: Facts) -> bool:
    """Whether it is known where the robot is: fresh, finite, sharp."""
    pose, limits = facts.robot.pose, facts.limits
    return (
        pose is not None
        and facts.fresh(facts.robot.pose_ns, limits.pose_age_max_ns)
        and math.isfinite(pose.x_m + pose.y_m + pose.yaw_rad)
        and 0.0 <= pose.sigma_m <= limits.pose_sigma_max_m
    )


def _lost(facts: Facts) -> bool:
    return facts.limits.pose_required and not located(facts)


def _beyond_rating(facts: Facts) -> bool:
    twist, limits = facts.twist, facts.limits
    return not (
        abs(twist.linear_mps) <= limits.linear_rating_mps and abs(twist.angular_radps) <= limits.angular_rating_radps
    )


def _not_finite(facts: Facts) -> bool:
    return not (math.isfinite(facts.twist.linear_mps) and math.isfinite(facts.twist.angular_radps))


def _scan_untrusted(facts: Facts) -> bool:
    zone, robot = facts.limits.scan, facts.robot
    return zone is not None and (robot.scan is None or not facts.fresh(robot.scan_ns, zone.age_max_ns))


def _unheard(facts: Facts) -> bool:
    return facts.limits.subscriber_required and not facts.robot.subscribers > 0


def _mismatch(facts: Facts) -> bool:
    return facts.robot.type_mismatch


def _foreign(facts: Facts) -> bool:
    return facts.robot.foreign_publisher


def _estop(facts: Facts) -> bool:
    return facts.memory.state is State.ESTOP or estop_pressed(facts)


def _estop_unheard(facts: Facts) -> bool:
    return not (estop_released(facts) or estop_pressed(facts))


def _local(facts: Facts) -> bool:
    return facts.memory.state is State.LOCAL or local_override(facts)


def _no_lease(facts: Facts) -> bool:
    return facts.robot.lease not in {None, Reason.LEASE_STALE}


def _not_allowed(facts: Facts) -> bool:
    return not facts.limits.remote_motion


def _ending(facts: Facts) -> bool:
    return facts.memory.state is State.DOWN


def _not_begun(facts: Facts) -> bool:
    return facts.memory.state is State.INIT


def _held(facts: Facts) -> bool:
    return facts.memory.state is State.HELD


def _faulty(facts: Facts) -> bool:
    return facts.memory.state is State.FAULT


CHECKS = (
    Check(0, Reason.SHUTTING_DOWN, "the process is not ending", _ending),
    Check(7, Reason.NOT_FINITE, "both speeds are numbers", _not_finite, running=False),
    Check(9, Reason.FORBIDDEN, "the settings allow remote motion", _not_allowed, at_once=True),
    Check(16, Reason.NOT_READY, "everything that motion needs was seen once", _not_begun),
    Check(17, Reason.ESTOP, "the e-stop input is not pressed", _estop, at_once=True),
    Check(17, Reason.ESTOP_STALE, "the e-stop input is heard", _estop_unheard, at_once=True),
    Check(18, Reason.HELD, "no stop is latched", _held),
    Check(18, Reason.FAULT, "no fault is latched", _faulty),
    Check(19, Reason.LOCAL_OVERRIDE, "nobody beside the robot drives", _local),
    Check(20, Reason.NO_LEASE, "the sender holds the lease", _no_lease),
    Check(20, Reason.LEASE_STALE, "the lease was renewed in time", lambda f: f.robot.lease is Reason.LEASE_STALE),
    Check(21, Reason.TYPE_MISMATCH, "the base listens for the type of twist that is sent", _mismatch, at_once=True),
    Check(21, Reason.NO_SUBSCRIBER, "a base listens to the motion topic", _unheard, at_once=True),
    Check(21, Reason.FOREIGN_PUBLISHER, "nobody else drives it", _foreign, at_once=True),
    Check(22, Reason.BATTERY, "the battery, where there is one, is known and not empty", _battery_too_low),
    Check(23, Reason.LOCALISATION, "the pose, where a fence needs it, is fresh and sharp", _lost),
    Check(24, Reason.OUT_OF_RANGE, "both speeds are within the rating of the platform", _beyond_rating, running=False),
    Check(
        28, Reason.SCAN_STALE, "the scan, where one is used, is fresh and makes sense", _scan_untrusted, at_once=True
    ),
)


def against(facts: Facts) -> tuple[Reason, ...]:
    """Return every reason against a new move, worst first."""
    return tuple(check.reason for check in CHECKS if check.tripped(facts))


def against_going_on(facts: Facts) -> tuple[Check, ...]:
    """Return the checks that end a move which was accepted before, worst first."""
    return tuple(check for check in CHECKS if check.running and check.tripped(facts))


def missing_at_start(facts: Facts) -> tuple[Reason, ...]:
    """Return what keeps the gate from leaving INIT: what motion needs to know and nobody has said yet, worst first."""
    robot, limits = facts.robot, facts.limits
    table = (
        (Reason.ESTOP_STALE, _estop_unheard(facts)),
        (Reason.TYPE_MISMATCH, robot.type_mismatch),
        (Reason.NO_SUBSCRIBER, _unheard(facts)),
        (Reason.BATTERY, limits.battery_required and not battery_known(facts)),
        (Reason.LOCALISATION, limits.pose_required and not facts.fresh(robot.pose_ns, limits.pose_age_max_ns)),
        (Reason.SCAN_STALE, limits.scan is not None and not facts.fresh(robot.scan_ns, limits.scan.age_max_ns)),
    )
    return tuple(reason for reason, tripped in table if tripped)
