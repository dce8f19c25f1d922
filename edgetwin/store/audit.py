"""Keep room: the audit as anybody may read it: every decision of the gate, in a chain that shows what was done to it.

In: the path of the outbox     Out: its entries; the first that is not what was written.

Why beside the outbox and not in it: the daemon holds its database alone, this can be read while it runs; a broken
outbox costs no audit, and the other way round; it only grows at its end, so one write and one sync make an entry
safe; and a line of shell is enough to check it. Segments NAME.audit-000001, -000002, ... each hold lines of

    <sha256 of the hash before and of the JSON that follows, in hex> <JSON>

followed by zeros where room is reserved. The JSON is canonical (sorted keys, no spaces): `n` counts from 0, `kind` is
`decision` (then `entry` is what the gate decided) or one of the store's own words (see Kind). The oldest segment may
go, but only after a `truncated` entry has said so. A chain cannot show that its end is missing: the newest number and
hash are kept beside it (in the file of numbers), and belong off the robot too, in the status topic.

Nothing here writes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import orjson

from edgetwin.store.number_format import AuditHead

ZERO_HASH = "0" * 64
_HASH_CHARS = 64
_LOOKS_MAX = 5


class Kind(StrEnum):
    """What an entry is."""

    GENESIS = "genesis"  # a chain begins; `after`: the one before it, which was broken or is missing
    SEGMENT = "segment"  # the chain goes on in a new segment; `previous`: the hash it goes on from
    BOOT = "boot"  # a process goes on with the chain; `torn_bytes`: an end that was never said to be safe, cut off
    DECISION = "decision"
    LOST = "lost"  # memory was full behind a disk that took nothing: `entries` are not here
    TRUNCATED = "truncated"  # the oldest segment goes: up to `last_n`, whose hash was `last_hash`
    END = "end"  # the process ended in order


@dataclass(frozen=True, slots=True)
class Line:
    """One line as it was read.

    Attributes:
        segment: Number of the segment.
        offset: Where in it [bytes].
        hash: As it is written there.
        raw: The JSON.
    """

    segment: int
    offset: int
    hash: str
    raw: bytes

    def follows(self, previous: str) -> bool:
        """Whether the hash is right after `previous`."""
        return self.hash == chained(previous, self.raw)

    @property
    def body(self) -> dict[str, Any]:
        """The JSON; empty if it is none."""
        try:
            body = orjson.loads(self.raw)
        except ValueError:
            return {}
        return body if isinstance(body, dict) else {}


@dataclass(frozen=True, slots=True)
class Break:
    """The first place where the chain is not what was written.

    Attributes:
        segment: File name; empty: no file at all.
        offset: Where in it [bytes].
        number: The entry that should be there.
        what: What is wrong.
    """

    segment: str
    offset: int
    number: int
    what: str


def chained(previous: str, raw: bytes) -> str:
    """Return the hash of an entry after the hash of the one before."""
    return hashlib.sha256(previous.encode("ascii") + raw).hexdigest()


def entries(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the entries of the audit beside the outbox `path`, oldest first, with `hash`; they are not verified.

    Raises:
        OSError: It cannot be read.
    """
    for number, segment in sorted(segments(path).items()):
        for line in lines(number, segment.read_bytes()):
            yield line.body | {"hash": line.hash}


def verify(path: Path, head: AuditHead | None = None) -> Break | None:
    """Return the first broken entry of the audit beside the outbox `path`, or None if all is as it was written.

    Args:
        path: The outbox; a running daemon may go on writing.
        head: The newest entry as it is known from elsewhere: without it, a missing end does not show.

    Raises:
        OSError: It cannot be read.
    """
    for _ in range(_LOOKS_MAX):
        try:
            contents = {number: file.read_bytes() for number, file in sorted(segments(path).items())}
        except FileNotFoundError:  # the daemon has just dropped its oldest segment
            continue
        found = _Verification(path, head).over(contents)
        if found is None or segments(path).keys() == contents.keys():
            return found
    return found


def segments(path: Path) -> dict[int, Path]:
    """Return number -> segment."""
    prefix = f"{path.name}.audit-"
    found = {file.name.removeprefix(prefix): file for file in path.parent.glob(f"{prefix}*")}
    return {int(number): file for number, file in found.items() if number.isdecimal()}


def segment_path(path: Path, number: int) -> Path:
    """Return the path of a segment."""
    return path.with_name(f"{path.name}.audit-{number:06d}")


def lines(segment: int, content: bytes) -> Iterator[Line]:
    """Yield the lines of a segment, up to the reserved room or an unfinished line."""
    offset = 0
    while (end := content.find(b"\n", offset)) >= 0:
        if content[offset] == 0:
            return
        hash_, _, raw = content[offset:end].partition(b" ")
        yield Line(segment, offset, hash_.decode("latin-1"), raw)
        offset = end + 1


class _Verification:
    def __init__(self, path: Path, head: AuditHead | None) -> None:
        self._path = path
        self._head = head
        self._head_seen = head is None
        self._number = 0
        self._hash = ZERO_HASH
        self._missing: AuditHead | None = None  # what the first segment goes on from, until an anchor answers for it

    def over(self, contents: dict[int, bytes]) -> Break | None:
        before = None
        for segment, content in contents.items():
            end, first = 0, True
            for line in lines(segment, content):
                wrong = self._begin(line, first_ever=before is None) if first else self._go_on(line)
                if wrong:
                    return self._break(segment, line.offset, wrong)
                first, end = False, line.offset + _HASH_CHARS + 2 + len(line.raw)
            last = segment == max(contents)
            if first and not last:
                return self._break(segment, 0, "nothing is in it")
            if content[end:].strip(b"\0") and (not last or b"\0" in content[end:].rstrip(b"\0")):
                return self._break(segment, end, "there is something after its end")
            before = segment
        return self._end(before)

    def _begin(self, line: Line, *, first_ever: bool) -> str:
        body = line.body
        if body.get("kind") == Kind.GENESIS and (first_ever or body.get("after")):
            self._number, self._hash = 0, ZERO_HASH
        elif first_ever and body.get("kind") == Kind.SEGMENT and isinstance(body.get("n"), int):
            self._number, self._hash = body["n"], str(body.get("previous"))
            self._missing = AuditHead(self._number - 1, self._hash)
            self._head_seen |= self._head is not None and self._head.number < self._number  # too old to be here
        return self._go_on(line)

    def _go_on(self, line: Line) -> str:
        body = line.body
        if not line.follows(self._hash):
            return "it was changed, or what was before it"
        if body.get("n") != self._number:
            return f"it says that it is number {body.get('n')}"
        if body.get("kind") == Kind.TRUNCATED and self._missing == (body.get("last_n"), body.get("last_hash")):
            self._missing = None
        if self._head is not None and self._number == self._head.number:
            self._head_seen |= line.hash == self._head.hash
        self._number, self._hash = self._number + 1, line.hash
        return ""

    def _end(self, last: int | None) -> Break | None:
        if self._missing is not None:
            return Break("", 0, self._missing.number, "what was before it is missing, and no entry says so")
        if self._head_seen or self._head is None:
            return None
        name = "" if last is None else segment_path(self._path, last).name
        return Break(name, 0, self._head.number, "the end is missing, or was written anew")

    def _break(self, segment: int, offset: int, what: str) -> Break:
        return Break(segment_path(self._path, segment).name, offset, self._number, what)
