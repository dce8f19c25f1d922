"""Deadbands: what counts as a move, in every number that a float can be."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetwin.sync.deadband import EitherDeadband, PoseDeadband, Reading, ValueDeadband, rotation_angle_rad

_NAN, _INF = math.nan, math.inf
_STILL = (0.0, 0.0, 0.0, 1.0)
_any_float = st.floats(allow_nan=True, allow_infinity=True)
_component = st.floats(-1.0, 1.0)
_quaternion = st.tuples(_component, _component, _component, _component).filter(lambda q: math.hypot(*q) > 1e-3)
_axis = st.tuples(_component, _component, _component).filter(lambda v: math.hypot(*v) > 1e-3)


def _turn(axis: Sequence[float], angle_rad: float) -> tuple[float, float, float, float]:
    """Return the quaternion of a rotation about `axis`."""
    length, half = math.hypot(*axis), angle_rad / 2
    x, y, z = (math.sin(half) * part / length for part in axis)
    return x, y, z, math.cos(half)


def _times(a: Sequence[float], b: Sequence[float]) -> tuple[float, float, float, float]:
    """Return the Hamilton product."""
    ax, ay, az, aw = a
    bx, by, bz, bw = b
    return (
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
        aw * bw - ax * bx - ay * by - az * bz,
    )


@given(_quaternion, _axis, st.floats(1e-6, math.pi))
def test_the_angle_is_that_of_the_rotation_about_any_axis(
    start: tuple[float, ...], axis: tuple[float, ...], angle_rad: float
) -> None:
    """Not the z component: roll and pitch turn as well, from any attitude, exact for small angles too."""
    assert rotation_angle_rad(start, _times(start, _turn(axis, angle_rad))) == pytest.approx(
        angle_rad, rel=1e-6, abs=1e-9
    )


@given(_quaternion, _quaternion, st.floats(0.01, 100.0))
def test_sign_scale_and_order_do_not_change_the_angle(a: tuple[float, ...], b: tuple[float, ...], scale: float) -> None:
    """Q and -q are one attitude, and a quaternion need not be normalised."""
    angle_rad = rotation_angle_rad(a, b)

    assert 0.0 <= angle_rad <= math.pi
    assert rotation_angle_rad(a, [-part for part in b]) == pytest.approx(angle_rad, abs=1e-6)
    assert rotation_angle_rad([scale * part for part in a], b) == pytest.approx(angle_rad, abs=1e-6)
    assert rotation_angle_rad(b, a) == pytest.approx(angle_rad, abs=1e-6)


def test_a_quaternion_of_zeros_has_no_angle() -> None:
    """An attitude that nobody filled in is not a rotation."""
    assert math.isnan(rotation_angle_rad((0.0, 0.0, 0.0, 0.0), _STILL))


@given(_quaternion)
def test_q_and_minus_q_do_not_move(q: tuple[float, float, float, float]) -> None:
    """A filter that flips the sign is at rest."""
    band = PoseDeadband(None, 0.1)

    assert not band.moved(((), q), ((), (-q[0], -q[1], -q[2], -q[3])))


@pytest.mark.parametrize("axis", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1)])
@pytest.mark.parametrize(("angle_rad", "moved"), [(0.0999, False), (0.1001, True), (math.pi, True)])
def test_attitude_moves_by_the_true_angle(axis: Sequence[float], angle_rad: float, *, moved: bool) -> None:
    """About every axis alike."""
    assert PoseDeadband(None, 0.1).moved(((), _STILL), ((), _turn(axis, angle_rad))) is moved


@pytest.mark.parametrize("direction", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, -1, 1)])
@pytest.mark.parametrize(("distance_m", "moved"), [(0.0499, False), (0.0501, True)])
def test_position_moves_in_three_dimensions(direction: Sequence[int], distance_m: float, *, moved: bool) -> None:
    """A drone that only climbs has moved."""
    length = math.hypot(*direction)
    after = tuple(1.0 + distance_m * part / length for part in direction)

    assert PoseDeadband(0.05, None).moved(((1.0, 1.0, 1.0), ()), (after, ())) is moved


def test_either_half_of_a_pose_is_enough() -> None:
    """A turn on the spot, and a move without a turn."""
    band = PoseDeadband(0.05, 0.1)
    here: Reading = ((0.0, 0.0, 0.0), _STILL)

    assert band.moved(here, ((0.0, 0.0, 0.0), _turn((0, 0, 1), 0.2)))
    assert band.moved(here, ((0.0, 0.1, 0.0), _STILL))
    assert not band.moved(here, ((0.0, 0.04, 0.0), _turn((0, 0, 1), 0.05)))


def test_a_half_without_a_limit_is_not_looked_at() -> None:
    """Only what the settings name counts."""
    assert not PoseDeadband(0.05, None).moved(((0.0, 0.0, 0.0), _STILL), ((0.0, 0.0, 0.0), _turn((1, 0, 0), 3.0)))
    assert not PoseDeadband(None, 0.1).moved(((0.0, 0.0, 0.0), _STILL), ((9.0, 9.0, 9.0), _STILL))


@given(*[st.lists(_any_float, min_size=7, max_size=7) for _ in range(2)])
def test_a_pose_is_judged_whatever_its_floats(before: list[float], after: list[float]) -> None:
    """No exception, a plain bool, and a pose never differs from itself."""
    band = PoseDeadband(0.05, 0.1)
    a, b = (tuple(before[:3]), tuple(before[3:])), (tuple(after[:3]), tuple(after[3:]))

    assert band.moved(a, b) in {True, False}
    assert not band.moved(a, a)


def test_to_and_from_nan_is_a_move() -> None:
    """A lost fix is news, and so is its return."""
    band = PoseDeadband(0.05, None)
    lost, fixed = ((_NAN, _NAN, _NAN), ()), ((0.0, 0.0, 0.0), ())

    assert band.moved(lost, fixed)
    assert band.moved(fixed, lost)
    assert not band.moved(lost, lost)


def test_a_coordinate_that_stays_nan_does_not_open_the_band() -> None:
    """A planar robot that sets z to NaN and stands still, but for the noise of its odometry."""
    band = PoseDeadband(0.05, None)

    assert not band.moved(((1.0, 2.0, _NAN), ()), ((1.000001, 2.0, _NAN), ()))


@given(st.lists(_any_float, max_size=60), st.data())
def test_long_arrays_are_judged_as_short_ones(before: list[float], data: st.DataObject) -> None:
    """Arrays above 25 elements and plain floats below give one answer: that of any element by itself."""
    after = [data.draw(st.sampled_from([value, value + 0.4, value + 1.0, _NAN, _INF])) for value in before]
    band = ValueDeadband(0.5)
    one_by_one = any(band.moved([a], [b]) for a, b in zip(before, after, strict=True))

    assert band.moved([np.array(before, np.float64)], [np.array(after, np.float64)]) is one_by_one
    assert band.moved([tuple(before)], [tuple(after)]) is one_by_one


@pytest.mark.parametrize(
    ("before", "after", "moved"),
    [
        (1.0, 1.5, True),
        (1.0, 1.4999, False),
        (1.0, 0.5, True),
        (_NAN, _NAN, False),
        (_NAN, 1.0, True),
        (1.0, _NAN, True),
        (_INF, _INF, False),
        (_INF, -_INF, True),
        (1.0, _INF, True),
        (_INF, _NAN, True),
        (0, 1, True),
    ],
)
def test_a_number_moves_by_the_threshold_or_more(before: float, after: float, *, moved: bool) -> None:
    """The edges, with NaN and infinities as values."""
    assert ValueDeadband(0.5).moved([before], [after]) is moved
    assert ValueDeadband(0.5).moved([(before,) * 40], [(after,) * 40]) is moved


def test_one_element_of_one_path_is_enough() -> None:
    """Seven joints, one of which moves; the numbers never mix."""
    band = ValueDeadband(0.5)
    at_rest: Reading = [12.0, (0.0,) * 7]

    assert band.moved(at_rest, [12.0, (0.0,) * 6 + (0.6,)])
    assert not band.moved(at_rest, [12.4, (0.4,) * 7])


@pytest.mark.parametrize("count", [3, 60])
def test_an_array_that_changes_its_length_has_moved(count: int) -> None:
    """Nobody knows which element went."""
    assert ValueDeadband(1e9).moved([(0.0,) * count], [(0.0,) * (count + 1)])
    assert ValueDeadband(1e9).moved([()], [(0.0,)])
    assert not ValueDeadband(1e9).moved([()], [()])


def test_pose_and_value_together_leave_when_either_moved() -> None:
    """The first two entries are the pose, the others the values."""
    band = EitherDeadband(PoseDeadband(0.05, 0.1), ValueDeadband(0.5))
    here: Reading = [(0.0, 0.0, 0.0), _STILL, 1.0]

    assert not band.moved(here, [(0.01, 0.0, 0.0), _STILL, 1.1])
    assert band.moved(here, [(0.1, 0.0, 0.0), _STILL, 1.0])
    assert band.moved(here, [(0.0, 0.0, 0.0), _STILL, 2.0])
