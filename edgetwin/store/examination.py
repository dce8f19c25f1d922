"""Keep room: the outbox file looked at from outside, for `edgetwin doctor`: nothing is opened for writing, or locked.

In: the path of the outbox     Out: Examination.

A daemon that runs holds its file alone, and nobody else can read it; then only the outside is told. Else SQLite checks
it, in place where it needs no log, or in a copy: to read a file with its log, SQLite would have to write.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import struct
import tempfile
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote

from edgetwin.clock import Clock, seconds_to_ns
from edgetwin.store import audit
from edgetwin.store.audit import Break
from edgetwin.store.number_format import AuditHead
from edgetwin.store.numbers import read as read_numbers
from edgetwin.store.schema import APPLICATION_ID, OLDEST_VERSION, PAGE_BYTES, SCHEMA_VERSION

_COPY_BYTES_MAX = 64_000_000
_LOOK_AT_THE_CLOCK = 20_000  # steps of SQLite's virtual machine
_LOCK_BYTE, _LOCK_BYTES = 0x4000_0000, 512  # where SQLite locks: its file format, "The Lock-Byte Page"
_FLOCK = "@hhqqi4x"
_APPLICATION_ID_AT, _USER_VERSION_AT = 68, 60


@dataclass(frozen=True, slots=True)
class Examination:
    """The outbox as it lies there.

    Attributes:
        exists: There is a file.
        used_bytes: Of everything that belongs to it: database, log, numbers, audit.
        held: A process has it open.
        fault: What is wrong with it; empty: nothing was found.
        checked: SQLite has looked at all of it.
        unchecked: Why not.
        broken: Files that were set aside.
    """

    exists: bool
    used_bytes: int = 0
    held: bool = False
    fault: str = ""
    checked: bool = False
    unchecked: str = ""
    broken: tuple[str, ...] = ()


def examine(path: Path, clock: Clock, budget_s: float) -> Examination:
    """Return what can be seen of the outbox within `budget_s`.

    Raises:
        OSError: It may not be read.
    """
    broken = tuple(sorted(file.name for file in _beside(path) if ".broken-" in file.name))
    used_bytes = footprint(path)
    if not path.exists():
        return Examination(exists=False, used_bytes=used_bytes, broken=broken)
    seen = partial(Examination, exists=True, used_bytes=used_bytes, broken=broken)
    held = _is_held(path)
    fault = _fault_of_head(path)
    if fault or held:
        why = "" if fault else "the daemon holds it"
        return seen(held=held, fault=fault, unchecked=why)
    fault, unchecked = _quick_check(path, clock, budget_s)
    if fault and _is_held(path):  # a daemon has begun to write meanwhile: what was read is no whole
        fault, unchecked = "", "the daemon has just opened it"
    return seen(held=held, fault=fault, checked=not fault and not unchecked, unchecked=unchecked)


def footprint(path: Path) -> int:
    """Return the bytes on disk of an outbox and all that belongs to it."""
    total = 0
    for file in _beside(path):
        with suppress(OSError):
            total += file.stat().st_blocks * 512
    return total


def broken_audit(path: Path) -> Break | None:
    """Return the first entry of the audit that is not what was written, or None.

    Raises:
        OSError: It cannot be read.
    """
    head: AuditHead | None = None
    last = read_numbers(Path(f"{path}.seq"))  # first: the audit may go on meanwhile
    if last is not None:
        head = last.audit
    return audit.verify(path, head)


def _beside(path: Path) -> list[Path]:
    if not path.parent.is_dir():
        return []
    return [file for file in path.parent.iterdir() if file.name.startswith(path.name)]


def _is_held(path: Path) -> bool:
    """Whether any process has locked the file; asked for, never taken."""
    question = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, _LOCK_BYTE, _LOCK_BYTES, 0)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        answer = fcntl.fcntl(descriptor, fcntl.F_GETLK, question)
    finally:
        os.close(descriptor)
    kind: int = struct.unpack(_FLOCK, answer)[0]
    return kind != fcntl.F_UNLCK


def _fault_of_head(path: Path) -> str:
    with path.open("rb") as file:
        page = file.read(PAGE_BYTES)
    if not page:
        return "it is empty where a database should be"
    application = int.from_bytes(page[_APPLICATION_ID_AT : _APPLICATION_ID_AT + 4], "big")
    version = int.from_bytes(page[_USER_VERSION_AT : _USER_VERSION_AT + 4], "big")
    if len(page) < PAGE_BYTES or not page.startswith(b"SQLite format 3\0"):
        return "it is no database"
    if application != APPLICATION_ID:
        return "it is a database of something else"
    if not OLDEST_VERSION <= version <= SCHEMA_VERSION:
        return f"it is of version {version}, and this edgetwin knows {OLDEST_VERSION} to {SCHEMA_VERSION}"
    return ""


def _quick_check(path: Path, clock: Clock, budget_s: float) -> tuple[str, str]:
    """Return (what is wrong, why it was not looked at to the end)."""
    log = Path(f"{path}-wal")
    log_bytes = log.stat().st_size if log.exists() else 0
    deadline_ns = clock.now_ns() + seconds_to_ns(budget_s)

    def late() -> bool:
        return clock.now_ns() > deadline_ns

    if not log_bytes:
        return _verdict(f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1", late)
    if log_bytes + path.stat().st_size > _COPY_BYTES_MAX:
        return "", "it was not closed in order and is large; the daemon checks it when it starts"
    with tempfile.TemporaryDirectory(prefix="edgetwin-") as folder:
        copy = Path(folder) / path.name
        shutil.copyfile(path, copy)
        shutil.copyfile(log, f"{copy}-wal")
        return _verdict(f"file:{quote(str(copy))}", late)


def _verdict(uri: str, late: Callable[[], bool]) -> tuple[str, str]:
    try:
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            connection.set_progress_handler(late, _LOOK_AT_THE_CLOCK)
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        if "interrupted" in str(error):
            return "", "it is large; nothing wrong was found in the time there was"
        return str(error), ""
    except sqlite3.DatabaseError as error:
        return str(error), ""
    return ("" if verdict == "ok" else str(verdict)), ""
