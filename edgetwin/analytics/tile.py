"""Judge room: the rows between two lessons of `shift`, and the fast mean that runs through them.

In: rows of values, elements as columns     Out: what a lesson is learned from
Pure. The bits of a fast mean depend on the rows before it alone, not on where a call ends.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgetwin.analytics import frozen
from edgetwin.analytics.frozen import Array, Flags, State

TILE = 16  # rows between two lessons: the memories are hundreds of rows long
TILE_LONG = 64  # the same, once everything is well known: a lesson costs the same, however long it is


class Tile:
    """Rows that were scored and not learned from yet.

    Attributes:
        length: Rows of this tile.
        fill: Rows that are there.
        x: Values (length, elements); where one is missing, the one before it.
        g: Fast means (length, elements).
        weight: Share of each value in the lesson (length, elements); only valid where not `plain`.
        valid: Which values are there; only valid where not `plain`.
        plain: All rows count alike.
        fast: Fast mean after the last row (elements,).
        last: Value before the first row (elements,).
    """

    _ARRAYS = ("fast", "last", "_run")
    _ROWS = ("_x", "_g", "_weight", "_valid", "_sums")
    _FLAGS = ("plain", "_stepwise")

    def __init__(self, elements: int, fast_samples: int) -> None:
        self.length = TILE
        self.fill = 0
        self.plain = True
        self.fast = np.zeros(elements)
        self.last = np.zeros(elements)
        self._fast_samples = fast_samples
        self._run = np.zeros(elements)  # values the fast mean is made of, while it is young
        self._x = np.zeros((TILE_LONG, elements))
        self._g = np.zeros((TILE_LONG, elements))
        self._weight = np.ones((TILE_LONG, elements))
        self._valid: Flags = np.ones((TILE_LONG, elements), np.bool_)
        self._sums = np.zeros((TILE_LONG + 1, elements))
        self._stepwise = True  # from here on the fast mean goes step by step until the tile ends
        self._keep = 1.0 - 1.0 / fast_samples
        self._shrunk = self._keep ** np.arange(1.0, TILE_LONG + 1)[:, np.newaxis]
        self._grown = np.zeros_like(self._shrunk) if fast_samples == 1 else 1.0 / fast_samples / self._shrunk

    @property
    def full(self) -> bool:
        """Whether it is time for a lesson."""
        return self.fill == self.length

    @property
    def x(self) -> Array:
        """Values."""
        return self._x[: self.length]

    @property
    def g(self) -> Array:
        """Fast means."""
        return self._g[: self.length]

    @property
    def weight(self) -> Array:
        """Share of each value in the lesson."""
        return self._weight[: self.length]

    @property
    def valid(self) -> Flags:
        """Which values are there."""
        return self._valid[: self.length]

    def put(self, values: Array, sound: Flags | None) -> Array:
        """Take rows in, not more than there is room for; return their fast means.

        Args:
            values: (rows, elements).
            sound: Which values are there; None: all.
        """
        first, last = self.fill, self.fill + len(values)
        self._x[first:last] = values
        whole = 0 if self._stepwise else len(values)
        if sound is not None and whole:
            whole = int(np.argmin(sound.all(axis=1)))
        if whole:
            self._accumulate(first, first + whole)
        if whole < len(values):
            self._stepwise = True
            self._follow(first + whole, last, None if sound is None else sound[whole:])
        self.fill = last
        return self._g[first:last]

    def mark(self, first: int, alarming: Flags, share: float) -> None:
        """Let rows in alarm, from row `first` on, count for a share only; `alarming` is (rows, elements)."""
        self._unplain()
        self._weight[first : first + len(alarming)] *= np.where(alarming, share, 1.0)

    def begin(self, length: int, count: Array) -> None:
        """Begin the next tile; `count` is how many values each element has seen (elements,)."""
        self.last[...] = self._x[self.length - 1]
        self.length = length
        self.fill = 0
        self.plain = True
        self._run[...] = count
        self._stepwise = self._fast_samples == 1 or bool((count < self._fast_samples).any())

    def forget(self, samples: float, mean: Array, held: Flags) -> None:
        """Let the fast mean return to `mean` as in a pause of so many samples, but where it is held."""
        faded = mean + (self.fast - mean) * self._keep**samples
        self.fast = np.where(held, self.fast, faded)
        if self.fill and not self._stepwise:
            self._sums[self.fill] = self.fast / self._shrunk[self.fill - 1]

    def grow(self, more: int) -> None:
        """Take more elements, behind those that are there."""
        if self.fill:
            self._unplain()
        for name in self._ARRAYS:
            old = getattr(self, name)
            setattr(self, name, np.concatenate([old, np.zeros(more)]))
        for name in self._ROWS:
            old = getattr(self, name)
            setattr(self, name, np.concatenate([old, np.zeros((len(old), more), old.dtype)], axis=1))
        self._weight[self.fill :] = 1.0
        self._valid[self.fill :] = True
        self._stepwise = True

    def save(self) -> State:
        """Return everything, as JSON values."""
        arrays = {name: frozen.pack(getattr(self, name)) for name in (*self._ARRAYS, *self._ROWS)}
        return arrays | {"fill": self.fill, "length": self.length} | {name: getattr(self, name) for name in self._FLAGS}

    def load(self, state: Any) -> None:
        """Go on where `save` was called.

        Raises:
            DetectorStateError: It is of another shape.
        """
        for name in (*self._ARRAYS, *self._ROWS):
            frozen.fill(getattr(self, name), frozen.part(state, name))
        for name in self._FLAGS:
            setattr(self, name, bool(frozen.part(state, name)))
        self.length = TILE_LONG if frozen.number(state, "length") == TILE_LONG else TILE
        self.fill = int(frozen.number(state, "fill")) % self.length

    def _accumulate(self, first: int, last: int) -> None:
        """Fill the fast means of rows that are whole: g = keep g + gain x, divided by keep^row, is a running sum."""
        sums = self._sums
        if first == 0:
            sums[0] = self.fast
        np.multiply(self._x[first:last], self._grown[first:last], out=sums[first + 1 : last + 1])
        np.add.accumulate(sums[first : last + 1], axis=0, out=sums[first : last + 1])
        np.multiply(sums[first + 1 : last + 1], self._shrunk[first:last], out=self._g[first:last])
        self.fast[...] = self._g[last - 1]

    def _follow(self, first: int, last: int, sound: Flags | None) -> None:
        """Fill the fast means step by step, where they are young, or values are missing; those change nothing.

        A young fast mean is the mean of all so far.
        """
        if sound is not None:
            self._unplain()
        g = self.fast
        before = self._x[first - 1] if first else self.last
        for row in range(first, last):
            there = None if sound is None else sound[row - first]
            x = self._x[row]
            self._run += 1.0 if there is None else there
            gain = 1.0 / np.minimum(np.maximum(self._run, 1.0), self._fast_samples)
            after = g * (1.0 - gain) + x * gain
            if there is not None:
                x[...] = np.where(there, x, before)
                before = x
                after = np.where(there, after, g)
                self._weight[row] *= there
                self._valid[row] = there
            self._g[row] = g = after
        self.fast[...] = g

    def _unplain(self) -> None:
        if self.plain:
            self.plain = False
            self._weight[...] = 1.0
            self._valid[...] = True
