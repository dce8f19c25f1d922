"""Judge room: what every detector is, and the guards that all of them share.

In: values of one channel with their times     Out: scores and alarms; what is usual; a state to save
Pure. It will not raise on any value: what is not a finite number is counted, never learned.

| a time that is                 | is taken as |
|--------------------------------|-------------|
| a little before the newest     | a late sample: counted, neither scored nor learned |
| far before the newest          | a clock that was set: the next period, from there on |
| long after it (8 periods)      | a pause: what is short-lived is forgotten by its length, what is slow stays |
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from edgetwin.analytics import frozen
from edgetwin.analytics.frozen import Array, DetectorStateError, Flags, State

HUGE = 1e60  # from here on a value is as good as infinite: sums of its squares and cubes still are numbers
_PAUSE_PERIODS = 8.0
_PERIOD_ROWS = 64  # rows between two looks at the sample period
_NEW_TIME_AFTER = 5  # late rows in a row: the clock was set back


@dataclass(frozen=True, slots=True)
class Usual:
    """What is usual for one judged thing, and what it is now.

    Attributes:
        value: What was measured last.
        mean: What it usually is.
        scale: Its usual standard deviation; 0 where the method has none.
    """

    value: float
    mean: float
    scale: float


class Verdicts(NamedTuple):
    """What a detector says of some rows.

    Attributes:
        scores: (rows, judged); NaN: no judgement (warming up, value missing, late sample).
        alarms: (rows, judged); true from the threshold on until the score is well below it.
    """

    scores: Array
    alarms: Flags


class Detector(ABC):
    """Judges one channel, sample by sample; every call may bring one row or many, the answers are the same.

    Attributes:
        judged: How many things it judges: elements, or pairs, or one for all.
        not_finite: Values per element that were NaN, infinite or absurd (elements,).
        late: Rows whose time was before that of an earlier one.
        pauses: How often samples stayed away for eight periods or longer.
        threshold: Score from which on something alarms.
    """

    method = ""

    def __init__(self, elements: int, threshold: float, warmup_s: float) -> None:
        self.elements = elements
        self.threshold = threshold
        self.not_finite = np.zeros(elements)
        self.late = 0
        self.pauses = 0
        self._warmup_s = warmup_s
        self._begun_s = math.nan  # time of the first row
        self._newest_s = math.nan
        self._period_s = math.inf  # unknown
        self._elapsed_s = 0.0  # since the last look at the period
        self._settled = False  # the period is more than a first guess
        self._unlooked = 0  # rows since then
        self._told = 0  # those of them whose distance counts
        self._late_run = 0
        self._open = False

    def score(self, values: Array, time_s: float) -> Array:
        """Judge one sample; return the scores (judged,).

        Args:
            values: (elements,); not changed.
            time_s: Time of the sample, any epoch [s].
        """
        scores: Array = self.judge(values[np.newaxis, :], np.array([time_s])).scores[0]
        return scores

    def judge(self, values: Array, times_s: Array) -> Verdicts:
        """Judge rows in their order, and learn from each after it was scored.

        Args:
            values: (rows, elements); not changed.
            times_s: (rows,), any epoch [s].
        """
        valid = self._finite(values)
        if valid is not None:
            values = np.where(valid, values, 0.0)
        found: list[Verdicts] = []
        start = 0
        while start < len(values):
            stop = min(len(values), start + _PERIOD_ROWS - self._unlooked)
            sound = None if valid is None else valid[start:stop]
            if self._steady(times_s[start:stop]):
                found.append(self._judge(values[start:stop], sound))
                self._pass(float(times_s[stop - 1]), stop - start)
            else:  # rare: row by row, and only the first, because each may move the clock
                stop = start + 1
                found.append(self._judge_odd(values[start:stop], None if sound is None else sound[:1], times_s[start]))
            start = stop
        if len(found) == 1:
            return found[0]
        return Verdicts(np.concatenate([one.scores for one in found]), np.concatenate([one.alarms for one in found]))

    @property
    @abstractmethod
    def judged(self) -> int:
        """How many things are judged."""

    @property
    def warming(self) -> Flags:
        """Which of them are not judged yet (judged,)."""
        return ~self._ready()

    @abstractmethod
    def usual(self, index: int, values: Array) -> Usual:
        """Return what the judged thing `index` is now, by the sample `values`, and what it usually is."""

    def name(self, index: int, labels: tuple[str, ...]) -> str:
        """Return the name of the judged thing `index`, made of the elements' labels."""
        return labels[index]

    def grow(self, elements: int) -> bool:
        """Take more elements, behind those that are there; False: this method cannot, make a new one."""
        del elements
        return False

    def save(self) -> State:
        """Return everything it knows, as JSON values."""
        return {
            "v": frozen.VERSION,
            "method": self.method,
            "elements": self.elements,
            "not_finite": frozen.pack(self.not_finite),
            "late": self.late,
            "pauses": self.pauses,
            "clock": frozen.pack(np.array([self._begun_s, self._newest_s, self._period_s, self._elapsed_s])),
            "counts": [self._unlooked, self._told, self._late_run],
            "open": self._open,
            "settled": self._settled,
            "known": self._save(),
        }

    def load(self, state: Any) -> None:
        """Go on where `save` was called, in a detector made with the same arguments.

        Raises:
            DetectorStateError: Another version, method or shape. The detector must be thrown away then.
        """
        found = tuple(frozen.part(state, key) for key in ("v", "method", "elements"))
        if found != (frozen.VERSION, self.method, self.elements):
            msg = f"a state of {found}, where {(frozen.VERSION, self.method, self.elements)} is needed"
            raise DetectorStateError(msg)
        frozen.fill(self.not_finite, frozen.part(state, "not_finite"))
        self.late, self.pauses = (int(frozen.number(state, key)) for key in ("late", "pauses"))
        counts = dict(zip(("unlooked", "told", "late_run"), frozen.part(state, "counts"), strict=True))
        self._unlooked = int(frozen.number(counts, "unlooked")) % _PERIOD_ROWS
        self._told, self._late_run = int(frozen.number(counts, "told")), int(frozen.number(counts, "late_run"))
        clock = frozen.unpack(frozen.part(state, "clock"), (4,))
        self._begun_s, self._newest_s, self._period_s, self._elapsed_s = (float(value) for value in clock)
        self._open, self._settled = (bool(frozen.part(state, key)) for key in ("open", "settled"))
        self._load(frozen.part(state, "known"))

    @abstractmethod
    def _judge(self, values: Array, valid: Flags | None) -> Verdicts:
        """Judge rows that follow each other without a pause; values that are not valid are 0."""

    @abstractmethod
    def _alarming(self) -> Flags:
        """Who is in alarm."""

    @abstractmethod
    def _ready(self) -> Flags:
        """Who is judged."""

    @abstractmethod
    def _forget(self, samples: float) -> None:
        """Bridge a pause of so many samples."""

    @abstractmethod
    def _open_up(self) -> None:
        """The warm-up in seconds is over."""

    @abstractmethod
    def _save(self) -> State:
        """Return what the method knows."""

    @abstractmethod
    def _load(self, known: Any) -> None:
        """Take it back."""

    def _finite(self, values: Array) -> Flags | None:
        """Return which values are numbers, None if all are; count the others."""
        sizes = np.abs(values)
        if np.maximum.reduce(sizes, axis=None) < HUGE:  # a NaN is not less than anything
            return None
        valid = sizes < HUGE
        self.not_finite += (~valid).sum(axis=0)
        return valid

    def _steady(self, times_s: Array) -> bool:
        """Whether these rows follow the newest one and each other forward, without a pause and past the warm-up."""
        ahead_s = float(times_s[0]) - self._newest_s
        pause_s = _PAUSE_PERIODS * self._period_s
        if not (self._open and self._settled and 0.0 <= ahead_s <= pause_s):
            return False
        if len(times_s) == 1:
            return True
        half_s = pause_s / 2.0  # 0 <= step <= pause, in one look
        steps = times_s[1:] - times_s[:-1]
        steps -= half_s
        np.abs(steps, out=steps)
        return bool(np.maximum.reduce(steps) <= half_s)

    def _judge_odd(self, values: Array, valid: Flags | None, time_s: float) -> Verdicts:
        """Judge one row whose time needs a look: the first ones, one after a pause, one that comes late."""
        ahead_s = time_s - self._newest_s
        pause_s = _PAUSE_PERIODS * self._period_s
        late = not math.isfinite(time_s) or -pause_s <= ahead_s < 0.0
        self._late_run = self._late_run + 1 if late else 0
        if late and (self._late_run < _NEW_TIME_AFTER or not math.isfinite(time_s)):
            self.late += 1
            return Verdicts(np.full((1, self.judged), np.nan), self._alarming()[np.newaxis, :].copy())
        if ahead_s > pause_s:
            self.pauses += 1
            self._forget(ahead_s / self._period_s)
        if math.isnan(ahead_s):
            self._begun_s = time_s
        elif not 0.0 <= ahead_s <= pause_s:
            self._begun_s += ahead_s - min(max(0.0, ahead_s), self._period_s)  # a pause does not warm anything up
        if not self._open and time_s - self._begun_s >= self._warmup_s:
            self._open = True
            self._open_up()
        verdicts = self._judge(values, valid)
        self._pass(time_s, 1, told=0.0 <= ahead_s <= pause_s)
        return verdicts

    def _pass(self, time_s: float, rows: int, *, told: bool = True) -> None:
        """Let the time of accepted rows go by; `told`: the time since the last one says something of the period."""
        if told:
            step_s = time_s - self._newest_s
            self._elapsed_s += step_s
            if not self._settled and step_s > 0.0:
                self._period_s = min(self._period_s, step_s)  # the first guess, until there are enough
            self._told += rows
        self._newest_s = time_s
        self._unlooked += rows
        if self._unlooked >= _PERIOD_ROWS:
            if self._elapsed_s > 0.0:
                self._period_s = self._elapsed_s / self._told
                self._settled = True
            self._elapsed_s, self._unlooked, self._told = 0.0, 0, 0
