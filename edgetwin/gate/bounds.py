"""Gate room: the fastest twist on the asked curve that the robot's battery, fence and surroundings allow.

In: Facts, a twist     Out: the same curve, perhaps slower, and why.
Pure and total.
"""

from __future__ import annotations

from edgetwin.gate import fence as fences
from edgetwin.gate import obstacle
from edgetwin.gate.checks import Facts, battery_known
from edgetwin.gate.envelope import NS_PER_S, clamp, scaled
from edgetwin.motion import ZERO, Pose, Reason, Twist

_LOW_BATTERY_RATIO = 0.5
_ALL = 1.0


def bounded(facts: Facts, twist: Twist) -> tuple[Twist, tuple[Reason, ...]]:
    """Return `twist`, slowed down to what is allowed now, and the reasons; zero where nothing of it is."""
    limits = facts.limits
    clamped = clamp(twist, limits.linear_max_mps, limits.angular_max_radps)
    powered = _by_battery(facts, clamped)
    fence, way = fence_ratio(facts, powered), _way_ratio(facts, powered)
    table = (
        (Reason.BATTERY, powered != clamped),
        (Reason.GEOFENCE, fence < _ALL),
        (Reason.OBSTACLE, way < _ALL),
        (Reason.CLAMPED_SPEED, clamped != twist),
    )
    return scaled(powered, min(fence, way)), tuple(reason for reason, slower in table if slower)


def fence_ratio(facts: Facts, twist: Twist) -> float:
    """Return how much of `twist` still stops inside the fence: 0 to 1; 1 without a fence."""
    limits, robot = facts.limits, facts.robot
    if not limits.fence or twist == ZERO:
        return _ALL
    if robot.pose is None or robot.pose_ns is None:
        return 0.0
    return fences.allowed(limits.fence, _grown_old(facts, robot.pose, robot.pose_ns, twist), twist, limits)


def scan_ratio(facts: Facts, twist: Twist) -> float:
    """Return how much of `twist` the scan leaves: 0 to 1; 1 without a scan channel."""
    zone = facts.limits.scan
    return _ALL if zone is None or twist == ZERO else obstacle.allowed(zone, facts.robot.scan, twist)


def _grown_old(facts: Facts, pose: Pose, heard_ns: int, twist: Twist) -> Pose:
    """Return the pose with what the robot may have moved since it was heard added to its uncertainty."""
    speed_mps = max(abs(twist.linear_mps), abs(facts.memory.output.linear_mps))
    moved_m = speed_mps * (max(facts.now_ns, heard_ns) - heard_ns) / NS_PER_S
    return Pose(pose.x_m, pose.y_m, pose.yaw_rad, pose.sigma_m + moved_m / 2.0)  # the fence counts two sigma


def _by_battery(facts: Facts, twist: Twist) -> Twist:
    limits, battery = facts.limits, facts.robot.battery
    if not limits.battery_required:
        return twist
    linear_max_mps, angular_max_radps = limits.linear_max_mps, limits.angular_max_radps
    if battery is None or not battery >= limits.battery_low:
        linear_max_mps *= _LOW_BATTERY_RATIO
        angular_max_radps *= _LOW_BATTERY_RATIO
    if not battery_known(facts):
        linear_max_mps = min(linear_max_mps, limits.battery_stale_max_mps)
    return clamp(twist, linear_max_mps, angular_max_radps)


def _way_ratio(facts: Facts, twist: Twist) -> float:
    """A scan that nobody can trust is SCAN_STALE, a check of its own; it says nothing about the way ahead."""
    return _ALL if facts.robot.scan is None else scan_ratio(facts, twist)
