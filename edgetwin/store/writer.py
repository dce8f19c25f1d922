"""Keep room: the one thread that opens SQLite.

In: calls from the loop, in order     Out: their results, back on the loop.

A plain queue and `call_soon_threadsafe`: 8 us a call, where an executor takes 20. The queue is bounded by
its callers: the outbox has one append and one read under way at a time, and forgets in batches.
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

from edgetwin.errors import StoreError
from edgetwin.store.database import Database

Result = TypeVar("Result")
_JOIN_TIMEOUT_S = 4.0


class Writer:
    """Runs functions on the database, one after the other."""

    def __init__(self, path: Path, loop: asyncio.AbstractEventLoop) -> None:
        self._path = path
        self._loop = loop
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._database: Database | None = None
        self._thread = threading.Thread(target=self._run, name="edgetwin-store", daemon=True)
        self._thread.start()

    def call(self, function: Callable[[Database], Result]) -> asyncio.Future[Result]:
        """Return a future of `function(database)`; it fails with StoreError where the file does."""
        future: asyncio.Future[Result] = self._loop.create_future()

        def run() -> None:
            try:
                if self._database is None:
                    self._database = Database(self._path)
                result = function(self._database)
            except Exception as error:  # noqa: BLE001  # it belongs to the caller, who awaits the future
                self._loop.call_soon_threadsafe(_fail, future, error)
            else:
                self._loop.call_soon_threadsafe(_resolve, future, result)

        self._calls.put(run)
        return future

    def reopen(self) -> None:
        """Close the file and open it anew at the next call: after an error no handle is trusted."""

        def run() -> None:
            database, self._database = self._database, None
            if database is not None:
                with suppress(sqlite3.Error):  # what was committed is committed
                    database.close()

        self._calls.put(run)

    async def close(self) -> None:
        """Finish what was asked, close the file, end the thread."""
        self.reopen()
        self._calls.put(None)
        await self._loop.run_in_executor(None, self._thread.join, _JOIN_TIMEOUT_S)
        if self._thread.is_alive():
            msg = f"{self._path}: the disk did not finish within {_JOIN_TIMEOUT_S} s"
            raise StoreError(msg)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call()


def _resolve(future: asyncio.Future[Result], result: Result) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[Result], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
