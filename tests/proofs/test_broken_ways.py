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
from edgetwin.records import GapCause
from edgetwin.sim.broker import LocalBroker
from edgetwin.store import wal
from edgetwin.store.checksum import checksum
from edgetwin.store.schema import PAGE_BYTES, SCHEMA_VERSION
from tests.integration.lab import Daemon, Robot, Witness, until
from tests.proofs.broken_store import MAX_BYTES, UP_S, Original, tried
from tests.proofs.keeper import ODOM, Keeper, covered
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

    Also of a file that is cut short beside a log: a power cut leaves such files, and they are sound, but not this one.
    """
    damage(store / "outbox.db")
    before = {name: (store / name).read_bytes() for name in ("outbox.db", "outbox.db-wal") if (store / name).exists()}

    outcome = tried(store, original)

    assert outcome.wrong == []
    (moved,) = outcome.quarantined
    after = {name: Path(name.replace("outbox.db", str(moved))).read_bytes() for name in before}
    assert after == before


def test_a_file_that_is_cut_short_where_its_log_has_the_rest_is_sound(store: Path, original: Original) -> None:
    """As a power cut leaves it in the middle of folding the log in: it is not set aside, and all of it arrives."""
    database, log = store / "outbox.db", store / "outbox.db-wal"
    pages = wal.read(log, PAGE_BYTES).pages
    whole = database.stat().st_size // PAGE_BYTES
    kept = next(page for page in range(whole, 0, -1) if page not in pages)
    assert kept < whole, "the log holds no page at the end of the file: nothing is tried here"
    os.truncate(database, kept * PAGE_BYTES)

    outcome = tried(store, original)

    assert (outcome.wrong, outcome.quarantined) == ([], [])
    assert outcome.arrived == original.content


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
        "UPDATE block SET lane = x'00' WHERE row = 20",
        "UPDATE block SET boot = 'olc' WHERE row = 20",
        "UPDATE block SET event = 1 WHERE row = 20",
        "UPDATE block SET first_seq = 3 WHERE row = 20",
        "UPDATE block SET first_seq = 'x' WHERE row = 20",
        "UPDATE block SET last_seq = -1 WHERE row = 20",
        "UPDATE block SET count = 3000 WHERE row = 20",
        "UPDATE block SET count = 0 WHERE row = 20",
        "UPDATE block SET count = 'x' WHERE row = 20",
        "UPDATE block SET crc = 'a' WHERE row = 20",
        "UPDATE block SET body = 'text' WHERE row = 20",
        "UPDATE block SET row = -5 WHERE row = 20",
        "UPDATE block SET row = 9223372036854775807 WHERE row = 20",
        "UPDATE block SET row = 4600000000000000000 WHERE row = 20",
        "DELETE FROM block WHERE row = 20",
    ],
)
def test_damage_to_the_small_columns_of_a_row_costs_that_row_alone(
    statement: str, store: Path, original: Original
) -> None:
    """A bit of a class, a lane, a type or a key flips, which no check of SQLite sees: the others leave, all is told."""
    _sql(store / "outbox.db", statement)

    outcome = tried(store, original)

    assert (outcome.wrong, outcome.quarantined) == ([], [])
    assert len(outcome.arrived) >= len(original.content) - 9


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE total SET records = 1",  # as case 17:173 once: none were said to wait, fresh records did
        "UPDATE total SET records = 100000",
        "UPDATE total SET records = 'x'",
        "UPDATE total SET lane = 'odon' WHERE lane = 'odom'",
        "DELETE FROM total WHERE lane = 'odom'",
        "UPDATE counter SET value = 'x'",
        "UPDATE counter SET value = 5",  # new rows would be written over old ones
        "UPDATE counter SET value = 9223372036854775807",
        "DELETE FROM counter",
    ],
)
def test_damage_to_the_counts_costs_nothing(statement: str, store: Path, original: Original) -> None:
    """Everything arrives, the old and the fresh; what is left to send is said rightly."""
    _sql(store / "outbox.db", statement)

    outcome = tried(store, original)

    assert (outcome.wrong, outcome.quarantined) == ([], [])
    assert outcome.arrived == original.content


def test_a_row_that_is_damaged_beyond_knowing_what_it_was_is_told(store: Path, original: Original) -> None:
    """Case 17:813: four zeros across the border of checksum and body; neither can vouch for the other."""
    _sql(store / "outbox.db", "UPDATE block SET crc = crc & ~255, body = x'000000' || substr(body, 4) WHERE row = 20")

    outcome = tried(store, original)

    assert (outcome.wrong, outcome.quarantined) == ([], [])
    assert len(outcome.arrived) == len(original.content) - 9


@pytest.mark.parametrize(
    "values",
    [
        "'odom', 'damaged', 'x', 4, 5, 'crash'",
        "'odom', 'damaged', 0, 'z', x'ff', 'crash'",
        "'odom', 'damaged', 0, 9223372036854775807, 5, 'crash'",
        "'odom', 'damaged', 0, 4, 5, 'crash'",  # looks sound; its checksum knows
        "x'ff', x'ff', 0, 4, 5, 'crash'",
    ],
)
def test_a_damaged_gap_is_never_believed_and_stops_nothing(values: str, store: Path, original: Original) -> None:
    """Not even where it looks sound; everything that the file may have held is told as damaged."""
    _sql(store / "outbox.db", f"INSERT INTO gap VALUES (100, {values}, 0, 7)")  # noqa: S608

    outcome = tried(store, original)

    assert (outcome.wrong, outcome.quarantined) == ([], [])
    assert outcome.arrived == original.content
    assert {(gap.boot, gap.cause) for gap in outcome.gaps} >= {("old", GapCause.DAMAGED)}
    assert "damaged" not in {gap.boot for gap in outcome.gaps}


def test_a_damaged_gap_does_not_silence_the_others(store: Path) -> None:
    """Two gaps wait to be told; one has lost a bit."""

    async def story() -> list[str]:
        keeper = Keeper(store / "outbox.db", "new", MAX_BYTES)
        await keeper.open()
        await keeper.tell_gaps(Continuity())
        await keeper.outbox.close()
        return [gap.boot for gap in keeper.lost]

    sound = checksum("odom", "sound", 0, 4, 5, "crash")
    _sql(store / "outbox.db", "INSERT INTO gap VALUES (100, 'odom', 'damaged', 0, 4, 5, 'crasx', 0, 7)")
    _sql(store / "outbox.db", f"INSERT INTO gap VALUES (101, 'odom', 'sound', 0, 4, 5, 'crash', 0, {sound})")  # noqa: S608

    assert "sound" in asyncio.run(story())


@pytest.mark.parametrize("restarts", [1, 5])
@pytest.mark.parametrize("killed", [False, True])
def test_what_older_boots_left_in_a_broken_file_is_told_too(
    restarts: int, killed: bool, original: Original, store: Path
) -> None:
    """Some restarts in one outage, then the file breaks: the numbers of every boot are in a gap, to the number."""

    async def restart(boot: str) -> None:
        keeper = Keeper(store / "outbox.db", boot, MAX_BYTES)
        await keeper.open()
        keeper.deliver(ODOM, 4)
        keeper.put(ODOM, 3)
        await keeper.kept()
        await (keeper.abandon() if killed else keeper.outbox.close())

    boots = [f"between{index}" for index in range(restarts)]
    for boot in boots:
        asyncio.run(restart(boot))
    _garbage(store / "outbox.db")

    outcome = tried(store, original)

    assert outcome.wrong == []
    told = {boot: covered(outcome.gaps, boot, [GapCause.QUARANTINE]) for boot in boots}
    assert told == {boot: {ODOM.name: {4, 5, 6}} for boot in boots}


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
