"""Floor: the settings of one detector, `[anomaly.<name>]`.

In: plain values     Out: AnomalySettings, or pydantic's ValidationError.
Pure. Whether the channel and its fields exist is for the roof to say. A field that is judged by another one is
declared after it.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from edgetwin.settings.values import FieldPath, Section, refusal

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NUMBER = r"(\d+(?:\.\d+)?)"
_BAND = re.compile(f"{_NUMBER}-{_NUMBER}")


class MethodName(StrEnum):
    """How a detector judges; `docs/detectors.md` says which is good for what."""

    ROBUST_Z = "robust_z"
    RESIDUAL = "residual"
    TWIN_RATIO = "twin_ratio"
    CONDITIONED = "conditioned"
    T_SQUARED = "t_squared"
    LIMITS = "limits"
    SPECTRAL = "spectral"


_LEARNS = frozenset(MethodName) - {MethodName.LIMITS}
_OF_METHODS = {  # keys that mean something to some methods alone
    "memory_samples": _LEARNS,
    "fast_samples": _LEARNS,
    "scale_min": _LEARNS,
    "motion": {MethodName.CONDITIONED, MethodName.TWIN_RATIO},
    "motion_channel": {MethodName.CONDITIONED},
    "pairs": {MethodName.TWIN_RATIO},
    "offset": {MethodName.TWIN_RATIO},
    "low": {MethodName.LIMITS},
    "high": {MethodName.LIMITS},
    "hysteresis": {MethodName.LIMITS},
    "window_samples": {MethodName.SPECTRAL},
    "bands_hz": {MethodName.SPECTRAL},
}


def _check_name(name: str) -> str:
    if _NAME.fullmatch(name) is None:
        what = "is not the name of a detector"
        raise refusal(what, "use 1 to 64 letters, digits, _ and -")
    return name


def _check_pair(pair: str) -> str:
    left, _, right = pair.partition("/")
    if not left or not right or "/" in right or left == right:
        what = "is not a pair of twins"
        raise refusal(what, 'write both elements with a slash between them, such as "wheel_left/wheel_right"')
    return pair


def _check_band(band: str) -> str:
    found = _BAND.fullmatch(band)
    if found is None or not float(found[1]) < float(found[2]):
        what = "is not a band of frequencies"
        raise refusal(what, 'write the lower and the upper edge in Hz, such as "10-50"')
    return band


DetectorName = Annotated[str, AfterValidator(_check_name)]
Pair = Annotated[str, AfterValidator(_check_pair)]
Band = Annotated[str, AfterValidator(_check_band)]


class AnomalySettings(Section):
    """One detector on one field of one channel; every element of the field is judged by itself."""

    channel: str = Field(
        min_length=1,
        max_length=64,
        description="Name of a channel of [channels]; every message is judged, also those that are held back.",
        examples=["joint_states"],
    )
    field: FieldPath = Field(
        description="Path of the number or array in its messages that is judged.",
        examples=["effort"],
    )
    label: FieldPath | None = Field(
        default=None,
        description="Path of the texts that name the elements, so that no order mixes them; absent, their index does.",
        examples=["name"],
    )
    method: MethodName = Field(
        default=MethodName.ROBUST_Z,
        strict=False,
        description="How it is judged; a method that does not fit the signal alarms always, or never.",
    )
    threshold: float = Field(
        default=6.0,
        gt=0.0,
        le=1e6,
        description="Score from which on it alarms; 6 is measured to be good for every method, lower is touchier.",
    )
    warmup_s: float | None = Field(
        default=None,
        ge=0.0,
        le=86_400.0,
        description="Nothing is judged for so long; absent, 10 s and as many samples as the method needs.",
        examples=[10.0],
    )
    clear_after_s: float = Field(
        default=5.0,
        ge=0.0,
        le=86_400.0,
        description="An alert is cleared when there was no alarm for so long; shorter, one trouble is many alerts.",
    )
    cooldown_s: float = Field(
        default=60.0,
        ge=0.0,
        le=86_400.0,
        description="The same element is not raised again before; what is held back is counted.",
    )
    per_hour_max: int = Field(
        default=12,
        ge=1,
        le=1000,
        description="Most alerts this detector raises in an hour; what is held back is counted.",
    )
    memory_samples: int | None = Field(
        default=None,
        ge=32,
        le=10_000_000,
        description="Length of the memory of what is usual; longer is steadier, and slower with what changes for good.",
        examples=[600],
    )
    fast_samples: int | None = Field(
        default=None,
        ge=1,
        le=100_000,
        description="Length of the mean that is judged; longer sees smaller shifts, later.",
        examples=[10],
    )
    scale_min: float = Field(
        default=0.0,
        ge=0.0,
        le=1e12,
        description="Usual spread that is never undercut, in the field's unit; changes well below it never alarm.",
    )
    motion: Annotated[tuple[FieldPath, ...], Field(strict=False)] = Field(
        default=(),
        max_length=8,
        description="Paths of the motion: what it does for conditioned, the speed of each twin for twin_ratio.",
        examples=[["velocity"]],
    )
    motion_channel: str | None = Field(
        default=None,
        min_length=1,
        max_length=64,
        description="Channel of the motion, for conditioned; absent, the one that is judged.",
        examples=["odom"],
    )
    pairs: Annotated[tuple[Pair, ...], Field(strict=False)] = Field(
        default=(),
        max_length=64,
        description="Twins, for twin_ratio: two elements of the field each, by label or index, with a slash between.",
        examples=[["wheel_left/wheel_right"]],
    )
    offset: float = Field(
        default=2.0,
        gt=0.0,
        le=1e12,
        description="For twin_ratio: values well below it count little, in the field's unit; too small, noise alarms.",
    )
    low: float | None = Field(
        default=None,
        description="For limits: below this it alarms, in the field's unit.",
        examples=[10.5],
    )
    high: float | None = Field(
        default=None,
        description="For limits: above this it alarms, in the field's unit.",
        examples=[80.0],
    )
    hysteresis: float = Field(
        default=0.0,
        ge=0.0,
        le=1e12,
        description="For limits: the alarm ends so far inside, in the field's unit; 0 flickers on a noisy limit.",
    )
    window_samples: int = Field(
        default=256,
        ge=16,
        le=65_536,
        description="For spectral: length of a window; longer tells finer bands apart, later.",
    )
    bands_hz: Annotated[tuple[Band, ...], Field(strict=False)] = Field(
        default=(),
        max_length=16,
        description="For spectral: edges of each band; absent, the four octaves below half the sample rate.",
        examples=[["10-50", "50-200"]],
    )

    @field_validator("high", mode="after")
    @classmethod
    def _low_is_lower(cls, high: float | None, info: ValidationInfo) -> float | None:
        low = info.data.get("low")
        if high is not None and low is not None and not low < high:
            what = "is not above low"
            raise refusal(what, "exchange them, or correct one")
        return high

    @model_validator(mode="after")
    def _keys_fit_the_method(self) -> AnomalySettings:
        for key, methods in _OF_METHODS.items():
            said = getattr(self, key) != type(self).model_fields[key].default  # what `check` prints can be read again
            if said and self.method not in methods:
                what = f"has {key}, which {self.method} does not know"
                raise refusal(what, f"remove {key}; it is for {', '.join(sorted(methods))}")
        needed = {
            MethodName.LIMITS: (self.low is not None or self.high is not None, "low or high"),
            MethodName.TWIN_RATIO: (bool(self.pairs), "pairs"),
            MethodName.CONDITIONED: (bool(self.motion), "motion"),
        }
        there, key = needed.get(self.method, (True, ""))
        if not there:
            what = f"has no {key}, which {self.method} needs"
            raise refusal(what, f"add {key}")
        return self

    @property
    def twins(self) -> tuple[tuple[str, str], ...]:
        """The pairs, each as (left, right)."""
        return tuple((left, right) for left, _, right in (pair.partition("/") for pair in self.pairs))

    @property
    def bands(self) -> tuple[tuple[float, float], ...]:
        """The bands, each as (low, high) [Hz]."""
        return tuple((float(low), float(high)) for low, _, high in (band.partition("-") for band in self.bands_hz))
