"""Keep room: the one thread that opens SQLite.

In: calls from the loop, in order     Out: their results, back on the loop.

A plain queue and `call_soon_threadsafe`: 8 us a call, where an executor takes 20. The queue is bounded by
its callers: the outbox has one append and one read under way at a time, and forgets in batches.
A broken file is set aside here, whole, and a new one begun; after any failure the handle is closed, since
a failed fsync is never answered truthfully a second time.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

from edgetwin.errors import StoreDamagedError, StoreError
from edgetwin.store import opening
from edgetwin.store.database import Database

Result = TypeVar("Result")
_JOIN_TIMEOUT_S = 4.0


class Writer:
    """Runs functions on the database, one after the other.

    Args:
        path: The outbox file.
        max_bytes: Its budget.
        loop: Where results go.
        set_aside: Called on the loop with the new name of a broken file, and what was wrong with it.
        reopened: Called on the loop with the next row of the file, each time it was opened again after a failure.
    """

    def __init__(
        self,
        path: Path,
        max_bytes: int,
        loop: asyncio.AbstractEventLoop,
        set_aside: Callable[[Path, str], None],
        reopened: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._loop = loop
        self._set_aside = set_aside
        self._reopened = reopened
        self._was_open = False
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._database: Database | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="edgetwin-store", daemon=True)
        self._thread.start()

    def call(self, function: Callable[[Database], Result]) -> asyncio.Future[Result]:
        """Return a future of `function(database)`; it fails with StoreError where the file does."""
        return self._ask(lambda: function(self._opened()), self._recover)

    def run(self, function: Callable[[], Result]) -> asyncio.Future[Result]:
        """Return a future of `function()`: on the same thread, and in order with the calls, but without the file."""
        return self._ask(function, lambda _error: None)

    def turn(self) -> asyncio.Future[None]:
        """Return a future that is done once the thread has come round. Nothing is opened, read or written for it."""
        return self._ask(lambda: None, lambda _error: None)

    async def close(self, timeout_s: float = _JOIN_TIMEOUT_S) -> None:
        """Finish what was asked, close the file, end the thread.

        Raises:
            StoreError: The disk does not finish in time.
        """
        self._closed = True
        self._calls.put(self._close_database)
        self._calls.put(None)
        await self._loop.run_in_executor(None, self._thread.join, timeout_s)
        if self._thread.is_alive():
            msg = f"{self._path}: the disk did not finish in time"
            raise StoreError(msg)

    def _ask(self, function: Callable[[], Result], failed: Callable[[Exception], None]) -> asyncio.Future[Result]:
        future: asyncio.Future[Result] = self._loop.create_future()
        if self._closed:
            future.set_exception(StoreError(f"{self._path} is closed"))
            return future

        def run() -> None:
            try:
                result = function()
            except Exception as error:  # noqa: BLE001  # it belongs to the caller, who awaits the future
                failed(error)
                self.post(_fail, future, error)
            else:
                self.post(_resolve, future, result)

        self._calls.put(run)
        return future

    def post(self, function: Callable[..., None], *values: object) -> None:
        """Call something on the loop; from the store's thread."""
        with suppress(RuntimeError):  # the loop has ended while the disk was silent
            self._loop.call_soon_threadsafe(function, *values)

    def _opened(self) -> Database:
        if self._database is None:
            try:
                self._database = Database(self._path, self._max_bytes)
            except StoreDamagedError as error:
                self._begin_anew(error)
                self._database = Database(self._path, self._max_bytes)
            if self._was_open:
                self.post(self._reopened, self._database.next_row())
            self._was_open = True
        return self._database

    def _recover(self, error: Exception) -> None:
        if not isinstance(error, StoreError):
            return
        if isinstance(error, StoreDamagedError):
            self._begin_anew(error)  # before closing, which would fold the WAL into the broken file and delete it
        self._close_database()

    def _begin_anew(self, error: StoreDamagedError) -> None:
        with suppress(OSError):  # a disk that does not even rename: the next call meets it, and says so
            moved = opening.set_aside(self._path)
            self._was_open = False  # what was in it is known to be lost
            self.post(self._set_aside, moved, str(error))

    def _close_database(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            with suppress(sqlite3.Error):  # what was committed is committed
                database.close()

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call()


def _resolve(future: asyncio.Future[Result], result: Result) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[Result], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
