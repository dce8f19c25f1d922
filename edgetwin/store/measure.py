"""Keep room: how much the outbox takes up, and how old what waits in it is.

In: the open database     Out: Measure. On the store's thread: a disk that hangs holds up nobody else.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgetwin import wire
from edgetwin.store.block import unpack
from edgetwin.store.database import Database
from edgetwin.store.examination import footprint

_LAST_ROW = 2**62


@dataclass(frozen=True, slots=True)
class Measure:
    """The outbox at one moment.

    Attributes:
        used_bytes: On disk, with everything that belongs to it.
        oldest_us: When the oldest record in it was received, wall clock [us]; None: there is none, or it is damaged.
    """

    used_bytes: int = 0
    oldest_us: int | None = None


def take(database: Database, path: Path) -> Measure:
    """Measure the outbox at `path`, whose database is open."""
    oldest_us: int | None = None
    for block in database.read(0, _LAST_ROW, 1):
        try:
            oldest_us = int(wire.decode(unpack(block)[0])[0]["recv_us"])
        except (ValueError, KeyError, TypeError, IndexError):
            continue
    return Measure(footprint(path), oldest_us)
