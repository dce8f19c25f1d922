"""Keep room: decisions on their way to the audit.

In: what the gate decided, told by the main loop after the fact     Out: the newest entry that is safe; trouble.

Decisions that refuse, or that change the state, are written at once; others wait for company as long as a sample does.
Nothing here waits: what the disk does not take stays in memory, up to a limit; what is beyond it is counted, and the
chain says how many are missing and where.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence

import orjson

from edgetwin.clock import NS_PER_US, Clock
from edgetwin.errors import StoreError
from edgetwin.store.audit_file import AuditFile, Batch
from edgetwin.store.number_format import AuditHead
from edgetwin.store.timers import Timers
from edgetwin.store.writer import Writer

PENDING_MAX = 20_000
PENDING_BYTES_MAX = 8_000_000
_HANG_S = 3.0
_RETRY_S = 1.0


class Auditor:
    """The audit of one boot.

    Attributes:
        head: The newest entry that is safe; None before there is one.
        lost: Decisions that memory could not hold, since the start.
    """

    def __init__(
        self,
        writer: Writer,
        file: AuditFile,
        timers: Timers,
        clock: Clock,
        interval_s: float,
        safe: Callable[[AuditHead], None],
        trouble: Callable[[str | None], None],
    ) -> None:
        """Nothing is opened before the first decision.

        Args:
            writer: The store's thread.
            file: Where it is kept.
            timers: The outbox's.
            clock: The robot's.
            interval_s: How long a decision that changes nothing may wait.
            safe: Told of each newest entry.
            trouble: Told that the audit cannot be written (words), or can again (None); once per change.
        """
        self.head: AuditHead | None = None
        self.lost = 0
        self._writer = writer
        self._file = file
        self._timers = timers
        self._clock = clock
        self._interval_s = interval_s
        self._safe = safe
        self._trouble = trouble
        self._troubled = False
        self._pending: deque[bytes] = deque()
        self._pending_bytes = 0
        self._unsaid = 0  # lost ones that the chain does not tell of yet
        self._writing: asyncio.Future[AuditHead] | None = None

    def add(self, entries: Sequence[bytes | Mapping[str, object]], *, at_once: bool) -> None:
        """Take decisions, in order.

        Args:
            entries: Each a JSON object, encoded or not.
            at_once: One of them refuses, or changes the state.
        """
        for entry in entries:
            body = entry if isinstance(entry, bytes) else orjson.dumps(entry, default=str, option=orjson.OPT_SORT_KEYS)
            self._pending.append(body)
            self._pending_bytes += len(body)
        self._keep_to_memory()
        if at_once:
            self._write()
        else:
            self._timers.later("audit", self._interval_s, self._write)

    async def finish(self) -> None:
        """Write what waits, and say that the process ends in order.

        Raises:
            StoreError: The disk does not take it.
        """
        if self._writing is not None:
            await asyncio.wait([self._writing])
            await asyncio.sleep(0)
        batch, stamp_us = self._take(), self._stamp_us()
        if batch:
            await self._writer.run(lambda: self._file.append(batch, stamp_us))
        head = await self._writer.run(lambda: self._file.end(stamp_us))
        if head is not None:
            self._is_safe(head)

    def _write(self) -> None:
        if self._writing is None and self._pending:  # else: _written comes back to it
            batch, stamp_us = self._take(), self._stamp_us()
            self._writing = self._writer.run(lambda: self._file.append(batch, stamp_us))
            self._timers.later("audit_hang", _HANG_S, self._hangs)
            self._writing.add_done_callback(lambda future: self._written(future, batch))

    def _written(self, future: asyncio.Future[AuditHead], batch: Batch) -> None:
        self._writing = None
        self._timers.drop("audit_hang")
        error = future.exception()
        if error is None:
            self._tell(None)
            self._is_safe(future.result())
            self._write()
            return
        if not isinstance(error, StoreError):
            raise error
        self._unsaid += sum(entry for entry in batch if isinstance(entry, int))
        rest = [entry for entry in batch if isinstance(entry, bytes)]  # what became safe is not in it any more
        self._pending.extendleft(reversed(rest))
        self._pending_bytes += sum(map(len, rest))
        self._keep_to_memory()
        self._tell(str(error))
        self._timers.later("audit_retry", _RETRY_S, self._write)

    def _keep_to_memory(self) -> None:
        """Give up the oldest that do not fit: what is missing then lies before all that is kept."""
        while len(self._pending) > PENDING_MAX or self._pending_bytes > PENDING_BYTES_MAX:
            self._pending_bytes -= len(self._pending.popleft())
            self._unsaid += 1
            self.lost += 1

    def _take(self) -> Batch:
        batch: Batch = deque(self._pending)
        if self._unsaid:
            batch.appendleft(self._unsaid)
        self._pending.clear()
        self._pending_bytes = self._unsaid = 0
        return batch

    def _stamp_us(self) -> int:
        return self._clock.stamp_ns() // NS_PER_US

    def _is_safe(self, head: AuditHead) -> None:
        self.head = head
        self._safe(head)

    def _hangs(self) -> None:
        self._tell(f"the disk has not answered for {_HANG_S:g} s; decisions wait in memory")

    def _tell(self, words: str | None) -> None:
        if self._troubled is (words is None):
            self._troubled = words is not None
            self._trouble(words)
