"""Keep room: the outbox file within its bytes: database, WAL and the file of numbers together.

In: how much is about to be written     Out: room for it; what that cost, noted as gaps.
What to give up, and in which order, is for `shedding` to say; this does it.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgetwin.errors import StoreFullError
from edgetwin.records import ChannelClass, Gap, GapCause
from edgetwin.store import gap_rows, rows
from edgetwin.store.block import BLOCK_BYTES_MAX, Block, keep, pack, unpack
from edgetwin.store.schema import PAGE_BYTES
from edgetwin.store.shedding import Action, Shedding, Step, kept_at
from edgetwin.store.sql import Sql
from edgetwin.wire import seq_of

_WAL_SHARE = 8  # of the budget, until the WAL has its usual 500 pages
_WAL_PAGES_MAX = 500
_WAL_PAGES_MIN = 16
_APPEND_BYTES_MAX = 1_048_576  # one transaction, so that the WAL stays near its limit
_BESIDE_BYTES = 131_072  # the file of numbers, and the frames of the WAL around its pages
_EVENT_RESERVE_SHARE = 20  # of the pages: only events may use them
_TREE_PAGES = 8  # that a change may need beside its rows
_STEP_ROWS = 64
_RELAX_SHARE = 2  # thinning ends when less than a half is used


class Budget:
    """The pages of one file."""

    def __init__(self, max_bytes: int) -> None:
        self.wal_pages = min(_WAL_PAGES_MAX, max(_WAL_PAGES_MIN, max_bytes // _WAL_SHARE // PAGE_BYTES))
        self.append_bytes_max = min(_APPEND_BYTES_MAX, max_bytes // _WAL_SHARE)
        beside_bytes = self.wal_pages * PAGE_BYTES + self.append_bytes_max + _BESIDE_BYTES
        self.pages_max = max(64, (max_bytes - beside_bytes) // PAGE_BYTES)
        self._shedding = Shedding()

    def limit(self, sql: Sql) -> None:
        """Tell SQLite, as the last line of defence."""
        sql.execute(f"PRAGMA max_page_count = {self.pages_max}")

    def make_room(self, sql: Sql, size: int, *, for_events: bool, merge_below: int = 0) -> int:
        """Shed until `size` bytes fit; return how many records that cost. Not inside a transaction.

        A thinned row keeps its page, so neighbours are put together where they may be (rows below `merge_below`).

        Raises:
            StoreFullError: Nothing is left to shed.
        """
        reserve = 0 if for_events else self.pages_max // _EVENT_RESERVE_SHARE
        allowed = self.pages_max - reserve - _TREE_PAGES
        needed = size // PAGE_BYTES * 5 // 4 + 4
        shed = 0
        while used_pages(sql) + needed > allowed:
            step = self._shedding.next_step() if needed <= allowed else None  # in vain: it would not fit alone
            if step is None or (step.channel_class is ChannelClass.EVENT and not for_events):
                raise StoreFullError(used_bytes=used_pages(sql) * PAGE_BYTES, budget_bytes=self.pages_max * PAGE_BYTES)
            shed += self._take(sql, step, needed * PAGE_BYTES, merge_below)
        return shed

    def insert(self, sql: Sql, block: Block) -> int:
        """Write a block, thinned as far as its class is; return how many records that cost."""
        level = self._shedding.level(block.channel_class)
        kept = keep(block, lambda seq: kept_at(level, seq)) if level else block
        if kept is not None:
            rows.insert(sql, kept)
            self._shedding.appended(kept.channel_class)
        return _note_shed(sql, block, kept)

    def relax(self, sql: Sql) -> None:
        """Something was forgotten: when there is room again, keep new samples whole."""
        if self._shedding.thinning and used_pages(sql) < self.pages_max // _RELAX_SHARE:
            self._shedding.relax()

    def shrink(self, sql: Sql) -> None:
        """Bring a file that is larger than the budget (it was lowered) within it."""
        if sql.execute("PRAGMA page_count")[0][0] > self.pages_max:
            self.make_room(sql, 0, for_events=True)
            sql.execute("VACUUM")
            sql.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _take(self, sql: Sql, step: Step, needed_bytes: int, merge_below: int) -> int:
        """Take one step, on no more rows than a transaction may rewrite, or than must be cut."""
        bytes_max = self.append_bytes_max if step.action is Action.THIN else needed_bytes
        blocks = _first_bytes(rows.read_class(sql, step.channel_class, step.after_row, _STEP_ROWS), bytes_max)
        kept: dict[tuple[str, str], _Merged] = {}
        shed = 0
        with sql.transaction():
            for block in blocks:
                thinned = _thinned(block, step.level) if step.action is Action.THIN else None
                shed += _note_shed(sql, block, thinned)
                if thinned is None:
                    rows.delete(sql, [block.row])
                elif block.row >= merge_below:
                    if thinned is not block:
                        rows.replace(sql, block, thinned)
                else:
                    self._merge(sql, kept, block, thinned)
            for merged in kept.values():
                merged.write(sql)
        self._shedding.done(step, blocks[-1].row if blocks else None)
        return shed

    def _merge(self, sql: Sql, kept: dict[tuple[str, str], _Merged], block: Block, thinned: Block) -> None:
        key = (block.lane, block.boot)
        merged = kept.get(key)
        records = unpack(thinned)
        if merged is not None and merged.size + sum(map(len, records)) <= BLOCK_BYTES_MAX:
            rows.delete(sql, [block.row])
        else:
            if merged is not None:
                merged.write(sql)
            merged = kept[key] = _Merged(block, [])
        merged.records += records


@dataclass(slots=True)
class _Merged:
    """Neighbouring rows of one lane and boot, on their way into the first of them."""

    first: Block
    records: list[bytes]

    @property
    def size(self) -> int:
        return sum(map(len, self.records))

    def write(self, sql: Sql) -> None:
        rows.replace(sql, self.first, pack(self.first, self.records, [seq_of(record) for record in self.records]))


def _thinned(block: Block, level: int) -> Block | None:
    try:
        return keep(block, lambda seq: kept_at(level, seq))
    except ValueError:  # damaged: nothing in it can be sent
        return None


def _first_bytes(blocks: list[Block], bytes_max: int) -> list[Block]:
    """Return the first of `blocks`, at least one if there is any, that hold so many bytes."""
    size = 0
    for index, block in enumerate(blocks):
        size += len(block.body)
        if size > bytes_max and index:
            return blocks[:index]
    return blocks


def used_pages(sql: Sql) -> int:
    """Return the pages of the file that hold something."""
    pages: int = sql.execute("PRAGMA page_count")[0][0]
    free: int = sql.execute("PRAGMA freelist_count")[0][0]
    return pages - free


def _note_shed(sql: Sql, block: Block, kept: Block | None) -> int:
    lost = block.count - (kept.count if kept else 0)
    if lost and block.lane:
        gap_rows.note(sql, Gap(block.lane, block.boot, block.first_seq, block.last_seq, lost, GapCause.SHED))
    return lost
