"""Twin wing: where a record says its robot is.

In: a message class, the encoding; then `data` of its records     Out: a point [m], or None
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from edgetwin.errors import EdgeTwinError
from edgetwin.records import Encoding
from edgetwin.ros import cdr
from edgetwin.twin.position import Point

PointOf = Callable[[Any], Point | None]
_AXES = ("x", "y", "z")


def nowhere(_data: Any) -> None:
    """The position of a message that has none."""
    return


def point_reader(cls: Any, encoding: Encoding) -> PointOf:
    """Return what reads the position of a record; of a type without one it gives None."""
    paths = cdr.pose_paths(cls)
    if paths is None or paths.position is None:
        return nowhere
    if encoding is Encoding.CDR:
        read = cdr.number_reader(cls, [paths.position])

        def of_cdr(data: Any) -> Point | None:
            try:
                x, y, z = read(data)[0]
            except (EdgeTwinError, TypeError, ValueError):
                return None
            return x, y, z

        return of_cdr
    steps = paths.position.split(".")

    def of_json(data: Any) -> Point | None:
        for step in steps:
            if not isinstance(data, Mapping) or step not in data:
                return None
            data = data[step]
        if not isinstance(data, Mapping):
            return None
        x, y, z = (data.get(axis) for axis in _AXES)
        if isinstance(x, int | float) and isinstance(y, int | float) and isinstance(z, int | float):
            return float(x), float(y), float(z)
        return None

    return of_json
