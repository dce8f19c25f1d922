"""What the tests of the store share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edgetwin.store import commits, drain, gaps, shelf
from edgetwin.store.number_format import memory_path


@pytest.fixture(name="brisk", autouse=True)
def _brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries, deletes and gap events after hundredths of a second instead of whole ones."""
    monkeypatch.setattr(commits, "_RETRY_S", 0.02)
    monkeypatch.setattr(commits, "_TROUBLED_LOOK_S", 0.01)
    monkeypatch.setattr(commits, "_EMPTY_LOOK_S", 0.01)
    monkeypatch.setattr(drain, "_RETRY_S", 0.02)
    monkeypatch.setattr(drain, "_REFUSED_RETRY_S", 0.03)
    monkeypatch.setattr(drain, "_REFUSED_RETRY_MAX_S", 0.05)
    monkeypatch.setattr(shelf, "_FORGET_DELAY_S", 0.01)
    monkeypatch.setattr(gaps, "_TELL_PERIOD_S", 0.05)


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Iterator[Path]:
    """Where the file is; what a kill left in memory goes with the test."""
    path = tmp_path / "outbox.db"
    yield path
    if (memory := memory_path(Path(f"{path}.seq"))) is not None:
        memory.unlink(missing_ok=True)
