"""Export: the rows of a table out of the pages of a database, as many as damage leaves.

In: pages     Out: rows in the order of their ids, leaf by leaf; the numbers of the pages that cannot be read.
Pure. Written for what SQLite will not do: read a file that another process holds, and go on behind a broken page.
Format: the SQLite documentation, "Database File Format". Ids are never NULL: column 0 of a row is its id.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from edgetwin.store.schema import PAGE_BYTES

LOWEST = -(2**63)
_INTERIOR, _LEAF = 0x05, 0x0D
_FILE_HEAD_BYTES = 100  # stand before the first page's own
_LEAF_HEAD_BYTES, _INTERIOR_HEAD_BYTES = 8, 12
_DEPTH_MAX = 20
_PAYLOAD_MAX = 64 * 1024 * 1024
_VARINT_BYTES = 9
_CELL_MIN = 4  # what a cell or a free place takes at least
_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}  # serial type -> bytes
_REAL, _ZERO, _ONE, _BLOB = 7, 8, 9, 12
_LOCAL_MAX = PAGE_BYTES - 35  # of a row's bytes: what is more goes to other pages
_LOCAL_MIN = (PAGE_BYTES - 12) * 32 // 255 - 23
_ON_OTHER_PAGE = PAGE_BYTES - 4


@dataclass(frozen=True, slots=True)
class Leaf:
    """One page of rows.

    Attributes:
        rows: (id, bytes of the row; None: they cannot be read).
        bound: No id in it is above, and none in the next leaf is not; None: it is the last.
    """

    rows: tuple[tuple[int, bytes | None], ...]
    bound: int | None


@dataclass(slots=True)
class Tree:
    """The tables in some pages.

    Attributes:
        page: Number -> page; raises ValueError where there is none.
        damaged: Pages that cannot be read, or are not what they should be.
    """

    page: Callable[[int], bytes]
    damaged: set[int] = field(default_factory=set)

    def leaves(self, root: int, after: int = LOWEST) -> Iterator[Leaf]:
        """Yield the leaves of a table that may hold ids above `after`."""
        yield from self._leaves(root, after, None, [])

    def _leaves(self, number: int, after: int, bound: int | None, above: list[int]) -> Iterator[Leaf]:
        try:
            found = self._read(number, bound, above)
        except (ValueError, IndexError, struct.error):
            self.damaged.add(number)
            return
        if isinstance(found, Leaf):
            yield found
            return
        for child, highest in found:
            if highest is None or highest > after:
                yield from self._leaves(child, after, bound if highest is None else highest, [*above, number])

    def _read(self, number: int, bound: int | None, above: list[int]) -> Leaf | list[tuple[int, int | None]]:
        """Return a leaf, or what is below a page."""
        if number in above or len(above) > _DEPTH_MAX:
            raise ValueError(number)
        page = self.page(number)
        head = _FILE_HEAD_BYTES if number == 1 else 0
        sizes: list[int] = []
        found: Leaf | list[tuple[int, int | None]]
        if page[head] == _LEAF:
            found = Leaf(self._rows(number, page, head, sizes), bound)
        elif page[head] == _INTERIOR:
            found = _children(page, head, sizes)
        else:
            raise ValueError(number)
        if not _is_accounted_for(page, head, sizes) or (above and not sizes):
            self.damaged.add(number)  # a count that damage has made smaller reads like any other
        return found

    def _rows(self, number: int, page: bytes, head: int, sizes: list[int]) -> tuple[tuple[int, bytes | None], ...]:
        rows: list[tuple[int, bytes | None]] = []
        for place in _places(page, head, _LEAF_HEAD_BYTES):
            size, at = _varint(page, place)
            row, at = _varint(page, at)
            local = _local(size)
            sizes.append(at - place + local + (4 if local < size else 0))
            try:
                rows.append((_signed(row), self._payload(page, at, size)))
            except (ValueError, struct.error):
                self.damaged.add(number)
                rows.append((_signed(row), None))
        return tuple(rows)

    def _payload(self, page: bytes, at: int, size: int) -> bytes:
        """Return the bytes of a row, those on other pages too."""
        if size > _PAYLOAD_MAX:
            raise ValueError(size)
        local = _local(size)
        parts = [page[at : at + local]]
        missing = size - local
        while missing > 0:
            (other,) = struct.unpack_from(">I", page, at + local)
            page, at, local = self.page(other), 0, 0  # from here on the next page's number stands first
            parts.append(page[4 : 4 + min(missing, _ON_OTHER_PAGE)])
            missing -= _ON_OTHER_PAGE
        found = b"".join(parts)
        if len(found) != size:
            raise ValueError(size)
        return found


def values(row: int, payload: bytes) -> list[Any]:
    """Return the columns of a row; the first is its id.

    Raises:
        ValueError: The bytes are those of no row.
    """
    try:
        end, at = _varint(payload, 0)
        kinds = []
        while at < end:
            kind, at = _varint(payload, at)
            kinds.append(kind)
        found: list[Any] = []
        for kind in kinds:
            value, at = _value(kind, payload, at)
            found.append(value)
    except (IndexError, struct.error) as error:
        raise ValueError(row) from error
    if at != len(payload) or not found:
        raise ValueError(row)
    found[0] = row if found[0] is None else found[0]
    return found


def _value(kind: int, payload: bytes, at: int) -> tuple[Any, int]:
    if kind >= _BLOB:
        size = (kind - _BLOB) // 2
        raw = payload[at : at + size]
        return (raw.decode("utf-8", "replace") if kind % 2 else raw), at + size
    if kind in _INTEGERS:
        size = _INTEGERS[kind]
        return int.from_bytes(payload[at : at + size], "big", signed=True), at + size
    if kind == _REAL:
        return struct.unpack_from(">d", payload, at)[0], at + 8
    if kind in {_ZERO, _ONE}:
        return kind - _ZERO, at
    if kind != 0:
        raise ValueError(kind)
    return None, at


def _children(page: bytes, head: int, sizes: list[int]) -> list[tuple[int, int | None]]:
    """Return (page, highest id below it); None: no bound, it is the last."""
    found: list[tuple[int, int | None]] = []
    for place in _places(page, head, _INTERIOR_HEAD_BYTES):
        (child,) = struct.unpack_from(">I", page, place)
        highest, end = _varint(page, place + 4)
        found.append((child, _signed(highest)))
        sizes.append(end - place)
    bounds = [bound for _, bound in found if bound is not None]
    if any(later <= earlier for earlier, later in pairwise(bounds)):
        raise ValueError(bounds)
    (last,) = struct.unpack_from(">I", page, head + 8)
    return [*found, (last, None)]


def _is_accounted_for(page: bytes, head: int, sizes: list[int]) -> bool:
    """Whether cells and free places fill a page from where its content begins, to the byte, as SQLite leaves it."""
    free, _, content, fragments = struct.unpack_from(">HHHB", page, head + 1)
    used: int = (content or 2**16) + fragments + sum(max(size, _CELL_MIN) for size in sizes)
    while free and used <= PAGE_BYTES:
        free, size = struct.unpack_from(">HH", page, free)
        used += max(size, _CELL_MIN)
    return used == PAGE_BYTES


def _local(size: int) -> int:
    """Return how many bytes of a row stand on its own page."""
    if size <= _LOCAL_MAX:
        return size
    local = _LOCAL_MIN + (size - _LOCAL_MIN) % _ON_OTHER_PAGE
    return local if local <= _LOCAL_MAX else _LOCAL_MIN


def _places(page: bytes, head: int, head_bytes: int) -> tuple[int, ...]:
    """Return where the cells of a page begin."""
    (count,) = struct.unpack_from(">H", page, head + 3)
    places: tuple[int, ...] = struct.unpack_from(f">{count}H", page, head + head_bytes)
    if any(place < head + head_bytes + 2 * count for place in places):
        raise ValueError(count)
    return places


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = 0
    for index in range(_VARINT_BYTES):
        byte = raw[at + index]
        if index == _VARINT_BYTES - 1:
            return value << 8 | byte, at + index + 1
        value = value << 7 | byte & 0x7F
        if byte < 0x80:  # noqa: PLR2004  # the sign that more follows
            return value, at + index + 1
    raise ValueError(at)


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value
