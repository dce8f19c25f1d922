"""Plain geometry and plain driving, to hold the fence against: no shapely, nothing of the code under test.

Slow and simple on purpose: a disc is inside a polygon if its centre is, and if no edge is nearer than its radius.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from hypothesis import HealthCheck
from hypothesis import strategies as st

from edgetwin.gate.limits import Fence, GateLimits, Polygon
from edgetwin.motion import Pose, Twist

FILTERED = (HealthCheck.filter_too_much,)  # few drawings of a fence have the robot where a test wants it
LIMITS = GateLimits()
REACTION_S = 0.15
BRAKE_MPS2 = 1.0
SQUARE = ((-10.0, -10.0), (10.0, -10.0), (10.0, 10.0), (-10.0, 10.0))
NEED_M = 0.3 + 0.1  # radius and margin of Fence's defaults


def edges(polygon: Polygon) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """Return the edges of a polygon, the last corner joined to the first."""
    return list(zip(polygon, (*polygon[1:], polygon[0]), strict=True))


def segment_distance_m(x: float, y: float, a: tuple[float, float], b: tuple[float, float]) -> float:
    """Return how far a point is from a segment."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    length2 = dx * dx + dy * dy
    along = max(0.0, min(1.0, ((x - a[0]) * dx + (y - a[1]) * dy) / length2)) if length2 else 0.0
    return math.hypot(x - a[0] - along * dx, y - a[1] - along * dy)


def edge_distance_m(x: float, y: float, polygon: Polygon) -> float:
    """Return how far a point is from the outline of a polygon."""
    return min(segment_distance_m(x, y, a, b) for a, b in edges(polygon))


def within(x: float, y: float, polygon: Polygon) -> bool:
    """Whether a point is inside a polygon: an odd number of edges lies to its right."""
    odd = False
    for (ax, ay), (bx, by) in edges(polygon):
        if (ay > y) != (by > y) and x < ax + (y - ay) / (by - ay) * (bx - ax):
            odd = not odd
    return odd


def clearance_m(x: float, y: float, fence: Fence) -> float:
    """Return how far inside a point is, negative outside; of at most one inclusion."""
    signed = [edge_distance_m(x, y, one) * (1 if within(x, y, one) else -1) for one in fence.inside]
    signed += [edge_distance_m(x, y, one) * (-1 if within(x, y, one) else 1) for one in fence.outside]
    return min(signed)


