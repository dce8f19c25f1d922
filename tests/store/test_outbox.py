"""The outbox on a real SQLite and a real loop: kept, drained, deleted after the acknowledgement, never before."""

from __future__ import annotations

import asyncio
from pathlib import Path

from edgetwin.records import Parcel
from edgetwin.store.database import Database
from tests.store.blocks import ROOMY_BYTES
from tests.store.outbox_bench import (
    GAP,
    INTERVAL_S,
    ODOM,
    QUOTA,
    SCAN,
    SHORT_S,
    Bench,
    StoppedClock,
    on_disk,
    play,
    seqs,
    until,
)

RIPE_NS = round(INTERVAL_S * 3 / 4 * 1e9)


def test_what_is_acknowledged_in_time_never_touches_the_disk(path: Path) -> None:
    """The link is up: no row is written, then or at the end."""

    async def story(bench: Bench) -> None:
        for _ in range(20):
            bench.ack(bench.put(count=5))
            await asyncio.sleep(0.002)
        await until(lambda: bench.outbox._ledger.young == 0)
        assert bench.heard.committed == 0

    play(path, story)
    database = Database(path, ROOMY_BYTES)
    assert database.totals().next_row == 1
    database.close()


def test_what_is_not_acknowledged_is_on_disk_after_the_interval(path: Path) -> None:
    """And the roof is told, so that the live lane may let go."""

    async def story(bench: Bench) -> None:
        records = bench.put(count=3)
        await until(lambda: bench.heard.committed > 0)
        assert [record.row for record in records] == [1, 1, 1]
        assert (bench.outbox.records, bench.outbox.backlog, bench.outbox.stored("odom")) == (3, 0, 3)

    play(path, story)
    assert on_disk(path) == {"odom": 3}


def test_without_a_link_one_append_takes_all_that_waits(path: Path) -> None:
    """Once the oldest is ripe: no PUBACK will come for the others, and each append is a sync."""
    clock = StoppedClock()

    async def story(bench: Bench) -> None:
        old = bench.put(count=3)
        clock.shown_ns += RIPE_NS + 1
        fresh = bench.put(count=2)
        await until(lambda: bench.heard.committed > 0)
        assert [record.row for record in (*old, *fresh)] == [1] * 5

    play(path, story, clock)
    assert on_disk(path) == {"odom": 5}


def test_with_a_link_what_may_still_be_acknowledged_is_not_written(path: Path) -> None:
    """Only what is ripe; nothing at all while nothing is."""
    clock = StoppedClock()

    async def story(bench: Bench) -> None:
        bench.outbox.start_draining()
        old = bench.put(count=3)
        clock.shown_ns += RIPE_NS + 1
        fresh = bench.put(count=2)
        await until(lambda: bench.heard.committed > 0)
        await asyncio.sleep(2 * INTERVAL_S)  # more looks, at a clock that stands still
        assert [record.row for record in (*old, *fresh)] == [1, 1, 1, 0, 0]
        bench.ack([*old, *fresh])

    play(path, story, clock)
    assert on_disk(path) == {}


def test_an_event_is_written_at_once(path: Path) -> None:
    """It does not wait for the interval: the clock stands still, and a pose would wait for ever."""

    async def story(bench: Bench) -> None:
        bench.put(ODOM)
        gap = bench.put(GAP)
        await until(lambda: gap[0].row > 0)
        assert bench.outbox.records == 1

    play(path, story, StoppedClock())


def test_a_late_acknowledgement_deletes_the_row(path: Path) -> None:
    """Written, then acknowledged after all."""

    async def story(bench: Bench) -> None:
        records = bench.put(count=3)
        await until(lambda: records[0].row > 0)
        bench.ack(records)
        await until(lambda: bench.outbox.records == 0)

    play(path, story)
    assert on_disk(path) == {}


def test_the_end_writes_all_that_is_not_acknowledged(path: Path) -> None:
    """However young; and nothing that is."""

    async def story(bench: Bench) -> None:
        bench.ack(bench.put(count=2))
        bench.put(count=3)
        bench.put(SCAN, count=4)

    play(path, story, StoppedClock())
    assert on_disk(path) == {"odom": 3, "scan": 4}


def test_the_backlog_of_an_earlier_run_follows_oldest_first_and_is_deleted_after_its_ack(path: Path) -> None:
    """Another process, the same file."""

    async def before(bench: Bench) -> None:
        for _ in range(5):
            await bench.stored(count=3)

    async def after(bench: Bench) -> None:
        assert (bench.outbox.records, bench.outbox.backlog) == (15, 15)
        assert bench.take() is None
        bench.outbox.start_draining()
        parcels = await bench.backlog_of(15, ack=False)
        assert seqs(parcels) == list(range(15))
        assert bench.outbox.records == 15
        for parcel in parcels:
            bench.outbox.acked(parcel)
        await until(lambda: bench.outbox.records == 0)

    play(path, before)
    play(path, after)
    assert on_disk(path) == {}


def test_what_was_taken_and_not_acknowledged_is_offered_again_after_the_next_link(path: Path) -> None:
    """The link broke with parcels in flight: all of it comes again, and it is deleted once."""

    async def story(bench: Bench) -> None:
        await bench.stored(count=10)
        bench.outbox.start_draining()
        assert seqs(await bench.backlog_of(10, ack=False)) == list(range(10))
        bench.outbox.stop_draining()
        assert bench.take() is None
        bench.outbox.start_draining()
        assert seqs(await bench.backlog_of(10)) == list(range(10))
        await until(lambda: bench.outbox.records == 0)

    play(path, story)


