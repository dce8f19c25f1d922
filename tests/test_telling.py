"""Telling how it goes: what cannot be written now is written later."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from edgetwin import telling
from edgetwin.clock import SystemClock
from edgetwin.settings.status import StatusSettings
from edgetwin.status import VERSION, StatusFile, read
from edgetwin.telling import Telling


class EnoughError(Exception):
    """The test has seen what it wants to."""


def _nobody(_figures: Any) -> None:
    """No systemd here."""


def test_a_status_file_that_cannot_be_written_for_a_while_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One failed write (a full disk, too many open files) once ended the status for ever; each change is said once."""
    monkeypatch.setattr(telling, "PERIOD_S", 0.01)
    caplog.set_level(logging.INFO, "edgetwin")
    directory = tmp_path / "run"
    turns = 0

    def figures() -> dict[str, Any]:
        nonlocal turns
        turns += 1
        if turns == 3:
            (directory / "status.json").unlink()
            directory.rmdir()
            directory.write_bytes(b"in the way")
        if turns == 6:
            directory.unlink()
        if turns == 8:
            raise EnoughError
        return {"v": VERSION, "turn": turns}

    one = Telling(StatusSettings(diagnostics=False), "robot_001", StatusFile(directory), _nobody, SystemClock())
    with pytest.raises(EnoughError):
        asyncio.run(one.run(figures, None))

    events = [getattr(record, "EVENT", "") for record in caplog.records]
    assert events == ["status.off", "status.on"]
    assert read(directory)["turn"] == 7
