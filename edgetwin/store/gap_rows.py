"""Keep room: the statements on gaps.

In: a connection inside a transaction; gaps     Out: gaps; for a row that damage has touched, one of no lane.
Nothing here commits.

A row is believed as long as its checksum holds. One that is not is never grown and never told as it stands: it may
name another lane, or other numbers, than were lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from edgetwin.records import Gap, GapCause
from edgetwin.store.checksum import checksum
from edgetwin.store.sql import Sql

_COLUMNS = "lane, boot, from_seq, to_seq, count, cause"
_SEQ_MAX = 2**53


def note(sql: Sql, gap: Gap) -> None:
    """Add a gap to the one of its lane, boot and cause that nobody was told of yet."""
    query = f"SELECT {_COLUMNS}, crc, id FROM gap WHERE told = 0 AND lane = ? AND boot = ? AND cause = ?"  # noqa: S608
    for found in sql.execute(query, (gap.lane, gap.boot, gap.cause)):
        known = _gap(found)
        if known.lane:
            grown = joined(known, gap)
            sql.execute(
                "UPDATE gap SET from_seq = ?, to_seq = ?, count = ?, crc = ? WHERE id = ?",
                (grown.from_seq, grown.to_seq, grown.count, checksum(*_columns(grown)), known.id),
            )
            return
    sql.execute(
        f"INSERT INTO gap ({_COLUMNS}, crc) VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
        (*_columns(gap), checksum(*_columns(gap))),
    )


def tell(sql: Sql) -> list[Gap]:
    """Return all gaps whose event is not safe; from now on they grow no more."""
    sql.execute("UPDATE gap SET told = 1")
    return [_gap(found) for found in sql.execute(f"SELECT {_COLUMNS}, crc, id FROM gap ORDER BY id")]  # noqa: S608


def forget(sql: Sql, ids: Sequence[int]) -> None:
    """The events of these gaps are safe."""
    for gap_id in ids:
        sql.execute("DELETE FROM gap WHERE id = ? AND told = 1", (gap_id,))


def joined(one: Gap, other: Gap) -> Gap:
    """Return `one`, wide enough for both; what nobody knows of either, nobody knows of both."""
    last = None if one.to_seq is None or other.to_seq is None else max(one.to_seq, other.to_seq)
    count = None if one.count is None or other.count is None else one.count + other.count
    return replace(one, from_seq=min(one.from_seq, other.from_seq), to_seq=last, count=count)


def _columns(gap: Gap) -> tuple[object, ...]:
    return gap.lane, gap.boot, gap.from_seq, gap.to_seq, gap.count, str(gap.cause)


def _gap(found: tuple[Any, ...]) -> Gap:
    *columns, crc, gap_id = found
    lane, boot, from_seq, to_seq, count, cause = columns
    # The rest is asked too, for a file of version 1: damage of that time has a checksum by now.
    if crc != checksum(*columns) or not isinstance(lane, str) or not isinstance(boot, str) or not _is_number(from_seq):
        return Gap("", "", 0, None, None, GapCause.DAMAGED, gap_id)
    last = to_seq if _is_number(to_seq) and to_seq >= from_seq else None
    known = GapCause(cause) if cause in set(GapCause) else GapCause.DAMAGED
    return Gap(lane, boot, from_seq, last, count if _is_number(count) else None, known, gap_id)


def _is_number(value: object) -> bool:
    return isinstance(value, int) and 0 <= value < _SEQ_MAX
