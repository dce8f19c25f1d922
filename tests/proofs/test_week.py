"""A week without a link, ten records a second, on a clock that the test turns: every number is accounted for."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from edgetwin.continuity import Continuity
from edgetwin.records import GapCause, Parcel
from tests.proofs.keeper import BATTERY, BUMPER, ODOM, ROBOT_ID, Keeper, records_of
from tests.proofs.scale import SCALE

WEEK_S = 7 * 86_400
TURN_S = 600  # simulated seconds between two looks at the disk
CRITICAL_HZ = 9
BUMPS_PER_TURN = 1
ENOUGH_BYTES = 2_000_000_000
SMALL_BYTES = 60_000_000
THIN_BYTES = 4_000_000
KEPT_SHARE_MIN = 0.3  # of what would fit, had it been thinned to the byte
PATIENCE_S = 300.0


async def _week(keeper: Keeper, critical_hz: float) -> Counter[str]:
    """Play the outage; return channel -> records put."""
    put: Counter[str] = Counter()
    for _ in range(WEEK_S // TURN_S):
        for lane, count in (
            (ODOM, round(TURN_S * critical_hz)),
            (BATTERY, round(TURN_S * critical_hz / CRITICAL_HZ)),
            (BUMPER, BUMPS_PER_TURN),
        ):
            keeper.put(lane, count)
            put[lane.name] += count
        keeper.clock.advance(TURN_S)
        await keeper.kept(PATIENCE_S)
    return put


def _outage(path: Path, critical_hz: float, max_bytes: int) -> tuple[Counter[str], Continuity, Keeper]:
    async def story() -> tuple[Counter[str], Continuity, Keeper]:
        keeper = Keeper(path, "boot", max_bytes)
        await keeper.open()
        put = await _week(keeper, critical_hz)
        footprint = sum(file.stat().st_size for file in path.parent.iterdir())
        assert footprint <= max_bytes
        continuity = Continuity()

        def take(parcel: Parcel) -> None:
            for record in records_of(parcel):
                continuity.note(record, lane="backlog")

        await keeper.drain(take, PATIENCE_S)
        await keeper.tell_gaps(continuity)
        await keeper.outbox.close()
        return put, continuity, keeper

    return asyncio.run(story())


@pytest.mark.timeout(600)
def test_a_week_that_fits_arrives_whole(tmp_path: Path) -> None:
    """Enough bytes: every record arrives, once, in order, and no gap is told."""
    share = min(1.0, 0.2 * SCALE)  # the whole of it, six million records, takes a minute

    put, continuity, keeper = _outage(tmp_path / "outbox.db", CRITICAL_HZ * share, ENOUGH_BYTES)

    assert continuity.records == put.total()
    assert (continuity.lost, continuity.duplicates, continuity.reordered) == (0, 0, 0)
    assert keeper.lost == []
    print(f"{put.total()} records of a week arrived")


@pytest.mark.timeout(600)
def test_a_week_that_does_not_fit_is_accounted_for_to_the_last_number(tmp_path: Path) -> None:
    """A small file: what arrives and what the gaps count make up what was put; no event and no battery is missing."""
    share = min(1.0, 0.2 * SCALE)
    put, continuity, keeper = _outage(tmp_path / "outbox.db", CRITICAL_HZ * share, round(SMALL_BYTES * share))

    assert continuity.lost == 0
    assert continuity.duplicates == 0
    assert continuity.reordered == 0
    assert {gap.cause for gap in keeper.lost} == {GapCause.SHED}
    given_up: Counter[str] = Counter()
    for gap in keeper.lost:
        assert gap.count is not None
        given_up[gap.lane] += gap.count
    arrived = {name: continuity.streams[ROBOT_ID, "boot", name].records for name in put}
    assert {name: arrived[name] + given_up[name] for name in put} == dict(put)
    assert given_up.keys() == {ODOM.name}
    assert arrived[BUMPER.name] == put[BUMPER.name]
    print(f"{put.total()} records of a week, {continuity.records} kept in a small file, the others counted")


def test_thinning_leaves_as_much_as_fits_evenly(tmp_path: Path) -> None:
    """Twice too much: about a half stays, evenly; not a hundredth of it, and not the newest days alone."""

    async def story() -> tuple[int, int, int]:
        keeper = Keeper(tmp_path / "outbox.db", "boot", THIN_BYTES)
        await keeper.open()
        fitted = put = 0
        while put < 2 * fitted or not fitted:
            put += len(keeper.put(ODOM, 1_080))
            await keeper.kept(PATIENCE_S)
            if not fitted and keeper.outbox.gaps.given_up:
                fitted = put  # so many fit whole
        kept = keeper.outbox.stored(ODOM.name)
        oldest = await keeper.outbox._writer.call(lambda database: database.read(0, 2**62, 1)[0].first_seq)
        await keeper.outbox.close()
        return fitted, kept, oldest

    fitted, kept, oldest = asyncio.run(story())

    assert oldest < fitted // 10
    assert kept > fitted * KEPT_SHARE_MIN, f"{kept} are left where {fitted} fitted whole; the oldest is {oldest}"
