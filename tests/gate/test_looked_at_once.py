"""What the gate does not look at twice: the same answers, for less time."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetwin.gate.arc import Arc
from edgetwin.gate.fence import _clear
from edgetwin.gate.limits import Fence, StopZone
from edgetwin.gate.obstacle import _columns, allowed
from edgetwin.gate.polygons import CompiledFence, compiled
from edgetwin.motion import Pose, Reason, State, Twist
from tests.gate.stage import bring

AHEAD = Twist(0.5, 0.0)
CLOSE = tuple((0.3, 0.1 * y) for y in range(-3, 4))
FAR = tuple((9.0, 0.1 * y) for y in range(-3, 4))
NO_GEOMETRY = cast("CompiledFence", None)
SQUARE = Fence(inside=(((-2.0, -2.0), (2.0, -2.0), (2.0, 2.0), (-2.0, 2.0)),))
numbers = st.floats(-3, 3) | st.sampled_from([0.0, float("nan"), float("inf")])
scans = st.lists(st.tuples(numbers, numbers), max_size=12).map(tuple)
twists = st.builds(Twist, st.floats(-1, 1), st.floats(-2, 2))


def straight(way_m: float) -> Arc:
    """An arc ahead of the origin."""
    return Arc(Pose(0.0, 0.0, 0.0), 1.0, 0.0, way_m)


@pytest.mark.parametrize("along_m", [0.0, 0.5, 1.0])
def test_what_is_within_the_room_of_the_start_is_free_without_the_geometry(along_m: float) -> None:
    """To the last of it: there is no fence that could be asked."""
    assert _clear(NO_GEOMETRY, straight(1.0), along_m, need_m=0.4, room_m=1.0)


@pytest.mark.parametrize(("need_m", "free"), [(0.4, True), (0.6, False)])
def test_what_is_beyond_the_room_is_looked_at(need_m: float, *, free: bool) -> None:
    """1.5 m ahead the wall is half a metre away."""
    shape = compiled(SQUARE)

    assert shape is not None
    assert _clear(shape, straight(1.5), 1.5, need_m, room_m=1.4999) is free


def test_no_room_is_none() -> None:
    """A start that is too close already frees nothing, not even the way of no length."""
    shape = compiled(SQUARE)

    assert shape is not None
    assert not _clear(shape, straight(1.0), 0.0, need_m=3.0, room_m=-1.0)


def test_a_twist_that_was_found_free_as_it_is_still_says_why_it_is_not_the_asked_one() -> None:
    """Once it is reached: slowed down to the limits, at every tick; one that is as asked has nothing to say."""
    fast, plain = bring(State.IDLE), bring(State.IDLE)
    fast.drive(2.0, ticks=60)
    plain.drive(0.2, ticks=60)

    assert fast.memory.output.linear_mps == fast.limits.linear_max_mps
    assert fast.tick().reasons == (Reason.CLAMPED_SPEED,)
    assert plain.memory.output.linear_mps == 0.2
    assert plain.tick().reasons == ()


def test_a_scan_is_made_into_arrays_once() -> None:
    """The very same tuple; another one with the same points is another scan, and then the newest."""
    first = _columns(FAR)
    again = _columns(FAR)
    other = _columns(tuple((x, y) for x, y in FAR))

    assert again[0] is first[0]
    assert again[1] is first[1]
    assert other[0] is not first[0]
    assert np.array_equal(other[0], first[0])
    assert np.array_equal(other[1], first[1])
    assert _columns(FAR)[0] is not first[0]


def test_the_arrays_are_the_points_and_what_is_no_number_is_at_the_base() -> None:
    """Both numbers of a point of which one is none: it counts as inside every stop zone."""
    x, y = _columns(((1.0, 2.0), (float("nan"), 5.0), (6.0, float("inf")), (-3.0, -4.0)))

    assert x.tolist() == [1.0, 0.0, 0.0, -3.0]
    assert y.tolist() == [2.0, 0.0, 0.0, -4.0]


def test_the_newest_scan_counts_not_the_remembered_one() -> None:
    """Free, blocked, free again, in turns: each by its own points."""
    zone = StopZone()
    found = [allowed(zone, scan, AHEAD) for scan in (FAR, CLOSE, CLOSE, FAR, FAR, CLOSE)]

    assert found == [1.0, 0.0, 0.0, 1.0, 1.0, 0.0]


@given(scans, scans, st.lists(twists, min_size=1, max_size=4))
def test_a_remembered_scan_gives_the_scale_of_a_new_one(first: Any, second: Any, several: list[Twist]) -> None:
    """Asked for several twists, with another scan in between."""
    zone = StopZone(points_min=2)
    fresh = [allowed(zone, tuple((x, y) for x, y in first), twist) for twist in several]
    remembered = [allowed(zone, first, twist) for twist in several]
    allowed(zone, second, several[0])

    assert remembered == fresh
    assert [allowed(zone, first, twist) for twist in several] == fresh


def test_a_turn_that_meets_nothing_is_free() -> None:
    """No point lies at a distance from the centre of the turn that the rectangle passes: left and right, both ways."""
    zone = StopZone(points_min=1)
    afar = ((0.0, 40.0), (0.0, -40.0), (50.0, 0.0))

    assert [allowed(zone, afar, Twist(v, w)) for v in (0.5, -0.5) for w in (0.2, -0.2)] == [1.0] * 4
