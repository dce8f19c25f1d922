"""Command lane: admission's high-water marks on disk, so that no restart makes an old number new.

In: snapshots, after the fact     Out: a small file, written whole; and what the last process left
Not on the lane's thread: the main loop looks once a second, and a thread that nobody waits for writes what is new.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from edgetwin.lane.latch import write_durably

FILE_NAME = "high_water.json"
_FILE_BYTES_MAX = 262_144
_LOOK_S = 1.0
_END_S = 0.5


def read(path: Path) -> Mapping[str, Any] | None:
    """Return what was written last; None for a first start, and for a file that says nothing.

    Without it moves stamped before this start are refused all the same; only a later stamp with an old number would
    pass, which is why a damaged file keeps nobody from starting.
    """
    try:
        with path.open("rb") as file:
            value = orjson.loads(file.read(_FILE_BYTES_MAX))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


class Marks:
    """The file of one lane, kept from the main loop.

    Attributes:
        remembered: What the last process left.
    """

    def __init__(self, path: Path, snapshot: Callable[[], Mapping[str, Any]], trouble: Callable[[str], None]) -> None:
        """Read the file; nothing is written before `look`.

        Args:
            path: Of the file.
            snapshot: Returns the newest marks.
            trouble: Told once, in words, when they cannot be written.
        """
        self.remembered = read(path)
        self._path = path
        self._snapshot = snapshot
        self._trouble = trouble
        self._troubled = False
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._written: Mapping[str, Any] = self.remembered or {}
        self._writing: asyncio.Future[None] | None = None

    def look(self) -> None:
        """Have written what is new, from now on once a second."""
        self._timer = self._loop.call_later(_LOOK_S, self.look)
        self._write()

    async def end(self, last: Mapping[str, Any]) -> None:
        """Write the last ones; where the disk hangs they are lost after a second."""
        self._snapshot = lambda: last
        if self._timer is not None:
            self._timer.cancel()
        for _ in ("what is being written", "what has come since"):
            self._write()
            if self._writing is not None:
                await asyncio.wait((self._writing,), timeout=_END_S)

    def _write(self) -> None:
        snapshot = self._snapshot()
        if self._writing is None and snapshot.get("clients") and snapshot != self._written:
            self._writing = self._loop.create_future()
            threading.Thread(target=self._work, args=(snapshot,), name="edgetwin-marks", daemon=True).start()

    def _work(self, snapshot: Mapping[str, Any]) -> None:
        problem = ""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_durably(self._path.with_name(self._path.name + ".new"), self._path, orjson.dumps(snapshot))
        except OSError as error:
            problem = f"{self._path} cannot be written: {error.strerror or error}"
        with suppress(RuntimeError):  # the main loop has ended
            self._loop.call_soon_threadsafe(self._done, snapshot, problem)

    def _done(self, snapshot: Mapping[str, Any], problem: str) -> None:
        writing, self._writing = self._writing, None
        if not problem:
            self._written = snapshot
        elif not self._troubled:
            self._trouble(problem)
        self._troubled = bool(problem)
        if writing is not None:
            writing.set_result(None)
