"""What the fence leaves of a twist: by hand, at exactly the limit, and for numbers that are none."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import Any

import pytest

from edgetwin.gate.fence import allowed
from edgetwin.gate.limits import MS, Fence
from edgetwin.motion import ZERO, Pose, Twist
from tests.gate.ground import LIMITS, NEED_M, SQUARE, box, clearance_m, times

AHEAD = Twist(0.5, 0.0)
WAY_M = 0.5 * 0.15 + 0.5**2 / (2 * 0.8 * 1.0)  # 0.23125 m, of AHEAD
FENCE = Fence((SQUARE,))
NEAR_M = 5e-6  # a little more than rounding may cost


def before_the_wall(distance_m: float, sigma_m: float = 0.0) -> Pose:
    """Return a pose that looks at the right edge of SQUARE from a distance."""
    return Pose(10.0 - distance_m, 0.0, 0.0, sigma_m)


def scale_for(way_m: float, speed_mps: float = 0.5) -> float:
    """Return the scale that stops within a way: the positive root of v^2 / (2 * 0.8) + 0.15 v = way."""
    return (math.sqrt(0.15**2 + 4 * way_m / 1.6) - 0.15) / (2 / 1.6) / speed_mps


def test_far_from_everything_the_whole_twist_is_allowed() -> None:
    """In all directions, and on the spot."""
    for twist in (AHEAD, Twist(-0.5, 0.0), Twist(0.5, 1.0), Twist(-0.5, -1.0), Twist(0.0, 1.0), ZERO):
        assert allowed(FENCE, Pose(0.0, 0.0, 1.0), twist, LIMITS) == 1.0


def test_without_a_fence_everything_is_allowed() -> None:
    """But not where nobody knows the robot is: a pose of NaN is a fault somewhere."""
    assert allowed(Fence(), Pose(1e6, -1e6, 3.0, 5.0), AHEAD, LIMITS) == 1.0
    assert allowed(Fence(), Pose(math.nan, 0.0, 0.0), AHEAD, LIMITS) == 0.0


def test_the_whole_twist_is_allowed_up_to_exactly_the_way_it_needs() -> None:
    """Radius, margin, reaction, braking: 0.63125 m from the wall it is all, a hair nearer it is less."""
    assert allowed(FENCE, before_the_wall(NEED_M + WAY_M + NEAR_M), AHEAD, LIMITS) == 1.0
    nearer = allowed(FENCE, before_the_wall(NEED_M + WAY_M - NEAR_M), AHEAD, LIMITS)
    assert nearer < 1.0
    assert nearer == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("room_m", [0.2, 0.1, 0.05, 0.01, 0.001, 0.0001])
def test_nearer_to_the_wall_the_speed_is_that_which_still_stops(room_m: float) -> None:
    """Head-on, the scale is exact: no step of a search shows."""
    scale = allowed(FENCE, before_the_wall(NEED_M + room_m + 1e-6), AHEAD, LIMITS)

    assert scale == pytest.approx(scale_for(room_m), rel=1e-6)


def test_at_the_wall_nothing_ahead_is_allowed_and_back_is() -> None:
    """The footprint touches its margin: not a hair further."""
    here = before_the_wall(NEED_M + NEAR_M)

    assert allowed(FENCE, here, AHEAD, LIMITS) < 1e-4
    assert allowed(FENCE, here, Twist(-0.5, 0.0), LIMITS) == 1.0
    assert allowed(FENCE, before_the_wall(NEED_M - NEAR_M), AHEAD, LIMITS) == 0.0


def exact(need_m: float) -> Fence:
    """Return a fence whose right edge is exactly that far from the origin: 64 m long, so that nothing is rounded."""
    return Fence((((-32.0, -32.0), (need_m, -32.0), (need_m, 32.0), (-32.0, 32.0)),))


def test_at_exactly_the_distance_that_is_needed_everything_but_ahead_is_allowed() -> None:
    """Not a bit of a float further away: a turn, and the whole way along the wall."""
    fence = exact(0.3 + 0.1 + 1e-6)
    here = Pose(0.0, 0.0, 0.0)

    assert clearance_m(0.0, 0.0, fence) == 0.3 + 0.1 + 1e-6
    assert allowed(fence, here, Twist(0.0, 1.0), LIMITS) == 1.0
    assert allowed(fence, replace(here, yaw_rad=math.pi), AHEAD, LIMITS) == 1.0
    assert allowed(fence, here, AHEAD, LIMITS) == 0.0
    above = Fence((tuple((y, x) for x, y in fence.inside[0]),))
    assert allowed(above, here, AHEAD, LIMITS) == 1.0  # along y = 0 no coordinate is rounded
    assert allowed(above, here, Twist(-0.5, 0.0), LIMITS) == 1.0
    nearer = exact(math.nextafter(0.3 + 0.1 + 1e-6, 0.0))
    assert allowed(nearer, here, Twist(0.0, 1.0), LIMITS) == 0.0


def test_what_bulges_out_of_its_chords_is_counted() -> None:
    """Past a wall on the outer side of a curve of 0.5 m: what is allowed whole never comes nearer than it may."""
    twist, turn = Twist(0.5, 1.0), WAY_M / 0.5
    whole = 0
    for step in range(60):
        apex_m = NEED_M - 0.0003 + step * 0.00001  # from 0.3 mm too near to 0.3 mm to spare
        for before in (0.3, 0.4, 0.5, 0.6, 0.7):
            angle = before * turn  # of heading, before the point that is nearest to the wall
            here = Pose(10.0 - apex_m - 0.5 * (1 - math.cos(angle)), 0.0, math.pi / 2 - angle)
            if allowed(FENCE, here, twist, LIMITS) == 1.0:
                whole += 1
                assert apex_m >= NEED_M
    assert whole > 10


def test_the_smallest_corner_raises_nothing() -> None:
    """An edge so short that its square is none."""
    tiny = Fence(((*SQUARE, (-10.0, -10.0), (-10.0 + 2e-313, -10.0)), ((0.0, 0.0), (5.0, 0.0), (5.0, 5.0))))
    odd = Fence((((0.0, 0.0), (5.0, 0.0), (5.0, 5.0), (0.0, 5.0), (0.0, 2e-313)),))

    assert allowed(tiny, Pose(0.0, 0.0, 0.0), AHEAD, LIMITS) in {0.0, 1.0}
    assert allowed(odd, Pose(2.0, 2.0, 0.0), AHEAD, LIMITS) == 1.0
    assert 0.0 < allowed(odd, Pose(0.5, 2.0, math.pi), AHEAD, LIMITS) < 1.0


def test_reverse_is_swept_backwards() -> None:
    """With its back to the wall the same numbers hold for v < 0."""
    back_to_it = replace(before_the_wall(NEED_M + 0.1 + 1e-6), yaw_rad=math.pi)

    assert allowed(FENCE, back_to_it, Twist(-0.5, 0.0), LIMITS) == pytest.approx(scale_for(0.1), rel=1e-6)
    assert allowed(FENCE, back_to_it, AHEAD, LIMITS) == 1.0


@pytest.mark.parametrize(
    ("changed", "need_m"),
    [
        ({"robot_radius_m": 0.5}, 0.6),
        ({"robot_radius_m": 0.0}, 0.1),
        ({"margin_m": 0.25}, 0.55),
        ({"margin_m": 0.0}, 0.3),
        ({"robot_radius_m": 0.0, "margin_m": 0.0}, 0.0),
    ],
)
def test_radius_and_margin_are_kept_all_around(changed: dict[str, Any], need_m: float) -> None:
    """Either way it is the distance to the wall that counts, also of a robot that is a point."""
    fence = replace(FENCE, **changed)

    assert allowed(fence, before_the_wall(need_m + WAY_M + NEAR_M), AHEAD, LIMITS) == 1.0
    assert allowed(fence, before_the_wall(need_m + WAY_M - NEAR_M), AHEAD, LIMITS) < 1.0
    assert allowed(fence, before_the_wall(need_m + NEAR_M), Twist(0.0, 1.0), LIMITS) == 1.0
    assert allowed(fence, before_the_wall(need_m - NEAR_M), Twist(0.0, 1.0), LIMITS) == 0.0


@pytest.mark.parametrize("sigma_m", [0.01, 0.05, 0.5])
def test_two_sigma_are_kept_as_well(sigma_m: float) -> None:
    """A pose that may be wrong by 0.1 m keeps 0.2 m more."""
    need_m = NEED_M + 2 * sigma_m

    assert allowed(FENCE, before_the_wall(need_m + WAY_M + NEAR_M, sigma_m), AHEAD, LIMITS) == 1.0
    assert allowed(FENCE, before_the_wall(need_m + WAY_M - NEAR_M, sigma_m), AHEAD, LIMITS) < 1.0


@pytest.mark.parametrize(
    ("changed", "way_m"),
    [
        ({"reaction_ns": 0}, 0.15625),
        ({"reaction_ns": 500 * MS}, 0.40625),
        ({"brake_margin": 1.0}, 0.2),
        ({"brake_margin": 0.5}, 0.325),
        ({"linear_decel_max_mps2": 0.5}, 0.3875),
        ({"linear_decel_max_mps2": 4.0}, 0.1140625),
    ],
)
def test_the_way_follows_the_limits(changed: dict[str, Any], way_m: float) -> None:
    """Reaction time, share of the deceleration that is counted on, deceleration: each by hand."""
    limits = replace(LIMITS, **changed)

    assert allowed(FENCE, before_the_wall(NEED_M + way_m + NEAR_M), AHEAD, limits) == 1.0
    assert allowed(FENCE, before_the_wall(NEED_M + way_m - NEAR_M), AHEAD, limits) < 1.0


def test_on_the_spot_only_the_footprint_counts() -> None:
    """However fast it turns, a wall at a hand's breadth is no matter; one within the margin is."""
    here, too_near = before_the_wall(NEED_M + NEAR_M), before_the_wall(NEED_M - NEAR_M)
    for angular in (1e-9, 1.0, -1.0, 1e9):
        assert allowed(FENCE, here, Twist(0.0, angular), LIMITS) == 1.0
        assert allowed(FENCE, too_near, Twist(0.0, angular), LIMITS) == 0.0
        assert allowed(FENCE, Pose(20.0, 0.0, 0.0), Twist(0.0, angular), LIMITS) == 0.0


