"""A disk that does not answer, neither yes nor no: a real ext4, frozen under its writers, and thawed.

Every write and sync on it waits then, in the kernel, where no signal reaches it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgetwin.clock import SystemClock
from edgetwin.continuity import Continuity
from edgetwin.errors import StoreError
from edgetwin.records import Fate, GapCause, Parcel, Record
from edgetwin.sim.broker import LocalBroker
from edgetwin.sim.faulty_link import Fault
from edgetwin.store import commits
from edgetwin.store.audit import entries, verify
from tests.integration.lab import Daemon, Robot, Witness, until
from tests.integration.test_link import faulty_link
from tests.proofs.keeper import BATTERY, BUMPER, ODOM, Keeper, records_of
from tests.proofs.load import Load, settings
from tests.proofs.mounts import Ext4, ext4
from tests.proofs.test_disk_faults import (
    MENDED,
    TROUBLED,
    heard,
    live_goes_on,
    nothing_is_lost,
    one_event_per_change,
)

RECORDS_MAX = 400
HANG_S = 0.2
END_MAX_S = 5.0


@pytest.fixture(name="disk")
def _disk(tmp_path: Path) -> Iterator[Ext4]:
    with ext4(tmp_path / "image", tmp_path / "disk") as disk:
        yield disk


@pytest.fixture(name="impatient")
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trouble after tenths of a second, memory for hundreds of records."""
    monkeypatch.setattr(commits, "HANG_S", HANG_S)
    monkeypatch.setattr(commits, "_TROUBLED_LOOK_S", 0.01)
    monkeypatch.setattr(commits, "MEMORY_RECORDS_MAX", RECORDS_MAX)


def test_live_goes_on_and_nothing_is_lost_when_the_disk_answers_again(
    disk: Ext4, broker: LocalBroker, robot: Robot, tmp_path: Path
) -> None:
    """The real daemon, the link pulled for a moment so that it must write: one event, live without a pause."""
    with (
        Load(robot, "/hang"),
        faulty_link(broker.port) as link,
        Witness(broker.port) as witness,
        Daemon(tmp_path, settings(link.port, disk.folder, "/hang")) as daemon,
    ):
        heard(witness)
        with disk.frozen():
            link.set(Fault.REFUSE)
            until(lambda: TROUBLED in daemon.log, "the trouble")
            link.set(Fault.PASS)
            until(lambda: daemon.status()["link"]["state"] == "up", "the link")
            live_goes_on(witness)
        until(lambda: MENDED in daemon.log, "the end of the trouble")

        one_event_per_change(witness, daemon)
        nothing_is_lost(witness, daemon)


async def _until_troubled(keeper: Keeper) -> None:
    for _ in range(1_000):
        if keeper.trouble:
            return
        await asyncio.sleep(0.01)
    pytest.fail("no trouble")


def _given_up(records: list[Record]) -> list[Record]:
    return [record for record in records if record.fate is Fate.RETURNED and not record.row]


def _into(arrived: Continuity) -> Callable[[Parcel], None]:
    def take(parcel: Parcel) -> None:
        for record in records_of(parcel):
            arrived.note(record, lane="backlog")

    return take


@pytest.mark.usefixtures("impatient")
def test_memory_is_bounded_and_what_it_cannot_hold_is_told_out_of_memory(disk: Ext4) -> None:
    """Far more than fits, for as long as it hangs: critical goes first, then slow, events last, all of it told."""
    arrived = Continuity()
    highest = 0

    async def story() -> None:
        nonlocal highest
        keeper = Keeper(disk.folder / "outbox.db", "boot")
        await keeper.open()
        keeper.outbox.start_draining()
        with disk.frozen():
            keeper.put(ODOM, 10)
            keeper.clock.advance(1)
            await _until_troubled(keeper)
            for _ in range(60):
                for lane, count in ((ODOM, 20), (BATTERY, 4), (BUMPER, 1)):
                    keeper.outbox.returned(keeper.put(lane, count))
                await asyncio.sleep(0.02)
                highest = max(highest, keeper.outbox._ledger.young)
            given_up = keeper.outbox.gaps.given_up[GapCause.SHED]
            keeper.outbox.gaps.tell_unwritten()
            told_in_trouble = list(keeper.lost)
        await keeper.kept(20)
        await keeper.tell_gaps(arrived)
        await keeper.drain(_into(arrived), 20)
        await keeper.tell_gaps(arrived)
        await keeper.outbox.close()

        assert {gap.lane for gap in told_in_trouble} == {ODOM.name}
        assert sum(gap.count or 0 for gap in told_in_trouble) == given_up
        assert len(keeper.trouble) == 2
        assert keeper.trouble[1] is None

    asyncio.run(story())

    assert highest <= RECORDS_MAX + 25 * 10  # ten puts may come between two looks
    assert arrived.lost == 0
    kept = {channel: tally.records for (_, _, channel), tally in arrived.streams.items()}
    assert (kept[BATTERY.name], kept[BUMPER.name]) == (240, 60)


