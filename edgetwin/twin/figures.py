"""Twin wing: figures over the newest of many numbers, in bounded memory.

In: numbers as they come     Out: percentiles, a rate, jitter
Pure. Percentiles are exact over what is kept; what is older is forgotten.
"""

from __future__ import annotations

import array
import math
from collections import deque
from typing import Any

import numpy as np

from edgetwin.clock import NS_PER_S

_JITTER_GAIN = 16  # RFC 3550
_TOO_SHORT_S = 0.1  # for a rate


class Newest:
    """The newest `size` numbers.

    Attributes:
        count: All that ever came.
        largest: Of all that ever came; NaN before the first.
    """

    def __init__(self, size: int = 1024) -> None:
        self.count = 0
        self.largest = math.nan
        self._size = size
        self._kept = array.array("d")

    def add(self, value: float) -> None:
        """Take one number."""
        if len(self._kept) < self._size:
            self._kept.append(value)
        else:
            self._kept[self.count % self._size] = value
        self.count += 1
        if not value <= self.largest:
            self.largest = value

    def percentiles(self, *percents: float) -> tuple[float, ...] | None:
        """Return percentiles of the newest; None before the first."""
        if not self._kept:
            return None
        ordered = np.sort(np.frombuffer(self._kept))  # a fifth of what np.percentile takes
        return tuple(_between(ordered, percent / 100 * (len(ordered) - 1)) for percent in percents)


def _between(ordered: np.ndarray[Any, Any], rank: float) -> float:
    """Return the value at a rank that may lie between two."""
    below = float(ordered[int(rank)])
    above = float(ordered[math.ceil(rank)])
    return below + (above - below) * (rank - int(rank))


class Jitter:
    """Interarrival jitter as RTP has it: a running mean of how much one latency differs from the one before."""

    def __init__(self) -> None:
        self.value: float | None = None
        self._last: float | None = None

    def add(self, latency: float) -> None:
        """Take the next latency; the result has its unit."""
        if self._last is not None:
            before = self.value or 0.0
            self.value = before + (abs(latency - self._last) - before) / _JITTER_GAIN
        self._last = latency


class PerSecond:
    """Amounts per second over the last seconds: counted in whole seconds, so that memory does not grow."""

    def __init__(self, over_s: int = 10) -> None:
        self._over_s = over_s
        self._buckets: deque[tuple[int, float]] = deque(maxlen=over_s + 1)
        self._began_ns: int | None = None

    def add(self, now_ns: int, amount: float = 1.0) -> None:
        """Take an amount."""
        if self._began_ns is None:
            self._began_ns = now_ns
        second = now_ns // NS_PER_S
        if self._buckets and self._buckets[-1][0] == second:
            amount += self._buckets.pop()[1]
        self._buckets.append((second, amount))

    def at(self, now_ns: int) -> float:
        """Return the amount per second over the last whole seconds; over all, while that is less."""
        if self._began_ns is None:
            return 0.0
        second = now_ns // NS_PER_S
        first = max(second - self._over_s, self._began_ns // NS_PER_S + 1)
        if first >= second:  # not one whole second yet
            elapsed_s = (now_ns - self._began_ns) / NS_PER_S
            return sum(amount for _, amount in self._buckets) / elapsed_s if elapsed_s > _TOO_SHORT_S else 0.0
        return sum(amount for at, amount in self._buckets if first <= at < second) / (second - first)
