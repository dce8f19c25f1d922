"""Keep room: the backlog on its way out: read ahead, handed out oldest first, settled row by row.

In: the link going up and down, PUBACKs and refusals     Out: parcels; rows to forget, rows to bury.

The loop's side of `backlog`. A row is forgotten when all parcels made of it are acknowledged. What the broker
refuses stays on disk behind the cursor and is offered again later; a permanent refusal counts, and after three
the row is buried among the dead letters, so that it never blocks the way of the others.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgetwin.clock import Clock, seconds_to_ns
from edgetwin.errors import StoreError
from edgetwin.records import GapCause, Parcel
from edgetwin.store.backlog import PARCEL_BYTES_MAX, Chunk, Packer
from edgetwin.store.ledger import Ledger
from edgetwin.store.timers import Timers
from edgetwin.store.writer import Writer

TOO_LARGE = 0x95
PERMANENT = frozenset({0x87, 0x90, 0x99, TOO_LARGE})  # not authorised, topic name, payload format, packet too large
STRIKES_MAX = 3
_READ_BLOCKS = 64
_READY_PARCELS_LOW = 8
_RETRY_S = 1.0
_REFUSED_RETRY_S = 5.0
_REFUSED_RETRY_GROWTH = 6.0  # 5 s, 30 s, 3 min: an ACL being mended has a chance before the third strike
_REFUSED_RETRY_MAX_S = 300.0
_LAST_ROW = 2**62


@dataclass(frozen=True, slots=True)
class DrainNews:
    """What the drain tells the outbox.

    Attributes:
        ready: There are parcels to take.
        before_read: The file is about to be read: what should be forgotten must be, first.
        forget: These rows were delivered, or had nothing to deliver.
        bury: These rows never will be: why, and the broker's reason code.
        oversize: The one record of this parcel is larger than the broker takes.
        empty: Everything that could be read was delivered.
    """

    ready: Callable[[], None]
    before_read: Callable[[], None]
    forget: Callable[[Sequence[int]], None]
    bury: Callable[[Sequence[int], GapCause, int], None]
    oversize: Callable[[Parcel], None]
    empty: Callable[[], None]


class Drain:
    """The backlog lane of one outbox.

    Attributes:
        payload_bytes_max: Largest payload before compression.
    """

    def __init__(
        self, writer: Writer, packer: Packer, ledger: Ledger, clock: Clock, news: DrainNews, rate_max: float
    ) -> None:
        self.payload_bytes_max = PARCEL_BYTES_MAX
        self._writer = writer
        self._packer = packer
        self._ledger = ledger
        self._clock = clock
        self._news = news
        self._rate_max = rate_max
        self._running = False
        self._reading = False
        self._exhausted = False
        self._look_once_more = False
        self._generation = 0
        self._cursor = 0
        self._ready: deque[Parcel] = deque()
        self._parcels_of_row: dict[int, int] = {}
        self._strikes: dict[int, int] = {}
        self._timers = Timers()
        self._refused = False  # since the last look behind the cursor
        self._rounds = 0  # looks in a row that met refusals
        self._next_ns = 0

    @property
    def running(self) -> bool:
        """Whether rows are, or may be, in anybody's hands."""
        return self._running

    def pace(self, rate_max: float) -> None:
        """Let so many records per second go from now on; 0: no limit. What the old pace owed is not waited for."""
        if rate_max != self._rate_max:
            self._rate_max, self._next_ns = rate_max, 0
            if self._ready:
                self._news.ready()

    def start(self) -> None:
        """The link is up."""
        self._running = True
        self.rewind()

    def stop(self) -> None:
        """The link is down: what was handed out and not acknowledged is still ours, and is read anew."""
        self._running = False
        self._forget_handed_out()
        self._timers.clear()

    def rewind(self) -> None:
        """Begin at the oldest row again."""
        self._forget_handed_out()
        self.read_on()

    def read_on(self) -> None:
        """There may be rows to read."""
        self._exhausted = False
        self._look_once_more = self._reading
        self._read_ahead()

    def take(self) -> Parcel | None:
        """Return the next parcel, or None when there is none now."""
        if not self._ready:
            return None
        now_ns = self._clock.now_ns()
        if now_ns < self._next_ns:
            self._later("pace", (self._next_ns - now_ns) / 1e9 + 0.001, self._news.ready)
            return None
        parcel = self._ready.popleft()
        if self._rate_max:
            self._next_ns = max(now_ns, self._next_ns) + seconds_to_ns(parcel.count / self._rate_max)
        self._read_ahead()
        return parcel

    def acked(self, parcel: Parcel) -> None:
        """The broker has a parcel; one of an earlier reading says nothing of this one."""
        if parcel.generation != self._generation:
            return
        done = []
        for row in parcel.rows:
            left = self._parcels_of_row.get(row, 0) - 1
            if left > 0:
                self._parcels_of_row[row] = left
            elif left == 0:
                del self._parcels_of_row[row]
                self._strikes.pop(row, None)
                done.append(row)
        self._news.forget(done)
        self._say_if_empty()
        self._read_ahead()

    def refused(self, parcel: Parcel, reason_code: int) -> None:
        """The broker, or the pump before it, refused a parcel."""
        if reason_code == TOO_LARGE and parcel.count == 1:
            self._news.oversize(parcel)
            self.acked(parcel)  # a gap answers for it
            return
        if parcel.generation == self._generation:
            for row in parcel.rows:
                self._parcels_of_row.pop(row, None)
        if reason_code == TOO_LARGE:
            self.payload_bytes_max = max(1, self.payload_bytes_max // 2)
        elif reason_code in PERMANENT:
            for row in parcel.rows:
                self._strikes[row] = self._strikes.get(row, 0) + 1
            self._bury([row for row in parcel.rows if self._strikes[row] >= STRIKES_MAX], reason_code)
        self.refused_live()

    def refused_live(self) -> None:
        """Records were refused: they are, or soon will be, rows; offer them again, ever more patiently."""
        self._refused = True
        delay_s = min(_REFUSED_RETRY_MAX_S, _REFUSED_RETRY_S * _REFUSED_RETRY_GROWTH ** min(self._rounds, 5))
        self._later("again", delay_s, self._look_again)

    def _bury(self, rows: Sequence[int], reason_code: int, cause: GapCause = GapCause.DEAD_LETTER) -> None:
        if rows:
            for row in rows:
                self._strikes.pop(row, None)
            self._news.bury(rows, cause, reason_code)

    def _look_again(self) -> None:
        """Refused rows lie behind the cursor: begin anew once nothing else is under way."""
        if self._parcels_of_row or self._ready or self._reading:
            self._later("again", _RETRY_S, self._look_again)
        else:
            self._rounds = self._rounds + 1 if self._refused else 0
            self._refused = False
            self.rewind()

    def _later(self, name: str, delay_s: float, function: Callable[[], None]) -> None:
        if self._running:
            self._timers.later(name, delay_s, function)

    def _say_if_empty(self) -> None:
        if self._exhausted and not self._parcels_of_row and not self._ready:
            self._news.before_read()
            self._news.empty()

    def _forget_handed_out(self) -> None:
        self._generation += 1
        self._ready.clear()
        self._parcels_of_row.clear()
        self._cursor = 0

    def _read_ahead(self) -> None:
        if not self._running or self._reading or self._exhausted or len(self._ready) >= _READY_PARCELS_LOW:
            return
        after, before = self._cursor, self._ledger.backlog_end or _LAST_ROW
        skip, bytes_max, generation = dict(self._ledger.skip), self.payload_bytes_max, self._generation
        self._news.before_read()
        self._reading = True
        self._writer.call(
            lambda database: self._packer.pack(database.read(after, before, _READ_BLOCKS), skip, bytes_max)
        ).add_done_callback(lambda future: self._read(future, generation))

    def _read(self, future: asyncio.Future[Chunk], generation: int) -> None:
        self._reading = False
        error = future.exception()
        if isinstance(error, StoreError):
            self._later("retry", _RETRY_S, self._read_ahead)
            return
        chunk = future.result()
        if generation != self._generation:
            self._read_ahead()
            return
        if chunk.last_row <= self._cursor:
            self._exhausted = not self._look_once_more
            self._look_once_more = False
            self._say_if_empty()
            self._read_ahead()
            return
        self._cursor = chunk.last_row
        for parcel in chunk.parcels:
            parcel.generation = generation
            for row in parcel.rows:
                self._parcels_of_row[row] = self._parcels_of_row.get(row, 0) + 1
        self._ready.extend(chunk.parcels)
        self._news.forget(chunk.empty)
        self._bury(chunk.damaged, 0, GapCause.DAMAGED)
        if chunk.parcels:
            self._news.ready()
        self._read_ahead()
