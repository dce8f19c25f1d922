"""Gaps on a real SQLite: grown while sound, never believed once a bit of them has flipped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgetwin.errors import StoreDamagedError
from edgetwin.records import Gap, GapCause
from edgetwin.store import gap_rows
from edgetwin.store.database import Database
from edgetwin.store.gap_rows import joined
from tests.store.blocks import ROOMY_BYTES

SHED = Gap("odom", "0f3a5c7e9b1d2f4a", 1_000, 2_047, 900, GapCause.SHED)
OPEN = Gap("scan_front", "0f3a5c7e9b1d2f4a", 77, None, None, GapCause.DAMAGED)
LOST = Gap("", "", 0, None, None, GapCause.DAMAGED)
ROW_BYTES = 96  # more than a row of SHED has, from its first byte on


@pytest.fixture(name="database")
def _database(tmp_path: Path) -> Iterator[Database]:
    """An open, empty one."""
    database = Database(tmp_path / "outbox.db", ROOMY_BYTES)
    yield database
    database.close()


def _told(database: Database) -> list[Gap]:
    return [replace(gap, id=0) for gap in database.gaps_to_tell()]


def test_a_gap_comes_back_as_it_was_noted(database: Database) -> None:
    """Open ends and unknown counts, too."""
    database.remember_gaps([SHED, OPEN])

    assert _told(database) == [SHED, OPEN]


@pytest.mark.parametrize(
    ("more", "grown"),
    [
        (replace(SHED, from_seq=10, to_seq=20, count=3), replace(SHED, from_seq=10, count=903)),
        (replace(SHED, from_seq=3_000, to_seq=3_001, count=2), replace(SHED, to_seq=3_001, count=902)),
        (replace(SHED, to_seq=None, count=5), replace(SHED, to_seq=None, count=905)),
        (replace(SHED, count=None), replace(SHED, count=None)),
    ],
)
def test_gaps_of_one_lane_boot_and_cause_grow_together(database: Database, more: Gap, grown: Gap) -> None:
    """Wide enough for both; what nobody knows of one, nobody knows of both."""
    database.remember_gaps([SHED])
    database.remember_gaps([more])

    assert joined(SHED, more) == grown
    assert _told(database) == [grown]


def test_a_gap_that_was_told_grows_no_more_and_is_forgotten_by_its_id(database: Database) -> None:
    """What comes later is another one."""
    database.remember_gaps([SHED])
    (told,) = database.gaps_to_tell()
    database.remember_gaps([SHED, replace(SHED, lane="imu")])

    assert _told(database) == [SHED, SHED, replace(SHED, lane="imu")]
    database.forget_gaps([told.id])
    assert _told(database) == [SHED, replace(SHED, lane="imu")]


@pytest.mark.parametrize(
    "damage",
    [
        "lane = 'odon'", "boot = '0f3a5c7e9b1d2f4b'", "from_seq = 1001", "from_seq = 'x'", "from_seq = -1",
        "to_seq = 1023", "to_seq = NULL", "count = 901", "count = NULL", "cause = 'crash'", "cause = 'she'",
        "lane = x'6f646f6d'", "crc = crc + 1", "crc = NULL", "crc = 'x'",
    ],
)  # fmt: skip
def test_damage_to_any_column_is_noticed(database: Database, damage: str) -> None:
    """The row says that something was lost, and no more; the others are told as they are."""
    database.remember_gaps([SHED, OPEN])
    database._sql.execute(f"UPDATE gap SET {damage} WHERE id = 1")  # noqa: S608

    assert _told(database) == [LOST, OPEN]


def test_a_damaged_gap_is_not_made_sound_by_what_is_added_to_it(database: Database) -> None:
    """A new row begins beside it: a checksum over damaged numbers would vouch for them."""
    database.remember_gaps([SHED])
    database._sql.execute("UPDATE gap SET from_seq = 0")
    more = replace(SHED, from_seq=5_000, to_seq=5_009, count=10)
    database.remember_gaps([more])
    database.remember_gaps([more])

    assert _told(database) == [LOST, replace(more, count=20)]


def test_a_cause_that_a_newer_edgetwin_wrote_is_told_as_damage(database: Database) -> None:
    """Its checksum holds, so its numbers are believed."""
    with database._sql.transaction():
        gap_rows.note(database._sql, replace(SHED, cause="rusted"))  # type: ignore[arg-type]

    assert _told(database) == [replace(SHED, cause=GapCause.DAMAGED)]


@pytest.fixture(name="files", scope="module")
def _files(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, int, Path]:
    """A closed file with two gaps, where in it the first row begins, and a folder for damaged ones."""
    folder = tmp_path_factory.mktemp("gaps")
    database = Database(folder / "whole.db", ROOMY_BYTES)
    database.remember_gaps([SHED, OPEN])
    database.close()
    content = (folder / "whole.db").read_bytes()
    # Rows lie from the end of the page towards its head: the second one ends where the first begins.
    return content, content.index(b"odom" + SHED.boot.encode()) - 16, folder


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=400, deadline=None)
@given(place=st.integers(0, ROW_BYTES - 1), bit=st.integers(0, 7))
def test_a_flipped_bit_on_disk_is_noticed_or_changes_nothing(
    files: tuple[bytes, int, Path], place: int, bit: int
) -> None:
    """The file is set aside, or the row known to be damaged, or all is as it was: never another gap than was lost."""
    content, start, folder = files
    damaged = bytearray(content)
    damaged[start + place] ^= 1 << bit
    path = folder / "damaged.db"
    for stale in folder.glob("damaged.db*"):
        stale.unlink()
    path.write_bytes(damaged)

    try:
        database = Database(path, ROOMY_BYTES)
    except StoreDamagedError:
        return
    told = _told(database)
    database.close()

    assert len(told) == 2
    assert all(gap in (SHED, OPEN, LOST) for gap in told), told
