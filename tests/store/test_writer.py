"""The store's thread: calls in order, errors to their callers, an end that waits."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from edgetwin.errors import StoreError
from edgetwin.store import writer as writer_module
from edgetwin.store.block import pack
from edgetwin.store.database import Database
from edgetwin.store.writer import Writer

_PATIENCE_S = 5.0


def _play(path: Path, story: Callable[[Writer], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(_PATIENCE_S):
            await story(Writer(path, asyncio.get_running_loop()))

    asyncio.run(main())


def _append(row: int) -> Callable[[Database], None]:
    return lambda database: database.append([pack(row, "odom", event=False, seqs=[row], records=[b"{}"])])


def test_calls_run_in_order_on_one_other_thread(tmp_path: Path) -> None:
    """A hundred of them, asked for at once."""

    async def story(writer: Writer) -> None:
        seen: list[int] = []
        threads: set[int] = set()

        def note(number: int) -> int:
            threads.add(threading.get_ident())
            seen.append(number)
            return number

        results = await asyncio.gather(*[writer.call(lambda _, number=number: note(number)) for number in range(100)])  # type: ignore[misc]
        await writer.close()

        assert results == seen == list(range(100))
        assert len(threads) == 1
        assert threads != {threading.get_ident()}

    _play(tmp_path / "outbox.db", story)


def test_an_error_belongs_to_its_caller_and_the_thread_goes_on(tmp_path: Path) -> None:
    """Of the store, or any other."""

    async def story(writer: Writer) -> None:
        await writer.call(_append(1))
        with pytest.raises(StoreError):
            await writer.call(_append(1))
        with pytest.raises(ZeroDivisionError):
            await writer.call(lambda _: 1 // 0)
        assert (await writer.call(lambda database: database.totals())).next_row == 2
        await writer.close()

    _play(tmp_path / "outbox.db", story)


def test_a_file_that_cannot_be_opened_is_tried_again_at_each_call(tmp_path: Path) -> None:
    """The disk comes back."""
    path = tmp_path / "outbox.db"
    path.mkdir()

    async def story(writer: Writer) -> None:
        with pytest.raises(StoreError):
            await writer.call(_append(1))
        path.rmdir()
        await writer.call(_append(1))
        await writer.close()

    _play(path, story)


def test_reopen_opens_anew_and_keeps_what_was_committed(tmp_path: Path) -> None:
    """Another handle, the same rows."""

    async def story(writer: Writer) -> None:
        await writer.call(_append(1))
        before = await writer.call(id)
        kept = await writer.call(lambda database: database)
        writer.reopen()
        assert await writer.call(id) != before
        assert (await writer.call(lambda database: database.totals())).records == {"odom": 1}
        await writer.close()
        del kept

    _play(tmp_path / "outbox.db", story)


def test_close_finishes_what_was_asked(tmp_path: Path) -> None:
    """And leaves one file, without a WAL, that another process can open."""
    path = tmp_path / "outbox.db"

    async def story(writer: Writer) -> None:
        calls = [writer.call(_append(row)) for row in range(1, 51)]
        await writer.close()
        await asyncio.gather(*calls)

    _play(path, story)
    assert not path.with_name("outbox.db-wal").exists()
    database = Database(path)
    assert database.totals().next_row == 51
    database.close()


def test_a_disk_that_hangs_does_not_hang_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process must be able to go: it says so instead."""
    monkeypatch.setattr(writer_module, "_JOIN_TIMEOUT_S", 0.05)

    async def story(writer: Writer) -> None:
        gate = threading.Event()
        hanging = writer.call(lambda _: gate.wait())
        with pytest.raises(StoreError, match="did not finish"):
            await writer.close()
        gate.set()
        assert await hanging

    _play(tmp_path / "outbox.db", story)


def test_a_caller_that_gave_up_is_not_answered(tmp_path: Path) -> None:
    """A cancelled call runs all the same, and its result goes nowhere."""

    async def story(writer: Writer) -> None:
        gate = threading.Event()
        first = writer.call(lambda _: gate.wait())
        cancelled = [writer.call(_append(1)), writer.call(_append(1))]
        for call in cancelled:
            call.cancel()
        gate.set()
        await first
        assert (await writer.call(lambda database: database.totals())).next_row == 2
        await writer.close()

    _play(tmp_path / "outbox.db", story)
