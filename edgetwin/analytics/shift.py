"""Judge room: has the level of a signal left its own usual wander? The core that most detectors share.

In: rows of values, elements as columns     Out: scores and alarms, per row and element
Pure. Memory is bounded: a tile of rows, and a few numbers per element.

A fast mean follows the signal; the score is its distance from a slow mean, in units of how far the fast
mean usually strays. Every row is scored; learning goes by tiles of 16 rows, later of 64, so that a call may
bring one row or a thousand, the answers are the same to the last bit, and a row costs a microsecond.

| guard                | how |
|----------------------|-----|
| outliers             | what is learned is clipped to a multiple of the usual spread |
| a lasting alarm      | learns ten times more slowly; when it lasts a whole memory, the new level is the usual one |
| a drifting signal    | a slow wander has been seen only a few times in the memory, so its extent is little known:
                         the scale widens with correlation time / memory, as Student's t does with few samples |
| a signal that stands | the scale has a floor |
| a lone huge value    | the fast mean is cut back after each tile: an alarm ends soon after its cause |
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from edgetwin.analytics import frozen
from edgetwin.analytics.frozen import Array, Flags, State
from edgetwin.analytics.tile import TILE, TILE_LONG, Tile

_LONG_AFTER = 4096  # rows
_LONG_MEMORY_MIN = 512

_CLIP = 10.0  # usual spreads beyond which a value teaches no more
_CAP = 2.0  # thresholds beyond which the fast mean is cut back
_WANDER_MIN = 0.2  # of the usual spread: less is luck
_ALARM_WEIGHT = 0.1  # of a row in alarm, when learning
_FLAT = 1e-3  # squared share of step in spread below which a signal counts as standing still
_RELATIVE_FLOOR = 1e-4  # of the level: finer than that no robot's sensor is
_ABSOLUTE_FLOOR = 1e-9


@dataclass(frozen=True, slots=True)
class ShiftRule:
    """How a level is judged.

    Attributes:
        threshold: Score at which an element begins to alarm.
        memory_samples: Length of the slow mean and of the scale.
        fast_samples: Length of the fast mean; longer sees smaller shifts, later.
        warmup_samples: An element is not judged before it has been learned from this many.
        looks: Weight of the widening for drifting signals; 0 switches it off.
        clear_ratio: Share of the threshold below which the alarm ends.
        gain: Factor on the score, so that 6 means the same for every method.
        rises_only: Only a rise counts, not a fall.
        clamp: Values further than this from the usual level count as this far; infinite: all count in full.
        scale_min: Spread that is never undercut, in the signal's unit.
    """

    threshold: float = 6.0
    memory_samples: int = 600
    fast_samples: int = 10
    warmup_samples: int = 250
    looks: float = 24.0
    clear_ratio: float = 0.5
    gain: float = 1.0
    rises_only: bool = False
    clamp: float = math.inf
    scale_min: float = 0.0


class Shift:
    """The level of every column.

    Attributes:
        mean: Usual level (elements,); 0 before anything is known.
        spread: Usual distance of one value from it, mean of |x - mean| (elements,).
        alarming: Which elements are in alarm after the last row (elements,).
        judged: Which are judged at all, that is, not warming up (elements,).
        open: The warm-up in seconds is over; False: nothing is judged.
        directions: 1 or -1 for every score of the last call, above or below; kept only with `tells_direction`.
    """

    _ARRAYS = ("mean", "spread", "alarming", "judged", "_step", "_wander", "_count", "_age")
    _FLAGS = ("open", "_calm", "_alarmed", "_all_judged")

    def __init__(self, elements: int, rule: ShiftRule) -> None:
        self.rule = rule
        self.open = True
        self.mean = np.zeros(elements)
        self.spread = np.zeros(elements)
        self.alarming: Flags = np.zeros(elements, np.bool_)
        self.judged: Flags = np.zeros(elements, np.bool_)
        self.tells_direction = False
        self.directions = np.zeros((0, elements))
        self._step = np.zeros(elements)  # usual |x - the one before|
        self._wander = np.zeros(elements)  # usual distance of the fast mean
        self._count = np.zeros(elements)  # rows learned from
        self._age = np.zeros(elements)  # rows in alarm
        self._tile = Tile(elements, rule.fast_samples)
        self._calm = True  # nothing was in alarm after the last tile
        self._alarmed = False  # something is
        self._all_judged = False
        self._weigh()

    def advance(self, values: Array, valid: Flags | None = None) -> tuple[Array, Flags]:
        """Score every row, then learn.

        Args:
            values: (rows, elements); not changed. What is not valid may be anything finite.
            valid: (rows, elements); None: all are.

        Returns:
            Scores, NaN where there is no judgement (warming up, not valid), and alarms, both like `values`.
        """
        scores = np.empty(values.shape)
        alarms = np.zeros(values.shape, np.bool_)
        if self.tells_direction:
            self.directions = np.empty(values.shape)
        start = 0
        while start < len(values):
            first = self._tile.fill
            part = slice(start, min(len(values), start + self._tile.length - first))
            sound = None if valid is None else valid[part]
            if sound is not None and sound.all():
                sound = None
            self._score(values[part], sound, scores[part])
            if self.tells_direction:
                self.directions[part] = np.where(self._tile.g[first : self._tile.fill] < self.mean, -1, 1)
            self._judge(scores[part], alarms[part], first)
            if self._tile.full:
                self._learn()
            start = part.stop
        return scores, alarms

    def forget(self, samples: float) -> None:
        """Bridge a pause of so many samples: the fast mean returns to the slow one, the slow one stays.

        Nothing says that an alarm has ended meanwhile, so where there is one, the fast mean stays too.
        """
        self._tile.forget(samples, self.mean, self.alarming)

    def usual(self, element: int) -> tuple[float, float]:
        """Return (mean, standard deviation) of what is usual for an element, in the signal's unit."""
        return float(self.mean[element]), float(self.spread[element]) * 1.2533  # of a normal distribution

    def grow(self, elements: int) -> None:
        """Take more elements, behind those that are there; they begin from nothing."""
        more = elements - len(self.mean)
        for name in self._ARRAYS:
            old = getattr(self, name)
            setattr(self, name, np.concatenate([old, np.zeros(more, old.dtype)]))
        self._tile.grow(more)
        self._all_judged = False
        self._weigh()

    def save(self) -> State:
        """Return everything, as JSON values."""
        arrays = {name: frozen.pack(getattr(self, name)) for name in self._ARRAYS}
        return arrays | {name: getattr(self, name) for name in self._FLAGS} | {"tile": self._tile.save()}

    def load(self, state: State) -> None:
        """Go on where `save` was called.

        Raises:
            DetectorStateError: It is of another shape.
        """
        for name in self._ARRAYS:
            frozen.fill(getattr(self, name), frozen.part(state, name))
        for name in self._FLAGS:
            setattr(self, name, bool(frozen.part(state, name)))
        self._tile.load(frozen.part(state, "tile"))
        self._weigh()

    def _score(self, values: Array, sound: Flags | None, scores: Array) -> None:
        if self._clamped:
            values = np.clip(values, self._low, self._high)
        np.subtract(self._tile.put(values, sound), self.mean, out=scores)
        if not self.rule.rises_only:
            np.abs(scores, out=scores)
        scores *= self._inverse
        if sound is not None:
            scores[~sound] = np.nan

    def _judge(self, scores: Array, alarms: Flags, first: int) -> None:
        """Tell who alarms, with hysteresis; a missing score changes nothing."""
        if not self._alarmed and not np.fmax.reduce(scores, axis=None) > self.rule.threshold:
            return
        above = scores > self.rule.threshold
        below = scores < self.rule.threshold * self.rule.clear_ratio
        state = self.alarming
        for row in range(len(scores)):
            state = above[row] | (state & ~below[row])
            alarms[row] = state
        self._tile.mark(first, alarms, _ALARM_WEIGHT)
        self.alarming = state.copy()
        self._alarmed = bool(state.any())

    def _learn(self) -> None:
        """Take a full tile in."""
        tile = self._tile
        fresh = self._count == 0
        if fresh.any():
            self._begin(fresh)
        x = tile.x
        away = x - self.mean
        limit = _CLIP * self._floored
        np.minimum(np.maximum(away, -limit, out=away), limit, out=away)  # twice as fast as clip
        strayed = np.minimum(np.abs(tile.g - self.mean), _CLIP * self._base)
        steps = np.empty_like(away)
        np.subtract(x[0], tile.last, out=steps[0])
        np.subtract(x[1:], x[:-1], out=steps[1:])
        np.abs(steps, out=steps)
        np.minimum(steps, limit, out=steps)
        rows: Array | float = float(tile.length)
        weights: Array | float = float(tile.length)
        if not tile.plain:
            weights = tile.weight.sum(axis=0)
            rows = tile.valid.sum(axis=0, dtype=np.float64)
            away *= tile.weight
            strayed *= tile.weight
            steps *= tile.weight
        share = 1.0 / np.maximum(weights, _ABSOLUTE_FLOOR)
        self._count += rows
        rate = weights / np.minimum(np.maximum(self._count, 1.0), self.rule.memory_samples)
        self.mean = self.mean + rate * (np.add.reduce(away, axis=0) * share)
        self.spread += rate * (np.add.reduce(np.abs(away, out=away), axis=0) * share - self.spread)
        self._step += rate * (np.add.reduce(steps, axis=0) * share - self._step)
        self._wander += rate * (np.add.reduce(strayed, axis=0) * share - self._wander)
        self._end_tile()

    def _begin(self, fresh: Flags) -> None:
        """Let elements that nothing is known of start from this tile alone."""
        x = self._tile.x
        weight = np.ones(x.shape, np.bool_) if self._tile.plain else self._tile.valid
        rows = weight.sum(axis=0, dtype=np.float64)
        known = fresh & (rows > 0)
        share = 1.0 / np.maximum(rows, 1.0)
        mean = (x * weight).sum(axis=0) * share
        spread = (np.abs(x - mean) * weight).sum(axis=0) * share
        self.mean = np.where(known, mean, self.mean)
        self.spread = np.where(known, spread, self.spread)
        self._step = np.where(known, spread, self._step)
        self._tile.last = np.where(known, x[0], self._tile.last)
        self._weigh()

    def _end_tile(self) -> None:
        rule, tile = self.rule, self._tile
        if not (tile.plain and self._calm):
            self._settle()
        if not self._all_judged:
            self.judged = (self._count >= min(rule.warmup_samples, rule.memory_samples)) & self.open
            self._all_judged = bool(self.judged.all())
        self._weigh()
        cap = self._scale * (_CAP * rule.threshold / rule.gain)
        if not self._all_judged:
            cap = np.where(self.judged, cap, np.inf)
        tile.fast = np.minimum(np.maximum(tile.fast, self.mean - cap), self.mean + cap)
        long = tile.length == TILE_LONG and self._calm
        if not long and rule.memory_samples >= _LONG_MEMORY_MIN:
            long = bool((self._count >= _LONG_AFTER).all())
        tile.begin(TILE_LONG if long else TILE, self._count)

    def _settle(self) -> None:
        """Take what was in alarm for a whole memory for the usual state, and learn it anew."""
        self._age = np.where(self.alarming, self._age + self._tile.length, 0.0)
        settled = self._age > self.rule.memory_samples
        if settled.any():
            self.alarming &= ~settled
            self._alarmed = bool(self.alarming.any())
            self._count = np.where(settled, 0.0, self._count)
            self._age = np.where(settled, 0.0, self._age)
            self._all_judged = False
        self._calm = not self._alarmed

    def _weigh(self) -> None:
        """Work out what only changes between tiles."""
        rule = self.rule
        level = np.abs(self.mean)
        self._floored = self.spread + (max(rule.scale_min, _ABSOLUTE_FLOOR) + _RELATIVE_FLOOR * level)
        self._base = np.maximum(self._wander + (self._floored - self.spread), _WANDER_MIN * self._floored)
        steadiness = np.minimum(1.0, (self._step / self._floored) ** 2 / 2.0) + _FLAT
        seen = np.minimum(np.maximum(self._count, 1.0), rule.memory_samples)
        self._scale = self._base * (1.0 + rule.looks / (steadiness * seen))
        self._inverse = rule.gain / self._scale
        if not self._all_judged:
            self._inverse = np.where(self.judged, self._inverse, np.nan)
        self._clamped = math.isfinite(rule.clamp)
        if self._clamped:
            known = self._count > 0
            self._low = np.where(known, self.mean - rule.clamp, -np.inf)
            self._high = np.where(known, self.mean + rule.clamp, np.inf)
