"""The outbox when its file breaks, its disk fails, its process is killed: service goes on, every loss is told."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from edgetwin.records import GapCause, Record
from edgetwin.store import commits
from edgetwin.store.database import Database
from tests.store.blocks import ROOMY_BYTES, kept
from tests.store.outbox_bench import (
    INTERVAL_S,
    ODOM,
    SCAN,
    SHORT_S,
    Bench,
    on_disk,
    play,
    run_sql,
    seqs,
    until,
)

_NO_ROOM = "CREATE TRIGGER no_room BEFORE INSERT ON block BEGIN SELECT RAISE(ABORT, 'no room'); END"


def _break(path: Path) -> None:
    """Write garbage over the file, beneath the feet of the process that has it open."""
    with path.open("rb+") as file:
        file.write(os.urandom(path.stat().st_size))


async def _broken(bench: Bench, path: Path) -> list[Record]:
    """Break the file, and let the outbox find out."""
    await run_sql(bench, "PRAGMA wal_checkpoint(TRUNCATE)", "PRAGMA shrink_memory", "PRAGMA cache_size = 0")
    _break(path)
    found_out = bench.put(SCAN)
    await until(lambda: bool(bench.heard.set_aside))
    return found_out


def test_a_file_that_breaks_is_set_aside_and_what_the_live_lane_holds_is_written_anew(path: Path) -> None:
    """Nothing that is still in memory is lost; the service goes on in a new file."""

    async def story(bench: Bench) -> None:
        live = bench.put(count=3)
        await until(lambda: all(record.row for record in live))
        live += await _broken(bench, path)
        await until(lambda: all(record.row for record in live))
        await until(lambda: bench.heard.trouble[-1:] in ([], [None]))
        assert bench.heard.set_aside == [path.with_name("outbox.db.broken-1")]
        bench.outbox.returned(live)
        bench.outbox.start_draining()
        assert seqs(await bench.backlog_of(3, topic="odom")) == [0, 1, 2]

    play(path, story)


def test_what_only_the_broken_file_held_is_told_as_a_gap_and_nothing_else_is(path: Path) -> None:
    """Backlog of this boot and of two before; not what was acknowledged, nor what the live lane still holds."""

    async def before(bench: Bench) -> None:
        bench.ack(bench.put(count=3))
        await bench.stored(count=5)
        bench.ack(bench.put(count=2))

    async def story(bench: Bench) -> None:
        bench.ack(bench.put(count=10))
        await bench.stored(count=4)
        live = bench.put(count=3)
        await until(lambda: all(record.row for record in live))
        found_out = await _broken(bench, path)
        bench.outbox.start_draining()
        await bench.told(GapCause.QUARANTINE)
        await until(lambda: all(record.row for record in [*live, *found_out]))
        await bench.gaps_told()
        assert bench.heard.explained("odom", "d") == {10, 11, 12, 13}
        assert bench.heard.explained("odom", "c") == {3, 4, 5, 6, 7}
        assert bench.heard.explained("odom", "b") == {3, 4, 5, 6, 7}
        assert bench.heard.explained("scan", "d") == set()

    play(path, before)
    play(path, before, boot="c")
    play(path, story, boot="d")


def test_once_the_file_was_empty_a_broken_one_costs_nothing(path: Path) -> None:
    """An outage, its backlog delivered; hours later the file breaks: no number of then is told as lost."""

    async def before(bench: Bench) -> None:
        await bench.stored(count=5)

    async def story(bench: Bench) -> None:
        await bench.stored(count=4)
        bench.outbox.start_draining()
        await bench.backlog_of(9)
        await until(lambda: bench.outbox._books.holdings.empty)
        bench.ack(bench.put(count=20))
        found_out = await _broken(bench, path)
        await until(lambda: all(record.row for record in found_out))
        await bench.gaps_told()
        assert bench.heard.gaps == []

    play(path, before)
    play(path, story, boot="c")


def test_another_file_in_its_place_is_told_and_its_rows_are_not_missed_silently(path: Path) -> None:
    """The disk fails; what is mounted there afterwards has no outbox, and one is begun; then the old one comes back."""

    async def story(bench: Bench) -> None:
        await bench.stored(count=5)
        live = bench.put(count=2)
        await until(lambda: all(record.row for record in live))
        await run_sql(bench, "PRAGMA wal_checkpoint(TRUNCATE)", "PRAGMA max_page_count = 1")
        for name in ("outbox.db", "outbox.db-wal"):
            os.rename(path.with_name(name), path.with_name(f"aside-{name}"))  # noqa: PTH104  # nor with a Path, in a loop
        found_out = bench.put(SCAN, size=100_000)
        await until(lambda: bool(bench.heard.replaced))
        await until(lambda: all(record.row for record in [*live, *found_out]))
        bench.outbox.start_draining()
        await bench.told(GapCause.QUARANTINE)
        assert bench.heard.explained() == {0, 1, 2, 3, 4}
        assert len(bench.heard.replaced) == 1
        assert bench.heard.set_aside == []
        bench.outbox.returned([*live, *found_out])
        assert seqs(await bench.backlog_of(2, topic="odom")) == [5, 6]

    play(path, story)


def test_a_gap_that_nobody_was_told_of_is_not_lost_with_the_file(path: Path) -> None:
    """A crash tail was noted in the file of the next boot, and not told; that file breaks, found at the third start."""

    async def killed(bench: Bench) -> None:
        bench.ack(bench.put(count=3))
        bench.put(count=4)

    async def silent(_bench: Bench) -> None:
        """No link."""

    async def after(bench: Bench) -> None:
        assert bench.heard.set_aside
        bench.outbox.start_draining()
        await bench.told(GapCause.QUARANTINE)
        assert bench.heard.explained("odom", "b") >= {3, 4, 5, 6}

    play(path, killed, killed=True)
    play(path, silent, boot="c")
    _break(path)
    play(path, after, boot="d")


def test_a_file_found_broken_at_the_start_is_told_too(path: Path) -> None:
    """The robot starts, with an empty outbox."""

    async def before(bench: Bench) -> None:
        await bench.stored(count=5)

    async def after(bench: Bench) -> None:
        assert len(bench.heard.set_aside) == 1
        bench.outbox.start_draining()
        await bench.stored(SCAN)
        await bench.told(GapCause.QUARANTINE)
        assert bench.heard.explained("odom", "b") == {0, 1, 2, 3, 4}

    play(path, before)
    _break(path)
    play(path, after, boot="c")


def test_a_failing_disk_does_not_fill_the_memory_and_the_gap_is_told_after_recovery(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The link is down as well: the oldest are given up, the newest are kept, and the numbers add up."""
    monkeypatch.setattr(commits, "MEMORY_RECORDS_MAX", 50)

    async def story(bench: Bench) -> None:
        await run_sql(bench, _NO_ROOM)
        for _ in range(20):
            bench.outbox.returned(bench.put(count=10))
            await asyncio.sleep(INTERVAL_S / 4)
        await until(lambda: bench.outbox._ledger.young <= 50)
        await run_sql(bench, "DROP TRIGGER no_room")
        await until(lambda: bench.heard.trouble[-1:] == [None])
        await until(lambda: bench.outbox._ledger.young == 0)
        bench.outbox.start_draining()
        await bench.told(GapCause.SHED)
        await until(lambda: all(event.row for event in bench.heard.events))
        told.update(bench.heard.explained())
        (gap,) = bench.heard.gaps
        assert gap.count == len(told) == bench.outbox.gaps.given_up[GapCause.SHED]
        assert bench.heard.given_up_in_all(GapCause.SHED) == gap.count

    told: set[int] = set()
    play(path, story)
    database = Database(path, ROOMY_BYTES)
    written = kept(database)["odom"]
    database.close()
    assert sorted([*written, *told]) == list(range(200))
    assert written[-1] == 199


