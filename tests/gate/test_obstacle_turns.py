"""Time to collision on an arc, held against a robot that drives it in small steps."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edgetwin.gate.limits import MS, StopZone
from edgetwin.gate.obstacle import allowed
from edgetwin.motion import Twist
from tests.gate.ground import FILTERED

Points = tuple[tuple[float, float], ...]
STEP_S = 0.004

zones = st.builds(
    StopZone,
    st.sampled_from([0.1, 0.5, 1.0]),
    st.sampled_from([0.1, 0.35]),
    st.integers(1, 4),
    st.sampled_from([500 * MS, 2_000 * MS, 5_000 * MS]),
)
clouds: st.SearchStrategy[Points] = st.lists(
    st.tuples(st.floats(-2.5, 2.5), st.floats(-2.5, 2.5)), min_size=1, max_size=30
).map(tuple)
speeds = st.floats(0.1, 1.5).flatmap(lambda speed: st.sampled_from([speed, -speed]))
turns = st.one_of(st.just(0.0), st.floats(-3.0, 3.0))


def looks_ahead(zone: StopZone, twist: Twist) -> bool:
    """Whether the turn is wider than the rectangle."""
    return abs(twist.linear_mps) > abs(twist.angular_radps) * zone.half_width_m * 1.001


def entered(zone: StopZone, points: Points, twist: Twist, *, grown_m: float = 0.0) -> float:
    """Return the share of the time to collision after which enough points have been in the rectangle, driven in steps.

    Points are carried the other way round the standing robot: no centre of a turn, no angle of a point.
    """
    remaining = list(points)
    step_x, turn = twist.linear_mps * STEP_S, twist.angular_radps * STEP_S
    ahead = math.copysign(1.0, twist.linear_mps)
    cos, sin = math.cos(turn), math.sin(turn)
    middle_x, middle_y = step_x * math.cos(turn / 2), step_x * math.sin(turn / 2)
    seen, steps = 0, round(zone.time_to_collision_ns / 1e9 / STEP_S)
    for step in range(steps + 1):
        inside = [
            -grown_m <= ahead * x <= zone.front_m + grown_m and abs(y) <= zone.half_width_m + grown_m
            for x, y in remaining
        ]
        seen += sum(inside)
        if seen >= zone.points_min:
            return step / steps
        outside = [point for point, within in zip(remaining, inside, strict=True) if not within]
        shifted = [(x - middle_x, y - middle_y) for x, y in outside]
        remaining = [(x * cos + y * sin, y * cos - x * sin) for x, y in shifted]
    return 1.0


@settings(max_examples=600, deadline=None)
@given(zones, clouds, speeds, turns)
def test_the_scale_is_that_of_a_robot_driven_in_steps(
    zone: StopZone, points: Points, linear: float, angular: float
) -> None:
    """Between a rectangle that is a little larger and one that is the same: what steps miss is at its corners."""
    twist = Twist(linear, angular)
    assume(looks_ahead(zone, twist))
    scale = allowed(zone, points, twist)
    step = STEP_S / (zone.time_to_collision_ns / 1e9)
    slack_m = (abs(linear) + abs(angular) * (zone.front_m + zone.half_width_m)) * STEP_S

    assert scale <= entered(zone, points, twist) + 1e-6
    assert scale >= entered(zone, points, twist, grown_m=slack_m + 1e-4) - step - 1e-6


@settings(max_examples=300, suppress_health_check=FILTERED)
@given(zones, clouds, speeds, turns)
def test_at_the_scaled_twist_the_time_remains(zone: StopZone, points: Points, linear: float, angular: float) -> None:
    """Asked again, it is allowed; unless something is inside already, when nothing is."""
    twist = Twist(linear, angular)
    scale = allowed(zone, points, twist)
    assume(scale > 1e-6)

    assert allowed(zone, points, Twist(linear * scale, angular * scale)) == pytest.approx(1.0, abs=1e-6)


@settings(max_examples=300)
@given(zones, clouds, st.one_of(st.just(0.0), speeds), turns, st.tuples(st.floats(-2, 2), st.floats(-2, 2)))
def test_one_more_point_never_allows_more(
    zone: StopZone, points: Points, linear: float, angular: float, point: tuple[float, float]
) -> None:
    """Wherever it is."""
    twist = Twist(linear, angular)

    assert allowed(zone, (*points, point), twist) <= allowed(zone, points, twist)


@settings(max_examples=300)
@given(zones, clouds, speeds, turns, st.sampled_from(["front_m", "points_min", "time"]))
def test_a_stricter_zone_never_allows_more(
    zone: StopZone, points: Points, linear: float, angular: float, name: str
) -> None:
    """Longer, content with fewer points, more time."""
    match name:
        case "front_m":
            stricter = replace(zone, front_m=zone.front_m * 1.3)
        case "points_min":
            stricter = replace(zone, points_min=max(1, zone.points_min - 1))
        case _:
            stricter = replace(zone, time_to_collision_ns=zone.time_to_collision_ns * 2)
    twist = Twist(linear, angular)

    assert allowed(stricter, points, twist) <= allowed(zone, points, twist) + 1e-9


@settings(max_examples=300)
@given(zones, clouds, speeds, turns, st.floats(1.0, 4.0))
def test_faster_is_scaled_to_the_same_speed(
    zone: StopZone, points: Points, linear: float, angular: float, more: float
) -> None:
    """Whoever asks for too much gets what was there to be had."""
    once, faster = (allowed(zone, points, Twist(linear * times, angular * times)) for times in (1.0, more))

    assert faster <= once + 1e-9
    assert faster * more == pytest.approx(once, abs=1e-6) or once == 1.0


@settings(max_examples=300)
@given(zones, clouds, st.one_of(st.just(0.0), speeds), turns)
def test_mirrors_change_nothing(zone: StopZone, points: Points, linear: float, angular: float) -> None:
    """Left for right, and ahead for behind."""
    scale = allowed(zone, points, Twist(linear, angular))
    left_right = tuple((x, -y) for x, y in points)
    ahead_behind = tuple((-x, y) for x, y in points)

    assert allowed(zone, left_right, Twist(linear, -angular)) == pytest.approx(scale, abs=1e-9)
    assert allowed(zone, ahead_behind, Twist(-linear, -angular)) == pytest.approx(scale, abs=1e-9)
    assert allowed(zone, points[::-1], Twist(linear, angular)) == scale


ONE = StopZone(points_min=1)


def share(turn_rad: float, angular: float = 1.0) -> float:
    """Return the scale for something that is met after a turn."""
    return min(1.0, turn_rad / angular / 2.0)


@pytest.mark.parametrize("side", [1.0, -1.0])
@pytest.mark.parametrize("ahead", [1.0, -1.0])
def test_points_on_a_turn_are_met_where_geometry_says(side: float, ahead: float) -> None:
    """Seen from the centre of a turn of 1 m: the front meets at asin(0.5 / r), the inner side at acos(0.65 / r)."""
    twist = Twist(ahead, ahead * side)
    for far_m, meets in (
        (1.0, math.asin(0.5)),
        (1.2, math.asin(0.5 / 1.2)),
        (0.8, math.acos(0.65 / 0.8)),
        (0.66, math.acos(0.65 / 0.66)),
        (math.hypot(0.5, 0.65), math.asin(0.5 / math.hypot(0.5, 0.65))),
        (1.4, math.asin(0.5 / 1.4)),
        (math.hypot(0.5, 1.35) - 1e-9, math.asin(0.5 / math.hypot(0.5, 1.35))),
    ):
        angle = meets + 0.6
        point = (ahead * far_m * math.sin(angle), side * (1.0 - far_m * math.cos(angle)))
        assert allowed(ONE, (point,), twist) == pytest.approx(share(0.6), abs=1e-7)
    for far_m in (0.65 - 1e-6, math.hypot(0.5, 1.35) + 1e-6, 0.1, 3.0):
        point = (ahead * far_m * math.sin(1.2), side * (1.0 - far_m * math.cos(1.2)))
        assert allowed(ONE, (point,), twist) == 1.0


def test_what_is_abeam_or_behind_is_met_after_the_rest_of_the_circle() -> None:
    """With time enough: beside the rectangle on the outer side, behind it, and just behind its axis."""
    zone = replace(ONE, time_to_collision_ns=20_000 * MS)
    for far_m, angle, meets in (
        (1.4, 0.1, math.asin(0.5 / 1.4)),  # at acos(1.35 / 1.4) = 0.27 it would be inside
        (1.0, -0.5, math.asin(0.5)),
        (0.8, -0.01, math.acos(0.65 / 0.8)),
        (1.0, math.pi, math.asin(0.5)),
    ):
        point = (far_m * math.sin(angle), 1.0 - far_m * math.cos(angle))
        turn = angle - meets + (math.tau if angle < meets else 0.0)
        assert allowed(zone, (point,), Twist(1.0, 1.0)) == pytest.approx(turn / 20.0, abs=1e-7)


def test_what_is_inside_by_less_than_the_least_number_is_met_at_once() -> None:
    """On the outer border and on the axis: rounding must not send it once round."""
    zone = replace(ONE, points_min=2)
    for first in ((0.2, -0.35), (0.3, -0.35), (0.0, 0.1), (0.45, 0.35), (0.5, -0.35), (0.0, -0.35)):
        point = (math.sin(1.0), 1.0 - math.cos(1.0))
        turn = 1.0 - math.asin(0.5)
        assert allowed(zone, (first, point), Twist(1.0, 1.0)) == pytest.approx(share(turn), abs=1e-7)


def test_a_wide_turn_is_nearly_a_straight_line() -> None:
    """Radii around that beyond which it is taken for one: no jump."""
    wall = tuple((1.0, y / 100) for y in range(-34, 35))
    for radius_m in (5_000.0, 9_999.0, 10_000.0, 10_001.0, 1e9):
        for side in (1.0, -1.0):
            assert allowed(ONE, wall, Twist(0.5, side * 0.5 / radius_m)) == pytest.approx(0.5, abs=1e-3)


def test_the_borders_of_what_a_turn_meets_belong_to_it() -> None:
    """At exactly the inner radius; a billionth behind the axis; a zone longer than the turn is wide."""
    assert allowed(ONE, ((0.65, 1.0),), Twist(1.0, 1.0)) == pytest.approx(math.pi / 4)
    assert allowed(ONE, ((-1e-9, 0.0),), Twist(1.0, 1.0)) == 0.0
    long = replace(ONE, front_m=1.0, time_to_collision_ns=4_000 * MS)
    point = (0.8 * math.sin(2.0), 1.0 - 0.8 * math.cos(2.0))
    assert allowed(long, (point,), Twist(1.0, 1.0)) == pytest.approx((2.0 - math.acos(0.65 / 0.8)) / 4)


def test_the_widest_turn_is_exactly_a_straight_line() -> None:
    """At that radius, not only beyond it."""
    assert allowed(ONE, ((1.0, 0.3),), Twist(1.0, 1e-4)) == allowed(ONE, ((1.0, 0.3),), Twist(1.0, 0.0)) == 0.25
    assert allowed(ONE, ((1.0, 0.3),), Twist(1.0, 1.0001e-4)) != 0.25


def test_a_curve_misses_what_straight_on_would_hit() -> None:
    """A post 1.2 m ahead: the turn of 1 m of radius passes it, the other way round too."""
    post = ((1.2, 0.0),)

    assert allowed(ONE, post, Twist(0.5, 0.0)) == pytest.approx(0.7)
    assert allowed(ONE, ((1.5, -0.3),), Twist(0.5, 0.5)) == 1.0
    assert allowed(ONE, ((1.5, 0.3),), Twist(0.5, -0.5)) == 1.0
    assert allowed(ONE, ((1.0, 1.0),), Twist(0.6, 0.6)) < 1.0
    assert allowed(ONE, ((1.0, -1.0),), Twist(0.6, 0.6)) == 1.0
