"""Pace room: has this value moved since the one that left?

In: two readings of the same fields     Out: moved, or not.
Pure. Total for every float: NaN and infinities are values, and a change to or from them is a move.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

_PLAIN_MAX = 25  # elements up to which plain floats beat numpy

# What a number reader returns: one entry per path, a scalar or an array.
Array: TypeAlias = Sequence[float] | NDArray[np.float64]
Reading: TypeAlias = Sequence[float | Array]


class Deadband(Protocol):
    """Decides whether a reading is news."""

    def moved(self, before: Reading, after: Reading) -> bool:
        """Whether `after` is outside the band around `before`."""
        ...


@dataclass(frozen=True, slots=True)
class ValueDeadband:
    """Moved when any number changed by `threshold` or more, or an array changed its length."""

    threshold: float

    def moved(self, before: Reading, after: Reading) -> bool:
        """Compare path by path, element by element."""
        return any(map(self._entry_moved, before, after))

    def _entry_moved(self, before: float | Array, after: float | Array) -> bool:
        if isinstance(before, float | int) or isinstance(after, float | int):
            return self._number_moved(float(before), float(after))  # type: ignore[arg-type]  # a path is scalar in both
        if len(before) != len(after):
            return True
        if len(after) <= _PLAIN_MAX:
            return any(map(self._number_moved, before, after))
        old, new = np.asarray(before), np.asarray(after)
        with np.errstate(invalid="ignore"):  # inf - inf
            moved = np.abs(new - old) >= self.threshold
        return bool(np.any((moved | (np.isnan(old) != np.isnan(new))) & (old != new)))

    def _number_moved(self, before: float, after: float) -> bool:
        if before == after:
            return False
        change = abs(after - before)
        if math.isnan(change):
            return math.isnan(before) != math.isnan(after)
        return change >= self.threshold


@dataclass(frozen=True, slots=True)
class PoseDeadband:
    """Moved when the position changed by `position_m` in 3-D, or the attitude by `angle_rad`.

    A reading is ((x, y, z), (qx, qy, qz, qw)); an absent half is an empty sequence and its limit None.
    """

    position_m: float | None
    angle_rad: float | None

    def moved(self, before: Reading, after: Reading) -> bool:
        """Compare position and attitude; either is enough."""
        positions = (_floats(before[0]), _floats(after[0]))
        if self.position_m is not None and _far(*positions, self.position_m):
            return True
        return self.angle_rad is not None and _turned(_floats(before[1]), _floats(after[1]), self.angle_rad)


def _floats(entry: float | Array) -> Sequence[float]:
    return entry if isinstance(entry, tuple) else tuple(entry)  # type: ignore[arg-type]  # half a pose is never a scalar


def _far(before: Sequence[float], after: Sequence[float], limit_m: float) -> bool:
    if _same(before, after):
        return False
    # A coordinate that stays NaN (a planar robot's z) says nothing about the others.
    moved = [(old, new) for old, new in zip(before, after, strict=True) if not _same((old,), (new,))]
    distance_m = math.hypot(*(new - old for old, new in moved))
    return not distance_m < limit_m  # NaN is a move


def _turned(before: Sequence[float], after: Sequence[float], limit_rad: float) -> bool:
    if _same(before, after):
        return False
    angle = rotation_angle_rad(before, after)
    return not angle < limit_rad  # NaN is a move


def _same(before: Sequence[float], after: Sequence[float]) -> bool:
    """Equal, where NaN equals NaN: an unset pose that stays unset does not move."""
    return all(a == b or (math.isnan(a) and math.isnan(b)) for a, b in zip(before, after, strict=True))


def rotation_angle_rad(before: Sequence[float], after: Sequence[float]) -> float:
    """Return the angle of the rotation between two attitudes, 0..pi; NaN when one is not a rotation.

    Args:
        before: Quaternion x, y, z, w; need not be normalised; q and -q are the same attitude.
        after: Likewise.

    Source: relative quaternion, angle by atan2 (exact for small angles, where acos is not).
    """
    ax, ay, az, aw = before
    bx, by, bz, bw = after
    scalar = aw * bw + ax * bx + ay * by + az * bz
    x = aw * bx - bw * ax - (ay * bz - az * by)
    y = aw * by - bw * ay - (az * bx - ax * bz)
    z = aw * bz - bw * az - (ax * by - ay * bx)
    vector = math.sqrt(x * x + y * y + z * z)
    if vector == 0.0 and scalar == 0.0:
        return math.nan
    return 2.0 * math.atan2(vector, abs(scalar))


@dataclass(frozen=True, slots=True)
class EitherDeadband:
    """Moved when the pose (the first two entries of a reading) or any value (the others) moved."""

    pose: PoseDeadband
    values: ValueDeadband

    def moved(self, before: Reading, after: Reading) -> bool:
        """Compare both parts; either is enough."""
        return self.pose.moved(before[:2], after[:2]) or self.values.moved(before[2:], after[2:])
