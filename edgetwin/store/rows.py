"""Keep room: the statements on blocks.

In: a connection inside a transaction; blocks     Out: blocks, counts.
Nothing here commits.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from edgetwin.records import ChannelClass
from edgetwin.store.block import Block, Condition, restored
from edgetwin.store.sql import Sql

_COLUMNS = "row, lane, boot, class, event, first_seq, last_seq, count, crc, body"
_SELECT = f"SELECT {_COLUMNS} FROM block"  # noqa: S608
_SMALL_COLUMNS = "row, lane, boot, class, event, first_seq, last_seq, count, crc"
_LAST_ROW = 2**62
_SEQ_MAX = 2**53
_MIRROR = "~"  # a lane's total stands twice, once negative: damage to either shows


@dataclass(slots=True)
class Deleted:
    """Rows that are gone.

    Attributes:
        records: Lane -> how many.
        miscounted: A row had a damaged count: the totals were counted anew, and `records` is not to be believed.
    """

    records: dict[str, int] = field(default_factory=dict)
    miscounted: bool = False


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
    if old.condition is not Condition.SOUND:
        delete(sql, [old.row])
        insert(sql, new)
        return
    sql.execute(
        "UPDATE block SET first_seq = ?, last_seq = ?, count = ?, crc = ?, body = ? WHERE row = ?",
        (new.first_seq, new.last_seq, new.count, new.crc, new.body, old.row),
    )
    count(sql, old.lane, new.count - old.count)


def delete(sql: Sql, rows: Iterable[int]) -> Deleted:
    """Delete rows."""
    deleted = Deleted()
    for row in rows:
        for found in sql.execute(f"DELETE FROM block WHERE row = ? RETURNING {_SMALL_COLUMNS}", (row,)):  # noqa: S608
            block = _as_it_stands(found, b"")
            if block.condition is Condition.SOUND:
                deleted.records[block.lane] = deleted.records.get(block.lane, 0) + block.count
            else:
                deleted.miscounted = True
    if deleted.miscounted:
        count_anew(sql)
    else:
        for lane, records in deleted.records.items():
            count(sql, lane, -records)
    return deleted


def count(sql: Sql, lane: str, change: int) -> None:
    """Change a lane's total."""
    for name, step in ((lane, change), (lane + _MIRROR, -change)):
        sql.execute(
            "INSERT INTO total VALUES (?, ?) ON CONFLICT (lane) DO UPDATE SET records = records + excluded.records",
            (name, step),
        )


def count_anew(sql: Sql) -> None:
    """Count all rows: as long as there are rows, and only after damage."""
    sql.execute("DELETE FROM total")
    counted = sql.execute(
        "SELECT lane, sum(count) FROM block WHERE typeof(lane) = 'text' AND typeof(count) = 'integer' "
        "AND count BETWEEN 1 AND 1000000 GROUP BY lane"
    )
    for lane, records in counted:
        count(sql, lane, records)


def totals(sql: Sql) -> dict[str, int] | None:
    """Return lane -> records, or None if the totals are damaged."""
    found = dict(sql.execute("SELECT lane, records FROM total"))
    if not all(isinstance(lane, str) and isinstance(records, int) for lane, records in found.items()):
        return None
    lanes = {lane: records for lane, records in found.items() if not lane.endswith(_MIRROR)}
    mirrored = {lane: found.get(lane + _MIRROR) == -records for lane, records in lanes.items()}
    if len(found) != 2 * len(lanes) or not all(mirrored.values()) or min(lanes.values(), default=0) < 0:
        return None
    return {lane: records for lane, records in lanes.items() if records}


def bring_in(sql: Sql, next_row: int) -> int:
    """Give rows whose ids are damaged new ones, where they will be read; return the next free one."""
    astray = sql.execute(f"{_SELECT} WHERE row <= 0 OR row >= ? ORDER BY row", (_LAST_ROW,))
    for found in astray:
        block = _as_it_stands(found, found[-1])
        mended = dataclasses.replace(restored(block), row=next_row)
        sql.execute("DELETE FROM block WHERE row = ?", (block.row,))
        insert(sql, mended)
        next_row += 1
    if astray:
        count_anew(sql)
    return next_row


def newest(sql: Sql) -> int:
    """Return the newest row whose id is not damaged; 0 if there is none."""
    found = sql.execute("SELECT max(row) FROM block WHERE row > 0 AND row < ?", (_LAST_ROW,))
    return int(found[0][0] or 0)


def bury(sql: Sql, block: Block, reason: int) -> None:
    """Add a block to the dead letters, as the newest of them."""
    sql.execute(
        "INSERT INTO dead SELECT coalesce(max(row), 0) + 1, ?, ?, ?, ?, ?, ?, ? FROM dead",
        (block.lane, block.boot, block.first_seq, block.last_seq, block.count, block.body, reason),
    )


def thin_the_dead(sql: Sql, bytes_max: int) -> None:
    """Drop the oldest dead letters until the others fit."""
    while sql.execute("SELECT coalesce(sum(length(body)), 0) FROM dead")[0][0] > bytes_max:
        sql.execute("DELETE FROM dead WHERE row = (SELECT min(row) FROM dead)")


def _block(found: tuple[Any, ...]) -> Block:
    """Return the block of a row; where its small columns are damaged, as its records tell it."""
    block = _as_it_stands(found, found[-1])
    return block if block.condition is Condition.SOUND else restored(block)


def _as_it_stands(found: tuple[Any, ...], body: object) -> Block:
    """Return the block of a row, whatever damage made of its columns, and whether it is sound."""
    row, lane, boot, class_name, event, first_seq, last_seq, records, crc = found[:9]
    known = class_name in set(ChannelClass)
    first, last, count = (number if _is_number(number) else 0 for number in (first_seq, last_seq, records))
    block = Block(
        row,
        lane if isinstance(lane, str) else "",
        boot if isinstance(boot, str) else "",
        ChannelClass(class_name) if known else ChannelClass.CRITICAL,
        bool(event),
        first,
        last,
        count,
        body if isinstance(body, bytes) else b"",
    )
    sound = known and block.crc == crc and (first, last, count) == (first_seq, last_seq, records)
    return block if sound else dataclasses.replace(block, condition=Condition.DOUBTED)


def _is_number(value: object) -> bool:
    return isinstance(value, int) and 0 <= value < _SEQ_MAX
