"""Bench: how good the detectors are, on recordings of real machines. `python -m bench.detectors --data DIR`.

In: the folder with skab/, nab/ and robots/husky_borealtc/     Out: the table of docs/detectors.md, as Markdown

Every recording goes through `edgetwin backtest`'s own code with the defaults, and no setting of its own. Beside it
the tutorial's way, kindly read: a list of the last 100 values per channel (one for all channels together never
alarms where they differ in size), z > 3 with the newest value in it, every row an alarm; an event is what is at
most 5 rows apart.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from edgetwin.analytics.frozen import Array, Flags
from edgetwin.analytics.methods import Method
from edgetwin.analytics.scoring import stretches
from edgetwin.backtest.command import judge_table
from edgetwin.backtest.findings import Findings
from edgetwin.backtest.plan import default_panels
from edgetwin.backtest.table import Table

WINDOW, SIGMAS, JOIN_ROWS = 100, 3.0, 5  # the tutorial's way
SKAB_WARMUP_ROWS = 400
NAB_PROBATION, NAB_PROBATION_ROWS_MAX = 0.15, 750
FAULT, FAULT_AT = 1.6, (0.4, 0.5, 0.6, 0.7)  # a motor draws so much more, from this share of a run on
_S_PER_HOUR, _S_PER_DAY = 3600.0, 86_400.0

Say: TypeAlias = "Callable[[Table], Said]"


@dataclass(frozen=True, slots=True)
class Said:
    """What one way says of one recording."""

    alarms: Flags  # per row
    starts_s: list[float]  # of events
    times_s: Array
    values: Array
    labels: Flags | None


@dataclass(slots=True)
class Counts:
    """Rows, summed over recordings as SKAB's protocol wants it."""

    hits: int = 0
    false: int = 0
    missed: int = 0
    quiet: int = 0
    delays_s: list[float] = field(default_factory=list)

    def add(self, alarms: Flags, truth: Flags, times_s: Array) -> None:
        self.hits += int((alarms & truth).sum())
        self.false += int((alarms & ~truth).sum())
        self.missed += int((~alarms & truth).sum())
        self.quiet += int((~alarms & ~truth).sum())
        for first, last in stretches(truth):
            if alarms[first:last].any():
                self.delays_s.append(float(times_s[first + int(np.argmax(alarms[first:last]))] - times_s[first]))

    @property
    def f1(self) -> float:
        return 2 * self.hits / max(1, 2 * self.hits + self.false + self.missed)

    @property
    def far(self) -> float:
        return self.false / max(1, self.false + self.quiet)

    @property
    def mar(self) -> float:
        return self.missed / max(1, self.missed + self.hits)


def edgetwin(method: Method | None) -> Say:
    """Return the way of the daemon, with a method or the default of the columns."""

    def say(table: Table) -> Said:
        findings, _ = judge_table(table, default_panels(table.channels, method))
        times_s, values, labels = columns(table)
        return Said(_alarms(findings), [one.start_s for one in findings.periods], times_s, values, labels)

    return say


def tutorial(table: Table) -> Said:
    """Return the tutorial's way."""
    times_s, values, labels = columns(table)
    alarms = np.zeros(len(values), np.bool_)
    windows = np.lib.stride_tricks.sliding_window_view(values, WINDOW, axis=0)  # the same numbers, without its loop
    spread = windows.std(axis=2)
    away = np.abs(values[WINDOW - 1 :] - windows.mean(axis=2))
    alarms[WINDOW - 1 :] = (away > SIGMAS * spread).any(axis=1)
    starts, last = [], -JOIN_ROWS - 1
    for row in np.flatnonzero(alarms).tolist():
        if row - last > JOIN_ROWS:
            starts.append(float(times_s[row]))
        last = row
    return Said(alarms, starts, times_s, values, labels)


def skab(folder: Path, say: Say) -> tuple[Counts, float]:
    """Return the counts over all labelled runs, and events per hour on the run without anomaly."""
    counts, per_hour = Counts(), float("nan")
    for path in sorted(folder.glob("*/*.csv")):
        with path.open(encoding="utf-8") as lines:
            labelled = "anomaly" in lines.readline().split(";")
        said = say(Table(path, label="anomaly" if labelled else None))
        if said.labels is None:
            per_hour = len(said.starts_s) / hours(said)
        else:
            rows = slice(SKAB_WARMUP_ROWS, None)
            counts.add(said.alarms[rows], said.labels[rows], said.times_s[rows])
    return counts, per_hour


def nab(folder: Path, say: Say) -> tuple[int, int, float]:
    """Return windows hit, windows in all, and false alarms per day of usual data."""
    hit = total = false = 0
    days = 0.0
    for name, spans in nab_windows(folder).items():
        counts = nab_counts(say(Table(folder / name)), spans)
        hit, total, false, days = hit + counts[0], total + counts[1], false + counts[2], days + counts[3]
    return hit, total, false / days


def nab_windows(folder: Path) -> dict[str, list[tuple[float, float]]]:
    """Return file -> its windows, from and until [s]."""
    windows: dict[str, list[list[str]]] = json.loads((folder / "label_windows.json").read_text(encoding="utf-8"))
    return {name: [(_seconds(begin), _seconds(end)) for begin, end in spans] for name, spans in windows.items()}


