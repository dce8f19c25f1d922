"""Keep room: numbers that will never arrive, until somebody was told.

In: what was given up, by whom and why     Out: events; a gap is forgotten when its event is safe.

A gap is on disk (a row per lane, boot and cause) before it is told, and told once a connection: a crash in
between tells it again, never not at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from edgetwin.records import Fate, Gap, GapCause, Record
from edgetwin.store.database import Database
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
        tell: Callable[[Gap], Record],
        given_up: Callable[[GapCause, int], None],
    ) -> None:
        """Nothing happens by itself.

        Args:
            writer: The store's thread.
            shelf: Counts.
            timers: The outbox's.
            tell: Makes an event of a gap and returns its record.
            given_up: Called with a cause and how many more records.
        """
        self.given_up: dict[GapCause, int] = {}
        self._writer = writer
        self._shelf = shelf
        self._timers = timers
        self._tell = tell
        self._news = given_up
        self._unwritten: list[Gap] = []
        self._telling: dict[int, Record] = {}

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
        self._unwritten += [
            Gap(lane, boot, min(seqs), max(seqs), len(seqs), GapCause.SHED) for lane, seqs in lanes.items()
        ]
        self.count(GapCause.SHED, len(records))

    def bury(self, rows: Sequence[int], cause: GapCause, reason_code: int) -> None:
        """Move rows to the dead letters, and tell."""

        def buried(future: asyncio.Future[Mapping[str, int]]) -> None:
            if future.exception() is None:
                self._shelf.taken(future.result())
                self.count(cause, sum(future.result().values()))
                self.tell()

        self._writer.call(lambda database: database.bury(rows, reason_code, cause)).add_done_callback(buried)

    def add(self, gaps: Sequence[Gap]) -> None:
        """Remember gaps until the disk takes them."""
        self._unwritten += gaps

    def unwritten_from(self, boot: str) -> Mapping[str, int]:
        """Return lane -> lowest number of a gap of this boot that is in memory only."""
        lowest: dict[str, int] = {}
        for gap in self._unwritten:
            if gap.boot == boot:
                lowest[gap.lane] = min(gap.from_seq, lowest.get(gap.lane, gap.from_seq))
        return lowest

    def file_lost(self, gaps: Sequence[Gap]) -> None:
        """The file is gone, with these numbers and with the gaps that were noted in it."""
        self._unwritten += gaps
        self._telling.clear()

    def write(self) -> None:
        """The disk works: note what could not be noted."""
        gaps = self.take_unwritten()
        if gaps:
            self._writer.call(lambda database: database.remember_gaps(gaps)).add_done_callback(
                lambda future: self._unwritten.extend(gaps if future.exception() else ())
            )

    def tell(self) -> None:
        """Make events of the gaps that nobody was told of; those whose event is safe are forgotten."""
        safe = self.safe()

        def forget_and_list(database: Database) -> list[Gap]:
            if safe:
                database.forget_gaps(safe)
            return database.gaps_to_tell()

        def listed(future: asyncio.Future[list[Gap]]) -> None:
            if future.exception() is None:
                for gap_id in safe:
                    self._telling.pop(gap_id, None)
                for gap in future.result():
                    if gap.id not in self._telling:
                        self._telling[gap.id] = self._tell(gap)
            self._timers.later("gaps", _TELL_PERIOD_S, self.tell)

        self._writer.call(forget_and_list).add_done_callback(listed)

    def safe(self) -> list[int]:
        """Return the ids of gaps whose event is acknowledged or on disk."""
        return [gap_id for gap_id, record in self._telling.items() if record.row or record.fate is Fate.ACKED]

    def take_unwritten(self) -> list[Gap]:
        """Hand over the gaps that are in memory only."""
        gaps, self._unwritten = self._unwritten, []
        return gaps
