"""Judge room: all elements as one: do they still move together as they usually do?

In: values of up to 64 elements     Out: one verdict for all
Hotelling's T2 of the fast means, with a mean and a covariance that go on learning. It sees what no element alone
shows: a current that rises while the speed does not.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from edgetwin.analytics import frozen
from edgetwin.analytics.detector import Detector, Usual, Verdicts
from edgetwin.analytics.frozen import Array, DetectorStateError, Flags, State
from edgetwin.analytics.shift import Shift, ShiftRule
from edgetwin.analytics.tile import TILE

ELEMENTS_MAX = 64  # the covariance is solved once per tile
_RIDGE = 0.05  # variance that every direction has at least, in squared strays: the rarest were never seen
_SHRINK = 0.1  # of every covariance goes to its diagonal: with few looks the rest is not to be trusted
_STRAY_MAX = 10.0  # usual strays beyond which a row teaches no more
_ALARM_SHARE = 0.1
_ROWS_MIN = 256  # of which a covariance must know at least
_LOOKS_MIN = 3  # looks per direction, for the same reason


class TSquared(Detector):
    """One score for all elements: T2 as the quantile of a normal distribution (Wilson and Hilferty, 1931).

    Each element has its own adaptive level (`shift`); what is joint is the covariance of how the levels stray. A
    missing value counts as usual.
    """

    method = "t_squared"

    def __init__(self, elements: int, rule: ShiftRule, warmup_s: float = 0.0) -> None:
        """Begin with nothing known.

        Raises:
            ValueError: More than 64 elements.
        """
        if elements > ELEMENTS_MAX:
            msg = f"t_squared takes {ELEMENTS_MAX} elements at most, not {elements}"
            raise ValueError(msg)
        super().__init__(elements, rule.threshold, warmup_s)
        self.shift = Shift(elements, rule)
        self.shift.open = False
        self.shift.tells_direction = True
        looks = elements * rule.fast_samples  # rows in which the fast means take a new value, once per direction
        self._rows_min = max(rule.warmup_samples, _ROWS_MIN, _LOOKS_MIN * looks)
        self._memory = max(rule.memory_samples, 3 * _LOOKS_MIN * looks)
        self._diagonal = np.eye(elements)
        self._ridge = self._diagonal * _RIDGE
        self._covariance = np.eye(elements)
        self._whiten = np.eye(elements)
        self._tile = np.zeros((TILE, elements))
        self._quiet = np.ones(TILE)
        self._filled = 0
        self._count = 0.0
        self._state = False
        self._age = 0
        self._worst = 0

    @property
    def judged(self) -> int:
        """One, for all."""
        return 1

    def name(self, index: int, labels: tuple[str, ...]) -> str:
        """Return the element that stands out most."""
        del index
        return labels[self._worst]

    def usual(self, index: int, values: Array) -> Usual:
        """Return value, mean and standard deviation of the element that stands out most."""
        del index
        mean, scale = self.shift.usual(self._worst)
        return Usual(float(values[self._worst]), mean, scale)

    def _judge(self, values: Array, valid: Flags | None) -> Verdicts:
        distances, _ = self.shift.advance(values, valid)
        told: Flags = np.logical_or.reduce(np.isfinite(distances), axis=1)
        strays = np.nan_to_num(distances * self.shift.directions)  # what is not judged counts as usual
        scores, alarms = np.full((len(values), 1), np.nan), np.empty((len(values), 1), np.bool_)
        start = 0
        while start < len(values):
            part = slice(start, min(len(values), start + TILE - self._filled))
            self._join(strays[part], told[part], scores[part, 0], alarms[part, 0])
            start = part.stop
        return Verdicts(scores, alarms)

    def _join(self, strays: Array, told: Flags, scores: Array, alarms: Flags) -> None:
        """Fill scores and alarms of rows of one tile; `strays` are distances of the fast means in their own wander.

        matmul goes matrix by matrix, one for each row, so that blocks of any length give the same bits.
        """
        first, last = self._filled, self._filled + len(strays)
        if self._count >= self._rows_min:
            parts = np.matmul(self._whiten, strays[:, :, np.newaxis])
            squares = np.matmul(parts.transpose(0, 2, 1), parts)[:, 0, 0]
            found = self.shift.rule.gain * _normal(squares, self.elements)
            scores[...] = np.where(told, found, np.nan)
        self._follow(strays, scores, alarms)
        self._tile[first:last] = np.minimum(np.maximum(strays, -_STRAY_MAX), _STRAY_MAX)
        self._quiet[first:last] = np.where(alarms, _ALARM_SHARE, 1.0)
        self._filled = last
        if last == TILE:
            self._learn()

    def _follow(self, strays: Array, scores: Array, alarms: Flags) -> None:
        """Tell whether there is an alarm, with hysteresis; a missing score changes nothing."""
        rule = self.shift.rule
        if not self._state and not np.fmax.reduce(scores) > rule.threshold:
            alarms[...] = False
            return
        for row, score in enumerate(scores.tolist()):
            if not math.isnan(score):
                self._state = score > rule.threshold or (self._state and not score < rule.threshold * rule.clear_ratio)
                if self._state:
                    self._worst = int(np.argmax(np.abs(strays[row])))
            alarms[row] = self._state

    def _learn(self) -> None:
        rule = self.shift.rule
        self._filled = 0
        weight = float(self._quiet.sum())
        self._age = self._age + TILE if self._state else 0
        if self._age > rule.memory_samples:  # what lasts this long is the usual state now
            self._age, self._count, self._state = 0, 0.0, False
        self._count += TILE
        rate = weight / min(self._count, self._memory)
        found = (self._tile * self._quiet[:, np.newaxis]).T @ self._tile / weight
        self._covariance += rate * (found - self._covariance)
        shrunk = (1.0 - _SHRINK) * self._covariance + _SHRINK * (self._covariance * self._diagonal)
        shrunk += self._ridge
        self._whiten = np.linalg.inv(np.linalg.cholesky(shrunk))

    def _alarming(self) -> Flags:
        return np.array([self._state])

    def _ready(self) -> Flags:
        return np.array([bool(self.shift.judged.any()) and self._count >= self._rows_min])

    def _forget(self, samples: float) -> None:
        self.shift.forget(samples)

    def _open_up(self) -> None:
        self.shift.open = True

    def _save(self) -> State:
        arrays = {name: frozen.pack(getattr(self, name)) for name in self._KEPT}
        numbers = {"filled": self._filled, "count": self._count, "state": self._state, "age": self._age}
        return arrays | numbers | {"worst": self._worst, "shift": self.shift.save()}

    def _load(self, known: Any) -> None:
        for name in self._KEPT:
            frozen.fill(getattr(self, name), frozen.part(known, name))
        self._filled = int(frozen.number(known, "filled")) % TILE
        self._count, self._age = frozen.number(known, "count"), int(frozen.number(known, "age"))
        self._state = bool(frozen.part(known, "state"))
        self._worst = int(frozen.number(known, "worst"))
        if not 0 <= self._worst < self.elements:
            msg = f"no element {self._worst}"
            raise DetectorStateError(msg)
        self.shift.load(frozen.part(known, "shift"))

    _KEPT = ("_covariance", "_whiten", "_tile", "_quiet")


def _normal(squares: Array, degrees: int) -> Array:
    """Return the normal quantiles that are as rare as chi-squares of `squares`; good in the far tail."""
    spread = 2.0 / (9.0 * degrees)
    roots = np.array([share ** (1.0 / 3.0) for share in (squares / degrees).tolist()])  # numpy's differ by machine
    quantiles: Array = (roots - (1.0 - spread)) / math.sqrt(spread)
    return quantiles
