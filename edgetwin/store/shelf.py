"""Keep room: what is on disk, counted in memory, and taken off in batches.

In: rows to forget, totals     Out: records per lane.
A count of rows costs a walk through all of them; a deletion costs a sync: so both are saved up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from edgetwin.store.database import Freed, Totals
from edgetwin.store.ledger import Ledger
from edgetwin.store.timers import Timers
from edgetwin.store.writer import Writer

_FORGET_DELAY_S = 0.5


class Shelf:
    """The rows of one outbox, in numbers."""

    def __init__(self, writer: Writer, ledger: Ledger, timers: Timers) -> None:
        self._writer = writer
        self._ledger = ledger
        self._timers = timers
        self._stored: dict[str, int] = {}
        self._forgettable: list[int] = []

    @property
    def records(self) -> int:
        """Records on disk."""
        return sum(self._stored.values())

    def stored(self, lane: str) -> int:
        """Records of one lane on disk."""
        return self._stored.get(lane, 0)

    def learn(self, totals: Totals) -> None:
        """Believe the file."""
        self._stored = dict(totals.records)
        self._ledger.continue_rows(totals.next_row)

    def reconcile(self, vanished: Callable[[], None]) -> None:
        """Everything was delivered: what is still counted is there, or its row had a damaged name, or has vanished.

        Args:
            vanished: There are fewer rows than were written.
        """

        def reconciled(future: asyncio.Future[tuple[Totals, bool]]) -> None:
            if future.exception() is None:
                totals, missing = future.result()
                self.learn(totals)
                if missing:
                    vanished()

        if self.records > self._ledger.open_records:
            self._writer.call(lambda database: database.reconcile()).add_done_callback(reconciled)

    def recount(self) -> None:
        """Ask the file."""
        self._writer.call(lambda database: database.totals()).add_done_callback(
            lambda future: None if future.exception() else self.learn(future.result())
        )

    def added(self, counts: Mapping[str, int]) -> None:
        """Records were written."""
        for lane, count in counts.items():
            self._stored[lane] = self._stored.get(lane, 0) + count

    def taken(self, freed: Freed) -> None:
        """Records were deleted."""
        if freed.totals is not None:
            self.learn(freed.totals)
            return
        for lane, count in freed.records.items():
            self._stored[lane] = max(0, self._stored.get(lane, 0) - count)

    def clear(self) -> None:
        """The file is gone."""
        self._stored.clear()
        self._forgettable.clear()

    def forget(self, rows: Sequence[int]) -> None:
        """Delete these rows soon."""
        if rows:
            self._ledger.forget(rows)
            self._forgettable += rows
            self._timers.later("forget", _FORGET_DELAY_S, self.flush)

    def flush(self) -> None:
        """Delete now what should be: before every read, or an acknowledged row might be sent once more."""
        rows = self.take_forgettable()
        if not rows:
            return

        def forgotten(future: asyncio.Future[Freed]) -> None:
            if future.exception() is None:
                self.taken(future.result())
            else:
                self._forgettable += rows  # acknowledged, still on disk: tried again with the next ones

        self._writer.call(lambda database: database.forget(rows)).add_done_callback(forgotten)

    def take_forgettable(self) -> list[int]:
        """Hand over the rows that should be deleted."""
        rows, self._forgettable = self._forgettable, []
        return rows
