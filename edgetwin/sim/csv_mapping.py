"""Replay: the mapping file that says which columns of a CSV make which fields of which message.

In: TOML     Out: a frozen, checked Mapping, or every fault at once.
Knows no CSV and no message types: sim.csv_recording checks columns and fields against both.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from edgetwin.errors import Fault, RefusedError
from edgetwin.sim.recorded import TOPIC_NAME

Constant: TypeAlias = bool | int | float | str | list[bool | int | float | str]


class _Closed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Time(_Closed):
    """Where a row's time comes from: the sum of the named columns, or a fixed period.

    The result is the header's stamp (where the type has one) and the log time.
    """

    s: str | None = Field(default=None, description="Column of seconds, with or without a fraction.")
    us: str | None = Field(default=None, description="Column of microseconds.")
    ns: str | None = Field(default=None, description="Column of nanoseconds; with `s`, the part below a second.")
    period_s: float | None = Field(
        default=None, gt=0, le=86_400, description="No time column: row n is n periods after 0."
    )
    offset_s: float = Field(default=0.0, allow_inf_nan=False, description="Added to every time.")

    @model_validator(mode="after")
    def _one_source(self) -> Time:
        if self.columns and self.period_s is not None:
            msg = "gives both columns and period_s; keep one"
            raise ValueError(msg)
        if not self.columns and self.period_s is None:
            msg = "gives no time; name a column (s, us, ns) or period_s"
            raise ValueError(msg)
        return self

    @property
    def columns(self) -> tuple[tuple[str, int], ...]:
        """(column, power of ten that makes nanoseconds of it)."""
        named = ((self.s, 9), (self.us, 3), (self.ns, 0))
        return tuple((column, power) for column, power in named if column is not None)


class Source(_Closed):
    """One column, or several for an array; value in the message = cell * scale + offset."""

    column: str | None = None
    columns: tuple[str, ...] = Field(default=(), strict=False)
    scale: float = Field(default=1.0, allow_inf_nan=False)
    offset: float = Field(default=0.0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _one_or_many(self) -> Source:
        if (self.column is None) == (not self.columns):
            msg = "names a column and columns, or neither; give one of them"
            raise ValueError(msg)
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The columns it reads."""
        return self.columns if self.column is None else (self.column,)


class Message(_Closed):
    """One message per row of each file whose name matches `file`."""

    file: str = "*.csv"
    topic: str
    type: str
    time: Time
    columns: dict[str, str | Source] = Field(min_length=1)
    constants: dict[str, Constant] = Field(default_factory=dict)

    @field_validator("topic")
    @classmethod
    def _absolute(cls, topic: str) -> str:
        if not TOPIC_NAME.fullmatch(topic):
            msg = f"{topic!r} is not an absolute topic name such as /odom"
            raise ValueError(msg)
        return topic

    def sources(self) -> dict[str, Source]:
        """Return field path -> Source; a bare string is short for one column as it stands."""
        return {path: Source(column=it) if isinstance(it, str) else it for path, it in self.columns.items()}


class Mapping(_Closed):
    """The whole mapping file."""

    messages: tuple[Message, ...] = Field(min_length=1, strict=False)


def load_mapping(path: Path) -> Mapping:
    """Return the checked mapping.

    Raises:
        RefusedError: One fault per line, each with its place in the file.
    """
    try:
        return Mapping.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        cure = "name a mapping file; config/replay has examples"
        raise RefusedError([Fault(str(path), error.strerror or "cannot be read", cure)]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RefusedError([Fault(str(path), f"is not TOML: {error}", "correct it")]) from error
    except ValidationError as error:
        faults = [_fault(path, it["loc"], it["msg"]) for it in error.errors()]
        raise RefusedError(faults) from error


def _fault(path: Path, location: tuple[int | str, ...], what: str) -> Fault:
    place = ".".join(str(part) for part in location)
    what = what.removeprefix("Value error, ")
    return Fault(f"{path}: {place}", what, "see config/replay for examples")
