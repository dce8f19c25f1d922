"""Export: what the rows of an outbox mean, and whether a file is one.

In: rows as they stand on disk     Out: blocks, gaps; a fault. Pure.
Damage makes anything of a row: a block says of itself whether it is sound (its checksum), the rest is checked here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgetwin.errors import Fault
from edgetwin.export.entry import Lost
from edgetwin.export.tree import Leaf, values
from edgetwin.records import ChannelClass, EventKind, GapCause
from edgetwin.store.block import Block, Condition, restored
from edgetwin.store.checksum import checksum
from edgetwin.store.schema import APPLICATION_ID, PAGE_BYTES, SCHEMA_VERSION

_MAGIC = b"SQLite format 3\0"
_PAGE_BYTES_AT, _VERSION_AT, _APPLICATION_ID_AT = 16, 60, 68
_VERSION_PLAUSIBLE = 1000  # above it is damage, not another edgetwin
_SEQ_MAX = 2**53


def block_of(row: int, raw: bytes | None) -> Block:
    """Return the block of a row; where its small columns are damaged, as its records tell it."""
    try:
        _, lane, boot, class_name, event, first, last, count, crc, body = values(row, raw or b"")
    except ValueError:
        return _unknown(row)
    known = class_name in set(ChannelClass)
    numbered = _is_number(first) and _is_number(last) and _is_number(count)
    block = Block(
        row,
        lane if isinstance(lane, str) else "",
        boot if isinstance(boot, str) else "",
        ChannelClass(class_name) if known else ChannelClass.CRITICAL,
        bool(event),
        first if numbered else 0,
        last if numbered else 0,
        count if numbered else 0,
        body if isinstance(body, bytes) else b"",
    )
    return block if known and numbered and block.crc == crc else restored(block)


def dead_block(row: int, raw: bytes | None) -> Block:
    """Return the block of a dead letter; it has no checksum but its body's."""
    try:
        _, lane, boot, first, last, count, body, _ = values(row, raw or b"")
    except ValueError:
        return _unknown(row)
    if not (isinstance(lane, str) and isinstance(boot, str) and isinstance(body, bytes) and _is_number(count)):
        return _unknown(row)
    return Block(row, lane, boot, ChannelClass.CRITICAL, lane in set(EventKind), first, last, count, body)


def gaps_of(leaf: Leaf) -> list[Lost]:
    """Return the gaps in a leaf; one that damage has touched is of no channel."""
    return [_lost(row, raw) for row, raw in leaf.rows]


def table_of(row: int, raw: bytes | None) -> tuple[str, int] | None:
    """Return (name, first page) where a row of the schema is of a table."""
    try:
        kind, name, _, page, _ = values(row, raw or b"")
    except ValueError:
        return None
    return (name, page) if kind == "table" and isinstance(name, str) and isinstance(page, int) else None


def fault_of(path: Path, first_page: bytes) -> Fault | None:
    """Return why a file is no outbox that can be read here; None where it is one, or too damaged to say."""
    if not first_page.startswith(_MAGIC):
        return None
    application, version = (int.from_bytes(first_page[at : at + 4], "big") for at in (_APPLICATION_ID_AT, _VERSION_AT))
    if application != APPLICATION_ID and b"CREATE TABLE block" not in first_page:
        return Fault(str(path), "is a database of something else", "name an outbox, or a .mcap, .db3, .bag or .csv")
    if SCHEMA_VERSION < version < _VERSION_PLAUSIBLE:
        what = f"is of version {version}, and this edgetwin knows {SCHEMA_VERSION}"
        return Fault(str(path), what, "export it with the edgetwin that wrote it, or a newer one")
    if int.from_bytes(first_page[_PAGE_BYTES_AT : _PAGE_BYTES_AT + 2], "big") != PAGE_BYTES:
        return Fault(str(path), f"has no pages of {PAGE_BYTES} bytes", "export the file that edgetwin wrote")
    return None


def _lost(row: int, raw: bytes | None) -> Lost:
    try:
        _, *columns, _, crc = [*values(row, raw or b""), None][:9]  # a file of version 1 has no checksum
    except ValueError:
        columns, crc = [], -1
    if len(columns) != 6 or crc not in {None, checksum(*columns)}:  # noqa: PLR2004  # lane to cause
        return Lost("", "", 0, None, None, GapCause.DAMAGED)
    lane, boot, first, last, count, cause = columns
    numbers = [number if _is_number(number) else None for number in (last, count)]
    return Lost(str(lane), str(boot), first if _is_number(first) else 0, numbers[0], numbers[1], str(cause))


def _unknown(row: int) -> Block:
    return Block(row, "", "", ChannelClass.CRITICAL, False, 0, 0, 0, b"", Condition.DOUBTED)  # noqa: FBT003


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and 0 <= value < _SEQ_MAX