def test_a_turn_with_hardly_any_way_is_a_turn_on_the_spot() -> None:
    """The limit of slower and slower: circles of micrometres, driven many times round."""
    here = before_the_wall(NEED_M + NEAR_M)
    for linear in (5e-324, 1e-300, 1e-12, -1e-12):
        assert allowed(FENCE, here, Twist(linear, 1.0), LIMITS) == 1.0


def test_a_zero_twist_is_always_allowed() -> None:
    """Outside too: it moves nothing, and refusing it would keep the twist before it."""
    for pose in (before_the_wall(0.0), Pose(99.0, 0.0, 0.0), Pose(0.0, 0.0, 0.0, 50.0)):
        assert allowed(FENCE, pose, ZERO, LIMITS) == 1.0
        assert allowed(FENCE, pose, Twist(-0.0, -0.0), LIMITS) == 1.0


def test_a_circle_that_fits_may_be_driven_for_ever() -> None:
    """A stopping way of several rounds is one round, looked at once."""
    fence = replace(FENCE, inside=(box(0.0, 0.5, 2.0, 2.0),))
    slow_brakes = replace(LIMITS, linear_decel_max_mps2=0.01)
    here = Pose(0.0, 0.0, 0.0)  # the circle of radius 0.5 m is around the middle of the box

    assert allowed(fence, here, Twist(0.5, 1.0), slow_brakes) == 1.0
    assert allowed(fence, here, Twist(-0.5, -1.0), slow_brakes) == 1.0
    assert 0.0 < allowed(fence, here, Twist(0.5, -1.0), slow_brakes) < 1.0
    assert 0.0 < allowed(fence, here, Twist(0.5, 0.8), slow_brakes) < 1.0


