"""Judge room: samples of several sources into one row of numbers per window, in bounded memory.

In: (source, value, time) as they come     Out: Row, each time a window is complete.
Pure: no clock; the caller's time decides which window a sample belongs to.

A window is made of at most PANES_MAX panes that follow each other; each keeps moments (Welford) per source, and
panes are merged (Chan). So memory depends neither on the rate nor on the length of the window.

| what comes             | what is done |
|------------------------|--------------|
| NaN, infinity          | counted, never in a window |
| time goes back a little (up to a window) | counted, belongs to the pane that is open |
| time goes back further, or on by more than a window | counted, everything begins anew |
| a source is silent for a window          | its features are NaN: no row that a model may see |
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgetwin.analytics.features import RUNTIME, Feature, Statistic
from edgetwin.analytics.moments import Moments
from edgetwin.analytics.spectrum import Spectrum

PANES_MAX = 60
_NS_PER_S = 1_000_000_000

Value: TypeAlias = float | Sequence[float] | NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Row:
    """One window.

    Attributes:
        at_ns: Its end, in the caller's time [ns].
        values: Base feature -> number; NaN where the window does not tell.
        active_s: Time in which samples came, since the row before [s].
    """

    at_ns: int
    values: Mapping[str, float]
    active_s: float


@dataclass(slots=True)
class _Pane:
    moments: dict[str, Moments]
    bands: dict[str, list[float]]  # base feature -> [sum of powers, segments]
    active_ns: int = 0


class Window:
    """The window of one model.

    Attributes:
        not_finite: Samples that were NaN or infinite.
        backward: Samples whose time lay before that of an earlier one.
        restarts: How often everything began anew, after a gap or a jump of time.
    """

    def __init__(
        self, features: Iterable[Feature], window_s: float, every_s: float, rates_hz: Mapping[str, float] | None = None
    ) -> None:
        """Nothing has come yet.

        Args:
            features: Base features, without ratios.
            window_s: Length [s].
            every_s: How often a row is wanted [s]; rows end where panes do, so at least a sixtieth of a window apart.
            rates_hz: Source -> rate of the samples in each of its arrays [Hz]; others are timed by their coming.
        """
        self.not_finite = 0
        self.backward = 0
        self.restarts = 0
        self._features = tuple(one for one in features if one.source != RUNTIME)
        self._sources = tuple(dict.fromkeys(one.source for one in self._features))
        window_ns = max(1, round(window_s * _NS_PER_S))
        count = max(1, min(PANES_MAX, math.ceil(window_s / every_s)))
        self._window_ns = window_ns
        self._pane_ns = max(1, window_ns // count)
        self._every_ns = round(every_s * _NS_PER_S)
        self._spectra = {
            source: Spectrum(wanted, (rates_hz or {}).get(source))
            for source in self._sources
            if (wanted := [one for one in self._features if one.source == source and one.band_hz is not None])
        }
        self._panes: deque[_Pane] = deque(maxlen=count)
        self._open = self._empty()
        self._begin_ns: int | None = None
        self._newest_ns = 0
        self._row_ns: int | None = None
        self._active_ns = 0

    def take(self, source: str, value: Value, at_ns: int) -> Row | None:
        """Take a sample, or an array of successive ones; return the row that its time completes, before it.

        Args:
            source: Its name; one that no feature wants is ignored.
            value: Number, or array of them.
            at_ns: Its time [ns], on any time line, always the same one.
        """
        row = self._advance(at_ns)
        moments = self._open.moments.get(source)
        if moments is None:
            return row
        if isinstance(value, float):
            if not math.isfinite(value):
                self.not_finite += 1
                return row
            moments.add(value)
            if (spectrum := self._spectra.get(source)) is not None:
                self._hear(spectrum, np.array((value,)), at_ns)
            return row
        array = np.asarray(value, dtype=np.float64).ravel()
        finite = np.isfinite(array)
        if not finite.all():
            self.not_finite += int(array.size - finite.sum())
            array = array[finite]
        if array.size:
            moments.add_array(array)
            if (spectrum := self._spectra.get(source)) is not None:
                self._hear(spectrum, array, at_ns)
        return row

    def _advance(self, at_ns: int) -> Row | None:
        if self._begin_ns is None:
            self._begin(at_ns)
            return None
        step_ns = at_ns - self._newest_ns
        if step_ns < 0:
            self.backward += 1
        if not -self._window_ns <= step_ns <= self._window_ns:
            self.restarts += 1
            self._begin(at_ns)
            return None
        if step_ns > 0:
            self._open.active_ns += step_ns
        row = None
        while at_ns >= self._begin_ns + self._pane_ns:
            self._panes.append(self._open)
            self._active_ns += self._open.active_ns
            self._open = self._empty()
            self._begin_ns += self._pane_ns
            row = self._row(self._begin_ns) or row
        self._newest_ns = max(at_ns, self._newest_ns)
        return row

    def _begin(self, at_ns: int) -> None:
        self._panes.clear()
        self._open = self._empty()
        self._begin_ns = self._newest_ns = at_ns
        self._row_ns = None
        for spectrum in self._spectra.values():
            spectrum.reset()

    def _empty(self) -> _Pane:
        return _Pane({source: Moments() for source in self._sources}, {})

    def _hear(self, spectrum: Spectrum, samples: NDArray[np.float64], at_ns: int) -> None:
        for base, power in spectrum.hear(samples, at_ns):
            sums = self._open.bands.setdefault(base, [0.0, 0.0])
            sums[0] += power
            sums[1] += 1.0

    def _row(self, end_ns: int) -> Row | None:
        if len(self._panes) < (self._panes.maxlen or 1):
            return None
        if self._row_ns is not None and end_ns - self._row_ns < self._every_ns - self._pane_ns // 2:
            return None
        self._row_ns = end_ns
        merged = {source: Moments.merged(pane.moments[source] for pane in self._panes) for source in self._sources}
        values = {one.base: self._number(one, merged[one.source]) for one in self._features}
        active_s, self._active_ns = self._active_ns / _NS_PER_S, 0
        return Row(end_ns, values, active_s)

    def _number(self, feature: Feature, moments: Moments) -> float:
        if feature.statistic is not Statistic.BAND:
            return moments.statistic(feature.statistic)
        sums = [pane.bands[feature.base] for pane in self._panes if feature.base in pane.bands]
        segments = sum(count for _, count in sums)
        return math.sqrt(sum(power for power, _ in sums) / segments) if segments else math.nan
