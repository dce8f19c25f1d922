"""Wall clocks that jump by ten years, both ways: nothing is purged, nothing is reordered, nothing is renamed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from edgetwin.continuity import Continuity
from edgetwin.records import Parcel
from tests.proofs.keeper import BATTERY, BUMPER, ODOM, Keeper, SetClock, records_of

TEN_YEARS_S = 10 * 365.25 * 86_400
STEPS_S = (TEN_YEARS_S, -TEN_YEARS_S, -TEN_YEARS_S, TEN_YEARS_S, -1_795_000_000.0, TEN_YEARS_S)  # one to 1970
ROUNDS = 5


async def _outage(path: Path, boot: str, steps_s: tuple[float, ...], clock: SetClock) -> int:
    """Put records while the wall clock steps; return how many."""
    keeper = Keeper(path, boot, clock=clock)
    await keeper.open()
    put = 0
    for step_s in (0.0, *steps_s):
        clock.wall_ns += round(step_s * 1e9)
        for _ in range(ROUNDS):
            for lane, count in ((ODOM, 20), (BATTERY, 2), (BUMPER, 1)):
                put += len(keeper.put(lane, count))
            await keeper.kept()
    await keeper.outbox.close()
    return put


def _step_and_drain(path: Path, steps_s: tuple[float, ...], restarts: int) -> tuple[int, Continuity, Keeper]:
    clock = SetClock()
    continuity = Continuity()

    async def story() -> tuple[int, Keeper]:
        put = 0
        for restart in range(restarts):
            put += await _outage(path, f"boot{restart}", steps_s, clock)
            clock.shown_ns = 1_000_000_000  # the machine starts again: its monotonic clock begins anew
        keeper = Keeper(path, "last", clock=clock)
        await keeper.open()

        def take(parcel: Parcel) -> None:
            for record in records_of(parcel):
                continuity.note(record, lane="backlog")

        await keeper.drain(take)
        await keeper.tell_gaps(continuity)
        await keeper.outbox.close()
        return put, keeper

    put, keeper = asyncio.run(story())
    return put, continuity, keeper


@pytest.mark.parametrize("restarts", [1, 3])
@pytest.mark.parametrize("step_s", STEPS_S[:2])
def test_a_step_of_ten_years_purges_and_reorders_nothing(step_s: float, restarts: int, tmp_path: Path) -> None:
    """One step in the middle of an outage, forward or back, with and without restarts."""
    put, continuity, keeper = _step_and_drain(tmp_path / "outbox.db", (step_s,), restarts)

    assert continuity.records == put
    assert (continuity.lost, continuity.duplicates, continuity.reordered) == (0, 0, 0)
    assert keeper.lost == []


def test_steps_to_and_fro_across_restarts_purge_and_reorder_nothing(tmp_path: Path) -> None:
    """Six steps a boot, one of them to 1970, three boots in one file."""
    put, continuity, keeper = _step_and_drain(tmp_path / "outbox.db", STEPS_S, 3)

    assert continuity.records == put
    assert (continuity.lost, continuity.duplicates, continuity.reordered) == (0, 0, 0)
    assert keeper.lost == []
