"""What the power cut interrupts: a script of changes to an outbox file, and the process that plays it.

In: a path, a seed, how many changes     Out: the changes on disk; a line when each is said to be safe.
Played in a process of its own (`python -m tests.proofs.power_script PATH SEED CHANGES [SYNCHRONOUS]`), so that its
system calls can be recorded. The test knows the same script and so what must be on disk after each change.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from edgetwin.records import ChannelClass, Gap, GapCause
from edgetwin.store import opening
from edgetwin.store.block import Block, pack
from edgetwin.store.database import Database

MAX_BYTES = 1_000_000  # a WAL of 30 pages: folded into the file every few changes
ACKED = "acked"
_SAMPLES, _EVENTS = ("odom", "scan"), ("bumper",)
_EVENT_SHARE = 0.3
_ROWS_MAX = 40


@dataclass(frozen=True, slots=True)
class Change:
    """One transaction: blocks to write, or rows to forget, or a gap to note."""

    blocks: tuple[Block, ...] = ()
    rows: tuple[int, ...] = ()
    gap: Gap | None = None

    def play(self, database: Database) -> None:
        """Do it; when this returns it is safe."""
        if self.blocks:
            database.append(self.blocks)
        elif self.rows:
            database.forget(self.rows)
        elif self.gap is not None:
            database.remember_gaps([self.gap])


@dataclass(slots=True)
class Content:
    """What the file should hold."""

    blocks: dict[int, Block] = field(default_factory=dict)
    gaps: list[Gap] = field(default_factory=list)

    def after(self, change: Change) -> Content:
        """Return what it should hold after a change."""
        kept = {row: block for row, block in self.blocks.items() if row not in change.rows}
        kept |= {block.row: block for block in change.blocks}
        return Content(kept, self.gaps + ([change.gap] if change.gap else []))


def script(seed: int, changes: int) -> Iterator[Change]:
    """Yield the changes of a seed."""
    random = Random(seed)
    rows: list[int] = []
    next_row = 1
    for index in range(changes):
        kind = random.random()
        if rows and (kind < 0.25 or len(rows) > _ROWS_MAX):
            gone = tuple(sorted(random.sample(rows, min(len(rows), random.randint(1, 12)))))
            rows = [row for row in rows if row not in gone]
            yield Change(rows=gone)
        elif kind > 0.95:
            # A boot of its own: gaps of one boot, lane and cause are one row.
            yield Change(gap=Gap("odom", f"boot{index}", index, index + 5, 6, GapCause.CRASH))
        else:
            # Events or samples, not both: those would be two transactions.
            lanes = _EVENTS if random.random() < _EVENT_SHARE else _SAMPLES
            blocks = tuple(_block(random, next_row + i, random.choice(lanes)) for i in range(random.randint(1, 4)))
            next_row += len(blocks)
            rows += [block.row for block in blocks]
            yield Change(blocks=blocks)


def _block(random: Random, row: int, lane: str) -> Block:
    channel_class = ChannelClass.EVENT if lane in _EVENTS else ChannelClass.CRITICAL
    records = [
        b'{"seq":%d,"data":"%b"}' % (row * 10 + i, random.randbytes(random.choice((20, 300, 2500))).hex().encode())
        for i in range(random.randint(1, 3))
    ]
    empty = Block(row, lane, "boot", channel_class, lane in _EVENTS, 0, 0, 0, b"")
    return pack(empty, records, [row * 10 + i for i in range(len(records))])


def _believe(synchronous: str) -> None:
    """Replace the outbox's own choice of `synchronous`: the canary."""
    configure = opening._configure

    def configure_anew(connection: sqlite3.Connection, wal_pages: int) -> None:
        configure(connection, wal_pages)
        connection.execute(f"PRAGMA synchronous = {synchronous}").close()

    opening._configure = configure_anew


def main(path: str, seed: str, changes: str, synchronous: str = "") -> None:
    """Play the script, saying after each change that it is safe; then wait for the power to fail."""
    if synchronous:
        _believe(synchronous)
    database = Database(Path(path), MAX_BYTES)
    for index, change in enumerate(script(int(seed), int(changes))):
        change.play(database)
        os.write(1, f"{ACKED} {index}\n".encode())
    os.kill(os.getpid(), 9)  # no orderly end: the last changes stay in the WAL


if __name__ == "__main__":
    main(*sys.argv[1:])