def test_a_curve_away_from_the_wall_is_allowed_where_straight_is_not() -> None:
    """It is the arc that counts, not the heading: its farthest point is at r * sin(turn)."""
    here = Pose(10.0 - NEED_M - 0.15, 0.0, 0.0)

    assert allowed(FENCE, here, Twist(0.5, 0.0), LIMITS) < 1.0
    assert allowed(FENCE, here, Twist(0.5, 4.0), LIMITS) == 1.0  # a radius of 0.125 m


def test_along_the_wall_nothing_is_lost() -> None:
    """Tangent to the fence at a millimetre of room: full speed, on a straight line."""
    for heading in (math.pi / 2, -math.pi / 2):
        assert allowed(FENCE, replace(before_the_wall(NEED_M + 0.001), yaw_rad=heading), AHEAD, LIMITS) == 1.0


def test_a_curve_that_touches_the_wall_in_its_middle_ends_before() -> None:
    """The end of the arc is inside and the way there is not: what counts is the first contact."""
    limits = replace(LIMITS, linear_decel_max_mps2=0.1)  # a way of 1.64 m: half a circle of radius 0.5 m
    here = Pose(10.0 - NEED_M - 0.3, 0.0, 0.0)
    scale = allowed(FENCE, here, Twist(0.5, 1.0), limits)
    way_m = scale * 0.5 * 0.15 + (scale * 0.5) ** 2 / (2 * 0.8 * 0.1)

    assert way_m == pytest.approx(0.5 * math.asin(0.3 / 0.5), abs=0.01)
    assert way_m < 0.5 * math.asin(0.3 / 0.5)


