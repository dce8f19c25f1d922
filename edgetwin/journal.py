"""Roof: where log lines go: to the journal with their fields where it listens, else to stderr as text.

In: log records, from any thread     Out: journal entries (EVENT and the other fields in capitals), or lines.

A journal that hangs must hold up nothing: no loop, and no stop of a robot. So a record is put into a bounded
queue and written by a thread of its own; when the queue is full the newest lines are dropped, and counted.
Only this module imports systemd's library.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
import threading
from collections.abc import Mapping
from logging.handlers import QueueHandler
from queue import Full, Queue

IDENTIFIER = "edgetwin"
_JOURNAL = "JOURNAL_STREAM"
_QUEUE_MAX = 1000
_CLOSE_MAX_S = 1.0
_STDERR_FORMAT = "%(levelname)s %(message)s"


class Log(QueueHandler):
    """The log of this process, from `open_log` to `close`.

    Attributes:
        to_journal: Whether lines keep their fields.
        dropped: Lines that found the queue full.
    """

    def __init__(self, target: logging.Handler, *, to_journal: bool) -> None:
        self._lines: Queue[logging.LogRecord | None] = Queue(_QUEUE_MAX)
        super().__init__(self._lines)
        self.to_journal = to_journal
        self.dropped = 0
        self._told = 0
        self._target = target
        self._thread = threading.Thread(target=self._write, name="edgetwin-log", daemon=True)
        self._thread.start()

    def enqueue(self, record: logging.LogRecord) -> None:
        """Queue a line, or drop it."""
        try:
            self._lines.put_nowait(record)
        except Full:
            self.dropped += 1

    def close(self) -> None:
        """Write what waits, for at most a second."""
        if self._thread.is_alive():
            try:
                self._lines.put(None, timeout=_CLOSE_MAX_S)
            except Full:
                return
            self._thread.join(_CLOSE_MAX_S)
        logging.getLogger().removeHandler(self)
        super().close()

    def _write(self) -> None:
        while (record := self._lines.get()) is not None:
            self._target.handle(record)
            if self.dropped != self._told:
                self._told = self.dropped
                self._target.handle(_dropped(self._told))


def open_log(environ: Mapping[str, str]) -> Log:
    """Send all log lines of this process from INFO on to the journal, or to stderr; return the way to end it."""
    target = _journal() if _listens(environ) else None
    log = Log(target or _stderr(), to_journal=target is not None)
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    root.addHandler(log)
    return log


def _listens(environ: Mapping[str, str]) -> bool:
    """Whether our stderr is the journal's: what systemd says, unless somebody has redirected it since."""
    try:
        status = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return environ.get(_JOURNAL) == f"{status.st_dev}:{status.st_ino}"


def _journal() -> logging.Handler | None:
    try:
        journal = importlib.import_module("systemd.journal")
    except ImportError:  # only the service needs it; a checkout's own folder systemd/ is no help either
        return None
    handler: logging.Handler = journal.JournalHandler(SYSLOG_IDENTIFIER=IDENTIFIER)
    return handler


def _stderr() -> logging.Handler:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(_STDERR_FORMAT))
    return handler


def _dropped(count: int) -> logging.LogRecord:
    text = "%d log lines were dropped so far: whoever writes them down is too slow."
    record = logging.LogRecord(IDENTIFIER, logging.WARNING, __file__, 0, text, (count,), None)
    record.__dict__ |= {"EVENT": "log.dropped", "DROPPED": count}
    return record
