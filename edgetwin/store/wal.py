"""Keep room: what a write-ahead log holds, read without SQLite, which would fold it into the database by opening it.

In: the log     Out: which pages it holds, and how long it says that the database is.
Frames are told from the leavings of earlier rounds by their salt; checksums are left to SQLite: here they would cost
half a second, and a page too many only means that SQLite is asked. Format: the SQLite documentation, "WAL file format".
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

_HEADER = struct.Struct(">IIIIIIII")  # magic, version, page size, checkpoint, salts, checksums
_FRAME = struct.Struct(">IIIIII")  # page, pages of the database after a commit or 0, salts, checksums
_MAGICS = (0x377F0682, 0x377F0683)


@dataclass(frozen=True, slots=True)
class Logged:
    """What a log holds.

    Attributes:
        pages: Numbers of the pages, from 1.
        database_pages: Length of the database after the last commit in it; 0: there is no commit.
    """

    pages: frozenset[int] = frozenset()
    database_pages: int = 0


def read(path: Path, page_bytes: int) -> Logged:
    """Return what a log holds; nothing if it is none of ours.

    Raises:
        OSError: It cannot be read.
    """
    pages: set[int] = set()
    committed: frozenset[int] = frozenset()
    database_pages = 0
    with path.open("rb") as file:
        head = file.read(_HEADER.size)
        if len(head) < _HEADER.size:
            return Logged()
        magic, _, size, _, *salts = _HEADER.unpack(head)[:6]
        if magic not in _MAGICS or size != page_bytes:
            return Logged()
        while len(head := file.read(_FRAME.size)) == _FRAME.size:
            page, after_commit, *found = _FRAME.unpack(head)[:4]
            if found != salts:
                break
            file.seek(page_bytes, 1)
            pages.add(page)
            if after_commit:
                committed, database_pages = frozenset(pages), after_commit
    return Logged(committed, database_pages)
