"""Bench: do the detectors' defaults hold on recordings that did not choose them? `python -m bench.leave_out`.

In: the folder with skab/, nab/ and robots/husky_borealtc/     Out: the tables of docs/detectors.md, as Markdown

For each kind of recordings the parameters of its method are searched on a grid, by one number that says how well the
goals are met. Then each group of recordings is left out in turn: the others choose, the left-out one is judged. The
best of a search is more touchy than a point in the middle of a plateau, so this is harder than what was done; the
last lines show the plateau: the defaults with one parameter moved by one step.
"""

from __future__ import annotations

import argparse
import math
import os
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import TypeAlias

import numpy as np

from bench.detectors import FAULT, FAULT_AT, SKAB_WARMUP_ROWS, Counts, Said, columns, hours, nab_counts, nab_windows
from edgetwin.analytics.alerts import AlertRule, Alerts, AlertState
from edgetwin.analytics.detector import Detector
from edgetwin.analytics.frozen import Array, Flags
from edgetwin.analytics.levels import Residual, RobustZ
from edgetwin.analytics.methods import PREDICTION_SAMPLES, RULES, WARMUP_S, Method, Wish, alert_rule
from edgetwin.analytics.shift import ShiftRule
from edgetwin.analytics.twin_ratio import TwinRatio
from edgetwin.backtest.table import Table

Choice: TypeAlias = tuple[float, ...]
Tally: TypeAlias = Array  # counts that add up over recordings
_BLOCK = 8192
_OFFSET = 2.0  # of twin_ratio, the default


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording in memory, and what is known of it."""

    times_s: Array
    values: Array
    labels: Flags | None = None
    spans: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of recordings, and the method that is searched for it.

    Attributes:
        title: Of the table.
        axes: Parameter -> its values, in order.
        default: The shipped ones.
        groups: What is left out together.
        judge: Choice, recording -> tally.
        worth: Tally -> how well the goals are met; higher is better.
        figures: Tally -> cells of the table.
        heads: Their names.
    """

    title: str
    axes: Mapping[str, Sequence[float]]
    default: Choice
    groups: Mapping[str, list[Recording]]
    judge: Callable[[Choice, Recording], Tally]
    worth: Callable[[Tally], float]
    figures: Callable[[Tally], str]
    heads: str

    def choices(self, count: int | None) -> list[Choice]:
        """Return the default, its neighbours, and points of the grid drawn by lot; None: all of the grid."""
        grid = list(product(*self.axes.values()))
        drawn = grid if count is None else random.Random(0).sample(grid, min(count, len(grid)))
        return list(dict.fromkeys([self.default, *self.neighbours(), *drawn]))

    def neighbours(self) -> list[Choice]:
        """Return the default with one parameter moved by one step."""
        found = []
        for place, values in enumerate(self.axes.values()):
            at = list(values).index(self.default[place])
            steps = [step for step in (at - 1, at + 1) if 0 <= step < len(values)]
            found += [(*self.default[:place], values[step], *self.default[place + 1 :]) for step in steps]
        return found


def said_of(detector: Detector, alerts: Alerts, recording: Recording) -> Said:
    """Return what a detector says, as `edgetwin backtest` runs it."""
    alarms, starts = [], []
    for first in range(0, len(recording.times_s), _BLOCK):
        times_s, values = recording.times_s[first : first + _BLOCK], recording.values[first : first + _BLOCK]
        verdicts = detector.judge(values, times_s)
        alarms.append(verdicts.alarms.any(axis=1))
        told = alerts.follow(verdicts, times_s, values)
        starts += [one.since_s for one in told if one.state is AlertState.RAISED]
    return Said(np.concatenate(alarms), starts, recording.times_s, recording.values, recording.labels)


def _skab_judge(choice: Choice, recording: Recording) -> Tally:
    memory, fast, looks, threshold = choice
    rule = replace(
        RULES[Method.ROBUST_Z], memory_samples=int(memory), fast_samples=int(fast), looks=looks, threshold=threshold
    )
    detector = RobustZ(recording.values.shape[1], rule, WARMUP_S)
    said = said_of(detector, Alerts(AlertRule(), detector.usual), recording)
    if said.labels is None:
        return np.array([0.0, 0.0, 0.0, 0.0, len(said.starts_s), hours(said)])
    counts, rows = Counts(), slice(SKAB_WARMUP_ROWS, None)
    counts.add(said.alarms[rows], said.labels[rows], said.times_s[rows])
    return np.array([counts.hits, counts.false, counts.missed, counts.quiet, 0.0, 0.0], np.float64)


