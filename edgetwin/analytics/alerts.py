"""Judge room: alarms become alerts with a life: raised once, updated rarely, cleared once, never a flood.

In: alarms and scores per row     Out: Alert, at the moments a person should hear of
Pure: the time is that of the samples.

| event                                         | what is told |
|-----------------------------------------------|--------------|
| an alarm begins                               | raised, with the cause in words |
| its score has doubled, a minute after the last word | updated |
| no alarm for `clear_after_s`                  | cleared |
| an alarm within the cool-down of the last one | nothing; counted, and raised if it outlasts the cool-down |
| more than `per_hour_max` within an hour       | nothing; counted, and the count travels with the next one |
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

import numpy as np

from edgetwin.analytics.detector import Usual, Verdicts
from edgetwin.analytics.frozen import Array

_UPDATE_AFTER_S = 60.0
_HOUR_S = 3600.0


class AlertState(StrEnum):
    """Where an alert is in its life."""

    RAISED = "raised"
    UPDATED = "updated"
    CLEARED = "cleared"


@dataclass(frozen=True, slots=True)
class AlertRule:
    """When an alert begins and ends.

    Attributes:
        clear_after_s: An alert ends when there was no alarm for so long.
        cooldown_s: The same thing is not raised again before so long after it was raised last.
        cooldown_samples: The same, in samples; the longer of both counts.
        per_hour_max: Alerts raised per hour, over all that the detector judges.
    """

    clear_after_s: float = 5.0
    cooldown_s: float = 60.0
    cooldown_samples: int = 0
    per_hour_max: int = 12


@dataclass(frozen=True, slots=True)
class Alert:
    """One word about one judged thing.

    Attributes:
        index: Which judged thing.
        state: What happened.
        since_s: When the alarm began, in the time of the samples.
        time_s: When this is said; for `cleared`, when the last alarm was.
        score: Score at that moment.
        peak: Highest score so far.
        usual: What it is and usually was; of the moment of alarm.
        held_back: Alerts of this detector that were not told since the last one that was.
    """

    index: int
    state: AlertState
    since_s: float
    time_s: float
    score: float
    peak: float
    usual: Usual
    held_back: int


@dataclass(slots=True)
class _Life:
    """One alarm that goes on, told or not."""

    since_s: float
    last_s: float
    peak: float
    score: float
    usual: Usual
    told: bool = False
    counted: bool = False  # as held back
    told_peak: float = 0.0
    told_s: float = 0.0


Look: TypeAlias = Callable[[int, Array], Usual]


class Alerts:
    """The alerts of one detector.

    Attributes:
        held_back: Alerts that were never told, in all.
        raised: Alerts that were.
    """

    def __init__(self, rule: AlertRule, look: Look) -> None:
        """Begin with nothing alarmed.

        Args:
            rule: When alerts begin and end.
            look: Returns what a judged thing is by a sample, and what it usually is.
        """
        self.rule = rule
        self.held_back = 0
        self.raised = 0
        self._look = look
        self._lives: dict[int, _Life] = {}
        self._raised_at: dict[int, tuple[float, int]] = {}  # index -> time [s], sample number
        self._recent: deque[float] = deque(maxlen=max(1, rule.per_hour_max))
        self._untold = 0
        self._samples = 0

    @property
    def open(self) -> list[int]:
        """Judged things with an alert that was told and is not cleared."""
        return sorted(index for index, life in self._lives.items() if life.told)

    def follow(self, verdicts: Verdicts, times_s: Array, values: Array) -> list[Alert]:
        """Return what is to be told of these rows, in order.

        Args:
            verdicts: Of the detector, for these rows.
            times_s: (rows,) [s].
            values: (rows, elements): the samples themselves.
        """
        first = self._samples
        self._samples += len(times_s)
        if not self._lives and not np.logical_or.reduce(verdicts.alarms, axis=None):
            return []
        told: list[Alert] = []
        flagged: list[bool] = np.logical_or.reduce(verdicts.alarms, axis=1).tolist()
        for row in range(len(times_s)):
            if flagged[row] or self._lives:
                time_s = float(times_s[row])
                for index in verdicts.alarms[row].nonzero()[0].tolist():
                    self._alarm(index, float(verdicts.scores[row, index]), time_s, values[row])
                told += self._speak(verdicts, row, time_s, first + row)
        return told

    def close(self) -> list[Alert]:
        """End every alert that was told, as at the end of a recording."""
        lives, self._lives = self._lives, {}
        return [
            self._word(index, life, AlertState.CLEARED, life.last_s)
            for index, life in sorted(lives.items())
            if life.told
        ]

    def _alarm(self, index: int, score: float, time_s: float, values: Array) -> None:
        """Take one alarm in."""
        life = self._lives.get(index)
        if math.isnan(score):
            score = life.score if life else 0.0  # a missing value; the alarm goes on
        if life is None:
            self._lives[index] = _Life(time_s, time_s, score, score, self._look(index, values))
            return
        life.last_s, life.score = time_s, score
        if score > life.peak:
            life.peak = score
            life.usual = self._look(index, values)

    def _speak(self, verdicts: Verdicts, row: int, time_s: float, sample: int) -> list[Alert]:
        told: list[Alert] = []
        for index in sorted(self._lives):
            life = self._lives[index]
            if not verdicts.alarms[row, index]:
                if time_s - life.last_s < self.rule.clear_after_s and time_s >= life.last_s:
                    continue
                del self._lives[index]
                if life.told:
                    told.append(self._word(index, life, AlertState.CLEARED, life.last_s))
            elif not life.told:
                if self._may_raise(index, life, time_s, sample):
                    told.append(self._word(index, life, AlertState.RAISED, time_s))
            elif life.peak >= 2.0 * life.told_peak and time_s - life.told_s >= _UPDATE_AFTER_S:
                told.append(self._word(index, life, AlertState.UPDATED, time_s))
        return told

    def _may_raise(self, index: int, life: _Life, time_s: float, sample: int) -> bool:
        last_s, last_sample = self._raised_at.get(index, (-math.inf, -self.rule.cooldown_samples))
        cool = not 0.0 <= time_s - last_s < self.rule.cooldown_s and sample - last_sample >= self.rule.cooldown_samples
        full = len(self._recent) == self._recent.maxlen and 0.0 <= time_s - self._recent[0] < _HOUR_S
        if cool and not full:
            self._raised_at[index] = (time_s, sample)
            self._recent.append(time_s)
            self.raised += 1
            if life.counted:  # it came late, but it came
                self.held_back -= 1
                self._untold = max(0, self._untold - 1)
            return True
        if not life.counted:
            life.counted = True
            self.held_back += 1
            self._untold += 1
        return False

    def _word(self, index: int, life: _Life, state: AlertState, time_s: float) -> Alert:
        life.told, life.told_peak, life.told_s = True, life.peak, time_s
        untold, self._untold = self._untold, 0
        return Alert(index, state, life.since_s, time_s, life.score, life.peak, life.usual, untold)


def cause(name: str, field: str, usual: Usual, since: str) -> str:
    """Return one line that a person understands: "joint_3 effort 25.0, usual 0.1 +- 0.4 since 12:03".

    Args:
        name: The judged thing; empty where there is but one.
        field: What is measured.
        usual: The figures.
        since: When it began, in words.
    """
    what = " ".join(part for part in (name, field) if part)
    scale = f" +- {_short(usual.scale)}" if usual.scale > 0.0 else ""
    return f"{what} {_short(usual.value)}, usual {_short(usual.mean)}{scale} since {since}"


def _short(value: float) -> str:
    """Return four significant digits, and always a decimal point or an exponent."""
    text = f"{value:.4g}"
    return text if any(mark in text for mark in ".en") else f"{text}.0"
