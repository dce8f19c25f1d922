"""Keep room: the outbox file in use: what the outbox asks of it, each in one transaction.

In: blocks to keep, rows to forget     Out: blocks, oldest first; totals; what was given up, as gaps.
Synchronous; lives on the one thread that opens SQLite (store.writer).

What `append` returned from is on disk, power cut or not (WAL, synchronous=FULL). Totals are kept in a table and
updated in the same transaction: counting a million rows at start would take a second. What is given up is
added to a row of `gap` in the same transaction (one per lane, boot and cause), and stays there until the event
that tells of it is safe.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edgetwin.errors import StoreFullError
from edgetwin.records import ChannelClass, Gap, GapCause
from edgetwin.store import gap_rows
from edgetwin.store import rows as table
from edgetwin.store.block import Block, Condition, one_of
from edgetwin.store.budget import Budget, used_pages
from edgetwin.store.schema import PAGE_BYTES
from edgetwin.store.sql import Sql

_LAST_ROW = 2**62
_DEAD_SHARE = 100  # of max_bytes: for dead letters


@dataclass(frozen=True, slots=True)
class Totals:
    """What the file holds: lane -> records, and the next row id."""

    records: dict[str, int]
    next_row: int


@dataclass(frozen=True, slots=True)
class Freed:
    """What is not on disk any more.

    Attributes:
        records: Lane -> records.
        totals: After damage: what the file holds, counted anew; `records` is not to be believed.
        doubted: There were rows of which nobody can tell what they were.
    """

    records: Mapping[str, int]
    totals: Totals | None = None
    doubted: bool = False


class Database:
    """The open file; all methods raise StoreError where the disk does not do what they say.

    Args:
        path: The file.
        max_bytes: For database, WAL and the file of numbers together.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self._budget = Budget(max_bytes)
        self._dead_bytes_max = max_bytes // _DEAD_SHARE
        self._sql = Sql(path, self._budget.wal_pages)
        self._budget.shrink(self._sql)
        self._budget.limit(self._sql)

    def totals(self) -> Totals:
        """Return what the file holds, in a time that does not depend on how much that is, unless it is damaged."""
        records = table.totals(self._sql)
        next_row = self.next_row()
        if records is None or not self.read(0, _LAST_ROW, 1):  # rows with damaged names may have left the totals off
            with self._sql.transaction():
                next_row = table.bring_in(self._sql, next_row)
                table.count_anew(self._sql)
            records = table.totals(self._sql) or {}
        return Totals(records, next_row)

    def next_row(self) -> int:
        """Return the row that comes next in this file: one more than it ever held."""
        found = self._sql.execute("SELECT value FROM counter WHERE name = 'next_row'")
        noted = found[0][0] if found and isinstance(found[0][0], int) and 0 < found[0][0] < _LAST_ROW else 1
        return max(noted, table.newest(self._sql) + 1)

    def begin(self) -> Totals:
        """Mend what damage did to the ids of rows; return what the file holds."""
        next_row = self.totals().next_row
        with self._sql.transaction():
            next_row = table.bring_in(self._sql, next_row)
            self._sql.execute("INSERT OR REPLACE INTO counter VALUES ('next_row', ?)", (next_row,))
        return self.totals()

    def reconcile(self) -> tuple[Totals, bool]:
        """Count the rows; return what there is, and whether there should be more of it."""
        noted = table.totals(self._sql) or {}
        with self._sql.transaction():
            table.count_anew(self._sql)
        totals = self.totals()
        return totals, any(totals.records.get(lane, 0) < records for lane, records in noted.items())

    def answers_for_nothing(self) -> bool:
        """Whether there is no record in the file, and no gap."""
        return not any(self._sql.execute(f"SELECT 1 FROM {name} LIMIT 1") for name in ("block", "gap"))  # noqa: S608

    def used_bytes(self) -> int:
        """Bytes of the file that hold something."""
        return used_pages(self._sql) * PAGE_BYTES

    def append(self, blocks: Sequence[Block], merge_below: int = 0) -> int:
        """Write blocks; when this returns they survive a power cut. Return how many records were shed for them.

        Args:
            blocks: What to write.
            merge_below: Rows below this belong to nobody else: thinning may put several into one.

        Raises:
            StoreError: Not all of them were written; those that were are written again under the same row.
        """
        shed = size = 0
        part: list[Block] = []
        events_first = sorted(blocks, key=lambda block: not _is_event(block))
        for block in events_first:
            if part and (
                _is_event(block) is not _is_event(part[0]) or size + len(block.body) > self._budget.append_bytes_max
            ):
                shed += self._append_part(part, size, merge_below)
                part, size = [], 0
            part.append(block)
            size += len(block.body)
        return shed + self._append_part(part, size, merge_below)

    def forget(self, rows: Iterable[int]) -> Freed:
        """Delete rows that were acknowledged."""
        with self._sql.transaction():
            deleted = table.delete(self._sql, rows)
        self._budget.relax(self._sql)
        return Freed(deleted.records, self.totals() if deleted.miscounted else None)

    def read(self, after: int, before: int, blocks_max: int) -> list[Block]:
        """Return blocks with `after` < row < `before`, oldest first."""
        return table.read(self._sql, after, before, blocks_max)

    def bury(self, rows: Sequence[int], reason: int, cause: GapCause) -> Freed:
        """Move rows to the dead letters. The oldest dead letters make room."""
        doubted = False
        with self._sql.transaction():
            blocks = [block for row in rows for block in table.read(self._sql, row - 1, row + 1, 1)]
            deleted = table.delete(self._sql, rows)  # first: the dead take the room that they leave
            for block in blocks:
                doubted |= block.condition is Condition.DOUBTED
                self._bury(block, reason, cause)
            table.thin_the_dead(self._sql, self._dead_bytes_max)
        return Freed(deleted.records, self.totals() if deleted.miscounted else None, doubted)

    def bury_copy(self, row: int, seq: int, reason: int, cause: GapCause) -> None:
        """Copy one record of a row to the dead letters; the row stays, its other records may still leave.

        Raises:
            ValueError: There is no such record.
        """
        blocks = [one_of(block, seq) for block in table.read(self._sql, row - 1, row + 1, 1)]
        with suppress(StoreFullError):  # SQLite's own limit then has the last word
            self._budget.make_room(self._sql, sum(len(block.body) for block in blocks), for_events=False)
        with self._sql.transaction():
            for block in blocks:
                self._bury(block, reason, cause)
            table.thin_the_dead(self._sql, self._dead_bytes_max)

    def remember_gaps(self, gaps: Sequence[Gap]) -> None:
        """Write gaps down, to be told of later."""
        with self._sql.transaction():
            for gap in gaps:
                gap_rows.note(self._sql, gap)

    def gaps_to_tell(self) -> list[Gap]:
        """Return the gaps whose event is not safe yet; from now on they grow no more."""
        with self._sql.transaction():
            return gap_rows.tell(self._sql)

    def forget_gaps(self, ids: Sequence[int]) -> None:
        """The events of these gaps are safe."""
        with self._sql.transaction():
            gap_rows.forget(self._sql, ids)

    def close(self) -> None:
        """Fold the WAL into the file and close it."""
        self._sql.close()

    def _bury(self, block: Block, reason: int, cause: GapCause) -> None:
        if block.lane:
            gap = Gap(block.lane, block.boot, block.first_seq, block.last_seq, block.count, cause)
            gap_rows.note(self._sql, gap)
        if len(block.body) <= self._dead_bytes_max:  # or it would push out all the others, and then itself
            table.bury(self._sql, block, reason)

    def _append_part(self, blocks: Sequence[Block], size: int, merge_below: int) -> int:
        events = all(map(_is_event, blocks))
        try:
            shed = self._budget.make_room(self._sql, size, for_events=events, merge_below=merge_below)
        except StoreFullError:
            return self._give_up(blocks)
        with self._sql.transaction():
            table.delete(self._sql, [block.row for block in blocks])  # written by an append that failed later on
            for block in blocks:
                shed += self._budget.insert(self._sql, block)
            if blocks:
                self._sql.execute("UPDATE counter SET value = max(value, ?)", (blocks[-1].row + 1,))
        return shed

    def _give_up(self, blocks: Sequence[Block]) -> int:
        """Nothing is left to shed for these: they are what is shed."""
        with self._sql.transaction():
            for block in blocks:
                gap = Gap(block.lane, block.boot, block.first_seq, block.last_seq, block.count, GapCause.SHED)
                gap_rows.note(self._sql, gap)
        return sum(block.count for block in blocks)


def _is_event(block: Block) -> bool:
    return block.channel_class is ChannelClass.EVENT
