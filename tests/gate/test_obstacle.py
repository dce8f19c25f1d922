"""What a scan leaves of a twist: the stop zone by hand, at exactly its border, and for numbers that are none."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetwin.gate.limits import MS, StopZone
from edgetwin.gate.obstacle import allowed
from edgetwin.motion import ZERO, Twist

ZONE = StopZone()  # 0.5 m ahead, 0.35 m to each side, 4 points, 2 s
AHEAD = Twist(0.5, 0.0)
BACK = Twist(-0.5, 0.0)
SPOT = Twist(0.0, 1.0)
ONE = replace(ZONE, points_min=1)


def crowd(x_m: float, y_m: float, count: int = 4) -> tuple[tuple[float, float], ...]:
    """Return points at one place."""
    return ((x_m, y_m),) * count


def ring(radius_m: float, count: int = 720) -> tuple[tuple[float, float], ...]:
    """Return a scan of a round room."""
    angles = (math.tau * step / count for step in range(count))
    return tuple((radius_m * math.cos(angle), radius_m * math.sin(angle)) for angle in angles)


def wall(x_m: float) -> tuple[tuple[float, float], ...]:
    """Return a wall across the way, a point each centimetre."""
    return tuple((x_m, step / 100) for step in range(-200, 201))


def test_a_free_scan_allows_everything() -> None:
    """No points at all, and a round room of 6 m."""
    for points in ((), ring(6.0)):
        for twist in (AHEAD, BACK, SPOT, Twist(0.5, 1.0), Twist(-0.5, 0.3), Twist(0.1, -1.0), ZERO):
            assert allowed(ZONE, points, twist) == 1.0


def test_without_a_scan_nothing_is_allowed() -> None:
    """None is a scan that nobody can trust."""
    for twist in (AHEAD, BACK, SPOT, ZERO):
        assert allowed(ZONE, None, twist) == 0.0


def test_a_zero_twist_is_allowed_in_the_thickest_crowd() -> None:
    """It moves nothing."""
    assert allowed(ZONE, crowd(0.2, 0.0), ZERO) == 1.0
    assert allowed(ZONE, crowd(0.2, 0.0), Twist(-0.0, -0.0)) == 1.0


@pytest.mark.parametrize("twist", [AHEAD, Twist(0.01, 0.0), Twist(0.5, 0.4), Twist(0.5, -0.4), Twist(0.5, 1e-9)])
@pytest.mark.parametrize(
    ("x_m", "y_m"), [(0.0, 0.0), (0.5, 0.0), (0.25, 0.35), (0.25, -0.35), (0.5, 0.35), (0.5, -0.35), (0.0, 0.35)]
)
def test_points_inside_the_rectangle_stop_the_robot(twist: Twist, x_m: float, y_m: float) -> None:
    """Its border is inside, on all sides and at all corners."""
    assert allowed(ZONE, crowd(x_m, y_m), twist) == 0.0


@pytest.mark.parametrize(("x_m", "y_m"), [(0.25, 0.350001), (0.25, -0.350001), (-0.000001, 0.0), (-0.3, 0.2)])
def test_points_beside_and_behind_do_not_stop_it(x_m: float, y_m: float) -> None:
    """A micrometre outside, driving straight on."""
    assert allowed(ZONE, crowd(x_m, y_m), AHEAD) == 1.0


def test_for_reverse_the_rectangle_is_behind() -> None:
    """Mirrored: the same border on the other side, and what is ahead does not matter."""
    for x_m, y_m in ((0.0, 0.0), (-0.5, 0.0), (-0.5, 0.35), (-0.25, -0.35)):
        assert allowed(ZONE, crowd(x_m, y_m), BACK) == 0.0
        assert allowed(ZONE, crowd(x_m, y_m), Twist(-0.5, 0.4)) == 0.0
    for x_m, y_m in ((0.000001, 0.0), (0.3, 0.0), (-0.25, 0.350001)):
        assert allowed(ZONE, crowd(x_m, y_m), BACK) == 1.0


@pytest.mark.parametrize("changed", [{"front_m": 0.8}, {"half_width_m": 0.6}])
def test_the_rectangle_is_that_of_the_settings(changed: dict[str, Any]) -> None:
    """Longer or wider: what was just outside is inside."""
    x_m, y_m = (0.7, 0.0) if "front_m" in changed else (0.3, 0.5)
    slow = Twist(0.001, 0.0)

    assert allowed(ZONE, crowd(x_m, y_m), slow) == 1.0
    assert allowed(replace(ZONE, **changed), crowd(x_m, y_m), slow) == 0.0


@pytest.mark.parametrize("points_min", [1, 2, 4, 10])
@pytest.mark.parametrize("twist", [AHEAD, BACK, SPOT, Twist(0.5, 1.0)])
def test_fewer_points_than_the_least_number_are_noise(points_min: int, twist: Twist) -> None:
    """One less is nothing, exactly as many are an obstacle: straight, in reverse, on the spot, in a curve."""
    zone = replace(ZONE, points_min=points_min)
    x_m = math.copysign(0.2, twist.linear_mps)

    assert allowed(zone, crowd(x_m, 0.1, points_min - 1), twist) == 1.0
    assert allowed(zone, crowd(x_m, 0.1, points_min), twist) == 0.0


@pytest.mark.parametrize(
    ("x_m", "speed_mps", "scale"),
    [
        (1.5, 0.5, 1.0),  # 1 m beyond the rectangle at 0.5 m/s: 2 s, exactly
        (1.499, 0.5, 0.999),
        (1.0, 0.5, 0.5),
        (0.75, 0.5, 0.25),
        (0.501, 0.5, 0.001),
        (1.0, 0.25, 1.0),
        (1.0, 1.0, 0.25),
        (4.0, 2.0, 0.875),
    ],
)
def test_the_time_to_collision_scales_the_speed(x_m: float, speed_mps: float, scale: float) -> None:
    """A wall ahead, and the same behind for reverse: time until the rectangle touches it, in shares of 2 s."""
    assert allowed(ZONE, wall(x_m), Twist(speed_mps, 0.0)) == pytest.approx(scale, rel=1e-9)
    assert allowed(ZONE, wall(-x_m), Twist(-speed_mps, 0.0)) == pytest.approx(scale, rel=1e-9)


def test_only_what_is_on_the_way_has_a_time_to_collision() -> None:
    """Beside the way, behind, and a gap that is just wide enough."""
    gap = tuple((1.0, y) for y in (-0.5, -0.4, -0.351, 0.351, 0.4, 0.5))

    assert allowed(ONE, gap, AHEAD) == 1.0
    assert allowed(ONE, (*gap, (1.0, 0.35)), AHEAD) == pytest.approx(0.5)
    assert allowed(ONE, crowd(-1.0, 0.0), AHEAD) == 1.0
    assert allowed(ONE, crowd(-1.0, 0.0), BACK) == pytest.approx(0.5)


@pytest.mark.parametrize(("time_ms", "scale"), [(0, 1.0), (500, 1.0), (1000, 1.0), (1250, 0.8), (4000, 0.25)])
def test_the_time_that_must_remain_is_that_of_the_settings(time_ms: int, scale: float) -> None:
    """1 s away: no matter, just enough, four times too near. Without any time only the zone itself stops."""
    zone = replace(ZONE, time_to_collision_ns=time_ms * MS)

    assert allowed(zone, wall(1.0), AHEAD) == pytest.approx(scale)
    assert allowed(zone, wall(0.5), AHEAD) == 0.0
    assert allowed(zone, crowd(0.0, 0.1), AHEAD) == 0.0
    assert allowed(zone, crowd(0.0, 0.1), Twist(0.5, 0.5)) == 0.0


def test_a_short_time_is_a_time() -> None:
    """Half a second: 0.1 m beyond the rectangle at 0.5 m/s are 0.2 s."""
    assert allowed(replace(ZONE, time_to_collision_ns=500 * MS), wall(0.6), AHEAD) == pytest.approx(0.4)


def test_the_point_that_makes_the_least_number_decides() -> None:
    """Three in front are noise; with the fourth, further away, it is an obstacle from there on."""
    points = ((0.6, 0.0), (0.7, 0.0), (0.8, 0.0), (0.9, 0.0), (1.2, 0.0))

    assert allowed(ZONE, points[:3], AHEAD) == 1.0
    assert allowed(ZONE, points[:4], AHEAD) == pytest.approx(0.4)
    assert allowed(ZONE, points[::-1], AHEAD) == pytest.approx(0.4)
    assert allowed(replace(ZONE, points_min=5), points, AHEAD) == pytest.approx(0.7)
    assert allowed(ONE, points, AHEAD) == pytest.approx(0.1)


def test_points_inside_the_zone_count_together_with_those_to_come() -> None:
    """Three inside, one on the way: the fourth decides, wherever it is."""
    points = (*crowd(0.2, 0.0, 3), (1.0, 0.1))

    assert allowed(ZONE, points, AHEAD) == pytest.approx(0.5)
    assert allowed(ZONE, points, Twist(0.5, 1e-4)) == pytest.approx(0.5, abs=1e-3)
    assert allowed(ZONE, (*crowd(0.0, 0.0, 3), (1.0, 0.1)), AHEAD) == pytest.approx(0.5)
    assert allowed(ZONE, (*crowd(-1e-9, 0.0, 3), (1.0, 0.1)), AHEAD) == 1.0


def test_on_the_spot_a_circle_must_be_free() -> None:
    """Through the far corner of the rectangle, whatever the direction of the points, and at any speed of turn."""
    corner_m = math.hypot(0.5, 0.35)
    for angle in (0.0, 1.0, 2.0, math.pi, -1.5):
        x_m, y_m = math.cos(angle), math.sin(angle)
        for angular in (1.0, -1.0, 0.001, 100.0):
            twist = Twist(0.0, angular)
            assert allowed(ZONE, crowd(x_m * (corner_m - 1e-9), y_m * (corner_m - 1e-9)), twist) == 0.0
            assert allowed(ZONE, crowd(x_m * (corner_m + 1e-9), y_m * (corner_m + 1e-9)), twist) == 1.0


def test_a_turn_whose_centre_is_in_the_rectangle_needs_a_circle_around_that_centre() -> None:
    """0.35 m of radius is the last: the circle goes through the far corner on the other side."""
    corner_m = math.hypot(0.5, 0.7)
    for linear, angular, y_m in ((0.35, 1.0, 0.35), (0.35, -1.0, -0.35), (-0.35, -1.0, 0.35), (-0.35, 1.0, -0.35)):
        twist = Twist(linear, angular)
        assert allowed(ZONE, crowd(0.0, y_m - math.copysign(corner_m - 1e-9, y_m)), twist) == 0.0
        assert allowed(ZONE, crowd(0.0, y_m - math.copysign(corner_m + 1e-9, y_m)), twist) == 1.0
        assert allowed(ZONE, crowd(math.copysign(0.8, -linear), y_m), twist) == 0.0  # behind it, in the circle
    assert allowed(ZONE, crowd(-0.8, 0.36), Twist(0.36, 1.0)) == 1.0  # a wider turn looks ahead


def test_away_from_the_obstacle_is_allowed() -> None:
    """A wall right in front: not on, not around, but back, straight or in a curve that clears it."""
    points = wall(0.3)

    assert allowed(ZONE, points, AHEAD) == 0.0
    assert allowed(ZONE, points, SPOT) == 0.0
    assert allowed(ZONE, points, BACK) == 1.0
    assert allowed(ZONE, points, Twist(-0.5, 0.3)) == 1.0
    assert allowed(ZONE, points, Twist(-0.5, -0.3)) == 1.0


def test_a_round_room_that_is_too_small_holds_the_robot() -> None:
    """Every direction is blocked."""
    for twist in (AHEAD, BACK, SPOT, Twist(0.5, 1.0), Twist(-0.5, 1.0), Twist(0.01, 0.0)):
        assert allowed(ZONE, ring(0.4), twist) == 0.0


BAD = (math.nan, math.inf, -math.inf)


@pytest.mark.parametrize("bad", BAD)
def test_a_point_that_is_no_number_is_never_free(bad: float) -> None:
    """It counts as inside the zone: whatever was not measured may be right there."""
    for twist in (AHEAD, BACK, SPOT, Twist(0.5, 1.0), Twist(-0.5, 0.3)):
        for point in ((bad, 0.0), (0.0, bad), (bad, bad), (9.0, bad), (bad, 9.0), (bad, math.inf), (math.inf, bad)):
            assert allowed(ZONE, (point,) * 4, twist) == 0.0
            assert allowed(ONE, (point,), twist) == 0.0
            assert allowed(ZONE, (point,) * 3, twist) == 1.0
            assert allowed(ZONE, ((point,) * 3) + ((5.0, 5.0),) * 700, twist) == 1.0


@pytest.mark.parametrize("bad", BAD)
def test_a_twist_or_a_zone_that_is_no_number_is_refused(bad: Any) -> None:
    """Also in an empty room."""
    assert allowed(ZONE, (), Twist(bad, 0.0)) == 0.0
    assert allowed(ZONE, (), Twist(0.0, bad)) == 0.0
    assert allowed(ZONE, (), Twist(0.5, bad)) == 0.0
    for name in ("front_m", "half_width_m"):
        for twist in (AHEAD, SPOT, ZERO):
            assert allowed(replace(ZONE, **{name: bad}), (), twist) == 0.0


def test_a_zone_that_cannot_be_is_refused() -> None:
    """Negative lengths; no least number of points would be no obstacle or always one."""
    for changed in ({"front_m": -0.1}, {"half_width_m": -0.1}, {"points_min": 0}, {"points_min": -3}):
        assert allowed(replace(ZONE, **changed), (), AHEAD) == 0.0
    line = replace(ZONE, front_m=0.0, half_width_m=0.0)
    assert allowed(line, crowd(0.0, 0.0), AHEAD) == 0.0
    assert allowed(line, crowd(0.0, 0.0), SPOT) == 0.0
    assert allowed(line, crowd(0.5, 0.0), AHEAD) == pytest.approx(0.5)
    assert allowed(line, crowd(0.001, 0.001), AHEAD) == 1.0


def test_what_is_no_scan_at_all_is_refused_and_raises_nothing() -> None:
    """Text, numbers without partners, an integer no float can hold."""
    scan: Any
    for scan in ("scan", 5, (1.0, 2.0), ((1.0,), (2.0,)), (("a", "b"),), ((10**400, 0.0),), ((None, None),) * 4):
        assert allowed(ZONE, scan, AHEAD) == 0.0
    assert allowed(ZONE, (), Twist(10**400, 0.0)) == 0.0


def test_points_a_universe_away_are_far() -> None:
    """Their squares are infinite; they are not."""
    for twist in (AHEAD, BACK, SPOT, Twist(0.5, 1.0)):
        assert allowed(ZONE, crowd(1.7e308, 1.7e308), twist) == 1.0
        assert allowed(ZONE, crowd(-1.7e308, 1e-308), replace(twist, linear_mps=abs(twist.linear_mps))) == 1.0


anything = st.floats(allow_nan=True, allow_infinity=True)


@settings(max_examples=500)
@given(
    st.builds(StopZone, anything, anything, st.integers(-2, 6), st.integers(0, 10**18)),
    st.lists(st.tuples(anything, anything), max_size=12).map(tuple),
    st.builds(Twist, anything, anything),
)
def test_any_floats_give_a_scale_and_no_exception(
    zone: StopZone, points: tuple[tuple[float, float], ...], twist: Twist
) -> None:
    """The largest, the smallest, none at all."""
    assert 0.0 <= allowed(zone, points, twist) <= 1.0
