"""The way out: refused rows come again or are buried, large batches shrink, and nobody blocks the way of the others."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

from edgetwin import wire
from edgetwin.records import GapCause, Parcel
from edgetwin.store.database import Database
from tests.store.outbox_bench import (
    GAP,
    NOT_AUTHORISED,
    ODOM,
    QUOTA,
    SCAN,
    SHORT_S,
    TOO_LARGE,
    Bench,
    StoppedClock,
    on_disk,
    play,
    run_sql,
    seqs,
    until,
)

_GIVEN_ENOUGH_TIME_S = 1.0


async def _serve(
    bench: Bench, refuse: Callable[[Parcel], int], done: Callable[[], bool], patience_s: float = 5.0
) -> list[Parcel]:
    """Be the broker until it is done: refuse with a reason code, or take (0). Return what was taken."""
    taken: list[Parcel] = []

    def turn() -> bool:
        while (parcel := bench.take()) is not None:
            if reason := refuse(parcel):
                bench.outbox.refused(parcel, reason)
            else:
                taken.append(parcel)
                bench.outbox.acked(parcel)
        return done()

    await until(turn, patience_s)
    return taken


def _of(lane: str, parcels: list[Parcel]) -> list[int]:
    return seqs([parcel for parcel in parcels if parcel.topic.endswith(lane)])


def test_three_refusals_for_good_bury_a_row_and_tell(path: Path) -> None:
    """No right to publish there: it is offered three times, then a dead letter and a gap."""
    offered: list[int] = []

    async def story(bench: Bench) -> None:
        await bench.stored(count=3)

        def refuse(parcel: Parcel) -> int:
            offered.extend(seqs([parcel]) if "odom" in parcel.topic else [])
            return NOT_AUTHORISED if "odom" in parcel.topic else 0

        bench.outbox.start_draining()
        await _serve(bench, refuse, lambda: GapCause.DEAD_LETTER in bench.outbox.gaps.given_up)
        await bench.told(GapCause.DEAD_LETTER)
        assert bench.heard.explained() == {0, 1, 2}
        assert bench.outbox.gaps.given_up == {GapCause.DEAD_LETTER: 3}
        assert bench.outbox.stored("odom") == 0

    play(path, story)
    assert offered == [0, 1, 2] * 3
    assert "odom" not in on_disk(path)


def test_the_head_of_the_line_is_never_blocked(path: Path) -> None:
    """The oldest lane is refused for good, or for now; the others leave as if it were not there."""
    for reason in (NOT_AUTHORISED, QUOTA, TOO_LARGE):

        async def story(bench: Bench, reason: int = reason) -> None:
            await bench.stored(ODOM)
            for _ in range(5):
                await bench.stored(SCAN, count=4)
            bench.outbox.start_draining()
            taken = await _serve(
                bench, lambda parcel: reason if "odom" in parcel.topic else 0, lambda: bench.outbox.stored("scan") == 0
            )
            assert _of("scan", taken) == list(range(20))

        play(path.with_name(f"{reason}.db"), story)


def test_what_is_refused_for_now_is_offered_until_it_is_taken(path: Path) -> None:
    """A quota: no number of refusals buries it."""
    refusals = iter(range(5))

    async def story(bench: Bench) -> None:
        await bench.stored(count=5)
        bench.outbox.start_draining()
        taken = await _serve(
            bench,
            lambda parcel: QUOTA if "odom" in parcel.topic and next(refusals, None) is not None else 0,
            lambda: bench.outbox.stored("odom") == 0,
        )
        assert _of("odom", taken) == [0, 1, 2, 3, 4]
        assert bench.outbox.refusals == 5
        assert bench.heard.gaps == []

    play(path, story)


def test_two_refusals_and_a_success_are_forgiven(path: Path) -> None:
    """Somebody mended the rights in time."""
    refusals = iter(range(2))

    async def story(bench: Bench) -> None:
        await bench.stored(count=5)
        bench.outbox.start_draining()
        await _serve(
            bench,
            lambda _: NOT_AUTHORISED if next(refusals, None) is not None else 0,
            lambda: bench.outbox.stored("odom") == 0,
        )
        assert bench.heard.gaps == []
        assert bench.outbox.drain._strikes == {}

    play(path, story)


def test_a_single_record_that_is_too_large_is_buried_at_once(path: Path) -> None:
    """No broker of this site will ever take it."""

    async def story(bench: Bench) -> None:
        await bench.stored(size=50_000)
        bench.outbox.start_draining()
        await _serve(
            bench,
            lambda parcel: TOO_LARGE if len(parcel.payload) > 20_000 else 0,
            lambda: bench.outbox.stored("odom") == 0,
        )
        await bench.told(GapCause.OVERSIZE)
        assert bench.outbox.refusals == 1
        assert bench.heard.explained() == {0}

    play(path, story)


def test_a_batch_that_is_too_large_comes_again_in_smaller_ones(path: Path) -> None:
    """Rows that fit one by one: all of them arrive, none is given up."""

    async def story(bench: Bench) -> None:
        for _ in range(10):
            await bench.stored(count=4, size=1000)
        bench.outbox.start_draining()
        taken = await _serve(
            bench,
            lambda parcel: TOO_LARGE if len(parcel.payload) > 12_000 else 0,
            lambda: bench.outbox.stored("odom") == 0,
        )
        assert sorted(_of("odom", taken)) == list(range(40))
        assert bench.heard.gaps == []

    play(path, story)


def test_a_row_that_is_too_large_comes_again_in_parts(path: Path) -> None:
    """Forty records of a kilobyte were written as one row; the broker takes twelve kilobytes."""

    async def story(bench: Bench) -> None:
        await bench.stored(count=25, size=1000)
        bench.outbox.start_draining()
        await _serve(
            bench,
            lambda parcel: TOO_LARGE if len(parcel.payload) > 12_000 else 0,
            lambda: bench.outbox.stored("odom") == 0,
            _GIVEN_ENOUGH_TIME_S,
        )

    play(path, story)


def test_a_damaged_row_is_a_gap_and_the_others_arrive(path: Path) -> None:
    """One worn row between two sound ones."""

    async def story(bench: Bench) -> None:
        rows = [(await bench.stored(count=3))[0].row for _ in range(3)]
        await run_sql(bench, f"UPDATE block SET body = x'00' WHERE row = {rows[1]}")  # noqa: S608
        bench.outbox.start_draining()
        taken = await _serve(bench, lambda _: 0, lambda: bench.outbox.stored("odom") == 0)
        assert _of("odom", taken) == [0, 1, 2, 6, 7, 8]
        await bench.told(GapCause.DAMAGED)
        assert bench.heard.explained() == {3, 4, 5}
        assert bench.outbox.gaps.given_up == {GapCause.DAMAGED: 3}

    play(path, story)


def test_the_rate_is_that_of_the_settings(path: Path) -> None:
    """A hundred records a second, by the clock: a parcel of ten is followed after a tenth of a second."""
    clock = StoppedClock()

    async def story(bench: Bench) -> None:
        for _ in range(4):
            await bench.stored(GAP, count=1)
        bench.outbox.start_draining()
        left_ns = []
        for _ in range(4):
            await bench.backlog_of(1)
            left_ns.append(clock.shown_ns)
            while clock.shown_ns < left_ns[-1] + 10_000_000:
                assert bench.take() is None
                clock.shown_ns += 2_000_000
        assert [later - left_ns[0] for later in left_ns] == [0, 10_000_000, 20_000_000, 30_000_000]

    play(path, story, clock, backlog_rate_max=100.0)


def test_another_rate_holds_at_once(path: Path) -> None:
    """A parcel owes an hour of silence at the old rate: it is not waited for, and the new rate holds from there on."""
    clock = StoppedClock()

    async def story(bench: Bench) -> None:
        for _ in range(4):
            await bench.stored(GAP, count=1)
        bench.outbox.start_draining()
        await bench.backlog_of(1)
        assert bench.take() is None
        seen = bench.heard.changed
        bench.outbox.drain.pace(100.0)
        assert bench.heard.changed > seen
        assert bench.take() is not None
        assert bench.take() is None
        bench.outbox.drain.pace(100.0)
        assert bench.take() is None
        clock.shown_ns += 10_000_000
        assert bench.take() is not None
        bench.outbox.drain.pace(0.0)
        assert bench.take() is not None

    play(path, story, clock, backlog_rate_max=1.0 / 3600.0)


def test_a_paced_drain_says_when_it_can_go_on(path: Path) -> None:
    """Nobody needs to ask in between."""

    async def story(bench: Bench) -> None:
        await bench.stored(GAP, count=5)
        bench.outbox.start_draining()
        await until(lambda: bench.heard.changed > 0)
        taken = 0
        while taken < 5:
            seen = bench.heard.changed
            while (parcel := bench.take()) is not None:
                taken += 1
                bench.outbox.acked(parcel)
            if taken < 5:
                await until(lambda seen=seen: bench.heard.changed > seen)  # type: ignore[misc]

    play(path, story, backlog_rate_max=200.0)


def test_a_late_puback_does_not_stand_for_another_parcel(path: Path) -> None:
    """One of three events is refused, and the row read anew, before the other two are acknowledged."""

    async def story(bench: Bench) -> None:
        await bench.stored(GAP, count=3)
        bench.outbox.start_draining()
        first = await bench.backlog_of(3, ack=False)
        bench.outbox.refused(first[2], QUOTA)
        again = await bench.backlog_of(3, ack=False)
        for parcel in (first[0], first[1], again[0]):
            bench.outbox.acked(parcel)
        await asyncio.sleep(SHORT_S / 4)
        assert bench.outbox.stored("gap") == 3, "the third event was never taken by the broker"

    play(path, story)


def test_rows_that_become_backlog_during_a_look_are_found(path: Path) -> None:
    """The look was asked for when they were still the live lane's; nothing else happens on this robot."""

    async def story(bench: Bench) -> None:
        records = bench.put()
        await until(lambda: records[0].row > 0)
        gate = threading.Event()
        held = bench.writer.call(lambda _: gate.wait())
        bench.outbox.start_draining()
        bench.outbox.returned(records)
        gate.set()
        await held
        await bench.backlog_of(1, patience_s=SHORT_S)

    play(path, story)


