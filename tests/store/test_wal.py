"""What a write-ahead log holds, beside what SQLite makes of it."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgetwin.store import wal
from edgetwin.store.schema import PAGE_BYTES
from edgetwin.store.wal import Logged


@pytest.fixture(name="log")
def _log(tmp_path: Path) -> Path:
    """A log as a kill leaves it: folded in once, then written again over its own leavings, from the beginning."""
    path = tmp_path / "running.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE t (x)")
    for size in (60_000, 30_000):
        connection.execute("INSERT INTO t VALUES (randomblob(?))", (size,))
        if size == 60_000:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
    shutil.copy(path, tmp_path / "killed.db")
    log = shutil.copy(f"{path}-wal", tmp_path / "killed.db-wal")
    connection.close()
    return Path(log)


def test_it_says_how_long_the_database_is_and_which_pages_it_has(log: Path) -> None:
    """Just the frames of this round: SQLite, given log and database, agrees on the length."""
    logged = wal.read(log, PAGE_BYTES)
    connection = sqlite3.connect(log.with_name("killed.db"))
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.close()

    assert logged.database_pages == pages
    assert max(logged.pages) == pages
    assert len(logged.pages) < 15  # the 60 kB of the round before are in the file, and their frames still in the log


def test_what_was_not_committed_does_not_count(log: Path) -> None:
    """Cut off in the middle of the only transaction of this round."""
    content = log.read_bytes()
    log.write_bytes(content[: 32 + 3 * (24 + PAGE_BYTES) + 100])

    assert wal.read(log, PAGE_BYTES) == Logged()


@pytest.mark.parametrize("content", [b"", b"x", bytes(32), b"garbage" * 10_000])
def test_what_is_no_log_holds_nothing(content: bytes, tmp_path: Path) -> None:
    """Empty, short, zeros, garbage."""
    (tmp_path / "log").write_bytes(content)

    assert wal.read(tmp_path / "log", PAGE_BYTES) == Logged()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(place=st.integers(0, 10**6), flip=st.integers(1, 255))
def test_damage_is_no_traceback(place: int, flip: int, log: Path) -> None:
    """Any byte."""
    content = bytearray(log.read_bytes())
    content[place % len(content)] ^= flip
    damaged = log.with_name("damaged")
    damaged.write_bytes(content)

    assert wal.read(damaged, PAGE_BYTES).database_pages >= 0
