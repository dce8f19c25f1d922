"""Backtest: a CSV file as rows of numbers, block by block, in file order.

In: a path     Out: Table: names of the columns that hold numbers; Block: times and values
Bounded memory: a block at a time. A cell that is no number is NaN; a row that is too short is filled up with NaN.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TextIO

import numpy as np

from edgetwin.analytics.frozen import Array
from edgetwin.errors import Fault, RefusedError

BLOCK_ROWS = 8192
_SAMPLE_ROWS = 200  # from which it is told what a column holds
_DELIMITERS = ",;\t"
_LABEL_NAMES = frozenset({"anomaly", "is_anomaly", "label", "changepoint", "outlier", "fault"})  # never a measurement
_NUMBERING = frozenset({"boot", "seq"})  # of `edgetwin export`: whose record it is, never a measurement
_OFFSET = re.compile(r"\d[+-]\d\d:?(\d\d)?\s*$")
_NOT_A_NUMBER = frozenset({"", "nan", "null", "none", "na", "n/a", "-"})


@dataclass(frozen=True, slots=True)
class Block:
    """Some rows.

    Attributes:
        times_s: (rows,) [s]; NaN where the cell is no time.
        values: (rows, channels).
        labels: (rows,) of bool, or None without a label column.
    """

    times_s: Array
    values: Array
    labels: Array | None


class Table:
    """An open CSV file.

    Attributes:
        channels: Names of the columns that hold numbers, in file order.
        left_out: Columns that hold numbers and are not judged, because their names say that they are labels.
        iso: Whether times are written as ISO 8601; else they are seconds.
    """

    def __init__(self, path: Path, *, time: str | None = None, label: str | None = None) -> None:
        """Read the header and some rows.

        Args:
            path: The file; comma, semicolon or tabulator separates.
            time: Column of the time; None: the first.
            label: Column that is not 0 where something was wrong.

        Raises:
            RefusedError: There is no such file or column, or no column with numbers, or no times.
        """
        self._path = path
        with closing(self._open()) as lines:
            header_line = lines.readline().lstrip("\ufeff").rstrip("\r\n")
            self._delimiter = max(_DELIMITERS, key=header_line.count)
            self._header = [name.strip() for name in next(csv.reader([header_line], delimiter=self._delimiter), [])]
            sample = [row for row in islice(csv.reader(lines, delimiter=self._delimiter), _SAMPLE_ROWS) if row]
        self._time = 0 if time is None else self._column(time, "--time")
        self._label = None if label is None else self._column(label, "--label")
        columns = list(zip(*(_filled(row, len(self._header)) for row in sample), strict=True))
        if not columns:
            raise RefusedError([Fault(str(path), "holds no rows under its header", "give a recording")])
        self.iso = _seconds(columns[self._time][0]) is None
        if not np.isfinite(self._to_times(columns[self._time])).any():
            cure = "name the column with --time; it holds ISO 8601 or seconds"
            raise RefusedError([Fault(str(path), f"column {self._header[self._time]!r} holds no times", cure)])
        special = {self._time, self._label, *(self._header.index(name) for name in _NUMBERING & set(self._header))}
        numeric = [place for place, cells in enumerate(columns) if place not in special and _holds(cells)]
        self._places = [place for place in numeric if self._header[place].casefold() not in _LABEL_NAMES]
        self.left_out = [self._header[place] for place in numeric if place not in self._places]
        self.channels = [self._header[place] for place in self._places]
        if not self.channels:
            raise RefusedError([Fault(str(path), "has no column with numbers to judge", "give another file")])

    def blocks(self) -> Iterator[Block]:
        """Yield all rows, block by block."""
        with closing(self._open()) as lines:
            rows = csv.reader(lines, delimiter=self._delimiter)
            next(rows, None)
            try:
                while chunk := [row for row in islice(rows, BLOCK_ROWS) if row]:
                    yield self._block(chunk)
            except csv.Error as error:
                what = f"is not readable from line {rows.line_num} on: {error}"
                raise RefusedError([Fault(str(self._path), what, "repair the file")]) from error

    def _block(self, chunk: list[list[str]]) -> Block:
        width = len(self._header)
        if any(len(row) != width for row in chunk):
            chunk = [_filled(row, width) for row in chunk]
        columns = list(zip(*chunk, strict=True))
        values = np.empty((len(chunk), len(self._places)))
        for target, place in enumerate(self._places):
            values[:, target] = _numbers(columns[place])
        labels = None
        if self._label is not None:
            labels = np.nan_to_num(_numbers([_as_flag(cell) for cell in columns[self._label]]))
        return Block(self._to_times(columns[self._time]), values, labels)

    def _to_times(self, cells: Sequence[str]) -> Array:
        if not self.iso:
            return _numbers(cells)
        if _OFFSET.search(cells[0]):  # numpy knows no time zones
            return np.array([_iso_seconds(cell) for cell in cells])
        try:
            stamps = np.array([cell.strip().removesuffix("Z") for cell in cells], dtype="datetime64[us]")
        except ValueError:
            return np.array([_iso_seconds(cell) for cell in cells])
        seconds = stamps.astype(np.int64) / 1e6
        return np.where(np.isnat(stamps), np.nan, seconds)

    def _column(self, name: str, option: str) -> int:
        if name not in self._header:
            known = ", ".join(self._header)
            raise RefusedError([Fault(option, f"{self._path.name} has no column {name!r}", f"it has {known}")])
        return self._header.index(name)

    def _open(self) -> TextIO:
        try:
            return self._path.open(encoding="utf-8", errors="replace", newline="")
        except OSError as error:
            raise RefusedError(
                [Fault(str(self._path), f"cannot be read: {error.strerror}", "correct the path")]
            ) from error


def _filled(row: list[str], width: int) -> list[str]:
    return row[:width] + [""] * (width - len(row))


def _holds(cells: Sequence[str]) -> bool:
    """Whether a column holds numbers: every cell that is not empty is one."""
    said = [cell for cell in cells if cell.strip().casefold() not in _NOT_A_NUMBER]
    return bool(said) and all(_seconds(cell) is not None for cell in said)


def _seconds(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _numbers(cells: Sequence[str]) -> Array:
    try:
        return np.array(list(map(float, cells)))
    except ValueError:
        return np.array([math.nan if (number := _seconds(cell)) is None else number for cell in cells])


def _as_flag(cell: str) -> str:
    return {"true": "1", "false": "0"}.get(cell.strip().casefold(), cell)


def _iso_seconds(cell: str) -> float:
    try:
        found = datetime.fromisoformat(cell.strip())
    except ValueError:
        return math.nan
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
