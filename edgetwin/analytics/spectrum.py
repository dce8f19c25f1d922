"""Judge room: the power of a signal between two frequencies, segment by segment, in bounded memory.

In: samples of one source and their times     Out: (base feature, mean square within its band), per segment.
Pure.

Segments of SEGMENT samples, Hann window, no overlap (Bartlett's method, 1948, with a taper): what a window keeps
is the sum of powers and the count of segments. The rate is that of the source's arrays where the settings give
one, else counted between the first and the last sample of a segment. A band above half the rate gives nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgetwin.analytics.features import Feature
from edgetwin.analytics.periodogram import periodogram

SEGMENT = 1024
_GAP_PERIODS = 10.0
_NS_PER_S = 1e9


class Spectrum:
    """Bands of one source.

    Attributes:
        too_slow: Segments whose rate was too low for at least one band.
    """

    def __init__(self, features: Sequence[Feature], rate_hz: float | None) -> None:
        self.too_slow = 0
        self._bands = [(one.base, one.band_hz) for one in features if one.band_hz is not None]
        self._rate_hz = rate_hz
        self._samples = np.zeros(SEGMENT)
        self._count = 0
        self._first_ns = 0
        self._last_ns = 0

    def reset(self) -> None:
        """Forget the segment that has begun: there was a gap."""
        self._count = 0

    def hear(self, samples: NDArray[np.float64], at_ns: int) -> list[tuple[str, float]]:
        """Take successive samples, the last of them at `at_ns`; return the powers of the segments they complete."""
        if self._rate_hz is None:
            self._watch_time(at_ns)
        found: list[tuple[str, float]] = []
        offset = 0
        while offset < samples.size:
            part = samples[offset : offset + SEGMENT - self._count]
            self._samples[self._count : self._count + part.size] = part
            self._count += part.size
            offset += part.size
            if self._count == SEGMENT:
                self._count = 0
                found += self._powers(at_ns)
        return found

    def _watch_time(self, at_ns: int) -> None:
        if self._count > 1:
            period_ns = (self._last_ns - self._first_ns) / (self._count - 1)
            step_ns = at_ns - self._last_ns
            if step_ns < 0 or step_ns > max(_GAP_PERIODS * period_ns, _NS_PER_S):
                self._count = 0
        if self._count == 0:
            self._first_ns = at_ns
        self._last_ns = at_ns

    def _powers(self, at_ns: int) -> list[tuple[str, float]]:
        rate_hz = self._rate_hz
        if rate_hz is None:
            span_ns = at_ns - self._first_ns
            if span_ns <= 0:
                return []
            rate_hz = (SEGMENT - 1) * _NS_PER_S / span_ns
        with np.errstate(over="ignore", invalid="ignore"):
            frequencies, density = periodogram(self._samples, rate_hz)
        width_hz = rate_hz / SEGMENT
        found = []
        for base, (low_hz, high_hz) in self._bands:
            if high_hz > rate_hz / 2:
                self.too_slow += 1
                continue
            inside = (frequencies >= low_hz) & (frequencies < high_hz)
            power = float(density[inside].sum() * width_hz)
            if np.isfinite(power):
                found.append((base, power))
        return found
