"""Keep room: what the outbox asks of its thread, each in one call.

In: the open database; drafts, gaps, rows     Out: totals, counts. Nothing here knows the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgetwin.records import Gap, GapCause, Record
from edgetwin.store.block import Block, pack
from edgetwin.store.database import Database, Totals
from edgetwin.store.ledger import Draft
from edgetwin.store.number_format import LastBoot


def append(
    database: Database, *, drafts: Sequence[Draft], standalone: Callable[[Record], bytes], boot: str, merge_below: int
) -> int:
    """Encode, compress and write drafts; return how many records were shed for them."""
    blocks = []
    for draft in drafts:
        lane = draft.records[0].lane
        empty = Block(draft.row, lane.name, boot, lane.channel_class, lane.is_event, 0, 0, 0, b"")
        records = [standalone(record) for record in draft.records]
        blocks.append(pack(empty, records, [record.seq for record in draft.records]))
    return database.append(blocks, merge_below)


def with_numbers(
    database: Database, *, append: Callable[[Database], int], row: int, save: Callable[[int], None],
    answered: Callable[[], None],
) -> int:  # fmt: skip
    """Write what `append` writes, up to `row`, and the copy of the numbers beside it: the thread is awake anyway."""
    try:
        shed = append(database)
    finally:
        answered()
    save(row)
    return shed


def begin(database: Database, *, last: LastBoot | None) -> Totals:
    """Note what the last boot left unaccounted for; return what the file holds."""
    totals = database.begin()
    if last is not None:
        gaps = list(last.gaps)
        if totals.next_row <= last.newest_row:  # the file ends before what the last boot knew to be on disk
            gaps += [
                Gap(lane, boot, span.first, span.last, None, GapCause.DAMAGED)
                for boot, lanes in last.kept.items()
                for lane, span in lanes.items()
            ]
        database.remember_gaps(gaps)
    return totals


def finish(database: Database, rows: Sequence[int], gaps: Sequence[Gap], safe: Sequence[int]) -> None:
    """Settle what is open at the end, in one call."""
    if rows:
        database.forget(rows)
    if gaps:
        database.remember_gaps(gaps)
    if safe:
        database.forget_gaps(safe)
