"""Polygons judged at load, and the same polygons as geometry."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetwin.gate.fence import compiled, faults
from edgetwin.gate.limits import Fence, Polygon
from tests.gate.ground import SQUARE, box, clearance_m, exclusions, fences, stars

TRIANGLE = ((0.0, 0.0), (4.0, 0.0), (0.0, 4.0))
metres = st.integers(-5_000_000, 5_000_000).map(lambda micro: micro / 1e6)
BOW_TIE = ((0.0, 0.0), (4.0, 4.0), (4.0, 0.0), (0.0, 4.0))


@given(st.one_of(stars(), exclusions().map(lambda one: one)))
def test_a_simple_polygon_has_no_faults(polygon: Polygon) -> None:
    """Convex or not, and whichever way round; closed by hand too."""
    for one in (polygon, polygon[::-1], (*polygon, polygon[0])):
        assert faults(Fence((SQUARE,), (one,))) == []
        assert faults(Fence((one,), robot_radius_m=0.0, margin_m=0.0)) == []


def test_no_fence_has_no_faults() -> None:
    """Nothing is asked for, nothing is wrong."""
    assert faults(Fence()) == []


@pytest.mark.parametrize(
    ("polygon", "says"),
    [
        ((), "0 different corners enclose nothing; give at least 3"),
        (((1.0, 1.0),), "1 different corners"),
        (((1.0, 1.0), (2.0, 2.0)), "2 different corners enclose nothing"),
        (((1.0, 1.0), (2.0, 2.0), (1.0, 1.0)), "2 different corners"),
        (((1.0, 1.0), (2.0, 2.0), (2.0, 2.0), (1.0, 1.0)), "2 different corners"),
        (
            ((0.0, 0.0), (1.0, 1.0), (2.0, 2.0)),
            ": all corners are on one line, which encloses nothing; move one of them",
        ),
        (((0.0, 0.0), (1.0, 0.0), (2.0, 0.0), (3.0, 0.0)), "on one line"),
        (BOW_TIE, "edges cross or touch (Self-intersection[2 2]); list the corners in order"),
        ((*TRIANGLE, (0.0, -2.0), (2.0, 1.0)), "edges cross or touch"),
        (((0.0, 0.0), (4.0, 0.0), (2.0, 2.0), (4.0, 4.0), (0.0, 4.0), (2.0, 2.0)), "edges cross or touch"),
        (((0.0, 0.0), (math.nan, 0.0), (0.0, 1.0)), "not a number of metres within +-1e+08"),
        (((0.0, 0.0), (math.inf, 0.0), (0.0, 1.0)), "not a number of metres"),
        (((0.0, 0.0), (1.0, -math.inf), (0.0, 1.0)), "not a number of metres"),
        (((0.0, 0.0), (1.001e8, 0.0), (0.0, 1.0)), "not a number of metres"),
        (((0.0, 0.0), (1.0, -1.001e8), (0.0, 1.0)), "not a number of metres"),
    ],
)
def test_each_fault_is_named_and_says_what_to_do(polygon: Polygon, says: str) -> None:
    """As the fence, and as something to stay out of."""
    (inside,) = faults(Fence((polygon,)))
    (outside,) = faults(Fence((SQUARE,), (polygon,)))

    assert inside.startswith("fence: ")
    assert outside.startswith("fence_exclude[0]: ")
    assert says in inside
    assert says in outside
    assert inside.removeprefix("fence: ") == outside.removeprefix("fence_exclude[0]: ")
    assert "XX" not in inside
    assert compiled(Fence((polygon,))) is None
    assert compiled(Fence((SQUARE,), (polygon,))) is None


def test_the_largest_coordinate_is_allowed() -> None:
    """At exactly the limit; a robot of that size too, where there is room for it."""
    assert faults(Fence((((0.0, 0.0), (1e8, 0.0), (0.0, -1e8)),))) == []
    assert faults(Fence((), (SQUARE,), robot_radius_m=1e8, margin_m=1e8)) == []
    assert len(faults(Fence((), (SQUARE,), robot_radius_m=1.001e8, margin_m=1.001e8))) == 2


def test_every_faulty_polygon_is_named_by_its_place() -> None:
    """Several of each: the index says which."""
    found = faults(Fence((SQUARE, BOW_TIE, TRIANGLE[:2]), (TRIANGLE, BOW_TIE)))

    assert [one.split(":")[0] for one in found] == ["fence[1]", "fence[2]", "fence_exclude[1]"]
    assert faults(Fence((SQUARE, BOW_TIE)))[0].startswith("fence[1]: ")
    assert faults(Fence((BOW_TIE, SQUARE)))[0].startswith("fence[0]: ")


@pytest.mark.parametrize("bad", [-0.001, math.nan, math.inf, -math.inf])
def test_a_length_that_is_none_is_a_fault_with_its_own_name(bad: float) -> None:
    """Radius and margin, both at once as well."""
    (radius,) = faults(Fence((SQUARE,), robot_radius_m=bad))
    (margin,) = faults(Fence((SQUARE,), margin_m=bad))

    assert radius.startswith("robot_radius_m: ")
    assert margin.startswith("fence_margin_m: ")
    assert "is not a length; give 0 or more metres" in radius
    assert faults(Fence((SQUARE,), robot_radius_m=bad, margin_m=bad)) == [radius, margin]
    assert faults(Fence((SQUARE,), robot_radius_m=0.0, margin_m=0.0)) == []


@pytest.mark.parametrize(
    ("fence", "fits"),
    [
        (Fence((box(0.0, 0.0, 0.81, 3.0),)), True),
        (Fence((box(0.0, 0.0, 0.79, 3.0),)), False),
        (Fence((box(0.0, 0.0, 0.79, 3.0), box(5.0, 0.0, 0.79, 3.0))), False),
        (Fence((box(0.0, 0.0, 0.79, 3.0), box(0.79, 0.0, 0.79, 3.0))), True),
        (Fence((box(0.0, 0.0, 0.61, 3.0),), margin_m=0.0), True),
        (Fence((box(0.0, 0.0, 0.21, 3.0),), robot_radius_m=0.0), True),
        (Fence((box(0.0, 0.0, 2.0, 2.0),), (box(0.0, 0.0, 0.1, 0.1),)), True),
        (Fence((box(0.0, 0.0, 2.0, 2.0),), (box(0.0, 0.0, 1.5, 1.5),)), False),
        (Fence((), (box(0.0, 0.0, 1.5, 1.5),)), True),
    ],
)
def test_a_fence_in_which_the_robot_fits_nowhere_is_a_fault(fence: Fence, *, fits: bool) -> None:
    """Somebody confused metres and millimetres: better said at load than by a robot that never moves."""
    assert (faults(fence) == []) is fits
    assert (compiled(fence) is not None) is fits
    if not fits:
        assert faults(fence) == [
            "fence: a robot with 0.4 m around its centre fits nowhere; enlarge it, or correct the robot"
        ]


def test_a_fence_is_compiled_once() -> None:
    """The same numbers are the same geometry, also in another object."""
    first = compiled(Fence((SQUARE,)))

    assert first is not None
    assert compiled(Fence((SQUARE,))) is first
    assert compiled(Fence((SQUARE,), margin_m=0.2)) is not first
    with pytest.raises(FrozenInstanceError):
        first.edges = None  # type: ignore[misc]


def test_what_was_compiled_is_remembered_for_a_few_fences_only() -> None:
    """A settings editor that tries a thousand fences does not fill the memory."""
    for step in range(100):
        compiled(Fence((box(0.0, 0.0, 2.0 + step, 2.0),)))

    assert compiled.cache_info().currsize == 8


@settings(max_examples=300)
@given(fences, st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5)), min_size=1, max_size=5))
def test_clearances_are_those_of_plain_geometry(fence: Fence, points: list[tuple[float, float]]) -> None:
    """Of each thing with its sign; together the smallest, or minus infinity on any wrong side."""
    shape = compiled(replace(fence, robot_radius_m=0.0, margin_m=0.0))
    if shape is None:
        return
    things = [*(Fence((), (one,)) for one in fence.outside), *(Fence((one,)) for one in fence.inside)]
    expected = [[clearance_m(x, y, thing) for x, y in points] for thing in things]
    found = shape.clearances_m(points)

    assert shape.keeps_in.tolist() == [[bool(thing.inside)] for thing in things]
    assert found == pytest.approx(np.array(expected), abs=1e-9)
    for index, (x, y) in enumerate(points):
        nearest = min(row[index] for row in found)
        if abs(nearest) > 1e-9:
            assert shape.clearance_m(x, y) == pytest.approx(nearest if nearest > 0.0 else -math.inf, abs=1e-9)


@given(fences, st.lists(st.tuples(metres, metres), min_size=2, max_size=5))
def test_a_chord_passes_an_edge_no_farther_than_any_of_its_points(
    fence: Fence, points: list[tuple[float, float]]
) -> None:
    """One number for each thing and each chord: the smallest of all points on it, 0 where it crosses."""
    shape = compiled(replace(fence, robot_radius_m=0.0, margin_m=0.0))
    if shape is None:
        return
    things = [*(Fence((), (one,)) for one in fence.outside), *(Fence((one,)) for one in fence.inside)]
    passing = shape.passing_m(points)

    assert [len(row) for row in passing] == [len(points) - 1] * len(things)
    for thing, row in zip(things, passing, strict=True):
        for (ax, ay), (bx, by), passed_m in zip(points, points[1:], row, strict=False):
            on_it = [(ax + part / 20 * (bx - ax), ay + part / 20 * (by - ay)) for part in range(21)]
            sampled = [clearance_m(x, y, thing) for x, y in on_it]
            step_m = math.hypot(bx - ax, by - ay) / 20
            assert passed_m <= min(map(abs, sampled)) + 1e-9
            assert passed_m >= min(map(abs, sampled)) - step_m / 2 - 1e-9
            if min(sampled) < -1e-9 and max(sampled) > 1e-9:
                assert passed_m == 0.0
