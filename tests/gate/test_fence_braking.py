"""The promise: whatever is allowed, the robot that then brakes for real never leaves the fence."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from edgetwin.gate.fence import allowed
from edgetwin.gate.limits import Fence, Polygon
from edgetwin.motion import Pose, Twist
from tests.gate.ground import (
    BRAKE_MPS2,
    FILTERED,
    LIMITS,
    REACTION_S,
    SQUARE,
    box,
    brake,
    clearance_m,
    crosses,
    exclusions,
    fences,
    moved,
    poses,
    scenes,
    times,
    twists,
)

CORRIDOR = Fence((box(0.0, 0.0, 8.0, 1.0),), (box(1.0, 0.0, 1e-3, 1.0),))
SLACK = 0.01  # two searches end at different places of the same grid
KITE = Fence((((1.8125, 0.0), (0.0, 4.0), (-4.0, 0.0), (0.0, -4.0)),), (box(0.0, 0.0, 1.0, 1e-5),))  # too near already


def need_m(fence: Fence, pose: Pose) -> float:
    """Return what must be free around the centre."""
    return fence.robot_radius_m + fence.margin_m + 2 * pose.sigma_m


def starts_inside(fence: Fence, pose: Pose) -> bool:
    """Whether the footprint with its allowances is inside, and not by a hair."""
    return clearance_m(pose.x_m, pose.y_m, fence) >= need_m(fence, pose) + 1e-5


@settings(max_examples=400, suppress_health_check=FILTERED)
@example((CORRIDOR, Pose(0.0, 0.0, 0.0)), Twist(1.5, 0.0))
@example((CORRIDOR, Pose(0.0, 0.0, 0.0)), Twist(1.5, 4.0))
@example((replace(CORRIDOR, robot_radius_m=0.0, margin_m=0.0), Pose(0.998, 0.0, 0.1)), Twist(1.5, 0.0))
@example((Fence((SQUARE,)), Pose(9.5, 9.5, 0.7)), Twist(1.0, 3.0))
@given(scenes(), twists)
def test_a_robot_that_brakes_from_what_is_allowed_stays_inside(scene: tuple[Fence, Pose], twist: Twist) -> None:
    """With radius, margin and two sigma all around, at every hundredth of a second until it stands."""
    fence, pose = scene
    scale = allowed(fence, pose, twist, LIMITS)
    assert 0.0 <= scale <= 1.0
    assume(starts_inside(fence, pose) and scale * abs(twist.linear_mps) > 1e-3)
    before = pose
    for at in brake(pose, times(twist, scale)):
        assert clearance_m(at.x_m, at.y_m, fence) >= need_m(fence, pose)
        assert not crosses(before, at, fence)
        before = at


@settings(max_examples=200, suppress_health_check=FILTERED)
@given(scenes(), twists, st.floats(0.8, 1.0))
def test_it_still_does_with_the_weakest_brakes_that_are_counted_on(
    scene: tuple[Fence, Pose], twist: Twist, share: float
) -> None:
    """From four fifths of the deceleration upwards; the integration is good to a tenth of a millimetre."""
    fence, pose = scene
    scale = allowed(fence, pose, twist, LIMITS)
    assume(starts_inside(fence, pose) and scale * abs(twist.linear_mps) > 1e-3)
    for at in brake(pose, times(twist, scale), decel_mps2=share * BRAKE_MPS2):
        assert clearance_m(at.x_m, at.y_m, fence) >= need_m(fence, pose) - 1.5e-3


@settings(max_examples=200, suppress_health_check=FILTERED)
@given(scenes(), twists, st.integers(1, 20))
def test_it_stays_inside_when_asked_at_every_tick(scene: tuple[Fence, Pose], twist: Twist, ticks: int) -> None:
    """A second of driving towards the fence, one look each 50 ms, at once at the allowed speed; then the brakes."""
    fence, pose = scene
    assume(starts_inside(fence, pose))
    for _ in range(ticks):
        moving = times(twist, allowed(fence, pose, twist, LIMITS))
        x, y, yaw, step = pose.x_m, pose.y_m, pose.yaw_rad, 0.0005
        for _ in range(100):
            middle = yaw + moving.angular_radps * step / 2
            x, y = x + moving.linear_mps * step * math.cos(middle), y + moving.linear_mps * step * math.sin(middle)
            yaw += moving.angular_radps * step
        pose = replace(pose, x_m=x, y_m=y, yaw_rad=yaw)
        assert clearance_m(x, y, fence) >= need_m(fence, pose) - 1e-5
    last = times(twist, allowed(fence, pose, twist, LIMITS))
    for at in brake(pose, last) if abs(last.linear_mps) > 1e-3 else ():
        assert clearance_m(at.x_m, at.y_m, fence) >= need_m(fence, pose) - 1e-5


@settings(max_examples=200, suppress_health_check=FILTERED)
@given(scenes(), st.floats(-0.7, 0.7), st.floats(0.8, 1.5), st.floats(-4.0, 4.0))
def test_what_is_refused_would_have_come_too_near(
    scene: tuple[Fence, Pose], aside: float, linear: float, angular: float
) -> None:
    """Not only safe: noticeably more than is allowed comes nearer to an edge than it may. Heading for the fence.

    Looked at each 7 mm at most: a robot that is a point may be seen on either side of a thin wall, and never on it.
    """
    fence, pose = scene
    pose = replace(pose, yaw_rad=math.atan2(pose.y_m, pose.x_m) + aside)
    assume(starts_inside(fence, pose))
    twist = Twist(linear, angular)
    more = allowed(fence, pose, twist, LIMITS) + 0.05
    assume(more < 1.0)

    nearest = min(
        clearance_m(at.x_m, at.y_m, fence) for at in brake(pose, times(twist, more), decel_mps2=0.8 * BRAKE_MPS2)
    )
    assert nearest < need_m(fence, pose) + 0.004


worse = st.sampled_from(["sigma_m", "margin_m", "robot_radius_m", "reaction_ns", "brake_margin", "decel"])


def one_step_more(fence: Fence, pose: Pose, twist: Twist, scale: float) -> float:
    """Return the scale whose way is longer by one step of the search: 1/256 of the way inside, 1/8 of the way back."""
    speed_mps, brakes = abs(twist.linear_mps), 2 * 0.8 * BRAKE_MPS2
    if speed_mps == 0.0:
        return scale

    def way_m(at_mps: float) -> float:
        return REACTION_S * at_mps + at_mps**2 / brakes

    step_m = way_m(speed_mps) / 256 if starts_inside(fence, pose) else way_m(LIMITS.outside_max_mps) / 8
    longer_m = way_m(scale * speed_mps) + step_m
    return (math.sqrt((REACTION_S * brakes) ** 2 + 4 * brakes * longer_m) - REACTION_S * brakes) / 2 / speed_mps


@settings(max_examples=400)
@example(KITE, Pose(1.078125, 0.125, 3.0, 0.1), Twist(-0.5, 0.0), "brake_margin", 0.25)
@given(fences, poses, twists, worse, st.floats(0.0, 0.5))
def test_nothing_that_gets_worse_allows_more(fence: Fence, pose: Pose, twist: Twist, name: str, amount: float) -> None:
    """Sigma, margin, radius, reaction, brakes: what is allowed reaches no step of the search further than before."""
    before = allowed(fence, pose, twist, LIMITS)
    most = max(before + SLACK, one_step_more(fence, pose, twist, before))
    limits = LIMITS
    match name:
        case "sigma_m":
            pose = replace(pose, sigma_m=pose.sigma_m + amount)
        case "margin_m" | "robot_radius_m":
            fence = replace(fence, **{name: getattr(fence, name) + amount})
        case "reaction_ns":
            limits = replace(LIMITS, reaction_ns=LIMITS.reaction_ns + round(amount * 1e9))
        case "brake_margin":
            limits = replace(LIMITS, brake_margin=0.8 - amount)
        case _:
            limits = replace(LIMITS, linear_decel_max_mps2=1.0 - amount)

    assert allowed(fence, pose, twist, limits) <= most


@settings(max_examples=300)
@given(fences, poses, twists, st.floats(1.0, 4.0))
def test_asking_for_more_speed_allows_no_larger_scale(fence: Fence, pose: Pose, twist: Twist, more: float) -> None:
    """On the same arc; and what is allowed in metres per second is the same, whoever asks for too much."""
    scale, faster = (allowed(fence, pose, one, LIMITS) for one in (twist, times(twist, more)))

    assert faster <= scale + SLACK
    if scale < 1.0 and faster > 0.0:
        assert faster * more == pytest.approx(scale, abs=0.05, rel=0.05)


@settings(max_examples=300)
@given(fences, poses, twists, exclusions())
def test_one_more_exclusion_never_allows_more(fence: Fence, pose: Pose, twist: Twist, exclusion: Polygon) -> None:
    """Wherever it is: also around a robot that is outside already."""
    before = allowed(fence, pose, twist, LIMITS)

    assert allowed(replace(fence, outside=(*fence.outside, exclusion)), pose, twist, LIMITS) <= before + SLACK


@settings(max_examples=300, suppress_health_check=FILTERED)
@given(
    fence=fences, pose=poses, twist=twists, turn=st.floats(-3.2, 3.2),
    shift=st.tuples(st.floats(-50, 50), st.floats(-50, 50)), mirror=st.booleans(),
)  # fmt: skip
def test_the_frame_does_not_matter(
    fence: Fence, pose: Pose, twist: Twist, turn: float, shift: tuple[float, float], *, mirror: bool
) -> None:
    """Mirrored, turned and shifted together, the answer is the same."""
    flip = -1.0 if mirror else 1.0
    ((x_m, y_m),) = moved(((pose.x_m, pose.y_m),), *shift, turn, mirror=mirror)
    elsewhere = replace(pose, x_m=x_m, y_m=y_m, yaw_rad=flip * pose.yaw_rad + turn)
    there = replace(
        fence,
        inside=tuple(moved(one, *shift, turn, mirror=mirror) for one in fence.inside),
        outside=tuple(moved(one, *shift, turn, mirror=mirror) for one in fence.outside),
    )
    clearance = clearance_m(pose.x_m, pose.y_m, fence)
    assume(abs(clearance - need_m(fence, pose)) > 1e-4)

    assert allowed(there, elsewhere, Twist(twist.linear_mps, flip * twist.angular_radps), LIMITS) == pytest.approx(
        allowed(fence, pose, twist, LIMITS), abs=0.02
    )


@settings(max_examples=300)
@given(fences, poses, twists)
def test_forward_is_reverse_of_a_robot_that_looks_the_other_way(fence: Fence, pose: Pose, twist: Twist) -> None:
    """The disc has no front: the same arc, the same answer."""
    about = replace(pose, yaw_rad=pose.yaw_rad + math.pi)

    assert allowed(fence, about, Twist(-twist.linear_mps, twist.angular_radps), LIMITS) == pytest.approx(
        allowed(fence, pose, twist, LIMITS), abs=0.02
    )


@settings(max_examples=300, suppress_health_check=FILTERED)
@given(fences, poses, twists)
def test_asked_again_the_scaled_twist_is_allowed_whole(fence: Fence, pose: Pose, twist: Twist) -> None:
    """Inside and outside."""
    scale = allowed(fence, pose, twist, LIMITS)
    assume(scale > 0.0)

    assert allowed(fence, pose, times(twist, scale), LIMITS) == 1.0


anything = st.floats(allow_nan=True, allow_infinity=True)


@settings(max_examples=500)
@given(fences, st.builds(Pose, anything, anything, anything, anything), st.builds(Twist, anything, anything))
def test_any_floats_give_a_scale_and_no_exception(fence: Fence, pose: Pose, twist: Twist) -> None:
    """The largest, the smallest, none at all."""
    assert 0.0 <= allowed(fence, pose, twist, LIMITS) <= 1.0


@settings(max_examples=300)
@given(st.lists(st.lists(st.tuples(anything, anything), max_size=6), max_size=3), poses, twists)
def test_any_polygon_gives_a_scale_and_no_exception(
    polygons: list[list[tuple[float, float]]], pose: Pose, twist: Twist
) -> None:
    """Crossed, empty, infinite, of one corner: as inclusions and as exclusions."""
    plain = tuple(tuple(polygon) for polygon in polygons)

    assert 0.0 <= allowed(Fence(inside=plain), pose, twist, LIMITS) <= 1.0
    assert 0.0 <= allowed(Fence((SQUARE,), plain), pose, twist, LIMITS) <= 1.0
