"""Keep room: numbers that will never arrive, until somebody was told.

In: what was given up, by whom and why     Out: events; a gap is forgotten when its event is safe.

A gap is on disk (a row per lane, boot and cause) before it is told, and told once a connection: a crash in
between tells it again, never not at all. While the disk takes nothing, gaps are told out of memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence

from edgetwin import wire
from edgetwin.records import Fate, Gap, GapCause, Parcel, Record
from edgetwin.store.database import Database, Freed
from edgetwin.store.gap_rows import joined
from edgetwin.store.holdings import Holdings
from edgetwin.store.shelf import Shelf
from edgetwin.store.timers import Timers
from edgetwin.store.writer import Writer

_TELL_PERIOD_S = 30.0


class Gaps:
    """The gaps of one outbox.

    Attributes:
        given_up: Records that will never arrive, by cause, since the start.
    """

    def __init__(
        self,
        writer: Writer,
        shelf: Shelf,
        timers: Timers,
        holdings: Holdings,
        tell: Callable[[Gap], Record],
        given_up: Callable[[GapCause, int], None],
    ) -> None:
        """Nothing happens by itself.

        Args:
            writer: The store's thread.
            shelf: Counts.
            timers: The outbox's.
            holdings: What the file answers for.
            tell: Makes an event of a gap and returns its record.
            given_up: Called with a cause and how many more records.
        """
        self.given_up: dict[GapCause, int] = {}
        self._writer = writer
        self._shelf = shelf
        self._timers = timers
        self._holdings = holdings
        self._tell = tell
        self._news = given_up
        self._unwritten: dict[tuple[str, str, GapCause], Gap] = {}
        self._told_unwritten: list[tuple[Gap, Record]] = []
        self._telling: dict[int, Record] = {}
        self._listing = False

    def count(self, cause: GapCause, records: int) -> None:
        """Records were given up; their gap is on disk."""
        if records:
            self.given_up[cause] = self.given_up.get(cause, 0) + records
            self._news(cause, records)

    def give_up(self, boot: str, records: Sequence[Record]) -> None:
        """Nobody can keep these: their gap is written as soon as the disk takes it."""
        lanes: dict[str, list[int]] = {}
        for record in records:
            lanes.setdefault(record.lane.name, []).append(record.seq)
        self.add(Gap(lane, boot, min(seqs), max(seqs), len(seqs), GapCause.SHED) for lane, seqs in lanes.items())
        self.count(GapCause.SHED, len(records))

    def bury(self, rows: Sequence[int], cause: GapCause, reason_code: int) -> None:
        """Move rows to the dead letters, and tell."""

        def buried(future: asyncio.Future[Freed]) -> None:
            if future.exception() is None:
                freed = future.result()
                self._shelf.taken(freed)
                self.count(cause, sum(freed.records.values()))
                if freed.doubted:
                    self.doubt()
                self.tell()

        self._writer.call(lambda database: database.bury(rows, reason_code, cause)).add_done_callback(buried)

    def bury_oversize(self, parcel: Parcel, reason_code: int) -> None:
        """Keep the one record of a parcel, which the broker will never take, among the dead letters, and tell."""

        def bury(database: Database) -> None:
            for record in wire.decode(parcel.payload, parcel.user_properties):
                database.bury_copy(parcel.rows[0], record["seq"], reason_code, GapCause.OVERSIZE)

        def buried(future: asyncio.Future[None]) -> None:
            if future.exception() is not None:  # the disk fails, or the row is gone: the gap is what must not be lost
                records = wire.decode(parcel.payload, parcel.user_properties)
                self.add(Gap(r["channel"], r["boot"], r["seq"], r["seq"], 1, GapCause.OVERSIZE) for r in records)
                self.write()
            self.tell()

        self.count(GapCause.OVERSIZE, parcel.count)
        self._writer.call(bury).add_done_callback(buried)

    def add(self, gaps: Iterable[Gap]) -> None:
        """Remember gaps until the disk takes them; one per lane, boot and cause, however many come."""
        for gap in gaps:
            key = gap.lane, gap.boot, gap.cause
            known = self._unwritten.get(key)
            self._unwritten[key] = gap if known is None else joined(known, gap)

    def unwritten_from(self, boot: str) -> Mapping[str, int]:
        """Return lane -> lowest number of a gap of this boot that is in memory only."""
        lowest: dict[str, int] = {}
        for gap in self._not_safe():
            if gap.boot == boot:
                lowest[gap.lane] = min(gap.from_seq, lowest.get(gap.lane, gap.from_seq))
        return lowest

    def file_lost(self, gaps: Sequence[Gap]) -> None:
        """The file is gone, with these numbers and with the gaps that were noted in it."""
        self.add(gaps)
        self._telling.clear()

    def write(self) -> None:
        """The disk works: note what could not be noted."""
        gaps = self.take_unwritten()
        if gaps:
            self._writer.call(lambda database: database.remember_gaps(gaps)).add_done_callback(
                lambda future: self.add(gaps if future.exception() else ())
            )

    def tell(self) -> None:
        """Make events of the gaps that nobody was told of; those whose event is safe are forgotten."""
        if self._listing:
            return
        self._listing = True
        safe = self.safe()

        def forget_and_list(database: Database) -> list[Gap]:
            if safe:
                database.forget_gaps(safe)
            return database.gaps_to_tell()

        def listed(future: asyncio.Future[list[Gap]]) -> None:
            self._listing = False
            if future.exception() is None:
                for gap_id in safe:
                    self._telling.pop(gap_id, None)
                for gap in future.result():
                    self._tell_once(gap)
            self._timers.later("gaps", _TELL_PERIOD_S, self.tell)

        self._writer.call(forget_and_list).add_done_callback(listed)

    def doubt(self) -> None:
        """Something of the file is lost, and nobody can tell what: it is in what the file holds."""
        self.add(self._holdings.gaps(GapCause.DAMAGED))
        self.write()

    def tell_unwritten(self) -> None:
        """Make events of what is in memory only: the disk takes nothing, and somebody may listen."""
        gaps, self._unwritten = list(self._unwritten.values()), {}
        self._told_unwritten = [*self._still_told(), *((gap, self._tell(gap)) for gap in gaps)]

    def safe(self) -> list[int]:
        """Return the ids of gaps whose event is acknowledged or on disk."""
        return [gap_id for gap_id, record in self._telling.items() if record.row or record.fate is Fate.ACKED]

    def take_unwritten(self) -> list[Gap]:
        """Hand over the gaps that are in memory only."""
        gaps = self._not_safe()
        self._unwritten, self._told_unwritten = {}, []
        self._holdings.take_gaps(gaps)
        return gaps

    def _tell_once(self, gap: Gap) -> None:
        if gap.id in self._telling:
            return
        if gap.lane:
            self._telling[gap.id] = self._tell(gap)
        else:  # damaged beyond knowing whose it was
            self.doubt()
            self._writer.call(lambda database: database.forget_gaps([gap.id]))

    def _not_safe(self) -> list[Gap]:
        return [*(gap for gap, _ in self._still_told()), *self._unwritten.values()]

    def _still_told(self) -> list[tuple[Gap, Record]]:
        return [(gap, record) for gap, record in self._told_unwritten if record.fate is not Fate.ACKED]
