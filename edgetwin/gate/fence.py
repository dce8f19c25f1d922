"""Gate room: the largest part of a twist whose stopping arc stays within the fence.

In: Fence, Pose, Twist, GateLimits     Out: scale of both axes, 0 to 1; 0 refuses
Pure and total: what cannot be computed is refused. Geometry by shapely; nothing of ROS, settings or time.

How it reads section 1c of the design, each time the more careful way:
- Way: v * reaction + v^2 / (2 * brake_margin * decel), along the arc of (v, omega), backwards for v < 0. One scale
  for both axes keeps the arc; a smaller scale is a shorter piece of it, so the search is for a length.
- Allowance: radius + margin + 2 sigma, as a disc around every point of that arc. That covers an arc longer by
  margin + 2 sigma as well, and a pose that is wrong sideways too.
- Every edge is an obstacle for that disc, not the corners only, and the arc is tested as a line, not as points: a
  wall may be as thin as it likes. What the arc leaves its chords by is added to the disc.
- On the spot the footprint is all: it fits, or the turn is refused.
- Already outside: at most outside_max_mps, and only along an arc on which every violated polygon becomes less so
  and no other becomes violated. A turn on the spot lowers nothing and is refused: drive back, then turn.
"""

from __future__ import annotations

import math

import numpy as np
import shapely
from numpy.typing import NDArray

from edgetwin.gate.arc import Arc, Braking, arc_of
from edgetwin.gate.limits import Fence, GateLimits
from edgetwin.gate.polygons import COORDINATE_MAX_M, CompiledFence, Floats, compiled, faults
from edgetwin.motion import Pose, Twist

__all__ = ["allowed", "compiled", "faults"]

_TOLERANCE_M = 1e-6  # of all rounding, up to COORDINATE_MAX_M
_SHAVE = 1.0 - 1e-9  # so that a scaled twist is found good when it is asked again
_WAY_MAX_M = 1e4
_SEARCH_STEPS = 8  # to half a percent of the way
_RETURN_STEPS = 8
_NO_WAY_M = -1.0  # not even one so short that it is none
_ON_THE_SPOT_RADPM = 1e3  # a radius of a millimetre: no way back
_NS_PER_S = 1e9


def allowed(fence: Fence, pose: Pose, twist: Twist, limits: GateLimits) -> float:
    """Return the largest scale of `twist`, 0 to 1, whose predicted stopping arc is inside the fence.

    Args:
        fence: Plain polygons [m], in the frame of `pose`; without any, everything is allowed.
        pose: Where the robot is; sigma_m >= 0 widens it.
        twist: What would be published; both axes are scaled alike.
        limits: reaction_ns, linear_decel_max_mps2, brake_margin, outside_max_mps.

    Returns:
        0.0 if nothing is allowed, a number is not finite, or the fence is faulty (see `faults`); 1.0 for a zero twist
        among sound numbers, wherever the robot is. Asked again with the scaled twist, it returns 1.0.

    Raises:
        Nothing.
    """
    try:
        with np.errstate(all="ignore"):  # lengths so small that their squares are none
            return _scale(fence, pose, twist, limits)
    except (ArithmeticError, TypeError, ValueError, shapely.errors.ShapelyError):
        return 0.0


def _scale(fence: Fence, pose: Pose, twist: Twist, limits: GateLimits) -> float:
    braking = Braking(limits.reaction_ns / _NS_PER_S, limits.brake_margin * limits.linear_decel_max_mps2)
    if not _sound(fence, pose, twist, braking, limits.outside_max_mps):
        return 0.0
    if not fence or (twist.linear_mps == 0.0 and twist.angular_radps == 0.0):
        return 1.0
    shape = compiled(fence)
    if shape is None:
        return 0.0
    need_m = fence.robot_radius_m + fence.margin_m + 2.0 * pose.sigma_m + _TOLERANCE_M
    room_m = shape.clearance_m(pose.x_m, pose.y_m) - need_m
    if twist.linear_mps == 0.0:
        return float(room_m >= 0.0)
    speed_mps = abs(twist.linear_mps)
    if room_m >= 0.0:
        speed_max_mps = math.inf
        arc = arc_of(pose, twist, min(_WAY_MAX_M, braking.way_m(speed_mps)))
        way_m = _way_inside(shape, arc, need_m, room_m)
    else:
        speed_max_mps = limits.outside_max_mps
        way_m = _way_back(shape, arc_of(pose, twist, braking.way_m(speed_max_mps)), need_m)
    if speed_mps <= speed_max_mps and braking.way_m(speed_mps) <= way_m:
        return 1.0
    return _SHAVE * min(speed_max_mps, braking.speed_mps(way_m)) / speed_mps


