"""Keep room: the audit's segments, written: one write and one sync for all that came since the last.

In: entries, as JSON     Out: the newest entry that is safe.
Lives on the store's thread. What `append` has taken off its batch survives a power cut. Room for a segment is reserved
when it is begun, so that a disk that others fill does not stop the audit at once. See `audit` for the format.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

import orjson

from edgetwin.errors import StoreError
from edgetwin.store.audit import ZERO_HASH, Kind, chained, lines, segment_path, segments
from edgetwin.store.number_format import AuditHead
from edgetwin.store.opening import sync_directory

Batch: TypeAlias = deque[bytes | int]  # JSON objects; a number: so many were given up in memory here
SEGMENTS_MAX = 8
ENTRY_BYTES_MAX = 16_384
BROKEN_MAX = 2
_ANCHOR_BYTES = 512  # of a segment: for the entry that says that the oldest goes
_LINE_BYTES = 66  # of a line, beside its JSON


def audit_bytes(max_bytes: int) -> int:
    """Return how much of the outbox's bytes belongs to the audit: a tenth, at least 1 MB, never more than a quarter."""
    return max(max_bytes // 10, min(1_000_000, max_bytes // 4))


class AuditFile:
    """The end of one chain.

    Args:
        path: The outbox; the segments lie beside it.
        bytes_max: For all segments together.
        boot: Id of this boot.
        known: Returns the newest entry that the last boot knew to be safe.
        broken: Told, on the store's thread, what is wrong with what was found.
    """

    def __init__(
        self,
        path: Path,
        bytes_max: int,
        boot: str,
        known: Callable[[], AuditHead | None],
        broken: Callable[[str], None],
    ) -> None:
        self._path = path
        self._segment_bytes = bytes_max // SEGMENTS_MAX - 2 * _ANCHOR_BYTES  # its own last words come on top
        self._bytes_max = bytes_max
        self._entry_bytes_max = min(ENTRY_BYTES_MAX, self._segment_bytes // 4)
        self._boot = boot
        self._known = known
        self._broken = broken
        self._descriptor = -1
        self._begun = False
        # What is safe: where the next entry goes, its number, and the hash that it follows.
        self._segment = 0
        self._offset = 0
        self._number = 0
        self._hash = ZERO_HASH

    def append(self, batch: Batch, stamp_us: int) -> AuditHead:
        """Write a batch; what is safe is taken off it, also when this fails.

        Args:
            batch: Entries.
            stamp_us: Wall clock, for the store's own entries.

        Raises:
            StoreError: The disk does not take them all.
        """
        try:
            self._open(stamp_us)
            while batch:
                self._write_some(batch, stamp_us)
        except OSError as error:
            self.close()
            msg = f"{self._path.name}.audit: {error}; check the disk, its free space and the permissions"
            raise StoreError(msg) from error
        return AuditHead(self._number - 1, self._hash)

    def end(self, stamp_us: int) -> AuditHead | None:
        """Say that the process ends in order; nothing if it has written nothing.

        Raises:
            StoreError: The disk does not take it.
        """
        if self._descriptor < 0:
            return None
        try:
            self._own(Kind.END, stamp_us=stamp_us)
        except OSError as error:
            raise StoreError(str(error)) from error
        finally:
            self.close()
        return AuditHead(self._number - 1, self._hash)

    def close(self) -> None:
        """Let go of the file: a sync that failed is never asked again on the same handle."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with suppress(OSError):
                os.close(descriptor)

    def _write_some(self, batch: Batch, stamp_us: int) -> None:
        """Write as much of a batch as the segment has room for."""
        if isinstance(batch[0], int):
            self._own(Kind.LOST, entries=batch[0], stamp_us=stamp_us)
            batch.popleft()
            return
        room = self._segment_bytes - _ANCHOR_BYTES - self._offset
        written = bytearray()
        number, previous, taken = self._number, self._hash, 0
        for entry in batch:
            if isinstance(entry, int):
                break
            raw = b'{"entry":%b,"kind":"decision","n":%d}' % (self._fit(entry), number)
            if len(written) + len(raw) + _LINE_BYTES > room:
                break
            previous = chained(previous, raw)
            written += b"%b %b\n" % (previous.encode("ascii"), raw)
            number += 1
            taken += 1
        if not taken:
            self._rotate(stamp_us)
            return
        self._make_safe(bytes(written), number, previous)
        for _ in range(taken):
            batch.popleft()

    def _own(self, kind: Kind, **fields: object) -> None:
        """Write an entry of the store's own; there is always room for one."""
        raw = orjson.dumps({"kind": kind, "n": self._number, **fields}, option=orjson.OPT_SORT_KEYS)
        hash_ = chained(self._hash, raw)
        self._make_safe(b"%b %b\n" % (hash_.encode("ascii"), raw), self._number + 1, hash_)

    def _make_safe(self, written: bytes, number: int, hash_: str) -> None:
        done = 0
        while done < len(written):
            done += os.pwrite(self._descriptor, written[done:], self._offset + done)
        os.fdatasync(self._descriptor)
        self._offset += len(written)
        self._number, self._hash = number, hash_

    def _fit(self, entry: bytes) -> bytes:
        """Return the entry as one line of JSON; of what is none, or too long, what it was."""
        if len(entry) <= self._entry_bytes_max and b"\n" not in entry:
            with suppress(ValueError):
                orjson.loads(entry)
                return entry
        head = entry[: self._entry_bytes_max // 8].decode("utf-8", "replace")
        return orjson.dumps({"bytes": len(entry), "head": head, "sha256": hashlib.sha256(entry).hexdigest()})

    def _open(self, stamp_us: int) -> None:
        if self._descriptor >= 0:
            return
        if self._begun:  # the disk failed: what was written after the last safe entry may or may not be there
            self._descriptor = os.open(segment_path(self._path, self._segment), os.O_RDWR | os.O_CLOEXEC)
            os.ftruncate(self._descriptor, self._offset)
            self._reserve()
            return
        found = segments(self._path)
        known = self._known()
        self._segment = max(found, default=0)
        self._number, self._hash, self._offset = 0, ZERO_HASH, 0
        if not found:
            self._begin_chain(known, {} if known is None else {"what": "missing"}, stamp_us)
        elif self._is_sound(content := found[self._segment].read_bytes(), known):
            self._go_on(content, stamp_us)
            self._shrink(stamp_us)
        else:
            self._set_aside(known, stamp_us)

    def _is_sound(self, content: bytes, known: AuditHead | None) -> bool:
        """Find the end of the newest segment; say whether all that was known to be safe is there as it was."""
        altered = False
        for index, line in enumerate(lines(self._segment, content)):
            body = line.body
            if index == 0 and body.get("kind") == Kind.SEGMENT and isinstance(body.get("n"), int):
                self._number, self._hash = body["n"], str(body.get("previous"))
            if not line.follows(self._hash) or body.get("n") != self._number:
                break
            if known is not None and (body.get("after") or {}).get("known_hash") == known.hash:
                known = None  # that chain was closed here already
            altered |= known is not None and known.number == self._number and known.hash != line.hash
            self._number, self._hash = self._number + 1, line.hash
            self._offset = line.offset + len(line.raw) + _LINE_BYTES
        cut_short = known is not None and known.number >= self._number
        return self._offset > 0 and not altered and not cut_short

    def _go_on(self, content: bytes, stamp_us: int) -> None:
        """Go on where the last boot ended; an end that was never said to be safe is cut off, and that is said."""
        torn = content[self._offset :].rstrip(b"\0")
        note: dict[str, Any] = {}
        self._descriptor = os.open(segment_path(self._path, self._segment), os.O_RDWR | os.O_CLOEXEC)
        if torn:
            note = {"torn_bytes": len(torn), "torn_sha256": hashlib.sha256(torn).hexdigest()}
            if b"\n" in torn:  # more than an unfinished line: kept for whoever wants to know
                note["torn_file"] = self._broken_path().name
                self._path.with_name(note["torn_file"]).write_bytes(torn)
            os.ftruncate(self._descriptor, self._offset)
            self._reserve()
        self._own(Kind.BOOT, boot=self._boot, stamp_us=stamp_us, **note)
        self._begun = True

    def _set_aside(self, known: AuditHead | None, stamp_us: int) -> None:
        """Close the chain of a broken segment: a new one begins, and names it."""
        broken, target = segment_path(self._path, self._segment), self._broken_path()
        what = f"entry {self._number} of the audit is not what was written"
        self._begin_chain(
            known, {"what": what, "file": target.name, "n": self._number - 1, "hash": self._hash}, stamp_us
        )
        broken.rename(target)
        sync_directory(self._path.parent)

    def _begin_chain(self, known: AuditHead | None, after: dict[str, Any], stamp_us: int) -> None:
        if after and known is not None:
            after |= {"known_n": known.number, "known_hash": known.hash}
        self._number, self._hash = 0, ZERO_HASH
        self._create(Kind.GENESIS, {"boot": self._boot, "stamp_us": stamp_us} | ({"after": after} if after else {}))
        if after:
            self._broken(" ".join(f"{key}={value}" for key, value in after.items()))

    def _rotate(self, stamp_us: int) -> None:
        self._shrink(stamp_us)
        self._create(Kind.SEGMENT, {"boot": self._boot, "previous": self._hash, "stamp_us": stamp_us})

    def _shrink(self, stamp_us: int) -> None:
        """Let the oldest go until one more segment may be begun; at the start too: the user may have given it less."""
        while len(found := segments(self._path)) > 1:
            size = sum(file.stat().st_size for file in found.values())
            if len(found) < SEGMENTS_MAX and size + self._segment_bytes <= self._bytes_max:
                return
            self._drop_oldest(stamp_us)

    def _drop_oldest(self, stamp_us: int) -> None:
        """Say what goes, then let it go: a kill in between leaves more than was said, never less."""
        number, oldest = min(segments(self._path).items())
        last = None
        for line in lines(number, oldest.read_bytes()):
            last = line
        if last is not None:
            self._own(Kind.TRUNCATED, last_n=last.body.get("n"), last_hash=last.hash, stamp_us=stamp_us)
        oldest.unlink()
        sync_directory(self._path.parent)

    def _create(self, kind: Kind, fields: dict[str, Any]) -> None:
        """Begin a segment: whole, with its first entry, or not at all."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = segment_path(self._path, self._segment + 1)
        scratch = path.with_name(f"{path.name}.new")
        scratch.unlink(missing_ok=True)
        before = self._descriptor, self._offset, self._number, self._hash
        self._descriptor = os.open(scratch, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            self._offset = 0
            self._reserve()
            self._own(kind, **fields)
            scratch.rename(path)
        except OSError:
            self.close()
            self._descriptor, self._offset, self._number, self._hash = before
            scratch.unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            raise
        self._segment += 1
        self._begun = True
        if before[0] >= 0:
            os.close(before[0])
        sync_directory(self._path.parent)

    def _reserve(self) -> None:
        with suppress(OSError):  # then a full disk stops it earlier
            os.posix_fallocate(self._descriptor, 0, self._segment_bytes)

    def _broken_path(self) -> Path:
        """Return a new name for something broken, and let all but the newest go."""
        prefix = f"{self._path.name}.audit.broken-"
        found = sorted(int(file.name.removeprefix(prefix)) for file in self._path.parent.glob(f"{prefix}*"))
        for number in found[: max(0, len(found) - BROKEN_MAX + 1)]:
            self._path.with_name(f"{prefix}{number}").unlink()
        return self._path.with_name(f"{prefix}{max(found, default=0) + 1}")
