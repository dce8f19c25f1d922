"""Stopping distances, and the line that the base's centre draws."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetwin.gate.arc import CHORDS_MAX, SAGITTA_M, Arc, Braking, arc_of
from edgetwin.motion import Pose, Twist
from tests.gate.ground import brake

ORIGIN = Pose(0.0, 0.0, 0.0)
turns = st.floats(-math.pi, math.pi)
curvatures = st.one_of(st.just(0.0), st.floats(-20, 20), st.floats(-1e-6, 1e-6))


@pytest.mark.parametrize(("speed_mps", "way_m"), [(0.0, 0.0), (0.5, 0.23125), (1.0, 0.775), (1.5, 1.63125), (2.0, 2.8)])
def test_the_way_is_reaction_and_braking(speed_mps: float, way_m: float) -> None:
    """0.15 s of going on, then 0.8 m/s2: by hand."""
    assert Braking(0.15, 0.8).way_m(speed_mps) == pytest.approx(way_m, rel=1e-12)


@given(st.floats(0, 10), st.floats(0, 2), st.floats(0.05, 10))
def test_the_speed_that_stops_within_a_way_is_the_inverse(speed_mps: float, reaction_s: float, decel: float) -> None:
    """Way of speed of way is the way: also without any reaction time."""
    braking = Braking(reaction_s, decel)

    assert braking.speed_mps(braking.way_m(speed_mps)) == pytest.approx(speed_mps, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("way_m", [0.0, -0.0, -1e-9, -5.0, -math.inf])
def test_no_way_is_no_speed(way_m: float) -> None:
    """Nor does a robot that reacts in no time divide nothing by nothing."""
    assert Braking(0.0, 1.0).speed_mps(way_m) == 0.0
    assert Braking(0.15, 1.0).speed_mps(way_m) == 0.0


def test_a_way_of_a_millimetre_has_a_speed() -> None:
    """The smallest way is worth what it is worth: the root of v^2 / 1.6 + 0.15 v = 1 mm."""
    assert Braking(0.15, 0.8).speed_mps(0.001) == pytest.approx((math.sqrt(0.0225 + 0.0025) - 0.15) / 1.25, rel=1e-9)


@given(st.floats(-5, 5), st.floats(-5, 5), turns, st.floats(0, 5))
def test_without_curvature_it_goes_straight(x_m: float, y_m: float, yaw_rad: float, way_m: float) -> None:
    """Ahead, and in reverse to the other side."""
    pose = Pose(x_m, y_m, yaw_rad)
    ahead = arc_of(pose, Twist(0.5, 0.0), way_m).point(way_m)
    back = arc_of(pose, Twist(-0.5, 0.0), way_m).point(way_m)

    assert ahead == pytest.approx((x_m + way_m * math.cos(yaw_rad), y_m + way_m * math.sin(yaw_rad)), abs=1e-12)
    assert back == pytest.approx((x_m - way_m * math.cos(yaw_rad), y_m - way_m * math.sin(yaw_rad)), abs=1e-12)


@pytest.mark.parametrize(
    ("twist", "after_a_quarter"),
    [
        (Twist(0.5, 1.0), (0.5, 0.5)),
        (Twist(0.5, -1.0), (0.5, -0.5)),
        (Twist(-0.5, 1.0), (-0.5, -0.5)),
        (Twist(-0.5, -1.0), (-0.5, 0.5)),
    ],
)
def test_a_quarter_of_a_circle_ends_where_geometry_says(twist: Twist, after_a_quarter: tuple[float, float]) -> None:
    """Radius 0.5 m: forward and backward, to the left and to the right."""
    arc = arc_of(ORIGIN, twist, 10.0)

    assert arc.point(0.25 * math.pi) == pytest.approx(after_a_quarter, abs=1e-12)
    assert arc.point(0.0) == (0.0, 0.0)


@given(turns, st.floats(-1, 1), st.floats(-3, 3))
def test_the_arc_is_the_line_that_a_braking_robot_drives(yaw_rad: float, linear: float, angular: float) -> None:
    """Integrated in small steps, the robot comes to rest on the arc, where `way_m` says."""
    if abs(linear) < 1e-3:
        return
    pose, twist = Pose(1.0, -2.0, yaw_rad), Twist(linear, angular)
    *_, last = brake(pose, twist, decel_mps2=0.8)
    way_m = Braking(0.15, 0.8).way_m(abs(linear))

    assert arc_of(pose, twist, way_m).point(way_m) == pytest.approx((last.x_m, last.y_m), abs=2e-3)


@given(curvatures, st.floats(0, 10))
def test_points_are_as_far_apart_as_the_chord_of_the_way(curvature: float, way_m: float) -> None:
    """Also where the curve is so faint that its radius could not be computed with."""
    x, y = Arc(ORIGIN, 1.0, curvature, way_m).point(way_m)
    chord_m = abs(2 / curvature * math.sin(curvature * way_m / 2)) if abs(curvature) > 1e-3 else None

    assert math.hypot(x, y) <= way_m + 1e-9
    assert chord_m is None or math.hypot(x, y) == pytest.approx(chord_m, abs=1e-9)


def test_the_curvature_has_the_sign_of_the_turn_in_reverse_too() -> None:
    """Counter-clockwise is positive, per metre of way."""
    assert arc_of(ORIGIN, Twist(0.5, 1.0), 1.0) == Arc(ORIGIN, 1.0, 2.0, 1.0)
    assert arc_of(ORIGIN, Twist(-0.5, 1.0), 1.0) == Arc(ORIGIN, -1.0, 2.0, 1.0)
    assert arc_of(ORIGIN, Twist(0.25, -1.0), 3.0) == Arc(ORIGIN, 1.0, -4.0, 3.0)


@pytest.mark.parametrize(("angular", "expected"), [(1e10, 1e6), (-1e10, -1e6), (1e300, 1e6), (9e5, 9e5)])
def test_a_turn_on_the_spot_has_the_radius_of_a_micrometre(angular: float, expected: float) -> None:
    """Whatever the division would give, even infinity."""
    assert arc_of(ORIGIN, Twist(1.0, angular), 1.0).curvature_radpm == expected
    assert arc_of(ORIGIN, Twist(5e-324, math.copysign(1.0, angular)), 1.0).curvature_radpm == math.copysign(
        1e6, angular
    )


def test_the_line_is_once_round_at_most() -> None:
    """What is driven twice is looked at once; a straight line has no end but the way."""
    assert Arc(ORIGIN, 1.0, 2.0, 100.0).length_m == pytest.approx(math.pi)
    assert Arc(ORIGIN, 1.0, -2.0, 100.0).length_m == pytest.approx(math.pi)
    assert Arc(ORIGIN, 1.0, 2.0, 3.0).length_m == 3.0
    assert Arc(ORIGIN, 1.0, 0.0, 100.0).length_m == 100.0


@given(curvatures, st.floats(0, 3))
def test_the_arc_leaves_its_chords_by_no_more_than_it_says(curvature: float, way_m: float) -> None:
    """Every hundredth of the way against the chord that it belongs to."""
    arc = Arc(Pose(0.0, 0.0, 0.7), 1.0, curvature, way_m)
    points, bulge_m = arc.chords(arc.length_m)
    count = len(points) - 1

    assert count <= CHORDS_MAX
    assert points[0] == (0.0, 0.0)
    assert points[-1] == pytest.approx(arc.point(arc.length_m))
    for step in range(101):
        x, y = arc.point(arc.length_m * step / 100)
        index = min(count - 1, step * count // 100)
        (ax, ay), (bx, by) = points[index], points[index + 1]
        chord_m = math.hypot(bx - ax, by - ay)
        aside_m = abs((bx - ax) * (y - ay) - (by - ay) * (x - ax)) / chord_m if chord_m else 0.0
        assert aside_m <= bulge_m + 1e-12


def test_chords_are_as_few_as_keep_the_arc_near() -> None:
    """A straight line is one; half a millimetre is the measure; 64 are enough of anything."""
    assert len(Arc(ORIGIN, 1.0, 0.0, 5.0).chords(5.0)[0]) == 2
    assert Arc(ORIGIN, 1.0, 0.0, 5.0).chords(5.0)[1] == 0.0
    points, bulge_m = Arc(ORIGIN, 1.0, 2.0, 0.5).chords(0.5)  # 0.0625 m / 0.0005 m = 125, its root 11.2
    assert len(points) == 13
    assert bulge_m == pytest.approx(0.0625 / 144)
    assert SAGITTA_M / 2 < bulge_m <= SAGITTA_M
    points, bulge_m = Arc(ORIGIN, 1.0, 0.1, 60.0).chords(60.0)
    assert len(points) == 65
    assert bulge_m == pytest.approx(45.0 / 64**2)


def test_the_bound_of_the_bulge_is_the_sagitta_and_not_much_more() -> None:
    """By the formula r * (1 - cos(turn / 2)): 0.5 m of way at a radius of 0.5 m in one chord, and in eight."""
    arc = Arc(ORIGIN, 1.0, 2.0, 0.5)
    one, eight = arc.chords(0.5, 1), arc.chords(0.5, 8)

    assert (len(one[0]), len(eight[0])) == (2, 9)
    assert one[1] == pytest.approx(0.5 * (1 - math.cos(0.5)), rel=0.05)
    assert eight[1] == pytest.approx(0.5 * (1 - math.cos(0.5 / 8)), rel=0.001)
    assert one[1] > 0.5 * (1 - math.cos(0.5))
    assert eight[1] > 0.5 * (1 - math.cos(0.5 / 8))
