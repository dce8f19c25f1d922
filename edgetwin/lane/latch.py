"""Command lane: the latch on disk: a stop outlives the process that was told to stop.

In: what must be remembered     Out: a small file, written whole; and what the last process left
A thread of its own writes: write, fsync, rename, fsync of the directory. The lane puts the newest into a slot and
goes on; it hears later whether that is on disk. `driving` is there before the first twist of a drive leaves, so that a
process that dies while the robot moves leaves a latch even where it had no time for one.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import orjson

from edgetwin.motion import State

FILE_NAME = "latch.json"
VERSION = 1
_RETRY_S = 1.0
_STATES = frozenset({"", State.HELD.value, State.ESTOP.value, State.FAULT.value})
_TEXT_MAX = 128
_HANDLES_MAX = 16
_FILE_BYTES_MAX = 16_384

OnWritten = Callable[[int, str | None], None]


@dataclass(frozen=True, slots=True)
class Latch:
    """What must outlive the process.

    Attributes:
        state: HELD, ESTOP or FAULT while a stop is latched; else empty.
        stop_id: Names that stop.
        driving: Twists other than zero may have left.
        handles: Our publishers of motion in the graph, newest last: the next process knows our ghosts by them.
    """

    state: str = ""
    stop_id: str = ""
    driving: bool = False
    handles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Boot:
    """What the last process left.

    Attributes:
        held: Begin latched.
        stop_id: Of the latch; empty where it has no name.
        why: In words; empty for a clean start.
        handles: Publishers of earlier processes.
    """

    held: bool = False
    stop_id: str = ""
    why: str = ""
    handles: tuple[str, ...] = ()


def read(path: Path) -> Boot:
    """Return how to begin. No file is a first start; a file that cannot be read is a latch."""
    try:
        with path.open("rb") as file:
            value = orjson.loads(file.read(_FILE_BYTES_MAX))
        latch = _checked(value)
    except FileNotFoundError:
        return Boot()
    except (OSError, ValueError, KeyError, TypeError) as error:
        return Boot(held=True, why=f"{path} cannot be read ({error}): taken as a latched stop")
    if latch.state:
        why = f"{latch.state} was latched when the last process ended"
        return Boot(held=True, stop_id=latch.stop_id, why=why, handles=latch.handles)
    if latch.driving:
        return Boot(held=True, why="the last process ended while the robot was driven", handles=latch.handles)
    return Boot(handles=latch.handles)


def _checked(value: dict[str, object]) -> Latch:
    state, stop_id, driving, handles = value["state"], value["stop_id"], value["driving"], value["handles"]
    sound = (
        value["v"] == VERSION
        and state in _STATES
        and isinstance(state, str)
        and isinstance(stop_id, str)
        and len(stop_id) <= _TEXT_MAX
        and isinstance(driving, bool)
        and isinstance(handles, list)
        and all(isinstance(handle, str) and bytes.fromhex(handle) for handle in handles)
    )
    if not (sound and isinstance(state, str) and isinstance(stop_id, str) and isinstance(handles, list)):
        msg = "it is not a latch of this version"
        raise ValueError(msg)  # the file's value, not an argument's type
    return Latch(state, stop_id, bool(driving), tuple(handles))


class LatchFile:
    """Keeps the newest latch on disk."""

    def __init__(self, path: Path, on_written: OnWritten) -> None:
        """Start the thread.

        Args:
            path: The file; its directory is made if need be.
            on_written: Called on that thread with (number of the put, None), or why it could not be written.
        """
        self._path = path
        self._scratch = path.with_name(path.name + ".new")
        self._on_written = on_written
        self._slot = (0, Latch())
        self._number = 0
        self._closing = False
        self._eventfd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._thread = threading.Thread(target=self._work, name="edgetwin-latch", daemon=True)
        self._thread.start()

    def put(self, latch: Latch) -> int:
        """Have this on disk soon, instead of all that was put before; never waits. Return its number."""
        self._number += 1
        self._slot = (self._number, latch)
        os.eventfd_write(self._eventfd, 1)
        return self._number

    def close(self, timeout_s: float) -> bool:
        """Write what was put last, and end the thread; return whether it has ended in time."""
        self._closing = True
        os.eventfd_write(self._eventfd, 1)
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            return False
        os.close(self._eventfd)
        return True

    def _work(self) -> None:
        written, failed = 0, False
        while True:
            select.select([self._eventfd], [], [], _RETRY_S if failed else None)
            with suppress(BlockingIOError):
                os.eventfd_read(self._eventfd)
            closing = self._closing  # looked at first: what was put before `close` is written
            number, latch = self._slot
            if number != written:
                failed = not self._write(number, latch)
                written = written if failed else number
            if closing:
                return

    def _write(self, number: int, latch: Latch) -> bool:
        content = orjson.dumps(
            {
                "v": VERSION,
                "state": latch.state,
                "stop_id": latch.stop_id,
                "driving": latch.driving,
                "handles": latch.handles[-_HANDLES_MAX:],
            }
        )
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_durably(self._scratch, self._path, content)
        except OSError as error:
            self._on_written(number, f"{self._path} cannot be written: {error.strerror or error}")
            return False
        self._on_written(number, None)
        return True


def write_durably(scratch: Path, path: Path, content: bytes) -> None:
    """Write a file whole: after a power cut there is the old one, or the new one.

    Raises:
        OSError: It is not on disk.
    """
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
    try:
        os.write(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    scratch.replace(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
