"""A store that a newer edgetwin wrote is known by its first page, and refused before anything touches it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from edgetwin.check import _store_faults
from edgetwin.store.opening import APPLICATION_ID, SCHEMA_VERSION, newer_version


def _store(path: Path, version: int, application_id: int = APPLICATION_ID) -> Path:
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA application_id = {application_id}")
    connection.execute(f"PRAGMA user_version = {version}")
    connection.execute("CREATE TABLE block (row INTEGER PRIMARY KEY)")
    connection.commit()
    connection.close()
    return path


@pytest.mark.parametrize(
    ("version", "application_id", "found"),
    [
        (SCHEMA_VERSION, APPLICATION_ID, None),
        (SCHEMA_VERSION + 1, APPLICATION_ID, SCHEMA_VERSION + 1),
        (2**30, APPLICATION_ID, None),  # damage, which the outbox sets aside
        (SCHEMA_VERSION + 1, 1, None),  # another program's
    ],
)
def test_only_a_plausible_newer_version_of_ours_counts(
    tmp_path: Path, version: int, application_id: int, found: int | None
) -> None:
    """Everything else is for the outbox to judge."""
    assert newer_version(_store(tmp_path / "o.db", version, application_id)) == found


@pytest.mark.parametrize("content", [None, b"", b"SQLite format 3\0", b"x" * 5000])
def test_no_file_and_no_database_are_not_newer(tmp_path: Path, content: bytes | None) -> None:
    """A first start, a power cut, garbage."""
    if content is not None:
        (tmp_path / "o.db").write_bytes(content)

    assert newer_version(tmp_path / "o.db") is None


def test_it_is_refused_in_words_and_left_alone(tmp_path: Path) -> None:
    """A downgrade must not set aside what waits to be sent."""
    path = _store(tmp_path / "o.db", SCHEMA_VERSION + 1)
    before = path.read_bytes()
    (fault,) = _store_faults(path)

    assert fault.where == "store.path"
    assert "was written by a newer edgetwin" in fault.what
    assert path.read_bytes() == before
    assert _store_faults(_store(tmp_path / "same.db", SCHEMA_VERSION)) == []
