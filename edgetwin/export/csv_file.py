"""Export: one CSV file, in one pass, though a later row may bring columns that no row before had.

In: the first cells of a row, and its named cells     Out: bytes in a draft, read by `train` and `backtest` as they are.
The header is written when some hundred rows are known; should a column come after that, the file is written once more
at its end, with all columns. Memory holds those hundred rows, and the names of the columns.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgetwin.export.columns import Cell
from edgetwin.export.place import Draft, written

COLUMNS_MAX = 4096
_HELD_ROWS = 256


class CsvFile:
    """One CSV file.

    Attributes:
        rows: So far.
        left_out: Cells that are not in the file: they would need more than COLUMNS_MAX columns.
    """

    def __init__(self, folder: Path, head: Sequence[str], where: Path) -> None:
        """Begin it.

        Args:
            folder: Where it will be.
            head: Names of the first columns.
            where: For errors.

        Raises:
            RefusedError: Nothing can be written there.
        """
        self.rows = 0
        self.left_out = 0
        self._folder = folder
        self._where = where
        self._head = tuple(head)
        self._columns: dict[str, int] = {}
        self._held: list[tuple[Sequence[Cell], Mapping[str, Cell]]] = []
        self._written_columns = -1  # named in the header
        self._draft = Draft(folder)
        self._text, self._out = self._writer()

    def add(self, head: Sequence[Cell], cells: Mapping[str, Cell]) -> None:
        """Add a row.

        Raises:
            ExportError: The disk does not take it.
        """
        self.rows += 1
        if not cells.keys() <= self._columns.keys():
            self._widen(cells)
        if self._written_columns >= 0:
            self._write(head, cells)
            return
        self._held.append((head, cells))
        if len(self._held) >= _HELD_ROWS:
            self._begin()

    def publish(self, target: Path, *, force: bool) -> None:
        """Finish it, and give it its name.

        Raises:
            RefusedError: There is something of that name already.
            ExportError: The disk does not take it.
        """
        self._begin()
        written(self._text.flush, self._where)
        if self._written_columns < len(self._columns):
            self._write_anew()
        self._draft.publish(target, force=force)

    def close(self) -> None:
        """Let go of it; what was not published is gone."""
        self._draft.close()

    def _writer(self) -> tuple[io.TextIOWrapper, Any]:
        text = io.TextIOWrapper(self._draft.file, encoding="utf-8", newline="", write_through=False)
        return text, csv.writer(text, lineterminator="\n")

    def _begin(self) -> None:
        if self._written_columns >= 0:
            return
        self._written_columns = len(self._columns)
        written(lambda: self._out.writerow([*self._head, *self._columns]), self._where)
        for head, cells in self._held:
            self._write(head, cells)
        self._held.clear()

    def _widen(self, cells: Mapping[str, Cell]) -> None:
        for name in cells:
            if name in self._columns:
                continue
            if len(self._columns) < COLUMNS_MAX:
                self._columns[name] = len(self._columns)
            else:
                self.left_out += 1

    def _write(self, head: Sequence[Cell], cells: Mapping[str, Cell]) -> None:
        row = [*head, *map(cells.get, self._columns)]
        written(lambda: self._out.writerow(row), self._where)

    def _write_anew(self) -> None:
        """Write the file once more, with the columns that came later, and empty cells where there were none yet."""
        before, old = self._draft, self._text
        self._draft = Draft(self._folder)
        self._text, self._out = self._writer()
        try:
            old.seek(0)
            rows = csv.reader(old)
            next(rows)
            width = len(self._head) + len(self._columns)
            written(lambda: self._out.writerow([*self._head, *self._columns]), self._where)
            for row in rows:
                padded = row + [""] * (width - len(row))
                written(lambda row=padded: self._out.writerow(row), self._where)  # type: ignore[misc]
            written(self._text.flush, self._where)
        finally:
            before.close()