def test_the_search_ends_within_half_a_percent_of_the_way() -> None:
    """Along one wall and towards another: the room at the start says nothing, so the way is halved eight times."""
    here = Pose(10.0 - NEED_M - 0.001, 10.0 - NEED_M - 0.1 - 1e-6, math.pi / 2)
    scale = allowed(FENCE, here, AHEAD, LIMITS)
    way_m = scale * 0.5 * 0.15 + (scale * 0.5) ** 2 / 1.6

    assert 0.1 - WAY_M / 256 <= way_m <= 0.1
    assert way_m / WAY_M * 256 == pytest.approx(110, abs=1e-3)


def test_an_exclusion_thinner_than_any_step_stops_the_robot() -> None:
    """A wall of a hundredth of a millimetre across the way, and one that is all edge."""
    for thin_m in (1e-5, 1e-9):
        fence = replace(FENCE, outside=(box(1.0, 0.0, thin_m, 4.0),), robot_radius_m=0.0, margin_m=0.0)
        assert allowed(fence, Pose(0.9, 0.0, 0.0), AHEAD, LIMITS) == pytest.approx(scale_for(0.1), rel=1e-3)
        assert allowed(fence, Pose(0.5, 0.0, 0.0), AHEAD, LIMITS) == 1.0


def test_the_corner_of_an_exclusion_counts_and_its_edge_too() -> None:
    """A corner on the way, and an edge whose corners are both far from it."""
    corner = replace(FENCE, outside=(((1.0, 0.0), (3.0, 2.0), (3.0, -2.0)),))
    edge = replace(FENCE, outside=(box(2.0, 0.0, 2.0, 16.0),))
    here = Pose(1.0 - NEED_M - 0.1 - 1e-6, 0.0, 0.0)

    assert allowed(corner, here, AHEAD, LIMITS) == pytest.approx(scale_for(0.1), rel=1e-5)
    assert allowed(edge, here, AHEAD, LIMITS) == pytest.approx(scale_for(0.1), rel=1e-5)


def test_inside_an_exclusion_and_outside_the_inclusion_are_both_outside() -> None:
    """On the spot, in the middle of each."""
    fence = replace(FENCE, outside=(box(0.0, 0.0, 4.0, 4.0),))

    assert allowed(fence, Pose(0.0, 0.0, 0.0), Twist(0.0, 1.0), LIMITS) == 0.0
    assert allowed(fence, Pose(5.0, 0.0, 0.0), Twist(0.0, 1.0), LIMITS) == 1.0
    assert allowed(fence, Pose(15.0, 0.0, 0.0), Twist(0.0, 1.0), LIMITS) == 0.0


def test_an_exclusion_alone_leaves_the_rest_of_the_world() -> None:
    """No inclusion: anywhere but there."""
    fence = Fence(outside=(box(0.0, 0.0, 4.0, 4.0),))

    assert allowed(fence, Pose(1e7, -1e7, 0.0), AHEAD, LIMITS) == 1.0
    assert allowed(fence, Pose(-2.0 - NEED_M - 0.1 - 1e-6, 0.0, 0.0), AHEAD, LIMITS) == pytest.approx(
        scale_for(0.1), rel=1e-5
    )
    assert allowed(fence, Pose(-2.0 - NEED_M - WAY_M - NEAR_M, 0.0, 0.0), AHEAD, LIMITS) == 1.0


def test_several_inclusions_are_one_area() -> None:
    """The edge that two of them share is no wall, nor is the part of an edge inside the other."""
    touching = Fence((box(0.0, 0.0, 4.0, 4.0), box(4.0, 0.0, 4.0, 4.0)))
    overlapping = Fence((box(0.0, 0.0, 4.0, 4.0), box(3.0, 0.0, 4.0, 4.0)))
    apart = Fence((box(0.0, 0.0, 4.0, 4.0), box(4.001, 0.0, 4.0, 4.0)))
    at_the_seam = Pose(2.0 - NEED_M, 0.0, 0.0)

    assert allowed(touching, at_the_seam, AHEAD, LIMITS) == 1.0
    assert allowed(overlapping, at_the_seam, AHEAD, LIMITS) == 1.0
    assert allowed(apart, at_the_seam, AHEAD, LIMITS) < 0.01


