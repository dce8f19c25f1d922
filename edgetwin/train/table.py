"""Train: histories into rows of features and labels, by the very code that runs on the robot.

In: History, Wish     Out: Table.
Each life of a machine (from the beginning or a failure to the next failure) is fed, sample by sample, to
`analytics.prognosis`; what that would ask a model is a row. So windows, gaps, the healthy baseline and the
machine's standing still mean the same here and there, and rows of the healthy time itself are in no table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgetwin.analytics.features import RATIO, RUNTIME_HOURS, Feature, Statistic, parse, parse_all
from edgetwin.analytics.healthy import Healthy
from edgetwin.analytics.model_card import HEALTHY_S, ModelCard
from edgetwin.analytics.prognosis import Phase, Prognosis, Rule
from edgetwin.errors import Fault, RefusedError
from edgetwin.train.history import History, Machine
from edgetwin.train.wish import Wish

_USUAL = {  # source -> statistics, as the tutorial has them
    "current": (Statistic.MEAN, Statistic.STD),
    "temperature": (Statistic.MEAN,),
    "vibration": (Statistic.RMS,),
}
_OTHERS = (Statistic.MEAN, Statistic.STD)
_NS_PER_S = 1e9
WINDOW_ROWS = 6
_WINDOW_S = 60.0


@dataclass(frozen=True, slots=True)
class Pace:
    """Length of the windows, time from one to the next, and healthy time [s]."""

    window_s: float
    every_s: float
    healthy_s: float


@dataclass(frozen=True, slots=True)
class Table:
    """What a model is fitted on.

    Attributes:
        features: The columns.
        rows: float32 (rows, features).
        positive: bool (rows,): the machine fails within the horizon.
        machine: int (rows,): index into `names`.
        life: int (rows,): which life of that machine, from 0.
        at_ns: End of the window [ns].
        names: Machines.
        pace: Windows and the healthy time, as they were taken.
        left_out: Features that no row of this history can have.
    """

    features: tuple[Feature, ...]
    rows: NDArray[np.float32]
    positive: NDArray[np.bool_]
    machine: NDArray[np.int64]
    life: NDArray[np.int64]
    at_ns: NDArray[np.int64]
    names: tuple[str, ...]
    pace: Pace
    left_out: tuple[str, ...] = ()

    def columns(self, names: Sequence[str]) -> NDArray[np.float32]:
        """Return float32 (rows, names)."""
        index = {one.name: at for at, one in enumerate(self.features)}
        return np.ascontiguousarray(self.rows[:, [index[name] for name in names]])


@dataclass(frozen=True, slots=True)
class _Life:
    """Rows `first` to `last` of a machine; `failed_ns` None: it did not fail, or the label does not say when."""

    first: int
    last: int
    failed_ns: int | None


def settle(history: History, wish: Wish) -> Pace:
    """Return what the user wants, or else what the history suggests.

    A window of a minute, but of at least WINDOW_ROWS rows; a healthy day, but at most a tenth of the shortest history.
    """
    steps = [np.median(np.diff(one.times_ns)) for one in history.machines if len(one.times_ns) > 1]
    step_s = max([0.0, *(float(step) / _NS_PER_S for step in steps)])
    window_s = wish.window_s or max(_WINDOW_S, WINDOW_ROWS * step_s)
    spans = [(max(one.times_ns) - min(one.times_ns)) / _NS_PER_S for one in history.machines if one.times_ns]
    healthy_s = wish.healthy_s or max(1e-3, min([HEALTHY_S, *(span / 10 for span in spans)]))
    return Pace(window_s, wish.every_s or window_s, healthy_s)


def build(history: History, wish: Wish) -> Table:
    """Return the table of a history.

    Raises:
        RefusedError: There is nothing to learn in it; the text says why.
    """
    pace = settle(history, wish)
    sources = list(dict.fromkeys(name for machine in history.machines for name in machine.samples))
    features = wish.features or _usual(sources)
    left_out: list[str] = []
    while True:
        card = ModelCard(features, pace.window_s, wish.horizon_s, healthy_s=pace.healthy_s, running=wish.running)
        parts = [_machine_rows(one, card, pace.every_s, history, wish) for one in history.machines]
        if sum(len(part.at_ns) for part in parts):
            break
        impossible = sorted({name for part in parts for name in part.missing} & {one.name for one in features})
        if wish.features or not impossible or len(impossible) == len(features):
            raise RefusedError([_nothing(parts, pace)])
        left_out += impossible
        features = tuple(one for one in features if one.name not in impossible)
    table = Table(
        features,
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.positive for part in parts]),
        np.concatenate([np.full(len(part.at_ns), index) for index, part in enumerate(parts)]),
        np.concatenate([part.life for part in parts]),
        np.concatenate([part.at_ns for part in parts]),
        tuple(one.name for one in history.machines),
        pace,
        tuple(left_out),
    )
    count = int(table.positive.sum())
    if count in {0, len(table.positive)}:
        what = f"{count} of {len(table.positive)} windows are before a failure; a model needs both kinds"
        cure = "add history with and without failures, or check the label, --horizon-h and --healthy-h"
        raise RefusedError([Fault("train", what, cure)])
    return table


def _usual(sources: Sequence[str]) -> tuple[Feature, ...]:
    levels = [f"{source}.{one}" for source in sources for one in _USUAL.get(source, _OTHERS)]
    return parse_all([*levels, RUNTIME_HOURS, *(RATIO + name for name in levels)])


@dataclass(frozen=True, slots=True)
class _Part:
    rows: NDArray[np.float32]
    positive: NDArray[np.bool_]
    life: NDArray[np.int64]
    at_ns: NDArray[np.int64]
    phase: Phase
    missing: tuple[str, ...]


def _machine_rows(machine: Machine, card: ModelCard, every_s: float, history: History, wish: Wish) -> _Part:
    rows: list[NDArray[np.float32]] = []
    positive: list[bool] = []
    at_ns: list[int] = []
    lives: list[int] = []
    phase = Phase.WAITING
    missing: tuple[str, ...] = ()
    times = np.array(machine.times_ns, np.int64)
    marks = np.array(machine.marks) == 1.0
    horizon_ns = round(wish.horizon_s * _NS_PER_S)
    for number, life in enumerate(_lives(machine, marks, history, wish)):
        prognosis = Prognosis(card, Rule(1.0), Healthy(), every_s)
        end_ns = int(times[life.last])
        for when, row in _questions(prognosis, machine, life):
            if life.failed_ns is None and history.marks_failures and end_ns - when < horizon_ns:
                continue  # it may have failed after the recording: nobody knows
            near = life.failed_ns is not None and life.failed_ns - when <= horizon_ns
            if history.marked_by is not None and not history.marks_failures:
                near = bool(marks[life.first + np.searchsorted(times[life.first : life.last + 1], when, "right") - 1])
            rows.append(row)
            positive.append(near)
            at_ns.append(when)
            lives.append(number)
        phase, missing = prognosis.phase, prognosis.missing or missing
        if prognosis.phase is Phase.LEARNING:
            missing = ()
    width = len(card.features)
    return _Part(
        np.concatenate(rows) if rows else np.empty((0, width), np.float32),
        np.array(positive, bool), np.array(lives, np.int64), np.array(at_ns, np.int64), phase, missing,
    )  # fmt: skip


def _questions(prognosis: Prognosis, machine: Machine, life: _Life) -> Iterator[tuple[int, NDArray[np.float32]]]:
    names = list(machine.samples)
    columns = [machine.samples[name] for name in names]
    for at in range(life.first, life.last + 1):
        when = machine.times_ns[at]
        for name, column in zip(names, columns, strict=True):
            question = prognosis.take(name, column[at], when)
            if question is not None:
                yield question.at_ns, question.row


def _lives(machine: Machine, marks: NDArray[np.bool_], history: History, wish: Wish) -> Iterator[_Life]:
    """Yield the lives of a machine, in the order of time."""
    times, last = machine.times_ns, len(machine.times_ns) - 1
    if history.marked_by is None:
        end = _last_running(machine, wish)
        yield _Life(0, end, times[end])
        return
    # With a label a life ends where the failure is over: at the last row of a run of ones.
    ends = marks if history.marks_failures else marks & ~np.append(marks[1:], values=False)
    first = 0
    for end in map(int, np.flatnonzero(ends)):
        yield _Life(first, end, times[end] if history.marks_failures else None)
        first = end + 1
    if first <= last:
        yield _Life(first, last, None)


def _last_running(machine: Machine, wish: Wish) -> int:
    last = len(machine.times_ns) - 1
    running = wish.running
    if running is None or running.feature.source not in machine.samples:
        return last
    values = machine.samples[running.feature.source]
    if not all(isinstance(value, float) for value in values):
        return last
    found = np.flatnonzero(np.array(values) > running.above)
    return int(found[-1]) if len(found) else last


def _nothing(parts: Sequence[_Part], pace: Pace) -> Fault:
    missing = sorted({name for part in parts for name in part.missing})
    phases = ", ".join(sorted({str(part.phase) for part in parts}))
    what = f"no window can be judged: at the end of the history every machine is {phases}"
    if missing:
        return Fault("train", f"{what}; {', '.join(missing)} cannot be built", "leave them out with --features")
    cure = (
        f"shorten --window-s ({pace.window_s:g}) or --healthy-h ({pace.healthy_s / 3600:.3g}), "
        "or give a longer history; a pause of more than a window begins a new one"
    )
    return Fault("train", what, cure)


def is_ratio(name: str) -> bool:
    """Whether a feature is one to the machine's own normal."""
    return parse(name).is_ratio
