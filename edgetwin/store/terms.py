"""Keep room: what the outbox keeps to, and what it tells the roof."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgetwin.records import Gap, GapCause, Record


def _unheard(*_: object) -> None:
    """Nobody listens."""


@dataclass(frozen=True, slots=True)
class OutboxNews:
    """What the outbox tells the roof, on the loop.

    Attributes:
        changed: Backlog is ready to be taken.
        committed: Records went to disk: the live lane may let go of what it cannot send.
        trouble: The disk fails (words), or works again (None). Once per change.
        set_aside: A broken file was moved to this name; what was wrong with it.
        given_up: Records will never arrive: why, how many more.
        tell: Numbers that will never arrive: make an event of the gap and return its record.
        replaced: The file is not the one that was written to: deleted, or on another disk (words).
        audit: The audit cannot be written (`trouble`), works again (`ok`), or was found altered (`broken`); words.
    """

    changed: Callable[[], None]
    committed: Callable[[], None]
    trouble: Callable[[str | None], None]
    set_aside: Callable[[Path, str], None]
    given_up: Callable[[GapCause, int], None]
    tell: Callable[[Gap], Record]
    replaced: Callable[[str], None] = _unheard
    audit: Callable[[str, str], None] = _unheard


@dataclass(frozen=True, slots=True)
class Limits:
    """What the outbox keeps to.

    Attributes:
        max_bytes: For the file, its WAL, the file of numbers and the audit.
        commit_interval_s: After this long a record is acknowledged or on disk.
        backlog_rate_max: Records per second of the backlog lane; 0: no limit.
    """

    max_bytes: int
    commit_interval_s: float
    backlog_rate_max: float = 0.0
