"""Keep room: how far each lane had counted, for the day the process does not end in order.

In: the next number of each lane, the lowest one that is neither acknowledged nor on disk, what the file answers for
Out: after an unclean end, the gap of each lane; after a broken file, what it held.

Noted in a file in memory (tmpfs), mapped: noting is a store of eight bytes, survives SIGKILL to the number, and
cannot wait for a disk that hangs, as a write to one would. A copy on the outbox's own disk is for the day the memory
is gone too (power cut, another machine): it is saved on the store's thread, is never synced but at the end, and may be
old; what follows the numbers in it is unknown, so that its gaps are open-ended.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from edgetwin.store import number_format as layout
from edgetwin.store.number_format import AuditHead, LastBoot, Spans, memory_path

_NO_SPAN = (0, 0)


class Numbers:
    """The numbers of one boot. Before `begin` they are only counted."""

    def __init__(self, path: Path, boot: str) -> None:
        self._path = path
        self._boot = boot
        self._noted: mmap.mmap | None = None
        self._hot_bytes = 0
        self._memory: Path | None = None
        self._slots: dict[str, int] = {}
        self._counted: dict[str, int] = {}
        self._kept: dict[str, tuple[int, int]] = {}
        self._descriptor = -1  # of the copy; the store's thread alone uses it
        self._append_since_ns = 0
        self._noted_ns = 0
        self._audit_turn = 0

    def begin(self, lanes: Iterable[str], older: Spans | None = None, audit: AuditHead | None = None) -> None:
        """Begin to note this boot; what the last one left must be safe by now.

        Args:
            lanes: Names of all lanes.
            older: What the outbox file still answers for of earlier boots.
            audit: Newest entry of the audit, as the last boot knew it.
        """
        names = list(lanes)
        sealed = layout.seal(older or {})
        self._hot_bytes = layout.HEAD.size + len(names) * layout.SLOT.size
        content = bytearray(self._hot_bytes) + sealed
        self._slots = {lane: layout.HEAD.size + index * layout.SLOT.size for index, lane in enumerate(names)}
        noted, self._memory = _mapped(memory_path(self._path), len(content))
        layout.pack_head(content, self._boot, len(names), len(sealed), exact=self._memory is not None)
        for lane, offset in self._slots.items():
            first, end = self._kept.get(lane, _NO_SPAN)
            layout.SLOT.pack_into(content, offset, lane.encode(), self._counted.get(lane, 0), 0, 0, first, end)
        layout.NUMBER.pack_into(content, layout.APPEND_SINCE_AT, self._append_since_ns)
        self._noted_ns = 0  # the new file shows none yet
        noted[:] = bytes(content)
        self._noted = noted
        if audit is not None:
            self.note_audit(audit)

    def note_row(self, row: int) -> None:
        """Note the newest row that is on disk: a file that ends before it has lost some."""
        if self._noted is not None:
            layout.NUMBER.pack_into(self._noted, layout.ROW_AT, row)

    def note(self, lane: str, next_seq: int, now_ns: int) -> None:
        """Note how far a lane has counted, and when."""
        self._counted[lane] = next_seq
        noted = self._noted
        if noted is not None:
            layout.NUMBER.pack_into(noted, self._slots[lane] + layout.NEXT_AT, next_seq)
            if now_ns != self._noted_ns:  # one turn's records have one time
                self._noted_ns = now_ns
                layout.NUMBER.pack_into(noted, layout.NOW_AT, now_ns)
            if next_seq == 1:
                layout.NUMBER.pack_into(noted, self._slots[lane] + layout.BORN_AT, now_ns)

    def note_unaccounted(self, lowest: Mapping[str, tuple[int, int]]) -> None:
        """Note for every lane from which number on, born when, nobody answers; absent: all are accounted for."""
        if self._noted is not None:
            for lane, counted in self._counted.items():
                seq, born_ns = lowest.get(lane, (counted, 0))
                layout.NUMBER.pack_into(self._noted, self._slots[lane] + layout.BORN_AT, born_ns)
                layout.NUMBER.pack_into(self._noted, self._slots[lane] + layout.LOWEST_AT, seq)

    def note_kept(self, lane: str, first: int, last: int) -> None:
        """The outbox file is about to answer for these numbers too: note it before it does."""
        known_first, known_end = self._kept.get(lane, (first, 0))
        span = self._kept[lane] = min(first, known_first), max(last + 1, known_end)
        self._write_span(lane, span)

    def note_none_kept(self) -> None:
        """The outbox file answers for nothing, of any boot."""
        for lane in self._kept:
            self._write_span(lane, _NO_SPAN)
        self._kept.clear()
        if self._noted is not None:
            layout.FLAG.pack_into(self._noted, layout.OLDER_VALID_AT, 0)

    def note_appending(self, since_ns: int) -> None:
        """An append was handed to the disk."""
        self._append_since_ns = since_ns
        if self._noted is not None:
            layout.NUMBER.pack_into(self._noted, layout.APPEND_SINCE_AT, since_ns)

    def note_answered(self, now_ns: int) -> None:
        """The disk has answered; on the store's thread: a loop that hears it late is not the disk's fault."""
        since_ns, self._append_since_ns = self._append_since_ns, 0
        if self._noted is not None and since_ns:
            layout.NUMBER.pack_into(self._noted, layout.ANSWERED_SINCE_AT, since_ns)
            layout.NUMBER.pack_into(self._noted, layout.ANSWERED_AT, now_ns)
            layout.NUMBER.pack_into(self._noted, layout.APPEND_SINCE_AT, 0)

    def note_settled(self, looked_ns: int) -> None:
        """What was ripe at this look is on disk, and was noted so."""
        if self._noted is not None:
            layout.NUMBER.pack_into(self._noted, layout.SETTLED_AT, looked_ns)

    def note_audit(self, head: AuditHead) -> None:
        """Note the newest entry of the audit that is on disk."""
        if self._noted is not None:
            self._audit_turn ^= 1  # the hash first, where nobody looks yet: a kill in between must not look like fraud
            start = layout.AUDIT_HASH_AT + self._audit_turn * layout.AUDIT_HASH_BYTES
            self._noted[start : start + layout.AUDIT_HASH_BYTES] = bytes.fromhex(head.hash)
            layout.NUMBER.pack_into(self._noted, layout.AUDIT_AT, (head.number + 1) << 1 | self._audit_turn)

    @property
    def counted(self) -> Mapping[str, int]:
        """Lane -> how far it has counted in this boot."""
        return self._counted

    @property
    def kept(self) -> Mapping[str, tuple[int, int]]:
        """Lane -> numbers of this boot (first, end) that the outbox file may answer for."""
        return self._kept

    def save(self, *, sync: bool = False) -> bool:
        """Write the copy; return whether the disk took it. On the store's thread.

        A disk that refuses costs exactness after a power cut, no more; it is offered a new file the next time.
        """
        noted = self._noted
        if noted is None:
            return False
        try:
            if self._descriptor < 0:
                self._descriptor = self._new_copy(bytes(noted))
            else:
                os.pwrite(self._descriptor, noted[: self._hot_bytes], 0)
            if sync:
                os.fdatasync(self._descriptor)
        except (OSError, ValueError):  # ValueError: ended meanwhile
            self._close_copy()
            return False
        return True

    def end(self, *, in_order: bool) -> None:
        """No more will be noted; `in_order`: every number is acknowledged or on disk."""
        if self._noted is not None:
            layout.FLAG.pack_into(self._noted, layout.IN_ORDER_AT, int(in_order))

    def close(self, *, saved: bool) -> None:
        """Let go; `saved`: the copy tells all, so that the file in memory is not needed any more."""
        noted, self._noted = self._noted, None
        if noted is not None:
            noted.close()
        self._close_copy()
        if saved and self._memory is not None:
            self._memory.unlink(missing_ok=True)

    def _close_copy(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with suppress(OSError):
                os.close(descriptor)

    def _write_span(self, lane: str, span: tuple[int, int]) -> None:
        if self._noted is not None:
            layout.NUMBER.pack_into(self._noted, self._slots[lane] + layout.KEPT_FROM_AT, span[0])
            layout.NUMBER.pack_into(self._noted, self._slots[lane] + layout.KEPT_END_AT, span[1])

    def _new_copy(self, content: bytes) -> int:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        scratch = self._path.with_name(self._path.name + ".new")
        scratch.unlink(missing_ok=True)
        descriptor = os.open(scratch, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, content)
            scratch.replace(self._path)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor


def read(path: Path) -> LastBoot | None:
    """Return what the last boot left, in memory or else on disk, or None when there is nothing that can be believed."""
    memory = memory_path(path)
    for place in (memory, path):
        if place is None:
            continue
        with suppress(OSError):
            if place is memory and place.lstat().st_uid != os.geteuid():
                continue  # anybody may write there
            if (found := layout.unpack(place.read_bytes(), exact=place is memory)) is not None:
                return found
    return None


def _mapped(path: Path | None, size: int) -> tuple[mmap.mmap, Path | None]:
    """Return memory of this size: a new file of this name if it can be, else memory that dies with the process."""
    if path is not None:
        scratch = path.with_name(path.name + ".new")
        with suppress(OSError):
            scratch.unlink(missing_ok=True)
            descriptor = os.open(scratch, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                os.write(descriptor, bytes(size))  # its pages are ours now: a full tmpfs cannot take them back
                noted = mmap.mmap(descriptor, size)
                scratch.replace(path)
            finally:
                os.close(descriptor)
            return noted, path
    return mmap.mmap(-1, size), None
