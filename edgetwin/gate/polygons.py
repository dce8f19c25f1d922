"""Gate room: the polygons of a fence, judged once and made into geometry once.

In: Fence     Out: its faults in words; the same fence as shapely geometry
Pure: a compiled fence is remembered for the same plain numbers, which changes no answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from edgetwin.gate.arc import Point
from edgetwin.gate.limits import Fence, Polygon

Floats = NDArray[np.float64]
Column = NDArray[Any]

COORDINATE_MAX_M = 1e8  # beyond, a float is no longer exact to a hundredth of TOLERANCE_M
_CORNERS_MIN = 3


@dataclass(frozen=True, slots=True)
class CompiledFence:
    """A fence as geometry: things to stay inside of (all inclusions together), or outside of (each exclusion).

    Attributes:
        keeps_in: bool (things, 1): whether its inside is the right side.
        areas: Geometry (things, 1), prepared. A column, so that one call asks about all things and all points.
        borders: Geometry (things, 1): their edges.
        edges: All edges as one.
    """

    keeps_in: Column
    areas: Column
    borders: Column
    edges: BaseGeometry

    def clearance_m(self, x_m: float, y_m: float) -> float:
        """Return how far a point is from the nearest edge; -inf where it is on the wrong side of any."""
        point = shapely.Point(x_m, y_m)
        if (shapely.contains(self.areas, point) != self.keeps_in).any():
            return -math.inf
        return float(shapely.distance(self.edges, point))

    def clearances_m(self, points: list[Point]) -> Floats:
        """Return the distance of each point to the edges of each thing [m], negative on the wrong side of it."""
        row = shapely.points(points)
        distances_m: Floats = shapely.distance(self.borders, row)
        return np.where(shapely.contains(self.areas, row) == self.keeps_in, distances_m, -distances_m)

    def passing_m(self, points: list[Point]) -> Floats:
        """Return how close each chord between neighbouring points comes to the edges of each thing [m]."""
        passing_m: Floats = shapely.distance(self.borders, shapely.linestrings(list(pairwise(points))))
        return passing_m


@lru_cache(maxsize=8)
def compiled(fence: Fence) -> CompiledFence | None:
    """Return the geometry of a fence that has polygons; None for one with faults, which contains nothing."""
    if faults(fence):
        return None
    areas = [shapely.Polygon(polygon) for polygon in fence.outside]
    if fence.inside:
        areas.append(shapely.union_all([shapely.Polygon(polygon) for polygon in fence.inside]))
    borders = [shapely.boundary(area) for area in areas]
    shapely.prepare(areas)
    return CompiledFence(
        np.array([[False]] * len(fence.outside) + [[True]] * bool(fence.inside)),
        np.array([[area] for area in areas]),
        np.array([[border] for border in borders]),
        shapely.geometrycollections(borders),
    )


def faults(fence: Fence) -> list[str]:
    """Return what is wrong with a fence: where, what, what to do. Empty: it may be used."""
    found = [
        f"{name}: {length_m} is not a length; give 0 or more metres"
        for name, length_m in (("robot_radius_m", fence.robot_radius_m), ("fence_margin_m", fence.margin_m))
        if not 0.0 <= length_m <= COORDINATE_MAX_M
    ]
    several = len(fence.inside) > 1
    places = [(f"fence[{index}]" if several else "fence", polygon) for index, polygon in enumerate(fence.inside)]
    places += [(f"fence_exclude[{index}]", polygon) for index, polygon in enumerate(fence.outside)]
    found += [f"{place}: {fault}" for place, polygon in places if (fault := _fault(polygon))]
    if found or not fence.inside or _fits(fence):
        return found
    footprint_m = fence.robot_radius_m + fence.margin_m
    return [f"fence: a robot with {footprint_m:g} m around its centre fits nowhere; enlarge it, or correct the robot"]


def _fits(fence: Fence) -> bool:
    """Whether there is any place for the footprint."""
    footprint_m = fence.robot_radius_m + fence.margin_m
    inside = shapely.union_all([shapely.Polygon(polygon) for polygon in fence.inside]).buffer(-footprint_m)
    outside = shapely.union_all([shapely.Polygon(polygon) for polygon in fence.outside]).buffer(footprint_m)
    return not inside.difference(outside).is_empty


def _fault(polygon: Polygon) -> str:
    numbers = [number for corner in polygon for number in corner]
    if not all(abs(number) <= COORDINATE_MAX_M for number in numbers):
        return f"a coordinate is not a number of metres within +-{COORDINATE_MAX_M:g}; correct it"
    if len(set(polygon)) < _CORNERS_MIN:
        return f"{len(set(polygon))} different corners enclose nothing; give at least {_CORNERS_MIN}"
    shape = shapely.Polygon(polygon)
    if shapely.convex_hull(shape).area <= 0.0:
        return "all corners are on one line, which encloses nothing; move one of them"
    if not shape.is_valid:
        return f"its edges cross or touch ({shapely.is_valid_reason(shape)}); list the corners in order around it"
    return ""