@pytest.mark.parametrize("side_m", [0.79, 0.1, 1e-3, 1e-7])
def test_a_polygon_smaller_than_the_robot_allows_nothing(side_m: float) -> None:
    """Neither in its middle nor beside it, not even a turn, and no way in: there is no place to come back to."""
    fence = Fence((box(0.0, 0.0, side_m, side_m),))
    for x_m in (0.0, side_m / 2, 1.0):
        for twist in (AHEAD, Twist(-0.5, 0.0), Twist(0.0, 1.0), Twist(0.5, 1.0)):
            assert allowed(fence, Pose(x_m, 0.0, 0.0), twist, LIMITS) == 0.0


def test_a_polygon_just_larger_than_the_robot_allows_a_turn() -> None:
    """And of driving next to nothing."""
    fence = Fence((box(0.0, 0.0, 0.81, 0.81),))

    assert allowed(fence, Pose(0.0, 0.0, 0.0), Twist(0.0, 1.0), LIMITS) == 1.0
    assert 0.0 < allowed(fence, Pose(0.0, 0.0, 0.0), AHEAD, LIMITS) == pytest.approx(scale_for(0.005), rel=0.01)


@pytest.mark.parametrize("offset_m", [1e3, 1e6, 9e7])
def test_huge_coordinates_change_nothing_but_the_last_digits(offset_m: float) -> None:
    """A fence in metres of a national grid, and beyond."""
    fence = replace(FENCE, inside=(box(offset_m, -offset_m, 20.0, 20.0),))
    here = Pose(offset_m + 10.0 - NEED_M - 0.1, -offset_m, 0.0)

    assert allowed(fence, here, AHEAD, LIMITS) == pytest.approx(scale_for(0.1), rel=1e-4)
    assert allowed(fence, replace(here, x_m=offset_m), AHEAD, LIMITS) == 1.0


def test_beyond_the_largest_coordinate_nothing_is_computed() -> None:
    """There a float no longer knows a micrometre: refused, on either axis and side."""
    world = Fence(outside=(box(0.0, 0.0, 1.0, 1.0),))

    for x_m, y_m in ((1e8, 0.0), (-1e8, 0.0), (0.0, 1e8), (0.0, -1e8)):
        assert allowed(world, Pose(x_m, y_m, 0.0), AHEAD, LIMITS) == 1.0
        assert allowed(world, Pose(x_m * 1.001, y_m * 1.001, 0.0), AHEAD, LIMITS) == 0.0


def test_a_way_is_looked_at_for_ten_kilometres() -> None:
    """An absurd speed is scaled to what stops within that."""
    fence = Fence((box(0.0, 0.0, 1e6, 1e6),))
    scale = allowed(fence, Pose(0.0, 0.0, 0.0), Twist(1e100, 0.0), LIMITS)

    assert scale * 1e100 == pytest.approx(scale_for(1e4, 1.0), rel=1e-6)
    assert allowed(fence, Pose(0.0, 0.0, 0.0), Twist(1e300, 1e300), LIMITS) >= 0.0


BAD = (math.nan, math.inf, -math.inf)


@pytest.mark.parametrize("bad", BAD)
def test_a_number_that_is_none_is_refused_wherever_it_stands(bad: Any) -> None:
    """Each number of pose, twist, fence and limits in turn: also where it would not be needed."""
    pose = Pose(0.0, 0.0, 0.0, 0.01)
    for twist in (AHEAD, ZERO, Twist(0.0, 1.0)):
        for name in ("x_m", "y_m", "yaw_rad", "sigma_m"):
            assert allowed(FENCE, replace(pose, **{name: bad}), twist, LIMITS) == 0.0
        for name in ("robot_radius_m", "margin_m"):
            assert allowed(replace(FENCE, **{name: bad}), pose, twist, LIMITS) == 0.0
        for name in ("linear_decel_max_mps2", "brake_margin", "outside_max_mps", "reaction_ns"):
            assert allowed(FENCE, pose, twist, replace(LIMITS, **{name: bad})) == 0.0
    assert allowed(FENCE, pose, Twist(bad, 0.0), LIMITS) == 0.0
    assert allowed(FENCE, pose, Twist(0.0, bad), LIMITS) == 0.0
    assert allowed(FENCE, pose, Twist(0.5, bad), LIMITS) == 0.0
    assert allowed(Fence((((bad, 0.0), (1.0, 0.0), (0.0, 1.0)),)), pose, AHEAD, LIMITS) == 0.0


