"""The store's thread: calls in order, errors to their callers, an end that waits."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from edgetwin.errors import StoreDamagedError, StoreError
from edgetwin.store import writer as writer_module
from edgetwin.store.database import Database
from edgetwin.store.writer import Writer
from tests.store.blocks import ROOMY_BYTES, block, kept

_PATIENCE_S = 5.0
_moved: list[Path] = []


def _play(path: Path, story: Callable[[Writer], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(_PATIENCE_S):
            await story(Writer(path, ROOMY_BYTES, asyncio.get_running_loop(), lambda moved, _: _moved.append(moved)))

    asyncio.run(main())


def _append(row: int) -> Callable[[Database], int]:
    return lambda database: database.append([block(row, "odom", row, 1)])


def _fail(what: str) -> Callable[[Database], None]:
    def run(_: Database) -> None:
        raise StoreError(what)

    return run


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
        with pytest.raises(StoreError, match="as I said"):
            await writer.call(_fail("as I said"))
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


def test_after_a_failure_the_file_is_opened_anew_and_keeps_what_was_committed(tmp_path: Path) -> None:
    """A failed fsync is never answered truthfully a second time: another handle, the same rows."""

    async def story(writer: Writer) -> None:
        await writer.call(_append(1))
        before = await writer.call(lambda database: database)
        with pytest.raises(StoreError):
            await writer.call(_fail("no"))
        assert await writer.call(lambda database: database) is not before
        assert (await writer.call(lambda database: database.totals())).records == {"odom": 1}
        await writer.close()

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
    database = Database(path, ROOMY_BYTES)
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


def test_a_file_found_broken_is_set_aside_and_a_new_one_begun(tmp_path: Path) -> None:
    """While it is in use: the call fails, the next one finds an empty file."""
    path = tmp_path / "outbox.db"
    _moved.clear()

    def broken(_: Database) -> None:
        what = "malformed"
        raise StoreDamagedError(what)

    async def story(writer: Writer) -> None:
        await writer.call(_append(1))
        with pytest.raises(StoreDamagedError):
            await writer.call(broken)
        assert await writer.call(kept) == {}
        await writer.close()

    _play(path, story)
    assert _moved == [tmp_path / "outbox.db.broken-1"]
    aside = Database(_moved[0], ROOMY_BYTES)
    assert kept(aside) == {"odom": [1]}
    aside.close()


def test_a_closed_writer_refuses(tmp_path: Path) -> None:
    """With a StoreError, not with silence."""

    async def story(writer: Writer) -> None:
        await writer.close()
        with pytest.raises(StoreError, match="closed"):
            await writer.call(_append(1))

    _play(tmp_path / "outbox.db", story)


def test_what_needs_no_file_runs_without_one(tmp_path: Path) -> None:
    """On the same thread, in order with the calls, also where the file cannot be opened; a failure is its own."""

    async def story(writer: Writer) -> None:
        threads = [await writer.run(threading.get_ident)]
        with pytest.raises(StoreError):
            await writer.call(lambda database: database.totals())
        threads.append(await writer.run(threading.get_ident))
        with pytest.raises(ZeroDivisionError):
            await writer.run(lambda: 1 // 0)
        await writer.turn()
        await writer.close()

        assert threads[0] == threads[1] != threading.get_ident()
        with pytest.raises(StoreError, match="closed"):
            await writer.run(threading.get_ident)

    (tmp_path / "outbox.db").mkdir()
    _play(tmp_path / "outbox.db", story)
