"""Small real file systems, for disks that fill up or turn read-only. Needs root."""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_EXT4_IOC_SHUTDOWN = 0x8004587D
_NO_LOG_FLUSH = 2


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True)


def needs_root() -> None:
    """Skip where nothing can be mounted; say why."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")


@contextmanager
def tmpfs(folder: Path, size_bytes: int) -> Iterator[Path]:
    """A file system in memory of this size, mounted on `folder`."""
    needs_root()
    folder.mkdir()
    try:
        _run("mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "edgetwin-proof", folder)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no tmpfs here: {error.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        _run("umount", "-l", folder)


class Ext4:
    """An ext4 in a file, mounted through a loop device."""

    def __init__(self, image: Path, folder: Path) -> None:
        self.image = image
        self.folder = folder

    def mount(self) -> None:
        """Mount it; the journal is replayed."""
        _run("mount", "-o", "loop", self.image, self.folder)

    def mount_copy(self) -> None:
        """Mount what the image holds over the old mount, which open files may keep alive, with no moment of neither."""
        copy = self.image.with_name(self.image.name + ".copy")
        shutil.copy(self.image, copy)
        self.image = copy
        self.mount()

    def abort(self) -> None:
        """Turn it read-only under its writers, as an ext4 does that meets an error."""
        _run("mount", "-o", "remount,abort", self.folder)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let every write and sync wait, and neither succeed nor fail, until this ends: a disk that hangs."""
        assert shutil.which("fsfreeze") is not None, "fsfreeze is not installed: apt-get install util-linux"
        _run("fsfreeze", "--freeze", self.folder)
        try:
            yield
        finally:
            _run("fsfreeze", "--unfreeze", self.folder)

    def cut(self) -> None:
        """Take the power: what was not synced is gone, and nothing can be written any more."""
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _EXT4_IOC_SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(descriptor)

    def unmount(self, *, lazily: bool = False) -> None:
        """Unmount it; lazily: though files are open in it."""
        _run("umount", *(["-l"] if lazily else []), self.folder)


@contextmanager
def ext4(image: Path, folder: Path, size_bytes: int = 64_000_000) -> Iterator[Ext4]:
    """A mounted ext4."""
    needs_root()
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("mkfs.ext4 is not installed: apt-get install e2fsprogs")
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(size_bytes)
    _run("mkfs.ext4", "-q", "-F", image)
    disk = Ext4(image, folder)
    try:
        disk.mount()
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no loop devices here: {error.stderr.decode().strip()}")
    try:
        yield disk
    finally:
        while folder.is_mount():
            disk.unmount(lazily=True)
