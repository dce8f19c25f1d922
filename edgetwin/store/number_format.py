"""Keep room: the bytes of the file of numbers.

In: bytes     Out: what the last boot left.
Everything lies where one sector holds it whole; numbers are native, aligned, eight bytes: stored at once or not.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeAlias

import orjson

from edgetwin import wire
from edgetwin.records import Gap, GapCause

MAGIC = b"ETWSEQ2\n"
HEAD = struct.Struct("=8s16s40sIIIIIIQQ32s32sQQQQQ48x")
SLOT = struct.Struct("=64sQQQQQ24x")
NUMBER = struct.Struct("@Q")
FLAG = struct.Struct("@I")
IN_ORDER_AT, OLDER_VALID_AT = 64, 76
ROW_AT, AUDIT_AT, AUDIT_HASH_AT = 88, 96, 104
AUDIT_HASH_BYTES = 32
NOW_AT, APPEND_SINCE_AT, ANSWERED_SINCE_AT, ANSWERED_AT, SETTLED_AT = 168, 176, 184, 192, 200
NEXT_AT, LOWEST_AT, BORN_AT, KEPT_FROM_AT, KEPT_END_AT = 64, 72, 80, 88, 96
SEQ_MAX = 1 << 53
OLDER_BYTES_MAX = 60_000
_KERNEL_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_MOUNTS = Path("/proc/self/mountinfo")
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  # the one tmpfs that every Linux has


class Span(NamedTuple):
    """Numbers of one lane and boot, both ends included; `last` None: nobody knows how far."""

    first: int
    last: int | None

    def joined(self, other: Span | None) -> Span:
        """Return the span from the lower to the higher end of both."""
        if other is None:
            return self
        last = None if self.last is None or other.last is None else max(self.last, other.last)
        return Span(min(self.first, other.first), last)


Spans: TypeAlias = dict[str, dict[str, Span]]  # boot -> lane -> numbers; oldest boot first


class AuditHead(NamedTuple):
    """The newest entry of the audit."""

    number: int
    hash: str


@dataclass(frozen=True, slots=True)
class Pace:
    """How the boot stood with its disk when it was last heard of; monotonic times.

    Attributes:
        now_ns: When it numbered its last record.
        born_ns: Lane -> birth of the oldest record that nobody answered for.
        append_since_ns: When the append that the disk had not answered was handed over; 0: there was none.
        answered_since_ns: When the newest append that the disk had answered was handed over; 0: there was none.
        answered_ns: When the disk answered it.
        settled_ns: The newest look of which all that was ripe is on disk.
    """

    now_ns: int = 0
    born_ns: Mapping[str, int] = field(default_factory=dict)
    append_since_ns: int = 0
    answered_since_ns: int = 0
    answered_ns: int = 0
    settled_ns: int = 0

    def disk_ns(self, since_ns: int) -> int:
        """Return for how long, of the time since then, the disk was busy with the newest two appends."""
        waits = [(self.answered_since_ns, self.answered_ns), (self.append_since_ns or self.now_ns, self.now_ns)]
        if self.answered_since_ns == self.append_since_ns:  # killed between the notes of one answer
            del waits[0]
        return sum(max(0, end_ns - max(since_ns, begin_ns)) for begin_ns, end_ns in waits)


@dataclass(frozen=True, slots=True)
class LastBoot:
    """What the file tells of the boot before.

    Attributes:
        boot: Its id.
        gaps: What of it nobody answers for.
        counted: Lane -> how far it had counted.
        newest_row: The newest row it knew to be on disk.
        kept: What the outbox file answers for, of this boot and of earlier ones.
        audit: The newest entry of the audit it knew to be on disk.
        pace: How it stood with its disk.
    """

    boot: str
    gaps: tuple[Gap, ...]
    counted: Mapping[str, int]
    newest_row: int = 0
    kept: Spans = field(default_factory=dict)
    audit: AuditHead | None = None
    pace: Pace = Pace()


def pack_head(content: bytearray, boot: str, lanes: int, older_bytes: int, *, exact: bool) -> None:
    """Write the head of a new file."""
    kernel = kernel_boot_id().encode()
    flags = (0, lanes, older_bytes, 1, int(exact), 0)
    HEAD.pack_into(content, 0, MAGIC, boot.encode(), kernel, *flags, 0, 0, b"", b"", 0, 0, 0, 0, 0)


def seal(older: Spans) -> bytes:
    """Return what the file answers for of earlier boots; where that is too much, without the oldest of them."""
    boots = {boot: {lane: list(span) for lane, span in lanes.items()} for boot, lanes in older.items()}
    while len(sealed := wire.seal(orjson.dumps(boots))) > OLDER_BYTES_MAX:
        for boot in list(boots)[: 1 + len(boots) // 8]:
            del boots[boot]
    return sealed


def unpack(content: bytes, *, exact: bool) -> LastBoot | None:
    """Return what a file tells, or None if it cannot be believed.

    Args:
        content: The file.
        exact: It is the one in memory, not the copy: nothing was noted after it.
    """
    try:
        head = HEAD.unpack_from(content)
    except struct.error:
        return None
    magic, boot, kernel, in_order, lanes, older_bytes, older_valid, in_memory, _, newest_row, audit = head[:11]
    hot_bytes = HEAD.size + lanes * SLOT.size
    if magic != MAGIC or len(content) != hot_bytes + older_bytes:
        return None
    exact = exact and bool(in_memory) and _text(kernel) == kernel_boot_id()
    kept = _opened(content[hot_bytes:]) if older_valid else {}
    gaps: list[Gap] = []
    counted: dict[str, int] = {}
    born_ns: dict[str, int] = {}
    for index in range(lanes):
        raw, next_seq, lowest, born, first, end = SLOT.unpack_from(content, HEAD.size + index * SLOT.size)
        lane = _text(raw)
        if not lowest <= next_seq < SEQ_MAX:
            continue  # damaged: no number of ours
        counted[lane] = next_seq
        if first < end <= SEQ_MAX:
            kept.setdefault(_text(boot), {})[lane] = Span(first, end - 1)
        if in_order or next_seq == 0 or (exact and lowest >= next_seq):
            continue
        born_ns[lane] = born
        last, missing = (next_seq - 1, next_seq - lowest) if exact else (None, None)
        gaps.append(Gap(lane, _text(boot), lowest, last, missing, GapCause.CRASH))
    pace = Pace(head[13], born_ns, *head[14:])
    return LastBoot(_text(boot), tuple(gaps), counted, newest_row, kept, _audit(audit, head[11:13]), pace)


def covering(last: LastBoot) -> Spans:
    """Return what the outbox file answers for once the gaps of the last boot are noted in it."""
    spans = {boot: dict(lanes) for boot, lanes in last.kept.items()}
    for gap in last.gaps:
        lanes = spans.setdefault(gap.boot, {})
        lanes[gap.lane] = Span(gap.from_seq, gap.to_seq).joined(lanes.get(gap.lane))
    return spans


def memory_path(path: Path) -> Path | None:
    """Return where in memory the numbers of this file are noted; None where there is no such place.

    The runtime directory that systemd keeps for a service comes first: it empties /dev/shm of a service that ends.
    """
    try:
        mounts = _MOUNTS.read_text(encoding="utf-8")
    except OSError:
        return None
    fields = [line.split() for line in mounts.splitlines()]
    kinds = {Path(line[4]): line[line.index("-") + 1] for line in fields}  # of two mounts on one place the later counts
    name = hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:16]
    given = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    for place in (Path(given) if given else _SHARED_MEMORY, _SHARED_MEMORY):
        if kinds.get(_mount_of(place, kinds)) == "tmpfs" and os.access(place, os.W_OK):
            return place / f"edgetwin-{os.geteuid()}-{name}.seq"
    return None


def _mount_of(place: Path, mounts: Collection[Path]) -> Path:
    return next((parent for parent in (place, *place.parents) if parent in mounts), place)


def kernel_boot_id() -> str:
    """Return the random id of this boot of the kernel; empty where there is none."""
    try:
        return _KERNEL_BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _opened(sealed: bytes) -> Spans:
    try:
        boots = orjson.loads(wire.decompress(sealed))
        return {str(boot): {str(lane): _span(*ends) for lane, ends in lanes.items()} for boot, lanes in boots.items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def _span(first: int, last: int | None) -> Span:
    return Span(int(first), None if last is None else int(last))


def _audit(packed: int, hashes: tuple[bytes, ...]) -> AuditHead | None:
    number, turn = packed >> 1, packed & 1
    return AuditHead(number - 1, hashes[turn].hex()) if number else None


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace").rstrip("\0")
