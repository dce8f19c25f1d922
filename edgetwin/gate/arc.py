"""Gate room: how far a robot still goes, and along which line.

In: a speed, a pose, a twist     Out: stopping distances, points of a circular arc
Pure and total for finite numbers; knows no fence and no obstacle. SI units.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgetwin.motion import Pose, Twist

SAGITTA_M = 0.0005  # how far an arc may leave its chords
CHORDS_MAX = 64
CURVATURE_MAX_RADPM = 1e6  # a radius of a micrometre: any less is a turn on the spot

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Braking:
    """How a robot comes to rest: it goes on for `reaction_s` >= 0, then slows down at `decel_mps2` > 0."""

    reaction_s: float
    decel_mps2: float

    def way_m(self, speed_mps: float) -> float:
        """Return how far it goes from `speed_mps` >= 0 until it stands."""
        return speed_mps * (self.reaction_s + speed_mps / (2.0 * self.decel_mps2))

    def speed_mps(self, way_m: float) -> float:
        """Return the speed from which it stands after `way_m`: the inverse of `way_m`; 0 for no way at all."""
        if way_m <= 0.0:
            return 0.0
        return 2.0 * way_m / (self.reaction_s + math.sqrt(self.reaction_s**2 + 2.0 * way_m / self.decel_mps2))


@dataclass(frozen=True, slots=True)
class Arc:
    """The line that the base's centre follows from a pose: part of a circle, or straight at curvature 0.

    Attributes:
        start: Where it begins.
        direction: 1.0 forward, -1.0 in reverse.
        curvature_radpm: Turn per metre of way, counter-clockwise positive.
        way_m: How far the robot goes on it, perhaps several times round.
    """

    start: Pose
    direction: float
    curvature_radpm: float
    way_m: float

    @property
    def length_m(self) -> float:
        """Length of the line: the way, once round at most, for the second round passes the same points."""
        return min(self.way_m, math.tau / abs(self.curvature_radpm)) if self.curvature_radpm else self.way_m

    def point(self, along_m: float) -> Point:
        """Return the point after `along_m` of way; exact for the faintest of curves too."""
        half_rad = 0.5 * self.curvature_radpm * along_m
        chord_m = self.direction * along_m * (math.sin(half_rad) / half_rad if half_rad else 1.0)
        heading_rad = self.start.yaw_rad + half_rad
        return self.start.x_m + chord_m * math.cos(heading_rad), self.start.y_m + chord_m * math.sin(heading_rad)

    def chords(self, along_m: float, count: int = 0) -> tuple[list[Point], float]:
        """Return the ends of chords along the first `along_m`, and how far the arc leaves them at most [m].

        Args:
            along_m: Way on the arc.
            count: Of chords; 0: as few as keep the arc near them.

        Source: the sagitta, r * (1 - cos(turn / 2)) <= r * turn^2 / 8.
        """
        bulge_m = along_m * abs(self.curvature_radpm) * along_m / 8.0
        count = count or max(1, min(CHORDS_MAX, math.ceil(math.sqrt(bulge_m / SAGITTA_M))))
        ends = [self.point(along_m * step / count) for step in range(1, count + 1)]
        return [(self.start.x_m, self.start.y_m), *ends], bulge_m / (count * count)


def arc_of(pose: Pose, twist: Twist, way_m: float) -> Arc:
    """Return the arc that `twist` draws from `pose` over `way_m`; its linear part is not zero."""
    raw = twist.angular_radps / abs(twist.linear_mps)
    curvature_radpm = max(-CURVATURE_MAX_RADPM, min(CURVATURE_MAX_RADPM, raw))
    return Arc(pose, math.copysign(1.0, twist.linear_mps), curvature_radpm, way_m)
