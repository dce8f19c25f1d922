"""The outbox on a disk that is full, dead, damaged or read in vain, and at the very end."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgetwin.errors import StoreError
from edgetwin.store import commits
from edgetwin.store.block import Block
from edgetwin.store.database import Database
from tests.store.outbox_bench import (
    GAP,
    INTERVAL_S,
    SCAN,
    SHORT_S,
    Bench,
    on_disk,
    play,
    run_sql,
    seqs,
    until,
)


def test_a_full_disk_is_told_once_and_nothing_is_lost(path: Path) -> None:
    """It fails, it is reopened, it works again: told, and told."""

    async def story(bench: Bench) -> None:
        await run_sql(bench, "PRAGMA max_page_count = 1")
        records = bench.put(count=3, size=100_000)
        await until(lambda: len(bench.heard.trouble) == 2)
        await until(lambda: all(record.row for record in records))
        assert "full" in (bench.heard.trouble[0] or "")
        assert bench.heard.trouble[1:] == [None]

    play(path, story)
    assert on_disk(path) == {"odom": 3}


_NO_ROOM = "CREATE TRIGGER no_room BEFORE INSERT ON block BEGIN SELECT RAISE(ABORT, 'no room'); END"


def test_a_disk_that_stays_full_is_told_once(path: Path) -> None:
    """Reading works, writing does not: one change of state, one word."""

    async def story(bench: Bench) -> None:
        await run_sql(bench, _NO_ROOM)
        bench.put()
        try:
            await until(lambda: bool(bench.heard.trouble))
            await asyncio.sleep(10 * commits._RETRY_S)
            assert len(bench.heard.trouble) == 1
        finally:
            await run_sql(bench, "DROP TRIGGER no_room")

    play(path, story)


async def _take_away(bench: Bench, path: Path) -> None:
    """Let the next write fail, and put a directory in the file's place: a dead disk."""
    await run_sql(bench, "PRAGMA wal_checkpoint(TRUNCATE)", "PRAGMA max_page_count = 1")
    os.rename(path, path.with_name("aside.db"))  # noqa: PTH104  # what a loop may not do with a Path either
    os.mkdir(path)  # noqa: PTH102


def _bring_back(path: Path) -> None:
    """The disk works again, with what was on it."""
    path.rmdir()
    path.with_name("aside.db").rename(path)


def test_a_dead_disk_does_not_fill_the_memory_while_the_link_is_up(path: Path) -> None:
    """Everything is acknowledged at once; a robot with a broken card works for days."""

    async def story(bench: Bench) -> None:
        await _take_away(bench, path)
        bench.put(size=100_000)
        await until(lambda: bool(bench.heard.trouble))
        try:
            for _ in range(50):
                bench.ack(bench.put(count=20))
                await asyncio.sleep(INTERVAL_S / 10)
            await until(lambda: bench.outbox._ledger.young < 100, SHORT_S)
        finally:
            _bring_back(path)

    play(path, story)


def test_a_disk_that_comes_back_takes_what_waited(path: Path) -> None:
    """In order; the row numbers go on."""

    async def story(bench: Bench) -> None:
        await bench.stored()
        await _take_away(bench, path)
        records = bench.put(count=5, size=100_000)
        await until(lambda: bool(bench.heard.trouble))
        records += bench.put(count=5)
        _bring_back(path)
        await until(lambda: all(record.row for record in records))
        assert bench.heard.trouble[1:] == [None]
        bench.outbox.returned(records)
        bench.outbox.start_draining()
        assert seqs(await bench.backlog_of(11)) == list(range(11))

    play(path, story)


@contextmanager
def failing_reads(count: int) -> Iterator[None]:
    """Make the next reads fail, as a disk does now and then."""
    real, left = Database.read, count

    def read(self: Database, *limits: int) -> list[Block]:
        nonlocal left
        if left:
            left -= 1
            msg = "disk I/O error"
            raise StoreError(msg)
        return real(self, *limits)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Database, "read", read)
        yield


def test_a_read_that_failed_is_tried_again(path: Path) -> None:
    """The link is up, every fresh sample is acknowledged, and the backlog waits for one look at the disk."""

    async def story(bench: Bench) -> None:
        await bench.stored(count=3)
        with failing_reads(1):
            bench.outbox.start_draining()
            await bench.outbox._writer.call(lambda database: database.used_bytes())
        await bench.backlog_of(3, patience_s=SHORT_S)

    play(path, story)


def test_the_figures_are_right_after_a_read_that_failed(path: Path) -> None:
    """Deleting worked, reading did not; both in one call."""

    async def story(bench: Bench) -> None:
        records = bench.put(count=3)
        await until(lambda: records[0].row > 0)
        await bench.stored(SCAN)
        await run_sql(bench, "ALTER TABLE block RENAME COLUMN body TO hidden")
        bench.ack(records)
        bench.outbox.start_draining()
        await run_sql(bench, "ALTER TABLE block RENAME COLUMN hidden TO body")
        await until(lambda: bench.outbox.stored("odom") == 0, SHORT_S)

    play(path, story)


def test_damaged_rows_do_not_stop_the_drain(path: Path) -> None:
    """A worn stretch of the flash, longer than one look; what lies behind it is sound."""

    async def story(bench: Bench) -> None:
        records = bench.put(count=70, size=35_000)
        await until(lambda: all(record.row for record in records))
        bench.outbox.returned(records)
        await run_sql(bench, "UPDATE block SET body = x'00' WHERE row <= 69")
        bench.outbox.start_draining()
        assert seqs(await bench.backlog_of(1, patience_s=SHORT_S)) == [69]

    play(path, story)


def test_an_event_just_before_the_end_is_no_trouble(path: Path) -> None:
    """Told, and the process ends: written once, and the disk is not accused."""
    trouble: list[str | None] = []

    async def main() -> None:
        bench = Bench(path)
        await bench.open()
        bench.put(GAP)
        await bench.outbox.close()
        trouble.extend(bench.heard.trouble)

    asyncio.run(main())
    assert trouble == []
    assert on_disk(path) == {"gap": 1}


def test_an_outbox_that_cannot_be_opened_says_so_and_starts(path: Path) -> None:
    """The robot works without a disk: trouble is told, samples wait in memory, and are written when it is mended."""
    path.mkdir()

    async def story(bench: Bench) -> None:
        assert len(bench.heard.trouble) == 1
        records = bench.put(count=3)
        await asyncio.sleep(2 * INTERVAL_S)
        os.rmdir(path)  # noqa: PTH106  # what a loop may not do with a Path either
        await until(lambda: all(record.row for record in records))
        assert bench.heard.trouble[1:] == [None]

    play(path, story)
    assert on_disk(path) == {"odom": 3}


def test_an_outbox_that_can_never_be_opened_ends_with_an_error(path: Path) -> None:
    """What was not written must not end in silence; no thread is left."""
    path.mkdir()

    async def story(bench: Bench) -> None:
        bench.put()

    with pytest.raises(StoreError):
        play(path, story)
