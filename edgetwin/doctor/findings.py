"""Roof, doctor: what a check returns.

In: what was seen     Out: ok, warn or fail, in words, and the cure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

from edgetwin.clock import Clock
from edgetwin.settings import Settings


class Level(StrEnum):
    """How bad it is. Whoever meets a `fail` has work to do before the robot works as it should."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line.

    Attributes:
        level: How bad.
        name: Of the check.
        what: What was seen.
        cure: What to do; empty if nothing is.
    """

    level: Level
    name: str
    what: str
    cure: str = ""

    def __str__(self) -> str:
        text = f"{self.level:<4}  {self.name}: {self.what}" + (f"; {self.cure}" if self.cure else "")
        return "".join(c if c.isprintable() else "?" for c in " ".join(text.split(" ")))

    def plain(self) -> dict[str, str]:
        """Return it as plain values."""
        return {key: str(value) for key, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class Case:
    """What is examined.

    Attributes:
        path: Of the settings file.
        settings: What it says.
        environ: The environment.
        clock: The robot's.
    """

    path: Path
    settings: Settings
    environ: Mapping[str, str]
    clock: Clock


Check: TypeAlias = Callable[[Case], Sequence[Finding]]


def ok(name: str, what: str) -> Finding:
    """Return that all is well."""
    return Finding(Level.OK, name, what)


def warn(name: str, what: str, cure: str) -> Finding:
    """Return that somebody should look."""
    return Finding(Level.WARN, name, what, cure)


def fail(name: str, what: str, cure: str) -> Finding:
    """Return that something does not work, or is not safe."""
    return Finding(Level.FAIL, name, what, cure)
