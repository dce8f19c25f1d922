"""Judge room: what one stretch of samples amounts to, without keeping them.

In: finite numbers     Out: mean, standard deviation, RMS, extremes.
Pure. Source: Welford 1962 for one number, Chan, Golub, LeVeque 1979 for two stretches.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Self

import numpy as np
from numpy.typing import NDArray

from edgetwin.analytics.features import Statistic


class Moments:
    """Moments of the numbers so far; of none, every statistic is NaN."""

    __slots__ = ("abs_sum", "count", "high", "last", "low", "m2", "mean")

    def __init__(self) -> None:
        self.count = 0
        self.mean = 0.0
        self.m2 = 0.0
        self.abs_sum = 0.0
        self.low = math.inf
        self.high = -math.inf
        self.last = math.nan

    def add(self, value: float) -> None:
        """Take one finite number."""
        self.count += 1
        delta = value - self.mean
        self.mean += delta / self.count
        self.m2 += delta * (value - self.mean)
        self.abs_sum += value if value >= 0.0 else -value
        if value < self.low:  # noqa: PLR1730  # min() costs three times as much, on every sample
            self.low = value
        if value > self.high:  # noqa: PLR1730  # the same
            self.high = value
        self.last = value

    def add_array(self, values: NDArray[np.float64]) -> None:
        """Take finite numbers: float64 (samples,), at least one."""
        other = Moments()
        other.count = int(values.size)
        with np.errstate(over="ignore", invalid="ignore"):
            other.mean = float(values.mean())
            other.m2 = float(np.square(values - other.mean).sum())
            other.abs_sum = float(np.abs(values).sum())
        other.low, other.high, other.last = float(values.min()), float(values.max()), float(values[-1])
        self._merge(other)

    @classmethod
    def merged(cls, parts: Iterable[Moments]) -> Self:
        """Return the moments of all parts together, in their order."""
        whole = cls()
        count, mean, m2, abs_sum, low, high, last = 0, 0.0, 0.0, 0.0, math.inf, -math.inf, math.nan
        for part in parts:  # locals, and no min(): a row of a model is made of up to sixty parts of each source
            more = part.count
            if more == 0:
                continue
            before, count = count, count + more
            delta = part.mean - mean
            mean += delta * more / count
            m2 += part.m2 + delta * delta * before * more / count
            abs_sum += part.abs_sum
            low = part.low if part.low < low else low  # noqa: FURB136  # see above
            high = part.high if part.high > high else high  # noqa: FURB136  # see above
            last = part.last
        whole.count, whole.mean, whole.m2, whole.abs_sum = count, mean, m2, abs_sum
        whole.low, whole.high, whole.last = low, high, last
        return whole

    def statistic(self, statistic: Statistic) -> float:
        """Return one of them; NaN where there are too few numbers (std needs two), or they overflowed."""
        if self.count == 0 or (statistic is Statistic.STD and self.count == 1):
            return math.nan
        value = self._value(statistic)
        return value if math.isfinite(value) else math.nan

    def _value(self, statistic: Statistic) -> float:  # noqa: PLR0911  # one line for each word of the vocabulary
        match statistic:
            case Statistic.MEAN:
                return self.mean
            case Statistic.STD:
                return _root(self.m2 / self.count)
            case Statistic.RMS:
                return _root(self.m2 / self.count + self.mean * self.mean)
            case Statistic.ABS_MEAN:
                return self.abs_sum / self.count
            case Statistic.MIN:
                return self.low
            case Statistic.MAX:
                return self.high
            case Statistic.PEAK:
                return max(abs(self.low), abs(self.high))
            case Statistic.LAST:
                return self.last
            case Statistic.BAND:
                return math.nan  # not of moments: analytics.spectrum

    def _merge(self, other: Moments) -> None:
        if other.count == 0:
            return
        count = self.count + other.count
        delta = other.mean - self.mean
        self.mean += delta * other.count / count
        self.m2 += other.m2 + delta * delta * self.count * other.count / count
        self.abs_sum += other.abs_sum
        self.low, self.high, self.last = min(self.low, other.low), max(self.high, other.high), other.last
        self.count = count


def _root(square: float) -> float:
    """Return the root of what rounding may have put a little below zero; NaN of what overflowed."""
    return math.sqrt(max(0.0, square)) if math.isfinite(square) else math.nan