def _skab_shares(tally: Tally) -> tuple[float, float, float, float]:
    """Return F1, FAR, MAR and events per hour; NaN where the recordings do not say."""
    hits, false, missed, quiet, events, spent_h = tally.tolist()
    if not hits + false + missed + quiet:
        return math.nan, math.nan, math.nan, events / spent_h
    one = Counts(int(hits), int(false), int(missed), int(quiet))
    return one.f1, one.far, one.mar, events / spent_h if spent_h else math.nan


def _skab_worth(tally: Tally) -> float:
    f1, far, mar, per_hour = _skab_shares(tally)
    too_many = 0.0 if math.isnan(per_hour) else max(0.0, per_hour - 1.0)
    return f1 - max(0.0, far - 0.10) - max(0.0, mar - 0.30) - 0.1 * too_many


def _skab_figures(tally: Tally) -> str:
    f1, far, mar, per_hour = _skab_shares(tally)
    shares = "- / - / -" if math.isnan(f1) else f"{f1:.2f} / {far:.1%} / {mar:.1%}"
    return shares + (", -" if math.isnan(per_hour) else f", {per_hour:.1f}")


def _skab(folder: Path) -> Kind:
    groups: dict[str, list[Recording]] = {}
    for path in sorted(folder.glob("*/*.csv")):
        with path.open(encoding="utf-8") as lines:
            labelled = "anomaly" in lines.readline().split(";")
        recording = Recording(*columns(Table(path, label="anomaly" if labelled else None)))
        groups.setdefault(path.parent.name, []).append(recording)
    rule = RULES[Method.ROBUST_Z]
    return Kind(
        "SKAB, `robust_z`, an experiment left out",
        {
            "memory": (300, 450, 600, 900, 1200),
            "fast": (5, 7, 10, 14, 20),
            "looks": (0.0, 12.0, 24.0, 48.0),
            "threshold": (4.0, 5.0, 6.0, 7.0, 8.0),
        },
        (rule.memory_samples, rule.fast_samples, rule.looks, rule.threshold),
        groups, _skab_judge, _skab_worth, _skab_figures, "F1 / FAR / MAR, events/h",
    )  # fmt: skip


def _nab_judge(choice: Choice, recording: Recording) -> Tally:
    memory, fast, looks, gain, prediction = choice
    rule = replace(RULES[Method.RESIDUAL], memory_samples=int(memory), fast_samples=int(fast), looks=looks, gain=gain)
    detector = Residual(recording.values.shape[1], rule, int(prediction), WARMUP_S)
    alerts = Alerts(alert_rule(Wish(Method.RESIDUAL), AlertRule()), detector.usual)
    return np.array(nab_counts(said_of(detector, alerts, recording), recording.spans))


def _nab_worth(tally: Tally) -> float:
    hit, total, false, days = map(float, tally)
    return (hit / total if total else 1.0) - max(0.0, false / days - 0.25)


def _nab_figures(tally: Tally) -> str:
    hit, total, false, days = tally.tolist()
    return f"{hit:.0f} of {total:.0f}, {false / days:.2f}"


def _nab(folder: Path) -> Kind:
    groups = {}
    for name, spans in nab_windows(folder).items():
        times_s, values, _ = columns(Table(folder / name))
        groups[Path(name).stem] = [Recording(times_s, values, None, tuple(spans))]
    rule = RULES[Method.RESIDUAL]
    return Kind(
        "NAB, `residual`, a series left out",
        {
            "memory": (600, 1200, 2400),
            "fast": (3, 4, 6, 8, 12),
            "looks": (4.0, 8.0, 16.0),
            "gain": (0.85, 1.0, 1.15, 1.3, 1.45),
            "prediction": (16, 32, 64),
        },
        (rule.memory_samples, rule.fast_samples, rule.looks, rule.gain, PREDICTION_SAMPLES),
        groups, _nab_judge, _nab_worth, _nab_figures, "windows hit, false/day",
    )  # fmt: skip


def _boreal_judge(choice: Choice, recording: Recording) -> Tally:
    memory, fast, gain, clamp = choice
    rule = replace(RULES[Method.TWIN_RATIO], memory_samples=int(memory), fast_samples=int(fast), gain=gain, clamp=clamp)
    healthy = _twins(rule, recording)
    tally = np.array([len(healthy.starts_s), hours(healthy), 0.0, 0.0])
    for column in (0, 1):
        for share in FAULT_AT:
            begin = int(share * len(recording.values))
            values = recording.values.copy()
            values[begin:, column] *= FAULT
            starts_s = _twins(rule, replace(recording, values=values)).starts_s
            tally[2:] += (any(start >= recording.times_s[begin] for start in starts_s), 1.0)
    return tally


