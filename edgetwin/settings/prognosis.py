"""Floor: the settings of one failure model, `[prognosis.<name>]`.

In: plain values     Out: PrognosisSettings, or pydantic's ValidationError.
Pure. Whether the channels, their fields and the model exist and fit is for the roof to say. A field that is
judged by another one is declared after it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated

from pydantic import AfterValidator, Field, PlainSerializer, ValidationInfo, field_validator

from edgetwin.settings.values import FieldPath, FilePath, Section, refusal

EVERY_S = 60.0
_SOURCE = re.compile(r"[a-z][a-z0-9_]{0,31}")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Combine(StrEnum):
    """What becomes of a field with several numbers, where no element is chosen."""

    MEAN = "mean"
    MAX = "max"
    NORM = "norm"


def _check_source(name: str) -> str:
    if _SOURCE.fullmatch(name) is None:
        what = "is not the name of a source"
        raise refusal(what, "use 1 to 32 small letters, digits and _, a letter first, such as current")
    return name


def _check_name(name: str) -> str:
    if _NAME.fullmatch(name) is None:
        what = "is not the name of a prognosis"
        raise refusal(what, "use 1 to 64 letters, digits, _ and -")
    return name


def _check_sha256(text: str) -> str:
    if _SHA256.fullmatch(text) is None:
        what = "is not a sha256"
        raise refusal(what, "write the 64 hexadecimal digits, in small letters, that `sha256sum MODEL.onnx` prints")
    return text


SourceName = Annotated[str, AfterValidator(_check_source)]
PrognosisName = Annotated[str, AfterValidator(_check_name)]


class SourceSettings(Section):
    """Where one quantity of a model's features comes from."""

    channel: str = Field(
        min_length=1,
        max_length=64,
        description="Name of a channel of [channels]; its messages are read before they are paced.",
        examples=["joint_states"],
    )
    field: FieldPath = Field(
        description="Path of the number or array in its messages; another one feeds the model something else.",
        examples=["effort"],
    )
    label: FieldPath | None = Field(
        default=None,
        description="Path of the list of texts that names the elements of field; absent, elements have numbers only.",
        examples=["name"],
    )
    element: str | None = Field(
        default=None,
        min_length=1,
        max_length=255,
        description="Which element of field: its name in label, or its index from 0; absent, all are combined.",
        examples=["wheel_left_joint"],
    )
    combine: Combine = Field(
        default=Combine.MEAN,
        strict=False,
        description="How several numbers become one: mean, max, or norm, the length of a vector such as acceleration.",
    )
    rate_hz: float | None = Field(
        default=None,
        gt=0.0,
        le=1_000_000.0,
        description="The field is an array of successive samples at this rate; absent, a message is one sample.",
        examples=[20_000.0],
    )

    @field_validator("element", mode="after")
    @classmethod
    def _element_can_be_found(cls, element: str | None, info: ValidationInfo) -> str | None:
        if "label" not in info.data or element is None:
            return element
        if info.data["label"] is None and not (element.isascii() and element.isdigit()):
            what = "is a name, and no label says which element has it"
            raise refusal(what, 'add label = "name" (the field with the names), or write the index of the element')
        return element

    @field_validator("rate_hz", mode="after")
    @classmethod
    def _samples_are_not_elements(cls, rate_hz: float | None, info: ValidationInfo) -> float | None:
        if rate_hz is not None and info.data.get("element") is not None:
            what = "makes every element a sample, and element chooses one"
            raise refusal(what, "remove rate_hz or element")
        return rate_hz


class PrognosisSettings(Section):
    """One failure model, and what it looks at."""

    model: FilePath = Field(
        description="ONNX file of the model; while there is none, the daemon runs without, and says so once.",
        examples=["/var/lib/edgetwin/models/motor.onnx"],
    )
    sha256: Annotated[str, AfterValidator(_check_sha256)] | None = Field(
        default=None,
        description="The only content that may be loaded; absent, whatever passes the checks is.",
        examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
    )
    every_s: float = Field(
        default=EVERY_S,
        ge=0.1,
        le=86_400.0,
        description="The model runs this often; oftener costs more and notices earlier.",
    )
    threshold: float | None = Field(
        default=None,
        gt=0.0,
        lt=1.0,
        description="Probability from which on a failure is announced; absent, the one that came with the model.",
        examples=[0.7],
    )
    healthy_s: float | None = Field(
        default=None,
        ge=1.0,
        le=31_536_000.0,
        description="Running time in which the machine's own normal is learned; absent, as the model was trained.",
        examples=[86_400.0],
    )
    raises_per_hour_max: int = Field(
        default=4,
        ge=1,
        le=60,
        description="Most announcements per hour; what is held back beyond is counted in the next one.",
    )
    sources: Annotated[
        Mapping[SourceName, SourceSettings],
        AfterValidator(MappingProxyType),  # frozen, as all else is
        PlainSerializer(dict, return_type=dict[str, SourceSettings]),
    ] = Field(
        default_factory=lambda: MappingProxyType({}),
        description="What the features are made of, each by its name in them; a model that lacks one rests.",
    )

    @field_validator("sources", mode="after")
    @classmethod
    def _runtime_is_counted(cls, sources: Mapping[str, SourceSettings]) -> Mapping[str, SourceSettings]:
        if "runtime" in sources:
            what = "has a source named runtime, which edgetwin counts itself"
            raise refusal(what, "give it another name")
        return sources