def test_what_was_given_up_on_a_failing_disk_is_told_even_after_a_kill(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk fails, memory is full, the power button; the disk works again."""
    monkeypatch.setattr(commits, "MEMORY_RECORDS_MAX", 5)

    async def before(bench: Bench) -> None:
        await run_sql(bench, _NO_ROOM)
        while GapCause.SHED not in bench.outbox.gaps.given_up:
            bench.outbox.returned(bench.put(count=20))
            await asyncio.sleep(INTERVAL_S)
        await asyncio.sleep(2 * INTERVAL_S)

    async def after(bench: Bench) -> None:
        await run_sql(bench, "DROP TRIGGER no_room")
        bench.outbox.start_draining()
        await until(lambda: bench.heard.explained("odom", "b") >= {0, 1, 2}, SHORT_S)

    play(path, before, killed=True)
    play(path, after, boot="c")


def test_a_disk_that_fails_at_the_start_does_not_cost_the_backlog(path: Path) -> None:
    """It comes back after a moment, with what was on it: rows of the last boot must not be written over."""

    async def before(bench: Bench) -> None:
        for _ in range(3):
            await bench.stored(count=5)

    async def main() -> None:
        bench = Bench(path, boot="c")
        await bench.open()
        os.rmdir(path)  # noqa: PTH106
        os.rename(path.with_name("aside.db"), path)  # noqa: PTH104
        await bench.stored(SCAN)
        await bench.outbox.close()

    play(path, before)
    path.rename(path.with_name("aside.db"))
    path.mkdir()
    asyncio.run(main())
    database = Database(path, ROOMY_BYTES)
    found = kept(database)
    database.close()
    assert found == {"odom": list(range(15)), "scan": [0]}


def test_a_disk_that_fails_at_the_start_does_not_cost_the_gaps_of_the_last_boot(path: Path) -> None:
    """What a kill cost is told when the disk works, however late."""

    async def killed(bench: Bench) -> None:
        bench.put(count=5)

    async def main() -> None:
        bench = Bench(path, boot="c")
        await bench.open()
        os.rmdir(path)  # noqa: PTH106
        bench.put(SCAN)
        await until(lambda: bench.heard.trouble[-1:] == [None])
        bench.outbox.start_draining()
        try:
            await until(lambda: bool(bench.heard.gaps), SHORT_S)
        finally:
            await bench.outbox.close()

    play(path, killed, killed=True)
    path.unlink()
    path.mkdir()
    asyncio.run(main())


@pytest.mark.parametrize("written", [True, False])
def test_after_a_kill_exactly_what_was_neither_acknowledged_nor_on_disk_is_a_gap(path: Path, written: bool) -> None:
    """Three acknowledged, four perhaps on disk, five in memory only."""

    async def killed(bench: Bench) -> None:
        bench.ack(bench.put(count=3))
        waiting = bench.put(count=4)
        if written:
            await until(lambda: all(record.row for record in waiting))
            bench.put(SCAN)
            await until(lambda: bench.outbox.stored("scan") == 1)
            bench.outbox._commits.tick()
            bench.outbox._commits.closing = True
            bench.put(count=5)

    async def after(bench: Bench) -> None:
        bench.outbox.start_draining()
        await bench.told(GapCause.CRASH)
        if written:
            assert bench.heard.explained("odom", "b") == {7, 8, 9, 10, 11}
            assert seqs(await bench.backlog_of(4, topic="odom")) == [3, 4, 5, 6]
        else:
            assert bench.heard.explained("odom", "b") == set(range(7))

    play(path, killed, killed=True)
    play(path, after, boot="c")


def test_what_is_on_disk_when_the_process_is_killed_is_no_gap(path: Path) -> None:
    """A last message, written; then nothing for an hour; then a kill."""

    async def killed(bench: Bench) -> None:
        records = bench.put(count=3)
        await until(lambda: all(record.row for record in records))
        await asyncio.sleep(4 * INTERVAL_S)

    async def after(bench: Bench) -> None:
        bench.outbox.start_draining()
        await bench.backlog_of(3, topic="odom")
        await asyncio.sleep(0.02)
        assert bench.heard.gaps == []

    play(path, killed, killed=True)
    play(path, after, boot="c")


def test_a_full_outbox_gives_up_what_comes_and_goes_on(path: Path) -> None:
    """Nothing is left that could be given up instead of it: that is told, and the next small one is kept."""

    async def story(bench: Bench) -> None:
        bench.outbox.returned(bench.put(ODOM, size=1_500_000))
        await until(lambda: bench.outbox.gaps.given_up.get(GapCause.SHED) == 1)
        assert bench.heard.trouble == []
        await bench.stored(ODOM)
        bench.outbox.start_draining()
        await bench.told(GapCause.SHED)
        assert bench.heard.explained() == {0}

    play(path, story, max_bytes=1_000_000)
    assert on_disk(path)["odom"] == 1
