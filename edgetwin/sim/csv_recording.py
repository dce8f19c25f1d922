"""Replay: CSV files as a recording, by a mapping (see sim.csv_mapping).

In: a file, a folder or a pattern; a Mapping     Out: Topic, Recorded.
Pure reading. Several files are merged by time; within a file the rows stay as they stand.
"""

from __future__ import annotations

import csv
import heapq
import struct
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from fnmatch import fnmatch
from pathlib import Path
from typing import TypeAlias

from edgetwin.clock import NS_PER_S, seconds_to_ns
from edgetwin.errors import Fault, FieldPathError, RefusedError
from edgetwin.sim.csv_mapping import Mapping, Message, Time
from edgetwin.sim.message_fields import Convert, Field, MessageForm, converter
from edgetwin.sim.recorded import Recorded, RecordingError, Topic

_Writer: TypeAlias = Callable[[list[str]], None]


class CsvRecording:
    """Open CSV files, as `sim.recorded.Recording` describes them."""

    def __init__(self, path: Path, mapping: Mapping, mapping_path: Path) -> None:
        """Match files with the mapping, and check every column and field.

        Raises:
            RefusedError: Every fault found, one per line.
        """
        faults: list[Fault] = []
        self._sheets: list[_Sheet] = []
        files = _files(path)
        for number, message in enumerate(mapping.messages):
            fitting = [file for file in files if fnmatch(file.name, message.file)]
            where = f"{mapping_path}: messages.{number}"
            if len(fitting) > 1:
                names = ", ".join(file.name for file in fitting)
                cure = "play one file, or a pattern in quotes that leaves one, such as '*_00.csv'"
                faults.append(Fault(f"{where}.file", f"{message.file!r} fits several files: {names}", cure))
            elif fitting:
                self._sheets.append(_Sheet(fitting[0], message, where, faults))
        if not self._sheets and not faults:
            cure = "correct `file` in the mapping, or play another file"
            faults.append(Fault(str(path), f"no message of {mapping_path} is for it", cure))
        if faults:
            raise RefusedError(faults)

    @property
    def topics(self) -> tuple[Topic, ...]:
        """The streams that hold messages, sorted by name."""
        found = {
            (sheet.message.topic, sheet.message.type): Topic(sheet.message.topic, sheet.message.type, sheet.form.layout)
            for sheet in self._sheets
            if sheet.first_ns() is not None
        }
        return tuple(found[key] for key in sorted(found))

    def messages(
        self, topics: Collection[str], *, start_s: float = 0.0, duration_s: float | None = None
    ) -> Iterator[Recorded]:
        """Yield the messages of `topics` by time (see `sim.recorded.Recording`)."""
        firsts = [first for sheet in self._sheets if (first := sheet.first_ns()) is not None]
        if not firsts:
            return
        start_ns = min(firsts) + seconds_to_ns(start_s)
        stop_ns = None if duration_s is None else start_ns + seconds_to_ns(duration_s)
        rows = [sheet.messages(start_ns, stop_ns) for sheet in self._sheets if sheet.message.topic in topics]
        yield from heapq.merge(*rows, key=lambda recorded: recorded.stamp_ns)

    def close(self) -> None:
        """Nothing stays open between two passes."""


