"""Judge room: vibration: has the energy in a band of frequencies shifted?

In: values at a steady rate     Out: verdicts, one per element
Windows of samples become band energies in decibels (Hann taper, no overlap), and `shift` judges their level.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from edgetwin.analytics import frozen
from edgetwin.analytics.detector import Detector, Usual, Verdicts
from edgetwin.analytics.frozen import Array, Flags, State
from edgetwin.analytics.periodogram import periodogram
from edgetwin.analytics.shift import Shift, ShiftRule

_OCTAVES = ((1 / 32, 1 / 16), (1 / 16, 1 / 8), (1 / 8, 1 / 4), (1 / 4, 1 / 2))  # of the sample rate
_POWER_MIN = 1e-20  # -200 dB: what stands still has no logarithm


class Spectral(Detector):
    """Judges the band energies of every element; the band that stands out most speaks for it.

    A pause in the samples throws the window away that has begun, and so does a missing value for its element.
    """

    method = "spectral"

    def __init__(
        self,
        elements: int,
        rule: ShiftRule,
        *,
        window_samples: int = 256,
        bands_hz: Sequence[tuple[float, float]] = (),
        warmup_s: float = 0.0,
    ) -> None:
        """Choose the bands.

        Args:
            elements: Columns of the values.
            rule: How a band's level is judged; its samples are windows.
            window_samples: Length of a window.
            bands_hz: (low, high) of each band; none: four octaves below half the sample rate.
            warmup_s: Nothing is judged before so much time has passed.
        """
        super().__init__(elements, rule.threshold, warmup_s)
        self._bands_hz = tuple(bands_hz)
        self._bands = len(bands_hz) or len(_OCTAVES)
        self.shift = Shift(elements * self._bands, rule)
        self.shift.open = False
        self._window = np.zeros((window_samples, elements))
        self._holed: Flags = np.zeros(elements, np.bool_)
        self._filled = 0
        self._scores = np.full(elements, np.nan)
        self._state: Flags = np.zeros(elements, np.bool_)
        self._levels = np.zeros(elements * self._bands)
        self._worst = np.zeros(elements)

    @property
    def judged(self) -> int:
        """Every element."""
        return self.elements

    def usual(self, index: int, values: Array) -> Usual:
        """Return level [dB], usual level and its usual standard deviation in the band that stands out most."""
        del values
        column = index * self._bands + int(self._worst[index])
        mean, scale = self.shift.usual(column)
        return Usual(float(self._levels[column]), mean, scale)

    def _judge(self, values: Array, valid: Flags | None) -> Verdicts:
        scores, alarms = np.empty(values.shape), np.empty(values.shape, np.bool_)
        start = 0
        while start < len(values):
            stop = min(len(values), start + len(self._window) - self._filled)
            self._window[self._filled : self._filled + stop - start] = values[start:stop]
            if valid is not None:
                self._holed |= ~valid[start:stop].all(axis=0)
            self._filled += stop - start
            scores[start:stop], alarms[start:stop] = self._scores, self._state
            if self._filled == len(self._window):
                self._close_window()
                scores[stop - 1], alarms[stop - 1] = self._scores, self._state
            start = stop
        return Verdicts(scores, alarms)

    def _close_window(self) -> None:
        self._filled = 0
        sound = np.repeat(~self._holed, self._bands)[np.newaxis, :]
        self._holed[:] = False
        levels = self._energies()
        if levels is None:
            return
        self._levels = levels
        verdicts = self.shift.advance(levels[np.newaxis, :], None if sound.all() else sound)
        by_element = verdicts[0][0].reshape(self.elements, self._bands)
        heard = np.where(np.isnan(by_element), -np.inf, by_element)
        self._worst = heard.argmax(axis=1).astype(np.float64)
        best = heard.max(axis=1)
        self._scores = np.where(np.isfinite(best), best, np.nan)
        self._state = verdicts[1][0].reshape(self.elements, self._bands).any(axis=1)

    def _energies(self) -> Array | None:
        """Return the bands' energies [dB], element by element; None where the rate is not known yet."""
        rate_hz = 1.0 / self._period_s
        bands = self._bands_hz or tuple((low * rate_hz, high * rate_hz) for low, high in _OCTAVES)
        if not (rate_hz > 0.0 and math.isfinite(rate_hz)):
            return None
        with np.errstate(over="ignore", invalid="ignore"):
            frequencies, density = periodogram(self._window, rate_hz)
        energies = np.zeros((self.elements, self._bands))
        for column, (low_hz, high_hz) in enumerate(bands):
            inside = (frequencies >= low_hz) & (frequencies < high_hz)
            energies[:, column] = density[inside].sum(axis=0) * rate_hz / len(self._window)
        return np.asarray(10.0 * np.log10(np.clip(np.nan_to_num(energies), _POWER_MIN, 1e200))).ravel()

    def _alarming(self) -> Flags:
        return self._state

    def _ready(self) -> Flags:
        return np.asarray(self.shift.judged.reshape(self.elements, self._bands).any(axis=1))

    def _forget(self, samples: float) -> None:
        self.shift.forget(samples / len(self._window))
        self._filled = 0
        self._holed[:] = False

    def _open_up(self) -> None:
        self.shift.open = True

    def _save(self) -> State:
        return {name: frozen.pack(getattr(self, name)) for name in self._KEPT} | {
            "filled": self._filled,
            "shift": self.shift.save(),
        }

    def _load(self, known: Any) -> None:
        for name in self._KEPT:
            frozen.fill(getattr(self, name), frozen.part(known, name))
        self._filled = int(frozen.number(known, "filled")) % len(self._window)
        self.shift.load(frozen.part(known, "shift"))

    _KEPT = ("_window", "_holed", "_scores", "_state", "_levels", "_worst")
