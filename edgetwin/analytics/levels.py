"""Judge room: detectors that make one signal per judged thing and ask whether its level has shifted.

In: rows of values     Out: verdicts, by `shift.Shift`
What a signal is, each method says: the value itself, its prediction error, a ratio, a residual.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import Any

import numpy as np

from edgetwin.analytics import frozen
from edgetwin.analytics.detector import Detector, Usual, Verdicts
from edgetwin.analytics.frozen import Array, Flags, State
from edgetwin.analytics.shift import Shift, ShiftRule


class LevelDetector(Detector):
    """A detector over `shift`, one column per judged thing."""

    def __init__(self, elements: int, signals: int, rule: ShiftRule, warmup_s: float) -> None:
        super().__init__(elements, rule.threshold, warmup_s)
        self.shift = Shift(signals, rule)
        self.shift.open = False

    @property
    def judged(self) -> int:
        """How many things are judged."""
        return len(self.shift.mean)

    @abstractmethod
    def _signal(self, values: Array, valid: Flags | None) -> tuple[Array, Flags | None]:
        """Return the signals of the rows, and which of them count; None: all."""

    def _judge(self, values: Array, valid: Flags | None) -> Verdicts:
        return Verdicts(*self.shift.advance(*self._signal(values, valid)))

    def _alarming(self) -> Flags:
        return self.shift.alarming

    def _ready(self) -> Flags:
        return self.shift.judged

    def _forget(self, samples: float) -> None:
        self.shift.forget(samples)

    def _open_up(self) -> None:
        self.shift.open = True

    def _save(self) -> State:
        return self.shift.save()

    def _load(self, known: Any) -> None:
        self.shift.load(known)


class RobustZ(LevelDetector):
    """The value itself: has it left its usual level?

    The default for signals that rest at a level of their own: temperatures, pressures, flows, supply voltages.
    """

    method = "robust_z"

    def __init__(self, elements: int, rule: ShiftRule, warmup_s: float = 0.0) -> None:
        super().__init__(elements, elements, rule, warmup_s)

    def usual(self, index: int, values: Array) -> Usual:
        """Return the value, its usual mean and standard deviation."""
        mean, scale = self.shift.usual(index)
        return Usual(float(values[index]), mean, scale)

    def grow(self, elements: int) -> bool:
        """Take more elements."""
        self.not_finite = np.concatenate([self.not_finite, np.zeros(elements - self.elements)])
        self.elements = elements
        self.shift.grow(elements)
        return True

    def _signal(self, values: Array, valid: Flags | None) -> tuple[Array, Flags | None]:
        return values, valid


class Residual(LevelDetector):
    """The error of a short-term prediction: has the signal become less predictable than it usually is?

    The short-term mean of the error is held against its own long-term distribution, the idea of Numenta's anomaly
    likelihood. The default for single series that have no level of their own.

    Source: Ahmad, Lavin, Purdy, Agha (2017), Neurocomputing, doi 10.1016/j.neucom.2017.04.070.
    """

    method = "residual"

    def __init__(self, elements: int, rule: ShiftRule, prediction_samples: int = 16, warmup_s: float = 0.0) -> None:
        super().__init__(elements, elements, replace(rule, rises_only=True), warmup_s)
        self._prediction_samples = prediction_samples
        self._predicted = np.zeros(elements)
        self._seen: Flags = np.zeros(elements, np.bool_)

    def usual(self, index: int, values: Array) -> Usual:
        """Return the value, what was predicted, and how far off the prediction usually is."""
        error, _ = self.shift.usual(index)
        return Usual(float(values[index]), float(self._predicted[index]), error)

    def grow(self, elements: int) -> bool:
        """Take more elements."""
        more = elements - self.elements
        self.not_finite = np.concatenate([self.not_finite, np.zeros(more)])
        self._predicted = np.concatenate([self._predicted, np.zeros(more)])
        self._seen = np.concatenate([self._seen, np.zeros(more, np.bool_)])
        self.elements = elements
        self.shift.grow(elements)
        return True

    def _signal(self, values: Array, valid: Flags | None) -> tuple[Array, Flags | None]:
        errors = np.empty_like(values)
        gain = 1.0 / self._prediction_samples
        if not self._seen.all():
            self._start(values, valid)
        predicted = self._predicted
        for row in range(len(values)):
            error = errors[row]
            np.subtract(values[row], predicted, out=error)
            if valid is not None:
                error *= valid[row]
            predicted += error * gain
        return np.abs(errors, out=errors), valid

    def _start(self, values: Array, valid: Flags | None) -> None:
        """Predict the first value of each element by itself."""
        for row in range(len(values)):
            first = ~self._seen if valid is None else valid[row] & ~self._seen
            self._predicted = np.where(first, values[row], self._predicted)
            self._seen = self._seen | first

    def _save(self) -> State:
        own = {"predicted": frozen.pack(self._predicted), "seen": frozen.pack(self._seen)}
        return own | {"shift": self.shift.save()}

    def _load(self, known: Any) -> None:
        frozen.fill(self._predicted, frozen.part(known, "predicted"))
        frozen.fill(self._seen, frozen.part(known, "seen"))
        self.shift.load(frozen.part(known, "shift"))