def _twins(rule: ShiftRule, recording: Recording) -> Said:
    detector = TwinRatio(4, rule, ((0, 1),), offset=_OFFSET, speeds=((2, 3),), warmup_s=WARMUP_S)
    return said_of(detector, Alerts(AlertRule(), detector.usual), recording)


def _boreal_worth(tally: Tally) -> float:
    events, driven_h, seen, total = map(float, tally)
    return seen / total - 0.05 * max(0.0, events / driven_h - 4.0)


def _boreal_figures(tally: Tally) -> str:
    events, driven_h, seen, total = tally.tolist()
    return f"{events / driven_h:.1f}, {seen:.0f} of {total:.0f}"


def _boreal(folder: Path) -> Kind:
    groups: dict[str, list[Recording]] = {}
    for path in sorted(folder.glob("*/pro_*.csv")):
        table = Table(path)
        times_s, values, _ = columns(table)
        order = [table.channels.index(name) for name in ("curL", "curR", "velL", "velR")]
        groups.setdefault(path.parent.name, []).append(Recording(times_s, values[:, order]))
    rule = RULES[Method.TWIN_RATIO]
    return Kind(
        "BorealTC, `twin_ratio`, a ground left out",
        {
            "memory": (500, 1000, 2000),
            "fast": (25, 35, 50, 70, 100),
            "gain": (1.5, 1.75, 2.0, 2.25, 2.5),
            "clamp": (0.4, 0.6, 0.8, 1.2, 1.6),
        },
        (rule.memory_samples, rule.fast_samples, rule.gain, rule.clamp),
        groups, _boreal_judge, _boreal_worth, _boreal_figures, "events/h, faults seen",
    )  # fmt: skip


def table_of(kind: Kind, count: int | None) -> str:
    """Return one table: a line per group left out, all of them, and what the defaults rest on."""
    tallies = {
        choice: {
            name: sum((kind.judge(choice, one) for one in group), np.zeros(1)) for name, group in kind.groups.items()
        }
        for choice in kind.choices(count)
    }
    whole = {choice: sum(parts.values(), np.zeros(1)) for choice, parts in tallies.items()}
    worth = partial(_worth, kind)
    names = "/".join(kind.axes)
    lines = [
        f"| {kind.title} | {names}, chosen by the others | {kind.heads}: those | the defaults |",
        "|---|---|---|---|",
    ]
    left_out = np.zeros(1)
    for name in kind.groups:
        chosen = max(tallies, key=lambda choice: worth(whole[choice] - tallies[choice][name]))
        left_out = left_out + tallies[chosen][name]
        cells = (_told(chosen), kind.figures(tallies[chosen][name]), kind.figures(tallies[kind.default][name]))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    shipped = kind.figures(whole[kind.default])
    lines.append(f"| **all, each left out once** | | **{kind.figures(left_out)}** | **{shipped}** |")
    best = max(tallies, key=lambda choice: worth(whole[choice]))
    lines.append(f"| chosen by all, on all | {_told(best)} | {kind.figures(whole[best])} | {shipped} |")
    beside = sorted(kind.neighbours(), key=lambda choice: worth(whole[choice]))
    for label, choice in (("worst", beside[0]), ("middle", beside[len(beside) // 2])):
        lines.append(
            f"| {label} of {len(beside)} neighbours, on all | {_told(choice)} | {kind.figures(whole[choice])} | |"
        )
    return "\n".join(lines)


def _worth(kind: Kind, tally: Tally) -> float:
    found = kind.worth(tally)
    return -math.inf if math.isnan(found) else found


def _told(choice: Choice) -> str:
    return " / ".join(f"{value:g}" for value in choice)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.leave_out", description="How well the defaults generalise.")
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("TEST_DATA", beside)), metavar="DIR")
    parser.add_argument("--choices", type=int, metavar="N", help="points of each grid, by lot (default: all of them)")
    arguments = parser.parse_args()
    for make, place in ((_skab, "skab"), (_nab, "nab"), (_boreal, "robots/husky_borealtc")):
        print(table_of(make(arguments.data / place), arguments.choices) + "\n", flush=True)
