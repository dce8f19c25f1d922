"""Twin wing: how far the twin was from its robot: what the deadband, the rate and the way here cost.

In: positions, with when they were measured and when the twin began to show them     Out: distances [m]
Pure. Each record says where the robot was at a moment; what the twin showed at that very moment is known here. Records
of the backlog count too: they tell of the outage. What the robot held back is never seen, and not judged.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque

from edgetwin.twin.figures import Newest

Point = tuple[float, float, float]
_SHOWN_MAX = 1024


class PositionError:
    """The distance between one robot and its twin, over time.

    Attributes:
        errors_m: Distances at the moments of measurement [m].
        newest_m: The newest of them; None before the first.
    """

    def __init__(self) -> None:
        self.errors_m = Newest()
        self.newest_m: float | None = None
        self._since_ns: deque[int] = deque(maxlen=_SHOWN_MAX)
        self._points: deque[Point] = deque(maxlen=_SHOWN_MAX)

    def measured(self, point: Point, at_ns: int) -> None:
        """Take where the robot was at `at_ns`; nothing is known before the twin showed anything."""
        if not all(map(math.isfinite, point)):
            return
        index = self._index(at_ns)
        if index >= 0:
            self.newest_m = math.dist(point, self._points[index])
            self.errors_m.add(self.newest_m)

    def shows(self, point: Point, from_ns: int) -> None:
        """Take what the twin shows from now on; times rise."""
        if all(map(math.isfinite, point)):
            self._since_ns.append(from_ns)
            self._points.append(point)

    def _index(self, at_ns: int) -> int:
        since_ns = self._since_ns
        if since_ns and since_ns[-1] <= at_ns:
            return len(since_ns) - 1
        return bisect_right(since_ns, at_ns) - 1