def nab_counts(said: Said, spans: Sequence[tuple[float, float]]) -> tuple[int, int, int, float]:
    """Return windows hit, windows in all, false alarms, and days of usual data of one series."""
    first = min(int(NAB_PROBATION * len(said.times_s)), NAB_PROBATION_ROWS_MAX)
    starts = [start for start in said.starts_s if start >= said.times_s[first]]
    inside = np.zeros(len(said.times_s), np.bool_)
    outside, hit = list(starts), 0
    for begin, end in spans:
        inside |= (said.times_s >= begin) & (said.times_s <= end)
        hit += any(begin <= start <= end for start in starts)
        outside = [start for start in outside if not begin <= start <= end]
    step_s = float(np.median(np.diff(said.times_s)))
    return hit, len(spans), len(outside), float((~inside[first:]).sum()) * step_s / _S_PER_DAY


def boreal(folder: Path, say: Say) -> tuple[float, int, int]:
    """Return events per hour of healthy driving, injected faults seen, and faults in all."""
    events = seen = total = 0
    driven_h = 0.0
    for path in sorted(folder.glob("*/pro_*.csv")):
        healthy = say(Table(path))
        events += len(healthy.starts_s)
        driven_h += hours(healthy)
        for faulty, begin_s in _faults(path):
            total += 1
            seen += any(start >= begin_s for start in say(Table(faulty)).starts_s)
    return events / driven_h, seen, total


def _faults(path: Path) -> Iterator[tuple[Path, float]]:
    """Yield the run with each motor failing at each moment, and when that is [s]."""
    lines = path.read_text(encoding="utf-8").splitlines()
    header = lines[0].split(",")
    with tempfile.TemporaryDirectory() as folder:
        for column in ("curL", "curR"):
            place = header.index(column)
            for share in FAULT_AT:
                begin = 1 + int(share * (len(lines) - 1))
                changed = [line.split(",") for line in lines]
                for cells in changed[begin:]:
                    cells[place] = str(float(cells[place]) * FAULT)
                faulty = Path(folder) / "run.csv"
                faulty.write_text("\n".join(",".join(cells) for cells in changed), encoding="utf-8")
                yield faulty, float(lines[begin].split(",")[0])


def halves(folder: Path, say: Say) -> str:
    """Return F1 / FAR / MAR of every second run and of the others: how much rests on single runs."""
    parts = [Counts(), Counts()]
    paths = [path for path in sorted(folder.glob("*/*.csv")) if path.parent.name != "anomaly-free"]
    for number, path in enumerate(paths):
        said = say(Table(path, label="anomaly"))
        if said.labels is not None:
            rows = slice(SKAB_WARMUP_ROWS, None)
            parts[number % 2].add(said.alarms[rows], said.labels[rows], said.times_s[rows])
    return "; ".join(f"{one.f1:.2f} / {one.far:.1%} / {one.mar:.1%}" for one in parts)


def columns(table: Table) -> tuple[Array, Array, Flags | None]:
    """Return times [s], values and labels of a whole table."""
    blocks = list(table.blocks())
    labels = [block.labels for block in blocks if block.labels is not None]
    return (
        np.concatenate([block.times_s for block in blocks]),
        np.concatenate([block.values for block in blocks]),
        np.concatenate(labels) != 0 if labels else None,
    )


def _alarms(findings: Findings) -> npt.NDArray[np.bool_]:
    return np.concatenate(findings.alarms) > 0


def hours(said: Said) -> float:
    """Return how long a recording is [h]."""
    return float(said.times_s[-1] - said.times_s[0]) / _S_PER_HOUR


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text[:19]).replace(tzinfo=UTC).timestamp()


def table_of(data: Path) -> str:
    """Return the whole table."""
    ways: Sequence[tuple[str, Say]] = (
        ("edgetwin, default", edgetwin(None)),
        ("`robust_z`", edgetwin(Method.ROBUST_Z)),
        ("`residual`", edgetwin(Method.RESIDUAL)),
        ("`t_squared`", edgetwin(Method.T_SQUARED)),
        ("tutorial", tutorial),
    )
    lines = [
        "| SKAB | F1 | FAR | MAR | delay, median | events/h, anomaly-free run |",
        "|---|---|---|---|---|---|",
    ]
    for name, say in ways:
        counts, per_hour = skab(data / "skab", say)
        delay = f"{np.median(counts.delays_s):.0f} s" if counts.delays_s else "-"
        lines.append(f"| {name} | {counts.f1:.2f} | {counts.far:.1%} | {counts.mar:.1%} | {delay} | {per_hour:.1f} |")
    lines += ["", f"Default, every second run and the others: {halves(data / 'skab', edgetwin(None))}.", ""]
    lines += ["| NAB | windows hit | false alarms per day |", "|---|---|---|"]
    for name, say in (ways[0], ways[1], ways[4]):
        hit, total, per_day = nab(data / "nab", say)
        lines.append(f"| {name} | {hit} of {total} | {per_day:.2f} |")
    lines += ["", "| BorealTC | events/h, healthy driving | x 1.6 current faults seen |", "|---|---|---|"]
    driving = (("edgetwin, default", edgetwin(None)), ("`robust_z`", edgetwin(Method.ROBUST_Z)))
    for name, say in (*driving, ("`conditioned`", edgetwin(Method.CONDITIONED)), ("tutorial", tutorial)):
        per_hour, seen, total = boreal(data / "robots" / "husky_borealtc", say)
        lines.append(f"| {name} | {per_hour:.1f} | {seen} of {total} |")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.detectors", description="How good the detectors are.")
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("TEST_DATA", beside)), metavar="DIR")
    print(table_of(parser.parse_args().data))
