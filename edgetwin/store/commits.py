"""Keep room: young records become rows, one append at a time; and what is done while the disk takes none.

In: records that were put; answers of the store's thread     Out: rows; trouble told once, its end once.

A disk may fail, or it may not answer at all. Both are trouble: records then stay in memory, within limits; what does
not fit is given up, critical samples first, events last, and told. Only a write that succeeds ends the trouble.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from edgetwin.clock import Clock, seconds_to_ns
from edgetwin.errors import StoreError
from edgetwin.records import GapCause, Record
from edgetwin.store import calls
from edgetwin.store.books import Books
from edgetwin.store.database import Database
from edgetwin.store.drain import Drain
from edgetwin.store.gaps import Gaps
from edgetwin.store.ledger import Draft, Ledger, counts
from edgetwin.store.shelf import Shelf
from edgetwin.store.terms import OutboxNews
from edgetwin.store.timers import Timers
from edgetwin.store.writer import Writer

MEMORY_RECORDS_MAX = 50_000  # in memory only, while the disk takes none
MEMORY_BYTES_MAX = 64_000_000
HANG_S = 3.0  # flash that tidies up may take a second or two
_RETRY_S = 1.0
_TROUBLED_LOOK_S = 0.5  # to look at all that waits costs milliseconds
_TELL_PERIOD_S = 30.0
_SAVE_S = 1.0
_EMPTY_LOOK_S = 5.0
_FOREVER_NS = 2**62


@dataclass(frozen=True, slots=True)
class Means:
    """The parts of an outbox."""

    writer: Writer
    ledger: Ledger
    shelf: Shelf
    gaps: Gaps
    books: Books
    drain: Drain
    timers: Timers
    clock: Clock
    news: OutboxNews


class Commits:
    """The way of records to the disk.

    Attributes:
        closing: Nothing is written any more but by `finish`.
        troubled: The disk fails, or does not answer; it was told.
    """

    def __init__(self, means: Means, boot: str, interval_s: float, standalone: Callable[[Record], bytes]) -> None:
        """Nothing happens by itself.

        Args:
            means: The other parts.
            boot: Id of this boot.
            interval_s: After this long a record is acknowledged or on disk.
            standalone: Gives a record the form in which it is kept; called on the store's thread.
        """
        self.closing = False
        self._means = means
        self._boot = boot
        self._standalone = standalone
        # Looked at four times an interval, written after three quarters: what is coalesced for half of it, and
        # acknowledged, never touches the disk.
        self.look_s = interval_s / 4
        self._ripe_ns = seconds_to_ns(interval_s * 3 / 4)
        self._loop = asyncio.get_running_loop()
        self._reopen: Callable[[], None] | None = None
        self._appending: asyncio.Future[int] | None = None
        self._saving: asyncio.Future[bool] | None = None
        self._looked_ns = 0
        self.troubled = False

    def tick(self) -> None:
        """Write what is ripe; while there is trouble, keep to the limits of memory."""
        looked_ns = self.commit()
        if self.troubled:
            self._keep_to_memory()
        self._means.books.look(self._means.gaps, looked_ns if self._appending is None else 0)
        self._means.timers.later("save", _SAVE_S, self._save)
        if self._means.ledger.young:
            self._means.timers.later("tick", _TROUBLED_LOOK_S if self.troubled else self.look_s, self.tick)

    def commit(self) -> int:
        """Write what is ripe, and what is urgent, unless something is being written; return when it looked, or 0."""
        if self._appending is not None or self.troubled or self.closing:
            return 0  # they come back to it
        now_ns = self._means.clock.now_ns()
        born_before_ns = now_ns - self._ripe_ns
        if not self._means.drain.running and self._means.ledger.any_born_before(born_before_ns):
            born_before_ns = _FOREVER_NS  # no PUBACK will come for the others: one append instead of several
        self._append(self._means.ledger.cut(born_before_ns), now_ns)
        return now_ns

    def failed(self, error: BaseException, reopen: Callable[[], None] | None = None) -> None:
        """The disk does not do what it should.

        Args:
            error: What it said.
            reopen: Nothing can be written before this was done: what the file holds is not known yet.
        """
        if not isinstance(error, StoreError):
            raise error
        self._reopen = reopen
        self.trouble(str(error))
        self._means.timers.later("retry", _RETRY_S, self._retry)

    def trouble(self, words: str) -> None:
        """The disk takes nothing."""
        if not self.troubled:
            self.troubled = True
            self._means.news.trouble(words)
            self._tell_out_of_memory()

    def opened(self) -> None:
        """What the file holds is known."""
        if self.troubled:
            self._reopen = None
            self._retry()
        self.look_if_empty()

    def look_if_empty(self) -> None:
        """Once the file holds nothing, it answers for nothing."""
        if not self._means.books.holdings.empty:
            self._means.timers.later("empty", _EMPTY_LOOK_S, self._ask_if_empty)

    async def finish(self) -> None:
        """Write every record that is not acknowledged.

        Raises:
            StoreError: The disk does not take them.
        """
        means = self._means
        if self._appending is not None:
            await asyncio.wait([self._appending])
            await asyncio.sleep(0)
        drafts = means.ledger.cut(_FOREVER_NS)
        if drafts:
            await means.writer.call(self._append_call(drafts))
            means.shelf.forget(means.ledger.committed())
        rows, gaps, safe = means.shelf.take_forgettable(), means.gaps.take_unwritten(), means.gaps.safe()
        await means.writer.call(lambda database: calls.finish(database, rows, gaps, safe))

    def _append(self, drafts: Sequence[Draft], looked_ns: int) -> None:
        if drafts:
            self._looked_ns = looked_ns
            self._appending = self._means.writer.call(self._append_call(drafts))
            self._means.timers.later("hang", HANG_S, self._hangs)
            self._appending.add_done_callback(lambda future: self._appended(future, drafts))

    def _append_call(self, drafts: Sequence[Draft]) -> Callable[[Database], int]:
        means = self._means
        means.books.appending(drafts, means.clock.now_ns())
        # While the link is down no row but the open ones is in anybody's hands.
        mine = 0 if means.drain.running else (means.ledger.backlog_end or 0)
        append = partial(calls.append, drafts=drafts, standalone=self._standalone, boot=self._boot, merge_below=mine)
        answered = partial(_answered, means)
        return partial(
            calls.with_numbers, append=append, row=drafts[-1].row, save=means.books.written, answered=answered
        )

    def _appended(self, future: asyncio.Future[int], drafts: Sequence[Draft]) -> None:
        means = self._means
        self._appending = None
        means.timers.drop("hang")
        if (error := future.exception()) is not None:
            self.failed(error)
            return
        self._works()
        means.shelf.added(counts(drafts))
        if shed := future.result():
            means.shelf.recount()
            means.gaps.count(GapCause.SHED, shed)
        means.shelf.forget(means.ledger.committed())
        means.books.look(means.gaps, self._looked_ns)
        means.news.committed()
        means.drain.read_on()
        self.look_if_empty()
        if means.ledger.urgent:
            self.commit()

    def _hangs(self) -> None:
        self.trouble(f"the disk has not answered for {HANG_S:g} s; records wait in memory")

    def _retry(self) -> None:
        """Only a write that succeeds ends the trouble: a full disk can be read very well."""
        if self._reopen is not None:
            self._reopen()
            return
        drafts = self._means.ledger.pending() or self._means.ledger.cut(self._means.clock.now_ns())
        if drafts and self._appending is None:
            self._append(drafts, 0)
        else:
            self._means.timers.later("retry", _RETRY_S, self._retry)

    def _works(self) -> None:
        if self.troubled:
            self.troubled = False
            self._means.timers.drop("retry")
            self._means.shelf.recount()
            self._means.news.trouble(None)
        self._means.gaps.write()

    def _keep_to_memory(self) -> None:
        ledger = self._means.ledger
        ledger.prune()
        shed = ledger.shed(MEMORY_RECORDS_MAX, MEMORY_BYTES_MAX)
        if shed:
            self._means.gaps.give_up(self._boot, shed)
            self._means.news.committed()  # the live lane may let go of them

    def _tell_out_of_memory(self) -> None:
        """While there is trouble, gaps are told as they are in memory; to nobody while the link is down."""
        if self.troubled:
            if self._means.drain.running:
                self._means.gaps.tell_unwritten()
            self._means.timers.later("tell", _TELL_PERIOD_S, self._tell_out_of_memory)

    def _save(self) -> None:
        if self._saving is None or self._saving.done():
            self._saving = self._means.writer.run(self._means.books.save)

    def _ask_if_empty(self) -> None:
        holdings = self._means.books.holdings
        version = holdings.version

        def answered(future: asyncio.Future[bool]) -> None:
            if future.exception() is None and future.result() and holdings.version == version:
                holdings.clear()
            self.look_if_empty()

        if self._means.shelf.records:
            self.look_if_empty()
        else:
            self._means.writer.call(lambda database: database.answers_for_nothing()).add_done_callback(answered)


def _answered(means: Means) -> None:
    means.books.answered(means.clock.now_ns())
