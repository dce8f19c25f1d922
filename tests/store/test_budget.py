"""The outbox within its bytes, on a real SQLite: never above them, and every number given up is covered by a gap."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from edgetwin.store.block import Block
from edgetwin.store.database import Database
from edgetwin.store.numbers import Numbers
from edgetwin.store.schema import PAGE_BYTES
from edgetwin.store.sql import Sql
from tests.store.blocks import block, footprint, kept, noted

_SMALL, _MEDIUM = 1_000_000, 4_000_000
_RECORDS = 20  # per block


class _Filling:
    """One outbox file that is appended to, with its footprint watched after each append."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.path = path
        self.max_bytes = max_bytes
        self.highest = 0
        self.row = 0
        self.next_seq: dict[str, int] = {}
        self.numbers = Numbers(path.with_name(path.name + ".seq"), "b")
        self.numbers.begin(["odom", "scan", "gap"])
        self.numbers.save()
        self.database = Database(path, max_bytes)
        self.shed = 0

    def block(self, lane: str, *, size: int, count: int = _RECORDS) -> Block:
        self.row += 1
        first = self.next_seq.get(lane, 0)
        self.next_seq[lane] = first + count
        return block(self.row, lane, first, count, size=size)

    def append(self, *lanes: str, size: int = 200, count: int = _RECORDS) -> None:
        self.shed += self.database.append([self.block(lane, size=size, count=count) for lane in lanes])
        self.look()

    def look(self) -> None:
        self.highest = max(self.highest, footprint(self.path))

    def reopen(self, max_bytes: int = 0) -> None:
        self.database.close()
        self.look()
        self.database = Database(self.path, max_bytes or self.max_bytes)
        self.look()

    def check(self) -> dict[str, list[int]]:
        """All numbers are in the file or in a gap whose count is exact; the totals are right. Return what is kept."""
        found, gaps = kept(self.database), noted(self.database)
        for lane, next_seq in self.next_seq.items():
            seqs = found.get(lane, [])
            assert seqs == sorted(set(seqs))
            lost = set(range(next_seq)) - set(seqs)
            told = gaps.get((lane, "shed"), [])
            assert sum(gap.count or 0 for gap in told) == len(lost)
            assert all(any(gap.from_seq <= seq <= (gap.to_seq or 0) for gap in told) for seq in lost)
        assert self.database.totals().records == {lane: len(seqs) for lane, seqs in found.items()}
        assert sum(self.next_seq.values()) - sum(map(len, found.values())) == self.shed
        return found


@pytest.fixture(name="filling", params=[_SMALL, _MEDIUM])
def _filling(request: pytest.FixtureRequest, path: Path) -> Iterator[_Filling]:
    """A new one."""
    filling = _Filling(path, request.param)
    yield filling
    filling.database.close()
    filling.numbers.close(saved=True)


def _fill(filling: _Filling, *lanes: str, times: float, size: int = 200) -> None:
    """Append `times` as much as fits."""
    appended = 0
    while appended < times * filling.max_bytes:
        filling.append(*lanes, size=size)
        appended += len(lanes) * _RECORDS * size


def test_far_more_than_fits_never_takes_more_than_was_given(filling: _Filling) -> None:
    """Database, WAL and the file of numbers; four times the room; through a restart; every number accounted for."""
    _fill(filling, "odom", "scan", times=2)
    filling.reopen()
    _fill(filling, "odom", "scan", times=2)

    filling.check()
    assert filling.shed > 0
    assert filling.max_bytes // 2 < filling.highest <= filling.max_bytes


@pytest.mark.parametrize("size", [10, 1500, 3000])
def test_small_and_large_blocks_keep_to_it_as_well(filling: _Filling, size: int) -> None:
    """Of one class alone; the largest are 60 kB each."""
    _fill(filling, "odom", times=2 if size > 10 else 0.1, size=size)

    filling.check()
    assert filling.highest <= filling.max_bytes


