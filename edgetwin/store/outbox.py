"""Keep room: the outbox. Every record is acknowledged by the broker or on disk, within the commit interval.

In: records, PUBACKs, returns     Out: backlog parcels, oldest first; gaps; what is kept, in numbers.

The loop's side, and the door to the room. Which record is whose is the ledger's to say, the way to the disk is that
of the commits, the way out the drain's. The loop never waits for the disk: a disk that hangs delays nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from edgetwin.clock import Clock
from edgetwin.errors import StoreError
from edgetwin.records import Fate, Parcel, Record
from edgetwin.store import calls
from edgetwin.store.audit_file import AuditFile, audit_bytes
from edgetwin.store.auditor import Auditor
from edgetwin.store.backlog import Packer
from edgetwin.store.books import Books
from edgetwin.store.commits import HANG_S, Commits, Means
from edgetwin.store.database import Totals
from edgetwin.store.drain import TOO_LARGE, Drain, DrainNews
from edgetwin.store.gaps import Gaps
from edgetwin.store.ledger import Ledger
from edgetwin.store.measure import Measure, take
from edgetwin.store.number_format import AuditHead
from edgetwin.store.shelf import Shelf
from edgetwin.store.terms import Limits, OutboxNews
from edgetwin.store.timers import Timers
from edgetwin.store.writer import Writer

_CLOSE_S = 2.0  # the link has had its time before us, and all must end within 5 s
_THREAD_END_S = 0.4


class Outbox:
    """The outbox of one robot.

    Attributes:
        drain: The way out of what is on disk.
        gaps: What will never arrive.
        refusals: Parcels that the broker refused.
        measured: What was on disk when it was measured last.
        turn: Gives a future that is done once the store's thread has come round.
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
        self._path = path
        self._lanes: list[str] = []
        self._loop = asyncio.get_running_loop()
        self._news = news
        self._timers = Timers()
        self._ledger = Ledger()
        audit_max = audit_bytes(limits.max_bytes)
        file_max = limits.max_bytes - audit_max
        self._writer = writer = Writer(path, file_max, self._loop, self._was_set_aside, self._was_reopened)
        self.turn = writer.turn
        self._shelf = shelf = Shelf(writer, self._ledger, self._timers)
        self._books = books = Books(Path(f"{path}.seq"), boot, self._ledger)
        self.gaps = gaps = Gaps(writer, shelf, self._timers, books.holdings, news.tell, news.given_up)
        oversize = partial(gaps.bury_oversize, reason_code=TOO_LARGE)
        reconcile = partial(shelf.reconcile, gaps.doubt)
        drain_news = DrainNews(news.changed, shelf.flush, shelf.forget, gaps.bury, oversize, reconcile)
        self.drain = drain = Drain(writer, packer, self._ledger, clock, drain_news, limits.backlog_rate_max)
        means = Means(writer, self._ledger, shelf, gaps, books, drain, self._timers, clock, news)
        self._commits = Commits(means, boot, limits.commit_interval_s, standalone)
        self._auditor = Auditor(
            writer,
            AuditFile(path, audit_max, boot, books.known_audit, lambda what: writer.post(news.audit, "broken", what)),
            self._timers,
            clock,
            limits.commit_interval_s,
            books.audited,
            lambda words: news.audit("ok" if words is None else "trouble", words or ""),
        )
        self.refusals = 0
        self.measured = Measure()
        self._measuring: asyncio.Future[Measure] | None = None

    async def open(self, lanes: Iterable[str]) -> None:
        """Open the file and learn what it holds, and what the last boot left unaccounted for.

        A disk that fails, or does not answer, is no reason not to start: it is told as trouble, and tried again.

        Args:
            lanes: Names of all lanes.
        """
        self._lanes = list(lanes)
        self._writer.run(self._books.read)
        opening = self._begin()
        opening.add_done_callback(self._opened)
        await asyncio.wait([opening], timeout=HANG_S)
        if not opening.done():
            self._commits.trouble(f"the disk has not answered for {HANG_S:g} s; records wait in memory")

    @property
    def troubled(self) -> bool:
        """Whether the disk fails, or does not answer: that was told, and records stay in memory."""
        return self._commits.troubled

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

    def measure(self) -> None:
        """Have the store's thread measure what is on disk: `measured` is newer soon, or, where the disk hangs, not."""
        if self._measuring is None or self._measuring.done():
            self._measuring = self._writer.call(lambda database: take(database, self._path))
            self._measuring.add_done_callback(self._was_measured)

    def put(self, record: Record) -> None:
        """Answer for a new record from now on."""
        self._books.count(record)
        self._ledger.put(record)
        if record.lane.urgent:
            self._loop.call_soon(self._commits.commit)
        if "tick" not in self._timers.waiting:
            self._timers.later("tick", self._commits.look_s, self._commits.tick)

    def audit(self, entries: Sequence[bytes | Mapping[str, object]], *, at_once: bool = True) -> None:
        """Keep decisions of the gate, in order, in a chain; never shed, never in the way of anything.

        Args:
            entries: Each a JSON object, encoded or not.
            at_once: One of them refuses, or changes the state: safe as soon as the disk can; else after the interval.
        """
        self._auditor.add(entries, at_once=at_once)

    @property
    def audit_head(self) -> AuditHead | None:
        """The newest entry of the audit that is safe; None before this boot has written one."""
        return self._auditor.head

    @property
    def audit_lost(self) -> int:
        """Decisions that neither disk nor memory could hold; the chain says where they are missing."""
        return self._auditor.lost

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
            StoreError: The disk does not take them, or not in time.
        """
        self._commits.closing = True
        self._timers.close()
        self.drain.stop()
        in_order = saved = False
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self._commits.finish()
                await self._auditor.finish()
                in_order = True
                self._books.end(self.gaps, in_order=True)
                saved = await self._writer.run(partial(self._books.save, sync=True))
        except TimeoutError as error:
            msg = f"{self._path}: the disk did not answer within {_CLOSE_S:g} s"
            raise StoreError(msg) from error
        finally:
            if not in_order:
                self._books.end(self.gaps, in_order=False)
            try:
                await self._writer.close(_THREAD_END_S)
            finally:
                self._books.close(saved=saved)

    def _settle(self, fate: Callable[[Iterable[Record]], list[int]], records: Iterable[Record]) -> None:
        end = self._ledger.backlog_end
        self._shelf.forget(fate(records))
        if end is not None and self._ledger.backlog_end != end:
            self.drain.read_on()

    def _was_measured(self, future: asyncio.Future[Measure]) -> None:
        if not future.cancelled() and future.exception() is None:
            self.measured = future.result()

    def _begin(self) -> asyncio.Future[Totals]:
        return self._writer.call(lambda database: calls.begin(database, last=self._books.last))

    def _begin_again(self) -> None:
        self._begin().add_done_callback(self._opened)

    def _opened(self, future: asyncio.Future[Totals]) -> None:
        """The file is open, and knows what the last boot left: the numbers of this one may be begun."""
        if (error := future.exception()) is not None:
            self._commits.failed(error, self._begin_again)
            return
        self._shelf.learn(future.result())
        self._books.begin(self._lanes)
        self._commits.opened()

    def _was_set_aside(self, moved: Path, what: str) -> None:
        """The file was broken."""
        self._file_lost()
        self._news.set_aside(moved, what)

    def _was_reopened(self, next_row: int) -> None:
        """The disk has failed, and works again: if it holds less than before, it is another one."""
        if next_row <= self._ledger.newest_row:
            self._ledger.newest_row = next_row - 1
            self._file_lost()
            self._shelf.recount()
            self._news.replaced(
                f"{self._path} is not the file that was written to; was it deleted, or a disk exchanged?"
            )

    def _file_lost(self) -> None:
        """What only the file held is lost to us; what the live lane still holds is written anew."""
        self.gaps.file_lost(self._books.lost_with_the_file())
        self.gaps.write()
        self._shelf.clear()
        self._ledger.disk_lost()
        self.drain.rewind()
        self._timers.later("tick", 0.0, self._commits.tick)