def _sound(fence: Fence, pose: Pose, twist: Twist, braking: Braking, outside_max_mps: float) -> bool:
    """Whether every number is one, and one that can be."""
    allowances = (fence.robot_radius_m, fence.margin_m, pose.sigma_m, braking.reaction_s)
    divisors = (braking.decel_mps2, outside_max_mps)
    return (
        math.isfinite(twist.linear_mps)
        and math.isfinite(twist.angular_radps)
        and math.isfinite(pose.yaw_rad)
        and abs(pose.x_m) <= COORDINATE_MAX_M
        and abs(pose.y_m) <= COORDINATE_MAX_M
        and all(0.0 <= number < math.inf for number in allowances)
        and all(0.0 < number < math.inf for number in divisors)
    )


def _way_inside(shape: CompiledFence, arc: Arc, need_m: float, room_m: float) -> float:
    """Return how far along the arc a disc of `need_m` stays inside, half a percent of the arc short at most."""
    if _clear(shape, arc, arc.length_m, need_m, room_m):
        return arc.way_m
    low_m, high_m = 0.0, arc.length_m
    for _ in range(_SEARCH_STEPS):
        middle_m = (low_m + high_m) / 2.0
        if _clear(shape, arc, middle_m, need_m + _TOLERANCE_M, room_m):
            low_m = middle_m
        else:
            high_m = middle_m
    return max(room_m, low_m)


def _clear(shape: CompiledFence, arc: Arc, along_m: float, need_m: float, room_m: float) -> bool:
    """Whether the disc passes no edge on the first `along_m` of an arc that begins inside; not a number: no.

    The first `room_m` are free in any case: nothing on them is further than that from the start.
    """
    if along_m <= room_m:
        return True
    points, bulge_m = arc.chords(along_m)
    return bool(shapely.distance(shape.edges, shapely.linestrings(points)) >= need_m + bulge_m)


def _way_back(shape: CompiledFence, arc: Arc, need_m: float) -> float:
    """Return how far along the arc, in whole steps of it, a robot that is outside gets less so.

    A centre on the wrong side is looked at where two chords meet, not in between: some millimetres of way.
    """
    if abs(arc.curvature_radpm) > _ON_THE_SPOT_RADPM:
        return _NO_WAY_M
    points, bulge_m = arc.chords(arc.length_m, _RETURN_STEPS)
    good = _better(shape.clearances_m(points), shape.passing_m(points), need_m, bulge_m)
    count = int(np.logical_and.accumulate(good.all(axis=0)).sum())
    return arc.length_m * count / _RETURN_STEPS if count else _NO_WAY_M


def _better(clearances_m: Floats, passing_m: Floats, need_m: float, bulge_m: float) -> NDArray[np.bool_]:
    """Return, bool (things, chords), whether a thing is violated no more on a chord than at the start, and less after.

    Args:
        clearances_m: float64 (things, chords + 1), of the ends of the chords.
        passing_m: float64 (things, chords), of the chords themselves.
        need_m: Below it a thing is violated.
        bulge_m: By which the arc leaves its chords.
    """
    start_m, after_m = clearances_m[:, :1], clearances_m[:, 1:]
    still_free = passing_m >= need_m + bulge_m
    less_so = (after_m > start_m + _TOLERANCE_M) & (passing_m >= start_m - _TOLERANCE_M)
    return np.where(start_m >= need_m, still_free, less_so)
