"""Keep room: the outbox. Every record is acknowledged by the broker or on disk, within the commit interval.

In: records, PUBACKs, returns     Out: backlog parcels, oldest first; what is kept, in numbers.

The loop's side: timers, and one call at a time to the writer's thread. The decisions are the ledger's.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from edgetwin.clock import Clock, seconds_to_ns
from edgetwin.errors import StoreError
from edgetwin.records import Parcel, Record
from edgetwin.store.backlog import PARCEL_BYTES_MAX, Chunk, Packer
from edgetwin.store.block import pack
from edgetwin.store.database import Database, Totals
from edgetwin.store.ledger import Draft, Ledger, counts
from edgetwin.store.writer import Writer

_READ_BLOCKS = 64
_READY_PARCELS_LOW = 8
_FORGET_DELAY_S = 0.5
_RETRY_S = 1.0
_REFUSED_RETRY_S = 30.0
_LAST_ROW = 2**62


@dataclass(frozen=True, slots=True)
class OutboxNews:
    """What the outbox tells the roof.

    Attributes:
        changed: Backlog is ready to be taken.
        committed: Records went to disk: the live lane may let go of what it cannot send.
        trouble: The disk fails (words), or works again (None). Once per change.
    """

    changed: Callable[[], None]
    committed: Callable[[], None]
    trouble: Callable[[str | None], None]


class Outbox:
    """The outbox of one robot."""

    def __init__(
        self,
        writer: Writer,
        packer: Packer,
        standalone: Callable[[Record], bytes],
        clock: Clock,
        news: OutboxNews,
        *,
        commit_interval_s: float,
        backlog_rate_max: float = 0.0,
    ) -> None:
        """Nothing happens before `open`.

        Args:
            writer: The store's thread.
            packer: Makes parcels of what was kept.
            standalone: Gives a record the form in which it is kept.
            clock: The robot's.
            news: Callbacks, on the loop.
            commit_interval_s: After this long a record is acknowledged or on disk.
            backlog_rate_max: Records per second of the backlog lane; 0: no limit.
        """
        self._writer = writer
        self._packer = packer
        self._standalone = standalone
        self._clock = clock
        self._news = news
        self._half_interval_s = commit_interval_s / 2
        self._half_interval_ns = seconds_to_ns(commit_interval_s / 2)
        self._rate_max = backlog_rate_max
        self._ledger = Ledger(1)
        self._stored: dict[str, int] = {}
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._appending: asyncio.Future[None] | None = None
        self._troubled = False
        self._draining = False
        self._reading = False
        self._ready: deque[Parcel] = deque()
        self._cursor = 0
        self._generation = 0
        self.refusals = 0
        self._parcels_of_row: dict[int, int] = {}
        self._forgettable: list[int] = []
        self._forget_timer: asyncio.TimerHandle | None = None
        self._again_timer: asyncio.TimerHandle | None = None
        self._next_backlog_ns = 0
        self.payload_bytes_max = PARCEL_BYTES_MAX

    async def open(self) -> None:
        """Open the file and learn what it holds.

        Raises:
            StoreError: It cannot be used.
        """
        totals = await self._writer.call(lambda database: database.totals())
        self._stored = dict(totals.records)
        self._ledger = Ledger(totals.next_row)

    @property
    def records(self) -> int:
        """Records on disk."""
        return sum(self._stored.values())

    @property
    def backlog(self) -> int:
        """Records on disk that wait for the backlog lane."""
        return self.records - self._ledger.open_records

    def stored(self, lane: str) -> int:
        """Records of one lane on disk."""
        return self._stored.get(lane, 0)

    def put(self, record: Record) -> None:
        """Answer for a new record from now on."""
        self._ledger.put(record)
        if record.lane.urgent:
            self._loop.call_soon(self._commit)
        elif self._timer is None:
            self._timer = self._loop.call_later(self._half_interval_s, self._tick)

    def acked(self, parcel: Parcel) -> None:
        """The broker has this parcel."""
        if parcel.rows:
            self._settle_rows(parcel.rows)
        else:
            self._forget(self._ledger.acked(parcel.records))

    def returned(self, records: Iterable[Record]) -> None:
        """The live lane gives these up."""
        self._forget(self._ledger.returned(records))
        self._loop.call_soon(self._read_on)

    def refused(self, parcel: Parcel) -> None:
        """The broker took the packet and refused it: its rows stay on disk and are offered again later."""
        self.refusals += 1
        for row in parcel.rows:
            self._parcels_of_row.pop(row, None)
        self._forget(self._ledger.returned(parcel.records))
        if self._again_timer is None:
            self._again_timer = self._loop.call_later(_REFUSED_RETRY_S, self._look_again)

    def start_draining(self) -> None:
        """The link is up: make backlog parcels ready."""
        self._draining = True
        self._rewind()
        self._read_on()

    def stop_draining(self) -> None:
        """The link is down: what was handed out and not acknowledged is still ours, and is read anew."""
        self._draining = False
        self._rewind()

    def take(self) -> Parcel | None:
        """Return the next backlog parcel, or None when there is none yet."""
        now_ns = self._clock.now_ns()
        if not self._ready or now_ns < self._next_backlog_ns:
            return None
        parcel = self._ready.popleft()
        if self._rate_max:
            pause_s = parcel.count / self._rate_max
            self._next_backlog_ns = now_ns + seconds_to_ns(pause_s)
            self._loop.call_later(pause_s, self._news.changed)
        if len(self._ready) < _READY_PARCELS_LOW:
            self._read_on()
        return parcel

    async def close(self) -> None:
        """Write every record that is not acknowledged, and close the file.

        Raises:
            StoreError: The disk does not take them.
        """
        self._draining = False
        for timer in (self._timer, self._forget_timer, self._again_timer):
            if timer is not None:
                timer.cancel()
        while self._appending is not None:
            await asyncio.wait([self._appending])
            await asyncio.sleep(0)
        try:
            drafts = self._ledger.cut(_LAST_ROW)
            rows = self._forgettable + (await self._append_and_commit(drafts) if drafts else [])
            if rows:
                await self._writer.call(lambda database: database.forget(rows))
        finally:
            await self._writer.close()

    async def _append_and_commit(self, drafts: Sequence[Draft]) -> list[int]:
        await self._writer.call(lambda database: _append(database, drafts, self._standalone))
        return self._ledger.committed()

    def _tick(self) -> None:
        self._timer = None
        self._commit()
        if self._ledger.young:
            self._timer = self._loop.call_later(self._half_interval_s, self._tick)

    def _commit(self) -> None:
        if self._appending is not None or self._troubled:
            return  # _appended comes back here
        drafts = self._ledger.cut(self._clock.now_ns() - self._half_interval_ns)
        if not drafts:
            return
        self._appending = self._writer.call(lambda database: _append(database, drafts, self._standalone))
        self._appending.add_done_callback(lambda future: self._appended(future, drafts))

    def _appended(self, future: asyncio.Future[None], drafts: Sequence[Draft]) -> None:
        self._appending = None
        error = future.exception()
        if error is not None:
            self._ledger.failed()
            self._disk_failed(error)
            return
        for lane, count in counts(drafts).items():
            self._stored[lane] = self._stored.get(lane, 0) + count
        self._forget(self._ledger.committed())
        self._news.committed()
        self._read_on()
        if self._ledger.urgent:
            self._commit()

    def _disk_failed(self, error: BaseException) -> None:
        if not isinstance(error, StoreError):
            raise error
        if not self._troubled:
            self._news.trouble(str(error))
        self._troubled = True
        self._writer.reopen()
        self._loop.call_later(_RETRY_S, self._retry)

    def _retry(self) -> None:
        def probed(future: asyncio.Future[Totals]) -> None:
            error = future.exception()
            if error is not None:
                self._disk_failed(error)
                return
            self._troubled = False
            self._news.trouble(None)
            self._commit()

        self._writer.call(lambda database: database.totals()).add_done_callback(probed)

    def _read_on(self) -> None:
        if not self._draining or self._reading or len(self._ready) >= _READY_PARCELS_LOW or self.backlog <= 0:
            return
        after, before = self._cursor, self._ledger.backlog_end or _LAST_ROW
        skip, bytes_max, generation = dict(self._ledger.skip), self.payload_bytes_max, self._generation
        rows, self._forgettable = self._forgettable, []  # first, or an acknowledged row might be read once more

        def forget_and_read(database: Database) -> tuple[Mapping[str, int], Chunk]:
            forgotten = database.forget(rows) if rows else {}
            return forgotten, self._packer.pack(database.read(after, before, _READ_BLOCKS), skip, bytes_max)

        self._reading = True
        self._writer.call(forget_and_read).add_done_callback(lambda future: self._read(future, rows, generation))

    def _read(self, future: asyncio.Future[tuple[Mapping[str, int], Chunk]], rows: list[int], generation: int) -> None:
        self._reading = False
        if future.exception() is not None:
            self._forgettable += rows
            return  # the next commit meets the same disk, and reports it
        forgotten, chunk = future.result()
        self._count_forgotten(forgotten)
        if generation != self._generation:
            self._read_on()
            return
        if chunk.last_row <= self._cursor:
            return
        self._cursor = chunk.last_row
        for parcel in chunk.parcels:
            for row in parcel.rows:
                self._parcels_of_row[row] = self._parcels_of_row.get(row, 0) + 1
        self._ready.extend(chunk.parcels)
        self._forget(chunk.empty)
        self._news.changed()

    def _rewind(self) -> None:
        self._generation += 1
        self._ready.clear()
        self._parcels_of_row.clear()
        self._cursor = 0

    def _look_again(self) -> None:
        """Rows that the broker refused lie behind the cursor: begin anew once nothing else is under way."""
        self._again_timer = None
        if self._draining and (self._parcels_of_row or self._ready):
            self._again_timer = self._loop.call_later(_RETRY_S, self._look_again)
        elif self._draining:
            self._rewind()
            self._read_on()

    def _settle_rows(self, rows: Iterable[int]) -> None:
        done = []
        for row in rows:
            left = self._parcels_of_row.get(row, 0) - 1
            if left > 0:
                self._parcels_of_row[row] = left
            elif left == 0:
                del self._parcels_of_row[row]
                done.append(row)
        self._forget(done)

    def _forget(self, rows: Sequence[int]) -> None:
        if not rows:
            return
        self._ledger.forget(rows)
        self._forgettable += rows
        if self._forget_timer is None:
            self._forget_timer = self._loop.call_later(_FORGET_DELAY_S, self._forget_now)

    def _forget_now(self) -> None:
        self._forget_timer = None
        rows, self._forgettable = self._forgettable, []
        if rows:
            future = self._writer.call(lambda database: database.forget(rows))
            future.add_done_callback(lambda done: self._forgotten(done, rows))

    def _forgotten(self, future: asyncio.Future[Mapping[str, int]], rows: list[int]) -> None:
        if future.exception() is None:
            self._count_forgotten(future.result())
        else:
            self._forgettable += rows  # acknowledged, still on disk: tried again with the next ones

    def _count_forgotten(self, forgotten: Mapping[str, int]) -> None:
        for lane, count in forgotten.items():
            self._stored[lane] = self._stored.get(lane, 0) - count


def _append(database: Database, drafts: Sequence[Draft], standalone: Callable[[Record], bytes]) -> None:
    """Runs on the store's thread: encode, compress, write."""
    blocks = []
    for draft in drafts:
        lane = draft.records[0].lane
        records = [standalone(record) for record in draft.records]
        seqs = [record.seq for record in draft.records]
        blocks.append(pack(draft.row, lane.name, event=lane.is_event, seqs=seqs, records=records))
    database.append(blocks)