def test_the_backlog_does_not_repeat_what_the_live_lane_delivered(path: Path) -> None:
    """Three of five were acknowledged before the link broke."""

    async def story(bench: Bench) -> None:
        records = bench.put(count=5)
        await until(lambda: records[0].row > 0)
        bench.ack(records[:3])
        bench.outbox.returned(records[3:])
        bench.outbox.start_draining()
        assert seqs(await bench.backlog_of(2)) == [3, 4]
        await until(lambda: bench.outbox.records == 0)

    play(path, story)


def test_rows_that_the_live_lane_still_answers_for_are_not_backlog(path: Path) -> None:
    """Nor is what lies behind them: order first."""

    async def story(bench: Bench) -> None:
        records = bench.put()
        await until(lambda: records[0].row > 0)
        await bench.stored(SCAN)
        bench.outbox.start_draining()
        await asyncio.sleep(0.05)
        assert bench.take() is None
        bench.outbox.returned(records)
        assert [parcel.topic for parcel in await bench.backlog_of(2)] == ["backlog/odom", "backlog/scan"]

    play(path, story)


def test_backlog_behind_an_open_row_follows_when_that_row_is_acknowledged(path: Path) -> None:
    """The live lane let go of a scan, then delivered the pose before it; nothing else happens on this robot."""

    async def story(bench: Bench) -> None:
        records = bench.put()
        await until(lambda: records[0].row > 0)
        await bench.stored(SCAN)
        bench.outbox.start_draining()
        await asyncio.sleep(0.05)
        bench.ack(records)
        await bench.backlog_of(1, patience_s=SHORT_S)

    play(path, story)


def test_events_leave_one_by_one_and_the_row_goes_with_the_last(path: Path) -> None:
    """Three gaps in one row."""

    async def story(bench: Bench) -> None:
        await bench.stored(GAP, count=3)
        bench.outbox.start_draining()
        parcels = await bench.backlog_of(3, ack=False)
        assert [(parcel.topic, parcel.count) for parcel in parcels] == [("events/gap", 1)] * 3
        for parcel in parcels[:2]:
            bench.outbox.acked(parcel)
        await asyncio.sleep(0.05)
        assert bench.outbox.records == 3
        bench.outbox.acked(parcels[2])
        await until(lambda: bench.outbox.records == 0)

    play(path, story)


def test_a_large_backlog_drains_with_few_parcels_in_memory(path: Path) -> None:
    """A hundred and fifty rows: read ahead in steps, all of it once, in order."""

    async def story(bench: Bench) -> None:
        records = bench.put(count=150, size=30_000)
        await until(lambda: all(record.row for record in records))
        bench.outbox.returned(records)
        bench.outbox.start_draining()
        assert seqs(await bench.backlog_of(150)) == list(range(150))
        await until(lambda: bench.outbox.records == 0)
        assert len({record.row for record in records}) == 150

    play(path, story)


def test_a_refused_parcel_is_offered_again(path: Path) -> None:
    """The broker's quota, say: live and backlog alike stay on disk and come once more."""

    async def story(bench: Bench) -> None:
        bench.outbox.start_draining()
        live = bench.put(count=2)
        await until(lambda: live[0].row > 0)
        bench.outbox.refused(Parcel("t", b"", 2, records=live), QUOTA)
        (parcel,) = await bench.backlog_of(2, ack=False)
        bench.outbox.refused(parcel, QUOTA)
        (again,) = await bench.backlog_of(2)
        assert seqs([again]) == [0, 1]
        assert bench.outbox.refusals == 2
        await until(lambda: bench.outbox.records == 0)

    play(path, story)


def test_the_backlog_rate_is_kept(path: Path) -> None:
    """Ten records at a hundred a second: the next parcel waits a tenth of a second, and is announced."""
    clock = StoppedClock()

    async def story(bench: Bench) -> None:
        await bench.stored(GAP, count=3)
        bench.outbox.start_draining()
        await until(lambda: bench.heard.changed > 0)
        assert bench.take() is not None
        assert bench.take() is None
        changed = bench.heard.changed
        await until(lambda: bench.heard.changed > changed)
        clock.shown_ns += 10_000_000
        assert bench.take() is not None
        assert bench.take() is None

    play(path, story, clock, backlog_rate_max=100.0)


def test_a_timer_that_fires_early_does_not_stop_the_drain(path: Path) -> None:
    """As uvloop, which rounds to milliseconds: the parcel is asked for just before its time."""
    clock = StoppedClock()

    async def story(bench: Bench) -> None:
        await bench.stored(GAP, count=3)
        bench.outbox.start_draining()
        await until(lambda: bench.heard.changed > 0)
        assert bench.take() is not None
        assert bench.take() is None
        changed = bench.heard.changed
        await until(lambda: bench.heard.changed > changed)
        clock.shown_ns += 9_700_000
        assert bench.take() is None
        changed = bench.heard.changed
        clock.shown_ns += 300_000
        await until(lambda: bench.heard.changed > changed, SHORT_S)

    play(path, story, clock, backlog_rate_max=100.0)
