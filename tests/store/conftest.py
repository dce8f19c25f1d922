"""What the tests of the store share."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgetwin.store import outbox as outbox_module


@pytest.fixture(name="brisk", autouse=True)
def _brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries and deletes after hundredths of a second instead of whole ones."""
    monkeypatch.setattr(outbox_module, "_RETRY_S", 0.02)
    monkeypatch.setattr(outbox_module, "_REFUSED_RETRY_S", 0.05)
    monkeypatch.setattr(outbox_module, "_FORGET_DELAY_S", 0.01)


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    """Where the file is."""
    return tmp_path / "outbox.db"