@pytest.mark.usefixtures("impatient")
def test_slow_samples_go_when_critical_ones_are_gone_and_events_last(disk: Ext4) -> None:
    """No critical channel has anything left to give."""

    async def story() -> None:
        keeper = Keeper(disk.folder / "outbox.db", "boot")
        await keeper.open()
        with disk.frozen():
            keeper.put(BUMPER)
            await _until_troubled(keeper)
            slow, events = [], []
            for _ in range(60):
                slow += keeper.put(BATTERY, 20)
                events += keeper.put(BUMPER, 1)
                await asyncio.sleep(0.02)
            assert _given_up(slow)
            assert not _given_up(events)
            for _ in range(60):
                events += keeper.put(BUMPER, 20)
                await asyncio.sleep(0.02)
            assert _given_up(slow) == slow
            assert _given_up(events)
            assert keeper.outbox._ledger.young <= RECORDS_MAX + 25 * 10
        await keeper.kept(20)
        await keeper.outbox.close()

    asyncio.run(story())


def test_the_loop_never_waits_for_the_disk(disk: Ext4) -> None:
    """Opening, putting, committing, draining, noting numbers, auditing: no turn of the loop is held up."""

    async def story() -> float:
        keeper = Keeper(disk.folder / "outbox.db", "boot")
        await keeper.open()
        longest_ns, clock = 0, SystemClock()
        with disk.frozen():
            for turn in range(100):
                before_ns = clock.now_ns()
                keeper.put(ODOM, 2)
                keeper.put(BUMPER)
                keeper.outbox.audit([{"turn": turn}])
                keeper.clock.advance(0.01)
                (keeper.outbox.start_draining if turn % 2 else keeper.outbox.stop_draining)()
                longest_ns = max(longest_ns, clock.now_ns() - before_ns)
                await asyncio.sleep(0.002)
            assert keeper.outbox.audit_head is None
        await keeper.kept(20)
        await keeper.outbox.close()
        return longest_ns / 1e9

    longest_s = asyncio.run(story())

    assert longest_s < HANG_S  # it hung for all of the hundred turns; a thaw would have ended that, not a limit
    path = disk.folder / "outbox.db"
    assert [entry["entry"]["turn"] for entry in entries(path) if entry["kind"] == "decision"] == list(range(100))
    assert verify(path) is None


def test_a_disk_that_hangs_at_the_start_does_not_keep_the_robot_from_starting(disk: Ext4) -> None:
    """It answers later: what waited is written, what was there before is still there."""
    path = disk.folder / "outbox.db"
    arrived = Continuity()

    async def before() -> None:
        keeper = Keeper(path, "before")
        await keeper.open()
        keeper.put(ODOM, 5)
        await keeper.kept()
        await keeper.outbox.close()

    async def story() -> None:
        with disk.frozen():
            keeper = Keeper(path, "boot")
            await keeper.open()
            assert len(keeper.trouble) == 1
            keeper.put(ODOM, 7)
        await keeper.kept(20)
        await keeper.drain(_into(arrived), 20)
        await keeper.tell_gaps(arrived)
        await keeper.outbox.close()
        assert keeper.trouble[1:] == [None]

    asyncio.run(before())
    asyncio.run(story())

    assert (arrived.records, arrived.lost) == (12, 0)


def test_the_end_comes_in_time_though_the_disk_hangs(disk: Ext4) -> None:
    """Within 5 s, with an error, since not all could be kept; the next boot tells what."""
    path = disk.folder / "outbox.db"

    async def story() -> float:
        keeper = Keeper(path, "boot")
        await keeper.open()
        with disk.frozen():
            keeper.put(ODOM, 7)
            started_s = time.monotonic()
            with pytest.raises(StoreError, match="did not"):
                await keeper.outbox.close()
            return time.monotonic() - started_s

    async def after() -> None:
        keeper = Keeper(path, "after")
        await keeper.open()
        told = Continuity()
        taken: list[Parcel] = []
        await keeper.drain(taken.append, 20)
        await keeper.tell_gaps(told)
        await keeper.outbox.close()
        arrived = {record["seq"] for parcel in taken for record in records_of(parcel)}
        gaps = {seq for gap in keeper.lost for seq in range(gap.from_seq, (gap.to_seq or 0) + 1)}
        assert arrived | gaps >= set(range(7))

    took_s = asyncio.run(story())
    asyncio.run(after())

    assert took_s < END_MAX_S
