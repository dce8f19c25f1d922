"""A case to examine, without a file of its own."""

from __future__ import annotations

from pathlib import Path

from edgetwin import config
from edgetwin.clock import SystemClock
from edgetwin.doctor.findings import Case

_EXAMPLE = Path(__file__).parents[2] / "config" / "edgetwin.toml"


def case_at(folder: Path) -> Case:
    """Return the shipped settings with an outbox that is not there yet, below a folder."""
    settings = config.load(_EXAMPLE, {}).settings
    store = settings.store.model_copy(update={"path": folder / "edgetwin-none" / "outbox.db"})
    return Case(folder, settings.model_copy(update={"store": store}), {}, SystemClock())
