"""Judge room: the methods by name, with the defaults that measurement gave them (docs/detectors.md).

In: a method and what its user chose     Out: a detector, and how its alerts live
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType

from edgetwin.analytics.alerts import AlertRule
from edgetwin.analytics.conditioned import Conditioned
from edgetwin.analytics.detector import Detector
from edgetwin.analytics.levels import Residual, RobustZ
from edgetwin.analytics.limits import Limits
from edgetwin.analytics.shift import ShiftRule
from edgetwin.analytics.spectral import Spectral
from edgetwin.analytics.t_squared import TSquared
from edgetwin.analytics.twin_ratio import TwinRatio

THRESHOLD = 6.0
WARMUP_S = 10.0
_WARMUP_SAMPLES_MIN = 32  # one lesson: before that there is nothing to hold a value against


class Method(StrEnum):
    """What can be configured."""

    ROBUST_Z = "robust_z"
    RESIDUAL = "residual"
    TWIN_RATIO = "twin_ratio"
    CONDITIONED = "conditioned"
    T_SQUARED = "t_squared"
    LIMITS = "limits"
    SPECTRAL = "spectral"


@dataclass(frozen=True, slots=True)
class Wish:
    """A detector as its user wants it; None: as measured best.

    Attributes:
        method: Which.
        threshold: Score from which on it alarms.
        warmup_s: Time before anything is judged [s].
        memory_samples: Length of the slow mean.
        fast_samples: Length of the fast mean.
        scale_min: Spread that is never undercut, in the field's unit.
        pairs: Column numbers of twins.
        speeds: Column numbers of their speeds.
        motion: How many of the last columns are motion, for `conditioned`.
        offset: For `twin_ratio`, in the field's unit.
        low: For `limits`.
        high: For `limits`.
        hysteresis: For `limits`.
        window_samples: For `spectral`.
        bands_hz: For `spectral`.
    """

    method: Method
    threshold: float = THRESHOLD
    warmup_s: float | None = None
    memory_samples: int | None = None
    fast_samples: int | None = None
    scale_min: float = 0.0
    pairs: Sequence[tuple[int, int]] = ()
    speeds: Sequence[tuple[int, int]] = ()
    motion: int = 0
    offset: float = 2.0
    low: float = float("-inf")
    high: float = float("inf")
    hysteresis: float = 0.0
    window_samples: int = 256
    bands_hz: Sequence[tuple[float, float]] = ()


RULES: Mapping[Method, ShiftRule] = MappingProxyType(
    {
        Method.ROBUST_Z: ShiftRule(),
        Method.RESIDUAL: ShiftRule(memory_samples=1200, fast_samples=6, looks=8.0, gain=1.15),
        Method.TWIN_RATIO: ShiftRule(
            memory_samples=1000, fast_samples=50, looks=0.0, gain=2.0, clamp=0.8, warmup_samples=80
        ),
        Method.CONDITIONED: ShiftRule(),
        Method.T_SQUARED: ShiftRule(gain=0.75),
        Method.SPECTRAL: ShiftRule(memory_samples=200, fast_samples=3, looks=8.0, warmup_samples=48),
    }
)
PREDICTION_SAMPLES = 32
RESIDUAL_COOLDOWN_SAMPLES = 200


def build(wish: Wish, elements: int) -> Detector:
    """Return the detector for rows of `elements` columns.

    Raises:
        ValueError: The method cannot do it with these columns; the text says why.
    """
    return _BUILDERS[wish.method](wish, elements)


def alert_rule(wish: Wish, rule: AlertRule) -> AlertRule:
    """Return how the alerts of the detector live: `residual` has a longer cool-down, because onsets are its matter."""
    if wish.method is Method.RESIDUAL:
        return replace(rule, cooldown_samples=max(rule.cooldown_samples, RESIDUAL_COOLDOWN_SAMPLES))
    return rule


def shift_rule(wish: Wish) -> ShiftRule:
    """Return the rule of a method with what its user chose.

    A warm-up in seconds that the user set is the only one; else 10 s and a number of samples must have passed.
    """
    rule = replace(RULES[wish.method], threshold=wish.threshold, scale_min=wish.scale_min)
    if wish.memory_samples is not None:
        rule = replace(rule, memory_samples=wish.memory_samples)
    if wish.fast_samples is not None:
        rule = replace(rule, fast_samples=wish.fast_samples)
    if wish.warmup_s is not None:
        rule = replace(rule, warmup_samples=_WARMUP_SAMPLES_MIN)
    return rule


def _warmup_s(wish: Wish) -> float:
    return WARMUP_S if wish.warmup_s is None else wish.warmup_s


def _robust_z(wish: Wish, elements: int) -> Detector:
    return RobustZ(elements, shift_rule(wish), _warmup_s(wish))


def _residual(wish: Wish, elements: int) -> Detector:
    return Residual(elements, shift_rule(wish), PREDICTION_SAMPLES, _warmup_s(wish))


def _twin_ratio(wish: Wish, elements: int) -> Detector:
    if not wish.pairs:
        msg = "twin_ratio needs at least one pair of elements"
        raise ValueError(msg)
    return TwinRatio(
        elements, shift_rule(wish), wish.pairs, offset=wish.offset, speeds=wish.speeds, warmup_s=_warmup_s(wish)
    )


def _conditioned(wish: Wish, elements: int) -> Detector:
    if not 0 < wish.motion < elements:
        msg = "conditioned needs at least one column of motion, and one that is none"
        raise ValueError(msg)
    return Conditioned(elements, shift_rule(wish), wish.motion, _warmup_s(wish))


def _t_squared(wish: Wish, elements: int) -> Detector:
    return TSquared(elements, shift_rule(wish), _warmup_s(wish))


def _limits(wish: Wish, elements: int) -> Detector:
    return Limits(
        elements,
        low=wish.low,
        high=wish.high,
        hysteresis=wish.hysteresis,
        threshold=wish.threshold,
        warmup_s=wish.warmup_s or 0.0,
    )


def _spectral(wish: Wish, elements: int) -> Detector:
    return Spectral(
        elements,
        shift_rule(wish),
        window_samples=wish.window_samples,
        bands_hz=wish.bands_hz,
        warmup_s=_warmup_s(wish),
    )


_BUILDERS: Mapping[Method, Callable[[Wish, int], Detector]] = MappingProxyType(
    {
        Method.ROBUST_Z: _robust_z,
        Method.RESIDUAL: _residual,
        Method.TWIN_RATIO: _twin_ratio,
        Method.CONDITIONED: _conditioned,
        Method.T_SQUARED: _t_squared,
        Method.LIMITS: _limits,
        Method.SPECTRAL: _spectral,
    }
)