def test_a_number_that_cannot_be_is_refused() -> None:
    """A negative radius, no brakes, time that runs backwards."""
    pose = Pose(0.0, 0.0, 0.0)
    assert allowed(replace(FENCE, robot_radius_m=-0.01), pose, AHEAD, LIMITS) == 0.0
    assert allowed(replace(FENCE, margin_m=-0.01), pose, AHEAD, LIMITS) == 0.0
    assert allowed(FENCE, replace(pose, sigma_m=-0.01), AHEAD, LIMITS) == 0.0
    for name, value in (
        ("linear_decel_max_mps2", 0.0), ("linear_decel_max_mps2", -1.0), ("brake_margin", 0.0),
        ("outside_max_mps", 0.0), ("outside_max_mps", -0.2), ("reaction_ns", -1),
    ):  # fmt: skip
        assert allowed(FENCE, pose, AHEAD, replace(LIMITS, **{name: value})) == 0.0  # type: ignore[arg-type]


def test_what_is_no_number_at_all_is_refused_and_raises_nothing() -> None:
    """Text, None, an integer no float can hold, lists where tuples belong, corners of three numbers."""
    here: Any
    for here in (Pose("x", 0.0, 0.0), Pose(None, 0.0, 0.0), Pose(10**400, 0.0, 0.0)):  # type: ignore[arg-type]
        assert allowed(FENCE, here, AHEAD, LIMITS) == 0.0
    lists: Any = Fence([[[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]])  # type: ignore[arg-type]
    assert allowed(lists, Pose(0.0, 0.0, 0.0), AHEAD, LIMITS) == 0.0
    assert allowed(FENCE, Pose(0.0, 0.0, 0.0), Twist(10**400, 0.0), LIMITS) == 0.0
    odd: Any = Fence((((0.0,), (1.0, 0.0), (0.0, 1.0)),))  # type: ignore[arg-type]
    assert allowed(odd, Pose(0.0, 0.0, 0.0), AHEAD, LIMITS) == 0.0


def test_a_fence_with_faults_contains_nothing() -> None:
    """Edges that cross: who drew it meant something else."""
    bow_tie = Fence((((-5.0, -5.0), (5.0, 5.0), (5.0, -5.0), (-5.0, 5.0)),))

    assert allowed(bow_tie, Pose(-3.0, 0.0, 0.0), AHEAD, LIMITS) == 0.0
    assert allowed(replace(FENCE, outside=(((0.0, 0.0), (1.0, 1.0)),)), Pose(5.0, 0.0, 0.0), AHEAD, LIMITS) == 0.0


def test_all_limits_and_all_fence_numbers_are_either_looked_at_or_of_other_rows() -> None:
    """A new number of Fence belongs into the tests above."""
    assert {field.name for field in fields(Fence)} == {"inside", "outside", "robot_radius_m", "margin_m"}


def test_exactly_on_the_edge_is_outside() -> None:
    """The ground truth says clearance 0; a robot that is a point may turn a micrometre inside and not on it."""
    point = replace(FENCE, robot_radius_m=0.0, margin_m=0.0)

    assert clearance_m(10.0, 0.0, point) == 0.0
    assert allowed(point, Pose(10.0, 0.0, 0.0), Twist(0.0, 1.0), LIMITS) == 0.0
    assert allowed(point, Pose(10.0 - 3e-6, 0.0, 0.0), Twist(0.0, 1.0), LIMITS) == 1.0
    assert allowed(point, Pose(10.0, 10.0, 0.0), Twist(0.0, 1.0), LIMITS) == 0.0


def test_the_scaled_twist_is_found_good_when_it_is_asked_again() -> None:
    """The gate asks again after its ramp: what was just allowed must not be refused."""
    for distance_m in (0.0005, 0.01, 0.1, 0.2):
        for angular in (0.0, 1.0, -3.0):
            pose = replace(before_the_wall(NEED_M + distance_m), yaw_rad=0.4)
            twist = Twist(0.5, angular)
            scale = allowed(FENCE, pose, twist, LIMITS)
            assert allowed(FENCE, pose, times(twist, scale), LIMITS) == 1.0
