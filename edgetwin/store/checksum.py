"""Keep room: what vouches for the small columns of a row.

In: columns     Out: a number that a flipped bit in any of them changes.
Pure. SQLite has no checksum of its own: a page with a flipped bit reads like any other.
"""

from __future__ import annotations

import zlib


def checksum(*columns: object) -> int:
    """Return the CRC-32 of columns, types included: the text '4' is not the number 4."""
    return zlib.crc32(repr(columns).encode("utf-8", "replace"))
