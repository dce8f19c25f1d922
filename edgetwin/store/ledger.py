"""Keep room: who answers for each record, the live lane or the disk.

In: records put, acknowledged, returned; commits that succeeded or failed     Out: what to write, what to forget.
Pure: no I/O, no clock.

Every record takes one path, connected or not. It is young while in memory only. If its PUBACK comes
before it is cut, it never touches the disk. If not, it is written, and the row is open as long as the live
lane may still get an acknowledgement for any of its records. When the last open record of a row is settled
the row is forgotten (all acknowledged), or it becomes backlog (some were returned); then the numbers
already acknowledged are remembered, so that the backlog does not repeat them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain

from edgetwin.records import ChannelClass, Fate, Record
from edgetwin.store.block import BLOCK_BYTES_MAX
from edgetwin.store.shedding import ORDER

_NOTHING = (1 << 63, 0)
_SETTLED = (Fate.ACKED, Fate.RETURNED)
_SLACK_SHARE = 16  # of a limit: given up beyond what must be


@dataclass(frozen=True, slots=True)
class Draft:
    """Records of one lane that are about to become a row."""

    row: int
    records: tuple[Record, ...]


class Ledger:
    """The books of the outbox.

    Attributes:
        skip: Backlog rows of which some numbers were acknowledged already: row -> those numbers.
        newest_row: The newest row that was on disk.
    """

    def __init__(self) -> None:
        self.skip: dict[int, frozenset[int]] = {}
        self.newest_row = 0
        self._next_row = 1
        self._young: deque[Record] = deque()
        self._urgent: deque[Record] = deque()
        self._drafts: list[Draft] = []
        self._open: dict[int, Draft] = {}
        self._open_count: dict[int, int] = {}

    def continue_rows(self, next_row: int) -> None:
        """The file has given out rows up to here."""
        self._next_row = max(self._next_row, next_row)
        self.newest_row = max(self.newest_row, next_row - 1)

    @property
    def young(self) -> int:
        """Records in memory only, acknowledged ones that were not looked at yet included."""
        return len(self._young) + len(self._urgent)

    @property
    def urgent(self) -> int:
        """Records in memory only that should be written at once."""
        return len(self._urgent)

    @property
    def young_bytes(self) -> int:
        """Bytes of the records in memory only; walks through all of them."""
        return sum(record.size for queue in (self._urgent, self._young) for record in queue)

    @property
    def open_records(self) -> int:
        """Records on disk that the live lane still answers for."""
        return sum(len(draft.records) for draft in self._open.values())

    @property
    def backlog_end(self) -> int | None:
        """Rows from here on are not backlog yet: open, or being written; None when all are."""
        first_open = next(iter(self._open), None)
        if first_open is None and self._drafts:
            return self._drafts[0].row
        return first_open

    def put(self, record: Record) -> None:
        """Take responsibility for a new record."""
        (self._urgent if record.lane.urgent else self._young).append(record)

    def any_born_before(self, born_before_ns: int) -> bool:
        """Whether `cut` would find more than what is urgent."""
        return bool(self._young) and self._young[0].born_ns < born_before_ns

    def cut(self, born_before_ns: int) -> list[Draft]:
        """Return what must be written now: all urgent records, and the others born before the given time.

        The caller writes them and then calls `committed`; if that fails, it writes what is `pending` again.
        """
        chosen: dict[str, list[Record]] = {}
        for queue, limit_ns in ((self._urgent, None), (self._young, born_before_ns)):
            while queue and (limit_ns is None or queue[0].born_ns < limit_ns):
                record = queue.popleft()
                if record.fate is not Fate.ACKED:
                    chosen.setdefault(record.lane.name, []).append(record)
        for records in chosen.values():
            for part in _split(records):
                self._drafts.append(Draft(self._next_row, part))
                self._next_row += 1
        return list(self._drafts)

    def committed(self) -> list[int]:
        """The drafts are on disk: return the rows that can be forgotten already."""
        drafts, self._drafts = self._drafts, []
        forgotten: list[int] = []
        for draft in drafts:
            self.newest_row = draft.row
            for record in draft.records:
                record.row = draft.row
            unsettled = sum(record.fate not in _SETTLED for record in draft.records)
            if unsettled:
                self._open[draft.row] = draft
                self._open_count[draft.row] = unsettled
            else:
                forgotten += self._settle(draft)
        return forgotten

    def pending(self) -> list[Draft]:
        """Return the drafts whose write failed: they are written again, under the same rows, before more are cut."""
        return list(self._drafts)

    def acked(self, records: Iterable[Record]) -> list[int]:
        """The broker has these; return the rows that can be forgotten."""
        return self._close(records, Fate.ACKED)

    def returned(self, records: Iterable[Record]) -> list[int]:
        """The live lane gives these up; rows of theirs become backlog. Return rows that can be forgotten."""
        return self._close(records, Fate.RETURNED)

    def forget(self, rows: Iterable[int]) -> None:
        """Rows are gone from the disk."""
        for row in rows:
            self.skip.pop(row, None)

    def prune(self) -> None:
        """Let go of acknowledged records while nothing can be cut (the disk fails)."""
        for queue in (self._urgent, self._young):
            while queue and queue[0].fate is Fate.ACKED:
                queue.popleft()

    def shed(self, records_max: int, bytes_max: int) -> list[Record]:
        """Bring what is in memory only within limits: critical samples first, then slow ones, events last.

        Within a class the oldest go, so that the live lane, which lets go in order, can let go of them too. A little
        more is given up than must be: to look at all of them costs milliseconds.

        Returns:
            Those that nobody else answers for.
        """
        surplus, surplus_bytes = self.young - records_max, self.young_bytes - bytes_max
        if surplus <= 0 and surplus_bytes <= 0:
            return []
        surplus += records_max // _SLACK_SHARE
        surplus_bytes += bytes_max // _SLACK_SHARE
        shed: list[Record] = []
        for channel_class in ORDER:
            queue = self._urgent if channel_class is ChannelClass.EVENT else self._young
            kept: deque[Record] = deque()
            for record in queue:
                if record.lane.channel_class is channel_class and (surplus > 0 or surplus_bytes > 0):
                    surplus -= 1
                    surplus_bytes -= record.size
                    shed.append(record)
                else:
                    kept.append(record)
            queue.clear()
            queue.extend(kept)
        lost = [record for record in shed if record.fate is not Fate.ACKED]
        for record in lost:
            record.fate = Fate.RETURNED
        return lost

    def disk_lost(self) -> None:
        """The file is gone: what the live lane still answers for is young again, and will be written anew."""
        drafts = list(self._open.values())
        self._open.clear()
        self._open_count.clear()
        self.skip.clear()
        records = [record for draft in drafts for record in draft.records if record.fate not in _SETTLED]
        for record in sorted(records, key=_birth, reverse=True):
            record.row = 0
            (self._urgent if record.lane.urgent else self._young).appendleft(record)

    def unaccounted(self) -> dict[str, tuple[int, int]]:
        """Return lane -> (number, birth) of its lowest record that is neither acknowledged nor on disk, if any."""
        lowest: dict[str, tuple[int, int]] = {}
        drafted = (record for draft in self._drafts for record in draft.records)
        for record in chain(drafted, self._urgent, self._young):
            if record.fate is not Fate.ACKED and record.seq < lowest.get(record.lane.name, _NOTHING)[0]:
                lowest[record.lane.name] = record.seq, record.born_ns
        return lowest

    def on_their_way(self) -> list[Record]:
        """Return the records of rows, written or being written, that the broker has, or memory still holds."""
        drafts = chain(self._open.values(), self._drafts)
        return [
            record for draft in drafts for record in draft.records if record.fate is not Fate.RETURNED or not record.row
        ]

    def _close(self, records: Iterable[Record], fate: Fate) -> list[int]:
        forgotten: list[int] = []
        for record in records:
            if record.fate in _SETTLED:
                continue
            record.fate = fate
            if not record.row:
                continue  # young, or being written: cut() and committed() look at its fate
            self._open_count[record.row] -= 1
            if self._open_count[record.row] == 0:
                del self._open_count[record.row]
                forgotten += self._settle(self._open.pop(record.row))
        return forgotten

    def _settle(self, draft: Draft) -> list[int]:
        acked = frozenset(record.seq for record in draft.records if record.fate is Fate.ACKED)
        if len(acked) == len(draft.records):
            return [draft.row]
        if acked:
            self.skip[draft.row] = acked
        return []


def counts(drafts: Iterable[Draft]) -> Mapping[str, int]:
    """Return lane -> records of `drafts`."""
    totals: dict[str, int] = {}
    for draft in drafts:
        lane = draft.records[0].lane.name
        totals[lane] = totals.get(lane, 0) + len(draft.records)
    return totals


def _birth(record: Record) -> tuple[int, int]:
    return record.born_ns, record.seq


def _split(records: list[Record]) -> list[tuple[Record, ...]]:
    """Cut into parts of at most BLOCK_BYTES_MAX; a larger record is a part of its own."""
    parts: list[tuple[Record, ...]] = []
    start = size = 0
    for index, record in enumerate(records):
        if index > start and size + record.size > BLOCK_BYTES_MAX:
            parts.append(tuple(records[start:index]))
            start, size = index, 0
        size += record.size
    parts.append(tuple(records[start:]))
    return parts