class _Sheet:
    """One file and what the mapping makes of its rows."""

    def __init__(self, file: Path, message: Message, where: str, faults: list[Fault]) -> None:
        self.message = message
        self._file = file
        self._writers: list[_Writer] = []
        with self._open() as reader:
            header = next(reader, [])
        self._columns = {name.strip(): index for index, name in reversed(list(enumerate(header)))}
        wanted = {name for name, _ in message.time.columns}
        wanted.update(name for source in message.sources().values() for name in source.names)
        if missing := sorted(wanted - self._columns.keys()):
            known = ", ".join(name for name in self._columns if name)
            faults.append(Fault(where, f"{file.name} has no column {', '.join(missing)}", f"it has {known}"))
            return
        self._times = [(self._columns[name], power) for name, power in message.time.columns]
        try:
            self.form = MessageForm(message.type)
        except FieldPathError as error:
            faults.append(Fault(f"{where}.type", f"{error.path} {error.what}", error.cure))
            return
        for path, value in message.constants.items():
            try:
                self.form.field(path).set(value)
            except (FieldPathError, ValueError) as error:
                faults.append(_fault(f"{where}.constants", path, error))
        for path, source in message.sources().items():
            try:
                field = self.form.field(path)
                cells = [self._columns[name] for name in source.names]
                convert = converter(field.kind, source.scale, source.offset)
                self._writers.append(_writer(field, cells, convert, single=source.column is not None))
            except (FieldPathError, ValueError) as error:
                faults.append(_fault(f"{where}.columns", path, error))

    def first_ns(self) -> int | None:
        """Return the time of the first row [ns], None for a file without rows."""
        for _, stamp_ns in self._rows():
            return stamp_ns
        return None

    def messages(self, start_ns: int, stop_ns: int | None) -> Iterator[Recorded]:
        """Yield a message per row from `start_ns` on; the first row at or after `stop_ns` ends the file."""
        message = self.message
        for row, stamp_ns in self._rows():
            if stamp_ns < start_ns:
                continue
            if stop_ns is not None and stamp_ns >= stop_ns:
                return
            with self._place(row):
                self.form.stamp(stamp_ns)
                for write in self._writers:
                    write(row)
                cdr = self.form.serialise()
            yield Recorded(message.topic, message.type, cdr, stamp_ns)

    def _rows(self) -> Iterator[tuple[list[str], int]]:
        with self._open() as reader:
            next(reader, None)
            for number, row in enumerate(row for row in reader if row):
                with self._place(row):
                    stamp_ns = _stamp_ns(self.message.time, [(row[cell], power) for cell, power in self._times], number)
                yield row, stamp_ns

    @contextmanager
    def _open(self) -> Iterator[Iterator[list[str]]]:
        try:
            with self._file.open(newline="", encoding="utf-8-sig") as text:
                yield csv.reader(text)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            msg = f"{self._file}: cannot be read as CSV: {error}"
            raise RecordingError(msg) from error

    @contextmanager
    def _place(self, row: list[str]) -> Iterator[None]:
        try:
            yield
        except (ValueError, OverflowError, IndexError, InvalidOperation, struct.error) as error:
            shown = ",".join(row)[:80]
            msg = f"{self._file}: row {shown!r} does not fit the mapping ({error}); correct the row or the mapping"
            raise RecordingError(msg) from error


def _stamp_ns(time: Time, cells: list[tuple[str, int]], number: int) -> int:
    """Return a row's time [ns]; exact, because a float holds Unix time to 0.2 us only."""
    offset_ns = seconds_to_ns(time.offset_s)
    if time.period_s is not None:
        return offset_ns + round(number * time.period_s * NS_PER_S)
    return offset_ns + int(sum(Decimal(text).scaleb(power) for text, power in cells))


def _writer(field: Field, cells: list[int], convert: Convert, *, single: bool) -> _Writer:
    """Return what copies a row's cells into a field.

    Raises:
        ValueError: One column for an array, or several for a single value, or a wrong number of them.
    """
    owner, name = field.owner, field.name
    if single and field.length is None:
        (cell,) = cells
        return lambda row: setattr(owner, name, convert(row[cell]))
    if single or field.length is None:
        msg = "is an array; give `columns`" if single else "is a single value; give `column`"
        raise ValueError(msg)
    field.set([convert("0") for _ in cells])  # makes the array, and checks its length
    array = getattr(owner, name)

    def write(row: list[str]) -> None:
        for index, cell in enumerate(cells):
            array[index] = convert(row[cell])

    return write


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    files = sorted(path.glob("*.csv") if path.is_dir() else path.parent.glob(path.name))
    if not files:
        raise RefusedError([Fault(str(path), "no such CSV file, folder or pattern", "correct the path")])
    return files


def _fault(where: str, path: str, error: FieldPathError | ValueError) -> Fault:
    if isinstance(error, FieldPathError):
        return Fault(f"{where}.{path}", error.what, error.cure)
    return Fault(f"{where}.{path}", str(error), "correct the mapping")