def test_it_is_kept_at_any_moment(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between any two statements, not only when all is done: large blocks, thinned and written anew."""
    filling = _Filling(path, _SMALL)
    execute = Sql.execute

    def watched(sql: Sql, statement: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        filling.look()
        found = execute(sql, statement, values)
        filling.look()
        return found

    monkeypatch.setattr(Sql, "execute", watched)
    for size in (3000, 100, 1500):
        _fill(filling, "odom", "scan", times=1, size=size)

    assert filling.highest <= _SMALL
    filling.check()
    filling.database.close()


def test_many_blocks_in_one_append_keep_to_it(filling: _Filling) -> None:
    """After an outage of the disk everything comes at once; it is written in parts."""
    blocks = [filling.block("odom", size=1000) for _ in range(filling.max_bytes // _RECORDS // 500)]
    filling.shed += filling.database.append(blocks)
    filling.look()

    filling.check()
    assert filling.highest <= filling.max_bytes


def test_what_is_left_of_a_critical_lane_is_spread_evenly(path: Path) -> None:
    """Over the whole outage, the newest a little denser: no stretch of time is missing."""
    filling = _Filling(path, _SMALL)
    _fill(filling, "odom", times=4)

    seqs = filling.check()["odom"]
    steps = {later - earlier for earlier, later in pairwise(seqs)}
    assert seqs[0] == 0
    assert seqs[-1] > filling.next_seq["odom"] - 2 * max(steps)
    assert max(steps) <= 2 * min(step for step in steps if step > 1)
    assert steps <= {1, 2, 4, 8, 16, 32, 64}
    filling.database.close()


def test_slow_lanes_survive_longer_and_events_survive(path: Path) -> None:
    """Three times as much as fits, most of it critical: not one slow record and not one event is given up."""
    filling = _Filling(path, _SMALL)
    for _ in range(10):
        filling.append("scan", size=100)
        filling.append("gap", count=1)
        _fill(filling, "odom", times=0.3)
    found = filling.check()

    assert len(found["scan"]) == filling.next_seq["scan"]
    assert len(found["gap"]) == filling.next_seq["gap"] == 10
    assert len(found["odom"]) < filling.next_seq["odom"]
    filling.database.close()


def test_when_slow_lanes_alone_fill_it_they_are_given_up_and_events_are_not(path: Path) -> None:
    """Critical first, down to nothing; then slow; the events stay."""
    filling = _Filling(path, _SMALL)
    filling.append("odom")
    filling.append("gap", count=5)
    _fill(filling, "scan", times=4)
    found = filling.check()

    assert not found.get("odom")
    assert 0 < len(found["scan"]) < filling.next_seq["scan"]
    assert len(found["gap"]) == 5
    filling.database.close()


def test_freed_space_is_used_again(path: Path) -> None:
    """Outage, drain, outage: the second one keeps as much as the first, and the file does not grow."""
    filling = _Filling(path, _MEDIUM)
    whole = 0
    for _ in range(3):
        _fill(filling, "odom", times=0.4)
        assert filling.shed == 0
        whole = max(whole, path.stat().st_size)
        filling.database.forget([found.row for found in filling.database.read(0, 2**62, 10**6)])

    assert kept(filling.database) == {}
    assert path.stat().st_size <= whole <= _MEDIUM
    filling.database.close()


def test_after_an_outage_new_samples_are_whole_again(path: Path) -> None:
    """Thinning ends with the need for it."""
    filling = _Filling(path, _SMALL)
    _fill(filling, "odom", times=4)
    assert filling.shed > 0
    filling.database.forget([found.row for found in filling.database.read(0, 2**62, 10**6)])

    shed = filling.shed
    filling.append("odom")
    assert filling.shed == shed
    filling.database.close()


def test_after_an_outage_slow_samples_are_whole_again_too(path: Path) -> None:
    """A robot whose channels are all slow; everything was delivered, the file is empty."""
    filling = _Filling(path, _SMALL)
    _fill(filling, "scan", times=4)
    filling.database.forget([found.row for found in filling.database.read(0, 2**62, 10**6)])

    shed = filling.shed
    filling.append("scan")
    filling.database.close()
    assert filling.shed == shed


def test_full_of_events_is_full(path: Path) -> None:
    """Nothing is left that a sample may push out: it is given up itself; an event pushes out the oldest events."""
    filling = _Filling(path, _SMALL)
    while filling.database.used_bytes() < 0.91 * filling.database._budget.pages_max * PAGE_BYTES:
        filling.append("gap", count=5)

    assert filling.database.append([block(10**6, "odom", count=1, size=200)]) == 1
    assert noted(filling.database)["odom", "shed"][0].count == 1
    filling.append("gap")
    filling.append("gap")
    filling.append("gap")

    assert kept(filling.database)["gap"][-1] == filling.next_seq["gap"] - 1
    filling.look()
    assert filling.highest <= _SMALL
    filling.database.close()


def test_a_block_larger_than_the_whole_outbox_is_full(path: Path) -> None:
    """It is given up, and nothing else for it in vain."""
    filling = _Filling(path, _SMALL)
    filling.append("odom")
    assert filling.database.append([block(10**6, "scan", count=1, size=1_000_000)]) == 1

    assert noted(filling.database)["scan", "shed"][0].count == 1
    assert ("odom", "shed") not in noted(filling.database)
    filling.append("odom")
    filling.database.close()


def test_a_lowered_budget_is_kept_too(path: Path) -> None:
    """The user gives it less; at the next start and append it takes less."""
    filling = _Filling(path, _MEDIUM)
    _fill(filling, "odom", times=1)
    filling.reopen(_SMALL)
    filling.append("odom")
    filling.append("odom")

    size = footprint(path)
    filling.database.close()
    assert size <= _SMALL
