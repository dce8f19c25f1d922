"""Twin wing: which numbers of one stream have come, with bounded memory.

In: numbers, and intervals that `gap` events explain     Out: new or not; how many are missing
Pure. The floor's `IntervalSet` does the arithmetic. What was sent before we listened is not missed; holes beyond a
thousand are written off from the oldest: they stay counted as lost, and if they come after all they count as repeats.
"""

from __future__ import annotations

from edgetwin.continuity import IntervalSet

_HOLES_MAX = 1000


class Numbers:
    """The numbers of one (robot, boot, channel).

    Attributes:
        first: The first that came; what is below was sent before we listened.
        written_off: Missing numbers of holes that are no longer remembered.
        explained: Numbers that gap events cover.
        duplicates: Repeats.
    """

    def __init__(self, first: int) -> None:
        self.first = first
        self.written_off = 0
        self.explained = 0
        self.duplicates = 0
        self.received = 0
        self._known = IntervalSet()
        self._earlier = IntervalSet()
        self._holes = 0
        if first > 0:
            self._known.add(0, first - 1)

    @property
    def newest(self) -> int:
        """The largest number known of."""
        return self._known.last

    def add(self, number: int) -> bool:
        """Take one number; return whether it is new."""
        known = self._earlier if number < self.first else self._known
        in_order = number == self._known.last + 1
        fresh = known.add(number, number) > 0
        if not in_order:
            self._bound()
        if fresh:
            self.received += 1
        else:
            self.duplicates += 1
        return fresh

    def explain(self, first: int, last: int | None) -> None:
        """Take a gap event; an open end explains nothing above what is known."""
        last = self._known.last if last is None else last
        self.explained += self._known.add(max(first, self.first), last)
        self._bound()

    @property
    def missing(self) -> int:
        """Numbers that neither came nor are explained."""
        return self.written_off + sum(last - first + 1 for first, last in self._known.missing())

    def _bound(self) -> None:
        self._holes += 1  # at most one more than before: look only when that may be too many
        if self._holes <= _HOLES_MAX:
            return
        holes = self._known.missing()
        for first, last in holes[: len(holes) - _HOLES_MAX // 2]:
            self.written_off += self._known.add(first, last)
        earlier = self._earlier.missing()
        for first, last in earlier[: len(earlier) - _HOLES_MAX // 2]:
            self._earlier.add(first, last)
        self._holes = _HOLES_MAX // 2
