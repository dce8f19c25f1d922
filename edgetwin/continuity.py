"""Floor: the receiver's half of "every number accounted for".

In: decoded records, in any order, with repeats     Out: what is missing, repeated, or explained.
Pure. Used by the tests, by the demo, and by anyone who subscribes to a robot and wants proof.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from edgetwin.records import EventKind

Stream: TypeAlias = tuple[str, str, str]  # (robot_id, boot, channel): the numbers start at 0 in each


class IntervalSet:
    """Whole numbers >= 0, kept as sorted, disjoint, closed intervals; adding in order is O(1)."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def add(self, first: int, last: int) -> int:
        """Add `first`..`last` (both included); return how many of them were new."""
        if last < first:
            return 0
        left = bisect_right(self._starts, first) - 1
        if left < 0 or self._ends[left] < first - 1:
            left += 1
        right = bisect_right(self._starts, last + 1)
        if left >= right:
            self._starts.insert(left, first)
            self._ends.insert(left, last)
            return last - first + 1
        touched = zip(self._starts[left:right], self._ends[left:right], strict=True)
        covered = sum(end - start + 1 for start, end in touched)
        start = min(first, self._starts[left])
        end = max(last, self._ends[right - 1])
        self._starts[left:right] = [start]
        self._ends[left:right] = [end]
        return end - start + 1 - covered

    def missing(self) -> list[tuple[int, int]]:
        """Return the intervals absent between 0 and the largest number seen."""
        edges = [-1, *self._ends]
        return [(end + 1, start - 1) for end, start in zip(edges, self._starts, strict=False) if start > end + 1]

    def __len__(self) -> int:
        return sum(end - start + 1 for start, end in zip(self._starts, self._ends, strict=True))

    @property
    def last(self) -> int:
        """The largest number seen, or -1."""
        return self._ends[-1] if self._ends else -1


@dataclass(slots=True)
class StreamTally:
    """What is known of one stream.

    Attributes:
        records: Distinct records that arrived.
        duplicates: Repeats of an identity already seen (at-least-once permits them).
        reordered: New records older than the newest of the same lane (live and backlog count apart).
        explained: Numbers that `gap` events cover, by cause.
    """

    records: int = 0
    duplicates: int = 0
    reordered: int = 0
    explained: dict[str, int] = field(default_factory=dict)
    received: IntervalSet = field(default_factory=IntervalSet)
    accounted: IntervalSet = field(default_factory=IntervalSet)
    newest: dict[str, int] = field(default_factory=dict)

    @property
    def lost(self) -> list[tuple[int, int]]:
        """Intervals of numbers that neither arrived nor are explained."""
        return self.accounted.missing()


class Continuity:
    """Collects records of any number of robots, boots and channels."""

    def __init__(self) -> None:
        self.streams: dict[Stream, StreamTally] = {}

    def note(self, record: Mapping[str, Any], *, lane: str = "live") -> bool:
        """Take one decoded record; return whether it is new. A `gap` event explains its interval too.

        Args:
            record: As `wire.decode` returns it.
            lane: Where it came from; order is judged within a lane, as the robot promises it.
        """
        stream = (record["robot_id"], record["boot"], record["channel"])
        tally = self.streams.setdefault(stream, StreamTally())
        seq = int(record["seq"])
        if record["channel"] == EventKind.GAP:
            self._explain(record["robot_id"], record["data"])
        tally.accounted.add(seq, seq)
        if not tally.received.add(seq, seq):
            tally.duplicates += 1
            return False
        if seq < tally.newest.get(lane, -1):
            tally.reordered += 1
        else:
            tally.newest[lane] = seq
        tally.records += 1
        return True

    def _explain(self, robot_id: str, gap: Mapping[str, Any]) -> None:
        tally = self.streams.setdefault((robot_id, gap["boot"], gap["channel"]), StreamTally())
        first = int(gap["from_seq"])
        # An open end: nobody knows how far the last boot had counted, so nothing above is expected.
        last = tally.accounted.last if gap["to_seq"] is None else int(gap["to_seq"])
        new = tally.accounted.add(first, last)
        cause = str(gap["cause"])
        tally.explained[cause] = tally.explained.get(cause, 0) + new

    @property
    def records(self) -> int:
        """Distinct records of all streams."""
        return sum(tally.records for tally in self.streams.values())

    @property
    def duplicates(self) -> int:
        """Repeats of all streams."""
        return sum(tally.duplicates for tally in self.streams.values())

    @property
    def reordered(self) -> int:
        """Records out of order within their lane, of all streams."""
        return sum(tally.reordered for tally in self.streams.values())

    @property
    def lost(self) -> int:
        """Numbers of all streams that neither arrived nor are explained."""
        return sum(last - first + 1 for tally in self.streams.values() for first, last in tally.lost)
