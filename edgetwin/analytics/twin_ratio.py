"""Judge room: twins that should pull alike: has the ratio of left and right shifted?

In: values of paired elements, and the measured or commanded speed of each     Out: verdicts, one per pair
What the ground, the slope and the load do to both cancels out. Where speeds are given, only rows count in which
both twins run equally fast, because a turn loads them differently.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgetwin.analytics.detector import Usual
from edgetwin.analytics.frozen import Array, Flags
from edgetwin.analytics.levels import LevelDetector
from edgetwin.analytics.shift import ShiftRule

_SPEED_TOLERANCE = 0.035  # of the sum of both speeds: measured on wheel encoders, finer counts too few rows
_SPEED_FLOOR = 0.004  # [speed's unit]


class TwinRatio(LevelDetector):
    """Judges log((|left| + offset) / (|right| + offset)) of every pair.

    Attributes:
        pairs: (left, right) element numbers.
    """

    method = "twin_ratio"

    def __init__(
        self,
        elements: int,
        rule: ShiftRule,
        pairs: Sequence[tuple[int, int]],
        *,
        offset: float = 2.0,
        speeds: Sequence[tuple[int, int]] = (),
        warmup_s: float = 0.0,
    ) -> None:
        """Say who is whose twin.

        Args:
            elements: Columns of the values.
            rule: How the log ratio is judged.
            pairs: Columns of left and right; one judged thing each.
            offset: Added to both: values well below it are noise and count little. In the field's unit, above 0.
            speeds: Columns of the speeds that belong to the pairs, one couple for all or one per pair; none: every
                row counts.
            warmup_s: Nothing is judged before so much time has passed.
        """
        super().__init__(elements, len(pairs), rule, warmup_s)
        self.pairs = tuple(pairs)
        self._left, self._right = (np.array(side, dtype=np.intp) for side in zip(*pairs, strict=True))
        self._offset = offset
        self._speeds = None if not speeds else tuple(
            np.array(side, dtype=np.intp) for side in zip(*speeds, strict=True)
        )  # fmt: skip

    def name(self, index: int, labels: tuple[str, ...]) -> str:
        """Return "left/right"."""
        left, right = self.pairs[index]
        return f"{labels[left]}/{labels[right]}"

    def usual(self, index: int, values: Array) -> Usual:
        """Return the ratio left : right, its usual value and how far it usually strays from it."""
        left, right = self.pairs[index]
        ratio = (abs(float(values[left])) + self._offset) / (abs(float(values[right])) + self._offset)
        mean, scale = self.shift.usual(index)
        usual = float(np.exp(mean))
        return Usual(ratio, usual, usual * float(np.expm1(min(scale, 10.0))))

    def _signal(self, values: Array, valid: Flags | None) -> tuple[Array, Flags | None]:
        left, right = np.abs(values[:, self._left]), np.abs(values[:, self._right])
        ratios = np.log((left + self._offset) / (right + self._offset))
        sound = None if valid is None else valid[:, self._left] & valid[:, self._right]
        if self._speeds is None:
            return ratios, sound
        one, other = np.abs(values[:, self._speeds[0]]), np.abs(values[:, self._speeds[1]])
        alike = np.abs(one - other) <= _SPEED_TOLERANCE * (one + other) + _SPEED_FLOOR
        if valid is not None:
            alike &= valid[:, self._speeds[0]] & valid[:, self._speeds[1]]
        alike = np.broadcast_to(alike, ratios.shape)
        return ratios, alike if sound is None else alike & sound
