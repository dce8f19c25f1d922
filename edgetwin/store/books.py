"""Keep room: the file of numbers, kept in step with what the outbox knows.

In: records numbered, rows committed     Out: what the last boot left; the gaps of a lost file.
One write for each turn of the loop that numbered something.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from edgetwin.records import Gap, GapCause, Record
from edgetwin.store import numbers
from edgetwin.store.gaps import Gaps
from edgetwin.store.ledger import Ledger
from edgetwin.store.shelf import Shelf


class Books:
    """The numbers of one boot.

    Attributes:
        last: What the boot before left, once `open` was called.
    """

    def __init__(self, path: Path, boot: str, ledger: Ledger, shelf: Shelf, gaps: Gaps) -> None:
        self.last: numbers.LastBoot | None = None
        self._path = path
        self._boot = boot
        self._ledger = ledger
        self._shelf = shelf
        self._gaps = gaps
        self._numbers = numbers.Numbers(path, boot)
        self._lanes: list[str] = []
        self._noted = False
        self._loop = asyncio.get_running_loop()

    def open(self, lanes: Iterable[str]) -> None:
        """Read what the last boot left; its file stays until `begin`."""
        self._lanes = list(lanes)
        self.last = numbers.read(self._path)

    def begin(self) -> None:
        """What the last boot left is in the outbox: replace its file by this boot's."""
        with suppress(OSError):  # then a crash is told less exactly; the disk will be heard of soon enough
            self._numbers.begin(self._lanes)

    def count(self, record: Record) -> None:
        """A record was numbered."""
        self._numbers.note(record.lane.name, record.seq + 1)
        if not self._noted:
            self._noted = True
            self._loop.call_soon(self._write)

    def committed(self, row: int) -> None:
        """Rows up to this one are on disk."""
        self._numbers.note_row(row)
        self.look()

    def look(self) -> None:
        """Note from where on nobody answers for a lane's numbers: not the broker, not the disk, no gap on disk."""
        lowest = self._ledger.unaccounted()
        for lane, seq in self._gaps.unwritten_from(self._boot).items():
            lowest[lane] = min(seq, lowest.get(lane, seq))
        self._numbers.note_unaccounted(lowest)

    def lost_with_the_file(self) -> list[Gap]:
        """Return what only the outbox file held: of this boot where it held any, and of the one before."""
        here = self._numbers.counted()
        gaps = [
            Gap(lane, self._boot, 0, counted - 1, None, GapCause.QUARANTINE)
            for lane, counted in here.items()
            if self._shelf.stored(lane)
        ]
        if self.last is not None:
            gaps += [
                Gap(lane, self.last.boot, 0, counted - 1, None, GapCause.QUARANTINE)
                for lane, counted in self.last.counted.items()
                if counted
            ]
        return gaps

    def close(self, *, in_order: bool) -> None:
        """End; `in_order`: every number is acknowledged or on disk."""
        self.look()
        self._numbers.close(in_order=in_order)

    def _write(self) -> None:
        self._noted = False
        self._numbers.write()
