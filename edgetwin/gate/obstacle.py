"""Gate room: what a scan leaves of a twist: nothing, less, or all of it.

In: StopZone, points in the base frame, Twist     Out: scale of both axes, 0 to 1; 0 refuses
Pure and total: what cannot be computed is refused. numpy (which shapely needs anyway) because plain floats take four
times as long when many points are near, which is when it matters. A scan is looked at by several ticks: its numbers as
arrays are remembered for the very same tuple, which changes no answer.

The stop zone is a rectangle ahead of the base, mirrored to the back for v < 0:
- `points_min` points inside it: 0.
- Else the rectangle is driven along the arc of (v, omega), and the twist is scaled so that the point that makes
  `points_min` enters it after `time_to_collision_ns` at the earliest. Points that left again still count.
- On the spot, and on turns so tight that the rectangle holds their centre, it is the circle which the rectangle's
  far corner draws that must be empty, in all directions. There is no scale for that: 0 or 1.
- A twist that leads away from the obstacle therefore stays allowed, unless it is such a turn: drive back, then turn.
- A point that is not a number counts as inside the zone.

Source: Nav2 Collision Monitor, `stop` and `approach` models; exact entry times in place of its simulation steps.
"""

from __future__ import annotations

import math
from array import array
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from edgetwin.gate.limits import StopZone
from edgetwin.motion import Twist

_NS_PER_S = 1e9
_STRAIGHT_M = 1e4  # a larger radius is a straight line to within millimetres
_TOLERANCE_RAD = 1e-9  # of rounding, at the largest radius a hundredth of a millimetre

Points = tuple[tuple[float, float], ...]
Floats = NDArray[np.float64]

_NO_POINT: Floats = np.empty(0)
_newest: list[tuple[Points, Floats, Floats]] = [((), _NO_POINT, _NO_POINT)]


def allowed(zone: StopZone, points: Points | None, twist: Twist) -> float:
    """Return the largest scale of `twist`, 0 to 1, that keeps the robot away from the points of a scan.

    Args:
        zone: The rectangle [m], and how much time there must be before it touches anything.
        points: Obstacles in the base frame [m], x ahead, y to the left; None: there is no scan to be trusted.
        twist: What would be published; both axes are scaled alike.

    Returns:
        0.0 without a scan, or where a number of zone or twist is not finite; 1.0 for a zero twist with a scan.

    Raises:
        Nothing.
    """
    try:
        with np.errstate(all="ignore"):  # of points a universe away
            return _scale(zone, points, twist)
    except (ArithmeticError, TypeError, ValueError):
        return 0.0


def _scale(zone: StopZone, points: Points | None, twist: Twist) -> float:
    if points is None or not _sound(zone, twist):
        return 0.0
    if twist.linear_mps == 0.0 and twist.angular_radps == 0.0:
        return 1.0
    x, y = _columns(points)
    return _free(zone, x, y, twist) if x.size == len(points) else 0.0


def _columns(points: Points) -> tuple[Floats, Floats]:
    """Return x and y of points, zero for both where one is not a number; of the newest scan they are remembered."""
    remembered, x, y = _newest[0]
    if remembered is points:
        return x, y
    flat = np.asarray(array("d", list(chain.from_iterable(points))))
    x, y = flat[::2].copy(), flat[1::2].copy()
    unknown = ~(np.isfinite(x) & np.isfinite(y))
    x[unknown] = y[unknown] = 0.0
    _newest[0] = points, x, y
    return x, y


def _free(zone: StopZone, x: Floats, y: Floats, twist: Twist) -> float:
    """Return the scale, all numbers being sound."""
    linear, angular = twist.linear_mps, twist.angular_radps
    radius_m = linear / angular if angular else math.inf
    if abs(radius_m) <= zone.half_width_m:
        corner_m = math.hypot(zone.front_m, zone.half_width_m + abs(radius_m))
        return float(np.count_nonzero(np.hypot(x, y - radius_m) <= corner_m) < zone.points_min)
    x = math.copysign(1.0, linear) * x
    inside = (x >= 0.0) & (x <= zone.front_m) & (np.abs(y) <= zone.half_width_m)
    if np.count_nonzero(inside) >= zone.points_min:
        return 0.0
    if abs(radius_m) < _STRAIGHT_M:
        y = math.copysign(1.0, radius_m) * y
        entries_s = _turns_until(zone, x, y, abs(radius_m)) / abs(angular)
    else:
        entries_s = _way_until(zone, x, y) / abs(linear)
    if entries_s.size < zone.points_min:
        return 1.0
    entry_s = float(np.sort(entries_s)[zone.points_min - 1])
    time_to_collision_s = zone.time_to_collision_ns / _NS_PER_S
    return min(1.0, entry_s / time_to_collision_s) if time_to_collision_s > 0.0 else 1.0


def _sound(zone: StopZone, twist: Twist) -> bool:
    """Whether every number is one, and one that can be."""
    return (
        math.isfinite(twist.linear_mps)
        and math.isfinite(twist.angular_radps)
        and 0.0 <= zone.front_m < math.inf
        and 0.0 <= zone.half_width_m < math.inf
        and zone.points_min >= 1
    )


def _way_until(zone: StopZone, x: Floats, y: Floats) -> Floats:
    """Return the way straight ahead after which points enter the rectangle [m], of those that ever do."""
    met = (x >= 0.0) & (np.abs(y) <= zone.half_width_m)
    way_m: Floats = np.maximum(0.0, x[met] - zone.front_m)
    return way_m


def _turns_until(zone: StopZone, x: Floats, y: Floats, radius_m: float) -> Floats:
    """Return the turn to the left after which points enter the rectangle [rad], of those that ever do.

    Seen from the centre of the turn, a point stands at its distance and at an angle ahead of the base, which shrinks.
    At each distance the rectangle spans the angles from its outer side, or the base's axis, to its inner side or its
    front, whichever is met first.
    """
    inner_m, outer_m = radius_m - zone.half_width_m, radius_m + zone.half_width_m
    across_m = radius_m - y
    far_m = np.hypot(x, across_m)
    met = (far_m >= inner_m) & (far_m <= math.hypot(zone.front_m, outer_m))
    far_m = far_m[met]
    if not far_m.size:
        return far_m
    angle = np.arctan2(x[met], across_m[met])
    abeam = angle < np.arccos(np.minimum(1.0, outer_m / far_m)) - _TOLERANCE_RAD
    angle = np.where(abeam, angle + math.tau, angle)  # beside or behind: met after the rest of the circle
    side, front = np.arccos(inner_m / far_m), np.arcsin(np.minimum(1.0, zone.front_m / far_m))
    turn: Floats = np.maximum(0.0, angle - np.minimum(side, front))
    return turn