async def _dead(bench: Bench) -> list[tuple[str, int, int, int]]:
    """Return lane, number, records and reason of all dead letters that can be read."""

    def read(database: Database) -> list[tuple[str, int, int, int]]:
        found = database._sql.execute("SELECT lane, first_seq, count, reason, body FROM dead ORDER BY row")
        for lane, seq, count, _, body in found:
            (record,) = wire.decode(wire.decompress(body))
            assert (record["channel"], record["seq"], count) == (lane, seq, 1)
        return [(lane, seq, count, reason) for lane, seq, count, reason, _ in found]

    return await bench.writer.call(read)


def test_a_record_that_no_broker_takes_is_kept_among_the_dead_letters(path: Path) -> None:
    """One of three neighbours in a row: the others leave, it is told as a gap, and its bytes stay on the robot."""

    async def story(bench: Bench) -> None:
        small = bench.put(count=1)
        large = bench.put(count=1, size=20_000)
        small += bench.put(count=1)
        await until(lambda: all(record.row for record in [*small, *large]))
        bench.outbox.returned([*small, *large])
        bench.outbox.start_draining()
        taken = await _serve(
            bench,
            lambda parcel: TOO_LARGE if "odom" in parcel.topic and 1 in seqs([parcel]) else 0,
            lambda: bench.outbox.stored("odom") == 0,
        )
        await bench.told(GapCause.OVERSIZE)
        assert sorted(_of("odom", taken)) == [0, 2]
        assert bench.heard.explained() == {1}
        assert await _dead(bench) == [("odom", 1, 1, TOO_LARGE)]
        assert bench.outbox.gaps.given_up == {GapCause.OVERSIZE: 1}

    play(path, story)


