"""The write-ahead log, checked frame by frame: as much of it is believed as SQLite itself would believe."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from edgetwin.export.log import Log
from edgetwin.store.schema import PAGE_BYTES

FRAME_BYTES = 24 + PAGE_BYTES


@pytest.fixture(name="base")
def _base(tmp_path: Path) -> Iterator[tuple[sqlite3.Connection, Path]]:
    """A database whose rows are all in its log, and where that is."""
    connection = sqlite3.connect(tmp_path / "base.db", isolation_level=None)
    with closing(connection):
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("CREATE TABLE thing (row INTEGER PRIMARY KEY, body BLOB)")
        for row in range(40):
            connection.execute("INSERT INTO thing VALUES (?, zeroblob(3000))", (row,))
        yield connection, tmp_path / "base.db-wal"


def recovered(path: Path, folder: Path) -> int:
    """Return how many rows SQLite finds in a copy of the database with this log."""
    shutil.copyfile(path.with_name("base.db"), folder / "copy.db")
    shutil.copyfile(path, folder / "copy.db-wal")
    with closing(sqlite3.connect(folder / "copy.db")) as copy:
        try:
            return int(copy.execute("SELECT count(*) FROM thing").fetchone()[0])
        except sqlite3.OperationalError:
            return 0


def rows_of(log: Log) -> int:
    """Return how many rows the newest root page in a log tells, by its pages: each row fills one."""
    page = log.page(2)
    return 0 if page is None else int.from_bytes(page[3:5], "big") + (1 if page[0] == 0x05 else 0)


def test_every_committed_frame_is_believed_and_gives_its_page(base: tuple[sqlite3.Connection, Path]) -> None:
    """And those that come later are taken in where it stopped."""
    connection, path = base
    log = Log(path)
    first = log.read_on()
    connection.execute("INSERT INTO thing VALUES (99, zeroblob(3000))")
    fresh = log.read_on()

    assert rows_of(log) == 41
    assert 2 in first
    assert fresh
    assert len(fresh) < 5
    assert not log.is_cut()


@pytest.mark.parametrize("frame", [0, 1, 7, 30, 70])
@pytest.mark.parametrize("byte", [0, 5, 9, 17, 24, 2000, FRAME_BYTES - 1])
def test_a_flipped_bit_ends_it_where_it_ends_for_sqlite(
    base: tuple[sqlite3.Connection, Path], tmp_path: Path, frame: int, byte: int
) -> None:
    """Page number, commit, salt, checksum, content: whatever it hit; and it is told that more stood behind."""
    content = bytearray(base[1].read_bytes())
    content[32 + frame * FRAME_BYTES + byte] ^= 0x10
    damaged = tmp_path / "damaged-wal"
    damaged.write_bytes(content)
    shutil.copyfile(base[1].with_name("base.db"), tmp_path / "damaged")
    log = Log(damaged)
    log.read_on()
    folder = tmp_path / "sqlite"
    folder.mkdir()
    shutil.copyfile(base[1].with_name("base.db"), folder / "base.db")
    shutil.copyfile(damaged, folder / "base.db-wal")
    (folder / "out").mkdir()

    assert rows_of(log) == recovered(folder / "base.db-wal", folder / "out")
    assert log.is_cut()


def test_a_log_that_is_cut_off_or_absent_holds_what_was_committed_before(
    base: tuple[sqlite3.Connection, Path], tmp_path: Path
) -> None:
    """A frame that is half there is no frame; nothing behind it, nothing damaged."""
    content = base[1].read_bytes()
    for size in (0, 31, 32, 33, 32 + FRAME_BYTES * 9 - 1, 32 + FRAME_BYTES * 9 + 5):
        part = tmp_path / f"part-{size}"
        part.write_bytes(content[:size])
        log = Log(part)
        log.read_on()

        assert not log.is_cut()
        assert rows_of(log) <= 5
    assert not Log(tmp_path / "absent").begun
