"""Sim wing: what happens when in the demo. Pure.

In: the length     Out: when the cable is pulled, when it is back, and the lines that tell it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

_PULL_SHARE = 0.35
_BACK_SHARE = 0.60
_OUTAGE_MIN_S = 3.0
_OUTAGE_MAX_SHARE = 0.4  # a very short demo must still show the link before and after


class Line(StrEnum):
    """The narration."""

    START = "Starting a broker, a robot and the daemon; waiting for the first record."
    NORMAL = "All is well: what changes leaves at once, what repeats itself is held back."
    PULLED = "The cable is pulled now: nothing is lost, it waits on disk."
    BACK = "The cable is back: live continues at once, the backlog follows."
    DRAIN = "The robot has stopped; waiting until the outbox is empty."
    END = "Stopping the daemon."


@dataclass(frozen=True, slots=True)
class Script:
    """The whole length and the pull are counted from the first record, the outage from the pull [s]."""

    seconds: float
    pull_s: float
    outage_s: float


def plan(seconds: float) -> Script:
    """Return the script of a demo of this length: the outage is in the middle, at least 3 s where there is room."""
    outage_s = max((_BACK_SHARE - _PULL_SHARE) * seconds, min(_OUTAGE_MIN_S, _OUTAGE_MAX_SHARE * seconds))
    return Script(seconds, _PULL_SHARE * seconds, outage_s)
