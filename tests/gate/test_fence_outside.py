"""A robot that is outside already: only the way back, slowly, and never towards another edge."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edgetwin.gate.fence import _better, allowed
from edgetwin.gate.limits import Fence
from edgetwin.motion import Pose, Twist
from tests.gate.ground import FILTERED, LIMITS, NEED_M, SQUARE, box, brake, clearance_m, fences, poses, times, twists

AHEAD = Twist(0.5, 0.0)
BACK = Twist(-0.5, 0.0)
FENCE = Fence((SQUARE,))
OUTSIDE_MAX_MPS = 0.2
STEP_M = (0.2 * 0.15 + 0.2**2 / 1.6) / 8  # the way of the fastest return, in eighths


def past_the_wall(depth_m: float, yaw_rad: float = 0.0) -> Pose:
    """Return a pose whose footprint is `depth_m` too far to the right."""
    return Pose(10.0 - NEED_M + depth_m, 0.0, yaw_rad)


@pytest.mark.parametrize("depth_m", [1e-4, 0.05, NEED_M - 1e-4, NEED_M, NEED_M + 1e-4, 1.0, 5.0, 1e4])
def test_back_is_allowed_and_on_is_not(depth_m: float) -> None:
    """A tenth of a millimetre too far, half out, out, far out; looking out and looking in."""
    out, home = past_the_wall(depth_m), past_the_wall(depth_m, math.pi)

    assert allowed(FENCE, out, AHEAD, LIMITS) == 0.0
    assert allowed(FENCE, home, BACK, LIMITS) == 0.0
    assert allowed(FENCE, out, BACK, LIMITS) * 0.5 == pytest.approx(OUTSIDE_MAX_MPS, rel=1e-6)
    assert allowed(FENCE, home, AHEAD, LIMITS) * 0.5 == pytest.approx(OUTSIDE_MAX_MPS, rel=1e-6)


@pytest.mark.parametrize("depth_m", [0.1, 1.0])
@pytest.mark.parametrize(
    ("speed_mps", "scale"), [(0.1, 1.0), (0.2, 1.0), (0.2001, 0.99950025), (0.8, 0.25), (2.0, 0.1)]
)
def test_the_way_back_is_never_faster_than_its_limit(depth_m: float, speed_mps: float, scale: float) -> None:
    """Both axes are scaled: the curve stays the same."""
    assert allowed(FENCE, past_the_wall(depth_m), Twist(-speed_mps, 0.0), LIMITS) == pytest.approx(scale, rel=1e-7)
    assert scale * speed_mps <= OUTSIDE_MAX_MPS + 1e-9


def test_the_limit_of_the_way_back_is_that_of_the_settings() -> None:
    """Half a metre per second for a site that wants it, a crawl for another."""
    for limit_mps in (0.05, 0.3, 0.5):
        limits = replace(LIMITS, outside_max_mps=limit_mps)
        speed_mps = allowed(FENCE, past_the_wall(0.1), BACK, limits) * 0.5
        assert speed_mps == pytest.approx(limit_mps, rel=1e-6)
        assert speed_mps <= limit_mps


def test_the_scaled_way_back_is_not_scaled_again() -> None:
    """The gate asks twice."""
    for depth_m in (0.1, 1.0):
        scale = allowed(FENCE, past_the_wall(depth_m), BACK, LIMITS)
        assert allowed(FENCE, past_the_wall(depth_m), times(BACK, scale), LIMITS) == 1.0


def test_a_speed_that_is_hardly_one_is_refused_in_the_wrong_direction_too() -> None:
    """Its way is zero even to a float; it is still the wrong way."""
    assert allowed(FENCE, past_the_wall(0.1), Twist(5e-324, 0.0), LIMITS) == 0.0
    assert allowed(FENCE, past_the_wall(0.1), Twist(-5e-324, 0.0), LIMITS) == 1.0


def test_each_chord_is_judged_at_exactly_its_limits() -> None:
    """One row of numbers for each case: start, ends of the chords; how close they pass; what is good of it."""
    need, bulge, micro = 0.5, 0.125, 1e-6
    for start, ends, passing, good in (
        (0.5, (0.5, 0.75, 0.5), (0.625, 0.7, 0.6249), (True, True, False)),  # free at the start: need and bulge
        (0.4999, (0.6, 0.6, 0.6), (0.4999, 0.5, 0.4), (True, True, False)),  # violated: no more than at the start
        (0.3, (0.3 + micro, 0.3 + 2 * micro, 0.3), (0.3, 0.3, 0.3), (False, True, False)),  # and less so at the end
        (0.3, (0.4, 0.4, 0.4), (0.3 - micro, 0.3 - 2 * micro, 0.0), (True, False, False)),
        (0.0, (0.1, 2 * micro, micro), (0.0, 0.0, 0.0), (True, True, False)),  # on the edge: it is passed in any case
        (-0.1, (0.0, -0.05, -0.2), (0.1, 0.05, 0.0), (True, True, False)),
    ):
        clearances = np.array([[start, *ends]])
        assert _better(clearances, np.array([passing]), need, bulge).tolist() == [list(good)]
    both = _better(np.array([[0.5, 0.5, 0.5], [0.1, 0.2, 0.2]]), np.array([[0.5, 0.1], [0.1, 0.1]]), need, 0.0)
    assert both.tolist() == [[True, False], [True, True]]


def test_on_the_spot_nothing_gets_better() -> None:
    """A turn is refused, half out and far out; so is a turn that hardly drives."""
    for depth_m in (0.001, 0.1, 1.0):
        for twist in (Twist(0.0, 1.0), Twist(0.0, -1.0), Twist(1e-12, 1.0), Twist(-5e-324, 1.0)):
            assert allowed(FENCE, past_the_wall(depth_m), twist, LIMITS) == 0.0


def test_a_circle_of_a_millimetre_is_a_turn_on_the_spot() -> None:
    """With its left to the fence: at exactly that radius it still counts as a way."""
    left_is_home = past_the_wall(0.1, math.pi / 2)

    assert allowed(FENCE, left_is_home, Twist(1e-4, 0.1), LIMITS) == 1.0
    assert allowed(FENCE, left_is_home, Twist(1e-4, 0.1001), LIMITS) == 0.0
    assert allowed(FENCE, replace(left_is_home, yaw_rad=-math.pi / 2), Twist(1e-4, -0.1), LIMITS) == 1.0
    assert allowed(FENCE, replace(left_is_home, yaw_rad=-math.pi / 2), Twist(1e-4, -0.1001), LIMITS) == 0.0


def test_along_the_wall_nothing_gets_better_either_but_a_curve_inwards_does() -> None:
    """Parallel to the edge that it is too close to: straight on is refused, bending away from it is not."""
    for depth_m in (0.1, 1.0):
        along = past_the_wall(depth_m, math.pi / 2)
        assert allowed(FENCE, along, AHEAD, LIMITS) == 0.0
        assert allowed(FENCE, along, BACK, LIMITS) == 0.0
        assert allowed(FENCE, along, Twist(0.2, 0.4), LIMITS) == 1.0
        assert allowed(FENCE, along, Twist(0.2, -0.4), LIMITS) == 0.0


def test_a_detour_over_something_worse_is_refused() -> None:
    """First a little further out and then in: refused, although its end is better than its start."""
    for depth_m in (0.1, 1.0):
        outwards = past_the_wall(depth_m, 1.4)  # 80 degrees: half a degree out of parallel is too much at first
        assert allowed(FENCE, outwards, Twist(0.2, 4.0), LIMITS) == 0.0
        assert allowed(FENCE, past_the_wall(depth_m, 1.6), Twist(0.2, 4.0), LIMITS) > 0.0


def test_the_way_back_ends_where_it_gets_worse_again() -> None:
    """In a gap between two exclusions that is too narrow: to its middle and no further, whole eighths of the way."""
    gap = Fence(outside=(box(0.0, 1.0, 4.0, 1.3), box(0.0, -1.0, 4.0, 1.3)))  # from -0.35 to 0.35, the footprint 0.4
    for y_m in (-0.005, -0.010, -0.020, -0.035):
        scale = allowed(gap, Pose(0.0, y_m, math.pi / 2), Twist(0.2, 0.0), LIMITS)
        assert scale == 0.0  # away from the nearer one is towards the other, which is violated as well
    wide = Fence(outside=(box(0.0, 1.0, 4.0, 1.19), box(0.0, -1.0, 4.0, 1.19)))  # from -0.405 to 0.405
    scale = allowed(wide, Pose(0.0, -0.0161, math.pi / 2), Twist(0.2, 0.0), LIMITS)
    way_m = scale * 0.2 * 0.15 + (scale * 0.2) ** 2 / 1.6
    assert way_m == pytest.approx(3 * STEP_M, rel=1e-6)  # 0.0206 m of the 0.0211 m to the other's edge


def test_out_of_one_and_into_another_is_refused() -> None:
    """Deep inside an exclusion, its nearest side leads into the next one."""
    both = Fence(outside=(box(0.0, 0.0, 2.0, 2.0), box(2.0, 0.0, 2.0, 2.0)))

    assert allowed(both, Pose(0.9, 0.0, 0.0), AHEAD, LIMITS) == 0.0
    assert allowed(both, Pose(0.9, 0.0, 0.0), BACK, LIMITS) == 0.0  # away from the second, deeper into the first
    assert allowed(both, Pose(0.5, 0.9, math.pi / 2), AHEAD, LIMITS) > 0.0


def test_one_more_exclusion_behind_the_robot_does_not_make_the_wall_ahead_better() -> None:
    """Fleeing from what is new is no reason to drive on towards what was there."""
    out = past_the_wall(0.1)
    assert allowed(FENCE, out, AHEAD, LIMITS) == 0.0

    behind = replace(FENCE, outside=(box(9.0, 0.0, 1.5, 4.0),))
    assert allowed(behind, out, AHEAD, LIMITS) == 0.0


def test_a_thin_wall_is_no_way_back() -> None:
    """Half out at the right, a wall of a tenth of a millimetre on the way in, at a distance that just is enough."""
    out = past_the_wall(0.1)
    for gap_m, may in ((NEED_M + 8 * STEP_M + 1e-4, True), (NEED_M + 8 * STEP_M - 1e-4, False)):
        wall = replace(FENCE, outside=(box(out.x_m - gap_m - 0.5e-4, 0.0, 1e-4, 6.0),))
        assert (allowed(wall, out, Twist(-0.2, 0.0), LIMITS) == 1.0) is may


def test_a_corner_of_the_fence_is_left_along_its_diagonal() -> None:
    """Too close to two edges of one polygon: what counts is the nearer one."""
    corner = Pose(9.9, 9.9, math.pi / 4)

    assert allowed(FENCE, corner, BACK, LIMITS) == pytest.approx(0.4, rel=1e-6)
    assert allowed(FENCE, corner, AHEAD, LIMITS) == 0.0


def test_a_narrow_passage_is_left_by_either_end() -> None:
    """Inclusions of a dumbbell: in its handle the footprint does not fit, and along it nothing changes."""
    dumbbell = Fence((box(-3.0, 0.0, 4.0, 4.0), box(3.0, 0.0, 4.0, 4.0), box(0.0, 0.0, 4.0, 0.6)))

    assert allowed(dumbbell, Pose(0.0, 0.0, 0.0), AHEAD, LIMITS) == 0.0
    assert allowed(dumbbell, Pose(0.95, 0.0, 0.0), AHEAD, LIMITS) == 0.0
    assert allowed(dumbbell, Pose(1.0, 0.0, 0.0), AHEAD, LIMITS) > 0.0
    assert allowed(dumbbell, Pose(1.0, 0.0, 0.0), BACK, LIMITS) == 0.0
    assert allowed(dumbbell, Pose(-3.0, 0.0, 0.0), AHEAD, LIMITS) == 1.0


@settings(max_examples=500, suppress_health_check=FILTERED)
@given(fences, poses, twists)
def test_what_is_allowed_outside_ends_better_than_it_began(fence: Fence, pose: Pose, twist: Twist) -> None:
    """Braked for real, from the limit: slower than that, no worse on the way, and less violated at its end."""
    need_m = fence.robot_radius_m + fence.margin_m + 2 * pose.sigma_m
    before_m = clearance_m(pose.x_m, pose.y_m, fence)
    assume(before_m < need_m)
    scale = allowed(fence, pose, twist, LIMITS)
    assume(scale > 0.0)
    moving = times(twist, scale)
    line = [clearance_m(at.x_m, at.y_m, fence) for at in brake(pose, moving)] or [before_m]

    assert abs(moving.linear_mps) <= OUTSIDE_MAX_MPS
    assert min(line) >= min(before_m, need_m) - STEP_M / 2 - 1e-5
    assert max(line) >= min(before_m, need_m) - 1e-5


@settings(max_examples=300, suppress_health_check=FILTERED)
@given(fences, poses, twists, st.floats(-3.2, 3.2))
def test_outside_no_turn_on_the_spot(fence: Fence, pose: Pose, twist: Twist, angular: float) -> None:
    """Whatever the fence."""
    need_m = fence.robot_radius_m + fence.margin_m + 2 * pose.sigma_m
    inside = clearance_m(pose.x_m, pose.y_m, fence) >= need_m
    assume(abs(clearance_m(pose.x_m, pose.y_m, fence) - need_m) > 1e-4 and angular != 0.0)
    scale = allowed(fence, pose, Twist(0.0, angular), LIMITS)

    assert scale <= float(inside)
    assert scale in {0.0, 1.0}
