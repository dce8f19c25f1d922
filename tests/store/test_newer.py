"""A store that a newer edgetwin wrote is known by its first page, and refused before anything touches it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from edgetwin.check import _newer_store, _store_faults
from edgetwin.store.opening import newer_version
from edgetwin.store.schema import APPLICATION_ID, SCHEMA_VERSION


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


def test_check_tells_it_in_words_and_the_daemon_starts_all_the_same(tmp_path: Path) -> None:
    """A robot without telemetry is worse than a file set aside whole; the package's downgrade refuses before that."""
    path = _store(tmp_path / "o.db", SCHEMA_VERSION + 1)
    before = path.read_bytes()
    (fault,) = _newer_store(path)

    assert fault.where == "store.path"
    assert "was written by a newer edgetwin" in fault.what
    assert path.read_bytes() == before
    assert _store_faults(path) == []
    assert _newer_store(_store(tmp_path / "same.db", SCHEMA_VERSION)) == []


def test_the_package_knows_the_version_of_the_store_it_brings() -> None:
    """debian/edgetwin.preinst compares in shell what `newer_version` compares here."""
    script = Path("debian/edgetwin.preinst").read_text(encoding="utf-8")

    assert f"\nbrings={SCHEMA_VERSION}\n" in script
    assert f"\nours={APPLICATION_ID}\n" in script
