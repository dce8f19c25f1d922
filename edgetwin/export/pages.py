"""Export: the pages of an outbox, read beside the daemon that holds it, and without its notice.

In: the path     Out: pages, and whether all that were read since `begin` belong to one moment.

The daemon holds its file alone (store.opening): SQLite would let nobody in, and to read a file with its log it would
have to write. So nothing is locked or opened for writing here, and there is nothing that could hold up a checkpoint.
Instead each look is judged after the fact. What a checkpoint writes into the database stands in the log first, in
frames that are not overwritten until the log is begun anew, which changes its header. So a look was at one moment if
that header is the same afterwards, and no page that was taken from the database was committed to the log meanwhile.
"""

from __future__ import annotations

import os
from pathlib import Path

from edgetwin.errors import EdgeTwinError
from edgetwin.export.log import Log
from edgetwin.store.schema import PAGE_BYTES


class ReplacedError(EdgeTwinError):
    """Another file has taken the name of the outbox: it was set aside, or deleted. Recovery: export again."""


class PageError(ValueError):
    """A page is not there."""


class Pages:
    """The pages of one outbox file.

    Raises:
        OSError: It cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._log = Log(self._log_path)
        self._from_file: set[int] = set()
        self._seen = os.fstat(self._file)

    def begin(self) -> None:
        """Begin a look at the file as it is now.

        Raises:
            ReplacedError: There is another file of that name.
        """
        try:
            now = self._path.stat()
        except FileNotFoundError as error:
            raise self._replaced() from error
        self._seen = os.fstat(self._file)
        if (now.st_dev, now.st_ino) != (self._seen.st_dev, self._seen.st_ino):
            raise self._replaced()
        if not self._log.is_current():
            self._log.close()
            self._log = Log(self._log_path)
        self._log.read_on()
        self._from_file.clear()

    def page(self, number: int) -> bytes:
        """Return a page; the first is number 1.

        Raises:
            PageError: The file ends before it.
        """
        found = self._log.page(number) if number > 0 else b""
        if found is None:
            self._from_file.add(number)
            found = os.pread(self._file, PAGE_BYTES, (number - 1) * PAGE_BYTES)
        if len(found) != PAGE_BYTES:
            msg = f"there is no page {number}"
            raise PageError(msg)
        return found

    def holds(self) -> bool:
        """Whether all pages since `begin` belong to one moment; if not, what was read is worth nothing."""
        committed = self._log.read_on()
        if not self._log.is_current():
            return False
        if committed & self._from_file:
            return False
        if self._log.begun:
            return True
        now = os.fstat(self._file)  # a log that came and went meanwhile leaves its mark here alone
        return (now.st_size, now.st_mtime_ns) == (self._seen.st_size, self._seen.st_mtime_ns)

    def log_is_cut(self) -> bool:
        """Whether the log is damaged before its end: what stands behind it is not read."""
        return self._log.is_cut()

    def close(self) -> None:
        """Let go of the files."""
        self._log.close()
        os.close(self._file)

    @property
    def _log_path(self) -> Path:
        return Path(f"{self._path}-wal")

    def _replaced(self) -> ReplacedError:
        return ReplacedError(
            f"{self._path} was set aside or deleted while it was read; export again, or what it is now"
        )
