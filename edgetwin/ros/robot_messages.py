"""ROS room: what the command lane reads out of the robot's messages.

In: a message class; then raw CDR     Out: pose, speed, charge, points
Each function returns a reader made for one class. What a message cannot vouch for comes back as a value that the
gate counts as missing: NaN, or None.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from edgetwin.errors import FieldPathError
from edgetwin.motion import Pose, Twist
from edgetwin.ros.cdr import layout, number_reader, pose_paths, stamp_reader
from edgetwin.ros.cdr_layout import Layout
from edgetwin.ros.cdr_paths import walk

Points: TypeAlias = tuple[tuple[float, float], ...]
Raw: TypeAlias = bytes

_XX, _YY, _XY = 0, 7, 1  # in the 6 x 6 covariance of a pose
_FUTURE_MAX_NS = 100_000_000
_STICK_MIN = 0.1  # of an axis's range: below, a worn stick at rest


def pose_reader(message: Any) -> Callable[[Raw], Pose]:
    """Return a reader of x, y [m], yaw [rad] and the larger standard deviation of the position [m].

    Without a covariance, or with one of zeros (the field's way to say "unknown"), sigma is 0; one that makes no
    sense (negative, NaN) is NaN.

    Raises:
        FieldPathError: The type has no position.
    """
    paths = pose_paths(message)
    if paths is None or paths.position is None:
        what = f"{layout(message).type_name} has none"
        path, cure = "position", "name another pose_channel"
        raise FieldPathError(path, what, cure)
    covariance = f"{paths.position.rpartition('.')[0].rpartition('.')[0]}.covariance".removeprefix(".")
    known = {path for path, _ in walk(layout(message))}
    wanted = [paths.position, paths.orientation, *([covariance] if covariance in known else [])]
    read = number_reader(message, wanted)

    def pose(raw: Raw) -> Pose:
        (x_m, y_m, _), (x, y, z, w), *rest = read(raw)
        yaw_rad = math.atan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))
        return Pose(x_m, y_m, yaw_rad, _sigma_m(rest[0]) if rest else 0.0)

    return pose


def _sigma_m(covariance: Any) -> float:
    """Return the standard deviation along the longer axis of the ellipse of x and y."""
    xx, yy, xy = float(covariance[_XX]), float(covariance[_YY]), float(covariance[_XY])
    if not (xx >= 0.0 and yy >= 0.0 and math.isfinite(xx + yy + xy)):
        return math.nan
    return math.sqrt((xx + yy) / 2.0 + math.hypot((xx - yy) / 2.0, xy))


def speed_reader(message: Any) -> Callable[[Raw], Twist] | None:
    """Return a reader of the planar velocity, or None for a type without one."""
    for path, node in walk(layout(message)):
        if isinstance(node, Layout) and [name for name, _ in node.fields] == ["linear", "angular"]:
            read = number_reader(message, [f"{path}.linear", f"{path}.angular"])

            def speed(raw: Raw) -> Twist:
                linear, angular = read(raw)  # noqa: B023  # the loop ends here
                return Twist(linear[0], angular[2])

            return speed
    return None


def charge_reader(message: Any) -> Callable[[Raw], float]:
    """Return a reader of `percentage` (0 to 1); NaN for what lies outside: a driver that means percent says nothing.

    Raises:
        FieldPathError: The type has no such field.
    """
    read = number_reader(message, ["percentage"])

    def charge(raw: Raw) -> float:
        value: float = read(raw)[0]
        return value if 0.0 <= value <= 1.0 else math.nan

    return charge


def pressed_reader(message: Any) -> Callable[[Raw], bool]:
    """Return a reader of a Bool's `data`.

    Raises:
        FieldPathError: The type has no such field.
    """
    read = number_reader(message, ["data"])
    return lambda raw: read(raw)[0] != 0.0


def drive_reader(message: Any) -> Callable[[Raw], bool]:
    """Return whether a Twist, TwistStamped or Joy says that somebody drives: not at rest, or not a number.

    Raises:
        FieldPathError: It is another type.
    """
    names = [name for name, _ in layout(message).fields]
    if "axes" in names:
        read = number_reader(message, ["axes", "buttons"])
        return lambda raw: any(not abs(axis) <= _STICK_MIN for axis in read(raw)[0]) or any(read(raw)[1])
    prefix = "twist." if "twist" in names else ""
    read_twist = number_reader(message, [f"{prefix}linear", f"{prefix}angular"])
    return lambda raw: any(value != 0.0 for part in read_twist(raw) for value in part)


def scan_reader(message: Any, reach_m: float) -> Callable[[Raw, int], Points | None]:
    """Return a reader of a LaserScan as points within `reach_m`, x ahead, y left [m].

    None for a scan nobody can trust: stamped more than 0.1 s in the future, empty, of senseless angles, or without a
    single range or "nothing there" (infinity) in it. Ranges under `range_min` are kept: what touches the
    sensor is no reason to drive on. Zero and negative ranges are a sensor's way to say "invalid".
    """
    stamp = stamp_reader(message)
    read = number_reader(message, ["angle_min", "angle_increment", "range_max", "ranges"])

    def points(raw: Raw, stamp_now_ns: int) -> Points | None:
        if stamp is not None and stamp(raw) > stamp_now_ns + _FUTURE_MAX_NS:
            return None
        angle_min, increment, range_max, ranges = read(raw)
        distances = np.asarray(ranges, dtype=np.float64)
        if not distances.size or not math.isfinite(angle_min + increment * distances.size):
            return None
        with np.errstate(invalid="ignore"):  # NaN compares as false, which is what is meant
            returned = (distances > 0.0) & (distances <= range_max)
            if not returned.any() and not (distances > range_max).any():
                return None
            near = np.flatnonzero(returned & (distances <= reach_m))
        angles = angle_min + increment * near
        nearby = distances[near]
        return tuple(zip((nearby * np.cos(angles)).tolist(), (nearby * np.sin(angles)).tolist(), strict=True))

    return points
