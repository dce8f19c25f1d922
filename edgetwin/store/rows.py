"""Keep room: the statements on blocks and on gaps.

In: a connection inside a transaction; blocks, gaps     Out: blocks, gaps, counts.
Nothing here commits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from edgetwin.records import ChannelClass, Gap, GapCause
from edgetwin.store.block import Block, restored
from edgetwin.store.sql import Sql

_COLUMNS = "row, lane, boot, class, event, first_seq, last_seq, count, crc, body"
_SELECT = f"SELECT {_COLUMNS} FROM block"  # noqa: S608
_GAP_COLUMNS = "lane, boot, from_seq, to_seq, count, cause"


def read(sql: Sql, after: int, before: int, blocks_max: int) -> list[Block]:
    """Return blocks with `after` < row < `before`, oldest first."""
    query = f"{_SELECT} WHERE row > ? AND row < ? ORDER BY row LIMIT ?"
    return [_block(row) for row in sql.execute(query, (after, before, blocks_max))]


def read_class(sql: Sql, channel_class: ChannelClass, after: int, blocks_max: int) -> list[Block]:
    """Return blocks of one class after a row, oldest first."""
    query = f"{_SELECT} WHERE class = ? AND row > ? ORDER BY row LIMIT ?"
    return [_block(row) for row in sql.execute(query, (channel_class, after, blocks_max))]


def insert(sql: Sql, block: Block) -> None:
    """Add a block."""
    sql.execute(
        f"INSERT INTO block ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
        (block.row, block.lane, block.boot, block.channel_class, block.event, block.first_seq, block.last_seq,
         block.count, block.crc, block.body),
    )  # fmt: skip
    count(sql, block.lane, block.count)


def replace(sql: Sql, old: Block, new: Block) -> None:
    """Put fewer records into a row."""
    sql.execute(
        "UPDATE block SET first_seq = ?, last_seq = ?, count = ?, crc = ?, body = ? WHERE row = ?",
        (new.first_seq, new.last_seq, new.count, new.crc, new.body, old.row),
    )
    count(sql, old.lane, new.count - old.count)


def delete(sql: Sql, rows: Iterable[int]) -> dict[str, int]:
    """Delete rows; return lane -> records."""
    deleted: dict[str, int] = {}
    for row in rows:
        for lane, records in sql.execute("DELETE FROM block WHERE row = ? RETURNING lane, count", (row,)):
            deleted[lane] = deleted.get(lane, 0) + records
    for lane, records in deleted.items():
        count(sql, lane, -records)
    return deleted


def count(sql: Sql, lane: str, change: int) -> None:
    """Change a lane's total."""
    sql.execute(
        "INSERT INTO total VALUES (?, ?) ON CONFLICT (lane) DO UPDATE SET records = records + excluded.records",
        (lane, change),
    )


def note_gap(sql: Sql, gap: Gap) -> None:
    """Add a gap to the one of its lane, boot and cause that nobody was told of yet."""
    sql.execute(
        f"INSERT INTO gap ({_GAP_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?) "  # noqa: S608
        "ON CONFLICT (lane, boot, cause) WHERE told = 0 DO UPDATE SET "
        "from_seq = min(from_seq, excluded.from_seq), to_seq = max(to_seq, excluded.to_seq), "
        "count = count + excluded.count",
        (gap.lane, gap.boot, gap.from_seq, gap.to_seq, gap.count, gap.cause),
    )


def tell_gaps(sql: Sql) -> list[Gap]:
    """Return all gaps whose event is not safe; from now on they grow no more."""
    sql.execute("UPDATE gap SET told = 1")
    return [_gap(row) for row in sql.execute(f"SELECT {_GAP_COLUMNS}, id FROM gap ORDER BY id")]  # noqa: S608


def forget_gaps(sql: Sql, ids: Sequence[int]) -> None:
    """The events of these gaps are safe."""
    for gap_id in ids:
        sql.execute("DELETE FROM gap WHERE id = ? AND told = 1", (gap_id,))


def bury(sql: Sql, row: int, reason: int) -> None:
    """Copy a row to the dead letters."""
    sql.execute(
        "INSERT OR REPLACE INTO dead SELECT row, lane, boot, first_seq, last_seq, count, body, ? "
        "FROM block WHERE row = ?",
        (reason, row),
    )


def thin_the_dead(sql: Sql, bytes_max: int) -> None:
    """Drop the oldest dead letters until the others fit."""
    while sql.execute("SELECT coalesce(sum(length(body)), 0) FROM dead")[0][0] > bytes_max:
        sql.execute("DELETE FROM dead WHERE row = (SELECT min(row) FROM dead)")


def _block(row: tuple[Any, ...]) -> Block:
    """Return the block of a row; where its small columns are damaged, as its records tell it."""
    number, lane, boot, class_name, event, first_seq, last_seq, records, crc, body = row
    known = class_name in set(ChannelClass)
    block = Block(
        number,
        lane,
        boot,
        ChannelClass(class_name) if known else ChannelClass.CRITICAL,
        bool(event),
        first_seq,
        last_seq,
        records,
        body if isinstance(body, bytes) else b"",
    )
    return block if known and block.crc == crc else restored(block)


def _gap(row: tuple[Any, ...]) -> Gap:
    lane, boot, from_seq, to_seq, count, cause, gap_id = row
    known = GapCause(cause) if cause in set(GapCause) else GapCause.DAMAGED
    return Gap(lane, boot, from_seq, to_seq, count, known, gap_id)
