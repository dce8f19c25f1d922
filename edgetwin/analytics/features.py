"""Judge room: the closed vocabulary of features: what a model may ask for, by name.

In: names such as `current.mean` or `ratio:vibration.rms`     Out: Feature.
Pure. It computes nothing: analytics.window does, analytics.healthy divides.

    feature  = [ "ratio:" ] base
    base     = source "." statistic | "runtime.hours"
    ratio:   = the base feature / what it was in this machine's own healthy period
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

FEATURES_MAX = 256
RATIO = "ratio:"
RUNTIME = "runtime"
RUNTIME_HOURS = "runtime.hours"
_BASE = re.compile(r"([a-z][a-z0-9_]{0,31})\.([a-z][a-z0-9_]{0,31})")
_BAND = re.compile(r"band_([0-9]{1,7})_([0-9]{1,7})")


class Statistic(StrEnum):
    """What a window is reduced to."""

    MEAN = "mean"
    STD = "std"  # about the mean, of the population: the level of a vibration without its constant part
    RMS = "rms"  # about zero: of an acceleration with gravity in it, std says more
    ABS_MEAN = "abs_mean"
    MIN = "min"
    MAX = "max"
    PEAK = "peak"  # largest magnitude
    LAST = "last"
    BAND = "band"  # band_LOW_HIGH: RMS of what lies between two frequencies [Hz]


@dataclass(frozen=True, slots=True)
class Feature:
    """One number about one window.

    Attributes:
        name: As the model calls it.
        base: The same without `ratio:`.
        source: The quantity it is made of; "runtime" for `runtime.hours`.
        statistic: What the window is reduced to; LAST for `runtime.hours`.
        band_hz: The band of a BAND feature.
        is_ratio: Whether it is divided by the healthy value.
    """

    name: str
    base: str
    source: str
    statistic: Statistic
    band_hz: tuple[float, float] | None = None
    is_ratio: bool = False


def parse(name: str) -> Feature:
    """Return the feature of that name.

    Raises:
        ValueError: The name is not in the vocabulary; the text says what is.
    """
    base = name.removeprefix(RATIO)
    is_ratio = base != name
    if base == RUNTIME_HOURS:
        if is_ratio:
            msg = f"{name!r}: hours have no healthy value to be divided by; use {RUNTIME_HOURS}"
            raise ValueError(msg)
        return Feature(name, base, RUNTIME, Statistic.LAST)
    found = _BASE.fullmatch(base)
    if found is None or found[1] == RUNTIME:
        msg = f"{name!r} is not SOURCE.STATISTIC, such as current.mean, nor {RUNTIME_HOURS}"
        raise ValueError(msg)
    source, word = found.groups()
    band = _BAND.fullmatch(word)
    if band is not None:
        low_hz, high_hz = float(band[1]), float(band[2])
        if not low_hz < high_hz:
            msg = f"{name!r}: the band ends at {band[2]} Hz, before it begins"
            raise ValueError(msg)
        return Feature(name, base, source, Statistic.BAND, (low_hz, high_hz), is_ratio)
    if word == Statistic.BAND or word not in set(Statistic):
        known = ", ".join(one for one in Statistic if one is not Statistic.BAND)
        msg = f"{name!r}: there is no statistic {word}; there are {known} and band_LOW_HIGH"
        raise ValueError(msg)
    return Feature(name, base, source, Statistic(word), None, is_ratio)


def parse_all(names: Sequence[str]) -> tuple[Feature, ...]:
    """Return the features of these names, in that order.

    Raises:
        ValueError: One is not in the vocabulary or stands twice, or there are none or more than FEATURES_MAX.
    """
    if not 1 <= len(names) <= FEATURES_MAX:
        msg = f"{len(names)} features; a model has 1 to {FEATURES_MAX}"
        raise ValueError(msg)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        msg = f"{twice!r} stands twice"
        raise ValueError(msg)
    return tuple(map(parse, names))


def bases(features: Iterable[Feature]) -> tuple[Feature, ...]:
    """Return what has to be measured for `features`: each base once, in order, without ratios."""
    return tuple(parse(base) for base in dict.fromkeys(feature.base for feature in features))


def sources(features: Iterable[Feature]) -> tuple[str, ...]:
    """Return the sources that must be there, each once, in order; the runtime is always there."""
    return tuple(dict.fromkeys(one.source for one in features if one.source != RUNTIME))