def crosses(before: Pose, after: Pose, fence: Fence) -> bool:
    """Whether the straight line between two poses crosses any edge, however thin what it bounds."""
    start, end = (before.x_m, before.y_m), (after.x_m, after.y_m)

    def side(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
        return (b[0] - a[0]) * (c[1] - a[1]) > (b[1] - a[1]) * (c[0] - a[0])

    return any(
        side(start, end, a) != side(start, end, b) and side(a, b, start) != side(a, b, end)
        for polygon in (*fence.inside, *fence.outside)
        for a, b in edges(polygon)
    )


def brake(pose: Pose, twist: Twist, *, decel_mps2: float = BRAKE_MPS2, step_s: float = 0.005) -> Iterator[Pose]:
    """Yield where a robot is that goes on for the reaction time and then brakes on its curve, until it stands."""
    speed, turned = abs(twist.linear_mps), twist.angular_radps
    time_s, start = 0.0, speed
    x, y, yaw = pose.x_m, pose.y_m, pose.yaw_rad
    while speed > 0.0:
        step = step_s / 10  # each pose by ten smaller steps: the line is integrated, not computed
        for _ in range(10):
            forward = math.copysign(speed, twist.linear_mps)
            middle = yaw + turned * speed / start * step / 2
            x, y = x + forward * step * math.cos(middle), y + forward * step * math.sin(middle)
            yaw += turned * speed / start * step
            time_s += step
            speed = max(0.0, start - decel_mps2 * max(0.0, time_s - REACTION_S))
        yield replace(pose, x_m=x, y_m=y, yaw_rad=yaw)


def times(twist: Twist, scale: float) -> Twist:
    """Return a twist with both axes scaled."""
    return Twist(twist.linear_mps * scale, twist.angular_radps * scale)


def moved(polygon: Polygon, x_m: float, y_m: float, turn_rad: float = 0.0, *, mirror: bool = False) -> Polygon:
    """Return a polygon mirrored at the x axis, then turned about the origin, then shifted."""
    cos, sin, flip = math.cos(turn_rad), math.sin(turn_rad), -1.0 if mirror else 1.0
    return tuple((x * cos - flip * y * sin + x_m, x * sin + flip * y * cos + y_m) for x, y in polygon)


def box(x_m: float, y_m: float, width_m: float, height_m: float) -> Polygon:
    """Return a rectangle by its middle and its sides."""
    half_x, half_y = width_m / 2, height_m / 2
    return tuple((x_m + sx * half_x, y_m + sy * half_y) for sx, sy in ((-1, -1), (1, -1), (1, 1), (-1, 1)))


@st.composite
def stars(draw: st.DrawFn, radius_m: float = 4.0) -> Polygon:
    """Draw a simple polygon around the origin, convex or not: one corner in each of some sectors."""
    count = draw(st.integers(3, 12))
    radii = draw(st.lists(st.floats(0.3, 1.0), min_size=count, max_size=count))
    return tuple(
        (radius_m * radius * math.cos(math.tau * step / count), radius_m * radius * math.sin(math.tau * step / count))
        for step, radius in enumerate(radii)
    )


@st.composite
def exclusions(draw: st.DrawFn) -> Polygon:
    """Draw something to stay out of near the origin: thick, or thinner than any step."""
    middle = draw(st.tuples(st.floats(-4, 4), st.floats(-4, 4)))
    sides = draw(st.tuples(st.floats(0.05, 3.0), st.sampled_from([1e-5, 1e-3, 0.05, 1.0])))
    return moved(box(0.0, 0.0, *sides), *middle, draw(st.floats(-3.2, 3.2)))


poses = st.builds(Pose, st.floats(-4, 4), st.floats(-4, 4), st.floats(-3.2, 3.2), st.sampled_from([0.0, 0.01, 0.1]))
twists = st.builds(Twist, st.floats(-1.5, 1.5), st.one_of(st.just(0.0), st.floats(-4, 4)))


def ray_m(polygon: Polygon, angle: float) -> float:
    """Return how far the outline of a polygon around the origin is in a direction."""
    cos, sin = math.cos(angle), math.sin(angle)
    for (ax, ay), (bx, by) in edges(polygon):
        across = cos * (by - ay) - sin * (bx - ax)
        if across:
            far, part = (ax * (by - ay) - ay * (bx - ax)) / across, (ax * sin - ay * cos) / across
            if far > 0.0 and -1e-9 <= part <= 1.0 + 1e-9:
                return far
    return 0.0


@st.composite
def scenes(draw: st.DrawFn) -> tuple[Fence, Pose]:
    """Draw a fence, and a robot of which most of the time the whole footprint is inside, often close to an edge."""
    star = draw(stars(draw(st.sampled_from([3.0, 6.0]))))
    footprint = draw(st.sampled_from([0.0, 0.05, 0.3])), draw(st.sampled_from([0.0, 0.1]))
    outside = draw(st.one_of(st.just(()), st.just(()), st.tuples(exclusions())))
    angle = draw(st.floats(-math.pi, math.pi))
    sigma_m = draw(st.sampled_from([0.0, 0.0, 0.02]))
    room_m = max(0.0, ray_m(star, angle) - sum(footprint) - 2 * sigma_m)
    far_m = room_m * draw(st.sampled_from([0.0, 0.3, 0.6, 0.9]))
    pose = Pose(far_m * math.cos(angle), far_m * math.sin(angle), draw(st.floats(-3.2, 3.2)), sigma_m)
    return Fence((star,), outside, *footprint), pose


fences = st.builds(
    Fence,
    st.tuples(stars()),
    st.one_of(st.just(()), st.tuples(exclusions()), st.tuples(exclusions(), exclusions())),
    st.sampled_from([0.0, 0.05, 0.3]),
    st.sampled_from([0.0, 0.1]),
)
