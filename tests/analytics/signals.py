"""Detectors of every method, and signals to judge: what the generic tests run on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgetwin.analytics.detector import Detector, Verdicts
from edgetwin.analytics.frozen import Array
from edgetwin.analytics.methods import Method, Wish, build

ELEMENTS = 4
PERIOD_S = 0.1
WISHES: dict[Method, Wish] = {
    Method.ROBUST_Z: Wish(Method.ROBUST_Z, warmup_s=10.0),
    Method.RESIDUAL: Wish(Method.RESIDUAL, warmup_s=10.0),
    Method.TWIN_RATIO: Wish(Method.TWIN_RATIO, warmup_s=10.0, pairs=((0, 1),), speeds=((2, 3),)),
    Method.CONDITIONED: Wish(Method.CONDITIONED, warmup_s=10.0, motion=2),
    Method.T_SQUARED: Wish(Method.T_SQUARED, warmup_s=10.0),
    Method.LIMITS: Wish(Method.LIMITS, low=-20.0, high=20.0, hysteresis=1.0, warmup_s=1.0),
    Method.SPECTRAL: Wish(Method.SPECTRAL, warmup_s=10.0, window_samples=32, memory_samples=64),
}


def detector(method: Method) -> Detector:
    """Return a new one over four elements."""
    return build(WISHES[method], ELEMENTS)


def times(rows: int, start_s: float = 0.0) -> Array:
    """Return steady times."""
    return start_s + PERIOD_S * np.arange(rows, dtype=np.float64)


def usual(rows: int, seed: int = 1) -> Array:
    """Return a robot that drives: two motor currents, two wheel speeds, all noisy."""
    noise = np.random.default_rng(seed).normal(size=(rows, ELEMENTS))
    speed = 0.5 + 0.2 * np.sin(np.arange(rows) / 40.0)
    return np.stack(
        [
            6.0 + 4.0 * speed + 0.5 * noise[:, 0],
            6.0 + 4.0 * speed + 0.5 * noise[:, 1],
            speed + 0.002 * noise[:, 2],
            speed + 0.002 * noise[:, 3],
        ],
        axis=1,
    )


def faulty(rows: int, at: int, seed: int = 1) -> Array:
    """Return the same robot, its left motor drawing 25 A more from row `at` on, and trembling."""
    values = usual(rows, seed)
    tremble = np.random.default_rng(seed + 1).normal(size=rows - at)
    values[at:, 0] += 25.0 + 20.0 * tremble
    return values


@dataclass(frozen=True, slots=True)
class Odd:
    """A signal that is not nice."""

    name: str
    make: Callable[[], tuple[Array, Array]]  # (values, times)


def _holed(value: float) -> Callable[[], tuple[Array, Array]]:
    def make() -> tuple[Array, Array]:
        values = usual(600)
        values[::7, 0] = value
        values[250:300, 2] = value
        values[400] = value
        return values, times(600)

    return make


def _constant() -> tuple[Array, Array]:
    return np.full((600, ELEMENTS), 3.0), times(600)


def _pauses() -> tuple[Array, Array]:
    at = times(600)
    at[300:] += 30.0
    at[450:] += 86_400.0
    return usual(600), at


def _backward() -> tuple[Array, Array]:
    at = times(600)
    at[200] -= 0.5
    at[300:] -= 1000.0
    at[400], at[401] = np.nan, np.inf
    return usual(600), at


def _frozen_clock() -> tuple[Array, Array]:
    return usual(600), np.full(600, 5.0)


def _first_time_wrong() -> tuple[Array, Array]:
    at = times(600)
    at[0] = 1e9
    return usual(600), at


def _huge() -> tuple[Array, Array]:
    values = usual(600)
    values[300] = 1e149
    values[310] = -1e149
    values[320] = 1e308
    values[500:, 1] = 1e80
    return values, times(600)


ODD = [
    Odd("nan", _holed(float("nan"))),
    Odd("inf", _holed(float("inf"))),
    Odd("minus_inf", _holed(float("-inf"))),
    Odd("constant", _constant),
    Odd("pauses", _pauses),
    Odd("backward", _backward),
    Odd("frozen_clock", _frozen_clock),
    Odd("first_time_wrong", _first_time_wrong),
    Odd("huge", _huge),
    Odd("usual", lambda: (usual(600), times(600))),
    Odd("faulty", lambda: (faulty(900, 600), times(900))),
]


def in_blocks(one: Detector, values: Array, at: Array, lengths: list[int]) -> Verdicts:
    """Judge the rows in blocks of these lengths, again and again."""
    found: list[Verdicts] = []
    start = turn = 0
    while start < len(values):
        stop = start + lengths[turn % len(lengths)]
        found.append(one.judge(values[start:stop], at[start:stop]))
        start, turn = stop, turn + 1
    return Verdicts(np.concatenate([one.scores for one in found]), np.concatenate([one.alarms for one in found]))


def same(one: Verdicts, other: Verdicts) -> bool:
    """Whether two verdicts are the same to the last bit."""
    return np.array_equal(one.scores, other.scores, equal_nan=True) and np.array_equal(one.alarms, other.alarms)
