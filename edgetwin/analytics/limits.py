"""Judge room: fixed limits that somebody knows: has a value crossed one?

In: values     Out: verdicts, one per element
Nothing is learned. An alarm ends when the value is back inside by the hysteresis.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from edgetwin.analytics import frozen
from edgetwin.analytics.detector import Detector, Usual, Verdicts
from edgetwin.analytics.frozen import Array, Flags, State

_SCORE_MAX = 1e12
_UNIT_MIN = 1e-9  # of the limit: the hysteresis where none is wanted


class Limits(Detector):
    """Score: threshold + distance beyond the limit in units of the hysteresis; inside, below the threshold."""

    method = "limits"

    def __init__(
        self,
        elements: int,
        *,
        low: float = -math.inf,
        high: float = math.inf,
        hysteresis: float = 0.0,
        threshold: float = 6.0,
        warmup_s: float = 0.0,
    ) -> None:
        """Set the limits.

        Args:
            elements: Columns of the values.
            low: Below this it alarms; in the field's unit.
            high: Above this it alarms.
            hysteresis: So far inside the alarm ends; in the field's unit, at least 0.
            threshold: Score of a value exactly on a limit.
            warmup_s: Nothing is judged before so much time has passed.
        """
        super().__init__(elements, threshold, warmup_s)
        self._low, self._high = low, high
        finite = [abs(limit) for limit in (low, high) if math.isfinite(limit)]
        self._unit = hysteresis if hysteresis > 0.0 else _UNIT_MIN * max([1.0, *finite])
        self._state: Flags = np.zeros(elements, np.bool_)

    @property
    def judged(self) -> int:
        """Every element."""
        return self.elements

    def usual(self, index: int, values: Array) -> Usual:
        """Return the value and the limit it is nearest to; there is no usual scale."""
        value = float(values[index])
        return Usual(value, self._low if abs(value - self._low) < abs(value - self._high) else self._high, 0.0)

    def grow(self, elements: int) -> bool:
        """Take more elements."""
        more = elements - self.elements
        self.not_finite = np.concatenate([self.not_finite, np.zeros(more)])
        self._state = np.concatenate([self._state, np.zeros(more, np.bool_)])
        self.elements = elements
        return True

    def _judge(self, values: Array, valid: Flags | None) -> Verdicts:
        beyond = np.maximum(values - self._high, self._low - values)
        scores = np.full(values.shape, np.nan)
        alarms = np.zeros(values.shape, np.bool_)
        if self._open:
            scores = self.threshold + np.clip(beyond / self._unit, -_SCORE_MAX, _SCORE_MAX)
            if valid is not None:
                scores[~valid] = np.nan
        above, below = scores > self.threshold, scores < self.threshold - 1.0
        for row in range(len(values)):
            self._state = above[row] | (self._state & ~below[row])
            alarms[row] = self._state
        return Verdicts(scores, alarms)

    def _alarming(self) -> Flags:
        return self._state

    def _ready(self) -> Flags:
        return np.full(self.elements, self._open)

    def _forget(self, samples: float) -> None:
        del samples

    def _open_up(self) -> None:
        pass

    def _save(self) -> State:
        return {"state": frozen.pack(self._state)}

    def _load(self, known: Any) -> None:
        frozen.fill(self._state, frozen.part(known, "state"))
