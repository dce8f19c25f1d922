"""Keep room: the outbox. Every record is acknowledged by the broker or on disk, within the commit interval.

In: records, PUBACKs, returns     Out: backlog parcels, oldest first; gaps; what is kept, in numbers.

The loop's side: one append at a time on the writer's thread. Which record is whose is the ledger's to say, the
way out is the drain's. While the disk fails records stay in memory, up to a limit; then the oldest are given up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from edgetwin import wire
from edgetwin.clock import Clock, seconds_to_ns
from edgetwin.errors import StoreError
from edgetwin.records import Fate, Gap, GapCause, Parcel, Record
from edgetwin.store import calls
from edgetwin.store.backlog import Packer
from edgetwin.store.books import Books
from edgetwin.store.database import Database, Totals
from edgetwin.store.drain import Drain, DrainNews
from edgetwin.store.gaps import Gaps
from edgetwin.store.ledger import Draft, Ledger, counts
from edgetwin.store.shelf import Shelf
from edgetwin.store.terms import Limits, OutboxNews
from edgetwin.store.timers import Timers
from edgetwin.store.writer import Writer

MEMORY_RECORDS_MAX = 50_000  # young records while the disk fails
_RETRY_S = 1.0
_FOREVER_NS = 2**62


class Outbox:
    """The outbox of one robot.

    Attributes:
        drain: The way out of what is on disk.
        gaps: What will never arrive.
        refusals: Parcels that the broker refused.
    """

    def __init__(
        self,
        path: Path,
        boot: str,
        limits: Limits,
        packer: Packer,
        standalone: Callable[[Record], bytes],
        clock: Clock,
        news: OutboxNews,
    ) -> None:
        """Nothing is opened before `open`.

        Args:
            path: The file.
            boot: Id of this boot.
            limits: What it keeps to.
            packer: Makes parcels of what was kept.
            standalone: Gives a record the form in which it is kept; called on the store's thread.
            clock: The robot's.
            news: Callbacks.
        """
        self._loop = asyncio.get_running_loop()
        self._boot = boot
        self._standalone = standalone
        self._clock = clock
        self._news = news
        # Looked at four times an interval, written after three quarters: what is coalesced for half of it, and
        # acknowledged, never touches the disk.
        self._look_s = limits.commit_interval_s / 4
        self._ripe_ns = seconds_to_ns(limits.commit_interval_s * 3 / 4)
        self._timers = Timers()
        self._ledger = Ledger()
        self._writer = Writer(path, limits.max_bytes, self._loop, self._was_set_aside)
        self._shelf = shelf = Shelf(self._writer, self._ledger, self._timers)
        self.gaps = gaps = Gaps(self._writer, shelf, self._timers, news.tell, news.given_up)
        self._books = Books(Path(f"{path}.seq"), boot, self._ledger, shelf, gaps)
        drain_news = DrainNews(news.changed, shelf.flush, shelf.forget, gaps.bury, self._oversize, shelf.reconcile)
        self.drain = Drain(self._writer, packer, self._ledger, clock, drain_news, limits.backlog_rate_max)
        self.refusals = 0
        self._appending: asyncio.Future[int] | None = None
        self._closing = False
        self._troubled = False
        self._learned = False  # what the file holds; before that nothing is written: its rows must not be taken

    async def open(self, lanes: Iterable[str]) -> None:
        """Open the file and learn what it holds, and what the last boot left unaccounted for.

        A disk that fails is no reason not to start: it is told as trouble, and tried again.

        Args:
            lanes: Names of all lanes.
        """
        self._books.open(lanes)
        try:
            totals = await self._writer.call(self._begin_call())
        except StoreError as error:
            self._disk_failed(error)
        else:
            self._learn(totals)

    @property
    def records(self) -> int:
        """Records on disk."""
        return self._shelf.records

    @property
    def backlog(self) -> int:
        """Records on disk that wait for the backlog lane."""
        return self._shelf.records - self._ledger.open_records

    def stored(self, lane: str) -> int:
        """Records of one lane on disk."""
        return self._shelf.stored(lane)

    def put(self, record: Record) -> None:
        """Answer for a new record from now on."""
        self._books.count(record)
        self._ledger.put(record)
        if record.lane.urgent:
            self._loop.call_soon(self._commit)
        self._timers.later("tick", self._look_s, self._tick)

    def acked(self, parcel: Parcel) -> None:
        """The broker has this parcel."""
        if parcel.rows:
            self.drain.acked(parcel)
        else:
            self._settle(self._ledger.acked, parcel.records)

    def record_acked(self, record: Record) -> None:
        """The broker has this record: in the usual case before it was cut, and nothing is left to do."""
        if record.row:
            self._settle(self._ledger.acked, (record,))
        elif record.fate is Fate.IN_FLIGHT:
            record.fate = Fate.ACKED

    def returned(self, records: Iterable[Record]) -> None:
        """The live lane gives these up."""
        self._settle(self._ledger.returned, records)

    def refused(self, parcel: Parcel, reason_code: int) -> None:
        """The broker refused it: its records stay ours and are offered again later."""
        self.refusals += 1
        if parcel.rows:
            self.drain.refused(parcel, reason_code)
        else:
            self.returned(parcel.records)
            self.drain.refused_live()

    def start_draining(self) -> None:
        """The link is up."""
        self.drain.start()
        self.gaps.tell()

    def stop_draining(self) -> None:
        """The link is down."""
        self.drain.stop()

    async def close(self) -> None:
        """Write every record that is not acknowledged, and close the file.

        Raises:
            StoreError: The disk does not take them.
        """
        self._closing = True
        self._timers.close()
        self.drain.stop()
        if self._appending is not None:
            await asyncio.wait([self._appending])
            await asyncio.sleep(0)
        in_order = False
        try:
            drafts = self._ledger.cut(_FOREVER_NS)
            if drafts:
                await self._writer.call(self._append_call(drafts))
                self._shelf.forget(self._ledger.committed())
            rows, gaps, safe = self._shelf.take_forgettable(), self.gaps.take_unwritten(), self.gaps.safe()
            await self._writer.call(lambda database: calls.finish(database, rows, gaps, safe))
            in_order = True
        finally:
            self._books.close(in_order=in_order)
            await self._writer.close()

    def _settle(self, fate: Callable[[Iterable[Record]], list[int]], records: Iterable[Record]) -> None:
        end = self._ledger.backlog_end
        self._shelf.forget(fate(records))
        if end is not None and self._ledger.backlog_end != end:
            self.drain.read_on()

    def _tick(self) -> None:
        self._commit()
        if self._troubled:
            self._ledger.prune()
            shed = self._ledger.shed_oldest(self._ledger.young - MEMORY_RECORDS_MAX)
            self.gaps.give_up(self._boot, shed)
            if shed:
                self._news.committed()  # the live lane may let go of them
        self._books.look()
        if self._ledger.young:
            self._timers.later("tick", self._look_s, self._tick)

    def _commit(self) -> None:
        if self._appending is not None or self._troubled or self._closing:
            return  # _appended, _retry or close comes back to it
        self._append(self._ledger.cut(self._clock.now_ns() - self._ripe_ns))

    def _append(self, drafts: Sequence[Draft]) -> None:
        if drafts:
            self._appending = self._writer.call(self._append_call(drafts))
            self._appending.add_done_callback(lambda future: self._appended(future, drafts))

    def _append_call(self, drafts: Sequence[Draft]) -> Callable[[Database], int]:
        # While the link is down no row but the open ones is in anybody's hands.
        mine = 0 if self.drain.running else (self._ledger.backlog_end or 0)
        return partial(calls.append, drafts=drafts, standalone=self._standalone, boot=self._boot, merge_below=mine)

    def _appended(self, future: asyncio.Future[int], drafts: Sequence[Draft]) -> None:
        self._appending = None
        error = future.exception()
        if error is not None:
            self._disk_failed(error)
            return
        self._disk_works()
        self._shelf.added(counts(drafts))
        if shed := future.result():
            self._shelf.recount()
            self.gaps.count(GapCause.SHED, shed)
        self._shelf.forget(self._ledger.committed())
        self._books.committed(drafts[-1].row)
        self._news.committed()
        self.drain.read_on()
        if self._ledger.urgent:
            self._commit()

    def _disk_failed(self, error: BaseException) -> None:
        if not isinstance(error, StoreError):
            raise error
        if not self._troubled:
            self._troubled = True
            self._news.trouble(str(error))
        self._timers.later("retry", _RETRY_S, self._retry)

    def _retry(self) -> None:
        """Only a write that succeeds ends the trouble: a full disk can be read very well."""
        if not self._learned:
            self._writer.call(self._begin_call()).add_done_callback(self._learned_late)
            return
        drafts = self._ledger.pending() or self._ledger.cut(self._clock.now_ns())
        if drafts and self._appending is None:
            self._append(drafts)
        else:
            self._timers.later("retry", _RETRY_S, self._retry)

    def _learned_late(self, future: asyncio.Future[Totals]) -> None:
        error = future.exception()
        if error is not None:
            self._disk_failed(error)
        else:
            self._learn(future.result())
            self._retry()

    def _begin_call(self) -> Callable[[Database], Totals]:
        return partial(calls.begin, last=self._books.last)

    def _learn(self, totals: Totals) -> None:
        """The file is open, and knows what the last boot left: the numbers of this one may be begun."""
        self._learned = True
        self._shelf.learn(totals)
        self._books.begin()

    def _oversize(self, parcel: Parcel) -> None:
        """A single record that the broker will never take."""
        for record in wire.decode(parcel.payload, parcel.user_properties):
            gap = Gap(record["channel"], record["boot"], record["seq"], record["seq"], 1, GapCause.OVERSIZE)
            self.gaps.add([gap])
        self.gaps.count(GapCause.OVERSIZE, parcel.count)
        self.gaps.write()
        self.gaps.tell()

    def _disk_works(self) -> None:
        if self._troubled:
            self._troubled = False
            self._shelf.recount()
            self._news.trouble(None)
        self.gaps.write()

    def _was_set_aside(self, moved: Path, what: str) -> None:
        """The file was broken: what only it held is lost to us; what the live lane still holds is written anew."""
        self.gaps.file_lost(self._books.lost_with_the_file())
        self._shelf.clear()
        self._ledger.disk_lost()
        self.drain.rewind()
        self._news.set_aside(moved, what)
        self._timers.later("tick", 0.0, self._tick)
