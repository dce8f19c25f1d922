"""Export: the records in an outbox file: the daemon's own while it runs, one that was set aside, or a copy.

In: a path     Out: entries, what is known to be lost, what cannot be read.
Reads only, in short looks of at most a megabyte; a look that met a checkpoint is taken again (see pages). What a look
gives are blocks with checksums of their own, so that damage on disk is told, and never exported.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import orjson

from edgetwin.errors import Fault, RefusedError
from edgetwin.export.entry import Chosen, Entry, ExportError, Lost, Stream
from edgetwin.export.pages import Pages
from edgetwin.export.rows import block_of, dead_block, fault_of, gaps_of, table_of
from edgetwin.export.tree import LOWEST, Tree
from edgetwin.records import Encoding, GapCause
from edgetwin.settings import Channel
from edgetwin.store.block import Block, Condition, unpack

_Found = TypeVar("_Found")

_LOOK_BYTES, _LOOK_BYTES_MIN = 1_048_576, 4_096
_LOOKS_MAX = 1_000
_PAUSE_S, _PAUSE_MAX_S = 0.001, 0.02
_NS_PER_US = 1_000
_LAST_ROW = 2**62
_ROOTS = {"block": 2}  # where a broken first page does not say: it is made first
_PAGES_NAMED_MAX = 10


class StoredRecords:
    """An open outbox file.

    Attributes:
        seen: Names of all channels that came by, wanted or not.
    """

    def __init__(
        self, path: Path, channels: Mapping[str, Channel], chosen: Chosen, *, dead_letters: bool = False
    ) -> None:
        """Open the file and find its tables.

        Args:
            path: The file; its log stands beside it.
            channels: The settings of channels: topics and types.
            chosen: Which channels are wanted.
            dead_letters: What the broker refused for good is exported, instead of what waits.

        Raises:
            RefusedError: It is no outbox, of another version, or may not be read.
            ExportError: Nothing in it can be read.
        """
        self._path = path
        self._channels = channels
        self._chosen = chosen
        self._table, self._block = ("dead", dead_block) if dead_letters else ("block", block_of)
        self._streams: dict[str, Stream] = {}
        self._damaged: set[int] = set()
        self._unreadable: dict[str, int] = {}  # channel -> records
        self._unknown_rows = 0
        self._look_bytes = _LOOK_BYTES
        self.seen: set[str] = set()
        try:
            self._pages = Pages(path)
        except OSError as error:
            raise RefusedError([_unopened(path, error)]) from error
        try:
            self._roots = self._steady(self._find_tables)
        except BaseException:
            self._pages.close()
            raise

    def entries(self) -> Iterator[Entry]:
        """Yield the records, in the order in which they were written; what is written from now on is left out."""
        for block in self._blocks():
            self.seen.add(block.lane)
            if block.lane and not self._chosen(block.lane):
                continue
            if block.condition is Condition.DOUBTED:
                self._unknown_rows += 1
                continue
            try:
                records = [self._entry(orjson.loads(raw)) for raw in unpack(block)]
            except (ValueError, KeyError, TypeError):
                self._unreadable[block.lane] = self._unreadable.get(block.lane, 0) + block.count
                continue
            yield from (record for record in records if self._chosen(record.stream.name))

    def lost(self) -> Sequence[Lost]:
        """Return the gaps that the cloud was not told of for certain, and what cannot be read here."""
        told = self._steady(self._gaps) if "gap" in self._roots else []
        here = [Lost(lane, "", 0, None, records, GapCause.DAMAGED) for lane, records in self._unreadable.items()]
        return [*(one for one in told if not one.channel or self._chosen(one.channel)), *here]

    def remarks(self) -> Sequence[str]:
        """Return nothing."""
        return ()

    def damage(self) -> Sequence[str]:
        """Return what could not be read, a sentence each."""
        found = []
        if self._roots is _ROOTS:
            found.append("Its first page is broken: the records were looked for without it, gaps were not.")
        if self._damaged:
            some = ", ".join(map(str, sorted(self._damaged)[:_PAGES_NAMED_MAX]))
            found.append(
                f"{len(self._damaged)} of its pages are damaged ({some}): what cannot be read there is missing."
            )
        if records := sum(self._unreadable.values()):
            found.append(f"{records} records cannot be read: they are not what was written.")
        if self._unknown_rows:
            found.append(
                f"{self._unknown_rows} of its rows are damaged, and nobody can tell how many records they held."
            )
        if self._pages.log_is_cut():
            found.append("Its log is damaged before its end: what was written after that is missing.")
        return [f"{self._path}: {one}" for one in found]

    def close(self) -> None:
        """Release the files."""
        self._pages.close()

    def _blocks(self) -> Iterator[Block]:
        root = self._roots.get(self._table)
        if root is None:
            return
        newest = self._steady(lambda tree, _: _newest(tree, root))
        after: int | None = LOWEST
        while after is not None and after < newest:
            at = after
            blocks, after = self._steady(lambda tree, size: self._batch(tree, root, (at, newest), size))  # noqa: B023
            yield from blocks

    def _batch(self, tree: Tree, root: int, between: tuple[int, int], bytes_max: int) -> tuple[list[Block], int | None]:
        """Return the rows of some leaves, and where the next look begins; None: there are no more."""
        after, newest = between
        blocks: list[Block] = []
        size = 0
        for leaf in tree.leaves(root, after):
            for row, raw in leaf.rows:
                block = self._block(row, raw)
                # An id that is damaged is anywhere; the checksum covers it, and its records tell what they are.
                if after < row <= newest or block.condition is not Condition.SOUND:
                    blocks.append(block)
                    size += len(block.body)
            if leaf.bound is None or size > bytes_max:
                return blocks, leaf.bound
        return blocks, None

    def _entry(self, record: Mapping[str, Any]) -> Entry:
        name = str(record["channel"])
        content = record["data"]
        if record.get("encoding") == Encoding.CDR:
            content = base64.b64decode(content, validate=True)
        stamp_ns, recv_ns = int(record["stamp_us"]) * _NS_PER_US, int(record["recv_us"]) * _NS_PER_US
        return Entry(self._stream(name), str(record["boot"]), int(record["seq"]), stamp_ns, recv_ns, content)

    def _stream(self, name: str) -> Stream:
        found = self._streams.get(name)
        if found is None:
            channel = self._channels.get(name)
            found = Stream(name, f"/{name}") if channel is None else Stream(name, channel.topic, channel.type)
            self._streams[name] = found
        return found

    def _gaps(self, tree: Tree, _: int) -> list[Lost]:
        return [gap for leaf in tree.leaves(self._roots["gap"]) for gap in gaps_of(leaf)]

    def _find_tables(self, tree: Tree, _: int) -> dict[str, int]:
        fault = fault_of(self._path, self._pages.page(1))
        if fault is not None:
            raise RefusedError([fault])
        rows = [row for leaf in tree.leaves(1) for row in leaf.rows]
        found = dict(table for row, raw in rows if (table := table_of(row, raw)) is not None)
        return found if "block" in found else _ROOTS

    def _steady(self, look: Callable[[Tree, int], _Found]) -> _Found:
        """Return what a look gives that met no change.

        Raises:
            ExportError: Every look met one, or the file ends before its first page.
        """
        for attempt in range(_LOOKS_MAX):
            tree = Tree(self._pages.page)
            self._pages.begin()
            try:
                found = look(tree, self._look_bytes)
            except ValueError as error:
                if self._pages.holds():
                    msg = f"{self._path}: nothing in it can be read ({error}); export an outbox that is whole"
                    raise ExportError(msg) from error
            else:
                if self._pages.holds():
                    self._damaged |= tree.damaged
                    self._look_bytes = min(2 * self._look_bytes, _LOOK_BYTES)
                    return found
            self._look_bytes = max(self._look_bytes // 4, _LOOK_BYTES_MIN)  # the daemon was quicker
            threading.Event().wait(min(_PAUSE_S * (attempt + 1), _PAUSE_MAX_S))
        msg = f"{self._path} changes faster than it can be read; stop the daemon, or export a copy"
        raise ExportError(msg)


def _newest(tree: Tree, root: int) -> int:
    """Return the newest id in a table; one that is damaged is none."""
    rows = [row for leaf in tree.leaves(root, _LAST_ROW) for row, _ in leaf.rows if row < _LAST_ROW]
    return max(rows, default=0) if rows or not tree.damaged else _LAST_ROW


def _unopened(path: Path, error: OSError) -> Fault:
    if isinstance(error, PermissionError):
        cure = "run it as root, or as the daemon's user: sudo -u edgetwin edgetwin export"
        return Fault(str(path), "may not be read", cure)
    if isinstance(error, FileNotFoundError):
        return Fault(str(path), "there is no such file", "name another outbox or recording, or the settings of another")
    return Fault(str(path), f"cannot be read ({error.strerror})", "correct the path, or check the disk")
