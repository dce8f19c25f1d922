"""Gate room: how fast, and how suddenly. Clamp, slew, brake, and the final bound.

In: twists, limits, a time step     Out: twists that are finite and never larger.
Pure and total. Path first: both axes are scaled by one ratio, so that the robot drives the asked curve more
slowly instead of another one; but nothing ever lengthens a linear stop.
"""

from __future__ import annotations

import math

from edgetwin.gate.limits import GateLimits
from edgetwin.motion import ZERO, Twist

NS_PER_S = 1_000_000_000
NO_SLOPE = (0.0, 0.0)
_TICKS_MAX = 2  # a stalled tick must not become a jump
_NOTHING = 1e-9  # m/s, rad/s: a rest of rounding, which would be followed to zero for many ticks


def finite(twist: Twist) -> bool:
    """Whether both axes are numbers."""
    return math.isfinite(twist.linear_mps) and math.isfinite(twist.angular_radps)


def scaled(twist: Twist, ratio: float) -> Twist:
    """Return the same curve, slower; `ratio` in [0, 1]."""
    return Twist(twist.linear_mps * ratio, twist.angular_radps * ratio)


def clamp(twist: Twist, linear_max_mps: float, angular_max_radps: float) -> Twist:
    """Return the same curve at a speed within both maxima; zero for what is not finite, and for maxima that are none.

    Source: one ratio for both axes, as Nav2 Collision Monitor's `limit` action.
    """
    if not (finite(twist) and linear_max_mps >= 0.0 and angular_max_radps >= 0.0):
        return ZERO
    ratio = 1.0
    if abs(twist.linear_mps) > linear_max_mps:
        ratio = linear_max_mps / abs(twist.linear_mps)
    if abs(twist.angular_radps) * ratio > angular_max_radps:
        ratio = angular_max_radps / abs(twist.angular_radps)
    slower = scaled(twist, ratio)
    return Twist(_at_most(slower.linear_mps, linear_max_mps), _at_most(slower.angular_radps, angular_max_radps))


def _at_most(value: float, maximum: float) -> float:
    """Return `value` within +-maximum: scaling may round up in the last bit."""
    return math.copysign(min(abs(value), maximum), value)


def within(twist: Twist, limits: GateLimits) -> bool:
    """Whether a twist may be published at all: the last look, after everything else."""
    return (
        finite(twist)
        and abs(twist.linear_mps) <= limits.linear_max_mps
        and abs(twist.angular_radps) <= limits.angular_max_radps
    )


def step_ns(now_ns: int, before_ns: int | None, tick_ns: int) -> int:
    """Return the time step for slew: since the last output, in [0, 2 ticks]; one tick where there was none."""
    if before_ns is None:
        return tick_ns
    return max(0, min(now_ns - before_ns, _TICKS_MAX * tick_ns))


def slew(
    output: Twist, slope: tuple[float, float], target: Twist, limits: GateLimits, dt_ns: int
) -> tuple[Twist, tuple[float, float]]:
    """Return the next output on the way to `target`, and its slope [m/s2, rad/s2].

    Speeding up is bounded by acceleration and jerk, slowing down by deceleration alone: jerk limits would lengthen
    every stop. Both axes keep step (their ratio of progress is one), except that a linear slow-down waits for nothing.

    Source: diff_drive_controller's limiter for the bounds, Nav2 velocity smoother for the common ratio.
    """
    dt_s = dt_ns / NS_PER_S
    if dt_s <= 0.0:
        return output, slope
    linear = _axis(
        output.linear_mps, target.linear_mps, slope[0], dt_s,
        (limits.linear_accel_max_mps2, limits.linear_decel_max_mps2, limits.linear_jerk_max_mps3),
    )  # fmt: skip
    angular = _axis(
        output.angular_radps, target.angular_radps, slope[1], dt_s,
        (limits.angular_accel_max_radps2, limits.angular_decel_max_radps2, limits.angular_jerk_max_radps3),
    )  # fmt: skip
    common = min(linear, angular)
    if not _speeds_up(output.linear_mps, target.linear_mps):
        angular = common
    else:
        linear = angular = common
    moved = Twist(
        _part(output.linear_mps, target.linear_mps, linear), _part(output.angular_radps, target.angular_radps, angular)
    )
    return moved, ((moved.linear_mps - output.linear_mps) / dt_s, (moved.angular_radps - output.angular_radps) / dt_s)


def brake(output: Twist, limits: GateLimits, dt_ns: int) -> tuple[Twist, tuple[float, float]]:
    """Return the next output on the way to rest."""
    return slew(output, NO_SLOPE, ZERO, limits, dt_ns)


def _speeds_up(now: float, target: float) -> bool:
    return (target - now) * now >= 0.0


def _part(now: float, target: float, progress: float) -> float:
    """Return the point at `progress` of the way; exactly the target at 1, and zero where it is as good as that."""
    part = target if progress >= 1.0 else now + (target - now) * progress
    return part if abs(part) > _NOTHING else 0.0


def _axis(now: float, target: float, slope: float, dt_s: float, bounds: tuple[float, float, float]) -> float:
    """Return how much of the way from `now` to `target` this axis may go in `dt_s`; 1 or more: all of it."""
    accel, decel, jerk = bounds
    way = target - now
    if way == 0.0:
        return math.inf
    if _speeds_up(now, target):
        built_up = max(0.0, slope * math.copysign(1.0, way))
        allowed = min(accel, built_up + jerk * dt_s) * dt_s
    else:
        allowed = min(decel * dt_s, abs(now))  # to zero first; the other direction begins with the next tick
    return allowed / abs(way)
