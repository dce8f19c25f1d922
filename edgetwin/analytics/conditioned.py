"""Judge room: a load given the motion: is it what this motion usually costs?

In: values, and the commanded or measured motion of the same moment     Out: verdicts, one per element
A regression learns what each element usually is at a given motion, recursively and for all elements at once;
what is left over is judged by `shift`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgetwin.analytics import frozen
from edgetwin.analytics.detector import Usual, Verdicts
from edgetwin.analytics.frozen import Array, Flags, State
from edgetwin.analytics.levels import LevelDetector
from edgetwin.analytics.shift import ShiftRule
from edgetwin.analytics.tile import TILE

_RIDGE = 1e-3  # of the usual size of a term: keeps what never varied at weight 0


class Conditioned(LevelDetector):
    """Judges value - prediction; terms are 1 and, for every motion column v, v, |v| and its change.

    Recursive least squares in information form, one lesson per tile of rows, with exponential forgetting. While an
    element is in alarm its regression rests, so that a fault is not learned.
    """

    method = "conditioned"

    def __init__(self, elements: int, rule: ShiftRule, motion: int, warmup_s: float = 0.0) -> None:
        """Say what is motion.

        Args:
            elements: Columns of the values; the last `motion` of them are motion and are not judged themselves.
            rule: How the residual is judged.
            motion: Number of motion columns, at least 1.
            warmup_s: Nothing is judged before so much time has passed.
        """
        loads = elements - motion
        super().__init__(elements, loads, rule, warmup_s)
        self._loads = loads
        terms = 1 + 3 * motion
        self._weights = np.zeros((terms, loads))
        self._squares = np.zeros((loads, terms, terms))  # information, per element: elements rest and miss rows alone
        self._products = np.zeros((loads, terms))
        self._before = np.full(motion, np.nan)  # motion of the row before
        self._tile_terms = np.zeros((TILE, terms))
        self._tile_loads = np.zeros((TILE, loads))
        self._tile_valid: Flags = np.ones((TILE, loads), np.bool_)
        self._filled = 0

    def usual(self, index: int, values: Array) -> Usual:
        """Return the value, what this motion usually costs, and how far that is usually off."""
        known = np.where(np.isfinite(self._before), self._before, 0.0)
        expected = float(self._terms(values[np.newaxis, self._loads :], known)[0] @ self._weights[:, index])
        mean, scale = self.shift.usual(index)
        return Usual(float(values[index]), expected + mean, scale)

    def _judge(self, values: Array, valid: Flags | None) -> Verdicts:
        scores, alarms = np.empty((len(values), self._loads)), np.empty((len(values), self._loads), np.bool_)
        start = 0
        while start < len(values):
            stop = min(len(values), start + TILE - self._filled)
            part = slice(start, stop)
            residuals, sound = self._signal(values[part], None if valid is None else valid[part])
            scores[part], alarms[part] = self.shift.advance(residuals, sound)
            if self._filled == TILE:
                self._regress()
            start = stop
        return Verdicts(scores, alarms)

    def _signal(self, values: Array, valid: Flags | None) -> tuple[Array, Flags | None]:
        """Return the residuals of rows of one tile."""
        loads, motion = values[:, : self._loads], values[:, self._loads :]
        sound = None if valid is None else valid[:, : self._loads] & valid[:, self._loads :].all(axis=1, keepdims=True)
        if np.isnan(self._before[0]):
            self._before = motion[0].copy()
        terms = self._terms(motion, self._before)
        self._before = motion[-1].copy()
        residuals = np.empty(loads.shape)
        for row in range(len(values)):  # row by row, so that blocks of any length give the same bits
            residuals[row] = loads[row] - terms[row].dot(self._weights)
        place = slice(self._filled, self._filled + len(values))
        self._tile_terms[place] = terms
        self._tile_loads[place] = loads
        self._tile_valid[place] = True if sound is None else sound
        self._filled += len(values)
        return residuals, sound

    @staticmethod
    def _terms(motion: Array, before: Array) -> Array:
        changes = np.diff(motion, axis=0, prepend=before[np.newaxis, :])
        return np.hstack([np.ones((len(motion), 1)), motion, np.abs(motion), changes])

    def _regress(self) -> None:
        """Take a full tile in."""
        self._filled = 0
        keep = 1.0 - TILE / self.shift.rule.memory_samples
        weight = self._tile_valid & ~self.shift.alarming
        rests: Flags = np.logical_not(weight.any(axis=0))
        weighed = self._tile_terms[:, :, np.newaxis] * weight[:, np.newaxis, :]  # (rows, terms, loads)
        squares = np.einsum("rtl,ru->ltu", weighed, self._tile_terms)
        products = np.einsum("rtl,rl->lt", weighed, self._tile_loads)
        self._squares = np.where(rests[:, np.newaxis, np.newaxis], self._squares, keep * self._squares + squares)
        self._products = np.where(rests[:, np.newaxis], self._products, keep * self._products + products)
        sizes = np.einsum("ltt->lt", self._squares)
        ridge = _RIDGE * np.maximum(sizes.max(axis=1, keepdims=True) * 1e-3, sizes) + 1e-12
        steady = self._squares + ridge[:, :, np.newaxis] * np.eye(sizes.shape[1])
        self._weights = np.linalg.solve(steady, self._products[:, :, np.newaxis])[:, :, 0].T.copy()

    def _save(self) -> State:
        return {name: frozen.pack(getattr(self, name)) for name in self._KEPT} | {
            "filled": self._filled,
            "shift": self.shift.save(),
        }

    def _load(self, known: Any) -> None:
        for name in self._KEPT:
            frozen.fill(getattr(self, name), frozen.part(known, name))
        self._filled = int(frozen.number(known, "filled")) % TILE
        self.shift.load(frozen.part(known, "shift"))

    _KEPT = ("_weights", "_squares", "_products", "_before", "_tile_terms", "_tile_loads", "_tile_valid")
