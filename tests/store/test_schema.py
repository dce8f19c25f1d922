"""A file of an older edgetwin is brought up to date when it is opened, whole or not at all; nothing in it is lost."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from edgetwin.clock import SystemClock
from edgetwin.errors import StoreError
from edgetwin.records import Gap, GapCause
from edgetwin.store.checksum import checksum
from edgetwin.store.database import Database
from edgetwin.store.examination import examine
from edgetwin.store.schema import SCHEMA_VERSION
from tests.store.blocks import ROOMY_BYTES, block, kept

# What version 1 had in place of today's table of gaps; all else is the same.
_GAPS_1 = """
DROP TABLE gap;
CREATE TABLE gap (
    id INTEGER PRIMARY KEY AUTOINCREMENT, lane TEXT NOT NULL, boot TEXT NOT NULL, from_seq INTEGER NOT NULL,
    to_seq INTEGER, count INTEGER, cause TEXT NOT NULL, told INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX gap_untold ON gap (lane, boot, cause) WHERE told = 0;
INSERT INTO gap VALUES (3, 'odom', 'b', 7, 9, 3, 'shed', 1), (5, 'odom', 'b', 10, NULL, NULL, 'crash', 0),
    (6, 'scan', 'b', 'x', 4, 5, 'crash', 0);
PRAGMA user_version = 1;
"""
_TOLD = [
    Gap("odom", "b", 7, 9, 3, GapCause.SHED, 3),
    Gap("odom", "b", 10, None, None, GapCause.CRASH, 5),
    Gap("", "", 0, None, None, GapCause.DAMAGED, 6),
]


@pytest.fixture(name="old")
def _old(tmp_path: Path) -> Path:
    """A file of version 1, with records and gaps, as a kill left it: some of it only in its log."""
    path = tmp_path / "outbox.db"
    database = Database(path, ROOMY_BYTES)
    database.append([block(1, first_seq=20)])
    database.close()
    connection = sqlite3.connect(path)
    connection.executescript(_GAPS_1)
    connection.close()
    connection = sqlite3.connect(path)
    connection.execute("UPDATE counter SET value = 77")
    connection.commit()
    killed = tmp_path / "killed"
    killed.mkdir()
    for name in ("outbox.db", "outbox.db-wal"):
        shutil.copy(tmp_path / name, killed / name)
    connection.close()
    return killed / "outbox.db"


def _version(path: Path) -> int:
    connection = sqlite3.connect(path)
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    connection.close()
    return int(version)


def test_records_gaps_and_numbers_of_an_older_file_are_kept(old: Path) -> None:
    """Gaps get a checksum, over what stands there; what cannot be one of ours is damage, as it was."""
    database = Database(old, ROOMY_BYTES)

    assert kept(database) == {"odom": [20, 21, 22]}
    assert database.totals().next_row == 77
    assert database.gaps_to_tell() == _TOLD
    database.forget_gaps([5])
    assert [gap.id for gap in database.gaps_to_tell()] == [3, 6]
    database.close()
    assert _version(old) == SCHEMA_VERSION


def test_an_older_file_is_upgraded_once(old: Path) -> None:
    """The second opening changes nothing."""
    Database(old, ROOMY_BYTES).close()
    before = old.read_bytes()
    database = Database(old, ROOMY_BYTES)

    assert database.gaps_to_tell() == _TOLD
    assert database._sql.execute("SELECT name FROM sqlite_schema WHERE name = 'gap_untold'") == []
    database.close()
    assert _version(old) == SCHEMA_VERSION
    assert len(old.read_bytes()) == len(before)


def test_an_upgrade_that_the_disk_refuses_leaves_the_file_as_it_was(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of it: the next start finds version 1, whole, and tries again."""

    def refuse(*_: object) -> int:
        msg = "disk I/O error"
        raise sqlite3.OperationalError(msg)

    monkeypatch.setattr("edgetwin.store.schema.checksum", refuse)
    with pytest.raises(StoreError, match="disk I/O error"):
        Database(old, ROOMY_BYTES)
    assert _version(old) == 1
    monkeypatch.undo()

    database = Database(old, ROOMY_BYTES)
    assert database.gaps_to_tell() == _TOLD
    database.close()


def test_doctor_finds_nothing_wrong_with_an_older_file(old: Path) -> None:
    """It is not for it to upgrade: the file stays as it is."""
    before = old.read_bytes()

    assert examine(old, SystemClock(), 5.0).fault == ""
    assert old.read_bytes() == before


def test_a_checksum_knows_types_from_one_another() -> None:
    """And every column."""
    columns = ("odom", "b", 7, None, 3, "shed")

    assert len({checksum(*columns), checksum("odom", "b", "7", None, 3, "shed"), checksum(*columns[:-1])}) == 3
    assert checksum(*columns) == checksum(*columns)
