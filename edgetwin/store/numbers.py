"""Keep room: how far each lane had counted, for the day the process does not end in order.

In: the next number of each lane, and the lowest one that is neither acknowledged nor on disk
Out: after an unclean end, the gap of each lane.

A small file, written by one pwrite for each turn of the loop that numbered something, and never synced: what
is written survives SIGKILL. After a power cut it may be old by as long as the kernel kept it back (half a
minute, usually); a changed kernel boot id tells, and the gap is then open-ended. It is not mapped into memory:
a store to a mapping on a failing disk is a SIGBUS.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edgetwin.records import Gap, GapCause

_MAGIC = b"ETWSEQ1\n"
_HEAD = struct.Struct("<8s16s36sB3xIQ")  # magic, boot, kernel boot id, ended in order, lanes, newest row
_IN_ORDER_AT = 60
_ROW_AT = 68
_SLOT = struct.Struct("<64sQQ")  # lane, next number, lowest number not accounted for
_NUMBER = struct.Struct("<Q")
_NEXT_AT = 64
_LOWEST_AT = 72
_SEQ_MAX = 1 << 53
_KERNEL_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class LastBoot:
    """What the file tells of the boot before.

    Attributes:
        boot: Its id.
        gaps: What of it nobody answers for.
        counted: Lane -> how far it had counted.
        newest_row: The newest row it knew to be on disk.
    """

    boot: str
    gaps: tuple[Gap, ...]
    counted: Mapping[str, int]
    newest_row: int = 0


class Numbers:
    """The file of one boot. Before `begin`, or where the file cannot be made, noting does nothing."""

    def __init__(self, path: Path, boot: str) -> None:
        self._path = path
        self._boot = boot
        self._descriptor = -1
        self._content = bytearray()
        self._slots: dict[str, int] = {}
        self._counted: dict[str, int] = {}

    def begin(self, lanes: Iterable[str]) -> None:
        """Begin the file of this boot; what the last one left must be safe by now.

        Raises:
            OSError: It cannot be made.
        """
        names = list(lanes)
        self._slots = {lane: _HEAD.size + index * _SLOT.size for index, lane in enumerate(names)}
        content = bytearray(_HEAD.size + len(names) * _SLOT.size)
        _HEAD.pack_into(content, 0, _MAGIC, self._boot.encode(), kernel_boot_id().encode(), 0, len(names), 0)
        for lane, offset in self._slots.items():
            _SLOT.pack_into(content, offset, lane.encode(), self._counted.get(lane, 0), 0)
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        scratch = self._path.with_name(self._path.name + ".new")
        scratch.unlink(missing_ok=True)
        self._descriptor = os.open(scratch, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        os.write(self._descriptor, content)
        self._content = content
        scratch.replace(self._path)

    def note_row(self, row: int) -> None:
        """Note the newest row that is on disk: a file that ends before it has lost some."""
        if self._content:
            _NUMBER.pack_into(self._content, _ROW_AT, row)

    def note(self, lane: str, next_seq: int) -> None:
        """Note how far a lane has counted; `write` makes it last."""
        self._counted[lane] = next_seq
        if self._content:
            _NUMBER.pack_into(self._content, self._slots[lane] + _NEXT_AT, next_seq)

    def note_unaccounted(self, lowest: Mapping[str, int]) -> None:
        """Note for every lane from where on nobody answers for its numbers; absent: all are accounted for."""
        if self._content:
            for lane, counted in self._counted.items():
                _NUMBER.pack_into(self._content, self._slots[lane] + _LOWEST_AT, lowest.get(lane, counted))
            self.write()

    def write(self) -> None:
        """Hand what was noted to the kernel. A disk that refuses costs exactness after a crash, nothing else."""
        if self._descriptor >= 0:
            with suppress(OSError):
                os.pwrite(self._descriptor, self._content, 0)

    def counted(self) -> Mapping[str, int]:
        """Return lane -> how far it has counted in this boot."""
        return self._counted

    def close(self, *, in_order: bool) -> None:
        """End; `in_order`: every number is acknowledged or on disk."""
        if self._descriptor >= 0:
            self._content[_IN_ORDER_AT] = int(in_order)
            self.write()
            with suppress(OSError):
                os.fdatasync(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1


def read(path: Path) -> LastBoot | None:
    """Return what the file tells, or None when there is none that can be believed."""
    try:
        content = path.read_bytes()
        magic, boot, kernel, in_order, count, newest_row = _HEAD.unpack_from(content)
        if magic != _MAGIC or len(content) != _HEAD.size + count * _SLOT.size:
            return None
    except (OSError, struct.error):
        return None
    boot_id = _text(boot)
    same_kernel = _text(kernel) == kernel_boot_id()
    gaps: list[Gap] = []
    counted: dict[str, int] = {}
    for index in range(count):
        raw, next_seq, lowest = _SLOT.unpack_from(content, _HEAD.size + index * _SLOT.size)
        lane = _text(raw)
        if not lowest <= next_seq < _SEQ_MAX:
            continue  # damaged: no number of ours
        counted[lane] = next_seq
        if in_order or (same_kernel and lowest >= next_seq) or next_seq == 0:
            continue
        last, missing = (next_seq - 1, next_seq - lowest) if same_kernel else (None, None)
        gaps.append(Gap(lane, boot_id, lowest, last, missing, GapCause.CRASH))
    return LastBoot(boot_id, tuple(gaps), counted, newest_row)


def kernel_boot_id() -> str:
    """Return the random id of this boot of the kernel; empty where there is none."""
    try:
        return _KERNEL_BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _text(field: bytes) -> str:
    return field.rstrip(b"\0").decode("utf-8", "replace")