def test_records_that_no_broker_takes_have_a_hundredth_of_the_room(path: Path) -> None:
    """Ten of them, of which two fit, and one that alone is more than that: the newest that fit stay, all are told."""

    async def story(bench: Bench) -> None:
        for size in [1_500] * 10 + [40_000]:
            await bench.stored(size=size)
        bench.outbox.start_draining()
        await _serve(bench, lambda _: TOO_LARGE, lambda: len(bench.heard.explained()) == 11)
        dead = await _dead(bench)
        assert [seq for _, seq, _, _ in dead] == list(range(10 - len(dead), 10))
        assert 0 < len(dead) < 10
        await until(lambda: bench.outbox.stored("odom") == 0)

    play(path, story, max_bytes=1_000_000)


def test_a_disk_that_fails_costs_the_dead_letter_but_not_its_gap(path: Path) -> None:
    """It takes no new rows: that the record will never arrive is told all the same, later."""

    async def story(bench: Bench) -> None:
        await bench.stored(size=2_000)
        await run_sql(bench, "CREATE TRIGGER no_room BEFORE INSERT ON dead BEGIN SELECT RAISE(ABORT, 'no room'); END")
        bench.outbox.start_draining()
        await _serve(bench, lambda parcel: TOO_LARGE if "odom" in parcel.topic else 0, lambda: bool(bench.heard.gaps))
        await run_sql(bench, "DROP TRIGGER no_room")
        assert bench.heard.explained() == {0}

    play(path, story)
