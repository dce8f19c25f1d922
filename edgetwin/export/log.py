"""Export: the write-ahead log of an outbox that may be in use, checked frame by frame as SQLite checks it.

In: the log's file     Out: which page stands where in it, as far as it is committed; pages.
Reads only. `store.wal` looks at a log without its checksums; here what is read goes out as truth. The checksum is
linear modulo 2**32, so that a whole frame is one product with constants. Format: the SQLite documentation, "WAL".
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgetwin.store.schema import PAGE_BYTES

_HEADER = struct.Struct(">IIIIIIII")  # magic, version, page size, checkpoint, two salts, two checksums
_FRAME_HEAD_BYTES = 24
_FRAME_BYTES = _FRAME_HEAD_BYTES + PAGE_BYTES
_FRAMES_AT_ONCE = 256
_LOOKS_MAX = 10
_LITTLE, _BIG = 0x377F0682, 0x377F0683  # how the words of a checksum are read
_MASK = np.uint64(0xFFFF_FFFF)
_HEADER_SUMMED_BYTES = 24


def _constants(pairs: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return what a checksum multiplies the words with, and the one before them.

    One step over words x, y is s0 += x + s1; s1 += y + s0: the matrix [[1, 1], [1, 2]] on (s0, s1), and
    [[1, 0], [1, 1]] on (x, y).
    """
    power = ((1, 0), (0, 1))
    of_words = np.zeros((2 * pairs, 2), np.uint64)
    for pair in reversed(range(pairs)):
        (a, b), (c, d) = power
        of_words[2 * pair] = (a + b) % 2**32, (c + d) % 2**32
        of_words[2 * pair + 1] = b, d
        power = ((a + b) % 2**32, (a + 2 * b) % 2**32), ((c + d) % 2**32, (c + 2 * d) % 2**32)
    return of_words, np.array(power, np.uint64).T.copy()


_OF_HEADER, _ = _constants(_HEADER_SUMMED_BYTES // 8)
_OF_FRAME, _OF_BEFORE = _constants((8 + PAGE_BYTES) // 8)


class Log:
    """A log, from its first frame on.

    Args:
        path: It need not exist: then it holds nothing, until it does.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            self._file = -1
        self._head = self._read_head()
        self._order = ""
        self._salts = (0, 0)
        self._sum = np.zeros((1, 2), np.uint64)
        self._frames = 0  # sound ones so far, committed or not
        self._open: dict[int, int] = {}  # page -> frame, not committed yet
        self._committed: dict[int, int] = {}
        self._begin()

    @property
    def begun(self) -> bool:
        """Whether there is a log, with a sound header."""
        return bool(self._order)

    def is_current(self) -> bool:
        """Whether the file of that name is still this one, and was not begun anew."""
        try:
            now = self._path.stat()
        except FileNotFoundError:
            return self._file < 0
        if self._file < 0:
            return False
        ours = os.fstat(self._file)
        return (now.st_dev, now.st_ino) == (ours.st_dev, ours.st_ino) and self._read_head() == self._head

    def read_on(self) -> set[int]:
        """Take in what was appended since; return the pages that were committed with it."""
        fresh: set[int] = set()
        while self._order:
            raw = os.pread(self._file, _FRAMES_AT_ONCE * _FRAME_BYTES, _HEADER.size + self._frames * _FRAME_BYTES)
            count = len(raw) // _FRAME_BYTES
            sound = self._take(raw[: count * _FRAME_BYTES], count, fresh) if count else 0
            if sound < _FRAMES_AT_ONCE:
                break
        return fresh

    def page(self, number: int) -> bytes | None:
        """Return a page as it was last committed here; None if it stands in the database alone."""
        frame = self._committed.get(number)
        if frame is None:
            return None
        return os.pread(self._file, PAGE_BYTES, _HEADER.size + frame * _FRAME_BYTES + _FRAME_HEAD_BYTES)

    def is_cut(self) -> bool:
        """Whether commits stand behind a frame that is not sound: damage, no write that is under way."""
        for _ in range(_LOOKS_MAX):
            self.read_on()
            frames = self._frames
            if not self._commits_behind():
                return False
            self.read_on()
            if self._frames == frames and self.is_current():
                return True
        return False  # it grows while it is looked at

    def close(self) -> None:
        """Let go of the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _commits_behind(self) -> bool:
        """Whether there is a commit behind the first frame that is not sound, in this round of the log."""
        at = _HEADER.size + (self._frames + 1) * _FRAME_BYTES
        while self._order and len(head := os.pread(self._file, _FRAME_HEAD_BYTES, at)) == _FRAME_HEAD_BYTES:
            _, committed, *salts = struct.unpack(">IIII", head[:16])
            if tuple(salts) != self._salts:
                return False
            if committed:
                return True
            at += _FRAME_BYTES
        return False

    def _read_head(self) -> bytes:
        return os.pread(self._file, _HEADER.size, 0) if self._file >= 0 else b""

    def _begin(self) -> None:
        """Read the header; a log without a sound one holds nothing."""
        if len(self._head) < _HEADER.size:
            return
        magic, _, page_bytes, _, *salts, first, second = _HEADER.unpack(self._head)
        if magic not in {_LITTLE, _BIG} or page_bytes != PAGE_BYTES:
            return
        order = "<u4" if magic == _LITTLE else ">u4"
        words = np.frombuffer(self._head[:_HEADER_SUMMED_BYTES], order).astype(np.uint64)
        found = (words @ _OF_HEADER) & _MASK
        if found.tolist() == [first, second]:
            self._order, self._salts, self._sum = order, (salts[0], salts[1]), found.reshape(1, 2)

    def _take(self, raw: bytes, count: int, fresh: set[int]) -> int:
        """Take sound frames in, up to the first that is not; return how many."""
        heads = np.frombuffer(raw, ">u4").reshape(count, -1)[:, :6].astype(np.uint64)
        words = np.frombuffer(raw, self._order).reshape(count, -1)
        summed = np.concatenate([words[:, :2], words[:, 6:]], axis=1).astype(np.uint64)
        before = np.concatenate([self._sum, heads[:-1, 4:6]])
        expected = (before @ _OF_BEFORE + summed @ _OF_FRAME) & _MASK
        good = (expected == heads[:, 4:6]).all(axis=1) & (heads[:, 2:4] == np.array(self._salts, np.uint64)).all(axis=1)
        sound = count if good.all() else int(np.argmin(good))
        for page, committed in heads[:sound, :2].tolist():
            self._open[page] = self._frames
            self._frames += 1
            if committed:
                fresh.update(self._open)
                self._committed.update(self._open)
                self._open.clear()
        if sound:
            self._sum = heads[sound - 1 : sound, 4:6]
        return sound
