"""A disk whose power can be cut: what a process wrote, call by call, and what of it a cut may leave.

In: a recording of system calls (strace)     Out: for any point in it, the files as they may be after a power cut.

The model: bytes are safe once their file was synced, names once their folder was. Until then every 512-byte sector
of every write is kept or dropped on its own, as is every truncation; names change in order (a journalling file
system), as far as chance has it. What it leaves out: a disk that lies about a sync.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TypeAlias

SECTOR_BYTES = 512
_CALLS = "openat,close,pwrite64,write,fsync,fdatasync,ftruncate,rename,unlink"
_LINE = re.compile(r"^(\w+)\((.*)\)\s+= (-?\d+)")


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes at a place."""

    offset: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Truncate:
    """A new length."""

    size: int


ContentOp: TypeAlias = Write | Truncate


@dataclass(slots=True)
class File:
    """An inode: what is safe, and what happened since."""

    safe: bytearray = field(default_factory=bytearray)
    pending: list[ContentOp] = field(default_factory=list)

    def sync(self) -> None:
        """All of it is safe now."""
        for op in self.pending:
            _apply(self.safe, op)
        self.pending.clear()

    def after_cut(self, random: Random, keep_share: float) -> bytes:
        """Return what a cut may leave."""
        content = bytearray(self.safe)
        for op in self.pending:
            if isinstance(op, Truncate):
                if random.random() < keep_share:
                    _apply(content, op)
                continue
            for sector in _sectors(op):
                if random.random() < keep_share:
                    _apply(content, sector)
        return bytes(content)


@dataclass(frozen=True, slots=True)
class NameOp:
    """A change to the folder: `name` now means `file`, or nothing."""

    changes: tuple[tuple[str, int | None], ...]


@dataclass(slots=True)
class Disk:
    """One folder."""

    files: list[File] = field(default_factory=list)
    names: dict[str, int] = field(default_factory=dict)
    safe_names: dict[str, int] = field(default_factory=dict)
    pending_names: list[NameOp] = field(default_factory=list)

    def rename(self, changes: Sequence[tuple[str, int | None]]) -> None:
        """Change names, all at once; safe after the next sync of the folder."""
        op = NameOp(tuple(changes))
        _rename(self.names, op)
        self.pending_names.append(op)

    def sync_folder(self) -> None:
        """All names are safe now."""
        self.safe_names = dict(self.names)
        self.pending_names.clear()

    def after_cut(self, random: Random) -> dict[str, bytes]:
        """Return name -> content as a cut may leave them."""
        names = dict(self.safe_names)
        for op in self.pending_names[: random.randint(0, len(self.pending_names))]:
            _rename(names, op)
        keep_share = random.choice((0.0, 0.1, 0.5, 0.9, 1.0))
        return {name: self.files[index].after_cut(random, keep_share) for name, index in sorted(names.items())}


@dataclass(frozen=True, slots=True)
class Step:
    """One system call: what it did to the disk, or what it said."""

    act: Callable[[Disk], None] | None
    said: str = ""


def recorded(argv: Sequence[str], folder: Path, log: Path, cwd: Path) -> list[Step]:
    """Run a process to its end and return what it did to the files in `folder`, and what it said."""
    strace = shutil.which("strace")
    assert strace is not None, "strace is not installed: apt-get install strace"
    subprocess.run(
        [strace, "-qq", "-xx", "-s", "10000000", "-e", f"trace={_CALLS}", "-e", "signal=none", "-o", log, *argv],
        check=False,  # it ends by SIGKILL
        cwd=cwd,
        stdout=subprocess.DEVNULL,
        timeout=100,
    )
    return list(_Reader(folder).read(log))


class _Reader:
    """Turns lines of strace into steps."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[int, int | None] = {}  # descriptor -> file; None: the folder
        self._names: dict[str, int] = {}
        self._count = 0

    def read(self, log: Path) -> Iterator[Step]:
        with log.open(encoding="ascii") as lines:
            for line in lines:
                found = _LINE.match(line)
                if found is None or int(found[3]) < 0:
                    continue
                step = self._step(found[1], found[2].split(", "), int(found[3]))
                if step is not None:
                    yield step

    def _step(self, call: str, args: list[str], result: int) -> Step | None:
        if call == "openat":
            return self._opened(_text(args[1]), args[2], result)
        if call in {"rename", "unlink"}:
            return self._renamed([_text(arg) for arg in args])
        if call == "write" and int(args[0]) == 1:
            return Step(None, _bytes(args[1]).decode())
        return self._changed(call, args)

    def _changed(self, call: str, args: list[str]) -> Step | None:
        descriptor = int(args[0])
        if descriptor not in self._open:
            return None
        if call == "close":
            del self._open[descriptor]
            return None
        index = self._open[descriptor]
        if index is not None:
            return Step(_content_act(call, index, args))
        return Step(Disk.sync_folder) if call.endswith("sync") else None

    def _opened(self, path: str, flags: str, descriptor: int) -> Step | None:
        if Path(path) == self._folder:
            self._open[descriptor] = None
            return None
        if Path(path).parent != self._folder:
            return None
        assert "O_TRUNC" not in flags, "the model knows no O_TRUNC"
        name = Path(path).name
        if name in self._names:
            self._open[descriptor] = self._names[name]
            return None
        index = self._open[descriptor] = self._names[name] = self._count
        self._count += 1

        def create(disk: Disk) -> None:
            disk.files.append(File())
            disk.rename([(name, index)])

        return Step(create)

    def _renamed(self, paths: list[str]) -> Step | None:
        if Path(paths[0]).parent != self._folder:
            return None
        changes: list[tuple[str, int | None]] = [(Path(paths[0]).name, None)]
        index = self._names.pop(Path(paths[0]).name)
        if len(paths) > 1:
            self._names[Path(paths[1]).name] = index
            changes.append((Path(paths[1]).name, index))
        return Step(lambda disk: disk.rename(changes))


def _content_act(call: str, index: int, args: list[str]) -> Callable[[Disk], None]:
    if call.endswith("sync"):
        return lambda disk: disk.files[index].sync()
    assert call in {"pwrite64", "ftruncate"}, f"the model knows no {call}"
    op = Truncate(int(args[1])) if call == "ftruncate" else Write(int(args[3]), _bytes(args[1]))
    return lambda disk: disk.files[index].pending.append(op)


def _bytes(argument: str) -> bytes:
    assert argument.endswith('"'), "strace cut a string short"
    return bytes.fromhex(argument[1:-1].replace("\\x", ""))


def _text(argument: str) -> str:
    return _bytes(argument).decode()


def _rename(names: dict[str, int], op: NameOp) -> None:
    for name, index in op.changes:
        if index is None:
            names.pop(name, None)
        else:
            names[name] = index


def _apply(content: bytearray, op: ContentOp) -> None:
    size = op.size if isinstance(op, Truncate) else op.offset + len(op.content)
    if size > len(content):
        content.extend(bytes(size - len(content)))
    if isinstance(op, Truncate):
        del content[op.size :]
    else:
        content[op.offset : size] = op.content


def _sectors(write: Write) -> Iterator[Write]:
    """Cut a write at the borders of sectors."""
    start, end = write.offset, write.offset + len(write.content)
    while start < end:
        stop = min(end, (start // SECTOR_BYTES + 1) * SECTOR_BYTES)
        yield Write(start, write.content[start - write.offset : stop - write.offset])
        start = stop
