"""Export: records as CSV, a file per channel.

In: entries     Out: files; why a channel has none.
The first columns are `time` (when it was measured), `boot` and `seq`; `train` and `backtest` leave the last two out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgetwin.errors import Fault, RefusedError
from edgetwin.export.columns import Flattener
from edgetwin.export.csv_file import COLUMNS_MAX, CsvFile
from edgetwin.export.entry import Entry, ExportError, Lost
from edgetwin.export.place import taken
from edgetwin.export.times import iso

HEAD = ("time", "boot", "seq")
_FILES_MAX = 256  # open at once
_NO_NAME = re.compile(r"[^A-Za-z0-9_.-]")


@dataclass(slots=True)
class _Sheet:
    flattener: Flattener
    file: CsvFile | None = None


class CsvFiles:
    """The CSV files of one export.

    Args:
        out: FILE.csv for one channel, FILE-<channel>.csv for several; or a folder: <channel>.csv in it.
        array_max: The most elements of an array that get columns of their own.
    """

    def __init__(self, out: Path, array_max: int) -> None:
        self._out = out
        self._array_max = array_max
        self._sheets: dict[str, _Sheet] = {}

    def add(self, entry: Entry) -> bool:
        """Add a record; return whether it has a place in a table.

        Raises:
            RefusedError: Nothing can be written there.
            ExportError: The disk does not take it, or there are too many channels.
        """
        name = entry.stream.name
        sheet = self._sheets.get(name)
        if sheet is None:
            sheet = self._sheets[name] = _Sheet(Flattener(entry.stream, self._array_max))
        cells = sheet.flattener.row(entry)
        if cells is None:
            return False
        if sheet.file is None:
            if len(self._sheets) > _FILES_MAX:
                msg = f"{self._out}: more than {_FILES_MAX} channels; choose some with --channel, or export MCAP"
                raise ExportError(msg)
            sheet.file = CsvFile(self._folder, HEAD, self._out)
        sheet.file.add((iso(entry.stamp_ns), entry.boot, entry.seq), cells)
        return True

    def publish(self, lost: Sequence[Lost], *, force: bool) -> dict[str, Path]:
        """Finish all files, and give them their names; return channel -> file.

        Raises:
            RefusedError: There is something of such a name already, or no channel has a table.
            ExportError: The disk does not take them.
        """
        del lost  # a table has no place for it: the summary says it
        files = {name: sheet.file for name, sheet in self._sheets.items() if sheet.file is not None}
        obstacles = self._obstacles()
        if not files and obstacles:
            cure = "export FILE.mcap, where messages stay as they are; or give --config, and install their type"
            raise RefusedError([Fault(f"channel {name}", words, cure) for name, words in obstacles.items()])
        targets = names(self._out, list(files))
        if not force and (there := [target for target in targets.values() if target.exists()]):
            raise RefusedError([taken(target) for target in there])
        for name, file in files.items():
            file.publish(targets[name], force=force)
        return targets

    def damage(self) -> Sequence[str]:
        """Return what could not be read, a sentence each."""
        found = {name: sheet.flattener.unreadable for name, sheet in self._sheets.items()}
        return [f"{name}: {count} records are no messages of their type." for name, count in found.items() if count]

    def remarks(self) -> Sequence[str]:
        """Return what is not in the tables, a sentence each."""
        found = [f"{name} is left out: {words}." for name, words in self._obstacles().items()]
        for name, sheet in self._sheets.items():
            for path, elements in sheet.flattener.left_out.items():
                more = f"--array-max {elements} keeps them" if elements <= COLUMNS_MAX else "export MCAP to keep them"
                found.append(f"{path}: {elements} elements are left out, their number is in {path}.length; {more}.")
            if sheet.file is not None and sheet.file.left_out:
                found.append(f"{name}: {sheet.file.left_out} cells beyond {COLUMNS_MAX} columns are left out.")
        return found

    def close(self) -> None:
        """Let go of all files; what was not published is gone."""
        for sheet in self._sheets.values():
            if sheet.file is not None:
                sheet.file.close()

    @property
    def _folder(self) -> Path:
        return self._out if self._out.is_dir() else self._out.parent

    def _obstacles(self) -> Mapping[str, str]:
        found = {name: sheet.flattener.obstacle for name, sheet in self._sheets.items()}
        return {name: words for name, words in found.items() if words}


def names(out: Path, channels: Sequence[str]) -> dict[str, Path]:
    """Return channel -> file; every name is one that a file may have, and no two are the same."""
    if len(channels) == 1 and not out.is_dir():
        return {channels[0]: out}
    found: dict[str, Path] = {}
    for channel in channels:
        plain = _NO_NAME.sub("_", channel).lstrip(".") or "_"
        while (target := _target(out, plain)) in found.values():
            plain += "_"
        found[channel] = target
    return found


def _target(out: Path, name: str) -> Path:
    return out / f"{name}.csv" if out.is_dir() else out.with_name(f"{out.stem}-{name}.csv")
