"""Damage of known kinds: set aside whole, two kept, the rest of the file and of the robot untouched."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from edgetwin.continuity import Continuity
from edgetwin.sim.broker import LocalBroker
from edgetwin.store.opening import SCHEMA_VERSION
from tests.integration.lab import Daemon, Robot, Witness, until
from tests.proofs.broken_store import MAX_BYTES, UP_S, Original, tried
from tests.proofs.keeper import ODOM, Keeper
from tests.proofs.load import RATE_HZ, Load, settings

SEED = 17


@pytest.fixture(name="store")
def _store(original: Original, tmp_path: Path) -> Path:
    """A copy of the store that may be broken."""
    return Path(shutil.copytree(original.folder, tmp_path / "store"))


def _garbage(path: Path) -> None:
    path.write_bytes(Random(SEED).randbytes(path.stat().st_size))


def _half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _empty(path: Path) -> None:
    os.truncate(path, 0)


def _absent(path: Path) -> None:
    path.unlink()


def _newer(path: Path) -> None:
    _sql(path, f"PRAGMA user_version = {SCHEMA_VERSION + 1}")


def _sql(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(statement).close()
    connection.close()


BROKEN = (_garbage, _half, _empty, _absent, _newer)


@pytest.mark.parametrize("damage", BROKEN)
def test_a_broken_file_is_set_aside_whole(damage: Callable[[Path], None], store: Path, original: Original) -> None:
    """Every byte of database and log is there under the new name, and all that was in it is told as a gap.

    A file that is cut short beside a log may be sound (a power cut leaves such), so it is opened before it is judged,
    and what the log held is then in both.
    """
    damage(store / "outbox.db")
    before = {name: (store / name).read_bytes() for name in ("outbox.db", "outbox.db-wal") if (store / name).exists()}

    outcome = tried(store, original)

    assert outcome.wrong == []
    (moved,) = outcome.quarantined
    after = {name: Path(name.replace("outbox.db", str(moved))).read_bytes() for name in before}
    if damage is _half:
        assert len(after.pop("outbox.db")) >= len(before.pop("outbox.db"))
    assert after == before


def test_at_most_two_broken_files_are_kept(original: Original, tmp_path: Path) -> None:
    """Four in a row: the newest two stay, with their logs."""
    store = tmp_path / "store"
    for _ in range(4):
        shutil.copytree(original.folder, store, dirs_exist_ok=True)
        _empty(store / "outbox.db")
        assert len(tried(store, original).quarantined) == 1

    assert sorted(file.name for file in store.glob("*.broken-*")) == [
        "outbox.db.broken-3", "outbox.db.broken-3-wal", "outbox.db.broken-4", "outbox.db.broken-4-wal",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE block SET class = 'criticam' WHERE row = 20",
        "UPDATE block SET lane = CAST(x'6f64ff6d' AS TEXT) WHERE row = 20",
        "UPDATE block SET lane = 'odo}' WHERE row = 20",
        "UPDATE block SET body = 'text' WHERE row = 20",
    ],
)
def test_damage_to_the_small_columns_of_a_row_costs_that_row_alone(
    statement: str, store: Path, original: Original
) -> None:
    """A bit of a class or a lane flips, which no check of SQLite sees: the others leave, no topic is made up."""
    _sql(store / "outbox.db", statement)

    assert tried(store, original).wrong == []


def test_a_damaged_gap_does_not_silence_the_others(store: Path) -> None:
    """Two gaps wait to be told; one has lost a bit."""

    async def story() -> list[str]:
        keeper = Keeper(store / "outbox.db", "new", MAX_BYTES)
        await keeper.open()
        await keeper.tell_gaps(Continuity())
        await keeper.outbox.close()
        return [gap.boot for gap in keeper.lost]

    _sql(store / "outbox.db", "INSERT INTO gap VALUES (100, 'odom', 'damaged', 0, 4, 5, 'crasx', 0)")
    _sql(store / "outbox.db", "INSERT INTO gap VALUES (101, 'odom', 'sound', 0, 4, 5, 'crash', 0)")

    assert "sound" in asyncio.run(story())


@pytest.mark.xfail(strict=True, reason="a quarantine tells of the last boot only, not of those before it")
def test_what_older_boots_left_in_a_broken_file_is_told_too(original: Original, store: Path) -> None:
    """Two restarts in one outage, then the file breaks: the numbers of the first boot are in no gap."""

    async def restart() -> None:
        keeper = Keeper(store / "outbox.db", "between", MAX_BYTES)
        await keeper.open()
        keeper.put(ODOM, 3)
        await keeper.kept()
        await keeper.outbox.close()

    asyncio.run(restart())
    _garbage(store / "outbox.db")

    assert tried(store, original).wrong == []


@pytest.mark.parametrize("damage", [_garbage, _empty, _newer])
def test_a_daemon_with_a_broken_file_is_up_within_5_s_and_says_so(
    damage: Callable[[Path], None], store: Path, tmp_path: Path, broker: LocalBroker, robot: Robot
) -> None:
    """The real one, with a real robot: running, one line, one event, records arrive and leave, no second quarantine."""
    damage(store / "outbox.db")
    config = settings(broker.port, store, "/broken")
    with Witness(broker.port) as witness, Load(robot, "/broken"):
        daemon = Daemon(tmp_path, config)
        started_s = time.monotonic()
        with daemon:
            up_s = time.monotonic() - started_s
            until(lambda: len(witness.records("pose")) > RATE_HZ["pose"], "a second of live records")
            until(lambda: witness.on("/events/store"), "the event")
        assert daemon.process is not None
        assert daemon.process.returncode == 0
    events = [record["data"]["state"] for arrival in witness.on("/events/store") for record in arrival.records]

    assert up_s < UP_S
    assert events == ["quarantined"]
    assert daemon.log.count("it was set aside as") == 1
    assert len([file for file in store.glob("*.broken-*") if file.name[-1].isdecimal()]) == 1
    assert witness.continuity().lost == 0
