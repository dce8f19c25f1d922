"""Roof: one detector on one channel: messages gathered into rows, rows judged, alerts told.

In: raw CDR with its time     Out: Told
No loop, no clock: the daemon and a backtest run the same code. Messages are gathered for a moment, because a row costs
a tenth in company; the answers are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from edgetwin.analytics import frozen
from edgetwin.analytics.alerts import Alert, AlertRule, Alerts, AlertState
from edgetwin.analytics.detector import Detector, Usual, Verdicts
from edgetwin.analytics.frozen import Array, State
from edgetwin.analytics.methods import Method, Wish, alert_rule, build
from edgetwin.analytics.roster import Roster
from edgetwin.errors import MalformedMessageError
from edgetwin.judging.gauge import Gauge
from edgetwin.settings import AnomalySettings

GATHER_ROWS = 64

Hear: TypeAlias = Callable[[Verdicts, Array, Array], None]  # verdicts, times [s], values


@dataclass(frozen=True, slots=True)
class Told:
    """An alert, and the name of what it is about."""

    alert: Alert
    element: str


class Watch:
    """One `[anomaly.<name>]` at work.

    Attributes:
        problem: Why nothing is judged; None: it is, or no message came yet.
        malformed: Messages that were not of the declared type.
        empty: Messages without a value in the field, or before any motion was heard.
        renewed: How often learning began anew, because the elements changed.
    """

    def __init__(self, anomaly: AnomalySettings, gauge: Gauge, hear: Hear | None = None) -> None:
        """Wait for the first message.

        Args:
            anomaly: Its settings.
            gauge: How to read messages.
            hear: Told of every verdict, for those who draw or count.
        """
        self.problem: str | None = None
        self.malformed = 0
        self.empty = 0
        self.renewed = 0
        self._anomaly = anomaly
        self._gauge = gauge
        self._hear = hear
        self._wish = wish_of(anomaly)
        self._rule = _rule_of(anomaly, self._wish)
        self._roster = Roster()
        self._detector: Detector | None = None
        self._alerts = Alerts(self._rule, self._look)
        self._raised: dict[int, str] = {}
        self._labels: Sequence[str] = ()
        self._shape: tuple[int, ...] = ()
        self._rows: list[tuple[Any, ...]] = []
        self._times_s: list[float] = []
        self._motion: tuple[Any, ...] | None = None

    @property
    def gathered(self) -> int:
        """Messages that wait to be judged."""
        return len(self._rows)

    @property
    def detector(self) -> Detector | None:
        """The detector at work; None before there is one."""
        return self._detector

    def element(self, column: int) -> str:
        """Return the name of a column of the rows that `hear` is told of; empty where it is the only one."""
        labels = self._roster.labels
        if column >= len(labels):
            return f"motion {column - len(labels)}"
        return "" if len(labels) == 1 and self._anomaly.label is None else labels[column]

    def take(self, raw: bytes, time_s: float) -> list[Told]:
        """Take a message of the channel; return what is to be told, usually nothing.

        Args:
            raw: Serialised message.
            time_s: When it came, any epoch [s].
        """
        try:
            row = self._gauge.read(raw)
            labels = None if self._gauge.names is None else self._gauge.names(raw)
        except MalformedMessageError:
            self.malformed += 1
            return []
        if self._gauge.motion is not None:
            if self._motion is None:
                self.empty += 1
                return []
            row = (*row, *self._motion)
        shape = tuple(len(part) if hasattr(part, "__len__") else 1 for part in row)
        if not shape[0]:
            self.empty += 1
            return []
        told: list[Told] = []
        if shape != self._shape or (labels is not None and labels != self._labels):
            told = self.judge()
            self._shape, self._labels = shape, self._named(labels, shape[0])
        self._rows.append(row)
        self._times_s.append(time_s)
        return told + self.judge() if len(self._rows) >= GATHER_ROWS else told

    def retune(self, anomaly: AnomalySettings) -> None:
        """Go on by another threshold, with other times of an alert; what was learned and what is raised stay.

        Args:
            anomaly: Differs from what this one was made with in these alone.
        """
        self._anomaly, self._wish = anomaly, wish_of(anomaly)
        self._rule = self._alerts.rule = _rule_of(anomaly, self._wish)
        if (one := self._detector) is not None and one.threshold != anomaly.threshold:
            self._detector = self._build(len(self._roster.labels), one.elements)
            self._detector.load(one.save())

    def take_motion(self, raw: bytes) -> None:
        """Take a message of the motion's own channel: it holds until the next one."""
        if self._gauge.motion is None:
            return
        try:
            self._motion = self._gauge.motion(raw)
        except MalformedMessageError:
            self.malformed += 1

    def judge(self) -> list[Told]:
        """Judge what has gathered."""
        if not self._rows:
            return []
        rows, self._rows = self._rows, []
        times_s = np.array(self._times_s)
        self._times_s = []
        parts = [
            np.array([row[place] for row in rows], dtype=np.float64).reshape(len(rows), -1)
            for place in range(len(rows[0]))
        ]
        loads = self._roster.rows(self._labels, parts[0])
        if self._wish.method is Method.TWIN_RATIO:  # speeds are named as the twins are
            motion = [self._roster.rows(self._labels, part) for part in parts[1:]]
        else:
            motion = parts[1:]
        values = np.hstack([loads, *motion]) if motion else loads
        detector = self._fitting(loads.shape[1], values.shape[1])
        if detector is None:
            return []
        verdicts = detector.judge(values, times_s)
        if self._hear is not None:
            self._hear(verdicts, times_s, values)
        return self._tell(self._alerts.follow(verdicts, times_s, values))

    def close(self) -> list[Told]:
        """Judge the rest, and end every alert: for a recording that has an end."""
        return self.judge() + self._tell(self._alerts.close())

    def figures(self) -> dict[str, Any]:
        """Return what it is at, for the status."""
        one = self._detector
        phase = "waiting" if one is None else "warming up" if one.warming.all() else "watching"
        return {
            "phase": phase,
            "method": str(self._wish.method),
            "raised": [self._name(index) or self._anomaly.field for index in self._alerts.open],
            "problem": self.problem,
            "judged": 0 if one is None else one.judged,
            "alerts": self._alerts.raised,
            "held_back": self._alerts.held_back,
            "not_finite": 0 if one is None else int(one.not_finite.sum()),
            "late": 0 if one is None else one.late,
            "pauses": 0 if one is None else one.pauses,
            "malformed": self.malformed,
            "empty": self.empty,
        }

    def save(self) -> State | None:
        """Return what was learned, as JSON values; None: nothing yet."""
        if self._detector is None:
            return None
        widths = [len(self._roster.labels), self._detector.elements]
        return {"wish": repr(self._wish), "labels": self._roster.labels, "widths": widths} | {
            "detector": self._detector.save()
        }

    def load(self, state: Any) -> None:
        """Go on where `save` was called, if nothing has come yet and the settings are still the same.

        Raises:
            DetectorStateError: They are not, or the state is broken; learning begins anew.
        """
        if frozen.part(state, "wish") != repr(self._wish):
            msg = "the settings have changed"
            raise frozen.DetectorStateError(msg)
        labels, widths = frozen.part(state, "labels"), frozen.part(state, "widths")
        sound = isinstance(labels, list) and all(isinstance(label, str) for label in labels)
        if not (sound and isinstance(widths, list) and len(widths) == 2 and widths[0] == len(labels)):  # noqa: PLR2004
            msg = "the elements are broken"
            raise frozen.DetectorStateError(msg)
        self._roster = Roster(labels)
        try:
            detector = self._build(len(labels), int(widths[1]))
            detector.load(frozen.part(state, "detector"))
        except (ValueError, TypeError, frozen.DetectorStateError) as error:
            self._roster = Roster()
            raise frozen.DetectorStateError(str(error)) from error
        self._detector = detector

    def _named(self, labels: list[str] | None, count: int) -> Sequence[str]:
        if labels is not None:
            return labels
        if len(self._gauge.labels) == count:
            return list(self._gauge.labels)
        return [str(index) for index in range(count)]

    def _fitting(self, loads: int, columns: int) -> Detector | None:
        """Return the detector for rows of this width, grown or made anew; None: it cannot be made (yet)."""
        one = self._detector
        if one is not None and one.elements == columns:
            return one
        if one is not None and one.elements < columns and loads == columns and one.grow(columns):
            return one
        try:
            self._detector = self._build(loads, columns)
        except ValueError as error:
            self._detector, self.problem = None, str(error)
            return None
        self.problem = None
        if one is not None:
            self.renewed += 1
            self._alerts = Alerts(self._rule, self._look)
        return self._detector

    def _build(self, loads: int, columns: int) -> Detector:
        wish = replace(self._wish, motion=columns - loads)
        if wish.method is Method.TWIN_RATIO:
            places = {label: place for place, label in enumerate(self._roster.labels)}
            if missing := [name for pair in self._anomaly.twins for name in pair if name not in places]:
                msg = f"no element {missing[0]} was seen yet; there are {', '.join(self._roster.labels[:10])}"
                raise ValueError(msg)
            pairs = tuple((places[left], places[right]) for left, right in self._anomaly.twins)
            speeds = tuple((loads + left, loads + right) for left, right in pairs) if columns > loads else ()
            wish = replace(wish, pairs=pairs, speeds=speeds)
        return build(wish, columns)

    def _look(self, index: int, values: Array) -> Usual:
        if self._detector is None:
            return Usual(0.0, 0.0, 0.0)
        return self._detector.usual(index, values)

    def _name(self, index: int) -> str:
        if self._detector is None:
            return str(index)
        alone = len(self._roster.labels) == 1 and self._anomaly.label is None
        return "" if alone else self._detector.name(index, tuple(self._roster.labels))

    def _tell(self, alerts: list[Alert]) -> list[Told]:
        told: list[Told] = []
        for alert in alerts:
            if alert.state is AlertState.RAISED:  # `t_squared` may name another element later: it is the same alert
                self._raised[alert.index] = self._name(alert.index)
            told.append(Told(alert, self._raised.get(alert.index, self._name(alert.index))))
        return told


def _rule_of(anomaly: AnomalySettings, wish: Wish) -> AlertRule:
    return alert_rule(wish, AlertRule(anomaly.clear_after_s, anomaly.cooldown_s, per_hour_max=anomaly.per_hour_max))


def wish_of(anomaly: AnomalySettings) -> Wish:
    """Return the detector that settings ask for, without what only messages can tell."""
    return Wish(
        method=Method(anomaly.method.value),
        threshold=anomaly.threshold,
        warmup_s=anomaly.warmup_s,
        memory_samples=anomaly.memory_samples,
        fast_samples=anomaly.fast_samples,
        scale_min=anomaly.scale_min,
        offset=anomaly.offset,
        low=float("-inf") if anomaly.low is None else anomaly.low,
        high=float("inf") if anomaly.high is None else anomaly.high,
        hysteresis=anomaly.hysteresis,
        window_samples=anomaly.window_samples,
        bands_hz=anomaly.bands,
    )
