"""Train: the history of machines, as it was recorded.

In: CSV files     Out: Machine: times, samples of each source, and where it failed.
Pure reading. Rows stay in the order of the file; a cell that is no number is NaN, which no window takes.
"""

from __future__ import annotations

import csv
import datetime as dt
import glob
import hashlib
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path

from edgetwin.analytics.features import RUNTIME
from edgetwin.analytics.window import Value
from edgetwin.errors import Fault, RefusedError
from edgetwin.settings import Combine
from edgetwin.train.wish import Wish

_NS_PER_S = 1_000_000_000
_TIMES = ("time", "timestamp", "datetime", "stamp", "stamp_us", "date")
_MACHINES = ("machine", "machine_id", "robot", "robot_id", "unit")
_LABELS = ("label", "target", "will_fail", "failure", "machine failure", "machine_failure")
_NUMBERING = frozenset({"boot", "seq"})  # of `edgetwin export`: whose record it is, never a measurement
_NO_WORD = re.compile(r"[^a-z0-9]+")
_BAGS = frozenset({".mcap", ".db3", ".bag"})
_TRUE = {"true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0}
_FORMATS = ("%Y.%m.%d.%H.%M.%S", "%Y/%m/%d %H:%M:%S", "%d.%m.%Y %H:%M:%S")
_MICROSECONDS_FROM = 1e13  # as seconds that would be 300,000 years
_NANOSECONDS_FROM = 1e17


@dataclass(slots=True)
class Machine:
    """One machine's history.

    Attributes:
        name: For people.
        times_ns: Time of each row [ns].
        samples: Source -> value of each row (a number, or an array of successive ones).
        marks: What the label or failure column says in each row; empty with --run-to-failure.
    """

    name: str
    times_ns: list[int] = field(default_factory=list)
    samples: dict[str, list[Value]] = field(default_factory=dict)
    marks: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class History:
    """All machines, and the hash of the files they came from.

    Attributes:
        marked_by: Column of the marks; None with --run-to-failure.
        marks_failures: Whether a mark is the failure itself; else it says that one is near.
    """

    machines: tuple[Machine, ...]
    sha256: str
    marked_by: str | None
    marks_failures: bool


def read(wish: Wish) -> History:
    """Return the history in all files of the wish.

    Raises:
        RefusedError: A file, a column or a time cannot be used.
    """
    bags = [path for path in wish.data if is_bag(path)]
    files = _files([path for path in wish.data if path not in bags])
    machines: dict[str, Machine] = {}
    mark: str | None = None
    digest = hashlib.sha256()
    if bags:
        if not wish.run_to_failure and wish.failures is None:
            cure = "list the failures with --failures FILE.csv, or say --run-to-failure"
            raise _refused(bags[0], "a bag does not say when the machine failed", cure)
        from edgetwin.train import bags as recordings  # noqa: PLC0415  # needs ROS and rosbags

        found, sha256 = recordings.read(bags, wish.config, wish.prognosis)
        digest.update(sha256.encode())
        machines = {machine.name: machine for machine in found}
    for file in files:
        digest.update(file.read_bytes())
        mark = _read_file(file, wish, machines, alone=len(files) == 1)
    if wish.failures is not None:
        digest.update(wish.failures.read_bytes() if wish.failures.is_file() else b"")
        mark = str(wish.failures)
        _mark(wish.failures, machines)
    return History(tuple(machines.values()), digest.hexdigest(), mark, bool(wish.failure or wish.failures))


def is_bag(path: Path) -> bool:
    """Whether a path is a recording of ROS messages: a file, or a rosbag2 folder."""
    return path.suffix in _BAGS or (path / "metadata.yaml").exists()


def _mark(path: Path, machines: dict[str, Machine]) -> None:
    """Mark the row at or before each failure of a list: machine, time."""
    for machine in machines.values():
        machine.marks = [0.0] * len(machine.times_ns)
    try:
        with path.open(newline="", encoding="utf-8-sig") as text:
            rows = [row for row in csv.reader(text) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _refused(
            path, f"cannot be read as CSV ({error})", "write a line MACHINE,TIME for each failure"
        ) from error
    for number, row in enumerate(rows, start=1):
        if number == 1 and row[0].strip().lower() in _MACHINES:
            continue
        try:
            machine, when_ns = machines[row[0].strip()], _time_ns(row[1])
        except (KeyError, IndexError, ValueError, OverflowError) as error:
            cure = f"write MACHINE,TIME; the machines are {', '.join(machines)}"
            raise _refused(path, f"line {number} names no machine or no time ({error})", cure) from error
        before = [at for at, time_ns in enumerate(machine.times_ns) if time_ns <= when_ns]
        if before:
            machine.marks[before[-1]] = 1.0


def _files(paths: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise _refused(path, "no such file or folder", "correct the path")
        files = sorted(path.glob("*.csv")) if path.is_dir() else [path]
        if not files:
            raise _refused(path, "holds no .csv file", "name the files, or another folder")
        found += files
    return found


def _read_file(file: Path, wish: Wish, machines: dict[str, Machine], *, alone: bool) -> str | None:
    """Read one file into `machines`; return its column of marks."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as text:
            rows = csv.reader(text)
            columns = _Columns(file, next(rows, []), wish)
            for number, row in enumerate(rows, start=2):
                if row:
                    columns.take(row, number, machines, "machine" if alone else file.stem)
            return columns.mark_name
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _refused(file, f"cannot be read as CSV ({error})", "save it as comma separated UTF-8") from error


class _Columns:
    """Which column of one file means what."""

    def __init__(self, file: Path, header: Sequence[str], wish: Wish) -> None:
        names = [name.strip() for name in header]
        self._file = file
        self._index = {name: index for index, name in reversed(list(enumerate(names)))}
        self._time = self._find(wish.time, _TIMES, "--time") or (names[0] if names else "")
        self._machine = self._find(wish.machine, _MACHINES, "--machine")
        self.mark_name: str | None = None
        if not wish.run_to_failure and wish.failures is None:
            self.mark_name = self._find(wish.failure or wish.label, _LABELS, "--failure" if wish.failure else "--label")
            if self.mark_name is None:
                cure = "name it with --label or --failure, list failures with --failures, or say --run-to-failure"
                raise _refused(file, "no column says when the machine failed", cure)
        special = {self._time, self._machine, self.mark_name}
        chosen = wish.sources or _own_sources([name for name in names if name and name not in special | _NUMBERING])
        self._sources: list[tuple[str, list[int], Combine]] = []
        for source, patterns in chosen.items():
            found = [name for name in names if name not in special and any(fnmatchcase(name, one) for one in patterns)]
            if not found:
                cure = f"the columns are {', '.join(filter(None, names))}"
                raise _refused(file, f"no column fits --source {source}={','.join(patterns)}", cure)
            cells = [self._index[name] for name in found]
            self._sources.append((source, cells, wish.combine.get(source, Combine.MEAN)))
        if not self._sources:
            cure = "give --source NAME=COLUMN, such as --source current='Motor Current [A]'"
            raise _refused(file, "no column has a name that a source may have", cure)

    def take(self, row: Sequence[str], number: int, machines: dict[str, Machine], alone: str) -> None:
        """Add one row to its machine."""
        name = row[self._index[self._machine]] if self._machine is not None else alone
        machine = machines.setdefault(name, Machine(name))
        try:
            machine.times_ns.append(_time_ns(row[self._index[self._time]]))
        except (ValueError, IndexError, OverflowError) as error:
            cure = "name the column of the time with --time (ISO 8601, or seconds)"
            raise _refused(self._file, f"line {number}: column {self._time!r} is no time ({error})", cure) from error
        for source, cells, combine in self._sources:
            value = combined([_number(row, cell) for cell in cells], combine)
            machine.samples.setdefault(source, []).append(value)
        if self.mark_name is not None:
            machine.marks.append(_number(row, self._index[self.mark_name]))

    def _find(self, given: str | None, usual: Sequence[str], flag: str) -> str | None:
        if given is not None:
            if given not in self._index:
                cure = f"the columns are {', '.join(filter(None, self._index))}"
                raise _refused(self._file, f"there is no column {given!r} for {flag}", cure)
            return given
        by_small = {name.lower(): name for name in self._index}
        return next((by_small[name] for name in usual if name in by_small), None)


def combined(values: Sequence[float], how: Combine) -> float:
    """Return several numbers as one; NaN where one of several is."""
    if len(values) == 1:
        return values[0]
    if how is Combine.MAX:
        return max(values) if all(map(math.isfinite, values)) else math.nan
    return math.hypot(*values) if how is Combine.NORM else sum(values) / len(values)


def _own_sources(names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return a source for each column, by its name in small letters: `Torque [Nm]` -> torque_nm."""
    found: dict[str, tuple[str, ...]] = {}
    for name in names:
        source = _NO_WORD.sub("_", name.lower()).strip("_")[:32]
        if source[:1].isalpha() and source.isascii() and source != RUNTIME:
            found[source] = (*found.get(source, ()), glob.escape(name))
    return found


def _number(row: Sequence[str], cell: int) -> float:
    text = row[cell].strip() if cell < len(row) else ""
    try:
        return float(text)
    except ValueError:
        return _TRUE.get(text.lower(), math.nan)


def _time_ns(text: str) -> int:
    text = text.strip()
    try:
        seconds = float(text)
    except ValueError:
        return _date_ns(text)
    if not math.isfinite(seconds):
        raise ValueError(text)
    if abs(seconds) < _MICROSECONDS_FROM:
        return round(seconds * _NS_PER_S)
    return int(Decimal(text) * (1000 if abs(seconds) < _NANOSECONDS_FROM else 1))


def _date_ns(text: str) -> int:
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        others = list(_dates(text))
        if not others:
            msg = f"{text[:40]!r}"
            raise ValueError(msg) from None
        found = others[0]
    aware = found if found.tzinfo is not None else found.replace(tzinfo=dt.UTC)
    span = aware - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return (span.days * 86_400 + span.seconds) * _NS_PER_S + span.microseconds * 1000


def _dates(text: str) -> Iterator[dt.datetime]:
    for form in _FORMATS:
        try:
            yield dt.datetime.strptime(text, form).replace(tzinfo=dt.UTC)
        except ValueError:
            continue


def _refused(where: Path, what: str, cure: str) -> RefusedError:
    return RefusedError([Fault(str(where), what, cure)])
