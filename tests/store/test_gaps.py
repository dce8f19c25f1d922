"""Numbers that will never arrive: noted once, told, forgotten only when the event is safe."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgetwin.records import Gap, GapCause
from edgetwin.store.database import Database
from tests.store.blocks import ROOMY_BYTES, noted
from tests.store.outbox_bench import GAP, Bench, play, until

_ODD = Gap("odom", "b", 3, 7, 3, GapCause.SHED)


@pytest.fixture(name="database")
def _database(path: Path) -> Iterator[Database]:
    """An open, empty one."""
    database = Database(path, ROOMY_BYTES)
    yield database
    database.close()


def test_gaps_of_one_lane_boot_and_cause_are_one_until_it_is_told(database: Database) -> None:
    """A million shed records are one event, with the exact count."""
    database.remember_gaps([_ODD, Gap("odom", "b", 1, 2, 2, GapCause.SHED), Gap("odom", "b", 20, 29, 5, GapCause.SHED)])

    assert database.gaps_to_tell() == [Gap("odom", "b", 1, 29, 10, GapCause.SHED, 1)]


@pytest.mark.parametrize("other", [{"lane": "imu"}, {"boot": "c"}, {"cause": GapCause.CRASH}])
def test_gaps_of_another_lane_boot_or_cause_stand_alone(database: Database, other: dict[str, str]) -> None:
    """Each is an event of its own."""
    fields = {"lane": "odom", "boot": "b", "cause": GapCause.SHED} | other
    gap = Gap(fields["lane"], fields["boot"], 0, 1, 2, GapCause(fields["cause"]))
    database.remember_gaps([_ODD, gap])

    assert len(database.gaps_to_tell()) == 2


def test_an_open_end_stays_open(database: Database) -> None:
    """What nobody knows does not become known by adding to it."""
    database.remember_gaps([Gap("odom", "b", 5, None, None, GapCause.SHED), _ODD])

    assert database.gaps_to_tell() == [Gap("odom", "b", 3, None, None, GapCause.SHED, 1)]


def test_a_gap_that_was_told_grows_no_more(database: Database) -> None:
    """Its event is on its way; the next numbers are another gap."""
    database.remember_gaps([_ODD])
    first = database.gaps_to_tell()
    database.remember_gaps([_ODD])

    assert [gap.id for gap in database.gaps_to_tell()] == [first[0].id, first[0].id + 1]


def test_a_gap_is_there_until_it_is_forgotten(path: Path) -> None:
    """Through a restart."""
    database = Database(path, ROOMY_BYTES)
    database.remember_gaps([_ODD])
    (told,) = database.gaps_to_tell()
    database.close()
    database = Database(path, ROOMY_BYTES)

    assert database.gaps_to_tell() == [told]
    database.forget_gaps([told.id])
    assert database.gaps_to_tell() == []
    database.close()


def test_forgetting_twice_forgets_no_other_gap(database: Database) -> None:
    """Two looks at the gaps were under way at once, and something was shed in between."""
    database.remember_gaps([_ODD])
    (told,) = database.gaps_to_tell()
    database.forget_gaps([told.id])
    database.remember_gaps([Gap("odom", "b", 8, 9, 2, GapCause.SHED)])
    database.forget_gaps([told.id])

    assert [gap.count for gap in database.gaps_to_tell()] == [2]


def test_a_gap_is_told_once_a_connection_and_forgotten_when_its_event_is_acknowledged(path: Path) -> None:
    """Three looks, one event; a PUBACK, and the file knows it no more."""

    async def story(bench: Bench) -> None:
        await bench.writer.call(lambda database: database.remember_gaps([_ODD]))
        bench.outbox.start_draining()
        await bench.told(GapCause.SHED)
        event = bench.outbox.gaps._telling[1]
        for _ in range(3):
            bench.outbox.gaps.tell()
        await asyncio.sleep(0.02)
        assert len(bench.heard.gaps) == 1
        bench.ack([event])
        await until(lambda: not bench.outbox.gaps._telling)

    play(path, story)
    database = Database(path, ROOMY_BYTES)
    assert noted(database) == {}
    database.close()


def test_a_gap_whose_event_was_in_memory_only_is_told_again_by_the_next_boot(path: Path) -> None:
    """Killed between the event and its PUBACK."""

    async def killed(bench: Bench) -> None:
        await bench.writer.call(lambda database: database.remember_gaps([_ODD]))
        bench.outbox._commits.closing = True  # nothing is written any more
        bench.outbox.start_draining()
        await bench.told(GapCause.SHED)

    async def after(bench: Bench) -> None:
        bench.outbox.start_draining()
        await bench.told(GapCause.SHED)
        assert bench.heard.explained() == {3, 4, 5, 6, 7}

    play(path, killed, killed=True)
    play(path, after, boot="c")


def test_an_event_on_disk_is_safe(path: Path) -> None:
    """It will follow as any late event."""

    async def story(bench: Bench) -> None:
        await bench.writer.call(lambda database: database.remember_gaps([_ODD]))
        bench.outbox.start_draining()
        await until(lambda: bench.outbox.stored(GAP.name) == 1)
        await until(lambda: not bench.outbox.gaps._telling)

    play(path, story)


def test_what_is_given_up_is_counted_by_cause(path: Path) -> None:
    """For the log and the status; nothing is not news."""

    async def story(bench: Bench) -> None:
        gaps = bench.outbox.gaps
        gaps.count(GapCause.SHED, 3)
        gaps.count(GapCause.SHED, 0)
        gaps.count(GapCause.OVERSIZE, 1)
        gaps.count(GapCause.SHED, 2)
        assert gaps.given_up == {GapCause.SHED: 5, GapCause.OVERSIZE: 1}
        assert bench.heard.given_up == [(GapCause.SHED, 3), (GapCause.OVERSIZE, 1), (GapCause.SHED, 2)]

    play(path, story)


def test_gaps_that_wait_for_the_disk_take_no_room(path: Path) -> None:
    """Given up twenty times a second for hours: one gap per lane, boot and cause, that covers all of them."""

    async def story(bench: Bench) -> None:
        gaps = bench.outbox.gaps
        for first in range(0, 10_000, 10):
            gaps.add([Gap("odom", "b", first, first + 9, 10, GapCause.SHED)])
        gaps.add([Gap("odom", "b", 0, None, None, GapCause.DAMAGED), Gap("odom", "b", 5, 6, 2, GapCause.DAMAGED)])
        assert gaps.unwritten_from("b") == {"odom": 0}
        assert gaps.take_unwritten() == [
            Gap("odom", "b", 0, 9_999, 10_000, GapCause.SHED),
            Gap("odom", "b", 0, None, None, GapCause.DAMAGED),
        ]

    play(path, story)


def test_a_gap_told_out_of_memory_is_written_unless_its_event_has_arrived(path: Path) -> None:
    """The disk hangs, the link is up: told at once; when the disk answers, only what nobody has heard is left."""

    async def story(bench: Bench) -> None:
        gaps = bench.outbox.gaps
        heard, unheard = Gap("odom", "b", 0, 4, 5, GapCause.SHED), Gap("scan", "b", 0, 4, 5, GapCause.SHED)
        gaps.add([heard, unheard])
        gaps.tell_unwritten()
        gaps.tell_unwritten()
        assert bench.heard.gaps == [heard, unheard]
        bench.ack(bench.heard.events[:1])
        assert gaps.unwritten_from("b") == {"scan": 0}
        assert gaps.take_unwritten() == [unheard]

    play(path, story)


def test_a_link_that_flaps_while_the_disk_hangs_piles_up_no_calls(path: Path) -> None:
    """Every connection asks for the gaps; one question is under way at a time."""

    async def story(bench: Bench) -> None:
        release = threading.Event()
        bench.writer.run(release.wait)
        for _ in range(200):
            bench.outbox.start_draining()
            bench.outbox.stop_draining()
        assert bench.writer._calls.qsize() < 10
        release.set()

    play(path, story)
