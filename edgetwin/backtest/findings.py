"""Backtest: what came out, as lines for a person and as one line of JSON.

In: alerts, alarms and labels, row by row     Out: text
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from edgetwin import wire
from edgetwin.analytics.alerts import Alert, AlertState, cause
from edgetwin.analytics.detector import Verdicts
from edgetwin.analytics.frozen import Array
from edgetwin.analytics.scoring import Scores, per_hour, score
from edgetwin.backtest.foreseen import as_lines, as_values, number, scores_of
from edgetwin.backtest.rehearsal import Rehearsal


@dataclass(slots=True)
class Period:
    """One alert, whole."""

    channel: str
    start_s: float
    end_s: float
    peak: float
    words: str


@dataclass(slots=True)
class Findings:
    """All that a backtest found.

    Attributes:
        iso: Times are told as ISO 8601; else in seconds.
        periods: Alerts, in the order they were raised.
        alarms: One array of flags per block: a detector was in alarm.
        times: The same, of times [s].
        labels: The same, of labels; empty without.
        remarks: What else a person should read.
        rehearsals: The failure models, with what they said.
        watched: Detectors were at work; else there is nothing to score but the models.
    """

    iso: bool
    periods: list[Period] = field(default_factory=list)
    alarms: list[Array] = field(default_factory=list)
    times: list[Array] = field(default_factory=list)
    labels: list[Array] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    rehearsals: list[Rehearsal] = field(default_factory=list)
    watched: bool = True
    _open: dict[tuple[str, int], Period] = field(default_factory=dict)

    def hear(self, detector: str, channel: str, alert: Alert) -> None:
        """Take a word about an alert in."""
        key = (detector, alert.index)
        if alert.state is AlertState.RAISED or key not in self._open:
            words = cause(channel, "", alert.usual, self._time(alert.since_s))
            self._open[key] = Period(channel, alert.since_s, alert.time_s, alert.peak, words)
            self.periods.append(self._open[key])
        period = self._open[key]
        period.end_s, period.peak = max(period.end_s, alert.time_s), max(period.peak, alert.peak)
        if alert.state is AlertState.CLEARED:
            del self._open[key]

    def add(self, verdicts: Sequence[Verdicts], times_s: Array, labels: Array | None) -> None:
        """Take the verdicts of all detectors on the same rows in."""
        alarms = np.zeros(len(times_s), np.bool_)
        for one in verdicts:
            alarms |= one.alarms.any(axis=1)
        self.alarms.append(alarms.astype(np.float64))
        self.times.append(times_s)
        if labels is not None:
            self.labels.append(labels)

    def scores(self, first_row: int = 0) -> Scores:
        """Return the scores of the detectors from a row on; all None without labels or detectors."""
        if not (self.labels and self.watched):
            return Scores(None, None, None, None)
        alarms, truth, times_s = (np.concatenate(one)[first_row:] for one in (self.alarms, self.labels, self.times))
        return score(alarms > 0, truth != 0, times_s)

    def as_json(self, *, rows: bool, first_row: int = 0) -> str:
        """Return the one line of the contract."""
        times_s = np.concatenate(self.times) if self.times else np.zeros(0)
        found = self.scores(first_row)
        line: dict[str, Any] = {
            "rows": len(times_s),
            "alerts": [
                {
                    "channel": one.channel,
                    "start": self._stamp(one.start_s),
                    "end": self._stamp(one.end_s),
                    "peak": one.peak,
                }
                for one in self.periods
            ],
        }
        if rows:
            line["row_alarm"] = [int(flag) for block in self.alarms for flag in block.tolist()]
        line |= {"f1": found.f1, "far": found.far, "mar": found.mar, "delay_s": found.delay_s}
        line["events_per_hour"] = per_hour(len(self.periods), times_s)
        if self.rehearsals:
            labels = self._truth()
            line["prognosis"] = {
                one.name: as_values(one, scores_of(one, labels, first_row), times_s, self._stamp)
                for one in self.rehearsals
            }
        return wire.encode(line).decode()

    def as_text(self, first_row: int = 0) -> str:
        """Return lines for a person."""
        times_s = np.concatenate(self.times) if self.times else np.zeros(0)
        rate = per_hour(len(self.periods), times_s)
        lines = [
            f"{len(times_s)} rows, {len(self.periods)} alerts" + (f", {rate:.2f} per hour" if rate is not None else "")
        ]
        lines += [f"  {one.words}, until {self._time(one.end_s)}, peak score {one.peak:.1f}" for one in self.periods]
        found = self.scores(first_row)
        if self.labels and self.watched:
            delay = "-" if found.delay_s is None else f"{found.delay_s:.0f} s"
            shares = f"false alarm rate {number(found.far)}, missed {number(found.mar)}"
            lines.append(f"F1 {number(found.f1)}, {shares}, delay {delay}")
        for one in self.rehearsals:
            lines += as_lines(one, scores_of(one, self._truth(), first_row), self._time)
        return "\n".join([*lines, *self.remarks]) + "\n"

    def _truth(self) -> Array | None:
        return np.concatenate(self.labels) if self.labels else None

    def _stamp(self, time_s: float) -> str | float:
        return self._time(time_s) if self.iso else time_s

    def _time(self, time_s: float) -> str:
        if not self.iso or not np.isfinite(time_s):
            return f"{time_s:.3f} s"
        return datetime.fromtimestamp(time_s, UTC).replace(tzinfo=None).isoformat(sep=" ")
