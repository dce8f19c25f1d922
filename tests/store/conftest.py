"""What the tests of the store share."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgetwin.store import drain, gaps, outbox, shelf


@pytest.fixture(name="brisk", autouse=True)
def _brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries, deletes and gap events after hundredths of a second instead of whole ones."""
    monkeypatch.setattr(outbox, "_RETRY_S", 0.02)
    monkeypatch.setattr(drain, "_RETRY_S", 0.02)
    monkeypatch.setattr(drain, "_REFUSED_RETRY_S", 0.03)
    monkeypatch.setattr(drain, "_REFUSED_RETRY_MAX_S", 0.05)
    monkeypatch.setattr(shelf, "_FORGET_DELAY_S", 0.01)
    monkeypatch.setattr(gaps, "_TELL_PERIOD_S", 0.05)


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    """Where the file is."""
    return tmp_path / "outbox.db"
