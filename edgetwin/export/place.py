"""Export: a file that is there whole, or not at all.

In: a name     Out: an open file without a name; under its name once it is finished and safe on disk.
A process that is killed half-way leaves nothing behind: a file without a name goes with it (Linux, O_TMPFILE). Where
the file system has no such files, it has a name of its own until then, with a dot before it and `.part` behind.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from edgetwin.errors import Fault, RefusedError
from edgetwin.export.entry import ExportError

_MODE = 0o666  # less the user's umask


class Draft:
    """A file that is being written.

    Attributes:
        file: Open for writing and reading.
    """

    def __init__(self, folder: Path) -> None:
        """Make it.

        Raises:
            RefusedError: Nothing can be written there.
        """
        self._folder = folder
        self._path: Path | None = None
        try:
            self.file: BinaryIO = os.fdopen(os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, _MODE), "w+b")
        except OSError:
            self._path = folder / f".edgetwin-{secrets.token_hex(8)}.part"
            try:
                self.file = self._path.open("x+b")
            except OSError as error:
                raise RefusedError([_unwritable(folder, error)]) from error

    def publish(self, target: Path, *, force: bool) -> None:
        """Make it safe, and give it its name.

        Args:
            target: In the folder it was made in.
            force: Take the place of what has that name.

        Raises:
            RefusedError: There is something of that name already.
            ExportError: The disk does not take it.
        """
        try:
            self.file.flush()
            os.fsync(self.file.fileno())
            self._name(target, force=force)
        except FileExistsError as error:
            raise RefusedError([taken(target)]) from error
        except OSError as error:
            msg = f"{target} cannot be written: {error.strerror}; check the disk, its free space and the permissions"
            raise ExportError(msg) from error

    def close(self) -> None:
        """Let go of it; what was not published is gone."""
        with suppress(OSError):
            self.file.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)
            self._path = None

    def _name(self, target: Path, *, force: bool) -> None:
        if not force:
            self._link(target)
            return
        scratch = self._folder / f".edgetwin-{secrets.token_hex(8)}.part"
        self._link(scratch)
        try:
            scratch.replace(target)
        except OSError:
            scratch.unlink(missing_ok=True)
            raise

    def _link(self, target: Path) -> None:
        """Give it a name that nothing has yet; in one step."""
        if self._path is not None:
            if not _linked(self._path, target):
                self._path.rename(target)
                self._path = None
            return
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # With a descriptor Python asks for linkat(AT_SYMLINK_FOLLOW): without, it would link the symbolic link.
            source = f"/proc/self/fd/{self.file.fileno()}"
            os.link(source, target.name, dst_dir_fd=folder, follow_symlinks=True)
        finally:
            os.close(folder)


def written(what: Callable[[], object], where: Path) -> None:
    """Write; say what a disk that is full means.

    Raises:
        ExportError: The disk does not take it.
    """
    try:
        what()
    except OSError as error:
        msg = f"{where} cannot be written: {error.strerror}; check the disk and its free space"
        raise ExportError(msg) from error


def taken(path: Path) -> Fault:
    """Return what to say of a name that is taken."""
    return Fault(str(path), "is there already", "choose another --out, or give --force to replace it")


def _linked(source: Path, target: Path) -> bool:
    """Give a file a second name; say whether the file system has such."""
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:
        if target.exists():
            raise FileExistsError(target) from None
        return False
    return True


def _unwritable(folder: Path, error: OSError) -> Fault:
    return Fault(str(folder), f"nothing can be written there ({error.strerror})", "choose another --out")
