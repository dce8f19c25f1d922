"""Bench: what a robot has sent, in memory that survives its process, however that ends.

In: stamps, as they leave     Out: a file per channel, and the way to read it.

The folder is on a memory disk: a log on flash would count as bytes that a peer had written.
"""

from __future__ import annotations

import mmap
from array import array
from pathlib import Path

_SUFFIX = ".sent"
_MESSAGES_MAX = 1 << 18
_BYTES = _MESSAGES_MAX * 16


class SentLog:
    """The log of one channel: (stamp, published) pairs [us, UTC]."""

    def __init__(self, folder: Path, channel: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{channel}{_SUFFIX}").open("wb+") as file:
            file.truncate(_BYTES)
            self._numbers = memoryview(mmap.mmap(file.fileno(), _BYTES)).cast("q")
        self._place = 0

    def note(self, stamp_us: int, published_us: int) -> None:
        """Add a message."""
        place = self._place
        self._numbers[place] = stamp_us
        self._numbers[place + 1] = published_us
        self._place = place + 2


def read_sent(folder: Path) -> dict[tuple[str, int], int]:
    """Return (channel, stamp) -> published [us, UTC], of all channels."""
    sent: dict[tuple[str, int], int] = {}
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        numbers = array("q", path.read_bytes())
        for stamp_us, published_us in zip(numbers[::2], numbers[1::2], strict=True):
            if not stamp_us:
                break
            sent[path.stem, stamp_us] = published_us
    return sent
